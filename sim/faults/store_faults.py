"""A store that behaves like Amazon's on a bad day: late, busy, throttled, silent, with indexes that are behind.

| fault | what the portal sees | what took place |
|---|---|---|
| conflict | TransactionCanceledException, every reason TransactionConflict | nothing |
| throttled | ProvisionedThroughputExceededException | nothing |
| unreachable, away for a while | StoreUnreachable | nothing |
| unanswered | StoreOutcomeUnknown | the write, or nothing, or the write a little later |
| delivered twice | the answer | the write, and once more a little later |
| stale index | an earlier answer to the same query | |
| stale read | earlier versions of the items of an eventually consistent read | |

A store in the portal's own process has a disk instead of a network (:class:`FaultyCompareAndSwap`):

| fault | what the portal sees | what took place |
|---|---|---|
| disk | InternalServerError | the write, or nothing |
| not swapped | Unswapped, so that the compiled form is sent | nothing |
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bursar.dynamo import DynamoError, Store, StoreOutcomeUnknown, StoreUnreachable
from bursar.dynamo.engine.compare_and_swap import CompareAndSwap, Swap, Unswapped, WholeItem
from sim.faults.fault_switch import FaultSwitch

LATE_S: Final = (0.05, 30.0)
AWAY_S: Final = (20.0, 300.0)
STALE_MAX: Final = 3
TRANSACT: Final = "TransactWriteItems"
BATCH_GET: Final = "BatchGetItem"


class FaultyStore:
    """``inner`` on a bad day. ``rate`` is the probability of a fault for each request."""

    def __init__(
        self,
        inner: Store,
        randomness: random.Random,
        counts: Counter[str],
        rate: float,
        clock: Callable[[], float],
        switch: FaultSwitch,
    ) -> None:
        self._inner = inner
        self._switch = switch
        self._randomness = randomness
        self._counts = counts
        self._rate = rate
        self._clock = clock
        self._seen: dict[str, deque[dict[str, Any]]] = {}
        self._late: list[asyncio.Task[None]] = []
        self.away: list[tuple[float, float]] = []
        self.generation = 0

    def calm(self) -> None:
        """Inject no more faults."""
        self._rate = 0.0
        self.away.clear()

    def forget(self) -> None:
        """Drop requests that are in progress or late: an earlier store replaces this one."""
        self.generation += 1
        self._seen.clear()

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out the request, with a fault if one is drawn."""
        generation = self.generation
        await asyncio.sleep(self._randomness.uniform(0.001, 0.03))
        if generation != self.generation:
            raise StoreUnreachable("simulated: another store by now")
        if self.away and any(since <= self._clock() < until for since, until in self.away):
            self._counts["store away"] += 1
            raise StoreUnreachable("simulated")
        struck = self._randomness.random() < self._rate
        if "IndexName" in request:
            return await self._index_query(operation, request, struck)
        if operation == BATCH_GET:
            return await self._eventual_read(operation, request, struck)
        if struck:
            await self._strike(operation, request)
        return await self._inner.call(operation, request)

    async def close(self) -> None:
        """Close the store behind it."""
        await self._inner.close()

    async def _strike(self, operation: str, request: Mapping[str, Any]) -> None:
        kinds = ["throttled", "unreachable"]
        if operation == TRANSACT:
            kinds += ["conflict", "conflict", "unanswered, done", "unanswered, not done", "unanswered, late", "twice"]
        kind = self._randomness.choice(kinds)
        if not self._switch.strikes(f"store {kind}"):
            return
        self._counts[f"store {kind}"] += 1
        match kind:
            case "throttled":
                message = "The level of configured provisioned throughput for the table was exceeded."
                raise DynamoError("ProvisionedThroughputExceededException", message)
            case "unreachable":
                raise StoreUnreachable("simulated")
            case "conflict":
                reasons = [{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}]
                reasons *= len(request["TransactItems"])
                raise DynamoError("TransactionCanceledException", "Transaction cancelled", cancellation_reasons=reasons)
            case "twice":
                self._deliver_late(operation, request)
                return
            case "unanswered, done":
                await self._inner.call(operation, request)
            case "unanswered, late":
                self._deliver_late(operation, request)
        raise StoreOutcomeUnknown("simulated")

    def _deliver_late(self, operation: str, request: Mapping[str, Any]) -> None:
        generation = self.generation

        async def late(after_s: float) -> None:
            await asyncio.sleep(after_s)
            if generation != self.generation:
                return
            try:
                await self._inner.call(operation, request)
            except DynamoError:
                return  # its conditions no longer hold, and no caller waits for the answer

        task = late(self._randomness.uniform(*LATE_S))
        self._late.append(asyncio.get_running_loop().create_task(task))

    async def _index_query(self, operation: str, request: Mapping[str, Any], struck: bool) -> dict[str, Any]:
        values = request.get("ExpressionAttributeValues", {})
        partition = f"{request['IndexName']} {values.get(':shard') or values.get(':bucket')}"
        seen = self._seen.setdefault(partition, deque(maxlen=STALE_MAX))
        if struck and seen and self._switch.strikes("store stale index"):
            self._counts["store stale index"] += 1
            return self._randomness.choice(seen)
        answer = await self._inner.call(operation, request)
        if not seen or seen[-1] != answer:
            seen.append(answer)
        return answer

    async def _eventual_read(self, operation: str, request: Mapping[str, Any], struck: bool) -> dict[str, Any]:
        answer = await self._inner.call(operation, request)
        responses: dict[str, list[dict[str, Any]]] = answer["Responses"]
        stale = struck and self._switch.strikes("store stale read")
        if stale:
            self._counts["store stale read"] += 1
        # Servers return the items in any order; a seed must give the same run on each of them.
        ordered = {table: sorted(items, key=_place) for table, items in responses.items()}
        seen = {table: [self._seen_item(item, stale) for item in items] for table, items in ordered.items()}
        return answer | {"Responses": seen}

    def _seen_item(self, item: dict[str, Any], stale: bool) -> dict[str, Any]:
        """Remember a version of an item; return it, or, if ``stale``, one of the last that were read."""
        seen = self._seen.setdefault(f"item {item['pk']} {item['sk']}", deque(maxlen=STALE_MAX))
        earlier = self._randomness.choice(seen) if stale and seen else item
        if not seen or seen[-1] != item:
            seen.append(item)
        return earlier


def _place(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


class FaultyCompareAndSwap:
    """Swaps of a store in the portal's process, on a disk that sometimes fails; ``rate`` as above."""

    def __init__(
        self,
        inner: CompareAndSwap,
        randomness: random.Random,
        counts: Counter[str],
        rate: float,
        switch: FaultSwitch,
    ) -> None:
        self._inner = inner
        self._switch = switch
        self._randomness = randomness
        self._counts = counts
        self._rate = rate
        self.generation = 0

    def forget(self) -> None:
        """Drop requests that are in progress, as :meth:`FaultyStore.forget` does."""
        self.generation += 1

    def calm(self) -> None:
        """Inject no more faults."""
        self._rate = 0.0

    async def get(self, table: str, key: WholeItem) -> dict[str, Any] | None:
        """Return the item at ``key``."""
        await asyncio.sleep(0)
        return await self._inner.get(table, key)

    async def partition(self, table: str, value: WholeItem, begins: str = "") -> list[dict[str, Any]]:
        """Return the items of a partition."""
        await asyncio.sleep(0)
        return await self._inner.partition(table, value, begins)

    async def swap(self, table: str, swaps: Sequence[Swap], rules: str) -> None:
        """Swap the items, with a fault of the disk if one is drawn."""
        generation = self.generation
        await asyncio.sleep(self._randomness.uniform(0.0, 0.01))
        if generation != self.generation:
            raise StoreUnreachable("simulated: another store by now")
        kind = None
        if self._randomness.random() < self._rate:
            drawn = self._randomness.choice(("disk, done", "disk, not done", "not swapped"))
            if self._switch.strikes(f"store {drawn}"):
                kind = drawn
                self._counts[f"store {kind}"] += 1
        if kind == "not swapped":
            raise Unswapped("simulated")
        if kind != "disk, not done":
            await self._inner.swap(table, swaps, rules)
        if kind is not None:
            raise DynamoError("InternalServerError", "simulated")
