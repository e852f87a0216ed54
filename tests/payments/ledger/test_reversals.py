"""Money that goes back: each reversal is recorded once, within the amount, and leaves the attempt's status alone."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from bursar.payments import Attempt, AttemptMoved, Event, Ledger, NoSuchEdge, ObligationTaken
from bursar.payments.errors import RefundDecided, RefundNeedsSecondPerson, ReversalDiffers, ReversalTooLarge
from bursar.payments.history_bounds import REVERSAL_EVENTS_MAX
from bursar.payments.records import RETURNS_SHARD
from bursar.payments.reversals import ReversalReport
from tests.support.payments.stage import Wall, history, pending, settled

Start = Callable[..., Awaitable[Attempt]]
FULL = Decimal("60.00")
RETURN = ReversalReport("returned", FULL, "paygov", reason_code="R01")


def chargeback(amount: str = "20.00", **values: Any) -> ReversalReport:
    known = {"by": "Ada", "reason": "disputed", "debit_voucher": "123456", "effective_on": "2026-12-01", **values}
    return ReversalReport("charged_back", Decimal(amount), "operator", **known)


async def recorded(ledger: Ledger, attempt: Attempt, report: ReversalReport, **values: Any) -> Attempt:
    changed, _ = await ledger.reversals.record(attempt, report, actor="operator", **values)
    return changed


async def test_a_return_is_recorded_with_its_event(ledger: Ledger, start: Start, wall: Wall) -> None:
    attempt = await settled(ledger, start)
    wall.pass_s(86_400)
    changed, reversal = await ledger.reversals.record(attempt, RETURN, actor="sweeper")
    assert (changed.status, changed.reversed_amount) == ("processed", FULL)
    assert changed.net_amount == 0
    assert (reversal.kind, reversal.amount, reversal.seq, reversal.at) == ("returned", FULL, 1, wall.now)
    assert await ledger.reversals.of(attempt) == [reversal]
    assert await ledger.reversals_of(attempt.client, attempt.reference) == [reversal]
    view = await ledger.obligation(attempt.client, attempt.reference)
    assert view is not None
    event = view.events[-1]
    assert (event.name, event.actor, event.at, event.from_status) == ("returned", "sweeper", wall.now, "processed")
    amounts = {"reversal_amount": "60.00", "reversed_amount": "60.00"}
    assert event.detail == {"reversal": 1, **amounts, "source": "paygov", "reason_code": "R01"}
    assert (view.attempts, view.reversals) == ((changed,), (reversal,))


async def test_a_reversal_keeps_the_time_of_the_last_change(ledger: Ledger, start: Start, wall: Wall) -> None:
    attempt = await settled(ledger, start)
    wall.pass_s(3600)
    changed = await recorded(ledger, attempt, chargeback())
    assert (changed.updated_at, changed.settled_at) == (attempt.updated_at, attempt.settled_at)
    assert changed.version == attempt.version + 1
    found = [record async for record in ledger.changes(wall.now - 60, wall.now + 60)]
    assert [record for record in found if isinstance(record, Attempt)] == [changed]
    assert [record.at for record in found if isinstance(record, Event)] == [wall.now]


async def test_the_same_report_twice_is_one_reversal(ledger: Ledger, start: Start) -> None:
    attempt = await settled(ledger, start)
    changed, first = await ledger.reversals.record(attempt, RETURN, actor="sweeper")
    by_hand = replace(RETURN, source="operator", by="Ada", reason_code=None)
    for again in (attempt, changed):
        assert await ledger.reversals.record(again, by_hand, actor="operator") == (changed, first)
    assert await history(ledger, attempt) == ["started", "token_given", "claimed", "accepted", "settled", "returned"]
    with pytest.raises(ReversalDiffers, match=r"reversal 1 \(returned\) is recorded as 60.00"):
        await recorded(ledger, changed, replace(RETURN, amount=Decimal("59.00")))


async def test_chargebacks_differ_by_their_facts_or_by_their_ids(ledger: Ledger, start: Start) -> None:
    attempt = await settled(ledger, start)
    for report in (
        chargeback("10.00"),
        chargeback("10.00"),
        chargeback("10.00", effective_on="2026-12-02"),
        chargeback("10.00", report_id="case 1"),
        chargeback("10.00", report_id="case 2"),
        chargeback("10.00", report_id="case 2"),
    ):
        attempt = await recorded(ledger, attempt, report)
    assert attempt.reversed_amount == Decimal("40.00")
    assert [each.seq for each in await ledger.reversals.of(attempt)] == [1, 2, 3, 4]


async def test_never_more_goes_back_than_was_collected(ledger: Ledger, start: Start) -> None:
    attempt = await recorded(ledger, await settled(ledger, start), chargeback("59.99"))
    with pytest.raises(ReversalTooLarge, match=r"59\.99 has gone back, got 0\.02 more"):
        await recorded(ledger, attempt, chargeback("0.02"))
    attempt = await recorded(ledger, attempt, chargeback("0.01"))
    assert attempt.net_amount == 0


async def test_two_reports_at_once_are_both_recorded(ledger: Ledger, start: Start) -> None:
    attempt = await settled(ledger, start)
    await recorded(ledger, attempt, chargeback("20.00", report_id="1"))
    late = await recorded(ledger, attempt, chargeback("30.00", report_id="2"))
    assert late.reversed_amount == Decimal("50.00")
    with pytest.raises(ReversalTooLarge):
        await recorded(ledger, attempt, chargeback("20.00", report_id="3"))


async def test_only_a_processed_attempt_has_reversals(ledger: Ledger, start: Start) -> None:
    attempt = await pending(ledger, start)
    with pytest.raises(NoSuchEdge):
        await recorded(ledger, attempt, RETURN)
    with pytest.raises(NoSuchEdge, match="requested by one person and approved by another"):
        await recorded(ledger, attempt, ReversalReport("refunded", FULL, "operator"))


async def test_the_history_of_reversals_is_bounded(ledger: Ledger, start: Start) -> None:
    attempt = replace(await settled(ledger, start), event_seq=REVERSAL_EVENTS_MAX)
    with pytest.raises(NoSuchEdge, match="must be before event 4000"):
        await recorded(ledger, attempt, RETURN)


# --- the watch -------------------------------------------------------------------------------------------------------


async def test_a_settled_debit_is_watched_apart_from_live_attempts(ledger: Ledger, start: Start, wall: Wall) -> None:
    attempt = await settled(ledger, start)
    assert attempt.stored_item is not None
    assert attempt.stored_item["dueShard"] == {"S": RETURNS_SHARD}
    later = wall.now + 100 * 86_400
    assert await ledger.due(later, 10) == []
    assert await ledger.due_returns(later, 10) == [attempt]
    assert await ledger.due_returns(wall.now, 10) == []


async def test_the_watch_continues_after_a_part_and_ends_after_the_whole(ledger: Ledger, start: Start) -> None:
    attempt = await settled(ledger, start)
    watched = await recorded(ledger, attempt, chargeback("20.00"))
    assert watched.due_at == attempt.due_at
    ended = await recorded(ledger, watched, chargeback("40.00"))
    assert ended.due_at is None
    with pytest.raises(AttemptMoved):
        await ledger.set_due(ended, 1.0)


# --- refunds ---------------------------------------------------------------------------------------------------------


async def asked(ledger: Ledger, attempt: Attempt, amount: str = "20.00") -> Attempt:
    changed, _ = await ledger.reversals.request_refund(attempt, Decimal(amount), by="Ada", reason="paid twice")
    return changed


async def test_a_refund_is_requested_by_one_person_and_approved_by_another(
    ledger: Ledger, start: Start, wall: Wall
) -> None:
    attempt = await settled(ledger, start)
    attempt, request = await ledger.reversals.request_refund(attempt, Decimal("20.00"), by="Ada", reason="paid twice")
    assert request.request_id == f"{attempt.agency_tracking_id}/1"
    assert await ledger.open_refunds(10) == [request]
    assert attempt.reversed_amount is None
    wall.pass_s(60)
    changed, reversal = await ledger.reversals.approve(attempt, 1, by="Bob", reason="checked")
    assert (reversal.kind, reversal.amount, reversal.source) == ("refunded", Decimal("20.00"), "operator")
    assert (reversal.requested_by, reversal.approved_by, reversal.at) == ("Ada", "Bob", wall.now)
    assert changed.net_amount == Decimal("40.00")
    assert await ledger.open_refunds(10) == []
    assert (await history(ledger, attempt))[-2:] == ["refund_requested", "refund_approved"]
    with pytest.raises(RefundDecided, match="/1 is approved"):
        await ledger.reversals.approve(changed, 1, by="Bob", reason="again")


async def test_a_reported_refund_is_an_open_request_of_a_person_or_the_same_report(
    ledger: Ledger, start: Start
) -> None:
    attempt = await settled(ledger, start)
    report = ReversalReport(
        "refunded", Decimal("10.00"), "activity_file", by="Ada", reason="the file", effective_on="2026-12-01"
    )
    for each, number in (
        (report, 1),
        (report, 1),
        (replace(report, effective_on="2026-12-02"), 2),
    ):
        attempt, request = await ledger.reversals.request_reported_refund(attempt, each)
        assert request.seq == number
    attempt, asked = await ledger.reversals.request_refund(attempt, Decimal("20.00"), by="Ada", reason="paid twice")
    reported = replace(report, amount=Decimal("20.00"))
    assert (await ledger.reversals.request_reported_refund(attempt, reported))[1] == asked


@pytest.mark.parametrize("by", ["Ada", " ada "])
async def test_nobody_approves_an_own_request(ledger: Ledger, start: Start, by: str) -> None:
    attempt = await asked(ledger, await settled(ledger, start))
    with pytest.raises(RefundNeedsSecondPerson, match="must be approved by another person than Ada"):
        await ledger.reversals.approve(attempt, 1, by=by, reason="checked")
    assert len(await ledger.open_refunds(10)) == 1


async def test_a_request_may_be_rejected_by_any_person(ledger: Ledger, start: Start) -> None:
    attempt = await asked(ledger, await settled(ledger, start))
    changed, request = await ledger.reversals.reject(attempt, 1, by="Ada", reason="a mistake")
    assert (request.status, request.rejected_by) == ("rejected", "Ada")
    assert changed.reversed_amount is None
    assert await ledger.open_refunds(10) == []
    assert (await history(ledger, attempt))[-1] == "refund_rejected"
    with pytest.raises(RefundDecided):
        await ledger.reversals.approve(changed, 1, by="Bob", reason="checked")


async def test_requests_beyond_what_is_left_are_refused_when_asked_and_when_approved(
    ledger: Ledger, start: Start
) -> None:
    attempt = await asked(ledger, await settled(ledger, start), "60.00")
    attempt = await asked(ledger, attempt, "60.00")
    attempt, _ = await ledger.reversals.approve(attempt, 1, by="Bob", reason="checked")
    with pytest.raises(ReversalTooLarge):
        await ledger.reversals.approve(attempt, 2, by="Bob", reason="checked")
    with pytest.raises(ReversalTooLarge):
        await asked(ledger, attempt, "0.01")
    with pytest.raises(LookupError, match="/3: must be a request for a refund; got none"):
        await ledger.reversals.reject(attempt, 3, by="Bob", reason="checked")


async def test_refunds_of_equal_amounts_are_as_many_as_were_approved(ledger: Ledger, start: Start) -> None:
    attempt = await settled(ledger, start)
    for _ in range(3):
        attempt = await asked(ledger, attempt, "20.00")
    refunds = []
    for number in (1, 2, 3):
        attempt, refund = await ledger.reversals.approve(attempt, number, by="Bob", reason="checked")
        refunds.append(refund)
    assert [(refund.seq, refund.amount) for refund in refunds] == [(n, Decimal("20.00")) for n in (1, 2, 3)]
    assert await ledger.reversals.of(attempt) == refunds
    assert (attempt.reversed_amount, attempt.net_amount) == (FULL, Decimal("0.00"))


async def test_of_two_decisions_at_once_one_is_recorded(ledger: Ledger, start: Start) -> None:
    attempt = await asked(ledger, await settled(ledger, start))
    await ledger.reversals.reject(attempt, 1, by="Ada", reason="a mistake")
    with pytest.raises((AttemptMoved, RefundDecided)):
        await ledger.reversals.approve(attempt, 1, by="Bob", reason="checked")


# --- reopening -------------------------------------------------------------------------------------------------------


async def test_a_full_return_reopens_the_obligation_under_the_policy(ledger: Ledger, start: Start, wall: Wall) -> None:
    attempt = await recorded(ledger, await settled(ledger, start), RETURN, reopens=True)
    assert attempt.reopened
    view = await ledger.obligation(attempt.client, attempt.reference)
    assert view is not None
    assert view.blocking is None
    wall.pass_s(1)
    second = await start()
    assert second.status == "received"
    assert (await recorded(ledger, attempt, RETURN, reopens=True)).reversed_amount == FULL


@pytest.mark.parametrize(
    ("report", "reopens"), [(RETURN, False), (chargeback("60.00"), True), (replace(RETURN, amount=Decimal(1)), True)]
)
async def test_it_never_reopens_in_another_way(
    ledger: Ledger, start: Start, report: ReversalReport, reopens: bool
) -> None:
    attempt = await recorded(ledger, await settled(ledger, start), report, reopens=reopens)
    assert not attempt.reopened
    with pytest.raises(ObligationTaken):
        await start()
