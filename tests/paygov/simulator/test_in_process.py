"""The transport without sockets: time passes only in the event loop, so hours of waiting take no real time."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from bursar.paygov import HttpReply, Nonsense, TimedOut
from bursar.paygov.simulator import Misbehaviour, MisbehaviourPlan, Simulator, SimulatorTransport
from tests.support.paygov.world import AGENCY_ID, APP, BASE, World, client

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer when there is nothing else to do."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000.0
        really_select = self._selector.select  # type: ignore[attr-defined]  # asyncio keeps its selector private

        def select(wait_s: float | None) -> Any:
            assert wait_s is not None, "everybody waits for nothing"
            self.now += wait_s
            return really_select(0)

        self._selector.select = select  # type: ignore[attr-defined]  # asyncio keeps its selector private

    def time(self) -> float:
        return self.now


def run_virtually(work: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(work(loop))


def world(loop: VirtualLoop, seed: int = 1, latency_s: tuple[float, float] = (0.0, 0.0)) -> World:
    simulator = Simulator(loop.time, random.Random(seed))
    transport = SimulatorTransport(simulator, MisbehaviourPlan(simulator.randomness), latency_s=latency_s)
    paygov = client(BASE, transport, 20.0)
    return World(None, simulator, transport.plan, paygov, paygov)  # type: ignore[arg-type]  # this world has no clock


def test_a_dropped_reply_takes_the_whole_timeout_of_its_caller() -> None:
    async def work(loop: VirtualLoop) -> float:
        here = world(loop)
        token = await here.paid()
        here.plan.add(Misbehaviour(kind="drop"))
        before = loop.time()
        with pytest.raises(TimedOut):
            await here.paygov.complete(tcs_app_id=APP, token=token)
        assert len(here.books.charges(AGENCY_ID)) == 1
        return loop.time() - before

    assert run_virtually(work) == pytest.approx(20.0)


def test_a_late_request_takes_place_after_its_callers_query_found_none() -> None:
    """Check the worst case: a complete times out, the query answers "there is none", then the payer is charged."""

    async def work(loop: VirtualLoop) -> list[int]:
        here = world(loop)
        token = await here.paid()
        here.plan.add(Misbehaviour(kind="delay", delay_s=60.0, operations=("complete",)))
        with pytest.raises(TimedOut):
            await here.paygov.complete(tcs_app_id=APP, token=token)
        found = [len(await here.paygov.find("query", tcs_app_id=APP, agency_tracking_id=AGENCY_ID))]
        await asyncio.sleep(60.0)
        return [*found, len(await here.paygov.find("query", tcs_app_id=APP, agency_tracking_id=AGENCY_ID))]

    assert run_virtually(work) == [0, 1]


def test_ach_settles_and_tokens_expire_by_the_loops_time() -> None:
    async def work(loop: VirtualLoop) -> list[str | None]:
        here = world(loop)
        completed = await here.paygov.complete(tcs_app_id=APP, token=await here.paid("ACH", "Failed"))
        await asyncio.sleep(16.0)
        (settled,) = await here.paygov.find("query", tcs_app_id=APP, agency_tracking_id=AGENCY_ID)
        return [completed.transaction_status, settled.transaction_status]

    assert run_virtually(work) == ["Received", "Failed"]


def test_a_caller_that_is_cancelled_does_not_undo_what_it_asked_for() -> None:
    async def work(loop: VirtualLoop) -> int:
        here = world(loop, latency_s=(1.0, 1.0))
        token = await here.paid()
        asking = asyncio.create_task(here.paygov.complete(tcs_app_id=APP, token=token))
        await asyncio.sleep(0.5)
        asking.cancel()
        await here.paygov.close()
        return len(here.books.charges(AGENCY_ID))

    assert run_virtually(work) == 1


def test_a_seed_repeats_a_run_to_the_last_microsecond() -> None:
    async def work(loop: VirtualLoop) -> list[Any]:
        here = world(loop, seed=42, latency_s=(0.01, 3.0))
        here.plan.add(Misbehaviour(kind="drop", probability=0.3), Misbehaviour(kind="http", probability=0.3))
        happened: list[Any] = []

        async def pay(number: int) -> None:
            try:
                token = await here.start(f"attempt-{number}")
                here.simulator.pay(token, "PAYPAL", "Success")
                collection = await here.paygov.complete(tcs_app_id=APP, token=token)
                happened.append((loop.time(), number, collection.paygov_tracking_id))
            except (TimedOut, Nonsense) as error:
                happened.append((loop.time(), number, str(error)))

        await asyncio.gather(*(pay(number) for number in range(40)))
        return happened

    first = run_virtually(work)
    assert first == run_virtually(work)
    assert len({kind for *_, kind in first}) > 3


async def test_another_path_is_not_found(simulator: Simulator) -> None:
    reply = await SimulatorTransport(simulator).post("http://x/elsewhere", b"", {}, 1.0)
    assert isinstance(reply, HttpReply)
    assert reply.status == 404


async def test_other_tasks_run_during_an_instant_request(simulator: Simulator) -> None:
    turns: list[str] = []

    async def other() -> None:
        turns.append("other")

    async def ask() -> None:
        await client(BASE, SimulatorTransport(simulator)).find("query", tcs_app_id=APP, agency_tracking_id="a")
        turns.append("asked")

    await asyncio.gather(ask(), other())
    assert turns == ["other", "asked"]
