"""How an unknown outcome, a contradiction and a second collection are resolved, and when a person is called."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from bursar.paygov.simulator import SimulatorSettings
from bursar.paygov.simulator.books import Entry
from bursar.payments import Outcome
from bursar.portal.contract.errors import BadGateway, Conflict, GatewayTimeout
from bursar.portal.state.portal import REFRESH_MIN_S
from bursar.portal.upkeep.attention import CLOCK_SET_BACK, NO_LOOKUP, acknowledge, attention
from bursar.portal.upkeep.sweep import sweep
from bursar.portal.use_cases.payment_details import details
from bursar.portal.use_cases.resolution import OTHER_TAKES_MONEY
from tests.support.portal.stage import DAWSON, HOUR_S, Stage, on_stage
from tests.support.write_paths import WritePath

DAY_S = 24 * HOUR_S


async def _sweep_for(stage: Stage, seconds: float, every_s: float = 600.0) -> None:
    for _ in range(int(seconds / every_s)):
        await asyncio.sleep(every_s)
        await sweep(stage.portal)


# ---- a token that Pay.gov refused


@on_stage
async def test_a_payer_who_comes_back_unpaid_can_still_pay_and_process(stage: Stage) -> None:
    token = await stage.init()
    with pytest.raises(GatewayTimeout, match="may not have paid yet"):
        await stage.process(token)
    await _sweep_for(stage, HOUR_S)
    stage.simulator.pay(token, "PLASTIC_CARD", "Success")
    assert (await stage.process(token)).status == "success"
    assert (stage.charges(), stage.watcher.alerts) == (1, [])


@on_stage
async def test_a_payer_who_comes_back_unpaid_many_times_can_still_pay_and_process(stage: Stage) -> None:
    token = await stage.init()
    for _ in range(5):
        with pytest.raises(GatewayTimeout, match="may not have paid yet"):
            await stage.process(token)
        attempt = await stage.attempt(token)
        assert (attempt.outcome_unknown, attempt.repeat_used, attempt.lease_owner) == (True, False, None)
        await _sweep_for(stage, HOUR_S / 3)
    stage.simulator.pay(token, "PLASTIC_CARD", "Success")
    assert (await stage.process(token)).status == "success"
    assert (stage.charges(), stage.watcher.alerts) == (1, [])


@on_stage
async def test_a_repeated_complete_without_an_answer_is_the_last_one_also_after_refusals(stage: Stage) -> None:
    token = await stage.init()
    for _ in range(3):
        with pytest.raises(GatewayTimeout):
            await stage.process(token)
        await asyncio.sleep(REFRESH_MIN_S)
    stage.simulator.pay(token, "PLASTIC_CARD", "Success")
    stage.misbehave("drop", operations=("complete",), takes_place=False, times=1)
    for _ in range(3):
        with pytest.raises(GatewayTimeout):
            await stage.process(token)
        await asyncio.sleep(REFRESH_MIN_S)
    completes = [outcome for operation, outcome in stage.watcher.calls if operation == "complete"]
    assert completes == ["Fault", "Fault", "Fault", "TimedOut"]
    assert ((await stage.attempt(token)).repeat_used, stage.charges()) == (True, 0)


@on_stage
async def test_another_fault_after_refusals_decides_nothing(stage: Stage) -> None:
    token = await stage.init()
    with pytest.raises(GatewayTimeout):
        await stage.process(token)
    await asyncio.sleep(REFRESH_MIN_S)
    stage.misbehave("fault", operations=("complete",), code="3001", times=1)
    with pytest.raises(GatewayTimeout):
        await stage.process(token)
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.outcome_unknown, attempt.repeat_used) == ("processing", True, True)


@on_stage
async def test_an_unpaid_token_that_was_processed_ends_without_a_person(stage: Stage) -> None:
    token = await stage.init()
    with pytest.raises(GatewayTimeout):
        await stage.process(token)
    await _sweep_for(stage, 3 * HOUR_S)
    assert ((await stage.attempt(token)).status, await attention(stage.portal)) == ("processing", [])
    await _sweep_for(stage, 2 * HOUR_S)
    assert ((await stage.attempt(token)).status, stage.watcher.alerts) == ("failed", [])


@on_stage(query=False)
async def test_without_a_lookup_a_person_is_told_what_is_missing(stage: Stage) -> None:
    token = await stage.init()
    with pytest.raises(GatewayTimeout):
        await stage.process(token)
    await asyncio.sleep(HOUR_S + 1)
    [wanted] = await attention(stage.portal)
    assert wanted.reason.endswith(NO_LOOKUP)


@on_stage(settings=SimulatorSettings(lookup_delay_s=120.0))
async def test_a_refused_second_complete_calls_no_person_while_a_lookup_will_decide(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("drop", operations=("complete",), times=1)
    for _ in range(2):
        with pytest.raises(GatewayTimeout):
            await stage.process(token)
        await asyncio.sleep(5)
    attempt = await stage.attempt(token)
    assert (attempt.repeat_used, attempt.return_code) == (True, "4117")
    assert await attention(stage.portal) == []
    await _sweep_for(stage, 300.0, every_s=5.0)
    assert ((await stage.attempt(token)).status, stage.charges(), stage.watcher.alerts) == ("processed", 1, [])


# ---- a collection that does not fit


@pytest.mark.parametrize("kind", ["wrong_agency", "wrong_amount"])
def test_one_answer_that_does_not_fit_is_asked_again(write_path: WritePath, kind: str) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        token = await stage.paid()
        stage.misbehave(kind, operations=("complete", "query"), times=1)
        assert (await stage.process(token)).status == "success"
        assert (stage.charges(), stage.watcher.alerts) == (1, [])

    scene(write_path)


@on_stage
async def test_one_lookup_that_does_not_fit_is_asked_again(stage: Stage) -> None:
    token = await stage.paid()
    await stage.lose_reply(token)
    stage.misbehave("wrong_amount", operations=("query",), times=1)
    assert (await stage.process(token)).status == "success"
    assert stage.watcher.alerts == []


@on_stage
async def test_another_amount_that_paygov_repeats_is_named_to_a_person_at_once(stage: Stage) -> None:
    reference = stage.reference()
    token = await stage.paid(reference=reference)
    entry = stage.simulator.books.entry(token)
    assert entry is not None
    entry.amount = Decimal("61.00")
    with pytest.raises(BadGateway):
        await stage.process(token)
    await _sweep_for(stage, 5 * HOUR_S)
    [wanted] = await attention(stage.portal)
    assert wanted.reason == "Pay.gov's answer is about another amount: 61.00 instead of 60.00"
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.event_seq) == ("processing", 4), "its history does not grow"
    with pytest.raises(Conflict):
        await stage.init(reference)


@on_stage
async def test_a_contradiction_that_only_a_lookup_shows_becomes_the_reason(stage: Stage) -> None:
    token = await stage.paid()
    entry = stage.simulator.books.entry(token)
    assert entry is not None
    entry.amount = Decimal("61.00")
    stage.misbehave("drop", operations=("complete",), times=1)
    with pytest.raises(GatewayTimeout):
        await stage.process(token)
    await _sweep_for(stage, HOUR_S / 2)
    [wanted] = await attention(stage.portal)
    assert wanted.reason.endswith("61.00 instead of 60.00")
    assert wanted.since < stage.loop.clock() - HOUR_S / 3, "it waits since the reply was lost"
    entry.amount = Decimal("60.00")
    await _sweep_for(stage, HOUR_S)
    assert (await stage.attempt(token)).status == "processed"


# ---- a settling payment


@on_stage
async def test_changing_words_do_not_restart_the_age_of_a_settling_payment(stage: Stage) -> None:
    stage.simulator.settings = replace(stage.simulator.settings, ach_settle_s=30 * DAY_S)
    token = await stage.paid("ACH")
    await stage.process(token)
    words = ("Submitted", "Waiting")
    stage.simulator.status = lambda entry: words[int(stage.loop.clock() / 7200) % 2]
    stage.watcher.calls.clear()
    await _sweep_for(stage, 10 * DAY_S + 7200, every_s=1800.0)
    attempt = await stage.attempt(token)
    assert attempt.event_seq > 20
    assert attempt.unsettled_since is not None
    [wanted] = await attention(stage.portal)
    assert (wanted.since, wanted.reason[:29]) == (attempt.unsettled_since, "Pay.gov has not settled it: S")
    assert len(stage.watcher.calls) < 60, "a new word does not begin the polls again"


async def _pending_with_a_second_collection(stage: Stage, second: str, reference: str) -> tuple[str, str]:
    """Return the token of a settling payment, and the id of a second collection of it, which a person knows of.

    ``second`` is the payment type of the second collection, made at Pay.gov by another start of the same attempt.
    """
    token = await stage.paid("ACH", "Failed", reference=reference)
    await stage.process(token)
    attempt = await stage.attempt(token)
    other = await stage.portal.paygov.start(
        tcs_app_id=attempt.tcs_app_id,
        agency_tracking_id=attempt.agency_tracking_id,
        amount=attempt.amount,
        url_success=attempt.url_success,
        url_cancel=attempt.url_cancel,
    )
    stage.simulator.pay(other, second, "Success")
    entry = stage.simulator.complete(attempt.tcs_app_id, other)
    assert entry.paygov_tracking_id is not None
    return token, entry.paygov_tracking_id


@pytest.mark.parametrize("query", [True, False], ids=["a lookup finds it", "a contradiction names it"])
@pytest.mark.parametrize("second", ["PLASTIC_CARD", "ACH"])
def test_a_payment_does_not_fail_while_another_collection_of_it_takes_money(
    write_path: WritePath, query: bool, second: str
) -> None:
    @on_stage(query=query)
    async def scene(stage: Stage) -> None:
        reference = stage.reference()
        stage.simulator.settings = replace(stage.simulator.settings, ach_settle_s=HOUR_S)
        token, other = await _pending_with_a_second_collection(stage, second, reference)
        attempt = await stage.attempt(token)
        if not query:
            await stage.ledger.contradictions.keep(attempt, Outcome("pending", other, "Received"))
            await acknowledge(stage.portal, attempt.agency_tracking_id, by="Ada", reason="asked Pay.gov")
        await _sweep_for(stage, 6 * HOUR_S)
        assert (await stage.attempt(token)).status == "pending", "its own collection failed, the other one did not"
        with pytest.raises(Conflict, match="settling"):
            await stage.init(reference)
        assert "charged twice" in stage.watcher.alerts
        wanted = [each.reason for each in await attention(stage.portal)]
        assert any(f"Pay.gov says processed as {other}" in reason for reason in wanted)

    scene(write_path)


@pytest.mark.parametrize("word", ["Received", "Submitted", "Pending", "Waiting"])
def test_a_bounced_payment_waits_while_another_collection_of_it_is_still_settling(
    write_path: WritePath, word: str
) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        token, other = await _pending_with_a_second_collection(stage, "ACH", stage.reference())
        honest = stage.simulator.status

        def status(entry: Entry) -> str:
            return word if entry.paygov_tracking_id == other else honest(entry)

        stage.simulator.status = status
        await _sweep_for(stage, DAY_S, every_s=1800.0)
        attempt = await stage.attempt(token)
        reported = await stage.ledger.contradictions.of(attempt.agency_tracking_id)
        assert (attempt.status, [each.reported_status for each in reported]) == ("pending", ["pending"])

    scene(write_path)


@on_stage
async def test_a_payment_fails_once_every_collection_of_it_has_failed(stage: Stage) -> None:
    token, other = await _pending_with_a_second_collection(stage, "ACH", stage.reference())
    entry = stage.simulator.books.entry_of_paygov_id(other)
    assert entry is not None
    entry.outcome = "Failed"
    await _sweep_for(stage, HOUR_S)
    assert (await stage.attempt(token)).status == "failed"
    assert OTHER_TAKES_MONEY not in str(stage.watcher.alerts)


@on_stage
async def test_a_bounced_debit_waits_while_its_other_collections_cannot_be_asked_about(stage: Stage) -> None:
    token = await stage.paid("ACH", "Failed")
    await stage.process(token)
    stage.misbehave("refuse", operations=("query",))
    await _sweep_for(stage, HOUR_S)
    assert (await stage.attempt(token)).status == "pending"
    stage.plan.clear()
    await _sweep_for(stage, 6 * HOUR_S)
    assert (await stage.attempt(token)).status == "failed"


# ---- a process that was killed while it waited for Pay.gov


@on_stage
async def test_the_charge_of_a_killed_process_is_found_before_its_lease_ends(stage: Stage) -> None:
    token = await stage.paid()
    leased = await stage.ledger.take_lease(await stage.attempt(token), "a process that died", 90.0)
    await asyncio.sleep(29)
    assert (await sweep(stage.portal)).swept == 0
    stage.simulator.complete(leased.tcs_app_id, token)
    await asyncio.sleep(1)
    assert (await sweep(stage.portal)).results == {"settled": 1}
    assert ((await stage.attempt(token)).status, stage.charges()) == ("processed", 1)


@on_stage
async def test_nothing_is_completed_or_ended_while_a_killed_process_may_be_alive(stage: Stage) -> None:
    token = await stage.paid()
    await stage.ledger.take_lease(await stage.attempt(token), "a slow process", 90.0)
    for _ in range(8):
        await asyncio.sleep(10)
        await sweep(stage.portal)
        attempt = await stage.attempt(token)
        assert (attempt.lease_owner, attempt.outcome_unknown) == ("a slow process", False)
    assert [operation for operation, _ in stage.watcher.calls] == ["start", "query", "query"]
    await asyncio.sleep(15)
    await sweep(stage.portal)
    assert ((await stage.attempt(token)).status, stage.charges()) == ("processed", 1)


@on_stage
async def test_nothing_ends_under_a_lease_also_when_the_token_has_been_dead_for_long(stage: Stage) -> None:
    token = await stage.init()
    await stage.ledger.take_lease(await stage.attempt(token), "a process before the clock was set back", 6 * HOUR_S)
    for _ in range(5):
        await asyncio.sleep(HOUR_S)
        await sweep(stage.portal)
        assert (await details(stage.portal, DAWSON, (await stage.attempt(token)).reference)).status == "pending"
    assert (await stage.attempt(token)).status == "processing"
    await asyncio.sleep(2 * HOUR_S)
    await sweep(stage.portal)
    assert (await stage.attempt(token)).status == "failed"


@on_stage(query=False)
async def test_without_a_lookup_nothing_is_asked_during_a_lease(stage: Stage) -> None:
    token = await stage.paid()
    await stage.ledger.take_lease(await stage.attempt(token), "a slow process", 90.0)
    await asyncio.sleep(60)
    assert (await sweep(stage.portal)).results == {"not_due": 1}


# ---- a clock that was set back


async def _leased_in_the_future(stage: Stage, reference: str) -> str:
    """Return a token under the lease of a dead process, as after the clock was set back by an hour."""
    token = await stage.paid(reference=reference)
    await stage.ledger.take_lease(await stage.attempt(token), "a process that died", HOUR_S + 90.0)
    return token


@on_stage
async def test_a_lease_that_ends_far_in_the_future_is_listed(stage: Stage) -> None:
    token = await _leased_in_the_future(stage, stage.reference())
    [wanted] = await attention(stage.portal)
    assert wanted.reason == f"{CLOCK_SET_BACK}: its lease ends in 62 minutes and lasts 90 s"
    with pytest.raises(Conflict):
        await stage.process(token)
    assert stage.charges() == 0, "its holder may live: it is not completed again"
    await asyncio.sleep(HOUR_S)
    assert await attention(stage.portal) == []


@on_stage
async def test_a_lease_of_a_usual_length_is_not_listed(stage: Stage) -> None:
    token = await stage.paid()
    await stage.ledger.take_lease(await stage.attempt(token), "a process", 90.0)
    assert await attention(stage.portal) == []
    with pytest.raises(Conflict):
        await stage.process(token)
    assert ("query", "answered") not in stage.watcher.calls


@on_stage
async def test_a_charge_under_a_lease_in_the_future_is_found_by_details(stage: Stage) -> None:
    reference = stage.reference()
    token = await _leased_in_the_future(stage, reference)
    stage.simulator.complete((await stage.attempt(token)).tcs_app_id, token)
    assert (await details(stage.portal, DAWSON, reference)).status == "success"
    assert stage.charges() == 1
