"""The tail: every row that the lake does not hold, in memory. Each query brings it up to date from the store.

    cold     final rows before the lake's position: final attempts, events, reversals    never change
    tail     live attempts, and the final rows of each table since the position           this module

The two are disjoint, so a query reads ``cold UNION ALL tail``. A change whose row the lake may hold already is a
*suspect*: the tail looks it up in the lake before it adds the row. Suspects are rare if the source follows the order of
commits. Otherwise they are the changes of the overlap, which are read again.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bursar.reports.lake.position import Position
from bursar.reports.lake.rows import RowKey, TableRow
from bursar.reports.lake.schema import PAYMENTS, TABLES
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
    """The tail of one process. ``positions``: for each table, the lake holds the changes before it.

    ``live`` has the live attempts, and ``finals`` the final rows of each table, by the table's name.
    """

    position: Position
    positions: dict[str, Position]
    live: TailRows = field(default_factory=lambda: TailRows(PAYMENTS))
    finals: dict[str, TailRows] = field(default_factory=lambda: {schema.name: TailRows(schema) for schema in TABLES})
    replaced: set[str] = field(default_factory=set)
    _suspects: list[RowChange] = field(default_factory=list)
    _rewritten: dict[RowKey, int] = field(
        default_factory=dict
    )  # final attempts that changed → order of their first row
    _in_lake: dict[tuple[str, RowKey], TableRow] = field(default_factory=dict)

    @classmethod
    def at(cls, position: Position) -> "Tail":
        """Return an empty tail whose lake holds the changes before ``position``."""
        return cls(position, {schema.name: position for schema in TABLES})

    def __len__(self) -> int:
        return len(self.live) + self.final_rows

    @property
    def final_rows(self) -> int:
        """The number of rows that a commit can move to the lake."""
        return sum(map(len, self.finals.values()))

    def oldest_final(self) -> int | None:
        """Return the oldest change time of the rows that a commit can move, in Unix microseconds; None without any."""
        times = (
            row[rows.schema.position(rows.schema.change_time)] for rows in self.finals.values() for row in rows.rows()
        )
        return min(times, default=None)

    def put_found(self, changes: Iterable[RowChange]) -> None:
        """Add rows that a scan found, or that the lake has as live."""
        for change in changes:
            self._take(change)

    def apply(self, changes: Iterable[RowChange]) -> None:
        """Apply changes in their order. Call :meth:`resolve` afterwards, because some of them may be suspects."""
        for change in changes:
            if change.schema.has_live_rows:
                self._apply_attempt(change)
            else:
                self._apply_added(change)

    def _apply_added(self, change: RowChange) -> None:
        """Apply a row of a table whose rows are only added."""
        name = change.schema.name
        if change.key in self.finals[name]:
            return
        if change.order >= self.positions[name].order:
            self._take(change)
        elif not self._known_in_lake(change):
            self._suspects.append(change)

    def _apply_attempt(self, change: RowChange) -> None:
        name, key = change.schema.name, change.key
        is_live = change.schema.is_live(change.row)
        if key in self.finals[name]:
            if not is_live:
                if self.finals[name].row(key) != change.row:
                    self._rewritten.setdefault(key, self.finals[name].order(key))
                self._take(change)
        elif key in self.live:
            if not is_live:
                self.live.remove(key)
            if is_live or change.order >= self.positions[name].order:
                self._take(change)
            else:  # another process may have seen it, and moved it to the lake
                self._suspects.append(change)
        elif change.inserted and self.position.order >= self.positions[name].order:
            # Inserted since the tail's position. Before the lake's, it could be in the lake with its first state.
            self._take(change)
        elif not self._known_in_lake(change):
            self._suspects.append(change)

    def _take(self, change: RowChange) -> None:
        is_live = change.schema.has_live_rows and change.schema.is_live(change.row)
        rows = self.live if is_live else self.finals[change.schema.name]
        rows.put(change.key, change.row, change.order, change.version)

    def _known_in_lake(self, change: RowChange) -> bool:
        return self._in_lake.get((change.schema.name, change.key)) == change.row

    @property
    def has_suspects(self) -> bool:
        """Whether there are suspects, which :meth:`resolve` must look up in the lake."""
        return bool(self._suspects)

    def resolve(self, find: Find) -> None:
        """Add the suspects that the lake does not hold. ``find`` may block."""
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
            self._take(change)
            return
        schema = change.schema
        self._in_lake[schema.name, change.key] = stored
        if schema.has_live_rows and stored != change.row and not schema.is_live(change.row):
            # The ledger never changes a final attempt, so the store was changed directly. The store's row counts.
            self._take(change)
            self.replaced.add(change.key[0])

    def rebase(self, positions: Mapping[str, Position], *, by_another: bool = False, is_ordered: bool = True) -> None:
        """Forget the rows that the lake holds now: its positions have moved to ``positions``.

        ``by_another``: another process moved them, and :meth:`resolve` must follow. It may have seen an attempt end
        that this one saw only later, already reversed, so every final attempt is a suspect. Unless the source
        ``is_ordered``, it may not have seen a row whose writer's clock was behind, so the rows before the positions are
        suspects too.
        """
        for name, rows in self.finals.items():
            if by_another and rows.schema.has_live_rows:
                self._suspects += rows.drop_all()
                continue
            dropped = rows.drop_below(positions[name].order)
            if by_another and not is_ordered:
                self._suspects += dropped
        finals = self.finals[PAYMENTS.name]
        self.replaced.intersection_update(key for (key,) in finals)
        # Another process may have moved the first row of an attempt that has changed since.
        self._rewritten = {key: first for key, first in self._rewritten.items() if key in finals}
        moved = positions[PAYMENTS.name].order
        self.replaced.update(key[0] for key, first in self._rewritten.items() if first < moved)
        self.positions = dict(positions)
        self._in_lake.clear()

    def tables(self) -> TailTables:
        """Return the present rows as Arrow."""
        import pyarrow as pa

        tables = {name: rows.arrow() for name, rows in self.finals.items()}
        tables[PAYMENTS.name] = pa.concat_tables([self.live.arrow(), tables[PAYMENTS.name]])
        return TailTables(tables, tuple(sorted(self.replaced)))
