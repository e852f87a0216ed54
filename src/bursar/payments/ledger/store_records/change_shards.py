"""The shards of the indexes ``changes`` and ``due``: how many there are, which holds an entry, and one order of all.

    key of an hour   shard 0   2026-11-22T19      all entries, while the index has one shard
                     shard k   2026-11-22T19#k

All entries of an obligation are in one shard, which a hash of its partition key names. The number of shards is in the
table, and by :mod:`bursar.payments.rules` it never decreases:

    kind           pk      sk
    change-shards  store   change-shards#<shards, 3 digits>

A writer uses the number that it read at its start. A reader reads it before each pass, strongly consistent. So a reader
knows at least as many shards as any writer whose write was acknowledged before the pass.

The index ``due`` has as many shards, but at least ``DUE_SHARDS``. A number above that is itself an entry of the index,
in shard 0, before all attempts: a reader gets it with the attempts of this shard, and then reads the other shards. So a
table whose number was never raised costs no request more. A live attempt stays in the shard of its first write.
"""

import asyncio
import zlib
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from bursar.clock import iso_ms
from bursar.dynamo.items.attribute_values import Item
from bursar.payments.errors import LedgerBusy
from bursar.payments.ledger.store_records.move_state import PARTITION
from bursar.payments.records import DUE_SHARDS
from bursar.rules import Contention, Put, RuledTable, RuleRefused
from bursar.rules.language.writes import LogicalWrite

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store

CHANGE_SHARDS: Final = "change-shards"
"""The ``kind`` of the items that hold the number of shards, and the beginning of their sort keys."""
SHARDS: Final = "shards"
"""The attribute with the number."""
CHANGE_SHARDS_MAX: Final = 128
COUNTS_SHARD: Final = "0"
"""The shard of the index ``due`` that has the numbers of its shards."""
SHARDS_AT_ONCE_MAX: Final = 16
"""The most shards that one reader queries concurrently."""
MERGED_ITEMS_MAX: Final = 8_192
"""The most entries of all shards together that one merge keeps, but at least ``SHARD_ITEMS_MIN`` of each shard."""
SHARD_ITEMS_MIN: Final = 100


class ShardedTable(RuledTable):
    """A payments table whose new entries of the index ``changes`` spread over ``shards`` shards.

    New attempts spread over ``due_shards`` shards of the index ``due``.
    """

    shards: int = 1
    due_shards: int = DUE_SHARDS

    async def write(self, writes: Sequence[LogicalWrite], token: str | None = None) -> None:
        """Write all of ``writes``, or none, each new entry in its shard. Raises as :meth:`RuledTable.write`."""
        await super().write(writes if self.shards == 1 else [_in_shard(each, self.shards) for each in writes], token)


class ChangeShards:
    """The number of shards of one payments table."""

    def __init__(self, ruled: ShardedTable) -> None:
        self._ruled = ruled

    async def counts(self) -> tuple[int, ...]:
        """Return every number of shards that the index had, ascending; the last one is the present number.

        Sends one strongly consistent Query.
        """
        return counts_of(await self._ruled.partition({"S": PARTITION}, f"{CHANGE_SHARDS}#"))

    async def learn(self) -> None:
        """Make this process write to all shards that the indexes have now."""
        items = await self._ruled.partition({"S": PARTITION}, f"{CHANGE_SHARDS}#")
        self._ruled.shards = counts_of(items)[-1]
        self._ruled.due_shards = due_shards_of(item for item in items if "dueShard" in item)

    async def raise_to(self, shards: int, *, by: str) -> None:
        """Raise the number of shards, for writers that start later. ``by`` is the person who decides.

        Raises ``ValueError`` unless ``shards`` is above the present number and at most ``CHANGE_SHARDS_MAX``, and
        ``LedgerBusy``.
        """
        present = (await self.counts())[-1]
        if not present < shards <= CHANGE_SHARDS_MAX:
            raise ValueError(f"shards: must be from {present + 1} to {CHANGE_SHARDS_MAX}; got {shards}")
        item: Item = {
            "pk": {"S": PARTITION},
            "sk": {"S": f"{CHANGE_SHARDS}#{shards:03d}"},
            "kind": {"S": CHANGE_SHARDS},
            SHARDS: {"N": str(shards)},
            "raisedBy": {"S": by},
            "raisedAt": {"S": iso_ms(self._ruled.now())},
        }
        if shards > DUE_SHARDS:
            item |= {"dueShard": {"S": COUNTS_SHARD}, "dueAt": {"S": iso_ms(0)}}
        try:
            await self._ruled.write([Put(item)])
        except (Contention, RuleRefused) as refusal:  # another person raises it to the same number now
            raise LedgerBusy(str(refusal)) from refusal


def counts_of(items: Iterable[Item]) -> tuple[int, ...]:
    """Return 1 and the numbers of shards in ``items``, ascending."""
    return (1, *sorted(int(item[SHARDS]["N"]) for item in items if item["kind"] == {"S": CHANGE_SHARDS}))


def is_count(entry: Item) -> bool:
    """Return whether an entry of the index ``due`` is a number of shards, and no attempt."""
    return bool(entry["pk"]["S"] == PARTITION)


def due_shards_of(entries: Iterable[Item]) -> int:
    """Return the number of shards of the index ``due``, of which ``entries`` are the numbers, or their keys alone."""
    return max((int(entry["sk"]["S"].rpartition("#")[2]) for entry in entries), default=DUE_SHARDS)


def bucket_of(hour: str, shard: int) -> str:
    """Return the partition key of ``shard`` in the UTC hour ``hour`` (``2026-11-22T19``)."""
    return f"{hour}#{shard}" if shard else hour


def shard_of(partition: str, shards: int) -> int:
    """Return the shard of the entries of an obligation with this partition key, among ``shards``."""
    return zlib.crc32(partition.encode()) % shards


async def merged_pages(store: "Store", request: Mapping[str, Any], hour: str, shards: int) -> AsyncIterator[list[Item]]:
    """Yield the entries of one UTC hour page by page, in order of time over all shards.

    ``request`` is the Query of the index; its value ``:bucket`` is set for each shard.
    """
    if shards > 1:
        request = {**request, "Limit": max(SHARD_ITEMS_MIN, MERGED_ITEMS_MAX // shards)}
    reads = [_ShardRead(store, request, bucket_of(hour, shard)) for shard in range(shards)]
    while True:
        while empty := [each for each in reads if each.has_more and not each.items]:
            for first in range(0, len(empty), SHARDS_AT_ONCE_MAX):
                await asyncio.gather(*(each.read() for each in empty[first : first + SHARDS_AT_ONCE_MAX]))
        # The next entry of a shard comes after its last one here, so everything up to the earliest of these is known.
        until = min((_changed_at(each.items[-1]) for each in reads if each.has_more), default=None)
        page = [item for each in reads for item in each.take(until)]
        yield page if shards == 1 else sorted(page, key=_changed_at)
        if until is None:
            return


class _ShardRead:
    """The entries of one shard of an hour that were read but not yielded yet."""

    def __init__(self, store: "Store", request: Mapping[str, Any], bucket: str) -> None:
        values = {**request["ExpressionAttributeValues"], ":bucket": {"S": bucket}}
        self._store = store
        self._request: dict[str, Any] = {**request, "ExpressionAttributeValues": values}
        self.items: list[Item] = []
        self.has_more = True

    async def read(self) -> None:
        """Read the next page."""
        reply = await self._store.call("Query", self._request)
        self.items = reply["Items"]
        self.has_more = "LastEvaluatedKey" in reply
        if self.has_more:
            self._request["ExclusiveStartKey"] = reply["LastEvaluatedKey"]

    def take(self, until: str | None) -> list[Item]:
        """Remove and return the entries up to ``until``; all of them for None."""
        end = len(self.items) if until is None else bisect_right(self.items, until, key=_changed_at)
        taken, self.items = self.items[:end], self.items[end:]
        return taken


def _in_shard(write: LogicalWrite, shards: int) -> LogicalWrite:
    if not isinstance(write, Put) or "changeBucket" not in write.item:
        return write
    item = write.item
    shard = shard_of(item["pk"]["S"], shards)
    return replace(write, item={**item, "changeBucket": {"S": bucket_of(item["changeBucket"]["S"], shard)}})


def _changed_at(item: Item) -> str:
    at: str = item["changedAt"]["S"]
    return at
