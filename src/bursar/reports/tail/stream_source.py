"""Changes of an embedded store, by the engine's change stream: complete, in commit order, independent of clocks."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

import orjson

from bursar.reports.lake.fast_columns import columns_of
from bursar.reports.lake.fast_rows import item_row
from bursar.reports.lake.position import Position
from bursar.reports.lake.schema import PAYMENTS
from bursar.reports.tail.scan import scan_table
from bursar.reports.tail.sources import FOUND_ORDER, ChangePage, FoundPage, RowChange, SourceLost

if TYPE_CHECKING:
    from bursar.dynamo import AsyncEngine
    from bursar.dynamo.engine.change_feed import ChangedItem, ChangeFeed, FeedPosition
    from bursar.dynamo.engine.stored_items import ItemPage

PAGE_CHANGES: Final = 1_000
PAGE_BYTES_MAX: Final = 2 << 20
"""The bytes of items that are converted at once. Between two pages, the event loop of this process runs other work."""
SOURCE: Final = "stream"


class StreamSource:
    """The changes of ``table`` in an embedded store."""

    is_ordered: Final = True

    def __init__(self, store: "AsyncEngine", table: str) -> None:
        self._store = store
        self._table = table
        self._feed_of_table: ChangeFeed | None = None

    async def position(self) -> Position:
        """Return the position after the last committed change."""
        return _position(self._feed().position())

    def accepts(self, position: Position) -> bool:
        """Return whether the stream still has the changes since ``position``."""
        from bursar.dynamo.engine import change_feed

        if position.source != SOURCE:
            return False
        try:
            self._feed().since(_feed_position(position), 1)
        except change_feed.PositionLost:
            return False
        return True

    async def changes(self, position: Position) -> AsyncIterator[ChangePage]:
        """Yield every committed change since ``position``. Raises :class:`SourceLost`."""
        from bursar.dynamo.engine import change_feed

        feed, at = self._feed(), _feed_position(position)
        while True:
            try:
                items, after = feed.since(at, PAGE_CHANGES)
            except change_feed.PositionLost as error:
                raise SourceLost(str(error)) from error
            if after == at:
                return
            yield ChangePage([change for item in items for change in _change(item)], _position(after))
            at = after
            await asyncio.sleep(0)

    def scan(self, *, consistent: bool = True) -> AsyncIterator[Sequence[RowChange]]:
        """Yield every row of the table. In this process every read is consistent."""
        return scan_table(self._store, self._table, lambda schema, row: FOUND_ORDER)

    async def changed_since(self, since: int) -> AsyncIterator[Sequence[RowChange]]:
        """Yield every row that changed at or after ``since``, by a scan, which costs little in this process."""
        async for page in self.scan():
            yield [change for change in page if change.changed_at >= since]

    async def scan_columns(self) -> AsyncIterator[FoundPage]:
        """Yield every row of the table, in the order in which the items were inserted.

        The rows of a table with one page are not Arrow: loading its functions takes longer than making the rows.
        """
        from bursar.dynamo.engine.stored_items import BEFORE_ALL

        page, pages = self._items_after(BEFORE_ALL), 0
        while page is not None:
            following, pages = self._items_after(page.last), pages + 1
            yield _few_rows(page.items) if pages == 1 and following is None else _many_rows(page.items)
            page = following
            await asyncio.sleep(0)

    def _items_after(self, row_id: int) -> "ItemPage | None":
        from bursar.dynamo.engine.stored_items import stored_items

        return stored_items(self._store.engine, self._table, row_id, PAGE_BYTES_MAX)

    def _feed(self) -> "ChangeFeed":
        from bursar.dynamo.engine.change_feed import ChangeFeed

        if self._feed_of_table is None:
            self._feed_of_table = ChangeFeed(self._store.engine, self._table)
        return self._feed_of_table


def _few_rows(items: Sequence[bytes]) -> FoundPage:
    found = (item_row(orjson.loads(item)) for item in items)
    return FoundPage({}, [RowChange(*each, order=FOUND_ORDER) for each in found if each is not None])


def _many_rows(items: Sequence[bytes]) -> FoundPage:
    found = columns_of(items)
    return FoundPage(found.finals, [RowChange(PAYMENTS, row[:1], row, FOUND_ORDER) for row in found.live])


def _change(item: "ChangedItem") -> list[RowChange]:
    found = item_row(item.item)
    return [] if found is None else [RowChange(*found, order=item.sequence, inserted=item.inserted)]


def _position(at: "FeedPosition") -> Position:
    return Position(SOURCE, at.sequence + 1, [at.label, at.recorded_at])


def _feed_position(position: Position) -> "FeedPosition":
    from bursar.dynamo.engine.change_feed import FeedPosition

    label, recorded_at = position.mark
    return FeedPosition(str(label), position.order - 1, recorded_at)
