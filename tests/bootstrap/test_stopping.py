"""Stopping in order: work that a background task has begun is finished before its parts are closed."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bursar.bootstrap import up
from bursar.bootstrap.serving import bind
from bursar.portal.state.portal import Portal
from bursar.settings import Settings

NOWHERE = "http://127.0.0.1:9/"


def _portal(settings: Settings) -> Awaitable[None]:
    listening = bind(settings.host, settings.port, "the portal")
    return up.serve_portal(settings, listening, on_ready=lambda: None, on_stop=lambda: None)


@pytest.mark.parametrize("run", [_portal, lambda settings: up.run_up(settings, lambda line: None)])
async def test_work_that_the_sweeper_begins_during_the_drain_is_finished(
    run: Callable[[Settings], Awaitable[None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_it, draining, drain = asyncio.Event(), asyncio.Event(), Portal.drain
    begun, finished = [], []

    async def work(portal: Portal, name: str) -> None:
        begun.append(name)
        at_it.set()
        await draining.wait()
        for _ in range(1_000):
            await asyncio.sleep(0)
        await portal.ledger.obligation("nobody", name)
        finished.append(name)

    async def sweeper(portal: Portal, *given: Any, **named: Any) -> None:
        await portal.finish(work(portal, "first"))
        await portal.finish(work(portal, "second"))

    async def drained(portal: Portal, *given: Any) -> int:
        waiting = asyncio.ensure_future(drain(portal, *given))
        await asyncio.sleep(0)
        draining.set()
        return await waiting

    async def told(*given: Any, **named: Any) -> None:
        await at_it.wait()

    monkeypatch.setattr(up, "run_sweeper", sweeper)
    monkeypatch.setattr(up, "until_stopped", told)
    monkeypatch.setattr(Portal, "drain", drained)
    settings = Settings(data=str(tmp_path), port=0, simulator_port=0, auth="none", development_client=True)
    await run(replace(settings, paygov_url=NOWHERE, payment_url=NOWHERE))
    assert begun == finished
