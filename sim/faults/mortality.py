"""A process that can die between any two steps, and the wrappers through which it reaches the store and Pay.gov.

Every call to the store and to Pay.gov passes one of these wrappers, before and after:

    portal ──►│ may die │──► request takes place ──►│ may die │──► portal continues
                   ✘ it never arrived                   ✘ it took place, and the process does not know

Between two such steps a process changes only its memory, so death elsewhere equals death at the step before. A kill at
a moment of the clock also strikes requests in progress. The tasks of a dead process never wake: no ``finally`` runs, as
after SIGKILL. Its memory is lost; the store and Pay.gov continue.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from bursar.dynamo.clients.store import Store
from bursar.dynamo.engine.compare_and_swap import CompareAndSwap, Swap, WholeItem
from bursar.paygov.transport import HttpReply, Transport
from sim.faults.fault_switch import FaultSwitch
from sim.faults.paygov_faults import operation_of

T = TypeVar("T")


class Process:
    """The life of one portal process. ``death`` is done once it has died.

    ``dies_at`` is called at each step ("before writing claimed", "after asking complete", …) and returns whether the
    process dies there.
    """

    def __init__(
        self,
        name: str,
        randomness: random.Random,
        death_probability: float,
        switch: FaultSwitch,
        dies_at: Callable[[str], bool] | None = None,
    ) -> None:
        self.name = name
        self.death: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._randomness = randomness
        self._switch = switch
        self._death_probability = death_probability
        self._dies_at = dies_at

    @property
    def dead(self) -> bool:
        """Whether the process has died."""
        return self.death.done()

    def kill(self) -> None:
        """End the process."""
        if not self.dead:
            self.death.set_result(None)

    def stop_dying(self) -> None:
        """Stop dying at random: the storm is over."""
        self._death_probability = 0.0

    def survives(self, when: str, what: Callable[[], str]) -> bool:
        """Mark a point between two statements: return whether the process lives on after it.

        ``what`` returns the name of the request that the point is before or after.
        """
        if self.dead:
            return False
        if (self._dies_at is not None and self._dies_at(f"{when} {what()}")) or self._dies_by_chance():
            self.kill()
            return False
        return True

    def _dies_by_chance(self) -> bool:
        return self._randomness.random() < self._death_probability and self._switch.strikes("death")


class MortalStore:
    """A store as one process uses it."""

    def __init__(self, inner: Store, process: Process) -> None:
        self._inner = inner
        self._process = process

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out the request; the process may die before and after it."""
        return await _with_deaths(
            self._process, lambda: request_name(operation, request), lambda: self._inner.call(operation, request)
        )

    async def close(self) -> None:
        """Do nothing: the store outlives its processes."""


class MortalCompareAndSwap:
    """Swaps of a store in the process itself: the file outlives the process, its memory does not."""

    def __init__(self, inner: CompareAndSwap, process: Process) -> None:
        self._inner = inner
        self._process = process

    async def get(self, table: str, key: WholeItem) -> dict[str, Any] | None:
        """Return the item at ``key``; the process may die before and after it."""
        return await _with_deaths(
            self._process, lambda: request_name("GetItem", {"Key": key}), lambda: self._inner.get(table, key)
        )

    async def partition(self, table: str, value: WholeItem, begins: str = "") -> list[dict[str, Any]]:
        """Return the items of a partition; the process may die before and after it."""
        return await _with_deaths(
            self._process, lambda: request_name("Query", {}), lambda: self._inner.partition(table, value, begins)
        )

    async def swap(self, table: str, swaps: Sequence[Swap], rules: str) -> None:
        """Swap the items; the process may die before and after it."""

        def what() -> str:
            puts = [{"Put": {"Item": new}} for _, new in swaps if new is not None]
            return request_name("TransactWriteItems", {"TransactItems": puts})

        await _with_deaths(self._process, what, lambda: self._inner.swap(table, swaps, rules))


def request_name(operation: str, request: Mapping[str, Any]) -> str:
    """Return a request's name for people: its index, the event that it writes, or the item that it reads."""
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
    """Pay.gov as one process uses it."""

    def __init__(self, inner: Transport, process: Process) -> None:
        self._inner = inner
        self._process = process

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> HttpReply:
        """Send the request; the process may die before and after it."""
        return await _with_deaths(
            self._process,
            lambda: f"asking {operation_of(body)}",
            lambda: self._inner.post(url, body, headers, timeout_s),
        )

    async def close(self) -> None:
        """Do nothing: Pay.gov outlives its callers."""


async def _with_deaths(process: Process, what: Callable[[], str], work: Callable[[], Awaitable[T]]) -> T:
    """Return the result of ``work``. If the process dies before or after it, the call never returns."""
    if not process.survives("before", what):
        await _forever()
    try:
        result = await work()
    except Exception:
        if not process.survives("after", what):
            await _forever()
        raise
    if not process.survives("after", what):
        await _forever()
    return result


async def _forever() -> None:
    await asyncio.Event().wait()
