"""POST /process as a use case: one completion, for any number of callers and any answer of Pay.gov."""

import asyncio
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from bursar.dynamo.errors import StoreUnreachable
from bursar.paygov.simulator import SimulatorSettings
from bursar.payments import Attempt
from bursar.payments.history_bounds import EVENTS_MAX, RECLAIMS_MAX
from bursar.payments.records import AMOUNT_MAX
from bursar.portal.contract.answers import Payment
from bursar.portal.contract.errors import BadGateway, Conflict, Forbidden, GatewayTimeout, Gone, NotFound, PortalError
from bursar.portal.contract.views import payment_json
from bursar.portal.state.portal import REFRESH_MIN_S
from bursar.portal.upkeep.sweep import sweep
from bursar.portal.use_cases.process_payment import NEVER_SENT_DETAIL, process_payment
from tests.support.portal.stage import DAWSON, EXAMS, HOUR_S, Stage, on_stage
from tests.support.write_paths import WritePath


@on_stage
async def test_a_card_payment_is_a_success(stage: Stage) -> None:
    token = await stage.paid()
    reply = await stage.process(token)
    assert reply.status == "success"
    [transaction] = reply.attempts
    assert transaction.status == "processed"
    assert transaction.payment_method == "PLASTIC_CARD"
    assert transaction.paygov_tracking_id
    assert await stage.events_of(await stage.attempt(token)) == ["started", "token_given", "claimed", "completed"]


@on_stage
async def test_the_greatest_amount_that_the_table_keeps_can_be_paid(stage: Stage) -> None:
    fee = stage.fees.fee("COPY_FEE", stage.loop.clock())
    metadata = {"copyRequestId": "1", "numberOfPages": 2}
    token = await stage.paid(fee=fee, amount=AMOUNT_MAX, metadata=metadata)
    assert (await stage.process(token)).status == "success"
    assert [charge.amount for charge in stage.simulator.books.all_charges()] == [AMOUNT_MAX]


@on_stage
async def test_an_ach_payment_is_pending(stage: Stage) -> None:
    reply = await stage.process(await stage.paid("ACH"))
    assert (reply.status, reply.attempts[0].status) == ("pending", "pending")


@on_stage
async def test_a_refused_card_is_failed_and_a_new_attempt_may_follow(stage: Stage) -> None:
    reference = stage.reference()
    failed = await stage.process(await stage.paid(outcome="Failed", reference=reference))
    assert failed.status == "failed"
    again = await stage.process(await stage.paid(reference=reference))
    assert again.status == "success"
    assert [each.status for each in again.attempts] == ["failed", "processed"]


@on_stage
async def test_a_definite_refusal_keeps_paygovs_code_and_detail(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("fault", operations=("complete",), code="4019")
    reply = await stage.process(token)
    attempt = await stage.attempt(token)
    assert (reply.status, attempt.return_code) == ("failed", "4019")
    assert reply.attempts[0].return_detail == attempt.return_detail


@on_stage
async def test_processing_before_the_payer_paid_leaves_it_unknown_and_the_payer_may_still_pay(stage: Stage) -> None:
    token = await stage.init()
    with pytest.raises(GatewayTimeout, match="ask details"):
        await stage.process(token)
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.outcome_unknown, attempt.return_code) == ("processing", True, "4117")
    await asyncio.sleep(600)
    await sweep(stage.portal)
    await asyncio.sleep(10)
    stage.simulator.pay(token, "PLASTIC_CARD", "Success")
    assert (await stage.process(token)).status == "success"
    assert ((await stage.attempt(token)).return_code, stage.charges()) == (None, 1)
    assert stage.watcher.alerts == []


@on_stage
async def test_an_unpaid_token_fails_after_its_grace(stage: Stage) -> None:
    reference = stage.reference()
    token = await stage.init(reference)
    with pytest.raises(GatewayTimeout):
        await stage.process(token)
    with pytest.raises(Conflict, match="already being processed"):
        await stage.init(reference)
    for _ in range(8):
        await asyncio.sleep(HOUR_S)
        await sweep(stage.portal)
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.return_code, stage.charges()) == ("failed", "5009", 0)


@on_stage(query=False)
async def test_without_query_a_token_that_paygov_cannot_use_stays_unknown(stage: Stage) -> None:
    token = await stage.init()
    for _ in range(3):
        with pytest.raises(GatewayTimeout, match="ask details"):
            await stage.process(token)
    await asyncio.sleep(4 * HOUR_S)
    await sweep(stage.portal)
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.outcome_unknown, attempt.repeat_used) == ("processing", True, True)


@on_stage
async def test_an_unknown_token_is_not_found(stage: Stage) -> None:
    with pytest.raises(NotFound, match=r"^Transaction could not be found$"):
        await stage.process("f" * 32)


@on_stage
async def test_another_clients_token_is_not_found(stage: Stage) -> None:
    token = await stage.paid()
    with pytest.raises(NotFound):
        await process_payment(stage.portal, EXAMS, token)
    assert stage.charges() == 0


@on_stage
async def test_a_client_that_lost_its_permission_is_refused(stage: Stage) -> None:
    token = await stage.paid()
    with pytest.raises(Forbidden, match=r"^Client not authorized for fee$"):
        await process_payment(stage.portal, replace(DAWSON, fees=frozenset()), token)


@on_stage
async def test_of_two_calls_at_once_one_completes_and_one_gets_409(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("delay", operations=("complete",), delay_s=5.0)
    results = await asyncio.gather(stage.process(token), stage.process(token), return_exceptions=True)
    replies = [each for each in results if isinstance(each, Payment)]
    refusals = [each for each in results if isinstance(each, Conflict)]
    assert len(replies) == len(refusals) == 1
    assert refusals[0].message == "A payment is already being processed for this token"
    assert (stage.charges(), stage.watcher.conflicts) == (1, 1)


@on_stage
async def test_a_finished_token_is_gone(stage: Stage) -> None:
    token = await stage.paid()
    await stage.process(token)
    with pytest.raises(Gone, match=r"^This token is no longer valid\.$"):
        await stage.process(token)


@on_stage
async def test_a_failed_token_with_a_live_sibling_is_gone_and_the_message_says_so(stage: Stage) -> None:
    reference = stage.reference()
    first = await stage.paid(outcome="Failed", reference=reference)
    await stage.process(first)
    await stage.process(await stage.paid(reference=reference))
    with pytest.raises(Gone, match="Another transaction is already fulfilling this obligation") as gone:
        await stage.process(first)
    body = gone.value.body()
    assert (body["code"], body["paymentStatus"]) == ("sibling", "success")
    assert [each["transactionStatus"] for each in body["transactions"]] == ["failed", "processed"]


@pytest.mark.parametrize(
    ("method", "outcome", "status", "transaction"),
    [
        ("PLASTIC_CARD", "Success", "success", "processed"),
        ("ACH", "Success", "pending", "pending"),
        ("PAYPAL", "Failed", "failed", "failed"),
    ],
)
def test_a_repeated_process_says_how_the_payment_stands(
    write_path: WritePath, method: str, outcome: str, status: str, transaction: str
) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        token = await stage.paid(method, outcome)
        first = payment_json(await stage.process(token))
        with pytest.raises(Gone) as gone:
            await stage.process(token)
        body = gone.value.body()
        assert body == {"message": "This token is no longer valid.", "code": "token_used", "errors": [], **first}
        assert (body["paymentStatus"], body["transactions"][0]["transactionStatus"]) == (status, transaction)

    scene(write_path)


@on_stage
async def test_an_expired_token_says_how_the_payment_stands(stage: Stage) -> None:
    token = await stage.init()
    await asyncio.sleep(3 * HOUR_S)
    for _ in range(2):
        with pytest.raises(Gone) as gone:
            await stage.process(token)
        body = gone.value.body()
        assert (body["code"], body["paymentStatus"]) == ("token_expired", "failed")
        assert body["transactions"][0]["returnCode"] == "5009"


@on_stage
async def test_a_token_past_three_hours_is_expired_once_paygov_has_no_collection_of_it(stage: Stage) -> None:
    token = await stage.paid()
    await asyncio.sleep(3 * HOUR_S)
    for _ in range(2):
        with pytest.raises(Gone, match="expired"):
            await stage.process(token)
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.return_code) == ("failed", "5009")
    assert stage.watcher.calls == [("start", "answered"), ("query", "answered")]


@pytest.mark.parametrize(
    ("kind", "error", "charged"),
    [("drop", GatewayTimeout, 1), ("reset", GatewayTimeout, 1), ("garbage", BadGateway, 1), ("http", BadGateway, 0)],
)
def test_a_lost_answer_leaves_the_attempt_processing_and_blocks_a_second(
    write_path: WritePath, kind: str, error: type[PortalError], charged: int
) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        reference = stage.reference()
        token = await stage.paid(reference=reference)
        await stage.lose_reply(token, kind, error)
        attempt = await stage.attempt(token)
        assert (attempt.status, attempt.outcome_unknown, attempt.lease_owner) == ("processing", True, None)
        assert stage.charges() == charged
        with pytest.raises(Conflict, match="already being processed"):
            await stage.init(reference)

    scene(write_path)


@on_stage
async def test_a_lost_answer_is_found_by_the_next_process_call(stage: Stage) -> None:
    token = await stage.paid()
    await stage.lose_reply(token)
    reply = await stage.process(token)
    assert (reply.status, stage.charges()) == ("success", 1)


@on_stage
async def test_a_complete_that_never_arrived_is_sent_once_more_when_paygov_surely_has_none(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("http", operations=("complete",), times=1)
    with pytest.raises(BadGateway):
        await stage.process(token)
    reply = await stage.process(token)
    assert (reply.status, stage.charges()) == ("success", 1)


@on_stage
async def test_a_repeated_complete_that_was_not_sent_may_be_sent_at_once(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("http", operations=("complete",), times=1)
    with pytest.raises(BadGateway):
        await stage.process(token)
    stage.misbehave("refuse", operations=("complete",), times=3)
    for _ in range(3):
        with pytest.raises(GatewayTimeout):
            await stage.process(token)
        attempt = await stage.attempt(token)
        assert (attempt.outcome_unknown, attempt.repeat_used, attempt.lease_owner) == (True, False, None)
        await asyncio.sleep(REFRESH_MIN_S)
    assert ((await stage.process(token)).status, stage.charges()) == ("success", 1)


@on_stage
async def test_a_caller_that_read_the_attempt_before_another_completed_it_learns_how_it_ended(stage: Stage) -> None:
    token = await stage.paid()
    take_lease = stage.ledger.take_lease

    async def late(attempt: Attempt, owner: str, lease_s: float) -> Attempt:
        stage.ledger.take_lease = take_lease
        assert (await process_payment(stage.another_portal(), DAWSON, token)).status == "success"
        return await take_lease(attempt, owner, lease_s)

    stage.ledger.take_lease = late  # type: ignore[assignment]  # a stand-in
    with pytest.raises(Gone) as gone:
        await stage.process(token)
    assert gone.value.payment is not None
    assert (gone.value.code.code, gone.value.payment.status, stage.charges()) == ("token_used", "success", 1)


@on_stage(query=False)
async def test_without_query_a_refused_second_complete_leaves_it_unknown(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("drop", operations=("complete",), times=1)
    for _ in range(4):
        with pytest.raises(GatewayTimeout, match="ask details"):
            await stage.process(token)
        await asyncio.sleep(10)
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.outcome_unknown, stage.charges()) == ("processing", True, 1)
    completes = [outcome for operation, outcome in stage.watcher.calls if operation == "complete"]
    assert completes == ["TimedOut", "Fault"], "one complete and one repetition, never more"
    assert "fault after doubt" in stage.watcher.alerts


@on_stage
async def test_not_sent_gives_the_lease_back_and_the_next_call_completes(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("refuse", operations=("complete",), times=1)
    with pytest.raises(GatewayTimeout, match="Nothing was charged"):
        await stage.process(token)
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.outcome_unknown, attempt.lease_owner) == ("processing", False, None)
    assert (await stage.process(token)).status == "success"
    assert stage.charges() == 1


@on_stage
async def test_not_sent_and_past_its_life_is_expired(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("refuse", operations=("complete",), times=1)
    with pytest.raises(GatewayTimeout):
        await stage.process(token)
    await asyncio.sleep(3 * HOUR_S)
    with pytest.raises(Gone, match="expired"):
        await stage.process(token)
    assert (await stage.attempt(token)).status == "failed"


@on_stage
async def test_after_too_many_unsent_completes_the_payment_must_be_initialized_again(stage: Stage) -> None:
    reference = stage.reference()
    token = await stage.paid(reference=reference)
    stage.misbehave("refuse", operations=("complete",))
    for _ in range(1 + RECLAIMS_MAX):
        with pytest.raises(GatewayTimeout, match="Nothing was charged"):
            await stage.process(token)
    for _ in range(2):
        with pytest.raises(Gone, match="initialize the payment again"):
            await stage.process(token)
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.return_code, attempt.return_detail) == ("failed", "5009", NEVER_SENT_DETAIL)
    assert (await stage.events_of(attempt))[-2:] == ["released", "expired_unsent"]
    assert len(await stage.events_of(attempt)) == EVENTS_MAX["reclaimed"] + 1
    stage.plan.clear()
    assert (await stage.process(await stage.paid(reference=reference))).status == "success"
    assert stage.charges() == 1


@on_stage(query=False)
async def test_an_unknown_outcome_whose_second_complete_is_never_sent_stays_unknown_and_ends_its_events(
    stage: Stage,
) -> None:
    token = await stage.paid()
    stage.misbehave("drop", operations=("complete",), times=1)
    with patch.dict(EVENTS_MAX, lease_taken_over=10):
        with pytest.raises(GatewayTimeout):
            await stage.process(token)
        stage.misbehave("refuse", operations=("complete",))
        for _ in range(30):
            with pytest.raises(GatewayTimeout, match="ask details"):
                await stage.process(token)
            await asyncio.sleep(10)
    attempt = await stage.attempt(token)
    assert (attempt.status, attempt.outcome_unknown, attempt.event_seq) == ("processing", True, 10)
    assert stage.charges() == 1


@pytest.mark.parametrize("kind", ["wrong_agency", "wrong_amount"])
def test_a_reply_about_something_else_is_no_success_and_alerts(write_path: WritePath, kind: str) -> None:
    @on_stage(query=False)
    async def scene(stage: Stage) -> None:
        token = await stage.paid()
        stage.misbehave(kind, operations=("complete",), times=1)
        with pytest.raises(BadGateway):
            await stage.process(token)
        attempt = await stage.attempt(token)
        assert (attempt.status, attempt.outcome_unknown) == ("processing", True)
        assert len(stage.watcher.alerts) == 1

    scene(write_path)


@on_stage
async def test_a_caller_that_disconnects_does_not_cancel_the_completion(stage: Stage) -> None:
    token = await stage.paid()
    stage.misbehave("delay", operations=("complete",), delay_s=5.0)
    caller = asyncio.create_task(stage.process(token))
    await asyncio.sleep(2)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert await stage.portal.drain() == 0
    assert (await stage.attempt(token)).status == "processed"


@on_stage
async def test_a_process_that_dies_after_the_claim_is_found_out_by_another(stage: Stage) -> None:
    token = await stage.paid()
    attempt = await stage.attempt(token)
    await stage.ledger.take_lease(attempt, "a process that died", 90.0)
    with pytest.raises(Conflict):
        await stage.process(token)
    await asyncio.sleep(91)
    assert (await stage.process(token)).status == "success"
    assert stage.charges() == 1


@on_stage
async def test_a_store_that_is_away_for_a_moment_does_not_lose_paygovs_word(stage: Stage) -> None:
    token = await stage.paid()
    record, tries = stage.ledger.record_outcome, 0

    async def flaky(*given: Any, **named: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise StoreUnreachable("away")
        return await record(*given, **named)

    stage.ledger.record_outcome = flaky
    assert (await stage.process(token)).status == "success"
    assert tries == 4


@on_stage(settings=SimulatorSettings(unpaid_code=None))
async def test_process_and_sweeper_at_once_charge_once(stage: Stage) -> None:
    tokens = [await stage.init() for _ in range(5)]
    stage.misbehave("drop", operations=("complete",), probability=0.5)
    await asyncio.gather(*(stage.process(token) for token in tokens * 2), return_exceptions=True)
    stage.plan.clear()
    for _ in range(4):
        await asyncio.sleep(200)
        await asyncio.gather(*(sweep(portal) for portal in (stage.portal, stage.another_portal())))
    assert stage.charges() == 5
    assert {(await stage.attempt(token)).status for token in tokens} == {"processed"}
