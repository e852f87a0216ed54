"""Reports: one query over the lake and the later changes."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from bursar.reports import reports as reports_module
from bursar.reports.errors import BadSql, QueryTooLong
from bursar.reports.lake import lake_loader as mover
from bursar.reports.lake.lake import Lake
from bursar.reports.lake.writer import writing
from bursar.reports.reports import Reports
from tests.support.reports.book import Book

COUNT = "SELECT count(*) AS n, sum(amount) AS total FROM payments"


async def test_a_payment_made_a_moment_ago_is_in_the_answer(book: Book, reports: Reports) -> None:
    book.start(amount="60.00")
    assert (await reports.sql(COUNT)).rows == [(1, Decimal("60.00"))]
    book.start(amount="0.10")
    answer = await reports.sql(COUNT)
    assert answer.rows == [(2, Decimal("60.10"))]
    assert answer.columns == ("n", "total")
    assert answer.types == ("BIGINT", "DECIMAL(38,2)")
    assert answer.as_of == book.now


async def test_a_store_without_payments_answers_with_none(reports: Reports) -> None:
    assert (await reports.sql(COUNT)).rows == [(0, None)]


async def test_the_answer_is_the_same_before_and_after_the_lake_is_written(book: Book, reports: Reports) -> None:
    book.pay(200)
    statement = "SELECT * FROM payments ORDER BY agency_tracking_id"
    events = "SELECT * FROM payment_events ORDER BY agency_tracking_id, seq"
    before = (await reports.sql(statement)).rows, (await reports.sql(events)).rows
    await reports.write_lake()
    assert (await reports.sql(statement)).rows == before[0]
    assert (await reports.sql(events)).rows == before[1]
    assert len(before[0]) == 200


async def test_a_change_after_the_lake_was_written_replaces_the_lakes_row(book: Book, reports: Reports) -> None:
    attempt = book.start()
    book.now += 3600
    await reports.write_lake()
    assert (await reports.lake_state())["payments"].row_count == 1
    book.move(attempt, "failed")
    answer = await reports.sql("SELECT status, payment_status FROM payments")
    assert answer.rows == [("failed", "failed")]


async def test_a_second_write_moves_only_what_changed(book: Book, reports: Reports) -> None:
    book.pay(20)
    book.now += 3600
    first = await reports.write_lake()
    assert first.rows["payments"] == 20
    book.start()
    book.now += 3600
    assert (await reports.write_lake()).rows == {"payments": 1, "payment_events": 1}
    book.now += 3600
    assert (await reports.write_lake()).rows == {"payments": 0, "payment_events": 0}
    assert (await reports.sql(COUNT)).rows[0][0] == 21


async def test_only_the_tail_is_read_again(book: Book, reports: Reports) -> None:
    book.pay(20)
    book.now += 3600
    await reports.write_lake()
    await reports.sql(COUNT)
    book.now += 600
    await reports.sql(COUNT)
    book.reads.clear()
    await reports.sql(COUNT)
    assert [book.now - since for since, _ in book.reads] == [300.0]


async def test_two_reports_over_one_lake_agree(book: Book, reports: Reports, tmp_path: Path) -> None:
    book.pay(30)
    book.now += 3600
    await reports.write_lake()
    other = Reports(book, f"file:{tmp_path / 'lake'}", book.clock, source=book)
    try:
        assert (await other.sql(COUNT)).rows == (await reports.sql(COUNT)).rows
    finally:
        await other.close()


async def test_the_token_is_nowhere(book: Book, reports: Reports, tmp_path: Path) -> None:
    secret = "s3cr3t" * 5 + "ab"
    book.start(token=secret)
    book.now += 3600
    await reports.write_lake()
    for statement in ("SELECT * FROM payments", "SELECT * FROM payment_events"):
        answer = await reports.sql(statement)
        assert "token" not in answer.columns
        assert secret not in repr(answer.rows)
    for path in (tmp_path / "lake").rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()


async def test_parameters_are_values_not_text(book: Book, reports: Reports) -> None:
    book.start(client="dawson")
    answer = await reports.sql("SELECT count(*) FROM payments WHERE client = $client", {"client": "x' OR true --"})
    assert answer.rows == [(0,)]


async def test_bad_sql_says_what_is_wrong(reports: Reports) -> None:
    with pytest.raises(BadSql, match="amonut"):
        await reports.sql("SELECT amonut FROM payments")


SLOW = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3"


async def test_a_query_that_takes_too_long_is_stopped(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as hasty:
        hasty.setattr(reports_module, "QUERY_TIMEOUT_S", 0.2)
        with pytest.raises(QueryTooLong, match="reached its time limit"):
            await reports.sql(SLOW)
    assert (await reports.sql("SELECT 1")).rows == [(1,)]


async def test_a_cancelled_caller_stops_the_query(reports: Reports) -> None:
    asking = asyncio.create_task(reports.sql(SLOW))
    done, _ = await asyncio.wait([asking], timeout=0.3)
    assert not done
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await reports.sql("SELECT 1")).rows == [(1,)]


async def test_queries_run_side_by_side_each_with_its_own_tail(book: Book, reports: Reports) -> None:
    book.pay(10)
    answers = await asyncio.gather(*(reports.sql(COUNT) for _ in range(8)))
    assert {tuple(answer.rows) for answer in answers} == {((10, book_total(book)),)}


def book_total(book: Book) -> Decimal:
    return sum((attempt.amount for attempt in book.attempts.values()), Decimal(0))


async def test_a_tail_that_has_grown_too_long_moves_to_the_lake_first(
    book: Book, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports_module, "TAIL_ROWS_MAX", 10)
    book.pay(20, spacing_s=1)
    assert (await reports.sql(COUNT)).rows[0][0] == 20
    assert (await reports.lake_state())["payments"].row_count > 0


async def test_a_long_tail_is_answered_even_while_another_process_writes(
    book: Book, reports: Reports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports_module, "TAIL_ROWS_MAX", 10)
    book.pay(20, spacing_s=1)
    with writing(Lake.at(f"file:{tmp_path / 'lake'}")):
        assert (await reports.sql(COUNT)).rows[0][0] == 20


async def test_the_lake_is_written_in_batches_of_bounded_size(
    book: Book, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mover, "BATCH_ROWS_MAX", 7)
    book.pay(12)
    book.now += 3600
    written = await reports.write_lake()
    assert written.rows == {"payments": 12, "payment_events": len(book.events)}
    assert (await reports.verify_lake()).equal
