"""Every step of the ledger continues the chain of events."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.payments import Attempt, Ledger
from bursar.payments.event_chain import CHAIN_BEGINS, event_hash
from tests.support.payments.stage import PAID, REFERENCE, SETTLING, TOKEN, Listening, Wall, processing
from tests.support.payments.tampering import items_of, take_chain_away

Start = Callable[..., Awaitable[Attempt]]


@pytest.fixture
def engine(store: Listening) -> AsyncEngine:
    assert isinstance(store.behind, AsyncEngine)
    return store.behind


async def events_of(engine: AsyncEngine, attempt: Attempt) -> list[dict[str, Any]]:
    mine = {"S": attempt.agency_tracking_id}
    items = await items_of(engine, attempt.client, attempt.reference)
    return [item for item in items if item["kind"] == {"S": "event"} and item["agencyTrackingId"] == mine]


def hashes_held(events: list[dict[str, Any]]) -> list[str]:
    return [event["previousHash"]["S"] for event in events]


async def test_each_event_holds_the_hash_of_the_event_before_it(
    ledger: Ledger, start: Start, engine: AsyncEngine, wall: Wall
) -> None:
    attempt = await processing(ledger, start)
    attempt = await ledger.record_unknown(attempt, "the answer was lost")
    attempt = await ledger.set_due(attempt, wall.now + 60)
    wall.pass_s(60)
    attempt = await ledger.take_over_lease(attempt, "worker-2", 30)
    attempt = await ledger.record_outcome(attempt, SETTLING, actor="portal")
    attempt = await ledger.record_outcome(attempt, PAID, actor="sweeper")
    events = await events_of(engine, attempt)
    assert len(events) == 7
    assert hashes_held(events) == [CHAIN_BEGINS, *map(event_hash, events[:-1])]
    assert attempt.event_hash == event_hash(events[-1])
    assert (await ledger.reread(attempt)).event_hash == attempt.event_hash


async def test_the_first_event_of_a_further_attempt_holds_the_hash_of_the_previous_attempts_last(
    ledger: Ledger, start: Start, engine: AsyncEngine
) -> None:
    first = await ledger.record_token(await start(), TOKEN)
    first = await ledger.fail(first, event="expired", actor="sweeper", return_code="5009", return_detail="expired")
    second = await start()
    last_of_first = (await events_of(engine, first))[-1]
    assert hashes_held(await events_of(engine, second)) == [event_hash(last_of_first)] == [first.event_hash]


async def test_the_next_event_begins_the_chain_of_an_attempt_that_was_stored_without(
    ledger: Ledger, start: Start, engine: AsyncEngine
) -> None:
    attempt = await start()
    await take_chain_away(engine, "dawson", REFERENCE)
    older = await ledger.reread(attempt)
    assert older.event_hash is None
    attempt = await ledger.record_token(older, TOKEN)
    attempt = await ledger.take_lease(attempt, "worker-1", 30)
    first, second, third = await events_of(engine, attempt)
    assert "previousHash" not in first
    assert hashes_held([second, third]) == [CHAIN_BEGINS, event_hash(second)]
    assert attempt.event_hash == event_hash(third)


async def test_the_first_event_of_a_further_attempt_begins_the_chain_after_one_without(
    ledger: Ledger, start: Start, engine: AsyncEngine
) -> None:
    first = await start()
    await ledger.fail(first, event="start_failed", actor="portal", return_code=None, return_detail="refused")
    await take_chain_away(engine, "dawson", REFERENCE)
    assert hashes_held(await events_of(engine, await start())) == [CHAIN_BEGINS]
