"""Reports over the real ledger on the real embedded store: SQL answers with the payments that a portal writes."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow.parquet as pq
import pytest

from bursar.clock import from_iso_ms
from bursar.payments.catalogue.fees import FeeCatalogue
from bursar.payments.ledger.imports import ImportRecord
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.ledger.table import TABLE_NAME
from bursar.payments.records import Attempt, Outcome
from bursar.payments.reversals import ReversalReport
from bursar.reports.lake.iceberg import commit_files
from bursar.reports.reports import Reports
from bursar.reports.tail.index_source import IndexSource
from bursar.reports.tail.stream_source import StreamSource
from tests.support.write_paths import SWAP


class Moment:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = from_iso_ms("2026-11-22T19:59:58.000Z")

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def moment() -> Moment:
    return Moment()


@pytest.fixture
async def portal(moment: Moment, tmp_path: Path) -> AsyncIterator[tuple[Ledger, Reports]]:
    randomness = random.Random(7)
    store = SWAP.open(str(tmp_path / "portal.db"), clock=moment, randomness=randomness)
    await SWAP.create_table(store)
    ledger = SWAP.ledger(store, clock=moment, randomness=randomness)
    reports = Reports(StreamSource(store, TABLE_NAME), f"file:{tmp_path / 'a lake'}", moment)
    yield ledger, reports
    await reports.close()
    await store.close()


async def started(ledger: Ledger, moment: Moment, number: int) -> Attempt:
    fee = FeeCatalogue.default().fee("PETITION_FILING_FEE", moment())
    assert fee is not None
    reference = str(UUID(int=number, version=4))
    urls = ("https://client.example/ok", "https://client.example/no")
    return await ledger.start_attempt("dawson", reference, fee, Decimal("60.00"), {"docketNumber": "1-26"}, *urls)


async def paid(ledger: Ledger, moment: Moment, number: int) -> Attempt:
    attempt = await ledger.record_token(await started(ledger, moment, number), f"{number:032d}")
    moment.now += 1
    attempt = await ledger.take_lease(attempt, "worker", 30.0)
    outcome = Outcome("processed", f"P{number}", "Success", "PLASTIC_CARD")
    return await ledger.record_outcome(attempt, outcome, actor="portal")


async def test_an_acknowledged_payment_is_in_the_next_answer(portal: tuple[Ledger, Reports], moment: Moment) -> None:
    ledger, reports = portal
    for number in range(1, 6):
        await paid(ledger, moment, number)
        answer = await reports.report("fees_by_month")
        assert answer.dicts()[0]["successful"] == number
        assert answer.dicts()[0]["collected_of_started"] == 60 * number


async def test_every_event_of_a_payment_is_a_row(portal: tuple[Ledger, Reports], moment: Moment) -> None:
    ledger, reports = portal
    await paid(ledger, moment, 1)
    answer = await reports.sql("SELECT event, from_status, to_status FROM payment_events ORDER BY seq")
    assert answer.rows == [
        ("started", None, "received"),
        ("token_given", "received", "initiated"),
        ("claimed", "initiated", "processing"),
        ("completed", "processing", "processed"),
    ]


async def test_the_lake_equals_the_table_it_was_written_from(portal: tuple[Ledger, Reports], moment: Moment) -> None:
    ledger, reports = portal
    for number in range(1, 30):
        await paid(ledger, moment, number)
    open_one = await started(ledger, moment, 99)
    moment.now += 3600
    await reports.write_lake()
    assert (await reports.verify_lake()).equal
    await ledger.record_token(open_one, "x" * 32)
    await paid(ledger, moment, 30)
    verification = await reports.verify_lake()
    assert verification.equal
    assert sum(check.lake.rows for check in verification.months if check.table == "payments") == 29
    answer = await reports.sql("SELECT status, count(*) FROM payments GROUP BY status ORDER BY status")
    assert answer.rows == [("initiated", 1), ("processed", 30)]


async def test_questions_are_answered_while_the_lake_is_written(
    portal: tuple[Ledger, Reports], moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, reports = portal
    rows = "SELECT * FROM payments ORDER BY agency_tracking_id"
    await reports.write_lake()
    first = [await paid(ledger, moment, number) for number in range(1, 6)]
    open_one = await started(ledger, moment, 98)
    begun, may_end = threading.Event(), threading.Event()

    def held_up(*arguments: Any) -> None:
        begun.set()
        assert may_end.wait(120)
        commit_files(*arguments)

    monkeypatch.setattr("bursar.reports.lake.writer.commit_files", held_up)
    write = asyncio.create_task(reports.write_lake())
    assert await asyncio.to_thread(begun.wait, 120)
    try:
        report = ReversalReport("charged_back", Decimal("15.00"), "operator", by="Ada", reason_code="4837")
        await ledger.reversals.record(first[0], report, actor="operator")
        await ledger.fail(open_one, event="start_failed", actor="portal", return_code=None, return_detail="refused")
        await paid(ledger, moment, 6)
        during = await asyncio.wait_for(reports.sql(rows), 120)
        assert not write.done()
    finally:
        may_end.set()
    assert (await write).rows["payments"] == 5
    assert (await reports.sql(rows)).rows == during.rows
    assert (await reports.sql("SELECT status, count(*) FROM payments GROUP BY ALL ORDER BY ALL")).rows == [
        ("failed", 1),
        ("processed", 6),
    ]
    assert (await reports.write_lake()).rows["payments"] == 2
    assert (await reports.sql(rows)).rows == during.rows
    assert (await reports.verify_lake(repairs=False)).equal


async def test_a_lake_that_is_built_in_parts_while_payments_go_on_equals_the_table(
    portal: tuple[Ledger, Reports], moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bursar.reports.tail.stream_source.PAGE_BYTES_MAX", 4_000)
    monkeypatch.setattr("bursar.reports.tail.found_rows.BUFFER_BYTES_MAX", 2_000)
    monkeypatch.setattr("bursar.reports.tail.found_rows.PART_BYTES_MAX", 8_000)
    monkeypatch.setattr("bursar.reports.tail.lake_build.BATCH_ROWS_MAX", 10)
    ledger, reports = portal
    open_ones = [await started(ledger, moment, number) for number in range(1, 4)]
    for number in range(4, 12):
        moment.now += 86_400
        await paid(ledger, moment, number)

    async def pay() -> None:
        for number, attempt in enumerate(open_ones):
            await ledger.record_token(attempt, f"{number:032x}")
            await paid(ledger, moment, 12 + number)

    await asyncio.gather(reports.write_lake(), pay())
    verification = await reports.verify_lake()
    assert verification.equal, verification.lines()
    answer = await reports.sql("SELECT status, count(*) FROM payments GROUP BY status ORDER BY status")
    assert answer.rows == [("initiated", 3), ("processed", 11)]
    assert (await reports.lake_state())["payments"].row_count >= 8
    assert len((await reports.lake_state())["payment_events"].files) >= 2


@pytest.mark.parametrize("follows_index", [False, True])
async def test_reversals_and_requests_for_refunds_are_in_the_next_answer(
    portal: tuple[Ledger, Reports], moment: Moment, tmp_path: Path, follows_index: bool
) -> None:
    ledger, reports = portal
    if follows_index:
        source = IndexSource(ledger, ledger._store, "bursar-payments", moment)
        reports = Reports(source, f"file:{tmp_path / 'another lake'}", moment)
    attempt = await paid(ledger, moment, 1)
    await reports.write_lake()
    moment.now += 40 * 86_400
    report = ReversalReport("charged_back", Decimal("15.00"), "operator", by="Ada", reason_code="4837")
    attempt, _ = await ledger.reversals.record(attempt, report, actor="operator")
    attempt, first = await ledger.reversals.request_refund(attempt, Decimal("5.00"), by="Ada", reason="twice")
    attempt, second = await ledger.reversals.request_refund(attempt, Decimal("6.00"), by="Ada", reason="other")
    attempt, third = await ledger.reversals.request_refund(attempt, Decimal("7.00"), by="Ada", reason="more")
    attempt, _ = await ledger.reversals.approve(attempt, first.seq, by="Grace", reason="yes")
    await ledger.reversals.reject(attempt, second.seq, by="Grace", reason="no")
    for _ in range(2):
        rows = (await reports.sql("SELECT kind, amount, requested_by, approved_by FROM reversals ORDER BY 2")).rows
        assert rows == [("refunded", 5, "Ada", "Grace"), ("charged_back", 15, None, None)]
        assert (await reports.sql("SELECT reversed_amount, net_amount FROM payments")).rows == [(20, 40)]
        requests = "SELECT refund, amount, status, requested_by, decided_by, decision_reason FROM refund_requests"
        assert (await reports.sql(f"{requests} ORDER BY refund")).rows == [
            (first.seq, 5, "approved", "Ada", "Grace", "yes"),
            (second.seq, 6, "rejected", "Ada", "Grace", "no"),
            (third.seq, 7, "open", "Ada", None, None),
        ]
        moment.now += 3600
        await reports.write_lake()
    assert (await reports.verify_lake()).equal
    if follows_index:
        await reports.close()


async def test_an_embedded_store_is_followed_by_commits_and_not_by_clocks(
    portal: tuple[Ledger, Reports], moment: Moment
) -> None:
    ledger, reports = portal
    for number, step_s in enumerate((0.0, 3600.0, -7200.0, -86_400.0 * 30, 86_400.0 * 60), start=1):
        moment.now += step_s
        await paid(ledger, moment, number)
        assert (await reports.sql("SELECT count(*) FROM payments WHERE status = 'processed'")).rows == [(number,)]
        await reports.write_lake()
        assert (await reports.sql("SELECT count(*) FROM payment_events")).rows == [(4 * number,)]
    assert (await reports.verify_lake()).equal


def restore(path: Path, backup: bytes) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()
    path.write_bytes(backup)


async def test_the_lake_of_a_store_that_was_copied_back_is_built_again(tmp_path: Path, moment: Moment) -> None:
    path, lake = tmp_path / "portal.db", f"file:{tmp_path / 'lake'}"

    async def life(numbers: range) -> list[tuple[Any, ...]]:
        randomness = random.Random(moment.now)
        store = SWAP.open(str(path), clock=moment, randomness=randomness)
        if 1 in numbers:
            await SWAP.create_table(store)
        ledger = SWAP.ledger(store, clock=moment, randomness=randomness)
        reports = Reports(StreamSource(store, TABLE_NAME), lake, moment)
        await reports.sql("SELECT 1")
        for number in numbers:
            await paid(ledger, moment, number)
        await reports.write_lake()
        rows = (await reports.sql("SELECT count(*) FROM payments")).rows
        assert (await reports.verify_lake()).equal
        await reports.close()
        await store.close()
        return rows

    assert await life(range(1, 4)) == [(3,)]
    backup = path.read_bytes()
    moment.now += 60
    assert await life(range(4, 9)) == [(8,)]
    restore(path, backup)
    moment.now += 60
    assert await life(range(20, 22)) == [(5,)]


async def test_a_stream_that_was_not_read_for_a_day_is_made_up_for(
    portal: tuple[Ledger, Reports], moment: Moment
) -> None:
    ledger, reports = portal
    await paid(ledger, moment, 1)
    await reports.write_lake()
    await paid(ledger, moment, 2)
    moment.now += 30 * 3600
    await paid(ledger, moment, 3)
    ledger._store.engine.run_housekeeping()  # type: ignore[attr-defined] # the engine of the embedded store
    assert (await reports.sql("SELECT count(*) FROM payments")).rows == [(3,)]
    await reports.write_lake()
    assert (await reports.verify_lake()).equal


@pytest.mark.parametrize("has_twin", [False, True])
async def test_metadata_that_was_erased_leave_the_answers_and_the_files(
    portal: tuple[Ledger, Reports], moment: Moment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_twin: bool
) -> None:
    monkeypatch.setattr("bursar.reports.lake.vacuum.SNAPSHOTS_MAX", 0)
    monkeypatch.setattr("bursar.reports.lake.vacuum.READER_GRACE_S", -60.0)  # every file is old enough
    monkeypatch.setattr("bursar.reports.lake.twin.NEW_ROWS_MIN", 0 if has_twin else 1_000)
    ledger, reports = portal
    metadata = "SELECT metadata, amount, final_on FROM payments WHERE status = 'processed' ORDER BY agency_tracking_id"
    for number in range(1, 4):
        await paid(ledger, moment, number)
    await reports.write_lake()
    before = (await reports.sql(metadata)).rows
    moment.now += 40 * 86_400
    erased = await ledger.erasure.erase(
        "dawson", str(UUID(int=2, version=4)), ended_before=moment.now, by="Ada", reason="retention"
    )
    assert erased == ("erased", 1)
    after = (await reports.sql(metadata)).rows
    assert sorted(row[0] for row in after) == ['{"docketNumber":"1-26"}', '{"docketNumber":"1-26"}', "{}"]
    assert [row[1:] for row in after] == [row[1:] for row in before]
    await reports.write_lake()
    assert (await reports.sql(metadata)).rows == after
    assert (await reports.verify_lake()).equal
    files = [str(path) for path in (tmp_path / "a lake" / "payments" / "data").rglob("*.parquet")]
    stored = [row for path in files for row in pq.ParquetFile(path).read(["metadata"])["metadata"].to_pylist()]
    assert sorted(stored) == sorted(row[0] for row in after)


async def test_neither_table_holds_a_token(portal: tuple[Ledger, Reports], moment: Moment) -> None:
    ledger, reports = portal
    attempt = await paid(ledger, moment, 12345)
    assert attempt.token is not None
    for statement in ("SELECT * FROM payments", "SELECT * FROM payment_events"):
        assert attempt.token not in repr((await reports.sql(statement)).rows)


async def test_an_erasure_replaces_the_row_of_a_payment_and_moves_no_money(
    portal: tuple[Ledger, Reports], moment: Moment
) -> None:
    ledger, reports = portal
    attempt = await paid(ledger, moment, 1)
    await reports.write_lake()
    totals = "SELECT count(*), sum(amount), min(final_on), max(final_on) FROM payments"
    before = (await reports.sql(totals)).rows
    moment.now += 100 * 24 * 3600
    await ledger.erasure.erase("dawson", attempt.reference, ended_before=moment(), by="Ada", reason="retention")
    for _ in range(2):
        assert (await reports.sql(totals)).rows == before
        assert (await reports.sql("SELECT metadata FROM payments")).rows == [("{}",)]
        assert (await reports.sql("SELECT count(*) FROM payment_events")).rows == [(5,)]
        await reports.write_lake()
    assert (await reports.verify_lake()).equal


@pytest.mark.parametrize("follows_index", [False, True])
async def test_imported_payments_are_in_the_next_answer(
    portal: tuple[Ledger, Reports], moment: Moment, tmp_path: Path, follows_index: bool
) -> None:
    ledger, reports = portal
    if follows_index:
        source = IndexSource(ledger, ledger._store, "bursar-payments", moment)
        reports = Reports(source, f"file:{tmp_path / 'another lake'}", moment)
    await paid(ledger, moment, 1)
    await reports.write_lake()
    moment.now += 40 * 86_400
    fee = FeeCatalogue.default().fee("PETITION_FILING_FEE", moment())
    assert fee is not None
    long_ago = moment.now - 200 * 86_400
    record = ImportRecord(
        agency_tracking_id="old1",
        client="dawson",
        reference=str(UUID(int=99, version=4)),
        fee=fee,
        amount=Decimal("60.00"),
        metadata={},
        status="processed",
        created_at=long_ago,
        updated_at=long_ago + 60,
        paygov_tracking_id="P99",
    )
    await ledger.imports.record(record, by="Ada", source="old.csv:2")
    for _ in range(2):
        payments = "SELECT count(*), sum(amount), min(created_at) FROM payments"
        ((count, amount, first),) = (await reports.sql(payments)).rows
        assert (count, amount, first.timestamp()) == (2, 120, long_ago)
        events = "SELECT count(*) FROM payment_events WHERE event = 'imported'"
        assert (await reports.sql(events)).rows == [(1,)]
        posted = "SELECT account, sum(amount) FROM payment_postings GROUP BY ALL ORDER BY 1"
        assert (await reports.sql(posted)).rows == [("fee_revenue", -120), ("in_transit", 120)]
        moment.now += 3600
        await reports.write_lake()
    assert (await reports.verify_lake()).equal
    await reports.close()
