"""Copy all items of a table into another store, segment by segment, and then the items that have changed since.

Both steps write the present state of whole items, so each part may be repeated. A process that died repeats at most one
page of each segment. When no writer is left and the changes are drained, every key that changed after the copy began
has been read after its last change: the two tables are equal.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.tools.moving.changed_keys import ChangedKeys, Places
from bursar.dynamo.tools.moving.patient_store import PatientStore
from bursar.dynamo.tools.moving.side_by_side import run_at_once

DONE: Final[Item] = {}
"""The start key of a segment that is copied to its end."""

StartKeys = list[Item | None]
"""For each segment, the key after which it continues: None at the beginning, :data:`DONE` at the end."""


class TableCopy:
    """The copy of one table from one store to another."""

    def __init__(self, source: PatientStore, target: PatientStore, table: str, key_names: tuple[str, ...]) -> None:
        self._source = source
        self._target = target
        self._table = table
        self._key_names = key_names
        self._changed = ChangedKeys(source, table)

    async def copy(self, starts: StartKeys, on_page: Callable[[int], Awaitable[None]]) -> None:
        """Copy each segment from its start key on, all at once; ``starts`` moves with each page.

        ``on_page`` is awaited after each page is written, with its number of items.
        """
        await run_at_once(self._copy_segment(segment, starts, on_page) for segment in range(len(starts)))

    async def follow(self, places: Places, began_at: float, on_page: Callable[[int], Awaitable[None]]) -> int:
        """Copy the items that have changed since ``places``, up to now; return the number of keys.

        Raises ``ChangesLost``.
        """
        copied = 0
        async for keys in self._changed.since(places, began_at):
            items = await self._source.get(self._table, keys)
            present = {self._key_of(item) for item in items}
            gone = [key for key in keys if self._key_of(key) not in present]
            await self._target.write(self._table, items, gone)
            copied += len(keys)
            await on_page(len(keys))
        return copied

    async def _copy_segment(self, segment: int, starts: StartKeys, on_page: Callable[[int], Awaitable[None]]) -> None:
        request: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True}
        request |= {"Segment": segment, "TotalSegments": len(starts)}
        while starts[segment] != DONE:
            if starts[segment] is not None:
                request["ExclusiveStartKey"] = starts[segment]
            page = await self._source.call("Scan", request)
            await self._target.write(self._table, page["Items"])
            starts[segment] = page.get("LastEvaluatedKey", DONE)
            await on_page(len(page["Items"]))

    def _key_of(self, item: Item) -> str:
        return repr([item[name] for name in self._key_names])
