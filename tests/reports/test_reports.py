"""Reports: one query over the lake and the later changes."""

import asyncio
import errno
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bursar.reports import current, query_threads
from bursar.reports.errors import BadSql, LakeBroken, LakeBusy, QueryTooLong
from bursar.reports.lake.iceberg import commit_files
from bursar.reports.lake.lake import Lake
from bursar.reports.lake.position import Position
from bursar.reports.lake.schema import TABLES
from bursar.reports.lake.writer import writing
from bursar.reports.named_reports import named_report
from bursar.reports.reports import Reports
from bursar.reports.sql.answer import Question
from bursar.reports.tail.sources import SAFETY_MARGIN_S, ChangePage
from bursar.reports.tail.tail import Tail
from tests.support.reports.book import DAY_S, PAGE_ITEMS, Book

COUNT = "SELECT count(*) AS n, sum(amount) AS total FROM payments"
PAID_MEANWHILE_MAX = 1_000
"""Payments beside the questions: on a slow machine they would outgrow the limit of an answer."""


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
    assert len((await reports.lake_state())["payments"].live_files) == 1
    book.move(attempt, "failed")
    answer = await reports.sql("SELECT status, payment_status FROM payments")
    assert answer.rows == [("failed", "failed")]


async def test_a_second_write_moves_only_what_changed(book: Book, reports: Reports) -> None:
    book.pay(20)
    book.now += 3600
    first = await reports.write_lake()
    assert first.rows["payments"] == sum(not attempt.live for attempt in book.attempts.values())
    book.move(book.start(), "failed")
    book.now += 3600
    assert (await reports.write_lake()).rows == {"payments": 1, "payment_events": 2, "reversals": 0, "deposits": 0}
    book.now += 3600
    assert (await reports.write_lake()).rows == {"payments": 0, "payment_events": 0, "reversals": 0, "deposits": 0}
    assert (await reports.sql(COUNT)).rows[0][0] == 21


async def test_questions_that_arrive_together_share_one_look_at_the_store(book: Book, reports: Reports) -> None:
    book.pay(20)
    await reports.sql(COUNT)
    changes = book.source.changes

    async def slow_changes(position: Position) -> AsyncIterator[ChangePage]:
        await asyncio.sleep(0.05)
        async for page in changes(position):
            yield page

    book.source.changes = slow_changes
    book.reads.clear()
    await asyncio.gather(*(reports.sql(COUNT) for _ in range(20)))
    assert len(book.reads) <= 2
    await reports.answers([Question(COUNT)] * 3)
    assert len(book.reads) <= 3


async def test_a_question_is_not_answered_from_a_look_that_began_before_it(book: Book, reports: Reports) -> None:
    await reports.sql(COUNT)
    changes, started = book.source.changes, asyncio.Event()

    async def slow_changes(position: Position) -> AsyncIterator[ChangePage]:
        async for page in changes(position):
            started.set()
            await asyncio.sleep(0.05)  # the page was read before the payment below
            yield page

    book.source.changes = slow_changes
    first = asyncio.create_task(reports.sql(COUNT))
    await started.wait()
    book.start()
    assert (await reports.sql(COUNT)).rows[0][0] == 1
    assert (await first).rows[0][0] == 0


async def test_all_answers_to_one_request_are_of_one_state(book: Book, reports: Reports) -> None:
    book.pay(30)
    stop = asyncio.Event()

    async def pay() -> None:
        for _ in range(PAID_MEANWHILE_MAX):
            if stop.is_set():
                return
            book.move(book.start(), "processed")
            await asyncio.sleep(0)

    paying = asyncio.create_task(pay())
    rows, by_status, events = "SELECT status FROM payments", "SELECT sum(attempts) FROM payment_days", (
        "SELECT count(DISTINCT agency_tracking_id) FROM payment_events"
    )  # fmt: skip
    for number in range(10):
        if number == 5:
            await reports.write_lake()
        listed, counted, seen = await reports.answers([Question(text) for text in (rows, by_status, events)])
        assert len(listed.rows) == counted.rows[0][0] == seen.rows[0][0]
    stop.set()
    await paying


async def test_a_table_that_was_loaded_or_restored_is_answered_for_whatever_its_age(
    book: Book, reports: Reports
) -> None:
    book.pay(30)
    book.now += 400 * DAY_S
    book.born = book.now  # loaded from a dump: the table is younger than its payments
    assert (await reports.sql(COUNT)).rows[0][0] == 30
    written = await reports.write_lake()
    assert written.watermark == book.now - SAFETY_MARGIN_S, "the start of the scan less the margin"
    assert (await reports.sql(COUNT)).rows[0][0] == 30
    assert (await reports.verify_lake()).equal


@pytest.mark.parametrize("back_s", [600.0, 3600.0])
async def test_a_payment_under_a_clock_that_was_set_back_is_answered_for_and_moved(
    book: Book, reports: Reports, back_s: float
) -> None:
    book.pay(5)
    await reports.sql(COUNT)
    book.now += 3600
    await reports.write_lake()
    book.start()
    await reports.write_lake()
    book.now -= back_s
    book.move(book.start(amount="0.07"), "processed")
    assert (await reports.sql(COUNT)).rows[0][0] == 7
    book.now += 2 * back_s
    await reports.write_lake()
    assert (await reports.sql(COUNT)).rows[0][0] == 7
    assert (await reports.verify_lake()).equal


async def test_the_watermark_is_the_stores_time_and_the_one_that_is_printed(book: Book, reports: Reports) -> None:
    book.pay(5)
    book.now += DAY_S
    await reports.write_lake()
    book.move(book.start(), "failed")
    newest = book.now
    book.now += DAY_S
    written = await reports.write_lake()
    assert written.watermark == newest
    book.now += DAY_S
    idle = await reports.write_lake()
    assert idle.watermark == newest
    assert [table.watermark for table in (await reports.lake_state()).values()] == [newest] * len(TABLES)


async def test_a_lake_that_cannot_be_written_does_not_stop_answers(
    book: Book, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bursar.reports.tail.lake_build.BATCH_ROWS_MAX", 10)
    monkeypatch.setattr("bursar.reports.current.TAIL_ROWS_MAX", 10)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    book.pay(20)
    with monkeypatch.context() as failing:
        failing.setattr("bursar.reports.lake.writer.commit_files", full)
        assert (await reports.sql(COUNT)).rows[0][0] == 20
        book.pay(20, seed=2)
        assert (await reports.sql(COUNT)).rows[0][0] == 40
        with pytest.raises(LakeBroken, match=r"cannot be written: .*No space left on device$"):
            await reports.write_lake()
        failing.setattr("bursar.reports.current.TAIL_ROWS_LIMIT", 50)
        book.pay(10, seed=3)
        with pytest.raises(LakeBroken, match="No space left"):
            await reports.sql(COUNT)
    assert (await reports.sql(COUNT)).rows[0][0] == 50
    await reports.write_lake()
    assert (await reports.verify_lake()).equal


async def test_a_twin_that_cannot_be_written_or_read_is_done_without(
    book: Book, reports: Reports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bursar.reports.lake.twin.NEW_ROWS_MIN", 0)
    book.pay(20)
    with monkeypatch.context() as failing:
        failing.setattr("bursar.reports.lake.twin._set_days", _raise_full)
        await reports.write_lake()
    assert (await reports.sql(COUNT)).rows[0][0] == 20
    assert not list((tmp_path / "lake").glob("twin*"))
    (tmp_path / "lake" / "twin.duckdb").write_bytes(b"not a database" * 100)
    other = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock)
    assert (await other.sql(COUNT)).rows[0][0] == 20
    await other.close()


def _raise_full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("name", ["payments", "payment_events"])
async def test_a_missing_data_file_is_made_up_for_from_the_store(
    book: Book, reports: Reports, tmp_path: Path, name: str
) -> None:
    book.pay(20)
    await reports.write_lake()
    for path in (tmp_path / "lake" / name / "data").rglob("*.parquet"):
        path.unlink()
    other = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock)
    text = f"SELECT count(*) FROM {name}"
    assert (await other.sql(text)).rows == [(len(book.attempts if name == "payments" else book.events),)]
    await other.write_lake()
    assert (await other.verify_lake()).equal
    await other.close()


async def test_two_reports_over_one_lake_agree(book: Book, reports: Reports, tmp_path: Path) -> None:
    book.pay(30)
    book.now += 3600
    await reports.write_lake()
    other = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock)
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


@pytest.mark.parametrize("name", ["fees_by_month", "status_by_client"])
async def test_lake_and_tail_are_added_up_and_never_joined(book: Book, reports: Reports, name: str) -> None:
    book.pay(20)
    await reports.write_lake()
    book.pay(5, seed=2)
    look = await reports._current.look()
    cursor = look.shared.session.cursor()
    look.shared.session._views(cursor, look.tail, None).show(["payments", "payment_days"])
    bound = named_report(name).bind({}, book.now)
    plan = cursor.execute(f"EXPLAIN {named_report(name).sql}", bound).fetchall()[0][1].upper()
    assert "UNION" in plan
    assert "JOIN" not in plan
    cursor.close()
    look.shared.leave()


async def test_bad_sql_says_what_is_wrong(reports: Reports) -> None:
    with pytest.raises(BadSql, match="amonut"):
        await reports.sql("SELECT amonut FROM payments")


SLOW = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3"


async def test_a_query_that_takes_too_long_is_stopped(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as hasty:
        hasty.setattr(query_threads, "QUERY_TIMEOUT_S", 0.2)
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
    monkeypatch.setattr(current, "TAIL_ROWS_MAX", 10)
    await reports.sql(COUNT)
    book.pay(20, spacing_s=1)
    assert (await reports.sql(COUNT)).rows[0][0] == 20
    assert (await reports.lake_state())["payments"].row_count > 0


async def test_a_long_tail_is_answered_even_while_another_process_writes(
    book: Book, reports: Reports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current, "TAIL_ROWS_MAX", 10)
    monkeypatch.setattr(current, "OTHER_WRITER_WAIT_S", 0.5)
    await reports.sql(COUNT)
    book.pay(20, spacing_s=1)
    with writing(Lake.at(f"file:{tmp_path / 'lake'}")):
        assert (await reports.sql(COUNT)).rows[0][0] == 20


async def test_the_lake_is_written_in_batches_of_bounded_size(
    book: Book, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bursar.reports.tail.lake_build.BATCH_ROWS_MAX", 7)
    book.pay(120)
    longest = 0

    def counted(tail: Tail) -> int:
        nonlocal longest
        longest = max(longest, len(tail.finals) + len(tail.finals["payment_events"]))
        return len(tail.finals) + len(tail.finals["payment_events"])

    monkeypatch.setattr(Tail, "final_rows", property(counted))
    await reports.write_lake()
    assert longest <= 7 + PAGE_ITEMS
    assert (await reports.verify_lake()).equal


async def test_a_process_waits_for_the_writer_of_another_with_bounded_memory(
    book: Book, reports: Reports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bursar.reports.tail.lake_build.BATCH_ROWS_MAX", 7)
    monkeypatch.setattr(current, "TAIL_ROWS_LIMIT", 40)
    monkeypatch.setattr(current, "OTHER_WRITER_WAIT_S", 0.5)
    book.pay(30)
    with writing(Lake.at(f"file:{tmp_path / 'lake'}")), pytest.raises(LakeBusy, match="another process"):
        await reports.sql(COUNT)
    other = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock)
    await other.write_lake()
    assert (await reports.sql(COUNT)).rows[0][0] == 30
    await other.close()


async def test_a_build_that_died_begins_again(
    book: Book, reports: Reports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bursar.reports.tail.lake_build.BATCH_ROWS_MAX", 7)
    book.pay(60)
    state = {"commits": 0}

    def dying(*arguments: Any) -> None:
        state["commits"] += 1
        if state["commits"] == 4:
            raise KeyboardInterrupt
        commit_files(*arguments)

    with monkeypatch.context() as killing:
        killing.setattr("bursar.reports.lake.writer.commit_files", dying)
        with pytest.raises(KeyboardInterrupt):
            await reports.write_lake()
    other = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock)
    assert (await other.sql(COUNT)).rows[0][0] == 60
    await other.write_lake()
    assert (await other.verify_lake()).equal
    await other.close()
