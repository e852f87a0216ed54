"""Read the rows of a whole table by scans."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from bursar.reports.lake.fast_rows import item_row
from bursar.reports.lake.rows import TableRow
from bursar.reports.lake.schema import TableSchema
from bursar.reports.tail.sources import RowChange

if TYPE_CHECKING:
    from bursar.dynamo import Store

PAGE_ITEMS: Final = 500
"""The items of one page. Between two pages, the event loop of this process runs other work."""


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
