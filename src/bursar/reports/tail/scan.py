"""Read the rows of a whole table by scans."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from bursar.reports.lake.fast_rows import item_row
from bursar.reports.lake.rows import TableRow, arrow_table
from bursar.reports.lake.schema import TableSchema, table_named
from bursar.reports.tail.sources import ChangeSource, FoundPage, RowChange

if TYPE_CHECKING:
    from bursar.dynamo import Store

PAGE_ITEMS: Final = 500
"""The items of one page. Between two pages, the event loop of this process runs other work."""


async def found_pages(source: ChangeSource, below: int) -> AsyncIterator[FoundPage]:
    """Yield every row of the source, the final ones with an order before ``below`` as Arrow.

    The store's errors are raised.
    """
    columns = source.scan_columns()
    if columns is not None:
        async for found in columns:
            yield found
        return
    async for page in source.scan():
        yield _as_columns(page, below)


def _as_columns(page: Sequence[RowChange], below: int) -> FoundPage:
    finals: dict[str, list[TableRow]] = {}
    others = []
    for change in page:
        if change.order < below and not change.schema.is_live(change.row):
            finals.setdefault(change.schema.name, []).append(change.row)
        else:
            others.append(change)
    return FoundPage({name: arrow_table(table_named(name), rows) for name, rows in finals.items()}, others)


async def scan_table(
    store: "Store", table: str, order_of: Callable[[TableSchema, TableRow], int], *, consistent: bool = True
) -> AsyncIterator[Sequence[RowChange]]:
    """Yield the rows of ``table``, page by page, each with its ``order_of``. The store's errors are raised.

    The scans are strongly ``consistent`` or eventually. Source of the latter's half price: Developer Guide, "DynamoDB
    read consistency".
    """
    request: dict[str, Any] = {"TableName": table, "ConsistentRead": consistent, "Limit": PAGE_ITEMS}
    while True:
        reply = await store.call("Scan", request)
        found = (item_row(item) for item in reply["Items"])
        yield [RowChange(*row, order=order_of(row[0], row[2])) for row in found if row is not None]
        if "LastEvaluatedKey" not in reply:
            return
        request["ExclusiveStartKey"] = reply["LastEvaluatedKey"]
        await asyncio.sleep(0)
