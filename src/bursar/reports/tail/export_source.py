"""Changes of a store by its exports to S3: the rows of a full export, and the changes of an incremental one.

    full export        the state at an instant     ─► builds a lake, with a position of the index of changes
    incremental one    changes between two         ─► continues at the position, if it begins at or before it

The position is one that :mod:`bursar.reports.tail.index_source` accepts, so a lake can be built from an export and
followed by the index, or by further exports. It is after the newest row of the export: where a writer's clock was
ahead, the index yields its rows again, and they are compared with the lake. The mark has the end of the export, up to
which every change is in the lake, and the id of the table.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from bursar.reports.errors import BadExport
from bursar.reports.lake.fast_rows import item_row
from bursar.reports.lake.position import Position
from bursar.reports.lake.rows import micros
from bursar.reports.tail.export_files import Export
from bursar.reports.tail.index_source import SOURCE
from bursar.reports.tail.sources import ChangePage, RowChange

PAGE_CHANGES: Final = 1_000
_UNTIL, _TABLE = "exported_until", "table_id"


class ExportSource:
    """The rows of ``export``. Create it by :meth:`checked`, which checks the export."""

    is_ordered: Final = False

    def __init__(self, export: Export, newest: int) -> None:
        """Create the source without reading.

        ``newest``: the newest change time of the export's rows, in Unix microseconds.
        """
        self._export = export
        mark = {_UNTIL: micros(export.until), _TABLE: export.table_id}
        self._end = Position(SOURCE, max(micros(export.until), newest + 1), mark)

    @classmethod
    def checked(cls, export: Export) -> "ExportSource":
        """Read the whole export once, and return its source. Raises :class:`BadExport`."""
        newest = 0
        for item in export.check():
            change = _change(item)
            if change is not None:
                newest = max(newest, change.order)
        return cls(export, newest)

    async def position(self) -> Position:
        """Return the position after the export."""
        return self._end

    def accepts(self, position: Position) -> bool:
        """Return whether the changes of the export continue at this position without a gap."""
        since = self._export.since
        return since is not None and position.source == SOURCE and micros(since) <= reached(position)

    async def changes(self, position: Position) -> AsyncIterator[ChangePage]:
        """Yield the changes of an incremental export; a full one has none."""
        if self._export.since is None:
            return
        async for page in self._pages():
            yield ChangePage(page, position)
        yield ChangePage([], self._end)

    def scan_columns(self) -> None:
        """Return None: the rows of an export have orders."""

    async def scan(self, *, consistent: bool = True) -> AsyncIterator[Sequence[RowChange]]:
        """Yield every row of a full export. Raises :class:`BadExport` for an incremental one.

        An export is of one instant, so it is always ``consistent``.
        """
        if self._export.since is not None:
            raise BadExport("the export: must be a full one to build a lake; got an incremental one")
        async for page in self._pages():
            yield page

    async def changed_since(self, since: int) -> AsyncIterator[Sequence[RowChange]]:
        """Yield every row that changed at or after ``since``, by a scan. Raises :class:`BadExport` as it does."""
        async for page in self.scan():
            yield [change for change in page if change.changed_at >= since]

    async def _pages(self) -> AsyncIterator[list[RowChange]]:
        page: list[RowChange] = []
        for item in self._export.items():
            change = _change(item)
            if change is None:
                continue
            page.append(change)
            if len(page) == PAGE_CHANGES:
                yield page
                page = []
                await asyncio.sleep(0)
        yield page


def reached(position: Position) -> int:
    """Return the Unix microseconds up to which a lake at ``position`` has every change that was committed."""
    return int(position.mark[_UNTIL]) if isinstance(position.mark, dict) else position.order


def table_id_of(position: Position) -> str | None:
    """Return the id of the table whose export made the position; None if no export did."""
    return str(position.mark[_TABLE]) if isinstance(position.mark, dict) else None


def _change(item: Any) -> RowChange | None:
    try:
        found = item_row(item)
    except (KeyError, ValueError, TypeError) as error:
        raise BadExport(f"the export: must have the records of a payments table; got {error!r}") from error
    if found is None:
        return None
    schema, key, row = found
    version = int(item.get("version", {"N": "0"})["N"])
    return RowChange(schema, key, row, row[schema.position(schema.change_time)], version=version)
