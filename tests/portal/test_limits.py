"""What one client may ask at once and per second, and that others do not feel it."""

import asyncio

import pytest

from bursar.portal.auth import nobody_asks
from bursar.portal.errors import TooMany
from bursar.portal.http import portal_app
from bursar.portal.limits import CLIENTS_REMEMBERED_MAX, ClientLimits
from portal.asgi import ask
from portal.stage import DAWSON, Stage, on_stage


class Wall:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_a_rate() -> None:
    wall = Wall()
    limits = ClientLimits(wall, rate_per_s=2.0, burst=3.0)
    for _ in range(3):
        limits.enter("a")
    with pytest.raises(TooMany) as refused:
        limits.enter("a")
    assert refused.value.headers["retry-after"] == "1"
    limits.enter("b")
    wall.now += 0.5
    limits.enter("a")
    wall.now += 100
    for _ in range(3):
        limits.enter("a")


def test_at_once() -> None:
    limits = ClientLimits(Wall(), at_once_max=2)
    limits.enter("a")
    limits.enter("a")
    with pytest.raises(TooMany, match="at once"):
        limits.enter("a")
    limits.leave("a")
    limits.enter("a")


def test_memory_is_bounded_and_nobody_at_work_is_forgotten() -> None:
    limits = ClientLimits(Wall())
    limits.enter("busy")
    for number in range(CLIENTS_REMEMBERED_MAX + 10):
        limits.enter(f"c{number}")
        limits.leave(f"c{number}")
    limits.leave("busy")
    assert len(limits._uses) <= CLIENTS_REMEMBERED_MAX


@on_stage
async def test_over_http_it_is_429_with_retry_after(stage: Stage) -> None:
    limits = ClientLimits(stage.loop.clock, at_once_max=2)
    app = portal_app(stage.portal, nobody_asks(DAWSON, listens_on=["127.0.0.1"]), limits=limits)
    tokens = [await stage.paid() for _ in range(5)]
    stage.misbehave("delay", operations=("complete",), delay_s=5.0)
    answers = await asyncio.gather(*(ask(app, "POST", "/process", {"token": token}) for token in tokens))
    assert sorted(answer.status for answer in answers) == [200, 200, 429, 429, 429]
    assert {a.headers["retry-after"] for a in answers if a.status == 429} == {"1"}
    assert (await ask(app, "POST", "/process", {"token": "0" * 32})).status == 404
