"""Which lookups are asked, in which order, and whose "none" is believed."""

import asyncio

import pytest

from bursar.paygov.errors import PayGovError
from bursar.paygov.protocol import LookupName
from bursar.paygov.simulator import SimulatorSettings
from bursar.portal.upkeep.sweep import sweep
from bursar.portal.use_cases.completion import LookupAnswer, look_up
from tests.support.portal.stage import HOUR_S, UNUSED_S, Stage, on_stage
from tests.support.write_paths import WritePath

BOTH: tuple[LookupName, ...] = ("details", "query")
BLIND = SimulatorSettings(lookup_delay_s=30 * 24 * HOUR_S)
"""A Pay.gov whose lookups do not find what it has charged."""
NONE = LookupAnswer(rules_out=True, reached=True)


async def _lost(stage: Stage) -> str:
    """Return a token whose complete charged the payer and got no reply."""
    token = await stage.paid()
    await stage.lose_reply(token)
    stage.watcher.calls.clear()
    return token


async def _found(stage: Stage, token: str) -> LookupAnswer:
    return await look_up(stage.portal, await stage.attempt(token))


@on_stage(lookups=BOTH)
async def test_get_details_is_asked_first_and_alone(stage: Stage) -> None:
    token = await _lost(stage)
    assert (await stage.process(token)).status == "success"
    assert stage.watcher.calls == [("details", "answered")]


@on_stage(lookups=("query", "details"))
async def test_the_order_is_configuration(stage: Stage) -> None:
    await _found(stage, await _lost(stage))
    assert stage.watcher.calls == [("query", "answered")]


@pytest.mark.parametrize("kind", ["fault", "refuse", "http", "garbage", "wrong_agency"])
def test_the_second_is_asked_if_the_first_gives_no_answer(write_path: WritePath, kind: str) -> None:
    @on_stage(lookups=BOTH)
    async def scene(stage: Stage) -> None:
        token = await _lost(stage)
        stage.misbehave(kind, operations=("details_by_agency_id",))
        assert (await stage.process(token)).status == "success"
        assert [operation for operation, _ in stage.watcher.calls] == ["details", "query"]

    scene(write_path)


@on_stage(lookups=BOTH)
async def test_a_confirmed_none_is_the_answer(stage: Stage) -> None:
    assert await _found(stage, await stage.init()) == NONE
    assert stage.watcher.calls[1:] == [("details", "answered")]


@on_stage(lookups=BOTH, confirmed=("query",))
async def test_a_none_that_is_not_confirmed_is_asked_of_the_next(stage: Stage) -> None:
    assert await _found(stage, await stage.init()) == NONE
    assert stage.watcher.calls[1:] == [("details", "answered"), ("query", "answered")]


@on_stage(lookups=BOTH)
async def test_lookups_that_are_refused_with_4117_never_mean_none(stage: Stage) -> None:
    token = await _lost(stage)
    stage.misbehave("fault", operations=("details", "query"), code="4117")
    with pytest.raises(PayGovError, match="4117"):
        await _found(stage, token)
    for _ in range(5):
        await asyncio.sleep(HOUR_S)
        await sweep(stage.portal)
    assert (await stage.attempt(token)).status == "processing"
    stage.plan.clear()
    await asyncio.sleep(2 * HOUR_S)
    await sweep(stage.portal)
    assert ((await stage.attempt(token)).status, stage.charges()) == ("processed", 1)


@on_stage(lookups=("details",), confirmed=())
async def test_a_collection_that_an_unconfirmed_lookup_finds_is_believed(stage: Stage) -> None:
    token = await _lost(stage)
    assert (await stage.process(token)).status == "success"


@on_stage(lookups=("details",), confirmed=(), settings=BLIND)
async def test_a_none_of_an_unconfirmed_lookup_fails_nothing(stage: Stage) -> None:
    token = await _lost(stage)
    assert await _found(stage, token) == LookupAnswer(rules_out=False, reached=True)
    for _ in range(5):
        await asyncio.sleep(HOUR_S)
        await sweep(stage.portal)
    assert ((await stage.attempt(token)).status, stage.charges()) == ("processing", 1)


@on_stage(lookups=BOTH, confirmed=("query",), settings=SimulatorSettings(lookups=frozenset(("query",))))
async def test_an_unconfirmed_lookup_that_paygov_does_not_offer_changes_nothing(stage: Stage) -> None:
    token = await _lost(stage)
    assert (await stage.process(token)).status == "success"
    assert await _found(stage, await stage.init()) == NONE


@pytest.mark.parametrize("kind", ["fault", "refuse", "drop"])
def test_an_unconfirmed_lookup_without_an_answer_does_not_keep_a_token_from_expiring(
    write_path: WritePath, kind: str
) -> None:
    @on_stage(lookups=("details",), confirmed=())
    async def scene(stage: Stage) -> None:
        token = await stage.init()
        stage.misbehave(kind, operations=("details",), takes_place=None)
        await asyncio.sleep(UNUSED_S)
        assert (await sweep(stage.portal)).results == {"expired": 1}
        assert (await stage.attempt(token)).status == "failed"

    scene(write_path)


@pytest.mark.parametrize(("kind", "reached"), [("fault", True), ("refuse", False), ("drop", False)])
def test_a_refusal_shows_that_paygov_can_be_reached(write_path: WritePath, kind: str, reached: bool) -> None:
    @on_stage(lookups=BOTH, confirmed=())
    async def scene(stage: Stage) -> None:
        token = await stage.init()
        stage.misbehave(kind, operations=("details",), takes_place=None)
        assert await _found(stage, token) == LookupAnswer(reached=reached)

    scene(write_path)


@on_stage(lookups=("details",))
async def test_a_confirmed_lookup_without_an_answer_keeps_a_token_from_expiring(stage: Stage) -> None:
    token = await stage.init()
    stage.misbehave("fault", operations=("details",), code="4019")
    await asyncio.sleep(UNUSED_S)
    assert (await sweep(stage.portal)).results == {"unanswered": 1}
    assert (await stage.attempt(token)).status == "initiated"
