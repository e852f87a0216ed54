"""Whole payments by several concurrent workers; a seed interleaves all their requests.

Each worker does what a portal does: start or join the attempt, get a token, take the lease, complete, record. Pay.gov
is a dictionary that counts. Every order must give one charge, one processed attempt and one unbroken history. The tests
run on both write paths, and with compiled transactions to an engine that guards the same rules.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from bursar.payments import Attempt, AttemptMoved, Fee, Ledger, LedgerBusy, ObligationTaken, Outcome
from tests.support.payments.stage import REFERENCE, Listening, Wall
from tests.support.write_paths import SWAP, EmbeddedStore, Wrapped, WritePath

T = TypeVar("T")
WORKERS = 4
TURNS_MAX = 3


class Jittery(Wrapped):
    """A store that yields to other tasks, a random number of times, before and after each request."""

    def __init__(self, behind: EmbeddedStore, randomness: random.Random) -> None:
        super().__init__(behind)
        self.randomness = randomness

    async def passing(self, operation: str, request: Mapping[str, Any], go_on: Callable[[], Awaitable[T]]) -> T:
        await self.wait()
        reply = await go_on()
        await self.wait()
        return reply

    async def wait(self) -> None:
        for _ in range(self.randomness.randrange(TURNS_MAX)):
            await asyncio.sleep(0)


class Worker:
    """One process of a portal that tries to get the obligation paid."""

    def __init__(self, name: str, ledger: Ledger, fee: Fee, charges: dict[str, int]) -> None:
        self.name = name
        self.ledger = ledger
        self.fee = fee
        self.charges = charges  # token → number of completes

    async def pay(self) -> None:
        try:
            attempt = await self.begun()
            attempt = await self.ledger.take_lease(attempt, self.name, 30)
        except (AttemptMoved, ObligationTaken, LedgerBusy):
            return
        assert attempt.token is not None
        self.charges[attempt.token] = self.charges.get(attempt.token, 0) + 1
        await self.ledger.record_outcome(attempt, Outcome("processed", f"3F{attempt.token}", "Success"), actor="portal")

    async def fail_once(self) -> None:
        attempt = await self.started()
        await self.ledger.fail(attempt, event="start_failed", actor="portal", return_code=None, return_detail=None)

    async def started(self) -> Attempt:
        urls = ("https://app.example/success", "https://app.example/cancel")
        return await self.ledger.start_attempt("c", REFERENCE, self.fee, Decimal("60.00"), {"a": 1}, *urls)

    async def begun(self) -> Attempt:
        try:
            attempt = await self.started()
            return await self.ledger.record_token(attempt, f"token-of-{attempt.agency_tracking_id}")
        except ObligationTaken as taken:
            if taken.attempt is None or taken.attempt.status != "initiated":
                raise
            return taken.attempt


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("failed_before", [False, True], ids=["first attempt", "after a failed one"])
async def test_every_order_gives_one_charge(
    write_path: WritePath, store: Listening, wall: Wall, fee: Fee, seed: int, failed_before: bool
) -> None:
    await _pay_once(write_path, store, wall, fee, seed, failed_before)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("failed_before", [False, True], ids=["first attempt", "after a failed one"])
@pytest.mark.only_write_path("transaction", reason="a swap always runs under the engine's guard")
async def test_one_charge_where_the_engine_guards_compiled_transactions(
    write_path: WritePath, wall: Wall, fee: Fee, seed: int, failed_before: bool
) -> None:
    store = SWAP.open(clock=wall, randomness=random.Random(1))
    await SWAP.create_table(store)
    await _pay_once(write_path, store, wall, fee, seed, failed_before)
    await store.close()


async def _pay_once(
    write_path: WritePath, store: EmbeddedStore, wall: Wall, fee: Fee, seed: int, failed_before: bool
) -> None:
    randomness = random.Random(seed)
    charges: dict[str, int] = {}
    ledgers = [
        write_path.ledger(Jittery(store, randomness), clock=wall, randomness=random.Random(f"{seed}/{number}"))
        for number in range(WORKERS)
    ]
    workers = [Worker(f"worker-{number}", ledger, fee, charges) for number, ledger in enumerate(ledgers)]
    if failed_before:
        await workers[0].fail_once()
    while not charges:
        await asyncio.gather(*(worker.pay() for worker in workers))
    assert list(charges.values()) == [1]
    view = await ledgers[0].obligation("c", REFERENCE)
    assert view is not None
    assert [attempt.status for attempt in view.attempts] == ["failed"] * failed_before + ["processed"]
    names = [event.name for event in view.events][2 * failed_before :]
    assert names == ["started", "token_given", "claimed", "completed"]
