"""The ledger can change a judgement: a tracking id is taken, a record is contradicted, a lease is lost."""

import asyncio
from dataclasses import replace
from unittest.mock import patch

import pytest

from bursar.dynamo import StoreUnreachable
from bursar.paygov import Fault
from bursar.payments import Attempt, AttemptMoved, LedgerBusy, Outcome
from bursar.portal.contract.errors import BadGateway, GatewayTimeout, PortalError
from bursar.portal.upkeep.attention import attention
from bursar.portal.use_cases.completion import complete
from tests.support.portal.stage import Stage, on_stage


@on_stage
async def test_a_tracking_id_that_another_attempt_has_is_unknown_and_alerts(stage: Stage) -> None:
    first, second = await stage.paid(), await stage.paid()
    await stage.process(first)
    taken = (await stage.attempt(first)).paygov_tracking_id
    ask = stage.portal.paygov.complete

    async def same_id(*, tcs_app_id: str, token: str) -> object:
        return replace(await ask(tcs_app_id=tcs_app_id, token=token), paygov_tracking_id=taken)

    stage.portal.paygov.complete = same_id  # type: ignore[assignment]  # a stand-in
    with pytest.raises(BadGateway, match="ask details"):
        await stage.process(second)
    attempt = await stage.attempt(second)
    assert (attempt.status, attempt.outcome_unknown) == ("processing", True)
    assert stage.watcher.alerts == ["id taken"]


async def failed_by_an_operator(stage: Stage) -> tuple[Attempt, str]:
    """Return an attempt with an unknown outcome, as it was when its lease was taken, and the owner of the lease."""
    token = await stage.paid()
    owner = stage.portal.new_lease_owner()
    claimed = await stage.ledger.take_lease(await stage.attempt(token), owner, 90.0)
    unknown = await stage.ledger.record_unknown(claimed, "lost")
    await stage.ledger.resolve(unknown, settled_as="failed", by="Ada", reason="no charge found")
    return claimed, owner


@on_stage
async def test_an_answer_that_contradicts_an_operators_word_alerts_and_changes_nothing(stage: Stage) -> None:
    claimed, owner = await failed_by_an_operator(stage)
    with pytest.raises(BadGateway):
        await complete(stage.portal, claimed, owner, first=True, actor="portal")
    assert claimed.token is not None
    assert (await stage.attempt(claimed.token)).status == "failed"
    assert stage.watcher.alerts == ["contradiction"]
    [wanted] = await attention(stage.portal)
    assert (wanted.attempt.token, wanted.attempt.status, wanted.contradicted) == (claimed.token, "failed", True)
    assert wanted.reason.startswith("Pay.gov says processed as ")


@on_stage
async def test_a_contradiction_is_kept_even_when_the_store_is_away_for_a_moment(stage: Stage) -> None:
    claimed, owner = await failed_by_an_operator(stage)
    keep, refusals = stage.ledger.contradictions.keep, iter([StoreUnreachable("away"), LedgerBusy("busy")])

    async def kept_at_last(attempt: Attempt, said: Outcome) -> None:
        for refusal in refusals:
            raise refusal
        await keep(attempt, said)

    stage.ledger.contradictions.keep = kept_at_last  # type: ignore[assignment]  # a stand-in
    with pytest.raises(BadGateway):
        await complete(stage.portal, claimed, owner, first=True, actor="portal")
    assert len(await attention(stage.portal)) == 1


@on_stage
async def test_a_definite_answer_is_recorded_even_when_the_lease_was_lost_meanwhile(stage: Stage) -> None:
    token = await stage.paid()
    owner = stage.portal.new_lease_owner()
    claimed = await stage.ledger.take_lease(await stage.attempt(token), owner, 90.0)
    stage.misbehave("delay", operations=("complete",), delay_s=10.0)
    completing = asyncio.create_task(complete(stage.portal, claimed, owner, first=True, actor="portal"))
    await asyncio.sleep(5)
    await stage.ledger.record_unknown(claimed, "somebody thought it lost")
    assert (await completing).status == "processed"


@on_stage
async def test_a_charge_that_cannot_be_recorded_calls_a_person(stage: Stage) -> None:
    token = await stage.paid()

    async def moved(attempt: Attempt, outcome: Outcome, **_: object) -> Attempt:
        raise AttemptMoved(attempt)

    with patch.object(stage.ledger, "record_outcome", moved), pytest.raises((AttemptMoved, PortalError)):
        await stage.process(token)
    assert (stage.charges(), set(stage.watcher.alerts)) == (1, {"not recorded"})


@on_stage
async def test_a_lease_that_is_nearly_over_sends_nothing(stage: Stage) -> None:
    token = await stage.paid()
    owner = stage.portal.new_lease_owner()
    claimed = await stage.ledger.take_lease(await stage.attempt(token), owner, 90.0)
    await asyncio.sleep(75)
    with pytest.raises(GatewayTimeout, match="Nothing was charged"):
        await complete(stage.portal, claimed, owner, first=True, actor="portal")
    assert stage.charges() == 0
    assert (await stage.events_of(claimed))[-1] == "released"


@on_stage
async def test_a_fault_of_our_own_is_unknown_and_alerts(stage: Stage) -> None:
    token = await stage.paid()

    async def broken(*, tcs_app_id: str, token: str) -> object:
        raise ZeroDivisionError

    stage.portal.paygov.complete = broken  # type: ignore[assignment]  # a stand-in
    with pytest.raises(Exception, match="unexpected"):
        await stage.process(token)
    assert (await stage.attempt(token)).outcome_unknown
    assert stage.watcher.alerts == ["unforeseen"]


@on_stage
async def test_the_observer_is_given_the_outcome_of_each_completion(stage: Stage) -> None:
    await stage.process(await stage.paid())
    await stage.lose_reply(await stage.paid())
    assert stage.watcher.outcomes == ["paid", "timed out"]


@on_stage
async def test_the_same_outcome_twice_changes_nothing(stage: Stage) -> None:
    token = await stage.paid()
    await stage.process(token)
    done = await stage.attempt(token)
    again = await stage.ledger.record_outcome(done, Outcome("processed", done.paygov_tracking_id), actor="sweeper")
    assert again == done


@on_stage
async def test_a_process_suspended_past_its_lease_cannot_fail_a_completed_attempt(stage: Stage) -> None:
    token = await stage.paid()
    sleeper, other = stage.portal.new_lease_owner(), stage.portal.new_lease_owner()
    claimed = await stage.ledger.take_lease(await stage.attempt(token), sleeper, 90.0)
    ask = stage.portal.paygov.complete

    async def asleep(*, tcs_app_id: str, token: str) -> object:
        await asyncio.sleep(91)  # the lease was checked, and then the machine was suspended
        taken = await stage.ledger.take_over_lease(await stage.attempt(token), other, 90.0)
        await ask(tcs_app_id=taken.tcs_app_id, token=token)  # charged, and not yet recorded
        raise Fault("4019", "no such application")

    stage.portal.paygov.complete = asleep  # type: ignore[assignment]  # a stand-in
    with pytest.raises(AttemptMoved, match="has another lease"):
        await complete(stage.portal, claimed, sleeper, first=True, actor="portal")
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.lease_owner, stage.charges()) == ("processing", other, 1)
    assert stage.watcher.alerts == []
