"""A process that can die between any two steps, and the doors through which it reaches the world.

Every call to the store and to Pay.gov passes one of these doors, before and after:

    portal ──►│ may die │──► request takes place ──►│ may die │──► portal goes on
                   ✘ it never arrived                   ✘ it took place, nobody here knows

Between two such steps a process changes nothing but its own memory, so dying elsewhere is dying at the step before;
a kill at a moment of the clock strikes requests in flight besides. A dead process's tasks wait for ever: no ``finally``
runs, as after SIGKILL. What it held in memory is gone; the store and Pay.gov live on.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from bursar.dynamo.clients.store import Store
from bursar.dynamo.engine.compare_and_swap import CompareAndSwap, Swap, WholeItem
from bursar.paygov.transport import HttpReply, Transport
from sim.paygov_faults import operation_of

T = TypeVar("T")


class Process:
    """One portal process's life. ``death`` is done once it has died.

    ``dies_at``: asked at each step ("before writing claimed", "after asking complete", …) whether it dies there.
    """

    def __init__(
        self,
        name: str,
        randomness: random.Random,
        death_probability: float,
        dies_at: Callable[[str], bool] | None = None,
    ) -> None:
        self.name = name
        self.death: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._randomness = randomness
        self._death_probability = death_probability
        self._dies_at = dies_at

    @property
    def dead(self) -> bool:
        return self.death.done()

    def kill(self) -> None:
        if not self.dead:
            self.death.set_result(None)

    def live_on(self) -> None:
        """From now on it dies no more: the storm is over."""
        self._death_probability = 0.0

    async def step(self, where: str) -> None:
        """A point between two statements: it may die here, and then never comes back."""
        if not self.dead and (
            (self._dies_at is not None and self._dies_at(where)) or self._randomness.random() < self._death_probability
        ):
            self.kill()
        if self.dead:
            await asyncio.Event().wait()


class MortalStore:
    """A store as one process sees it."""

    def __init__(self, inner: Store, process: Process) -> None:
        self._inner = inner
        self._process = process

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        return await _mortally(self._process, spoken(operation, request), lambda: self._inner.call(operation, request))

    async def close(self) -> None:
        """The store outlives its processes."""


class MortalCompareAndSwap:
    """The direct door of a store in the process itself: the file outlives it, what it had in hand does not."""

    def __init__(self, inner: CompareAndSwap, process: Process) -> None:
        self._inner = inner
        self._process = process

    async def get(self, table: str, key: WholeItem) -> dict[str, Any] | None:
        what = spoken("GetItem", {"Key": key})
        return await _mortally(self._process, what, lambda: self._inner.get(table, key))

    async def partition(self, table: str, value: WholeItem, begins: str = "") -> list[dict[str, Any]]:
        return await _mortally(self._process, spoken("Query", {}), lambda: self._inner.partition(table, value, begins))

    async def swap(self, table: str, swaps: Sequence[Swap], rules: str) -> None:
        puts = [{"Put": {"Item": new}} for _, new in swaps if new is not None]
        what = spoken("TransactWriteItems", {"TransactItems": puts})
        await _mortally(self._process, what, lambda: self._inner.swap(table, swaps, rules))


def spoken(operation: str, request: Mapping[str, Any]) -> str:
    """A request to the store as a person calls it: by its index, by the event that it writes, by what it reads."""
    if "IndexName" in request:
        return f"the query of {request['IndexName']}"
    if operation == "TransactWriteItems":
        put = [action["Put"]["Item"] for action in request["TransactItems"] if "Put" in action]
        names = [item["name"]["S"] for item in put if item.get("kind") == {"S": "event"}]
        return f"writing {names[0]}" if names else "noting when to look next"
    if operation == "GetItem":
        return "reading the sentinel" if request["Key"]["sk"] == {"S": "sentinel"} else "reading the attempt"
    return "reading the obligation" if operation == "Query" else operation


class MortalTransport:
    """Pay.gov as one process sees it."""

    def __init__(self, inner: Transport, process: Process) -> None:
        self._inner = inner
        self._process = process

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> HttpReply:
        what = f"asking {operation_of(body)}"
        return await _mortally(self._process, what, lambda: self._inner.post(url, body, headers, timeout_s))

    async def close(self) -> None:
        """Pay.gov outlives its callers."""


async def _mortally(process: Process, what: str, work: Callable[[], Awaitable[T]]) -> T:
    await process.step(f"before {what}")
    try:
        result = await work()
    except Exception:
        await process.step(f"after {what}")
        raise
    await process.step(f"after {what}")
    return result
