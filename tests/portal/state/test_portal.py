"""The use cases share one run for callers at the same time, work that outlives its caller, and bounded memory."""

import asyncio

import pytest

from bursar.portal.state.portal import LOST_STARTS_MAX, UNANSWERED_MAX
from tests.support.portal.stage import Stage, on_stage


@on_stage
async def test_callers_with_one_key_at_the_same_time_share_one_run(stage: Stage) -> None:
    runs: list[str] = []

    async def work() -> int:
        runs.append("begun")
        await asyncio.sleep(5)
        return len(runs)

    portal = stage.portal
    first, second = (asyncio.create_task(portal.single_flight("a", work)) for _ in range(2))
    other = asyncio.create_task(portal.single_flight("b", work))
    await asyncio.sleep(1)
    assert len(runs) == 2
    first.cancel()
    assert await second == 2
    assert await other == 2
    assert await portal.single_flight("a", work) == 3


@on_stage
async def test_work_outlives_its_caller_and_drain_waits_for_it(stage: Stage) -> None:
    ended: list[str] = []

    async def work() -> None:
        await asyncio.sleep(5)
        ended.append("finished")

    async def shared() -> None:
        await asyncio.sleep(8)
        ended.append("shared")

    portal = stage.portal
    callers = [
        asyncio.ensure_future(portal.finish(work())),
        asyncio.ensure_future(portal.single_flight("a", shared)),
    ]
    await asyncio.sleep(1)
    for caller in callers:
        caller.cancel()
    assert await portal.drain(1.0) == 2
    assert await portal.drain() == 0
    assert ended == ["finished", "shared"]


@on_stage
async def test_an_error_of_work_reaches_its_caller_and_nothing_is_left(stage: Stage) -> None:
    async def work() -> None:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        await stage.portal.finish(work())
    with pytest.raises(OSError, match="the disk is gone"):
        await stage.portal.single_flight("a", work)
    await asyncio.sleep(0)
    assert await stage.portal.drain(0.0) == 0


@on_stage
async def test_what_a_process_remembers_of_attempts_is_bounded(stage: Stage) -> None:
    portal = stage.portal
    for number in range(UNANSWERED_MAX):
        portal.remember_lookup(f"a{number}", False)
    assert not portal.last_lookup_answered("a0")
    portal.remember_lookup("a0", True)
    assert portal.last_lookup_answered("a0")
    portal.remember_lookup("a0", False)
    assert not portal.last_lookup_answered("a1")
    portal.remember_lookup("one more", False)
    assert [portal.last_lookup_answered(each) for each in ("a1", "one more")] == [True, False]
    for number in range(LOST_STARTS_MAX):
        portal.remember_lost_start(f"a{number}")
    assert portal.start_was_lost("a0")
    portal.remember_lost_start("one more")
    assert [portal.start_was_lost(each) for each in ("a0", "one more")] == [False, True]


@on_stage
async def test_no_two_leases_have_one_owner(stage: Stage) -> None:
    one, other = stage.portal, stage.another_portal()
    owners = [each.new_lease_owner() for each in (one, one, other, other)]
    for each in (one, other):
        each.renew_name()
        owners.append(each.new_lease_owner())
    assert len(set(owners)) == 6
