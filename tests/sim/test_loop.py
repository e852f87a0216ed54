"""Virtual time passes without waiting, in one order, and a deadlock is reported."""

import asyncio

import pytest

from sim.loop import EPOCH_S, Deadlock, VirtualLoop, run_virtual


def test_an_hour_of_sleep_moves_the_clock_by_an_hour() -> None:
    async def main(loop: VirtualLoop) -> float:
        await asyncio.sleep(3600)
        return loop.clock()

    assert run_virtual(main) == EPOCH_S + 3600


def test_sleepers_wake_in_the_order_of_their_times_in_any_order_of_their_start() -> None:
    async def main(loop: VirtualLoop) -> list[tuple[str, float]]:
        woken: list[tuple[str, float]] = []

        async def sleeper(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            woken.append((name, loop.time()))

        await asyncio.gather(sleeper("late", 20), sleeper("soon", 0.5), sleeper("middle", 7))
        return woken

    assert run_virtual(main) == [("soon", 0.5), ("middle", 7.0), ("late", 20.0)]


def test_a_timeout_fires_at_its_virtual_time() -> None:
    async def main(loop: VirtualLoop) -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(20):
                await asyncio.Event().wait()
        return loop.time()

    assert run_virtual(main) == 20.0


def test_waiting_for_an_event_that_cannot_happen_is_a_deadlock() -> None:
    async def main(loop: VirtualLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        run_virtual(main)


def test_tasks_left_running_are_ended() -> None:
    ended: list[str] = []

    async def background() -> None:
        try:
            await asyncio.sleep(1e9)
        finally:
            ended.append("background")

    async def main(loop: VirtualLoop) -> None:
        loop.create_task(background())
        await asyncio.sleep(1)

    run_virtual(main)
    assert ended == ["background"]
