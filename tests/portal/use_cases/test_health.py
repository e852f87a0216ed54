"""/health asks each dependency: Pay.gov is healthy if it answers in its own words, be it a refusal."""

import asyncio
from pathlib import Path

import pytest

from bursar.payments.ledger.store_records.restores import BY_COMMAND
from bursar.portal.contract.views import health_json
from bursar.portal.state.lake_upkeep import LakeUpkeep
from bursar.portal.upkeep.restored import clear
from bursar.portal.use_cases.health import HEALTH_AGE_MAX_S, health
from bursar.reports.lake.upkeep import UpkeepFile
from tests.support.portal.stage import Stage, on_stage
from tests.support.write_paths import WritePath


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        (None, "ok", None),
        ("fault", "ok", None),
        ("refuse", "failed", "NotSent"),
        ("drop", "failed", "TimeoutError"),
        ("garbage", "failed", "Nonsense"),
        ("http", "failed", "Nonsense"),
    ],
)
def test_only_an_answer_of_paygov_is_healthy(
    write_path: WritePath, kind: str | None, status: str, message: str | None
) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        if kind is not None:
            stage.misbehave(kind, operations=("details",))
        check = (await health(stage.portal)).checks["payGov"]
        assert (check.status, check.message) == (status, message)

    scene(write_path)


@on_stage
async def test_an_answer_of_paygov_is_reused_for_two_seconds_only(stage: Stage) -> None:
    await health(stage.portal)
    stage.misbehave("refuse")
    await asyncio.sleep(HEALTH_AGE_MAX_S - 0.001)
    assert (await health(stage.portal)).healthy
    await asyncio.sleep(0.001)
    assert not (await health(stage.portal)).healthy


def test_a_lake_that_differed_or_is_verified_late_degrades_and_stops_nothing(
    write_path: WritePath, tmp_path: Path
) -> None:
    upkeep = UpkeepFile(tmp_path / "upkeep.json")

    @on_stage
    async def scene(stage: Stage) -> None:
        clock = stage.portal.clock
        assert "lake" not in (await health(stage.portal)).checks
        stage.portal.lake = LakeUpkeep(upkeep, clock, 60.0)
        assert health_json(await health(stage.portal))["checks"]["lake"]["status"] == "ok"
        upkeep.note_verified(clock(), 4)
        report = await health(stage.portal)
        assert (report.status, report.healthy) == ("degraded", True)
        assert report.checks["lake"].message == "the last verification found 4 differences, and repaired them"
        upkeep.note_verified(clock(), 0)
        assert (await health(stage.portal)).status == "healthy"
        await asyncio.sleep(121.0)
        assert health_json(await health(stage.portal))["checks"]["lake"]["status"] == "degraded"
        stage.misbehave("refuse")
        await asyncio.sleep(HEALTH_AGE_MAX_S)
        assert (await health(stage.portal)).status == "unhealthy"

    scene(write_path)


@on_stage
async def test_the_mark_of_a_restore_is_shown_while_it_stands(stage: Stage) -> None:
    await stage.restore_and_mark(stage.backup())
    await stage.portal.restores.open_mark()
    report = await health(stage.portal)
    assert report.restored is not None
    assert (report.restored.way, report.healthy) == (BY_COMMAND, True)
    await clear(stage.portal, by="Ada", reason="compared")
    await asyncio.sleep(60)
    await stage.portal.restores.open_mark()
    assert (await health(stage.portal)).restored is None
