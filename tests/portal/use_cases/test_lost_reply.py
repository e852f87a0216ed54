"""A process call whose complete got no answer asks Pay.gov for the collection at once, before it answers 504."""

import asyncio
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest

from bursar.paygov.simulator import SimulatorSettings
from bursar.payments import Attempt
from bursar.payments.due import POLL_INTERVAL_MIN_S
from bursar.portal.contract.errors import BadGateway, GatewayTimeout, PortalError
from bursar.portal.upkeep.sweep import sweep
from bursar.portal.use_cases import completion
from bursar.portal.use_cases.completion import LOOKED_UP_WITHIN_S
from tests.support.portal.stage import PAYGOV_TIMEOUT_S, Stage, on_stage
from tests.support.write_paths import WritePath

BEFORE = [("start", "answered")]
ASKED = ("query", "answered")


def _of_complete(stage: Stage) -> list[tuple[str, str]]:
    """Return the calls to Pay.gov that followed the start."""
    return stage.watcher.calls[len(BEFORE) :]


@pytest.mark.parametrize("kind", ["drop", "reset", "cut", "http", "garbage", "truncated", "wrong_shape"])
def test_the_charge_is_found_in_the_same_call(write_path: WritePath, kind: str) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        token = await stage.paid()
        stage.misbehave(kind, operations=("complete",), takes_place=True, times=1)
        assert (await stage.process(token)).status == "success"
        attempt = await stage.attempt(token)
        assert (stage.charges(), stage.watcher.alerts, _of_complete(stage)[1:]) == (1, [], [ASKED])
        assert (await stage.events_of(attempt))[-3:] == ["claimed", "outcome_unknown", "completed"]

    scene(write_path)


@pytest.mark.parametrize(
    ("method", "outcome", "status"), [("ACH", "Success", "pending"), ("PLASTIC_CARD", "Failed", "failed")]
)
def test_what_pay_gov_says_of_the_collection_is_the_answer(
    write_path: WritePath, method: str, outcome: str, status: str
) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        token = await stage.paid(method, outcome)
        stage.misbehave("reset", operations=("complete",), times=1)
        assert (await stage.process(token)).status == status

    scene(write_path)


@on_stage
async def test_no_lookup_is_asked_when_the_answer_arrives(stage: Stage) -> None:
    await stage.process(await stage.paid())
    assert _of_complete(stage) == [("complete", "answered")]


@on_stage(settings=SimulatorSettings(lookup_delay_s=2.0))
async def test_a_charge_that_is_shown_a_moment_later_is_found_by_the_second_question(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("reset", operations=("complete",), times=1)
    assert (await stage.process(token)).status == "success"
    assert _of_complete(stage)[1:] == [ASKED, ASKED]


@on_stage(settings=SimulatorSettings(lookup_delay_s=60.0))
async def test_a_charge_that_is_shown_later_is_left_to_the_sweeper(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("reset", operations=("complete",), times=1)
    with pytest.raises(GatewayTimeout, match="ask details"):
        await stage.process(token)
    assert _of_complete(stage)[1:] == [ASKED, ASKED]
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.outcome_unknown, attempt.lease_owner) == ("processing", True, None)
    assert attempt.due_at == attempt.updated_at + POLL_INTERVAL_MIN_S


@on_stage
async def test_none_is_not_believed_and_nothing_is_completed_again(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("http", operations=("complete",), takes_place=False, times=1)
    with pytest.raises(BadGateway, match="ask details"):
        await stage.process(token)
    assert [operation for operation, _ in _of_complete(stage)] == ["complete", "query", "query"]
    assert ((await stage.attempt(token)).status, stage.charges()) == ("processing", 0)


@on_stage(query=False)
async def test_without_a_lookup_the_call_ends_at_once(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("reset", operations=("complete",), times=1)
    began = stage.loop.clock()
    with pytest.raises(GatewayTimeout, match="ask details"):
        await stage.process(token)
    assert (stage.loop.clock() - began, len(_of_complete(stage))) == (0.0, 1)


@on_stage(lookups=("details",), confirmed=())
async def test_a_collection_that_an_unconfirmed_lookup_shows_is_believed(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("reset", operations=("complete",), times=1)
    assert (await stage.process(token)).status == "success"


@pytest.mark.parametrize("complete", ["drop", "reset"])
@pytest.mark.parametrize("lookup", ["drop", "refuse", "fault", "garbage"])
def test_a_lookup_without_an_answer_keeps_no_caller_past_the_deadline(
    write_path: WritePath, complete: str, lookup: str
) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        token = await stage.paid()
        stage.misbehave(complete, operations=("complete",), times=1)
        stage.misbehave(lookup, operations=("query",))
        began = stage.loop.clock()
        with pytest.raises(GatewayTimeout, match="ask details"):
            await stage.process(token)
        assert stage.loop.clock() - began <= LOOKED_UP_WITHIN_S
        stage.plan.clear()
        await asyncio.sleep(PAYGOV_TIMEOUT_S)
        await sweep(stage.portal)
        assert ((await stage.attempt(token)).status, stage.charges()) == ("processed", 1)

    scene(write_path)


@on_stage
async def test_a_collection_of_another_amount_is_recorded_by_no_call(stage: Stage) -> None:
    token = await stage.paid()
    entry = stage.simulator.books.entry(token)
    assert entry is not None
    entry.amount = Decimal("61.00")
    stage.misbehave("reset", operations=("complete",), times=1)
    with pytest.raises(PortalError, match="ask details"):
        await stage.process(token)
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.outcome_unknown, attempt.paygov_tracking_id) == ("processing", True, None)


def _held_back(stage: Stage, until: asyncio.Event) -> Any:
    """Return a patch by which a lookup of this process is answered only after ``until``; others are not held back."""
    look_up, mine = completion.look_up, stage.portal

    async def held_back(portal: Any, attempt: Attempt) -> Any:
        if portal is mine:
            await until.wait()
        return await look_up(portal, attempt)

    return patch.object(completion, "look_up", held_back)


@on_stage
async def test_a_process_that_is_killed_while_it_asks_leaves_the_charge_to_the_sweeper(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("reset", operations=("complete",), times=1)
    with _held_back(stage, asyncio.Event()):
        call = asyncio.create_task(stage.process(token))
        await asyncio.sleep(POLL_INTERVAL_MIN_S)
        call.cancel()  # the work itself never ends, as that of a process that is killed
        other = stage.another_portal()
        assert (await sweep(other)).results == {"settled": 1}
        assert ((await stage.attempt(token)).status, stage.charges()) == ("processed", 1)
        await asyncio.sleep(LOOKED_UP_WITHIN_S)
    assert (await stage.events_of(await stage.attempt(token)))[-2:] == ["outcome_unknown", "completed"]


@on_stage
async def test_a_call_whose_charge_the_sweeper_records_first_answers_the_same(stage: Stage) -> None:
    token, go_on = await stage.paid(), asyncio.Event()
    stage.misbehave("reset", operations=("complete",), times=1)
    with _held_back(stage, go_on):
        call = asyncio.create_task(stage.process(token))
        await asyncio.sleep(POLL_INTERVAL_MIN_S)
        await asyncio.gather(*(sweep(stage.another_portal()) for _ in range(3)))
        go_on.set()
        assert (await call).status == "success"
    assert (await stage.events_of(await stage.attempt(token)))[-2:] == ["outcome_unknown", "completed"]
    assert (stage.charges(), stage.watcher.alerts) == (1, [])


@on_stage
async def test_callers_and_sweepers_at_once_find_one_charge(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("reset", operations=("complete",), times=1)
    portals = [stage.another_portal() for _ in range(3)]
    calls = [asyncio.create_task(stage.process(token)) for _ in range(3)]
    await asyncio.gather(*calls, *map(sweep, portals), return_exceptions=True)
    await asyncio.sleep(2 * LOOKED_UP_WITHIN_S)
    await asyncio.gather(*map(sweep, portals))
    assert ((await stage.attempt(token)).status, stage.charges()) == ("processed", 1)
    assert (await stage.events_of(await stage.attempt(token))).count("completed") == 1


@on_stage
async def test_a_caller_that_disconnects_does_not_end_the_question(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("drop", operations=("complete",), times=1)
    caller = asyncio.create_task(stage.process(token))
    await asyncio.sleep(1)
    caller.cancel()
    assert await stage.portal.drain() == 0
    assert (await stage.attempt(token)).status == "processed"
