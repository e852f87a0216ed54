"""Write guards: code that may refuse a write for what it would make of the table (see bursar.rules).

A table may carry a *rules document*, a text that the engine keeps and does not understand. The ``guard_loader`` given
to the engine turns it into a :class:`Guard`, which sees every change of each request before any of them is applied;
what it reads is as the request would leave it (:mod:`bursar.dynamo.core.guard_overlay`):

    BEGIN ─► conditions hold ─► judge(changes) ─► look(view) ─┬─ None    ─► writes applied ─► COMMIT
                                    │                         └─ Refusal ─► what was claimed is given back, refused
                                    └─ Refusal ─► refused

Judging needs the changes alone, so whoever knows them beforehand has it done before others must wait for it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import orjson

from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.storage.rows import Span
from bursar.dynamo.storage.sqlite_file import Storage
from bursar.dynamo.storage.table import Table

WHOLE_TABLE = Span(b"", True, None)
ROWS_MAX = -1
"""SQLite's LIMIT for no limit."""


class Change(NamedTuple):
    """One item's change: ``old`` None is a creation, ``new`` None a deletion."""

    table: str
    key: Item
    old: Item | None
    new: Item | None


@dataclass(frozen=True)
class Refusal:
    """Why a request must not take place, and which of the changes given to the guard is at fault."""

    change_index: int
    message: str


class GuardView(Protocol):
    """What a guard may read and keep, inside of the request's own transaction."""

    def get(self, table: str, key: Item) -> Item | None:
        """The item under ``key``, this request's own writes included."""

    def owner(self, space: str, value: bytes) -> bytes | None:
        """Who holds a unique value, in the side store of the guarded table."""

    def own(self, space: str, value: bytes, owner: bytes) -> bytes | None:
        """Gives a unique value to ``owner`` if nobody holds it; else who does."""

    def set_owner(self, space: str, value: bytes, owner: bytes) -> None:
        """Gives a unique value to ``owner``, whoever held it."""

    def release(self, space: str, value: bytes) -> None:
        """Frees a unique value."""

    def scan(self, table: str) -> Iterator[Item]:
        """Every item of a table, in key order."""


TableCheck = Callable[[GuardView], Refusal | None]
"""What is left of a judgement: what only the table can tell. Claims and releases unique values as it goes."""


class JudgedSwap(NamedTuple):
    """A swap as its guard judged it before the write lock."""

    added: Sequence[Change]
    """Changes that must be written with the swap, such as sentinels; they belong to the judgement."""
    table_check: TableCheck


class Guard(Protocol):
    """The rules of one table."""

    def judge(self, changes: Sequence[Change]) -> Refusal | TableCheck:
        """Judges one request's changes to the guarded table, as if all of them took place, as far as they tell."""

    def judge_swap(self, changes: Sequence[Change]) -> Refusal | JudgedSwap:
        """Judge ``changes``, each of another item, and return the changes that must be written with them.

        The writer of a swap writes no sentinels: the guard, which works out the unique values anyway, adds them.
        By default nothing is added.
        """
        judged = self.judge(changes)
        return judged if isinstance(judged, Refusal) else JudgedSwap((), judged)

    def adopt(self, view: GuardView, table: str) -> list[str]:
        """Judges what the table holds already, and claims its unique values; each text is one violation."""


GuardLoader = Callable[[str], Guard]
"""Makes a guard of a rules document; raises ``ValueError`` for a document that it does not understand."""


class TransactionView:
    """The :class:`GuardView` of one guarded table over the open transaction."""

    def __init__(self, storage: Storage, tables: Callable[[str], Table], guarded: Table) -> None:
        self._storage = storage
        self._tables = tables
        self._guarded = guarded.id

    def get(self, table: str, key: Item) -> Item | None:
        """See :class:`GuardView`."""
        stored_table = self._tables(table)
        row = stored_table.rows.get(stored_table.key_of(key)[1])
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
        # Two tables may use one name for different things; a removed table's values go with it (Storage.remove_table).
        return f"{self._guarded}:{space}"
