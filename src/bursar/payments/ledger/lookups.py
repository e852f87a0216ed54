"""Reads of the ledger. A read that decides anything is strongly consistent; the two indexes may be behind.

| question | requests |
|---|---|
| an obligation with its attempts (and events) | 1 Query, strongly consistent (more when it exceeds 1 MB) |
| the attempt with this token, agency or Pay.gov tracking id | 2 GetItem, strongly consistent: sentinel, attempt |
| what is due | 1 Query of the ``due`` index per shard, 8 at once; 1 BatchGetItem for each 100 attempts found |
| settled debits to ask about; open refunds | 1 Query of the ``due`` index, and the same BatchGetItem |
| when something was due | 1 Query of the ``due`` index per shard, at once |
| the reversals of an obligation | 1 Query, strongly consistent |
| the events of a time | 1 Query of the ``changes`` index per hour, in order |
| what changed | the same, and 1 Query, strongly consistent, for each obligation among the events of a page |
| which obligations have metadata | a Scan |
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from bursar.clock import from_iso_ms, iso_ms
from bursar.payments import rules
from bursar.payments.ledger.store_records.change_shards import (
    CHANGE_SHARDS_MAX,
    COUNTS_SHARD,
    SHARDS_AT_ONCE_MAX,
    ChangeShards,
    ShardedTable,
    due_shards_of,
    is_count,
    merged_pages,
)
from bursar.payments.ledger.table import CHANGES_INDEX, DUE_INDEX
from bursar.payments.obligation_view import ObligationView
from bursar.payments.records import (
    ATTEMPT,
    ATTEMPTS_BEGIN,
    DUE_SHARDS,
    EVENT,
    EVENTS_BEGIN,
    METADATA,
    OBLIGATION,
    RETURNS_SHARD,
    Attempt,
    Event,
    Item,
    Obligation,
    attempt_from_item,
    attempt_key,
    change_bucket,
    event_from_item,
    from_item,
    item_key,
    obligation_from_item,
    obligation_of,
    partition_key,
)
from bursar.payments.reversals import (
    REFUNDS_SHARD,
    REVERSAL,
    REVERSALS_BEGIN,
    RefundRequest,
    Reversal,
    refund_from_item,
    reversal_from_item,
)

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store

BUCKET_S: Final = 3600
CHANGES_SPAN_MAX_S: Final = 400 * 24 * 3600
"""The longest span of one read of changes: a little more than a fiscal year (9,600 queries)."""
OBLIGATIONS_AT_ONCE_MAX: Final = 16
"""The most obligations whose attempts are read concurrently."""


class Lookups:
    """The reading half of the ledger."""

    def __init__(self, store: "Store", ruled: ShardedTable, table: str) -> None:
        self.change_shards = ChangeShards(ruled)
        self._store = store
        self._ruled = ruled
        self._table = table

    async def obligation(self, client: str, reference: str, *, events: bool = True) -> ObligationView | None:
        """Return the obligation with its attempts, events and reversals, each oldest first; None if it does not exist.

        Without ``events`` only the attempts are read. The obligation is then derived from the first one.
        """
        partition = {"S": partition_key(client, reference)}
        if not events:
            found = [attempt_from_item(item) for item in await self._ruled.partition(partition, ATTEMPTS_BEGIN)]
            return ObligationView(obligation_of(found[0]), tuple(found), ()) if found else None
        items = await self._ruled.partition(partition)
        obligation: Obligation | None = None
        # The sort key orders attempts by their creation: no two attempts at an obligation share a millisecond.
        attempts: list[Attempt] = []
        history: list[Event] = []
        reversals: list[Reversal] = []
        for item in items:
            kind = item["kind"]["S"]
            if kind == ATTEMPT:
                attempts.append(attempt_from_item(item))
            elif kind == EVENT:
                history.append(event_from_item(item))
            elif kind == REVERSAL:
                reversals.append(reversal_from_item(item))
            elif kind == OBLIGATION:
                obligation = obligation_from_item(item)
        if obligation is None:
            return None
        place = {attempt.agency_tracking_id: number for number, attempt in enumerate(attempts)}
        history.sort(key=lambda event: (event.at, place.get(event.agency_tracking_id, -1), event.seq))
        reversals.sort(key=lambda reversal: reversal.at)
        return ObligationView(obligation, tuple(attempts), tuple(history), tuple(reversals))

    async def items_of(self, client: str, reference: str) -> list[Item]:
        """Return the stored items of an obligation, for :func:`bursar.payments.audit.chain_check.check_obligation`."""
        return await self._ruled.partition({"S": partition_key(client, reference)})

    async def reversals_of(self, client: str, reference: str) -> list[Reversal]:
        """Return the reversals of all attempts at an obligation, oldest first. The read is strongly consistent."""
        items = await self._ruled.partition({"S": partition_key(client, reference)}, REVERSALS_BEGIN)
        return sorted(map(reversal_from_item, items), key=lambda reversal: reversal.at)

    async def attempt_by_token(self, token: str) -> Attempt | None:
        """Return the attempt to which Pay.gov gave ``token``; None if there is none."""
        return await self._attempt_holding(rules.TOKEN, token)

    async def attempt_by_agency_id(self, agency_tracking_id: str) -> Attempt | None:
        """Return the attempt with this agency tracking id; None if there is none."""
        return await self._attempt_holding(rules.AGENCY_TRACKING_ID, agency_tracking_id)

    async def attempt_by_paygov_id(self, paygov_tracking_id: str) -> Attempt | None:
        """Return the attempt with this Pay.gov tracking id; None if there is none."""
        return await self._attempt_holding(rules.PAYGOV_TRACKING_ID, paygov_tracking_id)

    async def reread(self, attempt: Attempt) -> Attempt:
        """Return the attempt as it is stored now. Raises ``LookupError`` if it is gone, which the rules forbid."""
        found = await self._ruled.get(attempt_key(attempt))
        if found is None:
            raise LookupError(f"attempt {attempt.agency_tracking_id} has disappeared from {self._table}")
        return attempt_from_item(found)

    async def attempts_at(self, keys: Sequence[Item]) -> list[Attempt]:
        """Return the attempts at these keys, in any order. On a remote store they may be slightly behind.

        An attempt that does not exist is left out.
        """
        return [attempt_from_item(item) for item in await self._ruled.get_several(keys)]

    async def due(self, now: float, limit: int) -> list[Attempt]:
        """Return at most ``limit`` attempts that are due at ``now``, longest overdue first.

        They are read through an index that may be behind. A later write checks the attempt's version.
        """
        return await self._attempts_of_entries(await self._due_entries(now, limit), now)

    async def due_times(self, now: float, limit: int) -> list[float]:
        """Return when the attempts of :meth:`due` became due, in Unix seconds, without reading the attempts."""
        return [from_iso_ms(entry["dueAt"]["S"]) for entry in await self._due_entries(now, limit)]

    async def due_returns(self, now: float, limit: int) -> list[Attempt]:
        """Return at most ``limit`` settled debits that must be asked about at ``now``, longest overdue first."""
        return await self._attempts_of_entries(await self._entries_in(RETURNS_SHARD, now, limit), now)

    async def open_refunds(self, limit: int) -> list[RefundRequest]:
        """Return at most ``limit`` open requests for refunds, oldest first, from an index that may be behind."""
        items = await self._items_of_entries(await self._entries_in(REFUNDS_SHARD, None, limit))
        return [refund_from_item(item) for item in items]

    async def changes(self, since: float, until: float) -> AsyncIterator[Attempt | Event]:
        """Yield the events in ``since`` ≤ t < ``until``, in order, and their attempts, as :meth:`changed_items`.

        Raises ``ValueError`` for a span beyond ``CHANGES_SPAN_MAX_S``.
        """
        async for item in self.changed_items(since, until):
            record = from_item(item)
            if isinstance(record, Attempt | Event):
                yield record

    async def events(self, since: float, until: float) -> AsyncIterator[Event]:
        """Yield the events in ``since`` ≤ t < ``until``, in order of time. Raises ``ValueError`` as :meth:`changes`."""
        async for item in self.event_items(since, until):
            record = from_item(item)
            if isinstance(record, Event):
                yield record

    async def event_items(self, since: float, until: float) -> AsyncIterator[Item]:
        """Yield the items of the events in ``since`` ≤ t < ``until``, in order of time, attempt and number.

        The items are those in the store, also if they are not valid events. Raises ``ValueError`` as :meth:`changes`.
        """
        async for page in self._change_pages(since, until):
            for item in page:
                if _is_event(item):
                    yield item

    async def changed_items(self, since: float, until: float) -> AsyncIterator[Item]:
        """Yield the items of records of every kind that changed in ``since`` ≤ t < ``until``.

        Items of the index are in order of time. The attempts of its events are not in the index: each comes before its
        events, in its present state, which includes these events. It may come again with later ones. The index may be
        slightly behind on Amazon's DynamoDB, so a caller that must not miss a change reads an overlap.

        Raises ``ValueError`` as :meth:`changes`.
        """
        async for page in self._change_pages(since, until):
            for attempt in await self._attempts_of(page):
                yield attempt
            for item in page:
                yield item

    async def _attempts_of(self, page: Sequence[Item]) -> list[Item]:
        """Return the present items of the attempts to which the events of ``page`` belong."""
        wanted: dict[str, set[str]] = {}
        for item in page:
            if _is_event(item):
                identity = item["sk"]["S"].removeprefix(EVENTS_BEGIN).rpartition("#")[0]
                wanted.setdefault(item["pk"]["S"], set()).add(identity)
        found: list[Item] = []
        partitions = list(wanted)
        for first in range(0, len(partitions), OBLIGATIONS_AT_ONCE_MAX):
            some = partitions[first : first + OBLIGATIONS_AT_ONCE_MAX]
            reads = (self._ruled.partition({"S": partition}, ATTEMPTS_BEGIN) for partition in some)
            for partition, items in zip(some, await asyncio.gather(*reads), strict=True):
                found += [item for item in items if item["sk"]["S"].rpartition("#")[2] in wanted[partition]]
        return found

    async def _change_pages(self, since: float, until: float) -> AsyncIterator[list[Item]]:
        """Yield the entries of the ``changes`` index in ``since`` ≤ t < ``until``, page by page, in order of time."""
        if until - since > CHANGES_SPAN_MAX_S:
            raise ValueError(f"until - since: must be at most {CHANGES_SPAN_MAX_S} s; got {until - since:.0f} s")
        request = {
            "TableName": self._table,
            "IndexName": CHANGES_INDEX,
            "KeyConditionExpression": "changeBucket = :bucket AND changedAt BETWEEN :since AND :until",
            "ExpressionAttributeValues": {
                ":since": {"S": iso_ms(since)},
                # Keys at `until` continue with #id, so they sort after it: `until` is excluded.
                ":until": {"S": iso_ms(until)},
            },
        }
        shards = (await self.change_shards.counts())[-1]
        for hour in range(int(since // BUCKET_S), int(until // BUCKET_S) + 1):
            async for page in merged_pages(self._store, request, change_bucket(hour * BUCKET_S), shards):
                yield page

    async def obligations_with_metadata(
        self, client: str | None = None, fee: str | None = None
    ) -> AsyncIterator[tuple[str, str]]:
        """Yield (client, reference) of each obligation that has metadata, by a scan of the table.

        ``client`` and ``fee`` limit the obligations. An obligation may come twice.
        """
        narrowed = {"client": client, "fee": fee}
        wanted = {"kind": ATTEMPT} | {name: value for name, value in narrowed.items() if value is not None}
        names = {f"#{name}": name for name in ("client", "reference", METADATA, *wanted)}
        request = {
            "FilterExpression": " AND ".join((f"attribute_exists(#{METADATA})", *(f"#{n} = :{n}" for n in wanted))),
            "ProjectionExpression": "#client, #reference",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {f":{name}": {"S": value} for name, value in wanted.items()},
        }
        last: tuple[str, str] | None = None
        async for item in self._items("Scan", request):
            found = (item["client"]["S"], item["reference"]["S"])
            if found != last:
                yield found
            last = found

    async def _due_entries(self, now: float, limit: int) -> list[Item]:
        """Return at most ``limit`` entries of the ``due`` index for live attempts that are due at ``now``, in order."""
        shards = await asyncio.gather(
            # The numbers of shards, before all attempts, must not take the places of attempts.
            self._entries_in(COUNTS_SHARD, now, limit + CHANGE_SHARDS_MAX),
            *(self._entries_in(str(shard), now, limit) for shard in range(1, DUE_SHARDS)),
        )
        count = due_shards_of(filter(is_count, shards[0]))
        shards[0] = [entry for entry in shards[0] if not is_count(entry)]
        for first in range(DUE_SHARDS, count, SHARDS_AT_ONCE_MAX):
            others = range(first, min(first + SHARDS_AT_ONCE_MAX, count))
            shards += await asyncio.gather(*(self._entries_in(str(shard), now, limit) for shard in others))
        return list(islice(merge(*shards, key=_due_at), limit))

    async def _entries_in(self, shard: str, now: float | None, limit: int) -> list[Item]:
        """Return at most ``limit`` entries of one shard of the ``due`` index, up to ``now`` if it is given."""
        request: dict[str, Any] = {
            "IndexName": DUE_INDEX,
            "KeyConditionExpression": "dueShard = :shard",
            "ExpressionAttributeValues": {":shard": {"S": shard}},
            "Limit": limit,
        }
        if now is not None:
            request["KeyConditionExpression"] += " AND dueAt <= :now"
            request["ExpressionAttributeValues"][":now"] = {"S": iso_ms(now)}
        found: list[Item] = []
        async for page in self._pages("Query", request):
            found += page
            if len(found) >= limit:
                break
        return found[:limit]

    async def _attempts_of_entries(self, entries: Sequence[Item], now: float) -> list[Attempt]:
        """Return the attempts of ``entries`` that are still due at ``now``, longest overdue first."""
        until = iso_ms(now)
        return [attempt_from_item(item) for item in await self._items_of_entries(entries) if _due_at(item) <= until]

    async def _items_of_entries(self, entries: Sequence[Item]) -> list[Item]:
        """Return the items of entries of the ``due`` index, in order, without items that have left their entry's shard.

        In a table of an earlier version an entry is the item itself.
        """
        shards = {_place(entry): entry["dueShard"] for entry in entries}
        whole = all("kind" in entry for entry in entries)
        items = entries if whole else await self._ruled.get_several([item_key(*place) for place in shards])
        there = {_place(item): item for item in items if item.get("dueShard") == shards[_place(item)]}
        # The items come in any order; those that are due at one instant stay in the order of their entries.
        return sorted((there[place] for place in shards if place in there), key=_due_at)

    async def _attempt_holding(self, rule: str, value: str) -> Attempt | None:
        key = await self._ruled.owner_of(rule, value)
        item = None if key is None else await self._ruled.get(key)
        return None if item is None else attempt_from_item(item)

    async def _items(self, operation: str, request: Mapping[str, Any]) -> AsyncIterator[Item]:
        """Yield the items of all pages."""
        async for page in self._pages(operation, request):
            for item in page:
                yield item

    async def _pages(self, operation: str, request: Mapping[str, Any]) -> AsyncIterator[list[Item]]:
        page: dict[str, Any] = {"TableName": self._table, **request}
        while True:
            reply = await self._store.call(operation, page)
            yield reply["Items"]
            if "LastEvaluatedKey" not in reply:
                return
            page["ExclusiveStartKey"] = reply["LastEvaluatedKey"]


def _place(item: Item) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def _due_at(item: Item) -> str:
    at: str = item["dueAt"]["S"]
    return at


def _is_event(item: Item) -> bool:
    return bool(item["sk"].get("S", "").startswith(EVENTS_BEGIN))
