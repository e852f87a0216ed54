"""Limits hold for each client, at once and per second, and do not affect other clients."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.portal.api import rate_limits
from bursar.portal.api.authentication import without_signatures
from bursar.portal.api.rate_limits import ClientLimits, shared_buckets
from bursar.portal.contract.errors import TooMany
from bursar.portal.doors.asgi import portal_app
from tests.support.portal.asgi import ask
from tests.support.portal.stage import DAWSON, Stage, on_stage


class ManualClock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextlib.contextmanager
def workers(
    clock: ManualClock, *, count: int = 2, at_once_max: int = 1000, rate_per_s: float = 1.0, burst: float = 1000.0
) -> Iterator[list[ClientLimits]]:
    """Yield the limits of each worker of one server."""
    with shared_buckets(count) as shared:
        yield [
            ClientLimits(
                clock, at_once_max=at_once_max, rate_per_s=rate_per_s, burst=burst, shared=shared, worker=worker
            )
            for worker in range(count)
        ]


def refusal_of(limits: ClientLimits, client: str) -> tuple[str, str] | None:
    """Return why a request is refused and when to retry; None for an accepted one."""
    try:
        limits.enter(client)
    except TooMany as refused:
        return str(refused), refused.headers["retry-after"]
    return None


def test_a_burst_then_a_rate() -> None:
    clock = ManualClock()
    limits = ClientLimits(clock, rate_per_s=2.0, burst=3.0)
    for _ in range(3):
        limits.enter("a")
    with pytest.raises(TooMany) as refused:
        limits.enter("a")
    assert refused.value.headers["retry-after"] == "1"
    limits.enter("b")
    clock.now += 0.5
    limits.enter("a")
    clock.now += 100
    for _ in range(3):
        limits.enter("a")
    with pytest.raises(TooMany):
        limits.enter("a")


def test_at_once() -> None:
    limits = ClientLimits(ManualClock(), at_once_max=2)
    limits.enter("a")
    limits.enter("a")
    with pytest.raises(TooMany, match="at once"):
        limits.enter("a")
    limits.leave("a")
    limits.enter("a")


def test_clients_do_not_share_a_bucket_while_slots_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "SLOTS_MAX", 64)
    limits = ClientLimits(ManualClock(), at_once_max=1)
    clients = [f"c{number}" for number in range(64)]
    for _ in range(2):
        for client in clients:
            limits.enter(client)
            with pytest.raises(TooMany):
                limits.enter(client)
        for client in clients:
            limits.leave(client)


def test_at_once_is_counted_over_all_workers() -> None:
    with workers(ManualClock(), at_once_max=2) as (one, other):
        one.enter("a")
        other.enter("a")
        for limits in (one, other):
            with pytest.raises(TooMany, match="at once"):
                limits.enter("a")
            limits.enter("b")
            limits.leave("b")
        one.leave("a")
        other.enter("a")
        with pytest.raises(TooMany, match="at once"):
            one.enter("a")


def test_a_burst_then_a_rate_over_all_workers() -> None:
    clock = ManualClock()
    with workers(clock, rate_per_s=0.25, burst=4.0) as (one, other):
        for limits in (one, other, one, one):
            limits.enter("a")
        for limits in (one, other, one):
            with pytest.raises(TooMany, match="retry later") as refused:
                limits.enter("a")
            assert refused.value.headers["retry-after"] == "4"
        clock.now += 3.0
        with pytest.raises(TooMany) as refused:
            other.enter("a")
        assert refused.value.headers["retry-after"] == "1"
        clock.now += 1.0
        other.enter("a")
        with pytest.raises(TooMany):
            one.enter("a")


def test_a_bucket_that_stayed_full_is_full_for_an_idle_worker() -> None:
    clock = ManualClock()
    with workers(clock, rate_per_s=2.0, burst=4.0) as (one, other):
        other.enter("a")
        for _ in range(1000):
            clock.now += 0.5
            one.enter("a")
            one.leave("a")
        clock.now += 0.5
        for _ in range(4):
            other.enter("a")
        with pytest.raises(TooMany):
            one.enter("a")


def test_a_new_worker_has_nothing_under_way_and_the_bucket_as_it_was() -> None:
    clock = ManualClock()
    with shared_buckets(2) as shared:
        one, first = (
            ClientLimits(clock, at_once_max=3, rate_per_s=1.0, burst=5.0, shared=shared, worker=worker)
            for worker in range(2)
        )
        for limits in (one, first, first):
            limits.enter("a")
        assert refusal_of(one, "a") == ("Too many requests at once: retry later", "1")
        second = ClientLimits(clock, at_once_max=3, rate_per_s=1.0, burst=5.0, shared=shared, worker=1)
        one.enter("a")
        second.enter("a")
        second.leave("a")
        assert refusal_of(one, "a") == refusal_of(second, "a") == ("Too many requests: retry later", "1")


def test_a_client_for_which_no_slot_is_left_shares_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "SLOTS_MAX", 64)
    with workers(ManualClock(), at_once_max=2) as (one, other):
        for number in range(64):
            one.enter(f"c{number}")
        one.enter("late")
        with pytest.raises(TooMany):
            other.enter("late")
        assert sum(refusal_of(one, f"c{number}") is not None for number in range(64)) == 1
        one.leave("late")
        other.enter("late")


def test_after_the_clock_was_set_back_a_client_gains_nothing_until_it_has_caught_up() -> None:
    clock = ManualClock()
    alone = ClientLimits(clock, rate_per_s=1.0, burst=4.0)
    with workers(clock, rate_per_s=1.0, burst=4.0) as (one, other):
        for limits in (alone, alone, one, other):
            limits.enter("a")
        clock.now -= 10.0
        assert (
            refusal_of(alone, "a")
            == refusal_of(one, "a")
            == refusal_of(other, "a")
            == ("Too many requests: retry later", "9")
        )
        clock.now += 9.0
        for limits in (alone, one):
            limits.enter("a")
        assert (
            refusal_of(alone, "a")
            == refusal_of(one, "a")
            == refusal_of(other, "a")
            == ("Too many requests: retry later", "1")
        )


WORKERS = 3
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "enter", "enter", "leave", "replace"]),
        st.integers(0, WORKERS - 1),
        st.sampled_from(["a", "b"]),
        st.sampled_from([0.0, 0.0, 0.125, 0.5, 3.0, 100.0, -0.5, -3.0]),
    ),
    max_size=80,
)


@given(STEPS, st.integers(1, 6), st.sampled_from([0.25, 1.0, 2.0, 8.0]), st.sampled_from([1.0, 2.5, 8.0]))
def test_all_workers_together_admit_the_same_requests_as_one_process(
    steps: list[tuple[str, int, str, float]], at_once_max: int, rate_per_s: float, burst: float
) -> None:
    clock = ManualClock()
    alone = ClientLimits(clock, at_once_max=at_once_max, rate_per_s=rate_per_s, burst=burst)
    under_way = [Counter[str]() for _ in range(WORKERS)]
    with shared_buckets(WORKERS) as shared:

        def begin(worker: int) -> ClientLimits:
            return ClientLimits(
                clock, at_once_max=at_once_max, rate_per_s=rate_per_s, burst=burst, shared=shared, worker=worker
            )

        together = [begin(worker) for worker in range(WORKERS)]
        for step, worker, client, later_s in steps:
            clock.now += later_s
            if step == "enter":
                answer = refusal_of(together[worker], client)
                assert answer == refusal_of(alone, client)
                under_way[worker][client] += answer is None
            elif step == "leave" and under_way[worker][client]:
                under_way[worker][client] -= 1
                together[worker].leave(client)
                alone.leave(client)
            elif step == "replace":
                for lost in under_way[worker].elements():
                    alone.leave(lost)
                under_way[worker].clear()
                together[worker] = begin(worker)


@on_stage
async def test_over_http_it_is_429_with_retry_after(stage: Stage) -> None:
    limits = ClientLimits(stage.loop.clock, at_once_max=2)
    app = portal_app(stage.portal, without_signatures(DAWSON, listens_on=["127.0.0.1"]), limits=limits)
    tokens = [await stage.paid() for _ in range(5)]
    stage.misbehave("delay", operations=("complete",), delay_s=5.0)
    answers = await asyncio.gather(*(ask(app, "POST", "/process", {"token": token}) for token in tokens))
    assert sorted(answer.status for answer in answers) == [200, 200, 429, 429, 429]
    assert {a.headers["retry-after"] for a in answers if a.status == 429} == {"1"}
    assert (await ask(app, "POST", "/process", {"token": "0" * 32})).status == 404
