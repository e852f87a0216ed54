"""The access log: who viewed, exported or changed which data.

Entries are only added; the database refuses other changes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from bursar.clock import Clock
from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.state_file import StateFile

Action = Literal[
    "signed_in", "sign_in_failed", "signed_out", "signed_out_everywhere", "signed_out_by_provider", "refused", "viewed",
    "searched", "exported", "showed_personal_data", "queried", "changed",
]  # fmt: skip
ENTRIES_MAX: Final = 200
TEXT_CHARS_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """One entry. ``at``: Unix seconds. ``target``: a page, a payment or a report; ``detail``: further facts."""

    number: int
    at: float
    name: str
    roles: tuple[str, ...]
    address: str
    action: str
    target: str
    detail: Mapping[str, Any]


class AccessLog:
    """The log in the dashboard's state file."""

    def __init__(self, state: StateFile, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def add(self, account: Account | None, address: str, action: Action, target: str, **detail: Any) -> None:
        """Add one entry. ``account`` is None for a person who has not signed in."""
        name, roles = (account.name, ",".join(sorted(account.roles))) if account else ("", "")
        facts = json.dumps(detail, default=str, sort_keys=True)[:TEXT_CHARS_MAX]
        row = (self._clock(), name, roles, address, action, target[:TEXT_CHARS_MAX], facts)
        with self._state.writing() as connection:
            connection.execute(
                "INSERT INTO access (at, name, roles, address, action, target, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )

    def entries(
        self,
        *,
        search: str = "",
        since: float = float("-inf"),
        until: float = float("inf"),
        before: int | None = None,
        limit: int = ENTRIES_MAX,
    ) -> list[AccessEntry]:
        """Return the newest entries that contain ``search``, at most ``limit``.

        ``since`` (included) and ``until`` (not included) are Unix seconds. ``before``: only entries with a smaller
        number.
        """
        like = "%" + search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        with self._state.writing() as connection:
            rows = connection.execute(
                "SELECT * FROM access WHERE (?1 = '%%' OR name LIKE ?1 ESCAPE '\\' OR target LIKE ?1 ESCAPE '\\' "
                "OR action LIKE ?1 ESCAPE '\\' OR detail LIKE ?1 ESCAPE '\\' OR address LIKE ?1 ESCAPE '\\') "
                "AND at >= ?2 AND at < ?3 AND id < ?4 ORDER BY id DESC LIMIT ?5",
                (like, since, until, before if before is not None else 1 << 62, limit),
            ).fetchall()
        return [_entry(row) for row in rows]


def _entry(row: Any) -> AccessEntry:
    try:
        detail = json.loads(row["detail"])
    except ValueError:
        detail = {}  # the stored detail was cut
    roles = tuple(filter(None, row["roles"].split(",")))
    return AccessEntry(row["id"], row["at"], row["name"], roles, row["address"], row["action"], row["target"], detail)
