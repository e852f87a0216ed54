"""Rows of the tail by key, with the order of their last change, and their Arrow form, extended with each row."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from bursar.reports.lake.rows import RowKey, TableRow, arrow_table
from bursar.reports.lake.schema import TableSchema, arrow_schema
from bursar.reports.tail.sources import RowChange

if TYPE_CHECKING:
    import pyarrow as pa

PARTS_MAX: Final = 32
"""The most separate Arrow tables. More are joined, because each one makes a query slower."""


class TailRows:
    """The rows of one table in the tail."""

    def __init__(self, schema: TableSchema) -> None:
        self.schema = schema
        self._rows: dict[RowKey, tuple[int, TableRow, int]] = {}
        self._waiting: list[TableRow] = []  # rows that the Arrow parts do not have yet
        self._parts: list[pa.Table] = []
        self._stale = False  # a row was replaced or removed, so the parts are made again and nothing waits

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: RowKey) -> bool:
        return key in self._rows

    def row(self, key: RowKey) -> TableRow | None:
        """Return the row of ``key``, or None."""
        found = self._rows.get(key)
        return None if found is None else found[1]

    def order(self, key: RowKey) -> int:
        """Return the order of the row of ``key``. Raise ``KeyError`` if there is none."""
        return self._rows[key][0]

    def put(self, key: RowKey, row: TableRow, order: int, version: int = 0) -> None:
        """Add a row, or replace the row of this key by one of the same or a later version.

        An equal row keeps its order, because the lake may hold it since then.
        """
        known = self._rows.get(key)
        if known is None:
            if not self._stale:
                self._waiting.append(row)
        elif version < known[2]:
            return
        elif known[1] != row:
            self._drop_arrow()
        else:
            order = min(order, known[0])
        self._rows[key] = (order, row, version)

    def remove(self, key: RowKey) -> None:
        """Remove the row of ``key``, if there is one."""
        if self._rows.pop(key, None) is not None:
            self._drop_arrow()

    def below(self, order: int) -> list[TableRow]:
        """Return the rows whose last change is before ``order``, a place in the order of changes."""
        return [row for at, row, _ in self._rows.values() if at < order]

    def drop_below(self, order: int) -> list[RowChange]:
        """Remove the rows whose last change is before ``order``, and return them."""
        dropped = {key: value for key, value in self._rows.items() if value[0] < order}
        if dropped:
            self._rows = {key: value for key, value in self._rows.items() if value[0] >= order}
            self._drop_arrow()
        return self._changes(dropped)

    def drop_all(self) -> list[RowChange]:
        """Remove all rows, and return them."""
        dropped, self._rows = self._rows, {}
        self._drop_arrow()
        return self._changes(dropped)

    def _drop_arrow(self) -> None:
        """Forget the Arrow form: the next one is made from the present rows. A build may never ask for one."""
        self._parts, self._waiting, self._stale = [], [], True

    def _changes(self, rows: Mapping[RowKey, tuple[int, TableRow, int]]) -> list[RowChange]:
        return [RowChange(self.schema, key, row, at, version=version) for key, (at, row, version) in rows.items()]

    def rows(self) -> list[TableRow]:
        """Return all rows."""
        return [row for _, row, _ in self._rows.values()]

    def __iter__(self) -> Iterator[RowKey]:
        """Yield all keys."""
        return iter(self._rows)

    def arrow(self) -> "pa.Table":
        """Return all rows as Arrow. Later changes do not change the returned table."""
        import pyarrow as pa

        if self._stale:
            self._parts, self._waiting, self._stale = [], self.rows(), False
        if self._waiting:
            self._parts.append(arrow_table(self.schema, self._waiting))
            self._waiting = []
        if not self._parts:
            return arrow_schema(self.schema).empty_table()
        if len(self._parts) > PARTS_MAX:
            self._parts = [pa.concat_tables(self._parts).combine_chunks()]
        return pa.concat_tables(self._parts)
