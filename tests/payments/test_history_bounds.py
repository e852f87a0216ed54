"""Steps that an attempt can repeat are bounded, and steps that end an attempt always have room."""

import pytest

from bursar.payments import Ledger, NoSuchEdge
from bursar.payments.history_bounds import EVENTS_MAX, RECLAIMS_MAX
from bursar.payments.records import EVENT_SEQ_MAX
from bursar.payments.status import EDGES
from tests.support.payments.stage import PAID, Start, Wall, history, processing

# payments/history_bounds.py explains why these need no separate bound.
BOUNDED_BY_ANOTHER = {"released", "outcome_unknown", "metadata_erased", "refund_approved", "refund_rejected"}
ROOM_FOR_THE_REST = 1_000


def test_every_step_that_can_come_again_is_bounded() -> None:
    assert {step.event for step in EDGES if not step.moves} == set(EVENTS_MAX) | BOUNDED_BY_ANOTHER


def test_the_bounds_leave_room_below_the_last_event_that_sorts() -> None:
    # Every request for a refund may be decided by one more event.
    assert 2 * max(EVENTS_MAX.values()) < EVENT_SEQ_MAX - ROOM_FOR_THE_REST


def test_later_steps_have_events_left() -> None:
    assert EVENTS_MAX["reclaimed"] < EVENTS_MAX["lease_taken_over"] < EVENTS_MAX["noted"]


async def test_an_attempt_released_unsent_is_leased_a_bounded_number_of_times_and_then_can_only_fail(
    ledger: Ledger, start: Start
) -> None:
    attempt = await ledger.release_lease(await processing(ledger, start), "worker-1", "connection refused")
    for _ in range(RECLAIMS_MAX):
        attempt = await ledger.take_lease(attempt, "worker-2", 30)
        attempt = await ledger.release_lease(attempt, "worker-2", "connection refused")
    with pytest.raises(NoSuchEdge, match="too many to be reclaimed again"):
        await ledger.take_lease(attempt, "worker-3", 30)
    assert await ledger.reread(attempt) == attempt
    failed = await ledger.fail(
        attempt, event="expired_unsent", actor="portal", return_code="5009", return_detail="never sent"
    )
    assert (failed.status, (await history(ledger, failed)).count("reclaimed")) == ("failed", RECLAIMS_MAX)


async def test_a_lease_that_was_taken_over_so_often_is_left_and_the_outcome_still_recorded(
    ledger: Ledger, start: Start, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EVENTS_MAX, "lease_taken_over", 6)
    attempt = await ledger.record_unknown(await processing(ledger, start), "reply lost")
    for _ in range(2):
        attempt = await ledger.take_over_lease(attempt, "sweeper-1", 30)
        wall.pass_s(30)
    with pytest.raises(NoSuchEdge, match="too many to be lease_taken_over again"):
        await ledger.take_over_lease(attempt, "sweeper-1", 30)
    unknown = await ledger.record_unknown(attempt, "its lease ran out")
    assert (await ledger.record_outcome(unknown, PAID, actor="sweeper")).status == "processed"
