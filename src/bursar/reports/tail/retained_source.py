"""A source of changes without the rows that the lake does not keep.

The build, the writer and the verification use it, so they agree.
"""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from bursar.clock import Clock
from bursar.reports.lake.position import Position
from bursar.reports.lake.retention import FirstDays, Retention, is_kept
from bursar.reports.lake.schema import TableSchema, table_named
from bursar.reports.tail.sources import ChangePage, ChangeSource, FoundPage, RowChange

if TYPE_CHECKING:
    import pyarrow as pa


class RetainedSource:
    """The rows of ``source`` that ``retention`` keeps at the time of each call."""

    def __init__(self, source: ChangeSource, retention: Retention, clock: Clock) -> None:
        self._source = source
        self._retention = retention
        self._clock = clock

    @property
    def is_ordered(self) -> bool:
        """Whether a change that becomes visible is after all that were visible before."""
        return self._source.is_ordered

    async def position(self) -> Position:
        """See :meth:`bursar.reports.tail.sources.ChangeSource.position`."""
        return await self._source.position()

    def accepts(self, position: Position) -> bool:
        """Return whether :meth:`changes` can continue at this position."""
        return self._source.accepts(position)

    async def changes(self, position: Position) -> AsyncIterator[ChangePage]:
        """Yield every change of a kept row since ``position``. Raises as the source."""
        first = self._retention.first_days(self._clock())
        async for page in self._source.changes(position):
            yield page._replace(changes=_kept(page.changes, first))

    async def scan(self, *, consistent: bool = True) -> AsyncIterator[Sequence[RowChange]]:
        """Yield every kept row of the store."""
        first = self._retention.first_days(self._clock())
        async for page in self._source.scan(consistent=consistent):
            yield _kept(page, first)

    async def changed_since(self, since: int) -> AsyncIterator[Sequence[RowChange]]:
        """Yield every kept row that changed at or after ``since`` (Unix microseconds)."""
        first = self._retention.first_days(self._clock())
        async for page in self._source.changed_since(since):
            yield _kept(page, first)

    def scan_columns(self) -> AsyncIterator[FoundPage] | None:
        """Return every kept row of the store as Arrow; None if the source cannot."""
        pages = self._source.scan_columns()
        return None if pages is None else _kept_pages(pages, self._retention.first_days(self._clock()))


def _kept(changes: Sequence[RowChange], first: FirstDays) -> Sequence[RowChange]:
    return [change for change in changes if is_kept(change.schema, change.row, first)]


async def _kept_pages(pages: AsyncIterator[FoundPage], first: FirstDays) -> AsyncIterator[FoundPage]:
    async for page in pages:
        finals = {name: _kept_rows(table_named(name), rows, first) for name, rows in page.finals.items()}
        yield FoundPage(finals, _kept(page.others, first))


def _kept_rows(schema: TableSchema, rows: "pa.Table", first: FirstDays) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc

    return rows.filter(pc.greater_equal(rows[schema.partition_day], pa.scalar(first[schema.name], pa.date32())))
