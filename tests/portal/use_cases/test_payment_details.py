"""GET /details and …/events return the record, refreshed if only Pay.gov knows the state."""

import asyncio
from dataclasses import replace

import pytest

from bursar.portal.contract.errors import Forbidden, GatewayTimeout, InvalidRequest, NotFound
from bursar.portal.contract.views import payment_json
from bursar.portal.use_cases.payment_details import details, events
from tests.support.portal.stage import DAWSON, EXAMS, Stage, on_stage


async def _reference_of(stage: Stage, token: str) -> str:
    return (await stage.attempt(token)).reference


@on_stage
async def test_a_pending_payment_is_refreshed_until_it_settles(stage: Stage) -> None:
    token = await stage.paid("ACH")
    await stage.process(token)
    reference = await _reference_of(stage, token)
    assert (await details(stage.portal, DAWSON, reference)).status == "pending"
    await asyncio.sleep(15)
    settled = await details(stage.portal, DAWSON, reference.upper())
    assert (settled.status, settled.attempts[0].payment_method) == ("success", "ACH")


@on_stage
async def test_a_poll_that_learns_nothing_changes_nothing(stage: Stage) -> None:
    token = await stage.paid("ACH")
    await stage.process(token)
    reference = await _reference_of(stage, token)
    before = payment_json(await details(stage.portal, DAWSON, reference))
    await asyncio.sleep(5)
    assert payment_json(await details(stage.portal, DAWSON, reference)) == before
    assert (await stage.events_of(await stage.attempt(token)))[-1] == "accepted"


@on_stage
async def test_paygov_is_asked_once_for_many_callers_and_not_again_at_once(stage: Stage) -> None:
    token = await stage.paid("ACH")
    await stage.process(token)
    reference = await _reference_of(stage, token)
    portals = [stage.portal] * 5 + [stage.another_portal(stage.watcher)] * 5
    await asyncio.gather(*(details(portal, DAWSON, reference) for portal in portals))
    assert stage.watcher.calls.count(("details", "answered")) == 1
    await asyncio.sleep(2)
    await details(stage.portal, DAWSON, reference)
    assert stage.watcher.calls.count(("details", "answered")) == 2


@on_stage
async def test_callers_that_poll_details_do_not_postpone_the_sweeper(stage: Stage) -> None:
    token = await stage.paid("ACH")
    await stage.process(token)
    due_at = (await stage.attempt(token)).due_at
    for _ in range(2):
        await asyncio.sleep(2)
        await details(stage.portal, DAWSON, await _reference_of(stage, token))
    assert stage.watcher.calls.count(("details", "answered")) == 2
    assert (await stage.attempt(token)).due_at == due_at


@on_stage
async def test_when_paygov_cannot_be_asked_the_record_is_given_as_stale(stage: Stage) -> None:
    token = await stage.paid("ACH")
    await stage.process(token)
    stage.misbehave("refuse")
    reply = await details(stage.portal, DAWSON, await _reference_of(stage, token))
    assert (reply.status, reply.stale) == ("pending", True)


@on_stage
async def test_an_answer_stays_stale_until_paygov_answers_again(stage: Stage) -> None:
    token = await stage.paid("ACH")
    await stage.process(token)
    reference = await _reference_of(stage, token)
    stage.misbehave("refuse", times=1)
    replies = [await details(stage.portal, DAWSON, reference) for _ in range(2)]  # the second does not ask Pay.gov
    await asyncio.sleep(2)
    replies += [await details(stage.portal, DAWSON, reference) for _ in range(2)]
    assert [reply.stale for reply in replies] == [True, True, False, False]


@on_stage
async def test_an_unknown_outcome_is_found_by_asking(stage: Stage) -> None:
    token = await stage.paid()
    await stage.lose_reply(token)
    reply = await details(stage.portal, DAWSON, await _reference_of(stage, token))
    assert (reply.status, reply.stale) == ("success", False)


@on_stage
async def test_details_never_completes_anything(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("http", operations=("complete",), times=1)
    with pytest.raises(Exception, match="ask details"):
        await stage.process(token)
    reply = await details(stage.portal, DAWSON, await _reference_of(stage, token))
    assert (reply.status, stage.charges()) == ("pending", 0)


@on_stage(query=False)
async def test_an_unknown_outcome_without_a_query_service_is_stale(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("drop", operations=("complete",), times=1)
    with pytest.raises(GatewayTimeout):
        await stage.process(token)
    reply = await details(stage.portal, DAWSON, await _reference_of(stage, token))
    assert (reply.status, reply.stale) == ("pending", True)


@on_stage
async def test_a_reference_of_another_client_is_not_found(stage: Stage) -> None:
    reference = await _reference_of(stage, await stage.init())
    for unknown in (reference, stage.reference()):
        with pytest.raises(NotFound, match=r"^Transaction Reference Id was not found$"):
            await details(stage.portal, EXAMS, unknown)


@on_stage
async def test_a_client_that_may_not_charge_the_fee_sees_neither_the_payment_nor_its_events(stage: Stage) -> None:
    reference = await _reference_of(stage, await stage.init())
    other_fee = replace(DAWSON, fees=frozenset({"COPY_FEE"}))
    for ask in (details, events):
        with pytest.raises(Forbidden, match=r"^Client not authorized for fee$"):
            await ask(stage.portal, other_fee, reference)


@on_stage
async def test_a_reference_that_is_no_uuid_is_a_validation_error(stage: Stage) -> None:
    for wrong in ("nothing", stage.reference()[:-1], "00000000-0000-1000-8000-000000000000"):
        for ask in (details, events):
            with pytest.raises(InvalidRequest, match=r"^Validation error$") as refused:
                await ask(stage.portal, DAWSON, wrong)
            assert [each["path"] for each in refused.value.errors] == [["transactionReferenceId"]]


@on_stage
async def test_the_history_holds_every_event_and_no_token(stage: Stage) -> None:
    token = await stage.paid("ACH")
    await stage.process(token)
    history = await events(stage.portal, DAWSON, await _reference_of(stage, token))
    assert [each.name for each in history.events] == ["started", "token_given", "claimed", "accepted"]
    assert token not in str(history)
