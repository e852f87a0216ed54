"""Swaps of whole items, for a caller in this process that has the previous state of the items that it writes.

    swap    (old, new) pairs: is every ``old`` the stored item? ─┬─ yes ─► every ``new`` is stored, durable
                                                                 └─ no  ─► Unswapped, nothing is written
    get, partition                                               the stored items

A swap compares whole items, so there is no expression to build, send, parse and bind. Rows, guards, limits of items and
keys, indexes, streams and the shared commit are the same as for the API. This is only an optimisation. On
``Unswapped``, repeat the write through the API: its error gives the reason.

Keys, sizes, bytes and the part of the guard's judgement that needs only the changes are computed before the write lock
is taken, so that other processes do not wait for them. It holds if ``old`` is stored and the table's definition is
unchanged, which is checked under the lock. If ``old`` is None, the item is not looked up, since it is nearly always
new: the insertion fails if an item exists. Then the whole group of writes is undone, and each of its requests runs in a
separate transaction.
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
from bursar.dynamo.regions import RegionDifference
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
    """An item exists although ``old`` is None. Part of the swap is written, so the transaction must be undone."""


class CompareAndSwap(Protocol):
    """The port for a caller in the same process; every answer has committed items only."""

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
        """Create the port. ``write`` carries out a writing operation on ``engine``, in a shared commit or alone."""
        self._engine = engine
        self._write = write

    async def get(self, table: str, key: WholeItem) -> Item | None:
        """See :class:`CompareAndSwap`."""
        return self._engine.read_committed(_get, table, key)

    async def partition(self, table: str, value: WholeItem, begins: str = "") -> list[Item]:
        """See :class:`CompareAndSwap`."""
        return self._engine.read_committed(_partition, table, value, begins)

    async def swap(self, table: str, swaps: Sequence[Swap], rules: str) -> None:
        """See :class:`CompareAndSwap`."""
        plan = self._engine.read_committed(_plan_swaps, table, swaps, rules)
        try:
            await self._write(SWAP, {"Plan": plan})
        except _ItemExists:
            raise Unswapped(NOT_AS_READ) from None


def _get(core: Core, name: str, key: WholeItem) -> Item | None:
    table = core.table(name)
    row = table.rows.get(table.encoded_key(key))
    return None if row is None else orjson.loads(row[2])


def _partition(core: Core, name: str, value: WholeItem, begins: str) -> list[Item]:
    partition_value: Any = dict(value)
    prefix = encode_key_value(partition_value)
    if begins:
        prefix += encode_key_prefix({"S": begins})
    span = Span(prefix, True, after_prefix(prefix))
    rows = core.table(name).rows.span(span, forward=True, limit=ROWS_UNLIMITED)
    return [orjson.loads(item) for _, item in rows]


class _PlannedWrite(ItemWrite):
    """A write with everything that is computed before the write lock is taken; its row is read under the lock."""

    __slots__ = ("bytes_more", "stored", "unlike")

    stored: bytes
    """The old item as it is stored, except for the order of its attributes; empty if there must be no item."""
    bytes_more: int
    """The size of ``new`` less that of the old item, if both exist."""
    unlike: Collection[str] | None
    """The attributes in which the two differ as JSON; None if one of the two is None."""


class _SwapPlan(NamedTuple):
    """All swaps of one call, for a table as the catalogue defines it in ``version``."""

    version: int
    writes: Sequence[_PlannedWrite]
    table_check: TableCheck


def _plan_swaps(core: Core, name: str, swaps: Sequence[Swap], rules: str) -> _SwapPlan:
    table = core.table(name)
    if table.rules != rules:
        raise Unswapped("the table has other rules")
    planned: list[_PlannedWrite] = []
    changes: list[Change] = []
    for stored, new in swaps:
        old: Item | None = None if stored is None else dict(stored)
        write = _plan(table, old, new)
        planned.append(write)
        changes.append(Change(table.name, write.key_item, old, write.new, write.unlike))
    judged = core.guard(rules).judge_swap(changes)
    if isinstance(judged, Refusal):
        raise Unswapped(judged.message)
    planned += [_plan(table, added.old, added.new) for added in judged.added]
    if len({one.key for one in planned}) != len(planned) or len(planned) > ACTIONS_MAX:
        raise Unswapped(f"swaps: must be of at most {ACTIONS_MAX} different items; got {len(planned)} swaps")
    return _SwapPlan(core.version, planned, judged.table_check)


def _plan(table: Table, old: Item | None, new: WholeItem | None) -> _PlannedWrite:
    """Return the write that replaces ``old`` by ``new``. Raises ``DynamoError`` for an invalid item or key."""
    try:
        stored = b"" if old is None else orjson.dumps(old)
    except TypeError:  # a value that JSON cannot hold was never stored
        raise Unswapped(NOT_AS_READ) from None
    size = bytes_more = 0
    unlike: Collection[str] | None = None
    if new is None:
        key, item = table.key_of_item(old or {}), None
    elif old is None:
        item = dict(new)
        key = table.key_of_item(item)
        item, size = normalise_and_measure(item)
        check_size(size, TOO_LARGE)
        table.check_index_keys(item)
    else:
        item = dict(new)
        key = table.key_of_item(item)
        bytes_more, unlike = _normalise_changes(table, old, item)
    write = _PlannedWrite(table, key, None, old, item, size)
    write.stored, write.bytes_more, write.unlike = stored, bytes_more, unlike
    return write


def _normalise_changes(table: Table, old: Item, new: Item) -> tuple[int, Collection[str]]:
    """Normalise ``new`` in place; return by how many bytes it is larger than ``old``, and the names that differ.

    Attributes that equal the stored ones are valid, canonical and measured already.
    """
    changed = {name: value for name, value in new.items() if old.get(name) != value}
    removed = old.keys() - new.keys()
    canonical_changes, changed_bytes = normalise_and_measure(changed)
    if canonical_changes is not changed:
        new.update(canonical_changes)
    table.check_index_keys(canonical_changes)
    given_up = {name: old[name] for name in removed | (old.keys() & changed.keys())}
    return changed_bytes - item_size(given_up), removed | changed.keys()


def _swap(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    plan: _SwapPlan = request["Plan"]
    if plan.version != core.version:
        raise Unswapped("a table's definition has changed")
    for write in plan.writes:
        if write.stored:
            _read_row(write)
    try:
        core.apply(plan.writes, plan.table_check)
    except GuardRefused as refused:
        raise Unswapped(refused.message) from None
    except apsw.ConstraintError as error:
        raise _ItemExists from error
    return {}


def _read_row(write: _PlannedWrite) -> None:
    """Read the row of the old item. Raises :class:`Unswapped` when another item or none is stored."""
    row = write.table.rows.get(write.key)
    if row is None or (write.stored != row[2] and orjson.loads(row[2]) != write.old):
        raise Unswapped(NOT_AS_READ)
    write.row = row
    if write.new is not None:
        write.size = row[1] + write.bytes_more
        check_size(write.size, TOO_LARGE)


class _PlanRequest(Request):
    """The request of a swap. This module makes it, so nothing is checked."""

    def check(self, request: Any, differences: frozenset[RegionDifference] = frozenset()) -> None:
        """Accept the request."""


SWAP = Operation(_PlanRequest({}), _swap, writes=True)
"""The operation of a swap. It has no name in DynamoDB's API; only :meth:`EngineCompareAndSwap.swap` calls it."""
