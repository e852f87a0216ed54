"""Swaps of whole items, for a caller in this process that holds the items that it writes.

    swap    (old, new) pairs: is every ``old`` the stored item? ─┬─ yes ─► every ``new`` is stored, durable
                                                                 └─ no  ─► Unswapped, nothing is written
    get, partition                                               the stored items

A swap compares whole items, so there is no expression to build, send, parse and bind. Rows, guards, limits of items and
keys, indexes, streams and the shared commit are the same as for the API. This is only an optimisation. On
``Unswapped``, repeat the write through the API: its error gives the reason.

Everything that follows from ``old`` and ``new`` alone is computed before the write lock is taken, so that other
processes do not wait for it: keys, sizes, bytes, and the part of the guard's judgement that needs only the changes. It
holds if ``old`` is stored and the table's definition is unchanged, which is checked under the lock. An ``old`` of None
is not looked up, since the item is nearly always new: the insertion fails if an item exists. Then the whole group is
undone, and each of its requests runs in a separate transaction.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import apsw
import orjson

from bursar.dynamo.core.catalogue import Core, GuardRefused, check_size
from bursar.dynamo.core.guards import Change, Refusal, TableCheck
from bursar.dynamo.engine.engine import Engine
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.items.attribute_values import TOO_LARGE, Item, item_size
from bursar.dynamo.items.fast_normalise import normalise_and_measure
from bursar.dynamo.items.key_encoding import after_prefix, encode_key_prefix, encode_key_value
from bursar.dynamo.operations.data_plane.read_pages import ROWS_UNLIMITED
from bursar.dynamo.operations.data_plane.transactions import ACTIONS_MAX
from bursar.dynamo.operations.dispatch import Operation
from bursar.dynamo.operations.requests.shapes import Request
from bursar.dynamo.storage.rows import Span
from bursar.dynamo.storage.table import ItemWrite, Table

WholeItem = Mapping[str, Any]
"""An item, or a key, in DynamoDB JSON."""
Swap = tuple[WholeItem | None, WholeItem | None]
"""(old, new): ``old`` as it was read; None means no item."""
NOT_AS_READ = "an item has changed since it was read"
WriteFunction = Callable[[Operation, Mapping[str, Any]], Awaitable[bytes]]


class Unswapped(DynamoError):
    """An item differs from the caller's, a guard refuses, or the table has other rules than the caller's."""

    def __init__(self, message: str) -> None:
        super().__init__("ConditionalCheckFailedException", message)


class _ItemExists(Exception):
    """An item exists where ``old`` is None, and part of the swap is written: the transaction must be undone."""


class CompareAndSwap(Protocol):
    """The port for a caller in the same process; every answer consists of committed items."""

    async def get(self, table: str, key: WholeItem) -> Item | None:
        """Return the item at ``key``, or None. Raises ``DynamoError``."""

    async def partition(self, table: str, value: WholeItem, begins: str = "") -> list[Item]:
        """Return every item with partition key ``value`` (``{"S": …}``), in the sort key's order.

        With ``begins``, only those whose sort key, a string, begins with it. Raises ``DynamoError``.
        """

    async def swap(self, table: str, swaps: Sequence[Swap], rules: str) -> None:
        """Write all of ``swaps`` (no key twice) and the guard's additions (at most 100 items together), or none.

        ``rules`` is the rules document that the table must have: its guard judges the writes. Raises
        :class:`Unswapped`, and ``DynamoError`` for invalid items and keys and as InternalServerError.
        """


class EngineCompareAndSwap:
    """The :class:`CompareAndSwap` of an engine in this process."""

    def __init__(self, engine: Engine, write: WriteFunction) -> None:
        """Use ``write`` to carry out a writing operation on ``engine``, in a shared commit or alone."""
        self._engine = engine
        self._write = write

    async def get(self, table: str, key: WholeItem) -> Item | None:
        """See :class:`CompareAndSwap`."""
        return self._engine.read_committed(lambda core: _get(core.table(table), key))

    async def partition(self, table: str, value: WholeItem, begins: str = "") -> list[Item]:
        """See :class:`CompareAndSwap`."""
        return self._engine.read_committed(lambda core: _partition(core.table(table), value, begins))

    async def swap(self, table: str, swaps: Sequence[Swap], rules: str) -> None:
        """See :class:`CompareAndSwap`."""
        plan = self._engine.read_committed(lambda core: _plan_swaps(core, table, swaps, rules))
        try:
            await self._write(SWAP, {"TableName": table, "Plan": plan})
        except _ItemExists:
            raise Unswapped(NOT_AS_READ) from None


def _get(table: Table, key: WholeItem) -> Item | None:
    row = table.rows.get(table.encoded_key(key))
    return None if row is None else orjson.loads(row[2])


def _partition(table: Table, value: WholeItem, begins: str) -> list[Item]:
    partition_value: Any = dict(value)
    prefix = encode_key_value(partition_value)
    if begins:
        prefix += encode_key_prefix({"S": begins})
    span = Span(prefix, True, after_prefix(prefix))
    return [orjson.loads(item) for _, item in table.rows.span(span, forward=True, limit=ROWS_UNLIMITED)]


class _PreparedSwap(NamedTuple):
    """A swap with everything that is computed before the write lock is taken."""

    key: bytes
    old: Item | None
    stored: bytes
    """``old`` as it is stored, but for the order of its attributes."""
    new: Item | None
    body: bytes
    """``new`` as it will be stored."""
    bytes_more: int
    """The size of ``new``; if there is an ``old``, the difference to its size."""
    unlike: Collection[str] | None = None
    """The attributes in which ``old`` and ``new`` differ as JSON; None if one of the two is None."""


class _SwapPlan(NamedTuple):
    """All swaps of one call, for a table as the catalogue defines it in ``version``."""

    version: int
    swaps: Sequence[_PreparedSwap]
    table_check: TableCheck


def _plan_swaps(core: Core, name: str, swaps: Sequence[Swap], rules: str) -> _SwapPlan:
    table = core.table(name)
    if table.rules != rules:
        raise Unswapped("the table has other rules")
    prepared = [_prepare(table, old, new) for old, new in swaps]
    changes = [
        Change(table.name, table.key_item(one.new or one.old or {}), one.old, one.new, one.unlike) for one in prepared
    ]
    judged = core.guard(rules).judge_swap(changes)
    if isinstance(judged, Refusal):
        raise Unswapped(judged.message)
    prepared += [_prepare(table, added.old, added.new) for added in judged.added]
    if len({one.key for one in prepared}) != len(prepared) or len(prepared) > ACTIONS_MAX:
        raise Unswapped(f"swaps: must be of at most {ACTIONS_MAX} different items; got {len(prepared)} swaps")
    return _SwapPlan(core.version, prepared, judged.table_check)


def _prepare(table: Table, old: WholeItem | None, new: WholeItem | None) -> _PreparedSwap:
    item: Item = dict(new or old or {})
    key = table.key_of_item(item)
    try:
        stored = b"" if old is None else orjson.dumps(old)
    except TypeError:  # a value that JSON cannot hold was never stored
        raise Unswapped(NOT_AS_READ) from None
    if new is None:
        return _PreparedSwap(key, item, stored, None, b"", 0)
    if old is None:
        item, size = normalise_and_measure(item)
        check_size(size, TOO_LARGE)
        table.check_index_keys(item)
        return _PreparedSwap(key, None, stored, item, orjson.dumps(item), size)
    old_item: Item = dict(old)
    # Attributes that equal the stored ones are valid, canonical and measured already.
    changed = {name: value for name, value in item.items() if old_item.get(name) != value}
    removed = old_item.keys() - item.keys()
    replaced = old_item.keys() & changed.keys()
    canonical_changes, changed_bytes = normalise_and_measure(changed)
    if canonical_changes is not changed:
        item.update(canonical_changes)
    table.check_index_keys(canonical_changes)
    bytes_more = changed_bytes - item_size({name: old_item[name] for name in removed | replaced})
    return _PreparedSwap(key, old_item, stored, item, orjson.dumps(item), bytes_more, removed | changed.keys())


def _swap(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    plan: _SwapPlan = request["Plan"]
    if plan.version != core.version:
        raise Unswapped("a table's definition has changed")
    table = core.table(request["TableName"])
    try:
        core.apply([_write(table, one) for one in plan.swaps], plan.table_check)
    except GuardRefused as refused:
        raise Unswapped(refused.message) from None
    except apsw.ConstraintError as error:
        raise _ItemExists from error
    return {}


def _write(table: Table, one: _PreparedSwap) -> ItemWrite:
    """Return the write that replaces ``old`` by ``new``. Raises :class:`Unswapped` when ``old`` is not stored."""
    if one.old is None:
        return ItemWrite(table, one.key, None, None, one.new, one.bytes_more, one.body)
    row = table.rows.get(one.key)
    if row is None:
        raise Unswapped(NOT_AS_READ)
    if one.stored != row[2] and orjson.loads(row[2]) != one.old:
        raise Unswapped(NOT_AS_READ)
    if one.new is None:
        return ItemWrite(table, one.key, row, one.old, None)
    size = row[1] + one.bytes_more
    check_size(size, TOO_LARGE)
    return ItemWrite(table, one.key, row, one.old, one.new, size, one.body)


SWAP = Operation(Request({}), _swap, writes=True)
"""Not in DynamoDB's API: no name leads to it, only :meth:`EngineCompareAndSwap.swap`."""
