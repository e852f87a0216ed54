"""Money that goes back: returned debits are found at Pay.gov, operators record the rest, and clients see it."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import orjson
import pytest

from bursar.payments import Attempt, Clients
from bursar.payments.due import RETURN_WATCH_S
from bursar.payments.reversals import ReversalReport
from bursar.portal.contract.errors import Conflict, InvalidRequest, NotFound
from bursar.portal.contract.messages import json_reply
from bursar.portal.contract.views import payment_json
from bursar.portal.upkeep.attention import attention
from bursar.portal.upkeep.reversals import (
    amount_left,
    approve_refund,
    open_refunds,
    reject_refund,
    request_refund,
    reverse,
)
from bursar.portal.upkeep.sweep import sweep
from bursar.portal.use_cases.payment_details import details
from tests.support.portal.stage import DAWSON, HOUR_S, Stage, on_stage

DAY_S = 24 * HOUR_S
AGAIN_S = 6 * HOUR_S


async def _settled(stage: Stage, method: str = "ACH") -> Attempt:
    token = await stage.paid(method)
    await stage.process(token)
    await asyncio.sleep(60)
    await sweep(stage.portal)
    return await stage.attempt(token)


async def _sweep_for(stage: Stage, days: float) -> list[str]:
    """Sweep every six hours, and return the results by name, in order."""
    results: list[str] = []
    for _ in range(int(days * DAY_S / AGAIN_S)):
        await asyncio.sleep(AGAIN_S)
        results += (await sweep(stage.portal)).results
    return results


def _returned_at_paygov(stage: Stage, attempt: Attempt) -> None:
    assert attempt.paygov_tracking_id is not None
    stage.simulator.return_debit(attempt.paygov_tracking_id)


@on_stage
async def test_a_debit_that_is_returned_after_it_settled_is_recorded_once(stage: Stage) -> None:
    attempt = await _settled(stage)
    await _sweep_for(stage, 3)
    _returned_at_paygov(stage, attempt)
    assert "returned" in await _sweep_for(stage, 5)
    now = await stage.ledger.reread(attempt)
    assert (now.status, now.reversed_amount, now.due_at) == ("processed", attempt.amount, None)
    assert (await stage.events_of(now))[-2:] == ["settled", "returned"]
    assert await _sweep_for(stage, 10) == []


@on_stage
async def test_the_watch_asks_seven_times_in_61_days_and_ends(stage: Stage) -> None:
    attempt = await _settled(stage)
    asked_before = stage.watcher.calls.count(("details", "answered"))
    assert await _sweep_for(stage, 70) == ["watched"] * 7
    assert stage.watcher.calls.count(("details", "answered")) - asked_before == 7
    assert (await stage.ledger.reread(attempt)).due_at is None
    assert await attention(stage.portal) == []


@on_stage
async def test_the_watch_goes_on_until_the_last_question_is_answered(stage: Stage) -> None:
    attempt = await _settled(stage)
    await asyncio.sleep(RETURN_WATCH_S)
    stage.misbehave("refuse", operations=("details",), times=1)
    assert (await sweep(stage.portal)).results == {"unanswered": 1}
    _returned_at_paygov(stage, attempt)
    assert "returned" in await _sweep_for(stage, 2)


@on_stage
async def test_a_question_about_a_return_that_is_late_needs_no_person(stage: Stage) -> None:
    await _settled(stage)
    await asyncio.sleep(3 * DAY_S)  # no sweeper ran
    report = await sweep(stage.portal)
    assert (report.results, report.attention) == ({"watched": 1}, ())


@on_stage
async def test_only_debits_are_watched(stage: Stage) -> None:
    attempt = await _settled(stage, "PLASTIC_CARD")
    assert (attempt.status, attempt.due_at) == ("processed", None)


@on_stage
async def test_of_two_sweepers_one_asks(stage: Stage) -> None:
    await _settled(stage)
    await asyncio.sleep(DAY_S)
    reports = await asyncio.gather(sweep(stage.portal), sweep(stage.another_portal()))
    assert sorted(name for report in reports for name in report.results) == ["lost_race", "watched"]


@on_stage
async def test_live_attempts_come_before_watched_ones(stage: Stage) -> None:
    await _settled(stage)
    await stage.init()
    await asyncio.sleep(DAY_S)
    assert (await sweep(stage.portal, limit=1)).results == {"expired": 1}
    assert (await sweep(stage.portal, limit=1)).results == {"watched": 1}


@on_stage
async def test_live_attempts_and_watched_ones_share_the_limit_of_a_pass(stage: Stage) -> None:
    for _ in range(4):
        await _settled(stage)
    for _ in range(2):
        await stage.init()
    await asyncio.sleep(DAY_S)
    passes = [await sweep(stage.portal, limit=3) for _ in range(3)]
    assert [each.results for each in passes] == [{"expired": 2, "watched": 1}, {"watched": 3}, {}]


@on_stage
async def test_a_return_of_more_than_is_left_is_kept_for_a_person(stage: Stage) -> None:
    attempt = await _settled(stage)
    report = ReversalReport("charged_back", Decimal("10.00"), "operator", by="Ada", reason="disputed")
    await reverse(stage.portal, attempt.agency_tracking_id, report)
    _returned_at_paygov(stage, attempt)
    await _sweep_for(stage, 2)
    (item,) = await attention(stage.portal)
    assert item.contradicted
    assert (await stage.ledger.reread(attempt)).reversed_amount == Decimal("10.00")
    assert "contradiction" in stage.watcher.alerts


@on_stage
async def test_a_settled_debit_that_paygov_calls_failed_is_kept_for_a_person(stage: Stage) -> None:
    attempt = await _settled(stage)
    with patch("bursar.paygov.simulator.core.STATUS_RETURNED", "Cancelled"):
        _returned_at_paygov(stage, attempt)
        await _sweep_for(stage, 2)
    assert [item.contradicted for item in await attention(stage.portal)] == [True]
    assert (await stage.ledger.reread(attempt)).reversed_amount is None


@on_stage
async def test_a_full_return_reopens_only_for_a_client_with_the_policy(stage: Stage) -> None:
    stage.clients = Clients([replace(DAWSON, reopen_after_full_return=True)])
    stage.portal.clients = stage.clients
    attempt = await _settled(stage)
    _returned_at_paygov(stage, attempt)
    await _sweep_for(stage, 2)
    assert (await stage.ledger.reread(attempt)).reopened
    again = await stage.init(attempt.reference)
    assert (await stage.attempt(again)).agency_tracking_id != attempt.agency_tracking_id


@on_stage
async def test_without_the_policy_a_returned_payment_stays_paid(stage: Stage) -> None:
    attempt = await _settled(stage)
    _returned_at_paygov(stage, attempt)
    await _sweep_for(stage, 2)
    with pytest.raises(Conflict, match="already been paid"):
        await stage.init(attempt.reference)


# --- what clients see ------------------------------------------------------------------------------------------------


@on_stage
async def test_details_show_reversals_and_the_net_amount(stage: Stage) -> None:
    attempt = await _settled(stage)
    (before,) = await _transactions(stage, attempt)
    assert (before["netAmount"], before["reversals"]) == (60, [])
    for amount, day in (("20.00", "2026-12-01"), ("5.50", "2026-12-02")):
        report = ReversalReport(
            "charged_back", Decimal(amount), "operator", by="Ada", reason="x", reason_code="13.1", effective_on=day
        )
        await reverse(stage.portal, attempt.agency_tracking_id, report)
    (shown,) = await _transactions(stage, attempt)
    assert (shown["transactionStatus"], shown["netAmount"], shown["amount"]) == ("processed", 34.5, 60)
    assert [(each["kind"], each["amount"], each["effectiveOn"]) for each in shown["reversals"]] == [
        ("charged_back", 20, "2026-12-01"),
        ("charged_back", 5.5, "2026-12-02"),
    ]
    assert shown["updatedTimestamp"] == before["updatedTimestamp"]
    assert "Ada" not in str(shown)


@on_stage
async def test_a_payment_that_is_not_made_has_a_net_amount_of_zero(stage: Stage) -> None:
    attempt = await stage.attempt(await stage.init())
    assert (
        b'"netAmount":0.00,"reversals":[]'
        in json_reply(payment_json(await details(stage.portal, DAWSON, attempt.reference))).body
    )


async def _transactions(stage: Stage, attempt: Attempt) -> list[dict[str, Any]]:
    payment = await details(stage.portal, DAWSON, attempt.reference)
    assert payment.status == "success"
    found: list[dict[str, Any]] = orjson.loads(json_reply(payment_json(payment)).body)["transactions"]
    return found


# --- operators -------------------------------------------------------------------------------------------------------


@on_stage
async def test_operators_request_approve_and_reject_refunds(stage: Stage) -> None:
    attempt = await _settled(stage, "PLASTIC_CARD")
    name = attempt.agency_tracking_id
    one = await request_refund(stage.portal, name, Decimal("40.00"), by=" Ada ", reason="paid twice")
    two = await request_refund(stage.portal, name, Decimal("20.00"), by="Ada", reason="paid twice")
    assert [each.requested_by for each in await open_refunds(stage.portal)] == ["Ada", "Ada"]
    with pytest.raises(Conflict, match="must be approved by another person than Ada"):
        await approve_refund(stage.portal, one.request_id, by="ADA", reason="fine")
    await approve_refund(stage.portal, one.request_id, by="Bob", reason="fine")
    await reject_refund(stage.portal, two.request_id, by="Bob", reason="no")
    assert await amount_left(stage.portal, name) == Decimal("20.00")
    with pytest.raises(Conflict, match="is rejected"):
        await approve_refund(stage.portal, two.request_id, by="Bob", reason="fine")
    assert await stage.events_of(attempt) == [
        *("started", "token_given", "claimed", "completed"),
        *("refund_requested", "refund_requested", "refund_approved", "refund_rejected"),
    ]


@on_stage
async def test_operators_errors_name_the_field(stage: Stage) -> None:
    attempt = await _settled(stage, "PLASTIC_CARD")
    name = attempt.agency_tracking_id
    report = ReversalReport("charged_back", Decimal("20.00"), "operator", by="Ada", reason="disputed")
    with pytest.raises(InvalidRequest, match="effective date: must be a date such as 2026-11-29; got 'May'"):
        await reverse(stage.portal, name, replace(report, effective_on="May"))
    with pytest.raises(InvalidRequest, match="reason_code: must have at most 100 characters; got 101"):
        await reverse(stage.portal, name, replace(report, reason_code="x" * 101))
    with pytest.raises(InvalidRequest, match="name: must have 1 to 500 characters; got 0"):
        await reverse(stage.portal, name, replace(report, by=" "))
    with pytest.raises(InvalidRequest, match="an amount must have at most two decimals"):
        await reverse(stage.portal, name, replace(report, amount=Decimal("0.001")))
    with pytest.raises(InvalidRequest, match="request: must be an attempt's id and a number"):
        await reject_refund(stage.portal, name, by="Ada", reason="no")
    with pytest.raises(NotFound, match="/7: must be a request for a refund; got none"):
        await reject_refund(stage.portal, f"{name}/7", by="Ada", reason="no")
    with pytest.raises(NotFound, match="There is no attempt other"):
        await reverse(stage.portal, "other", report)
    with pytest.raises(Conflict, match="reversals must be at most its amount"):
        await reverse(stage.portal, name, replace(report, amount=Decimal("60.01")))
    started = await stage.attempt(await stage.init())
    with pytest.raises(Conflict, match="only a processed attempt can be reversed"):
        await reverse(stage.portal, started.agency_tracking_id, report)


@on_stage
async def test_nothing_is_left_of_a_payment_that_went_back(stage: Stage) -> None:
    attempt = await _settled(stage, "PLASTIC_CARD")
    report = ReversalReport("charged_back", attempt.amount, "operator", by="Ada", reason="disputed")
    changed, _ = await reverse(stage.portal, attempt.agency_tracking_id, report)
    assert changed.net_amount == 0
    with pytest.raises(Conflict, match="all of its amount"):
        await amount_left(stage.portal, attempt.agency_tracking_id)
