"""Write guards: code that may refuse a write because of the state that it would produce (see bursar.rules).

A table may have a *rules document*, a text that the engine stores and does not interpret. The ``guard_loader`` given to
the engine makes a :class:`Guard` from it, which sees every change of a request before any of them is applied. The
guard's view shows the state that the request would produce (:mod:`bursar.dynamo.core.guard_overlay`):

    BEGIN ─► conditions hold ─► judge(changes) ─► check(view) ─┬─ None    ─► writes applied ─► COMMIT
                                    │                          └─ Refusal ─► newly owned values released, refused
                                    └─ Refusal ─► refused

``judge`` needs only the changes, so callers can run it before they take the write lock.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import orjson

from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.storage.rows import Span
from bursar.dynamo.storage.sqlite_file import Storage
from bursar.dynamo.storage.table import Table

WHOLE_TABLE = Span(b"", True, None)
ROWS_MAX = -1
"""The value of SQLite's LIMIT that means no limit."""


class Change(NamedTuple):
    """One item's change: ``old`` None is a creation, ``new`` None a deletion."""

    table: str
    key: Item
    old: Item | None
    new: Item | None
    unlike: Collection[str] | None = None
    """The attributes that are absent in one of the items or differ as JSON; None if they are not compared yet."""


@dataclass(frozen=True)
class Refusal:
    """Why a request is refused, and the index of the change that is the reason."""

    change_index: int
    message: str


class GuardView(Protocol):
    """The state that a guard may read and change, in the request's transaction."""

    def get(self, table: str, key: Item) -> Item | None:
        """Return the item under ``key``, this request's writes included; None if there is none."""

    def owner(self, space: str, value: bytes) -> bytes | None:
        """Return the owner of a unique value among the guarded table's owned values; None when it is free."""

    def own(self, space: str, value: bytes, owner: bytes) -> bytes | None:
        """Make ``owner`` the owner of a free value and return None; return the present owner otherwise."""

    def set_owner(self, space: str, value: bytes, owner: bytes) -> None:
        """Make ``owner`` the owner of a value, in place of any present owner."""

    def release(self, space: str, value: bytes) -> None:
        """Free a unique value."""

    def scan(self, table: str) -> Iterator[Item]:
        """Return every item of a table, in key order."""


TableCheck = Callable[[GuardView], Refusal | None]
"""The part of a judgement that needs the table. It owns and releases unique values."""


class JudgedSwap(NamedTuple):
    """A swap as its guard judged it before the write lock."""

    added: Sequence[Change]
    """Changes that must be written with the swap, such as sentinels; they belong to the judgement."""
    table_check: TableCheck


class Guard(Protocol):
    """The rules of one table."""

    def judge(self, changes: Sequence[Change]) -> Refusal | TableCheck:
        """Judge one request's changes to the guarded table, as if all of them were applied.

        Returns a refusal that follows from the changes alone, or the check that still needs the table.
        """

    def judge_swap(self, changes: Sequence[Change]) -> Refusal | JudgedSwap:
        """Judge ``changes``, each of another item, and return the changes that must be written with them.

        The writer of a swap writes no sentinels: the guard, which computes the unique values anyway, adds them. By
        default nothing is added.
        """
        judged = self.judge(changes)
        return judged if isinstance(judged, Refusal) else JudgedSwap((), judged)

    def adopt(self, view: GuardView, table: str) -> list[str]:
        """Judge the existing items of ``table``, own its unique values, and return the violations, each one text."""


GuardLoader = Callable[[str], Guard]
"""Makes a guard of a rules document; raises ``ValueError`` for a document that it cannot read."""


class TransactionView:
    """The :class:`GuardView` of one guarded table over the open transaction."""

    def __init__(self, storage: Storage, tables: Callable[[str], Table], guarded: Table) -> None:
        self._storage = storage
        self._tables = tables
        self._guarded = guarded.id

    def get(self, table: str, key: Item) -> Item | None:
        """See :class:`GuardView`."""
        stored_table = self._tables(table)
        row = stored_table.rows.get(stored_table.encoded_key(key))
        return None if row is None else orjson.loads(row[2])

    def owner(self, space: str, value: bytes) -> bytes | None:
        """See :class:`GuardView`."""
        return self._storage.owner(self._space(space), value)

    def own(self, space: str, value: bytes, owner: bytes) -> bytes | None:
        """See :class:`GuardView`."""
        return self._storage.own(self._space(space), value, owner)

    def set_owner(self, space: str, value: bytes, owner: bytes) -> None:
        """See :class:`GuardView`."""
        self._storage.set_owner(self._space(space), value, owner)

    def release(self, space: str, value: bytes) -> None:
        """See :class:`GuardView`."""
        self._storage.release(self._space(space), value)

    def scan(self, table: str) -> Iterator[Item]:
        """See :class:`GuardView`."""
        rows = self._tables(table).rows.span(WHOLE_TABLE, forward=True, limit=ROWS_MAX)
        return (orjson.loads(item) for _, item in rows)

    def _space(self, space: str) -> str:
        # Two tables may use one space's name for different values; Storage.remove_table finds a table's spaces by it.
        return f"{self._guarded}:{space}"
