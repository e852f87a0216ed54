"""Filters of transactions, and SQL statements, that people save by name, for themselves or for a role."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.sign_in.roles import Role
from bursar.dashboard.state_file import StateFile

VIEWS_MAX: Final = 100
"""The most views of one kind that one person may have."""
NAME_CHARS_MAX: Final = 80
ViewKind = Literal["saved_views", "saved_queries"]
"""The kind of a view, which is the name of its table in the state file."""


class TooManyViews(Exception):
    """The person has ``VIEWS_MAX`` views."""


@dataclass(frozen=True, slots=True)
class SavedView:
    """A filter, or a statement, with a name.

    ``query``: the parameters of the URL, or the text of the statement. ``role``: the role that may use it too.
    """

    number: int
    owner: str
    name: str
    query: str
    role: str | None


class SavedViews:
    """The views of one kind in the dashboard's state file."""

    def __init__(self, state: StateFile, kind: ViewKind = "saved_views") -> None:
        self._state = state
        self._table = kind

    def visible_to(self, account: Account) -> list[SavedView]:
        """Return the person's views and those shared with one of the person's roles, by name."""
        return sorted(
            (each for each in self._all() if each.owner == account.name or each.role in account.roles),
            key=lambda each: (each.name.lower(), each.owner),
        )

    def save(self, account: Account, name: str, query: str, role: Role | None) -> None:
        """Save a view, and replace the person's view with this name. Raises :class:`TooManyViews`."""
        with self._state.writing() as connection:
            [(count,)] = connection.execute(
                f"SELECT count(*) FROM {self._table} WHERE owner = ? AND name <> ?", (account.name, name)
            )
            if count >= VIEWS_MAX:
                raise TooManyViews
            connection.execute(
                f"INSERT INTO {self._table} (owner, name, query, role) VALUES (?1, ?2, ?3, ?4) "
                "ON CONFLICT (owner, name) DO UPDATE SET query = ?3, role = ?4",
                (account.name, name, query, role),
            )

    def remove(self, account: Account, number: int) -> bool:
        """Remove a view of the person; return whether there was one."""
        with self._state.writing() as connection:
            done = connection.execute(f"DELETE FROM {self._table} WHERE id = ? AND owner = ?", (number, account.name))
            return done.rowcount > 0

    def _all(self) -> Collection[SavedView]:
        with self._state.writing() as connection:
            rows = connection.execute(f"SELECT id, owner, name, query, role FROM {self._table}").fetchall()
        return [SavedView(*row) for row in rows]
