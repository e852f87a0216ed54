"""When the sweeper looks."""

from dataclasses import replace
from typing import Any

import pytest

from bursar.payments.due import FRESH_S, RETURN_POLL_AGAIN_S, TOKEN_AGE_MAX_S, DuePolicy
from bursar.payments.records import Attempt

POLICY = DuePolicy(
    received_age_max_s=100,
    token_age_max_s=1000,
    poll_interval_min_s=5,
    poll_interval_max_s=60,
    fresh_s=30,
    fresh_poll_interval_max_s=8,
    settling_interval_max_s=200,
)


def test_received_and_initiated_wait_until_the_last_possible_token_expires(attempt: Attempt) -> None:
    start = attempt.created_at
    assert POLICY.due_at(attempt) == start + 1100
    assert POLICY.due_at(replace(attempt, status="initiated", token_at=start + 7)) == start + 1100


def test_a_token_moves_no_entry_of_the_due_index(attempt: Attempt) -> None:
    received = replace(attempt, due_at=POLICY.due_at(attempt))
    given = {"status": "initiated", "token": "t" * 32, "token_at": attempt.created_at + 99, "updated_at": 1e9}
    assert POLICY.due_at(received, given) == received.due_at


def test_processing_waits_for_its_lease_then_for_paygov(attempt: Attempt) -> None:
    start = attempt.created_at
    leased = replace(attempt, status="processing", token_at=start, lease_owner="a", lease_until=start + 30)
    assert POLICY.due_at(leased) == start + 30
    assert POLICY.due_at(replace(leased, lease_until=start + 90)) == start + 30, "a complete usually has its answer"
    assert POLICY.due_at(replace(leased, lease_until=start + 9)) == start + 9
    unknown = replace(leased, lease_owner=None, lease_until=None, outcome_unknown=True, updated_at=start + 9)
    assert POLICY.due_at(unknown) == start + 14
    released = replace(leased, lease_owner=None, lease_until=None)
    assert POLICY.due_at(released) == start + 1100


def test_pending_is_polled_soon(attempt: Attempt) -> None:
    assert POLICY.due_at(replace(attempt, status="pending")) == attempt.updated_at + 5


@pytest.mark.parametrize("final", ["processed", "failed"])
def test_final_is_never_due(attempt: Attempt, final: str) -> None:
    assert POLICY.due_at(replace(attempt, status=final)) is None  # type: ignore[arg-type]  # the status is a parameter


DAY_S = 86_400.0
WATCH = DuePolicy()


def debit(attempt: Attempt, **values: Any) -> Attempt:
    known = {"status": "processed", "payment_method": "ACH", "paygov_tracking_id": "p", "updated_at": 0.0, **values}
    return replace(attempt, **known)


def test_a_debit_that_settles_is_watched_and_nothing_else_is(attempt: Attempt) -> None:
    settles = {"status": "processed", "updated_at": 50.0}
    assert WATCH.due_at(debit(attempt, status="pending"), settles) == 50.0 + DAY_S
    assert WATCH.due_at(debit(attempt, status="processing", payment_method=None), settles) == 50.0 + DAY_S
    assert WATCH.due_at(debit(attempt, status="pending", payment_method="PLASTIC_CARD"), settles) is None
    assert WATCH.due_at(debit(attempt, status="pending", paygov_tracking_id=None), settles) is None


def test_a_reversal_leaves_the_watch_unless_all_has_gone_back(attempt: Attempt) -> None:
    watched = debit(attempt, due_at=77.0)
    assert WATCH.due_at(watched, {"reversed_amount": attempt.amount - 1}) == 77.0
    assert WATCH.due_at(watched, {"reversed_amount": attempt.amount}) is None


def test_the_questions_about_a_return_grow_and_end_with_the_watch(attempt: Attempt) -> None:
    watched, now, days = debit(attempt), DAY_S, [1.0]
    while now < WATCH.return_watch_ends_at(watched):
        now = WATCH.next_return_poll_at(watched, now)
        days.append(round(now / DAY_S, 1))
    assert days == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 61.0]
    assert WATCH.next_return_poll_at(watched, now) == now + RETURN_POLL_AGAIN_S


def test_a_late_question_is_followed_by_one_at_the_same_distance(attempt: Attempt) -> None:
    assert WATCH.next_return_poll_at(debit(attempt), 20 * DAY_S) == 40 * DAY_S


def test_polls_of_a_fresh_unknown_outcome_are_close_and_thin_out_by_doubling_after_it(attempt: Attempt) -> None:
    unknown = replace(attempt, status="processing", outcome_unknown=True, updated_at=0.0)
    waits = [POLICY.next_poll_at(unknown, now) - now for now in (1, 5, 8, 10, 29, 30, 40, 80, 1e6)]
    assert waits == [5, 5, 8, 8, 8, 30, 40, 60, 60]
    leased = replace(unknown, outcome_unknown=False, lease_owner="a", lease_until=90.0)
    assert [POLICY.next_poll_at(leased, now) - now for now in (10, 20)] == [10, 20], "nothing was lost yet"


def test_an_unknown_outcome_is_looked_up_13_times_in_two_minutes_and_19_times_in_the_life_of_its_token(
    attempt: Attempt,
) -> None:
    policy = DuePolicy()
    unknown = replace(attempt, status="processing", outcome_unknown=True, updated_at=0.0)
    polls = [5.0]
    while polls[-1] < TOKEN_AGE_MAX_S:
        polls.append(policy.next_poll_at(unknown, polls[-1]))
    assert polls[:4] == [5, 10, 20, 30]
    assert sum(at <= FRESH_S for at in polls) == 13
    assert sum(at <= TOKEN_AGE_MAX_S for at in polls) == 19


def test_a_settling_payment_is_asked_about_less_often_than_an_unknown_outcome(attempt: Attempt) -> None:
    pending = replace(attempt, status="pending", updated_at=0.0)
    waits = [POLICY.next_poll_at(pending, now) - now for now in (1, 5, 20, 66, 80, 1e6)]
    assert waits == [5, 15, 60, 198, 200, 200]
    assert POLICY.due_at(replace(pending, unsettled_since=1.0, updated_at=1e6)) == 1e6 + 200


def test_a_token_expires_at_the_end_of_its_life(attempt: Attempt) -> None:
    initiated = replace(attempt, status="initiated", token_at=50.0)
    assert not POLICY.token_expired(initiated, 1049.999)
    assert POLICY.token_expired(initiated, 1050.0)
