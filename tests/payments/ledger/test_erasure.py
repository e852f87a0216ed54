"""Erasure of metadata: only of obligations that have ended, in one transaction, with an event, permanently."""

import random
from collections.abc import Awaitable, Callable

import pytest

from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.payments import (
    Attempt,
    Ledger,
    LedgerBusy,
    MetadataDiffers,
    MetadataErased,
    NoSuchEdge,
    ObligationTaken,
)
from bursar.payments.audit.chain_audit import audit_chains
from bursar.payments.ledger.erasure import ERASE_TRIES_MAX, ErasureResult
from bursar.payments.ledger.table import TABLE_NAME
from bursar.rules import Contention, RuleRefused, Update
from bursar.rules.audit.table_audit import audit_table
from tests.support.payments.stage import PAID, REFERENCE, Listening, Wall, history, pending, processing
from tests.support.payments.tampering import items_of
from tests.support.write_paths import WritePath

Start = Callable[..., Awaitable[Attempt]]
DAY_S = 24 * 3600
SECRET = "ada@example.org"


@pytest.fixture
def engine(store: Listening) -> AsyncEngine:
    assert isinstance(store.behind, AsyncEngine)
    return store.behind


@pytest.fixture
def begin(start: Start) -> Start:
    """Return a function that starts an attempt with personal data."""
    return lambda **changes: start(**{"metadata": {"docketNumber": SECRET}, **changes})


async def failed(ledger: Ledger, start: Start) -> Attempt:
    return await ledger.fail(
        await start(), event="start_failed", actor="portal", return_code=None, return_detail="refused"
    )


async def erase(ledger: Ledger, wall: Wall, *, days: float = 0, dry_run: bool = False) -> tuple[ErasureResult, int]:
    before = wall.now - days * DAY_S
    return await ledger.erasure.erase(
        "dawson", REFERENCE, ended_before=before, by="A. Clerk", reason="retention", dry_run=dry_run
    )


async def test_nothing_of_the_metadata_is_left_in_the_table(
    ledger: Ledger, begin: Start, wall: Wall, engine: AsyncEngine
) -> None:
    await failed(ledger, begin)
    paid = await ledger.record_outcome(await processing(ledger, begin), PAID, actor="portal")
    assert SECRET in str(await items_of(engine, "dawson", REFERENCE))
    wall.pass_s(1)
    assert await erase(ledger, wall) == ("erased", 2)
    assert SECRET not in str(await engine.call("Scan", {"TableName": TABLE_NAME}))
    view = await ledger.obligation("dawson", REFERENCE)
    assert view is not None
    assert [attempt.metadata for attempt in view.attempts] == [{}, {}]
    assert {view.obligation.metadata_erased_at, *(a.metadata_erased_at for a in view.attempts)} == {wall.now}
    assert view.attempts[1].updated_at == paid.updated_at
    assert (await history(ledger, view.attempts[1]))[-1] == "metadata_erased"
    event = view.events[-1]
    assert (event.actor, event.from_status, event.to_status) == ("operator", "processed", "processed")
    assert (event.at, event.detail) == (wall.now, {"by": "A. Clerk", "reason": "retention"})


async def test_chains_and_rules_hold_after_an_erasure(
    write_path: WritePath, ledger: Ledger, begin: Start, wall: Wall, engine: AsyncEngine
) -> None:
    await failed(ledger, begin)
    await failed(ledger, begin)
    wall.pass_s(1)
    await erase(ledger, wall)
    chains = await audit_chains(engine, TABLE_NAME)
    assert (chains.count, chains.counts.events) == (0, 6)
    rules = await audit_table(engine, TABLE_NAME, ledger.rules, randomness=random.Random(1))
    assert rules.findings == []


async def test_an_erasure_is_one_transaction(
    write_path: WritePath, ledger: Ledger, begin: Start, wall: Wall, store: Listening
) -> None:
    await failed(ledger, begin)
    await failed(ledger, begin)
    wall.pass_s(1)
    store.clear()
    await erase(ledger, wall)
    assert store.operations == ["Query", write_path.write_operation]


async def test_an_obligation_is_erased_once(ledger: Ledger, begin: Start, wall: Wall) -> None:
    attempt = await failed(ledger, begin)
    wall.pass_s(1)
    assert await erase(ledger, wall) == ("erased", 1)
    assert await erase(ledger, wall) == ("erased before", 0)
    assert await history(ledger, attempt) == ["started", "start_failed", "metadata_erased"]


async def test_an_attempt_that_ended_too_recently_keeps_all_of_its_obligation(
    ledger: Ledger, begin: Start, wall: Wall
) -> None:
    await failed(ledger, begin)
    wall.pass_s(10 * DAY_S)
    await failed(ledger, begin)
    assert await erase(ledger, wall, days=1) == ("too recent", 2)
    wall.pass_s(DAY_S + 1)
    assert await erase(ledger, wall, days=1) == ("erased", 2)


async def test_an_erasure_by_a_slow_clock_is_not_before_the_end_of_the_attempt(
    ledger: Ledger, begin: Start, wall: Wall
) -> None:
    attempt = await failed(ledger, begin)
    wall.pass_s(-3600)
    assert await erase(ledger, wall, days=-1) == ("erased", 1)
    view = await ledger.obligation(attempt.client, attempt.reference)
    assert view is not None
    assert [event.at for event in view.events if event.name == "metadata_erased"] == [attempt.updated_at]


async def test_a_live_attempt_keeps_its_obligation(ledger: Ledger, begin: Start, wall: Wall) -> None:
    await pending(ledger, begin)
    wall.pass_s(100 * DAY_S)
    assert await erase(ledger, wall) == ("live", 1)


async def test_a_dry_run_writes_nothing(ledger: Ledger, begin: Start, wall: Wall) -> None:
    attempt = await failed(ledger, begin)
    wall.pass_s(1)
    assert await erase(ledger, wall, dry_run=True) == ("erased", 1)
    assert (await ledger.reread(attempt)).metadata == {"docketNumber": SECRET}


async def test_an_unknown_obligation_has_nothing_to_erase(ledger: Ledger, wall: Wall) -> None:
    assert await erase(ledger, wall) == ("erased before", 0)


async def test_a_store_that_stays_contended_is_busy_and_nothing_is_erased(
    ledger: Ledger, begin: Start, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = await failed(ledger, begin)
    wall.pass_s(1)
    tries: list[object] = []

    async def contended(writes: object) -> None:
        tries.append(writes)
        raise Contention("another writer was faster")

    with monkeypatch.context() as patch:
        patch.setattr(ledger._ruled, "write", contended)
        with pytest.raises(LedgerBusy):
            await erase(ledger, wall)
    assert len(tries) == ERASE_TRIES_MAX
    assert (await ledger.reread(attempt)).metadata_erased_at is None


async def test_an_attempt_that_began_meanwhile_is_erased_by_the_next_run(
    ledger: Ledger, begin: Start, wall: Wall
) -> None:
    """Start an attempt whose caller has read the obligation before its erasure."""
    await failed(ledger, begin)
    read = ledger.obligation

    async def stale(*_: object, **__: object) -> object:
        return view

    view = await read("dawson", REFERENCE, events=False)
    wall.pass_s(1)
    await erase(ledger, wall)
    ledger.obligation = stale  # type: ignore[assignment]  # a read of a moment ago
    late = await failed(ledger, begin)
    ledger.obligation = read
    assert late.metadata == {"docketNumber": SECRET}
    wall.pass_s(1)
    assert await erase(ledger, wall) == ("erased", 1)
    assert (await ledger.reread(late)).metadata == {}


async def test_an_erased_obligation_can_have_no_further_attempt(ledger: Ledger, begin: Start, wall: Wall) -> None:
    await failed(ledger, begin)
    wall.pass_s(1)
    await erase(ledger, wall)
    with pytest.raises(MetadataErased, match="the metadata are erased"):
        await begin()
    with pytest.raises(MetadataErased):
        await begin(metadata={})


async def test_another_fee_differs_also_after_an_erasure(ledger: Ledger, begin: Start, wall: Wall) -> None:
    from tests.support.write_paths import shipped_fees

    await failed(ledger, begin)
    wall.pass_s(1)
    await erase(ledger, wall)
    other = shipped_fees().fee("COPY_FEE", wall.now)
    assert other is not None
    with pytest.raises(MetadataDiffers, match="fee"):
        await begin(fee=other)


async def test_a_paid_obligation_is_paid_also_after_an_erasure(ledger: Ledger, begin: Start, wall: Wall) -> None:
    await ledger.record_outcome(await processing(ledger, begin), PAID, actor="portal")
    wall.pass_s(1)
    await erase(ledger, wall)
    with pytest.raises(ObligationTaken):
        await begin()


async def test_metadata_never_come_back(ledger: Ledger, begin: Start, wall: Wall) -> None:
    attempt = await failed(ledger, begin)
    wall.pass_s(1)
    await erase(ledger, wall)
    item = (await ledger.reread(attempt)).stored_item
    assert item is not None
    with pytest.raises(RuleRefused, match="attempt-identity"):
        await ledger._ruled.write([Update(item, {**item, "metadata": {"S": "{}"}})])


async def test_the_journal_records_no_erasure(ledger: Ledger, begin: Start) -> None:
    attempt = await processing(ledger, begin)
    with pytest.raises(NoSuchEdge):
        await ledger._journal.record(attempt, "metadata_erased", "operator")
