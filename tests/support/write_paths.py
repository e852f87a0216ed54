"""The two write paths of a ledger, and support for tests that run on each of them.

    swap         the embedded store, the default: it enforces the payment rules, and whole items are swapped under its
                 guard; a swap that it refuses is repeated as a transaction, which gives the reason
    transaction  every other DynamoDB: the store has no rules, and each write is one compiled TransactWriteItems

A test requests the fixture ``write_path`` (tests/conftest.py), directly or through a stage, and runs once on each.
Only this module makes ledgers for the use-case tests, which tests/test_write_paths.py checks.
"""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, Protocol, TypeVar

import pytest

from bursar.clock import Clock
from bursar.dynamo.clients.store import Store
from bursar.dynamo.engine.compare_and_swap import CompareAndSwap, Swap, WholeItem
from bursar.dynamo.engine.engine import Engine
from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.payments import FeeCatalogue, Ledger
from bursar.payments.ledger.table import TABLE_NAME, create_table
from bursar.payments.rules import payment_rules
from bursar.rules.language.toml import rules_to_toml
from bursar.rules.native import load_guard
from tests.support.storms import STORM_SEED, open_storm

T = TypeVar("T")
IN_MEMORY: Final = ":memory:"
MARKER: Final = "only_write_path"


# Every ledger and store of a test needs these immutable values. Reading them once halves the cost of a stage.
_guard_of: Final = cache(load_guard)


@cache
def shipped_fees() -> FeeCatalogue:
    """Return the fee catalogue that ships."""
    return FeeCatalogue.default()


@cache
def _shipped_rules() -> str:
    return rules_to_toml(payment_rules(shipped_fees()))


class EmbeddedStore(Store, Protocol):
    """An embedded store, or a wrapper that passes on both its API and its swaps."""

    @property
    def compare_and_swap(self) -> CompareAndSwap: ...


@dataclass(frozen=True)
class WritePath:
    """One of the two write paths. ``write_operation`` is the name that :class:`Wrapped` gives its writes."""

    name: str
    swaps: bool
    write_operation: str
    storm: int | None = None
    """The seed of the storm in which the store is; None for a calm one."""

    def open(self, path: str = IN_MEMORY, *, clock: Clock, randomness: random.Random) -> AsyncEngine:
        """Open the store at ``path``, and create a missing file. A path with a storm has its store in it."""
        if self.storm is not None:
            return open_storm(path, clock=clock, randomness=randomness, guard_loader=_guard_of, seed=self.storm)
        return AsyncEngine(Engine.open(path, clock=clock, randomness=randomness, guard_loader=_guard_of))

    def ledger(
        self, store: EmbeddedStore, *, clock: Clock, randomness: random.Random, fees: FeeCatalogue | None = None
    ) -> Ledger:
        """Return a ledger with ``fees`` (default: those that ship) that writes to ``store`` this way."""
        compare_and_swap = store.compare_and_swap if self.swaps else None
        return Ledger(
            store, clock=clock, randomness=randomness, fees=fees or shipped_fees(), compare_and_swap=compare_and_swap
        )

    async def create_table(self, store: AsyncEngine) -> None:
        """Create the payments table unless it exists; if writes are swaps, the store gets the shipped rules."""
        await create_table(store, TABLE_NAME)
        if self.swaps and store.engine.rules_document(TABLE_NAME) is None:
            store.engine.put_rules_document(TABLE_NAME, _shipped_rules())


SWAP: Final = WritePath("swap", swaps=True, write_operation="Swap")
TRANSACTION: Final = WritePath("transaction", swaps=False, write_operation="TransactWriteItems")
WRITE_PATHS: Final = (SWAP, TRANSACTION)
STORM_PATH: Final = replace(TRANSACTION, storm=int(STORM_SEED or 0))


def paths_of(marker: pytest.Mark | None) -> list[WritePath]:
    """Return the paths that a test runs on: both, unless ``marker`` names one and gives the reason."""
    if STORM_SEED is not None:
        return [] if marker is not None and (SWAP.name,) == marker.args else [STORM_PATH]
    if marker is None:
        return list(WRITE_PATHS)
    paths = [path for path in WRITE_PATHS if (path.name,) == marker.args]
    reason = marker.kwargs.get("reason")
    if not paths or not isinstance(reason, str) or not reason.strip() or len(marker.kwargs) != 1:
        names = " or ".join(path.name for path in WRITE_PATHS)
        raise ValueError(f'{MARKER}: must be ({names}, reason="..."); got {marker.args} {dict(marker.kwargs)}')
    return paths


class Wrapped:
    """A store in front of an embedded one. Every request, by API or by swap, goes through :meth:`passing`.

    Requests have their names in the API, except that a swap is a ``Swap``.
    """

    def __init__(self, behind: EmbeddedStore) -> None:
        self.behind = behind

    async def passing(self, operation: str, request: Mapping[str, Any], go_on: Callable[[], Awaitable[T]]) -> T:
        """Carry out one request by ``go_on``. Subclasses note it, delay it or make it fail."""
        return await go_on()

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        return await self.passing(operation, request, lambda: self.behind.call(operation, request))

    async def close(self) -> None:
        await self.behind.close()

    @property
    def compare_and_swap(self) -> CompareAndSwap:
        return _WrappedCompareAndSwap(self)


class _WrappedCompareAndSwap:
    def __init__(self, store: Wrapped) -> None:
        self._store = store
        self._behind = store.behind.compare_and_swap

    async def get(self, table: str, key: WholeItem) -> dict[str, Any] | None:
        request = {"TableName": table, "Key": key}
        return await self._store.passing("GetItem", request, lambda: self._behind.get(table, key))

    async def partition(self, table: str, value: WholeItem, begins: str = "") -> list[dict[str, Any]]:
        request = {"TableName": table, "Partition": value, "Begins": begins}
        return await self._store.passing("Query", request, lambda: self._behind.partition(table, value, begins))

    async def swap(self, table: str, swaps: Sequence[Swap], rules: str) -> None:
        request = {"TableName": table, "Swaps": swaps}
        await self._store.passing(SWAP.write_operation, request, lambda: self._behind.swap(table, swaps, rules))
