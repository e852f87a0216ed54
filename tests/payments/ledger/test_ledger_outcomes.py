"""The ledger's calls once a complete was sent: unknown outcomes, outcomes, operators, and bookkeeping."""

from dataclasses import replace
from typing import Any

import pytest

from bursar.payments import (
    AttemptMoved,
    LeaseHeld,
    Ledger,
    NoSuchEdge,
    ObligationTaken,
    Outcome,
    OutcomeContradicts,
)
from bursar.payments.due import POLL_INTERVAL_MIN_S
from bursar.payments.history_bounds import EVENTS_MAX
from tests.support.payments.stage import (
    PAID,
    SETTLING,
    TOKEN,
    Listening,
    Start,
    Wall,
    history,
    initiated,
    pending,
    processing,
)

# ---- unknown outcomes


async def test_an_unknown_outcome_stays_processing_and_blocks(ledger: Ledger, start: Start, wall: Wall) -> None:
    unknown = await ledger.record_unknown(await processing(ledger, start), "reply lost")
    assert (unknown.status, unknown.outcome_unknown, unknown.unknown_reason) == ("processing", True, "reply lost")
    assert (unknown.lease_owner, unknown.due_at) == (None, wall.now + POLL_INTERVAL_MIN_S)
    with pytest.raises(ObligationTaken):
        await start()
    with pytest.raises(AttemptMoved):
        await ledger.take_lease(unknown, "worker-2", 30)


async def test_a_repeated_reason_for_an_unknown_outcome_writes_no_event(
    ledger: Ledger, start: Start, wall: Wall
) -> None:
    unknown = await ledger.record_unknown(await processing(ledger, start), "reply lost")
    wall.pass_s(5)
    assert await ledger.record_unknown(unknown, "reply lost") == unknown
    other = await ledger.record_unknown(unknown, "another amount")
    assert other.updated_at == wall.now
    assert await history(ledger, other) == ["started", "token_given", "claimed", "outcome_unknown", "outcome_unknown"]


async def test_still_unknown_after_a_take_over_gives_the_lease_back_quietly(
    ledger: Ledger, start: Start, wall: Wall
) -> None:
    unknown = await ledger.record_unknown(await processing(ledger, start), "reply lost")
    wall.pass_s(10)
    taken = await ledger.take_over_lease(unknown, "sweeper-1", 60)
    wall.pass_s(10)
    back = await ledger.record_unknown(taken, "reply lost", actor="sweeper")
    assert (back.lease_owner, back.updated_at, back.due_at) == (None, taken.updated_at, wall.now + 10)
    assert (await history(ledger, back))[-1] == "lease_taken_over"


async def test_an_unknown_outcome_is_resolved_by_paygovs_report(ledger: Ledger, start: Start) -> None:
    unknown = await ledger.record_unknown(await processing(ledger, start), "reply lost")
    paid = await ledger.record_outcome(unknown, PAID, actor="sweeper")
    assert (paid.status, paid.outcome_unknown, paid.unknown_reason) == ("processed", False, None)


async def test_a_late_answer_is_recorded_though_the_lease_was_taken_over(
    ledger: Ledger, start: Start, wall: Wall
) -> None:
    held = await processing(ledger, start, lease_s=30)
    wall.pass_s(31)
    await ledger.take_over_lease(held, "sweeper-1", 60)
    paid = await ledger.record_outcome(held, PAID, actor="portal")
    assert paid.status == "processed"


async def test_a_late_no_is_not_recorded_over_a_taken_lease(ledger: Ledger, start: Start, wall: Wall) -> None:
    held = await processing(ledger, start, lease_s=30)
    wall.pass_s(31)
    taken = await ledger.take_over_lease(held, "sweeper-1", 60)
    with pytest.raises(AttemptMoved) as caught:
        await ledger.fail(held, event="refused", actor="portal", return_code="4117", return_detail="acted upon")
    assert caught.value.attempt == taken


@pytest.mark.parametrize("theirs", ["under way", "unknown", "settling"])
async def test_a_late_refusal_of_one_complete_does_not_apply_to_the_next(
    ledger: Ledger, start: Start, wall: Wall, theirs: str
) -> None:
    held = await processing(ledger, start, lease_s=30)
    wall.pass_s(31)
    current = await ledger.take_over_lease(held, "sweeper-1", 60)
    if theirs == "unknown":
        current = await ledger.record_unknown(current, "reply lost", repeat_used=True)
    if theirs == "settling":
        current = await ledger.record_outcome(current, SETTLING, actor="sweeper")
    with pytest.raises(AttemptMoved) as caught:
        await ledger.record_outcome(held, Outcome("failed", return_code="4117"), actor="portal")
    assert caught.value.attempt == current


async def test_a_refusal_recorded_without_an_answer_is_recorded_once(ledger: Ledger, start: Start) -> None:
    held = await processing(ledger, start)
    refused = Outcome("failed", return_code="4117")
    failed = await ledger.record_outcome(held, refused, actor="portal")
    assert await ledger.record_outcome(held, refused, actor="portal") == failed


async def test_an_operator_cannot_settle_an_attempt_released_unsent(ledger: Ledger, start: Start) -> None:
    back = await ledger.release_lease(await processing(ledger, start), "worker-1", "Pay.gov could not be reached")
    for settled_as in ("processed", "failed"):
        with pytest.raises(NoSuchEdge, match="unsent"):
            await ledger.resolve(back, settled_as=settled_as, by="Ada", reason="asked")


async def test_the_refusal_of_a_superseded_complete_is_no_contradiction(
    ledger: Ledger, start: Start, wall: Wall
) -> None:
    held = await processing(ledger, start)
    wall.pass_s(31)
    taken = await ledger.take_over_lease(held, "worker-2", 30)
    paid = await ledger.record_outcome(taken, PAID, actor="sweeper")
    refused = Outcome("failed", return_code="4019", return_detail="no such application")
    assert await ledger.record_outcome(held, refused, actor="portal") == paid
    assert await ledger.contradictions.unacknowledged() == []


async def test_the_age_of_a_settling_attempt_does_not_restart_when_paygov_changes_its_word(
    ledger: Ledger, start: Start, wall: Wall
) -> None:
    waiting = await pending(ledger, start)
    since = wall.now
    assert waiting.unsettled_since == since
    wall.pass_s(1000)
    noted = await ledger.record_outcome(waiting, replace(SETTLING, transaction_status="Submitted"), actor="sweeper")
    assert (noted.unsettled_since, noted.updated_at, noted.due_at) == (since, since + 1000, since + 4000)
    assert (await ledger.record_outcome(noted, PAID, actor="sweeper")).unsettled_since is None


async def test_the_age_of_an_unknown_outcome_does_not_restart_with_another_reason(
    ledger: Ledger, start: Start, wall: Wall
) -> None:
    unknown = await ledger.record_unknown(await processing(ledger, start), "reply lost")
    since = wall.now
    wall.pass_s(10)
    taken = await ledger.take_over_lease(unknown, "worker-2", 30)
    wall.pass_s(10)
    again = await ledger.record_unknown(taken, "another amount")
    assert (unknown.unsettled_since, again.unsettled_since) == (since, since)
    wall.pass_s(10)
    accepted = await ledger.record_outcome(again, SETTLING, actor="sweeper")
    assert accepted.unsettled_since == wall.now, "settling is another state"


async def test_a_call_that_writes_nothing_returns_the_current_attempt(ledger: Ledger, start: Start) -> None:
    unknown = await ledger.record_unknown(await processing(ledger, start), "reply lost")
    settling = await ledger.record_outcome(unknown, SETTLING, actor="sweeper")
    with pytest.raises(AttemptMoved) as caught:
        await ledger.record_unknown(unknown, "reply lost")
    assert caught.value.attempt == settling
    paid = await ledger.record_outcome(settling, PAID, actor="sweeper")
    assert await ledger.record_outcome(settling, SETTLING, actor="portal") == paid


# ---- outcomes


async def test_the_same_outcome_twice_is_one_event(ledger: Ledger, start: Start) -> None:
    held = await processing(ledger, start)
    once = await ledger.record_outcome(held, PAID, actor="portal")
    assert await ledger.record_outcome(held, PAID, actor="sweeper") == once
    assert await ledger.record_outcome(once, PAID, actor="sweeper") == once
    assert await history(ledger, once) == ["started", "token_given", "claimed", "completed"]


async def test_a_poll_that_learns_nothing_changes_nothing(
    ledger: Ledger, start: Start, store: Listening, wall: Wall
) -> None:
    waiting = await pending(ledger, start)
    wall.pass_s(60)
    store.clear()
    assert await ledger.record_outcome(waiting, SETTLING, actor="sweeper") == waiting
    assert store.operations == ["GetItem"]  # it may have settled meanwhile


async def test_another_word_for_pending_is_noted(ledger: Ledger, start: Start) -> None:
    waiting = await pending(ledger, start)
    noted = await ledger.record_outcome(waiting, replace(SETTLING, transaction_status="Submitted"), actor="sweeper")
    assert (noted.status, noted.transaction_status) == ("pending", "Submitted")
    assert (await history(ledger, noted))[-1] == "noted"


async def test_changing_words_for_pending_are_noted_a_bounded_number_of_times_and_it_still_settles(
    ledger: Ledger, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EVENTS_MAX, "noted", 8)
    waiting = await pending(ledger, start)
    for word in ("Submitted", "Received") * 10:
        waiting = await ledger.record_outcome(waiting, replace(SETTLING, transaction_status=word), actor="sweeper")
    assert (waiting.status, waiting.event_seq) == ("pending", 8)
    assert (await ledger.record_outcome(waiting, PAID, actor="sweeper")).status == "processed"


async def test_an_older_answer_after_the_end_changes_nothing(ledger: Ledger, start: Start) -> None:
    waiting = await pending(ledger, start)
    settled = await ledger.record_outcome(waiting, PAID, actor="sweeper")
    assert (
        await ledger.record_outcome(waiting, replace(SETTLING, transaction_status="Waiting"), actor="portal") == settled
    )


@pytest.mark.parametrize(
    "answer",
    [Outcome("failed", "3FPAID", "Failed"), Outcome("processed", "3FOTHER", "Success")],
)
async def test_a_contradicting_answer_raises_and_is_not_written_to_the_attempt(
    ledger: Ledger, start: Start, answer: Outcome
) -> None:
    paid = await ledger.record_outcome(await processing(ledger, start), PAID, actor="portal")
    with pytest.raises(OutcomeContradicts) as caught:
        await ledger.record_outcome(paid, answer, actor="sweeper")
    assert caught.value.attempt == paid
    assert await ledger.reread(paid) == paid


async def test_an_outcome_needs_a_completion(ledger: Ledger, start: Start) -> None:
    there = await initiated(ledger, start)
    with pytest.raises(AttemptMoved):
        await ledger.record_outcome(there, PAID, actor="portal")


# ---- operators


@pytest.mark.parametrize("settled_as", ["processed", "failed"])
@pytest.mark.parametrize("stage", ["unknown", "pending"])
async def test_an_operator_settles(ledger: Ledger, start: Start, settled_as: Any, stage: str) -> None:
    there = await pending(ledger, start) if stage == "pending" else await processing(ledger, start)
    if stage == "unknown":
        there = await ledger.record_unknown(there, "reply lost")
    done = await ledger.resolve(there, settled_as=settled_as, by="Ada", reason="called Pay.gov")
    watched = settled_as == "processed" and done.payment_method == "ACH"
    assert (done.status, done.outcome_unknown, done.due_at is not None) == (settled_as, False, watched)
    view = await ledger.obligation(done.client, done.reference)
    assert view is not None
    assert view.events[-1].name == f"resolved_{settled_as}"
    assert view.events[-1].actor == "operator"
    assert view.events[-1].detail == {"by": "Ada", "reason": "called Pay.gov"}


async def test_an_operator_waits_for_a_lease_and_settles_only_what_is_open(ledger: Ledger, start: Start) -> None:
    there = await initiated(ledger, start)
    with pytest.raises(NoSuchEdge):
        await ledger.resolve(there, settled_as="processed", by="Ada", reason="because")
    held = await ledger.take_lease(there, "worker-1", 30)
    with pytest.raises(LeaseHeld):
        await ledger.resolve(held, settled_as="processed", by="Ada", reason="because")
    with pytest.raises(NoSuchEdge):
        await ledger.resolve(held, settled_as="pending", by="Ada", reason="because")


# ---- bookkeeping


async def test_set_due_writes_no_event_and_keeps_the_time_of_change(ledger: Ledger, start: Start, wall: Wall) -> None:
    waiting = await pending(ledger, start)
    wall.pass_s(60)
    later = await ledger.set_due(waiting, wall.now + 600, refreshed_at=wall.now)
    assert (later.due_at, later.refreshed_at) == (wall.now + 600, wall.now)
    assert (later.updated_at, later.event_seq) == (waiting.updated_at, waiting.event_seq)
    assert await ledger.reread(later) == later


async def test_of_two_sweepers_touching_one_passes_on(ledger: Ledger, start: Start, wall: Wall) -> None:
    waiting = await pending(ledger, start)
    await ledger.set_due(waiting, wall.now + 600)
    with pytest.raises(AttemptMoved):
        await ledger.set_due(waiting, wall.now + 600)


async def test_a_final_attempt_is_never_due_again(ledger: Ledger, start: Start, wall: Wall) -> None:
    paid = await ledger.record_outcome(await processing(ledger, start), PAID, actor="portal")
    with pytest.raises(AttemptMoved):
        await ledger.set_due(paid, wall.now)


async def test_bookkeeping_in_between_does_not_lose_a_change(ledger: Ledger, start: Start, wall: Wall) -> None:
    there = await initiated(ledger, start)
    await ledger.set_due(there, wall.now + 1)
    held = await ledger.take_lease(there, "worker-1", 30)
    assert (held.status, held.version) == ("processing", 4)


async def test_a_clock_that_runs_behind_never_turns_time_back(ledger: Ledger, start: Start, wall: Wall) -> None:
    received = await start()
    wall.pass_s(-30)
    given = await ledger.record_token(received, TOKEN)
    assert given.updated_at == received.updated_at


async def test_that_the_second_complete_is_used_is_never_forgotten(ledger: Ledger, start: Start) -> None:
    unknown = await ledger.record_unknown(await processing(ledger, start), "reply lost")
    assert not unknown.repeat_used
    leased = await ledger.take_over_lease(unknown, "sweeper-1", 60)
    used = await ledger.record_unknown(leased, "reply lost", repeat_used=True)
    assert used.repeat_used, "the same reason again is no reason to forget it"
    still = await ledger.record_unknown(used, "its lease ran out")
    assert still.repeat_used
    assert (await ledger.reread(still)).repeat_used
    assert (await ledger.record_outcome(still, PAID, actor="sweeper")).repeat_used
    view = await ledger.obligation(still.client, still.reference)
    assert view is not None
    flags = [event.detail.get("repeat_used") for event in view.events if event.name == "outcome_unknown"]
    assert flags == [None, True, True]


async def test_a_refusal_that_decides_nothing_is_kept_until_an_outcome_is_known(ledger: Ledger, start: Start) -> None:
    held = await processing(ledger, start)
    unknown = await ledger.record_unknown(held, "unusable", return_code="4117", return_detail="no such token")
    assert (unknown.return_code, unknown.return_detail) == ("4117", "no such token")
    paid = await ledger.resolve(unknown, settled_as="processed", by="Ada", reason="found in the report")
    assert (paid.return_code, paid.return_detail) == (None, "found in the report")


async def test_an_attempt_of_which_paygov_has_a_collection_is_put_in_doubt(ledger: Ledger, start: Start) -> None:
    received = await start()
    doubted = await ledger.put_in_doubt(received, "Pay.gov has it", actor="sweeper")
    assert (doubted.status, doubted.outcome_unknown, doubted.lease_owner) == ("processing", True, None)
    assert (await ledger.record_outcome(doubted, PAID, actor="sweeper")).status == "processed"
    assert await history(ledger, doubted) == ["started", "outcome_unknown", "completed"]
    with pytest.raises(AttemptMoved):
        await ledger.put_in_doubt(await ledger.reread(doubted), "Pay.gov has it", actor="sweeper")
