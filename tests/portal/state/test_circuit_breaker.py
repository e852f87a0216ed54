"""The breaker opens after a run of failures, admits one probe after the cool-down, and closes after an answer."""

import random

from bursar.portal.state.circuit_breaker import COOL_DOWN_MAX_S, COOL_DOWN_MIN_S, FAILURES_MAX, JITTER, Breaker


class ManualClock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def _opened(clock: ManualClock) -> Breaker:
    breaker = Breaker(clock, random.Random(1))
    for _ in range(FAILURES_MAX):
        assert breaker.admit()
        breaker.report(answered=False)
    return breaker


def test_it_opens_after_a_run_of_failures_only() -> None:
    breaker = Breaker(ManualClock(), random.Random(1))
    for _ in range(10 * FAILURES_MAX):
        breaker.report(answered=False)
        breaker.report(answered=True)
    assert breaker.admit()
    assert _opened(ManualClock()).is_open


def test_after_the_cool_down_one_probe_goes_through() -> None:
    clock = ManualClock()
    breaker = _opened(clock)
    assert not breaker.admit()
    assert COOL_DOWN_MIN_S <= breaker.open_for_s <= COOL_DOWN_MIN_S * (1 + JITTER)
    clock.now += breaker.open_for_s
    assert [breaker.admit() for _ in range(3)] == [True, False, False]
    breaker.report(answered=True)
    assert breaker.admit()
    assert not breaker.is_open


def test_failed_probes_make_it_wait_longer_up_to_a_bound() -> None:
    clock = ManualClock()
    breaker = _opened(clock)
    waits = []
    for _ in range(12):
        waits.append(breaker.open_for_s)
        clock.now += breaker.open_for_s
        assert breaker.admit()
        breaker.report(answered=False)
    assert waits[1] > waits[0]
    assert COOL_DOWN_MAX_S <= waits[-1] <= COOL_DOWN_MAX_S * (1 + JITTER)


def test_late_failures_of_questions_asked_before_do_not_restart_it() -> None:
    clock = ManualClock()
    breaker = _opened(clock)
    wait = breaker.open_for_s
    breaker.report(answered=False)
    assert breaker.open_for_s == wait


def test_a_probe_without_a_result_admits_another() -> None:
    clock = ManualClock()
    breaker = _opened(clock)
    clock.now += breaker.open_for_s
    assert breaker.admit()
    breaker.report(answered=None)
    assert [breaker.admit(), breaker.admit()] == [True, False]
