"""Daily roots: what they cover, how an auditor computes them, and that each is stored once."""

import asyncio
import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from datetime import date, timedelta

import pytest

from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.payments import Attempt, Ledger
from bursar.payments.event_chain import CHAIN_BEGINS, event_hash
from bursar.payments.ledger.store_records.daily_roots import PARTITION, DailyRoot, day_of, start_of
from bursar.rules import RuleRefused, Update
from tests.support.payments.stage import PAID, TOKEN, Listening, Wall, processing
from tests.support.payments.tampering import items_of, put

Start = Callable[..., Awaitable[Attempt]]
DAY = date(2026, 11, 22)  # of the stage's clock
NEXT = DAY + timedelta(days=1)


@pytest.fixture
def engine(store: Listening) -> AsyncEngine:
    assert isinstance(store.behind, AsyncEngine)
    return store.behind


async def test_an_auditor_computes_the_root_from_the_hashes_of_the_days_events(
    ledger: Ledger, start: Start, engine: AsyncEngine, wall: Wall
) -> None:
    one = await start(reference="one")
    wall.pass_s(1)
    other = await ledger.record_token(await start(reference="other"), TOKEN)
    wall.pass_s(24 * 3600)
    await ledger.take_lease(other, "worker-1", 30)
    items = [*await items_of(engine, "dawson", one.reference), *await items_of(engine, "dawson", other.reference)]
    events = [item for item in items if item["kind"] == {"S": "event"} and item["at"]["S"].startswith("2026-11-22")]
    assert len(events) == 3
    events.sort(key=lambda event: (event["at"]["S"], event["agencyTrackingId"]["S"], int(event["seq"]["N"])))
    lines = "".join(f"{line}\n" for line in ["2026-11-22", CHAIN_BEGINS, *map(event_hash, events)])
    expected = urlsafe_b64encode(hashlib.sha256(lines.encode()).digest()).decode().rstrip("=")
    assert await ledger.daily_roots.compute(DAY, None) == DailyRoot("2026-11-22", expected, 3, wall.now)


async def test_a_root_covers_the_root_before_it(ledger: Ledger, start: Start) -> None:
    await start()
    first = await ledger.daily_roots.compute(DAY, None)
    assert first.root != (await ledger.daily_roots.compute(DAY, "x" * 43)).root


async def test_the_days_meet_at_midnight_utc(ledger: Ledger, start: Start, wall: Wall) -> None:
    wall.now = start_of(NEXT) - 0.001
    await start(reference="last of its day")
    wall.now = start_of(NEXT)
    await start(reference="first of the next")
    assert [(await ledger.daily_roots.compute(day, None)).events for day in (DAY, NEXT)] == [1, 1]
    assert [day_of(wall.now - 0.001), day_of(wall.now)] == [DAY, NEXT]


async def test_a_day_is_sealed_once(ledger: Ledger, start: Start, wall: Wall) -> None:
    await start()
    sealed = await ledger.daily_roots.seal(DAY, None)
    wall.pass_s(60)
    await start(reference="later")
    assert await ledger.daily_roots.seal(DAY, None) == sealed
    assert await ledger.daily_roots.stored() == [sealed]


async def test_two_processes_seal_a_day_at_once(ledger: Ledger, start: Start) -> None:
    await start()
    one, other = await asyncio.gather(*(ledger.daily_roots.seal(DAY, None) for _ in range(2)))
    assert one == other == (await ledger.daily_roots.stored())[0]


async def test_a_stored_root_never_changes(ledger: Ledger, start: Start) -> None:
    await start()
    await ledger.daily_roots.seal(DAY, None)
    (item,) = await ledger._ruled.partition({"S": PARTITION})
    with pytest.raises(RuleRefused, match="daily-roots-append-only"):
        await ledger._ruled.write([Update(item, {**item, "root": {"S": "x"}})])


async def test_a_consistently_rewritten_chain_changes_the_root(
    ledger: Ledger, start: Start, engine: AsyncEngine
) -> None:
    attempt = await ledger.record_outcome(await processing(ledger, start), PAID, actor="portal")
    before = await ledger.daily_roots.compute(DAY, None)
    items = await items_of(engine, attempt.client, attempt.reference)
    last = next(item for item in items if item["sk"]["S"].endswith("#0004"))
    stored = next(item for item in items if item["kind"] == {"S": "attempt"})
    forged = last | {"detail": {"S": "{}"}}
    await put(engine, forged)
    await put(engine, stored | {"eventHash": {"S": event_hash(forged)}})
    assert (await ledger.daily_roots.compute(DAY, None)).root != before.root
