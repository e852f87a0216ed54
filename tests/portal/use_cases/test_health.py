"""/health asks each dependency: Pay.gov is healthy if it answers in its own words, be it a refusal."""

import asyncio

import pytest

from bursar.portal.use_cases.health import HEALTH_AGE_MAX_S, health
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
