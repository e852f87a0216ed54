"""Verification finds every difference between lake and table, and its place."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bursar.clock import iso_ms
from bursar.payments.records import Attempt
from bursar.reports.lake.tail import SAFETY_MARGIN_S
from bursar.reports.reports import Reports
from tests.support.reports.book import DAY_S, Book


async def test_nothing_written_is_equal_to_nothing(reports: Reports) -> None:
    verification = await reports.verify_lake()
    assert verification.equal
    assert verification.lines()[0] == "payments at no watermark: never written"


async def test_changes_since_the_watermark_are_left_out(book: Book, reports: Reports) -> None:
    book.pay(150)
    await reports.write_lake()
    for attempt in list(book.attempts.values())[::3]:
        book.move(attempt, attempt.status, "noted")
    book.start()
    verification = await reports.verify_lake()
    assert verification.equal
    assert sum(check.lake.rows for check in verification.months if check.table == "payments") >= 90


async def test_a_change_that_the_index_of_changes_never_showed_is_missed_by_the_lake_and_found_here(
    book: Book, reports: Reports
) -> None:
    book.start()
    book.now += 40 * DAY_S
    await reports.write_lake()
    late = book.start()
    book.attempts[late.agency_tracking_id] = _stamped(late, book.now - SAFETY_MARGIN_S - 1)
    verification = await reports.verify_lake()
    assert not verification.equal
    [wrong] = [check for check in verification.months if not check.equal]
    assert (wrong.table, wrong.month, wrong.stored.rows, wrong.lake.rows) == ("payments", "2026-05", 1, 0)
    text = "\n".join(verification.lines())
    assert "2026-05  DIFFERS  table: 1 rows, 60.00 dollars" in text
    assert f"payments at {iso_ms(book.now - SAFETY_MARGIN_S)}" in text


async def test_one_altered_value_in_a_data_file_is_found(book: Book, reports: Reports, tmp_path: Path) -> None:
    for client in ("dawson", "exams"):
        book.start(client=client)
    book.now += 3600
    await reports.write_lake()
    [path] = (tmp_path / "lake" / "payments" / "data").rglob("*.parquet")
    table = pq.ParquetFile(path).read()
    place = table.schema.get_field_index("client")
    column = pa.array(list(reversed(table["client"].to_pylist())), table["client"].type)  # same counts, same sums
    pq.write_table(table.set_column(place, table.schema.field(place), column), path)
    verification = await reports.verify_lake()
    assert [check.equal for check in verification.months] == [False, True]


def _stamped(attempt: Attempt, at: float) -> Attempt:
    from dataclasses import replace

    return replace(attempt, created_at=at, updated_at=at)
