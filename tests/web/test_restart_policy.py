"""When a dead worker is replaced: the budget is per time, and workers that die at once are started ever later."""

import pytest

from bursar.web.restart_policy import (
    EARLY_DEATH_S,
    FAILED_STARTS_MAX,
    PAUSE_FIRST_S,
    PAUSE_MAX_S,
    RESTARTS_MAX,
    RESTARTS_WINDOW_S,
    GivesUp,
    RestartPolicy,
)


class Wall:
    """A clock that tests move by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def policy(wall: Wall) -> RestartPolicy:
    return RestartPolicy(wall)


def died(policy: RestartPolicy, wall: Wall, *, after_s: float, worker: int = 0, ready: bool = True) -> float:
    """Let ``worker`` live for ``after_s`` and return the pause before its replacement."""
    started_at = wall.now
    wall.now += after_s
    return policy.pause_after(worker, started_at=started_at, was_ready=ready, others_ready=True)


def test_a_worker_that_lived_is_replaced_at_once(policy: RestartPolicy, wall: Wall) -> None:
    assert died(policy, wall, after_s=EARLY_DEATH_S) == 0.0


def test_a_crash_every_five_seconds_never_ends_the_server(policy: RestartPolicy, wall: Wall) -> None:
    assert {died(policy, wall, after_s=5.0, worker=number % 4) for number in range(1000)} == {0.0}


def test_too_many_restarts_within_the_window_end_the_server(policy: RestartPolicy, wall: Wall) -> None:
    for number in range(RESTARTS_MAX):
        died(policy, wall, after_s=RESTARTS_WINDOW_S / RESTARTS_MAX / 2, worker=number)
    with pytest.raises(GivesUp, match="workers were restarted 120 times within 300 s"):
        died(policy, wall, after_s=0.0)


def test_restarts_before_the_window_do_not_count(policy: RestartPolicy, wall: Wall) -> None:
    for number in range(RESTARTS_MAX):
        died(policy, wall, after_s=0.0, worker=number)
    assert died(policy, wall, after_s=RESTARTS_WINDOW_S) == 0.0


def test_a_worker_that_dies_at_once_is_started_ever_later(policy: RestartPolicy, wall: Wall) -> None:
    pauses = [died(policy, wall, after_s=0.0) for _ in range(12)]
    assert pauses[:4] == [PAUSE_FIRST_S, 2 * PAUSE_FIRST_S, 4 * PAUSE_FIRST_S, 8 * PAUSE_FIRST_S]
    assert pauses[-1] == PAUSE_MAX_S


def test_the_pauses_of_one_worker_do_not_concern_another(policy: RestartPolicy, wall: Wall) -> None:
    for _ in range(5):
        died(policy, wall, after_s=0.0)
    assert died(policy, wall, after_s=0.0, worker=1) == PAUSE_FIRST_S


def test_a_worker_that_lived_begins_with_the_shortest_pause_again(policy: RestartPolicy, wall: Wall) -> None:
    for _ in range(5):
        died(policy, wall, after_s=0.0)
    died(policy, wall, after_s=EARLY_DEATH_S)
    assert died(policy, wall, after_s=0.0) == PAUSE_FIRST_S


def failed_start(policy: RestartPolicy, wall: Wall, *, others_ready: bool = False) -> float:
    return policy.pause_after(0, started_at=wall.now, was_ready=False, others_ready=others_ready)


def test_starts_that_all_fail_end_the_server(policy: RestartPolicy, wall: Wall) -> None:
    for _ in range(FAILED_STARTS_MAX - 1):
        failed_start(policy, wall)
    with pytest.raises(GivesUp, match="no worker became ready in 6 starts in a row"):
        failed_start(policy, wall)


def test_failed_starts_do_not_end_a_server_that_answers(policy: RestartPolicy, wall: Wall) -> None:
    for _ in range(2 * FAILED_STARTS_MAX):
        failed_start(policy, wall, others_ready=True)


def test_a_worker_that_becomes_ready_ends_the_row_of_failed_starts(policy: RestartPolicy, wall: Wall) -> None:
    for _ in range(3):
        for _ in range(FAILED_STARTS_MAX - 1):
            failed_start(policy, wall)
        policy.became_ready()
