"""The sweeper settles, resolves and expires: bounded, in many processes at once, during Pay.gov's outages."""

import asyncio
from unittest.mock import patch

import pytest

from bursar.paygov.simulator import SimulatorSettings
from bursar.payments.due import RECEIVED_AGE_MAX_S
from bursar.portal.contract.errors import GatewayTimeout, PortalError
from bursar.portal.state.circuit_breaker import COOL_DOWN_MAX_S, FAILURES_MAX
from bursar.portal.upkeep.attention import attention
from bursar.portal.upkeep.sweep import SweepReport, sweep
from tests.support.portal.stage import HOUR_S, UNUSED_S, Stage, on_stage


async def _sweep_for(stage: Stage, seconds: float, every: float = 5.0) -> list[SweepReport]:
    end = stage.loop.clock() + seconds
    reports = []
    while stage.loop.clock() < end:
        await asyncio.sleep(every)
        reports.append(await sweep(stage.portal))
    return reports


@on_stage
async def test_nothing_due_does_nothing(stage: Stage) -> None:
    await stage.init()
    assert await sweep(stage.portal) == SweepReport(swept=0)


@on_stage
async def test_ach_settles_and_bounces_by_itself(stage: Stage) -> None:
    good, bad = await stage.paid("ACH"), await stage.paid("ACH", "Failed")
    for token in (good, bad):
        await stage.process(token)
    await _sweep_for(stage, 60)
    assert [(await stage.attempt(token)).status for token in (good, bad)] == ["processed", "failed"]
    assert (await stage.events_of(await stage.attempt(bad)))[-1] == "bounced"


@on_stage
async def test_polls_become_rarer_with_age(stage: Stage) -> None:
    stage.simulator.settings = type(stage.simulator.settings)(ach_settle_s=4 * 24 * HOUR_S)
    await stage.process(await stage.paid("ACH"))
    await _sweep_for(stage, 24 * HOUR_S, every=300)
    asked = stage.watcher.calls.count(("details", "answered"))
    assert 6 <= asked <= 9


@on_stage(settings=SimulatorSettings(ach_settle_s=24 * HOUR_S))
async def test_the_next_questions_about_payments_of_one_age_are_spread_over_a_fifth_of_the_wait(stage: Stage) -> None:
    tokens = [await stage.paid("ACH") for _ in range(5)]
    for token in tokens:
        await stage.process(token)
    await asyncio.sleep(HOUR_S)
    asked_at, asked = stage.loop.clock(), await stage.attempt(tokens[0])
    wait_s = stage.ledger.due_policy.next_poll_at(asked, asked_at) - asked_at
    assert (await sweep(stage.portal)).results == {"still_open": 5}
    waits = {((await stage.attempt(token)).due_at or 0.0) - asked_at for token in tokens}
    assert len(waits) == 5
    assert wait_s < min(waits) < max(waits) < 1.2 * wait_s


@on_stage
async def test_an_attempt_whose_lease_is_late_is_asked_about_again_when_the_lease_ends(stage: Stage) -> None:
    attempt = await stage.attempt(await stage.paid())
    leased = await stage.ledger.take_lease(attempt, "a dead worker", 90.0)
    await asyncio.sleep(60)
    await sweep(stage.portal)
    after = await stage.ledger.reread(leased)
    assert (after.due_at, after.lease_until) == (leased.lease_until, leased.lease_until)
    assert ("query", "answered") in stage.watcher.calls


@on_stage
async def test_tokens_past_their_life_and_stuck_starts_are_failed(stage: Stage) -> None:
    expired = await stage.init()
    asked = stage.request()
    stuck = await stage.ledger.start_attempt(
        "dawson", asked.reference, asked.fee, asked.amount, asked.metadata, asked.url_success, asked.url_cancel
    )
    await asyncio.sleep(3 * HOUR_S + RECEIVED_AGE_MAX_S)
    report = await sweep(stage.portal)
    assert report.results == {"expired": 1, "abandoned": 1}
    assert (await stage.attempt(expired)).return_code == "5009"
    assert (await stage.ledger.reread(stuck)).status == "failed"


@on_stage
async def test_what_the_due_index_names_too_early_is_left_as_it_is(stage: Stage) -> None:
    initiated, released = await stage.attempt(await stage.init()), await stage.attempt(await stage.paid())
    leased = await stage.ledger.take_lease(released, "worker", 90.0)
    released = await stage.ledger.release_lease(leased, "worker", "nothing was sent")
    asked = stage.request()
    received = await stage.ledger.start_attempt(
        "dawson", asked.reference, asked.fee, asked.amount, asked.metadata, asked.url_success, asked.url_cancel
    )
    early = [await stage.ledger.set_due(each, stage.loop.clock()) for each in (initiated, released, received)]
    assert (await sweep(stage.portal)).results == {"not_due": 3}
    assert [await stage.ledger.reread(each) for each in early] == early


@on_stage
async def test_a_lost_success_is_found_and_recorded_once(stage: Stage) -> None:
    token = await stage.paid()
    await stage.lose_reply(token)
    await _sweep_for(stage, 30)
    assert ((await stage.attempt(token)).status, stage.charges()) == ("processed", 1)


@on_stage
async def test_a_payer_charged_twice_has_paid_and_an_alert_is_raised(stage: Stage) -> None:
    token = await stage.paid()
    await stage.lose_reply(token)
    attempt = await stage.attempt(token)
    second = await stage.portal.paygov.start(  # by an accident
        tcs_app_id=attempt.tcs_app_id,
        agency_tracking_id=attempt.agency_tracking_id,
        amount=attempt.amount,
        url_success=attempt.url_success,
        url_cancel=attempt.url_cancel,
    )
    stage.simulator.pay(second, "PLASTIC_CARD", "Success")
    await stage.portal.paygov.complete(tcs_app_id=attempt.tcs_app_id, token=second)
    with patch("bursar.portal.state.portal._log") as log:
        await _sweep_for(stage, 60)
    attempt = await stage.attempt(token)
    charges = {charge.paygov_tracking_id for charge in stage.simulator.books.charges(attempt.agency_tracking_id)}
    assert (attempt.status, len(charges), attempt.paygov_tracking_id in charges) == ("processed", 2, True)
    assert stage.watcher.alerts == ["charged twice"]
    [line] = [call.args[0] % call.args[1:] for call in log.error.call_args_list]
    assert attempt.agency_tracking_id in line
    assert all(tracking_id in line for tracking_id in charges)
    assert token not in line
    [wanted] = await attention(stage.portal)
    assert (wanted.attempt, wanted.contradicted) == (attempt, True)
    [other] = charges - {attempt.paygov_tracking_id}
    assert wanted.reason == f"Pay.gov says processed as {other}, recorded is processed as {attempt.paygov_tracking_id}"


@on_stage
async def test_a_complete_that_never_arrived_is_sent_once_more(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("http", operations=("complete",), times=1)
    with pytest.raises(PortalError):
        await stage.process(token)
    await _sweep_for(stage, 30)
    assert ((await stage.attempt(token)).status, stage.charges()) == ("processed", 1)


@on_stage
async def test_an_attempt_without_a_charge_fails_after_the_grace_of_its_token(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("http", operations=("complete",))
    with pytest.raises(PortalError):
        await stage.process(token)
    await _sweep_for(stage, 3 * HOUR_S, every=300)
    assert (await stage.attempt(token)).status == "processing"
    await _sweep_for(stage, 3 * HOUR_S, every=300)
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.return_code, stage.charges()) == ("failed", "5009", 0)
    assert sum(operation == "complete" for operation, _ in stage.watcher.calls) == 2


@on_stage(query=False)
async def test_without_query_an_unknown_outcome_alerts_and_blocks(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("drop", operations=("complete",), times=1)
    with pytest.raises(GatewayTimeout):
        await stage.process(token)
    with patch("bursar.portal.state.portal._log") as log:
        reports = await _sweep_for(stage, 24 * HOUR_S, every=1200)
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.outcome_unknown, stage.charges()) == ("processing", True, 1)
    assert any(attempt.agency_tracking_id in report.attention for report in reports[:2])
    assert "attention" in stage.watcher.alerts
    alerted = [
        call.kwargs["extra"] for call in log.error.call_args_list if call.kwargs["extra"]["alert"] == "attention"
    ]
    assert {each["agencyTrackingId"] for each in alerted} == {attempt.agency_tracking_id}


@on_stage
async def test_many_sweepers_at_once_ask_once(stage: Stage) -> None:
    token = await stage.paid("ACH")
    await stage.process(token)
    await asyncio.sleep(20)
    portals = [stage.another_portal(stage.watcher) for _ in range(4)]
    await asyncio.gather(*(sweep(portal) for portal in portals))
    assert stage.watcher.calls.count(("details", "answered")) == 1
    assert (await stage.attempt(token)).status == "processed"


@on_stage
async def test_an_outage_opens_the_breaker_and_its_end_settles_everything(stage: Stage) -> None:
    tokens = [await stage.paid("ACH") for _ in range(20)]
    for token in tokens:
        await stage.process(token)
    stage.misbehave("refuse")
    await _sweep_for(stage, 2 * HOUR_S, every=30)
    during = len([1 for operation, _ in stage.watcher.calls if operation == "details"])
    assert during < 60, "an outage of two hours is met by a few probes, not by a question per attempt and pass"
    stage.plan.clear()
    await _sweep_for(stage, 2 * COOL_DOWN_MAX_S + 9 * HOUR_S, every=60)
    assert {(await stage.attempt(token)).status for token in tokens} == {"processed"}


@on_stage(lookups=("details",), confirmed=())
async def test_an_answer_that_proves_nothing_closes_the_breaker_too(stage: Stage) -> None:
    for _ in range(20):
        await stage.init()
    await asyncio.sleep(UNUSED_S)
    for _ in range(FAILURES_MAX):
        stage.portal.breaker.report(answered=False)
    await asyncio.sleep(2 * COOL_DOWN_MAX_S)
    probed = await sweep(stage.portal)
    await asyncio.sleep(2 * COOL_DOWN_MAX_S)
    rest = await sweep(stage.portal)
    assert rest.results == {"expired": 20 - probed.results["expired"]}


@on_stage
async def test_a_pass_is_bounded_and_the_next_one_goes_on(stage: Stage) -> None:
    for _ in range(5):
        await stage.init()
    await asyncio.sleep(3 * HOUR_S + RECEIVED_AGE_MAX_S)
    assert [(await sweep(stage.portal, limit=2)).swept for _ in range(4)] == [2, 2, 1, 0]


@on_stage
async def test_trouble_with_one_attempt_stops_no_other(stage: Stage) -> None:
    bad, good = [await stage.paid("ACH") for _ in range(2)]
    for token in (bad, good):
        await stage.process(token)
    poisoned = (await stage.attempt(bad)).paygov_tracking_id
    ask = stage.portal.paygov.details

    async def details(*, tcs_app_id: str, paygov_tracking_id: str) -> object:
        if paygov_tracking_id == poisoned:
            raise ZeroDivisionError
        return await ask(tcs_app_id=tcs_app_id, paygov_tracking_id=paygov_tracking_id)

    stage.portal.paygov.details = details  # type: ignore[assignment]  # a stand-in
    await asyncio.sleep(20)
    assert (await sweep(stage.portal)).results == {"error": 1, "settled": 1}


@on_stage(query=False)
async def test_attempts_that_paygov_cannot_be_asked_about_keep_nothing_from_being_asked(stage: Stage) -> None:
    stage.misbehave("drop", operations=("complete",), times=6)
    for _ in range(6):
        with pytest.raises(GatewayTimeout):
            await stage.process(await stage.paid())
    await _sweep_for(stage, HOUR_S, every=60)
    token = await stage.paid("ACH")
    await stage.process(token)
    reports = await _sweep_for(stage, 60)
    assert (await stage.attempt(token)).status == "processed"
    assert not any(report.breaker_open for report in reports)
