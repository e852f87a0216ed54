"""Whole payments by several workers at once, every request of theirs interleaved by a seed.

Each worker does what a portal does: start or join the attempt, fetch a token, claim, complete, record. Pay.gov is a
dictionary that counts. Whatever the order: one charge, one processed attempt, one unbroken history. Run on rules that
are compiled into the transactions alone, and on an engine that guards the same rules itself as well.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from bursar.dynamo.clients.store import Store
from bursar.dynamo.engine.engine import Engine
from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.payments import Attempt, AttemptMoved, Fee, Ledger, LedgerBusy, ObligationTaken, Outcome
from bursar.payments.ledger.table import TABLE_NAME
from bursar.rules.native import load_guard
from tests.support.payments.stage import REFERENCE, Wall

WORKERS = 4
TURNS_MAX = 3


@dataclass
class Jittery:
    """A store that lets others go first, for a while that ``randomness`` decides, before and after each request."""

    behind: Store
    randomness: random.Random

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        await self.wait()
        reply = await self.behind.call(operation, request)
        await self.wait()
        return reply

    async def wait(self) -> None:
        for _ in range(self.randomness.randrange(TURNS_MAX)):
            await asyncio.sleep(0)

    async def close(self) -> None:
        await self.behind.close()


@pytest.fixture(params=["compiled", "compiled and native"])
async def guarded(request: pytest.FixtureRequest, wall: Wall) -> AsyncIterator[AsyncEngine]:
    """An engine whose payments table is there, with or without the rules in force by itself."""
    engine = Engine.open(":memory:", clock=wall, randomness=random.Random(1), guard_loader=load_guard)
    store = AsyncEngine(engine)
    ledger = Ledger(store, clock=wall, randomness=random.Random(1))
    await ledger.create_table()
    if request.param != "compiled":
        engine.put_rules_document(TABLE_NAME, ledger.rules.to_toml())
    yield store
    await store.close()


class Worker:
    """One process of a portal, trying to see the obligation paid."""

    def __init__(self, name: str, ledger: Ledger, fee: Fee, charges: dict[str, int]) -> None:
        self.name = name
        self.ledger = ledger
        self.fee = fee
        self.charges = charges  # token → how often it was completed

    async def pay(self) -> None:
        try:
            attempt = await self.begun()
            attempt = await self.ledger.claim(attempt, self.name, 30)
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
async def test_one_charge_whatever_the_order(
    guarded: AsyncEngine, wall: Wall, fee: Fee, seed: int, failed_before: bool
) -> None:
    randomness = random.Random(seed)
    charges: dict[str, int] = {}
    ledgers = [
        Ledger(Jittery(guarded, randomness), clock=wall, randomness=random.Random(f"{seed}/{number}"))
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
    told = [event.name for event in view.events][2 * failed_before :]
    assert told == ["started", "token_given", "claimed", "completed"]
