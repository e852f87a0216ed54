"""A report by Pay.gov that contradicts the record is stored once, and stays after a person has acknowledged it."""

import random
from decimal import Decimal

import pytest

from bursar.dynamo import DynamoError, StoreUnreachable
from bursar.payments import Attempt, Fee, Ledger, Outcome, OutcomeContradicts
from bursar.payments.ledger.contradictions import PARTITION
from bursar.payments.ledger.table import TABLE_NAME
from tests.support.payments.stage import PAID, REFERENCE, SETTLING, Listening, Start, Wall, history, pending, processing
from tests.support.write_paths import WritePath


async def _failed_by_hand(ledger: Ledger, start: Start) -> Attempt:
    unknown = await ledger.record_unknown(await processing(ledger, start), "reply lost")
    return await ledger.resolve(unknown, settled_as="failed", by="Ada", reason="no charge found")


@pytest.mark.parametrize("report", [PAID, SETTLING], ids=["processed", "under way"])
async def test_a_collection_of_an_attempt_that_an_operator_failed_is_kept(
    ledger: Ledger, start: Start, report: Outcome
) -> None:
    failed = await _failed_by_hand(ledger, start)
    with pytest.raises(OutcomeContradicts):
        await ledger.record_outcome(failed, report, actor="portal")
    [kept] = await ledger.contradictions.unacknowledged()
    assert (kept.agency_tracking_id, kept.client, kept.reference) == (
        failed.agency_tracking_id,
        failed.client,
        failed.reference,
    )
    assert kept.summary == f"Pay.gov says {report.status} as 3FPAID, recorded is failed"
    assert kept.reported_transaction_status == report.transaction_status
    assert await ledger.reread(failed) == failed
    assert (await history(ledger, failed))[-1] == "resolved_failed"


async def test_another_tracking_id_of_a_paid_or_settling_attempt_is_kept(ledger: Ledger, start: Start) -> None:
    waiting = await pending(ledger, start)
    other = Outcome("processed", "3FOTHER", "Success")
    for _ in range(2):
        with pytest.raises(OutcomeContradicts):
            await ledger.record_outcome(waiting, other, actor="sweeper")
    paid = await ledger.record_outcome(waiting, PAID, actor="sweeper")
    with pytest.raises(OutcomeContradicts):
        await ledger.record_outcome(paid, Outcome("failed", "3FPAID", "Failed"), actor="sweeper")
    assert [each.summary for each in await ledger.contradictions.unacknowledged()] == [
        "Pay.gov says failed as 3FPAID, recorded is processed as 3FPAID",
        "Pay.gov says processed as 3FOTHER, recorded is pending as 3FPAID",
    ]


async def test_a_second_collection_that_takes_money_is_kept_beside_the_one_that_is_recorded(
    ledger: Ledger, start: Start
) -> None:
    other = Outcome("pending", "3FOTHER", "Received")
    unknown = await ledger.record_unknown(await processing(ledger, start), "reply lost")
    paid = await ledger.record_outcome(unknown, PAID, actor="sweeper", others=[other])
    assert (paid.status, paid.paygov_tracking_id) == ("processed", "3FPAID")
    assert await ledger.record_outcome(unknown, PAID, actor="portal", others=[other]) == paid
    [kept] = await ledger.contradictions.unacknowledged()
    assert kept.summary == "Pay.gov says pending as 3FOTHER, recorded is processed as 3FPAID"


async def test_each_further_collection_is_kept_also_if_they_have_one_status(ledger: Ledger, start: Start) -> None:
    others = [Outcome("processed", tracking_id, "Success") for tracking_id in ("3FOTHER", "3FTHIRD")]
    await ledger.record_outcome(await processing(ledger, start), PAID, actor="portal", others=others)
    kept = await ledger.contradictions.unacknowledged()
    assert {each.reported_paygov_id for each in kept} == {"3FOTHER", "3FTHIRD"}


async def test_a_second_collection_that_cannot_be_kept_is_not_forgotten_by_recording_the_first(
    ledger: Ledger, start: Start, store: Listening
) -> None:
    unknown = await ledger.record_unknown(await processing(ledger, start), "reply lost")

    async def dies_at_the_second_write(operation: str) -> None:
        if not operation.startswith(("Get", "Query")) and await ledger.contradictions.unacknowledged():
            raise StoreUnreachable("away")

    store.fault = dies_at_the_second_write
    with pytest.raises(StoreUnreachable):
        await ledger.record_outcome(unknown, PAID, actor="sweeper", others=[Outcome("processed", "3FOTHER")])
    store.fault = None
    assert len(await ledger.contradictions.unacknowledged()) == 1
    assert await ledger.reread(unknown) == unknown


async def test_an_acknowledged_contradiction_is_not_listed_even_when_reported_again(
    ledger: Ledger, start: Start, wall: Wall, store: Listening
) -> None:
    failed = await _failed_by_hand(ledger, start)
    with pytest.raises(OutcomeContradicts):
        await ledger.record_outcome(failed, PAID, actor="portal")
    wall.pass_s(60)
    [done] = await ledger.contradictions.acknowledge(failed.agency_tracking_id, by="Ada", reason="refunded")
    assert (done.acknowledged_by, done.acknowledged_reason, done.acknowledged_at) == ("Ada", "refunded", wall.now)
    assert done.created_at == wall.now - 60
    with pytest.raises(OutcomeContradicts):
        await ledger.record_outcome(failed, PAID, actor="portal")
    assert await ledger.contradictions.unacknowledged() == []
    assert await ledger.contradictions.acknowledge(failed.agency_tracking_id, by="Bob", reason="again") == []


async def test_an_acknowledgement_is_for_the_attempt_with_exactly_this_id(ledger: Ledger, start: Start) -> None:
    failed = await _failed_by_hand(ledger, start)
    with pytest.raises(OutcomeContradicts):
        await ledger.record_outcome(failed, PAID, actor="portal")
    for other in (failed.agency_tracking_id[:-1], failed.agency_tracking_id.upper(), ""):
        assert await ledger.contradictions.acknowledge(other, by="Ada", reason="refunded") == []
    assert len(await ledger.contradictions.unacknowledged()) == 1


async def test_an_unreachable_store_raises_so_that_the_report_is_recorded_again(
    ledger: Ledger, start: Start, store: Listening
) -> None:
    failed = await _failed_by_hand(ledger, start)

    async def away(operation: str) -> None:
        raise StoreUnreachable("away")

    store.fault = away
    with pytest.raises(StoreUnreachable):
        await ledger.record_outcome(failed, PAID, actor="portal")
    store.fault = None
    with pytest.raises(OutcomeContradicts):
        await ledger.record_outcome(failed, PAID, actor="portal")
    assert len(await ledger.contradictions.unacknowledged()) == 1


@pytest.mark.only_write_path("swap", reason="only an embedded store keeps the rules against other tools")
async def test_no_tool_removes_or_rewrites_one(write_path: WritePath, wall: Wall, fee: Fee) -> None:
    store = write_path.open(clock=wall, randomness=random.Random(1))
    engine = store.engine
    ledger = write_path.ledger(store, clock=wall, randomness=random.Random(2))
    await write_path.create_table(store)
    attempt = await ledger.start_attempt("dawson", REFERENCE, fee, Decimal("60.00"), {}, "https://a", "https://b")
    failed = await ledger.fail(attempt, event="start_failed", actor="portal", return_code=None, return_detail=None)
    with pytest.raises(OutcomeContradicts):
        await ledger.record_outcome(failed, PAID, actor="portal")
    [item] = [
        item for item in engine.execute("Scan", {"TableName": TABLE_NAME})["Items"] if item["pk"] == {"S": PARTITION}
    ]
    key = {"pk": item["pk"], "sk": item["sk"]}
    with pytest.raises(DynamoError, match="Rule kept"):
        engine.execute("DeleteItem", {"TableName": TABLE_NAME, "Key": key})
    with pytest.raises(DynamoError, match="contradiction-told"):
        engine.execute("PutItem", {"TableName": TABLE_NAME, "Item": item | {"saidStatus": {"S": "failed"}}})
    [done] = await ledger.contradictions.acknowledge(failed.agency_tracking_id, by="Ada", reason="refunded")
    assert done.acknowledged_by == "Ada"
    change = {"UpdateExpression": "SET acknowledgedBy = :bob", "ExpressionAttributeValues": {":bob": {"S": "Bob"}}}
    with pytest.raises(DynamoError, match="contradiction-acknowledged-once"):
        engine.execute("UpdateItem", {"TableName": TABLE_NAME, "Key": key, **change})
    await store.close()
