"""Notices of writes to the store, so that a simulated sweeper can skip the passes that would find nothing due."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from bursar.dynamo.clients.store import Store
from bursar.dynamo.engine.compare_and_swap import CompareAndSwap, Swap, WholeItem

READS = frozenset({"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems", "DescribeTable"})


class Changes:
    """The changes of one store. ``next`` is done when the store changes, and is then replaced."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.next: asyncio.Future[None] = loop.create_future()

    def notice(self) -> None:
        """Note that the store has changed."""
        changed, self.next = self.next, self._loop.create_future()
        changed.set_result(None)


class NoticedStore:
    """A store whose writes are noticed."""

    def __init__(self, inner: Store, changes: Changes) -> None:
        self._inner = inner
        self._changes = changes

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out the request."""
        answer = await self._inner.call(operation, request)
        if operation not in READS:
            self._changes.notice()
        return answer

    async def close(self) -> None:
        """Close the store behind it."""
        await self._inner.close()


class NoticedCompareAndSwap:
    """Swaps that are noticed."""

    def __init__(self, inner: CompareAndSwap, changes: Changes) -> None:
        self._inner = inner
        self._changes = changes

    async def get(self, table: str, key: WholeItem) -> dict[str, Any] | None:
        """Return the item at ``key``."""
        return await self._inner.get(table, key)

    async def partition(self, table: str, value: WholeItem, begins: str = "") -> list[dict[str, Any]]:
        """Return the items of a partition."""
        return await self._inner.partition(table, value, begins)

    async def swap(self, table: str, swaps: Sequence[Swap], rules: str) -> None:
        """Swap the items."""
        await self._inner.swap(table, swaps, rules)
        self._changes.notice()
