"""POST /init as a use case: one live attempt per obligation, and a new one after every dead one."""

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest

from bursar.dynamo.errors import StoreUnreachable
from bursar.payments import Attempt
from bursar.payments.catalogue.classification import Share
from bursar.payments.classified_amounts import ClassifiedAmount
from bursar.portal.contract.errors import BadGateway, Conflict, Forbidden, NotFound, PortalError, portal_error
from bursar.portal.use_cases.init_payment import START_RECORD_S, init_payment
from bursar.portal.use_cases.process_payment import process_payment
from tests.support.portal.stage import DAWSON, EXAMS, HOUR_S, PAYGOV_TIMEOUT_S, Stage, on_stage
from tests.support.write_paths import WritePath


@on_stage
async def test_init_gives_a_token_and_the_payers_address(stage: Stage) -> None:
    reply = await init_payment(stage.portal, DAWSON, stage.request())
    assert len(reply.token) == 32
    assert reply.payment_redirect == (f"http://paygov.example/pay?token={reply.token}&tcsAppID=TCSUSTAXCOURTPETITION")
    assert (await stage.attempt(reply.token)).status == "initiated"


@on_stage
async def test_the_same_reference_gets_the_same_token_while_it_is_fresh(stage: Stage) -> None:
    reference = stage.reference()
    token = await stage.init(reference)
    await asyncio.sleep(3 * HOUR_S - 1)
    assert await stage.init(reference) == token


@on_stage
async def test_a_token_past_three_hours_fails_with_5009_and_a_new_attempt_starts(stage: Stage) -> None:
    reference = stage.reference()
    old = await stage.init(reference)
    await asyncio.sleep(3 * HOUR_S)
    assert await stage.init(reference) != old
    failed = await stage.attempt(old)
    assert (failed.status, failed.return_code) == ("failed", "5009")


@on_stage
async def test_a_fee_whose_price_changes_keeps_the_token_and_amount_of_the_live_attempt(stage: Stage) -> None:
    reference = stage.reference()
    token = await stage.init(reference)
    fee = stage.request().fee
    dearer = replace(fee, version="2026-11-23", amount=Decimal("70.00"))
    assert await stage.init(reference, fee=dearer, amount=dearer.amount) == token
    assert ((await stage.attempt(token)).amount, fee.amount) == (Decimal("60.00"), Decimal("60.00"))


@on_stage
async def test_another_amount_or_metadata_is_a_conflict(stage: Stage) -> None:
    fee = stage.fees.fee("COPY_FEE", stage.loop.clock())
    reference = stage.reference()
    request = stage.request(
        reference, fee=fee, amount=Decimal("3.50"), metadata={"copyRequestId": "1", "numberOfPages": 7}
    )
    await init_payment(stage.portal, DAWSON, request)
    for other in ("3.49", "3.51", "0.01", "4.00"):
        with pytest.raises(Conflict, match="another amount"):
            await init_payment(stage.portal, DAWSON, replace(request, amount=Decimal(other)))
    with pytest.raises(Exception, match="metadata") as differs:
        await init_payment(stage.portal, DAWSON, replace(request, metadata={"copyRequestId": "2"}))
    assert portal_error(differs.value).status == 409


@pytest.mark.parametrize(("method", "message"), [("PLASTIC_CARD", "already been paid"), ("ACH", "still settling")])
def test_a_paid_or_settling_obligation_takes_no_other_attempt(write_path: WritePath, method: str, message: str) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        reference = stage.reference()
        await stage.process(await stage.paid(method, reference=reference))
        with pytest.raises(Conflict, match=message):
            await stage.init(reference)

    scene(write_path)


@on_stage
async def test_two_clients_may_use_one_reference(stage: Stage) -> None:
    request = stage.request()
    tokens = [(await init_payment(stage.portal, client, request)).token for client in (DAWSON, EXAMS)]
    assert tokens[0] != tokens[1]


@on_stage
async def test_a_fee_that_the_client_may_not_charge_is_refused(stage: Stage) -> None:
    with pytest.raises(Forbidden, match=r"^Client not authorized for fee$"):
        await init_payment(stage.portal, replace(DAWSON, fees=frozenset({"COPY_FEE"})), stage.request())


@pytest.mark.parametrize(
    ("kind", "how", "status"),
    [
        ("refuse", {}, 504),
        ("reset", {}, 504),
        ("drop", {}, 504),
        ("garbage", {}, 502),
        ("fault", {"code": "4019"}, 502),
    ],
)
def test_no_token_fails_the_attempt_and_init_may_be_called_again(
    write_path: WritePath, kind: str, how: dict[str, str], status: int
) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        reference = stage.reference()
        stage.misbehave(kind, operations=("start",), times=1, **how)
        with pytest.raises(PortalError, match="Nothing was charged") as raised:
            await stage.init(reference)
        assert raised.value.status == status
        assert await stage.init(reference)
        view = await stage.ledger.obligation("dawson", reference)
        assert view is not None
        assert [attempt.status for attempt in view.attempts] == ["failed", "initiated"]

    scene(write_path)


@on_stage
async def test_of_many_inits_at_once_one_obligation_gets_one_live_attempt(stage: Stage) -> None:
    reference = stage.reference()
    results = await asyncio.gather(*(stage.init(reference) for _ in range(8)), return_exceptions=True)
    tokens = {each for each in results if isinstance(each, str)}
    assert len(tokens) == 1
    assert {portal_error(each).status for each in results if isinstance(each, Exception)} <= {409}


@on_stage
async def test_an_attempt_stuck_in_received_blocks_for_a_bounded_time_only(stage: Stage) -> None:
    reference = stage.reference()
    asked = stage.request(reference)
    await stage.ledger.start_attempt(
        "dawson", reference, asked.fee, asked.amount, asked.metadata, asked.url_success, asked.url_cancel
    )
    await asyncio.sleep(PAYGOV_TIMEOUT_S + START_RECORD_S - 1)
    with pytest.raises(Conflict, match="already being processed"):
        await stage.init(reference)
    await asyncio.sleep(1)
    assert await stage.init(reference)


@on_stage
async def test_a_token_that_arrives_after_its_attempt_was_given_up_reaches_no_payer(stage: Stage) -> None:
    reference, slow = stage.reference(), stage.another_portal()
    start, given = slow.paygov.start, []

    async def late(**asked: Any) -> str:
        given.append(await start(**asked))
        await asyncio.sleep(HOUR_S)
        return given[0]

    slow.paygov.start = late
    first = asyncio.create_task(init_payment(slow, DAWSON, stage.request(reference)))
    await asyncio.sleep(PAYGOV_TIMEOUT_S + START_RECORD_S)
    second = await stage.init(reference)
    with pytest.raises(Exception, match=r"failed|moved|changed") as refused:
        await first
    assert portal_error(refused.value).status == 409
    for portal in (slow, stage.portal):
        with pytest.raises(NotFound):
            await process_payment(portal, DAWSON, given[0])
    stage.simulator.pay(second, "PLASTIC_CARD", "Success")
    assert ((await stage.process(second)).status, stage.charges()) == ("success", 1)


@pytest.mark.parametrize("age_s", [0.0, 1.0, PAYGOV_TIMEOUT_S, HOUR_S])
@pytest.mark.parametrize("away", [("record_token",), ("record_token", "fail")])
def test_a_start_whose_token_could_not_be_recorded_blocks_no_further_init(
    write_path: WritePath, away: tuple[str, ...], age_s: float
) -> None:
    @on_stage
    async def play(stage: Stage) -> None:
        reference = stage.reference()

        async def unreachable(*_: Any, **__: Any) -> Attempt:
            raise StoreUnreachable("away")

        with ExitStack() as stack:
            for name in away:
                stack.enter_context(patch.object(stage.ledger, name, unreachable))
            with pytest.raises(StoreUnreachable):
                await stage.init(reference)
        await asyncio.sleep(age_s)
        token = await stage.init(reference)
        view = await stage.ledger.obligation(DAWSON.name, reference)
        assert view is not None
        assert [(each.status, each.token) for each in view.attempts] == [("failed", None), ("initiated", token)]

    play(write_path)


@on_stage
async def test_a_token_that_another_attempt_has_is_refused(stage: Stage) -> None:
    token = await stage.init()

    async def same_again(**asked: object) -> str:
        return token

    stage.portal.paygov.start = same_again
    with pytest.raises(BadGateway, match="Nothing was charged"):
        await stage.init()


@on_stage
async def test_a_caller_that_disconnects_does_not_cancel_the_start(stage: Stage) -> None:
    reference = stage.reference()
    stage.misbehave("delay", operations=("start",), delay_s=5.0, times=1)
    caller = asyncio.create_task(stage.init(reference))
    await asyncio.sleep(2)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert await stage.portal.drain() == 0
    token = await stage.init(reference)
    assert await stage.events_of(await stage.attempt(token)) == ["started", "token_given"]


@on_stage
async def test_a_refused_start_keeps_paygovs_code_and_detail(stage: Stage) -> None:
    reference = stage.reference()
    stage.misbehave("fault", operations=("start",), code="4019")
    with pytest.raises(BadGateway):
        await stage.init(reference)
    view = await stage.ledger.obligation("dawson", reference)
    assert view is not None
    [attempt] = view.attempts
    assert (attempt.status, attempt.return_code, bool(attempt.return_detail)) == ("failed", "4019", True)


@on_stage
async def test_a_classification_is_sent_to_paygov_and_kept(stage: Stage) -> None:
    fee = stage.request().fee
    shares = (Share("1234567", percent=Decimal("40")), Share("7654321", percent=Decimal("60")))
    token = await stage.init(fee=replace(fee, shares=shares))
    attempt = await stage.attempt(token)
    assert attempt.classification == (
        ClassifiedAmount("1234567", Decimal("24.00")),
        ClassifiedAmount("7654321", Decimal("36.00")),
    )
    entry = stage.simulator.books.entry(token)
    assert entry is not None
    assert entry.classification == [["1234567", "24.00"], ["7654321", "36.00"]]


@on_stage
async def test_a_fee_without_a_classification_sends_none(stage: Stage) -> None:
    token = await stage.init()
    entry = stage.simulator.books.entry(token)
    assert entry is not None
    assert (entry.classification, (await stage.attempt(token)).classification) == (None, None)
