"""The tail: every row that the lake does not hold, in memory, current at each read of the store.

    cold     final attempts and events before the lake's position              never change
    tail     live attempts, and final attempts and events since the position   this module

The two are disjoint, so a query reads ``cold UNION ALL tail``. A change whose row the lake may hold already is a
*suspect*: the tail asks the lake for it before it takes the row. Suspects are rare where the source follows the order
of commits, and are the re-read overlap where it does not.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bursar.reports.lake.position import Position
from bursar.reports.lake.rows import RowKey, TableRow, is_final
from bursar.reports.lake.schema import PAYMENT_EVENTS, PAYMENTS, TABLES
from bursar.reports.tail.sources import RowChange
from bursar.reports.tail.tail_rows import TailRows

if TYPE_CHECKING:
    import pyarrow as pa

Find = Callable[[str, list[TableRow]], Mapping[RowKey, TableRow]]
"""A function of a table's name and rows: the rows of the lake with the same keys, by key."""


@dataclass(frozen=True, slots=True)
class TailTables:
    """The tail at one moment, as Arrow by table name, and the keys of payments that replace rows of the lake."""

    tables: "Mapping[str, pa.Table]"
    replaced: tuple[str, ...]


@dataclass(slots=True)
class Tail:
    """The tail of one process. ``positions``: for each table, the lake holds the changes before it."""

    position: Position
    positions: dict[str, Position]
    live: TailRows = field(default_factory=lambda: TailRows(PAYMENTS))
    finals: TailRows = field(default_factory=lambda: TailRows(PAYMENTS))
    events: TailRows = field(default_factory=lambda: TailRows(PAYMENT_EVENTS))
    replaced: set[str] = field(default_factory=set)
    _suspects: list[RowChange] = field(default_factory=list)
    _in_lake: dict[tuple[str, RowKey], TableRow] = field(default_factory=dict)

    @classmethod
    def at(cls, position: Position) -> "Tail":
        """Return an empty tail whose lake holds the changes before ``position``."""
        return cls(position, {schema.name: position for schema in TABLES})

    def __len__(self) -> int:
        return len(self.live) + len(self.finals) + len(self.events)

    @property
    def final_rows(self) -> int:
        """The number of rows that a commit can move to the lake."""
        return len(self.finals) + len(self.events)

    def put_found(self, changes: Iterable[RowChange]) -> None:
        """Add rows that a scan found, or that the lake has as live."""
        for change in changes:
            if change.schema is PAYMENT_EVENTS:
                self.events.put(change.key, change.row, change.order)
            else:
                rows = self.finals if is_final(change.row) else self.live
                rows.put(change.key, change.row, change.order, change.version)

    def apply(self, changes: Iterable[RowChange]) -> None:
        """Take changes in their order. :meth:`resolve` must follow, because some of them may be suspects."""
        for change in changes:
            if change.schema is PAYMENT_EVENTS:
                self._apply_event(change)
            else:
                self._apply_attempt(change)

    def _apply_event(self, change: RowChange) -> None:
        if change.key in self.events:
            return
        if change.order >= self.positions[PAYMENT_EVENTS.name].order:
            self.events.put(change.key, change.row, change.order)
        elif not self._known_in_lake(change):
            self._suspects.append(change)

    def _apply_attempt(self, change: RowChange) -> None:
        key, row = change.key, change.row
        if key in self.finals:
            if is_final(row):
                self.finals.put(key, row, change.order, change.version)
        elif key in self.live:
            if is_final(row):
                self.live.remove(key)
                self.finals.put(key, row, change.order, change.version)
            else:
                self.live.put(key, row, change.order, change.version)
        elif change.inserted and change.order >= self.positions[PAYMENTS.name].order:
            self._take(change)
        elif not self._known_in_lake(change):
            self._suspects.append(change)

    def _take(self, change: RowChange) -> None:
        rows = self.finals if is_final(change.row) else self.live
        rows.put(change.key, change.row, change.order, change.version)

    def _known_in_lake(self, change: RowChange) -> bool:
        return self._in_lake.get((change.schema.name, change.key)) == change.row

    @property
    def has_suspects(self) -> bool:
        """Whether :meth:`resolve` has something to ask the lake."""
        return bool(self._suspects)

    def resolve(self, find: Find) -> None:
        """Take the suspects that the lake does not hold. ``find`` may block."""
        suspects, self._suspects = self._suspects, []
        for schema in TABLES:
            ours = {change.key: change for change in suspects if change.schema is schema}
            if not ours:
                continue
            stored = find(schema.name, [change.row for change in ours.values()])
            for key, change in ours.items():
                self._resolve(change, stored.get(key))

    def _resolve(self, change: RowChange, stored: TableRow | None) -> None:
        if stored is None:
            if change.schema is PAYMENT_EVENTS:
                self.events.put(change.key, change.row, change.order)
            else:
                self._take(change)
            return
        self._in_lake[change.schema.name, change.key] = stored
        if change.schema is PAYMENTS and stored != change.row and is_final(change.row):
            # A final attempt never changes through the ledger: the store itself was changed, and the store is right.
            self.finals.put(change.key, change.row, change.order, change.version)
            self.replaced.add(change.key[0])

    def rebase(self, positions: Mapping[str, Position]) -> None:
        """Forget the rows that the lake holds now: its positions have moved to ``positions``."""
        payments, events = positions[PAYMENTS.name], positions[PAYMENT_EVENTS.name]
        self.finals.drop_below(payments.order)
        self.events.drop_below(events.order)
        self.replaced.intersection_update(key for (key,) in self.finals)
        self.positions = dict(positions)
        self._in_lake.clear()

    def tables(self) -> TailTables:
        """Return the present rows as Arrow."""
        import pyarrow as pa

        payments = pa.concat_tables([self.live.arrow(), self.finals.arrow()])
        return TailTables(
            {PAYMENTS.name: payments, PAYMENT_EVENTS.name: self.events.arrow()}, tuple(sorted(self.replaced))
        )
