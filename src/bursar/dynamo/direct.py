"""The direct door: whole items in and out, for a caller in this process that holds what it writes.

    swap    (old, new) pairs: every ``old`` is what is there ─┬─ yes ─► every ``new`` is there instead, durable
                                                              └─ no  ─► Unswapped, nothing is written
    get, partition                                     what is there now

An item is compared as a whole, so there is no expression to build, send, parse and bind; the rows, the guards, the
bounds on items and keys, the indexes, the streams and the shared commit are those of every other door. It is a short
cut and no other truth: who hears ``Unswapped`` asks the API, which tells what stands in the way.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson

from bursar.dynamo.core import Core, Refused, Write, check_size
from bursar.dynamo.engine import Engine
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.intake import taken_in
from bursar.dynamo.keys import after_prefix, encode_key_value
from bursar.dynamo.operations import Operation
from bursar.dynamo.operations.pages import ROWS_UNLIMITED
from bursar.dynamo.operations.shapes import Request
from bursar.dynamo.operations.transactions import ACTIONS_MAX
from bursar.dynamo.rows import Span
from bursar.dynamo.schema import Table
from bursar.dynamo.values import TOO_LARGE, Item, item_size

Whole = Mapping[str, Any]
"""An item, or a key, in DynamoDB JSON."""
Swap = tuple[Whole | None, Whole | None]
"""(old, new): None is for no item."""
NOT_AS_READ = "an item is not as it was read"
Writing = Callable[[Operation, Mapping[str, Any]], Awaitable[bytes]]


class Unswapped(DynamoError):
    """An item is not as the caller holds it, or a guard refuses, or the table's rules are not those counted on."""

    def __init__(self, message: str) -> None:
        super().__init__("ConditionalCheckFailedException", message)


class DirectDoor(Protocol):
    """What a caller in the same process may ask; every answer is of committed items."""

    async def get(self, table: str, key: Whole) -> Item | None:
        """The item at ``key``, or None. Raises ``DynamoError``."""

    async def partition(self, table: str, value: Whole) -> list[Item]:
        """Every item with partition key ``value`` (``{"S": …}``), in the sort key's order. Raises ``DynamoError``."""

    async def swap(self, table: str, swaps: Sequence[Swap], rules: str) -> None:
        """Writes all of ``swaps`` (at most 100, no key twice), or none.

        ``rules`` is the document under which the table must stand: its guard judges what is written. Raises
        :class:`Unswapped`; ``DynamoError`` for what the API refuses of items and keys, and InternalServerError.
        """


class Direct:
    """The :class:`DirectDoor` of an engine in this process."""

    def __init__(self, engine: Engine, write: Writing) -> None:
        """``write`` carries out a writing operation on ``engine``, with others in one commit or alone."""
        self._engine = engine
        self._write = write

    async def get(self, table: str, key: Whole) -> Item | None:
        """See :class:`DirectDoor`."""
        return self._engine.look(lambda core: _get(core.table(table), key))

    async def partition(self, table: str, value: Whole) -> list[Item]:
        """See :class:`DirectDoor`."""
        return self._engine.look(lambda core: _partition(core.table(table), value))

    async def swap(self, table: str, swaps: Sequence[Swap], rules: str) -> None:
        """See :class:`DirectDoor`."""
        await self._write(SWAP, {"TableName": table, "Swaps": swaps, "Rules": rules})


def _get(table: Table, key: Whole) -> Item | None:
    row = table.rows.get(table.key_of(key)[1])
    return None if row is None else orjson.loads(row[2])


def _partition(table: Table, value: Whole) -> list[Item]:
    prefix = encode_key_value(dict(value))
    span = Span(prefix, True, after_prefix(prefix))
    return [orjson.loads(item) for _, item in table.rows.span(span, forward=True, limit=ROWS_UNLIMITED)]


def _swap(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    table = core.table(request["TableName"])
    if table.rules != request["Rules"]:
        raise Unswapped("the table does not stand under these rules")
    swaps: Sequence[Swap] = request["Swaps"]
    writes = [_write(table, old, new) for old, new in swaps]
    if len({write.key for write in writes}) != len(writes) or len(writes) > ACTIONS_MAX:
        raise Unswapped(f"swaps are of at most {ACTIONS_MAX} items, each once")
    try:
        core.apply(writes)
    except Refused as refused:
        raise Unswapped(refused.message) from None
    return {}


def _write(table: Table, old: Whole | None, new: Whole | None) -> Write:
    """The write that makes ``new`` of ``old``. Raises :class:`Unswapped` when ``old`` is not what is there."""
    item: Item = dict(new or old or {})
    key = table.key_of_item(item)
    row = table.rows.get(key)
    if row is None or old is None:
        if row is not None or old is not None:
            raise Unswapped(NOT_AS_READ)
        item, size = taken_in(item)
        check_size(size, TOO_LARGE)
        table.check_index_keys(item)
        return Write(table, key, None, None, item, size)
    if not _is_stored_as(old, row[2]):
        raise Unswapped(NOT_AS_READ)
    there: Item = dict(old)
    if new is None:
        return Write(table, key, row, there, None)
    # What is as in the stored item is valid and canonical already, and measured.
    changed = {name: value for name, value in item.items() if there.get(name) != value}
    gone = there.keys() - item.keys() | there.keys() & changed.keys()
    taken, taken_bytes = taken_in(changed)
    if taken is not changed:
        item.update(taken)
    size = row[1] + taken_bytes - item_size({name: there[name] for name in gone})
    check_size(size, TOO_LARGE)
    table.check_index_keys(taken)
    return Write(table, key, row, there, item, size)


def _is_stored_as(item: Whole, stored: bytes) -> bool:
    """Whether ``stored`` is ``item``: nearly always it is so byte by byte, which is found out without decoding it."""
    try:
        if orjson.dumps(item) == stored:
            return True
    except TypeError:  # what JSON cannot hold was never stored
        return False
    return bool(orjson.loads(stored) == item)


SWAP = Operation(Request({}), _swap, writes=True)
"""Not of DynamoDB's API: no name leads to it, only :meth:`Direct.swap`."""
