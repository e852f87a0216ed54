"""The sweeper's loop continues after errors, catches up after a full pass, and ends when it is cancelled."""

import asyncio
from typing import Any

import pytest

from bursar.portal.upkeep.sweep_loop import ERROR_PAUSE_MAX_S, pause_s, run_sweeper
from tests.support.portal.stage import HOUR_S, Stage, on_stage


@on_stage
async def test_the_loop_settles_new_payments(stage: Stage) -> None:
    sweeping = asyncio.create_task(run_sweeper(stage.portal, 5.0))
    token = await stage.paid("ACH")
    await stage.process(token)
    await asyncio.sleep(60)
    assert (await stage.attempt(token)).status == "processed"
    sweeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sweeping


@on_stage
async def test_the_loop_continues_after_the_store_was_unreachable(stage: Stage) -> None:
    due, failures = stage.ledger.due, 3

    async def flaky(*given: Any) -> Any:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise ConnectionError
        return await due(*given)

    stage.ledger.due = flaky  # type: ignore[assignment]  # a stand-in
    sweeping = asyncio.create_task(run_sweeper(stage.portal, 5.0))
    token = await stage.paid("ACH")
    await stage.process(token)
    await asyncio.sleep(300)
    sweeping.cancel()
    assert (await stage.attempt(token)).status == "processed"


@on_stage
async def test_another_pass_follows_a_full_one_at_once(stage: Stage) -> None:
    tokens = [await stage.init() for _ in range(4)]
    await asyncio.sleep(3 * HOUR_S)
    first_pass = asyncio.Event()
    stage.watcher.swept = lambda results, seconds: first_pass.set()
    sweeping = asyncio.create_task(run_sweeper(stage.portal, 300.0, limit=2))
    await first_pass.wait()
    await asyncio.sleep(1)
    sweeping.cancel()
    assert {(await stage.attempt(token)).status for token in tokens} == {"failed"}


@on_stage
async def test_pauses_have_jitter_and_a_bound(stage: Stage) -> None:
    usual = {pause_s(stage.portal, 5.0, 0) for _ in range(50)}
    assert all(2.5 <= pause <= 7.5 for pause in usual)
    assert len(usual) == 50
    assert pause_s(stage.portal, 5.0, 1000) <= 1.5 * ERROR_PAUSE_MAX_S
