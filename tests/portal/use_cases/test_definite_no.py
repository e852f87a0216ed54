"""Only a definite no fails an attempt: no refused question, and no "none" while a complete may still arrive."""

import asyncio

import pytest

from bursar.payments.due import TOKEN_AGE_MAX_S
from bursar.portal.contract.errors import Conflict, GatewayTimeout
from bursar.portal.state.portal import TOKEN_GRACE_S
from bursar.portal.upkeep.sweep import sweep
from bursar.portal.use_cases.payment_details import details
from tests.support.portal.stage import DAWSON, HOUR_S, PAYGOV_TIMEOUT_S, Stage, on_stage
from tests.support.write_paths import WritePath

LOOKUPS = ("query", "details")
INSTANT_S = 0.001


async def _lost(stage: Stage, reference: str, *, charged: bool) -> str:
    """Return a token whose complete got no reply, and was carried out or not."""
    token = await stage.paid(reference=reference)
    await stage.lose_reply(token, takes_place=charged)
    return token


async def _sleep_until(stage: Stage, at: float) -> None:
    await asyncio.sleep(at - stage.loop.clock())


async def _token_end(stage: Stage, token: str) -> float:
    attempt = await stage.attempt(token)
    assert attempt.token_at is not None
    return attempt.token_at + TOKEN_AGE_MAX_S


@on_stage
async def test_a_lookup_that_paygov_refuses_does_not_say_that_it_has_no_collection(stage: Stage) -> None:
    reference = stage.reference()
    token = await _lost(stage, reference, charged=True)
    stage.misbehave("fault", operations=LOOKUPS, code="4117")
    for _ in range(8):
        await asyncio.sleep(HOUR_S)
        await sweep(stage.portal)
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.outcome_unknown, stage.charges()) == ("processing", True, 1)
    with pytest.raises(Conflict, match="already being processed"):
        await stage.init(reference)
    stage.plan.clear()
    await asyncio.sleep(2 * HOUR_S)
    await sweep(stage.portal)
    assert ((await stage.attempt(token)).status, stage.charges()) == ("processed", 1)


@on_stage
async def test_details_that_paygov_refuses_leave_a_settling_payment_pending(stage: Stage) -> None:
    token = await stage.paid("ACH")
    await stage.process(token)
    stage.misbehave("fault", operations=LOOKUPS, code="4117")
    for _ in range(3):
        await asyncio.sleep(60)
        await sweep(stage.portal)
    reply = await details(stage.portal, DAWSON, (await stage.attempt(token)).reference)
    assert (reply.status, reply.stale) == ("pending", True)
    stage.plan.clear()
    await asyncio.sleep(HOUR_S)
    await sweep(stage.portal)
    assert (await stage.attempt(token)).status == "processed"


@on_stage
async def test_none_is_believed_only_after_the_grace_of_the_token(stage: Stage) -> None:
    reference = stage.reference()
    token = await _lost(stage, reference, charged=False)
    end = await _token_end(stage, token)
    for at in (end, end + TOKEN_GRACE_S - INSTANT_S):
        await _sleep_until(stage, at)
        reply = await details(stage.portal, DAWSON, reference)
        assert (reply.status, reply.stale) == ("pending", False)
    await asyncio.sleep(PAYGOV_TIMEOUT_S)
    assert (await details(stage.portal, DAWSON, reference)).status == "failed"
    assert (await stage.attempt(token)).return_code == "5009"


@pytest.mark.parametrize(("early_s", "completes"), [(INSTANT_S, 2), (0.0, 1)], ids=["in time", "too late"])
def test_a_second_complete_is_sent_only_if_the_token_outlives_its_answer(
    write_path: WritePath, early_s: float, completes: int
) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        token = await _lost(stage, stage.reference(), charged=False)
        await _sleep_until(stage, await _token_end(stage, token) - PAYGOV_TIMEOUT_S - early_s)
        if completes == 2:
            assert (await stage.process(token)).status == "success"
        else:
            with pytest.raises(GatewayTimeout, match="ask details"):
                await stage.process(token)
        assert [operation for operation, _ in stage.watcher.calls].count("complete") == completes

    scene(write_path)


@on_stage
async def test_a_second_complete_whose_sender_died_counts_as_sent(stage: Stage) -> None:
    token = await _lost(stage, stage.reference(), charged=False)
    unknown = await stage.attempt(token)
    await stage.ledger.take_over_lease(unknown, "a process that dies", 90.0)  # and then it sends the second complete
    await asyncio.sleep(91)
    for _ in range(2):
        with pytest.raises(GatewayTimeout, match="ask details"):
            await stage.process(token)
        await asyncio.sleep(10)
    assert (await stage.attempt(token)).repeat_used
    assert [operation for operation, _ in stage.watcher.calls].count("complete") == 1
