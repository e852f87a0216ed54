"""A charge that the store does not know of: one complete delivered twice, or a store restored from a backup.

In each case Pay.gov answers 4117, or time ends the attempt. Nothing may fail before Pay.gov has been asked, or the next
attempt charges the payer a second time.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bursar.payments import Attempt
from bursar.portal.contract.errors import Conflict, GatewayTimeout, Gone
from bursar.portal.upkeep.attention import NOT_SWEPT, attention
from bursar.portal.upkeep.sweep import sweep
from tests.support.portal.stage import DAWSON, HOUR_S, UNUSED_S, Stage, on_stage
from tests.support.write_paths import WritePath

Way = Callable[[Stage, str], Awaitable[object]]


async def _charged_then_restored(stage: Stage, reference: str) -> str:
    """Return a token that was completed, in a store restored from before its completion."""
    token = await stage.paid(reference=reference)
    backup = stage.backup()
    assert (await stage.process(token)).status == "success"
    stage.restore(backup)
    assert (await stage.attempt(token)).status == "initiated"
    return token


async def _charged_without_a_token(stage: Stage, reference: str) -> Attempt:
    """Return a charged attempt, in a store restored from before Pay.gov returned its token."""
    asked = stage.request(reference)
    attempt = await stage.ledger.start_attempt(
        DAWSON.name, reference, asked.fee, asked.amount, asked.metadata, asked.url_success, asked.url_cancel
    )
    backup = stage.backup()
    token = await stage.portal.paygov.start(
        tcs_app_id=attempt.tcs_app_id,
        agency_tracking_id=attempt.agency_tracking_id,
        amount=attempt.amount,
        url_success=attempt.url_success,
        url_cancel=attempt.url_cancel,
    )
    await stage.ledger.record_token(attempt, token)
    stage.simulator.pay(token, "PLASTIC_CARD", "Success")
    await stage.process(token)
    stage.restore(backup)
    return await stage.ledger.reread(attempt)


@on_stage
async def test_a_collection_that_failed_is_no_expired_token(stage: Stage) -> None:
    token = await stage.paid(outcome="Failed")
    backup = stage.backup()
    assert (await stage.process(token)).status == "failed"
    stage.restore(backup)
    await asyncio.sleep(3 * HOUR_S)
    payment = await stage.process(token)
    attempt = await stage.attempt(token)
    assert (payment.status, attempt.transaction_status, attempt.return_code) == ("failed", "Failed", None)
    assert attempt.paygov_tracking_id is not None


@on_stage
async def test_one_complete_delivered_twice_is_a_success(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("twice", operations=("complete",))
    assert (await stage.process(token)).status == "success"
    assert (stage.charges(), stage.watcher.alerts) == (1, [])


@pytest.mark.parametrize("query", [True, False], ids=["lookup refused", "no lookup"])
def test_one_complete_delivered_twice_blocks_while_paygov_cannot_be_asked(write_path: WritePath, query: bool) -> None:
    @on_stage(query=query)
    async def scene(stage: Stage) -> None:
        reference = stage.reference()
        token = await stage.paid(reference=reference)
        stage.misbehave("twice", operations=("complete",))
        stage.misbehave("refuse", operations=("query",))
        with pytest.raises(GatewayTimeout, match="ask details"):
            await stage.process(token)
        with pytest.raises(Conflict, match="already being processed"):
            await stage.init(reference)
        attempt = await stage.attempt(token)
        assert (attempt.status, attempt.outcome_unknown, stage.charges()) == ("processing", True, 1)

    scene(write_path)


@on_stage
async def test_a_restored_store_that_completes_again_finds_the_charge(stage: Stage) -> None:
    token = await _charged_then_restored(stage, stage.reference())
    assert (await stage.process(token)).status == "success"
    assert stage.charges() == 1


@on_stage(query=False)
async def test_a_restored_store_without_query_that_completes_again_stays_unknown(stage: Stage) -> None:
    reference = stage.reference()
    token = await _charged_then_restored(stage, reference)
    with pytest.raises(GatewayTimeout, match="ask details"):
        await stage.process(token)
    with pytest.raises(Conflict, match="already being processed"):
        await stage.init(reference)
    assert stage.charges() == 1


@on_stage
async def test_a_restored_store_whose_sweeper_expires_the_token_finds_the_charge(stage: Stage) -> None:
    reference = stage.reference()
    token = await _charged_then_restored(stage, reference)
    await asyncio.sleep(UNUSED_S)
    assert (await sweep(stage.portal)).results == {"settled": 1}
    attempt = await stage.attempt(token)
    assert (attempt.status, stage.watcher.alerts) == ("processed", ["found uncompleted"])
    assert await stage.events_of(attempt) == ["started", "token_given", "outcome_unknown", "completed"]
    with pytest.raises(Conflict, match="already been paid"):
        await stage.init(reference)


@on_stage
async def test_an_ach_debit_of_a_restored_store_goes_on_settling(stage: Stage) -> None:
    token = await stage.paid("ACH")
    backup = stage.backup()
    stage.simulator.settings = type(stage.simulator.settings)(ach_settle_s=4 * HOUR_S)
    await stage.process(token)
    stage.restore(backup)
    await asyncio.sleep(UNUSED_S)
    await sweep(stage.portal)
    assert (await stage.attempt(token)).status == "pending"


@on_stage
async def test_a_restored_store_with_a_lease_released_unsent_finds_the_charge(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("refuse", operations=("complete",), times=1)
    with pytest.raises(GatewayTimeout):
        await stage.process(token)
    backup = stage.backup()
    await stage.process(token)
    stage.restore(backup)
    await asyncio.sleep(UNUSED_S)
    assert (await sweep(stage.portal)).results == {"settled": 1}
    assert ((await stage.attempt(token)).status, stage.charges()) == ("processed", 1)


@on_stage
async def test_a_restored_store_that_lost_the_token_finds_the_charge(stage: Stage) -> None:
    reference = stage.reference()
    attempt = await _charged_without_a_token(stage, reference)
    await asyncio.sleep(UNUSED_S)
    assert (await sweep(stage.portal)).results == {"settled": 1}
    assert (await stage.ledger.reread(attempt)).status == "processed"
    with pytest.raises(Conflict, match="already been paid"):
        await stage.init(reference)


@on_stage
async def test_init_on_a_lost_token_finds_the_charge(stage: Stage) -> None:
    reference = stage.reference()
    await _charged_without_a_token(stage, reference)
    await asyncio.sleep(120)
    with pytest.raises(Conflict, match="already been paid"):
        await stage.init(reference)


async def _by_init(stage: Stage, reference: str) -> object:
    return await stage.init(reference)


async def _by_process(stage: Stage, reference: str) -> object:
    view = await stage.ledger.obligation(DAWSON.name, reference)
    assert view is not None
    assert view.blocking is not None
    assert view.blocking.token is not None
    return await stage.process(view.blocking.token)


async def _by_sweep(stage: Stage, reference: str) -> object:
    return await sweep(stage.portal)


@pytest.mark.parametrize("way", [_by_init, _by_process, _by_sweep])
def test_every_way_by_which_a_token_expires_finds_the_charge(write_path: WritePath, way: Way) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        reference = stage.reference()
        token = await _charged_then_restored(stage, reference)
        await asyncio.sleep(UNUSED_S)
        if way is _by_init:
            with pytest.raises(Conflict, match="already been paid"):
                await way(stage, reference)
        else:
            await way(stage, reference)
        assert ((await stage.attempt(token)).status, stage.charges()) == ("processed", 1)

    scene(write_path)


@pytest.mark.parametrize(
    ("way", "error"),
    [(_by_init, Conflict), (_by_process, GatewayTimeout), (_by_sweep, None)],
    ids=["init", "process", "sweep"],
)
@pytest.mark.parametrize("kind", ["drop", "fault"])
def test_an_expired_token_is_not_failed_while_paygov_cannot_be_asked(
    write_path: WritePath, kind: str, way: Way, error: type[Exception] | None
) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        reference = stage.reference()
        token = await _charged_then_restored(stage, reference)
        await asyncio.sleep(UNUSED_S)
        stage.misbehave(kind, operations=("query",))
        if error is None:
            await way(stage, reference)
        else:
            with pytest.raises(error):
                await way(stage, reference)
        assert (await stage.attempt(token)).status == "initiated"
        stage.plan.clear()
        await asyncio.sleep(2 * HOUR_S)
        await sweep(stage.portal)
        assert ((await stage.attempt(token)).status, stage.charges()) == ("processed", 1)

    scene(write_path)


@on_stage
async def test_an_attempt_without_a_lookup_for_long_is_listed_for_a_person(stage: Stage) -> None:
    await stage.init()
    stage.misbehave("refuse", operations=("query",))
    for _ in range(6):
        await asyncio.sleep(HOUR_S)
        report = await sweep(stage.portal)
    assert report.attention
    assert [wanted.reason for wanted in await attention(stage.portal)] == [NOT_SWEPT]


@on_stage
async def test_a_collection_that_does_not_fit_keeps_a_restored_attempt_blocking(stage: Stage) -> None:
    reference = stage.reference()
    token = await _charged_then_restored(stage, reference)
    await asyncio.sleep(3 * HOUR_S)
    stage.misbehave("wrong_amount", operations=("query",))
    with pytest.raises(GatewayTimeout, match="ask details"):
        await stage.process(token)
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.outcome_unknown) == ("processing", True)
    assert stage.watcher.alerts == ["found uncompleted", "another amount"]


@on_stage(query=False)
async def test_without_query_only_time_ends_an_attempt_that_was_not_completed(stage: Stage) -> None:
    token = await stage.init()
    await asyncio.sleep(3 * HOUR_S)
    with pytest.raises(Gone, match="expired"):
        await stage.process(token)
    assert stage.watcher.calls == [("start", "answered")]
