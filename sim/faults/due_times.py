"""The times at which attempts are due, so that simulated sweepers can skip the passes that would find nothing due.

Each write is read for the due times that it sets and removes. So a sweeper knows without a query whether an attempt is
due, which for a crowd would be a query after each of its writes.
"""

import asyncio
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Any, Final

from bursar.clock import Clock, from_iso_ms
from bursar.dynamo.clients.store import Store
from bursar.dynamo.engine.compare_and_swap import CompareAndSwap, Swap, WholeItem
from bursar.payments.records import ATTEMPT

TRANSACT: Final = "TransactWriteItems"
DUE_AT: Final = "dueAt"
NEW_DUE_AT: Final = ":new_dueAt"
NO_DUE_AT: Final = "#dueAt"
"""The placeholders in an update that the ledger's rules have compiled: of a new due time, and of a removed one."""


class DueTimes:
    """The due times in one store. ``sooner`` is done when the earliest one becomes earlier, and is then replaced."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._times: dict[tuple[str, str], float] = {}
        self._heap: list[tuple[float, tuple[str, str]]] = []
        self.sooner: asyncio.Future[None] = loop.create_future()

    @property
    def earliest(self) -> float | None:
        """The earliest due time in Unix seconds; None if nothing is due at any time."""
        while self._heap and self._times.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    async def wait(self, clock: Clock) -> bool:
        """Return when an attempt is due, and whether none was at first. A stale index may still hide the attempt."""
        waited = False
        while True:
            earliest = self.earliest
            wait_s = None if earliest is None else earliest - clock()
            if wait_s is not None and wait_s <= 0:
                return waited
            waited = True
            await asyncio.wait([self.sooner], timeout=wait_s)

    async def read(self, store: Store, table: str) -> None:
        """Forget what is known, and read the due times in ``store``, which has replaced another one."""
        items: list[WholeItem] = []
        request: dict[str, Any] = {"TableName": table}
        while True:
            page = await store.call("Scan", request)
            items += page["Items"]
            if "LastEvaluatedKey" not in page:
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        self._times = {_key(item): from_iso_ms(item[DUE_AT]["S"]) for item in items if _is_attempt(item, due=True)}
        self._heap = [(due_at, key) for key, due_at in self._times.items()]
        heapify(self._heap)
        self._wake()

    def note_item(self, item: WholeItem) -> None:
        """Note that ``item`` is stored."""
        if _is_attempt(item, due=True):
            self._set(_key(item), from_iso_ms(item[DUE_AT]["S"]))
        elif _is_attempt(item, due=False):
            self._times.pop(_key(item), None)

    def note_transaction(self, request: Mapping[str, Any]) -> None:
        """Note that the store has carried out a TransactWriteItems."""
        for action in request["TransactItems"]:
            if "Put" in action:
                self.note_item(action["Put"]["Item"])
            elif "Update" in action:
                update = action["Update"]
                due_at = update.get("ExpressionAttributeValues", {}).get(NEW_DUE_AT)
                if due_at is not None:
                    self._set(_key(update["Key"]), from_iso_ms(due_at["S"]))
                elif NO_DUE_AT in update["UpdateExpression"].partition("REMOVE ")[2].split(", "):
                    self._times.pop(_key(update["Key"]), None)

    def _set(self, key: tuple[str, str], due_at: float) -> None:
        if self._times.get(key) == due_at:
            return
        before = self.earliest
        self._times[key] = due_at
        heappush(self._heap, (due_at, key))
        if before is None or due_at < before:
            self._wake()

    def _wake(self) -> None:
        passed, self.sooner = self.sooner, self._loop.create_future()
        passed.set_result(None)


def _is_attempt(item: WholeItem, *, due: bool) -> bool:
    return item.get("kind") == {"S": ATTEMPT} and (DUE_AT in item) is due


def _key(item: WholeItem) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


class NoticedStore:
    """A store whose writes are read for due times."""

    def __init__(self, inner: Store, due_times: DueTimes) -> None:
        self._inner = inner
        self._due_times = due_times

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out the request."""
        answer = await self._inner.call(operation, request)
        if operation == TRANSACT:
            self._due_times.note_transaction(request)
        return answer

    async def close(self) -> None:
        """Close the store behind it."""
        await self._inner.close()


class NoticedCompareAndSwap:
    """Swaps that are read for due times."""

    def __init__(self, inner: CompareAndSwap, due_times: DueTimes) -> None:
        self._inner = inner
        self._due_times = due_times

    async def get(self, table: str, key: WholeItem) -> dict[str, Any] | None:
        """Return the item at ``key``."""
        return await self._inner.get(table, key)

    async def partition(self, table: str, value: WholeItem, begins: str = "") -> list[dict[str, Any]]:
        """Return the items of a partition."""
        return await self._inner.partition(table, value, begins)

    async def swap(self, table: str, swaps: Sequence[Swap], rules: str) -> None:
        """Swap the items."""
        await self._inner.swap(table, swaps, rules)
        for _, new in swaps:
            if new is not None:
                self._due_times.note_item(new)
