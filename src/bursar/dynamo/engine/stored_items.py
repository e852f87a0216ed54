"""Read all items of a table of the embedded engine as they are stored: JSON, in the order in which they were inserted.

A row keeps its id while its item changes. So an item that exists from the first page to the last one is read exactly
once, also if others are written in between. An item that is deleted and put again in between may be read twice. This
takes less time than a Scan, because the items are in this order in the file, and none of them is decoded.
"""

from typing import Final, NamedTuple

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.engine.engine import Engine

BEFORE_ALL: Final = 0
"""The row id before that of every item."""


class ItemPage(NamedTuple):
    """Some items, and the row id of the last one."""

    items: list[bytes]
    last: int


def stored_items(engine: Engine, table: str, after: int, bytes_max: int) -> ItemPage | None:
    """Return the items with ids after ``after``, at least one and otherwise at most ``bytes_max`` bytes; None if none.

    Raises ``DynamoError`` if there is no such table, or the file cannot be read.
    """
    return engine.read_committed(lambda core: _page(core, table, after, bytes_max))


def _page(core: Core, table: str, after: int, bytes_max: int) -> ItemPage | None:
    items: list[bytes] = []
    last = size = 0
    with core.storage.snapshot():
        core.refresh()
        for row_id, item in core.table(table).rows.inserted_after(after):
            size += len(item)
            if items and size > bytes_max:
                break
            items.append(item)
            last = row_id
    return ItemPage(items, last) if items else None
