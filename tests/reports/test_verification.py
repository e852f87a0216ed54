"""Verification finds every difference between lake and table, and its place, and rebuilds the month."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bursar.clock import iso_ms
from bursar.reports.lake.lake_state import LakeState
from bursar.reports.reports import Reports
from bursar.reports.tail.index_source import OVERLAP_S
from bursar.reports.verification import NAMED_KEYS_MAX, Verification
from tests.support.reports.book import DAY_S, Book

COUNT = "SELECT count(*), sum(amount) FROM payments"


async def test_nothing_written_is_equal_to_nothing(reports: Reports) -> None:
    verification = await reports.verify_lake()
    assert verification.equal
    assert verification.lines()[0] == "payments at no watermark: never written"


async def test_changes_since_the_position_are_left_out(book: Book, reports: Reports) -> None:
    book.pay(150)
    await reports.write_lake()
    for attempt in list(book.attempts.values())[::3]:
        if attempt.live:
            book.move(attempt, "failed")
    book.move(book.start(), "processed")
    verification = await reports.verify_lake()
    assert verification.equal, verification.lines()
    assert sum(check.lake.rows for check in verification.months if check.table == "payments") >= 120


async def test_a_payment_that_becomes_final_during_the_scan_is_no_difference(book: Book, reports: Reports) -> None:
    book.pay(60)
    open_one = book.start()
    book.now += 3600
    await reports.write_lake()
    page, scanned = book.source.scan, 0

    async def scan(*, consistent: bool = True) -> Any:
        nonlocal scanned
        async for changes in page():
            scanned += 1
            if scanned == 1:
                book.move(open_one, "processed")
                book.move(book.start(), "failed")
            yield changes

    book.source.scan = scan
    verification = await reports.verify_lake()
    assert verification.equal, verification.lines()


async def test_rows_that_only_a_scan_of_the_past_lacks_are_no_difference(book: Book, reports: Reports) -> None:
    book.pay(20)
    book.now += 3 * OVERLAP_S
    await reports.write_lake()
    scan, asked = book.source.scan, []

    async def lagging(*, consistent: bool = True) -> Any:
        asked.append(consistent)
        async for changes in scan(consistent=consistent):
            yield changes if consistent else changes[5:]

    book.source.scan = lagging
    assert (await reports.verify_lake()).equal
    assert asked == [False, True]
    asked.clear()
    book.source.scan = scan
    read, consistently = book.call, []

    async def noted(operation: str, request: Any) -> Any:
        consistently.append(request["ConsistentRead"])
        return await read(operation, request)

    book.call = noted
    assert (await reports.verify_lake()).equal
    assert set(consistently) == {False}, "what is equal is read once, at half the price"


async def test_a_change_that_no_source_showed_is_found_and_its_month_rebuilt(book: Book, reports: Reports) -> None:
    book.move(book.start(), "failed")
    book.now += 40 * DAY_S
    book.move(book.start(), "failed")
    await reports.write_lake()
    watermark = book.now
    book.now += 3 * OVERLAP_S
    late = book.move(book.start(), "processed")
    at = watermark - 1
    book.attempts[late.agency_tracking_id] = replace(late, created_at=at, updated_at=at)
    book.events[-2:] = [replace(event, at=at) for event in book.events[-2:]]
    await reports.write_lake()
    book.now += 3 * OVERLAP_S
    assert (await reports.sql("SELECT count(*) FROM payments")).rows == [(3,)], "the margin of two hours covers it"
    gone = replace(late, agency_tracking_id="never seen", created_at=at - DAY_S, updated_at=at - DAY_S)
    book.attempts["never seen"] = gone
    verification = await reports.verify_lake()
    [wrong] = [check for check in verification.months if not check.equal]
    assert (wrong.table, wrong.month, wrong.stored.rows, wrong.lake.rows) == ("payments", "2026-05", 3, 2)
    text = "\n".join(verification.lines())
    assert "2026-05  DIFFERS  table: 3 rows, 180.00 dollars" in text
    assert "\n                    never seen: only in the table\n" in text
    assert "rebuilt from the table" in text
    assert f"payments at {iso_ms(watermark)}" in text
    assert (await reports.sql("SELECT count(*) FROM payments")).rows == [(4,)]
    assert (await reports.verify_lake()).equal


async def test_recent_changes_are_compared_without_a_scan_and_differences_lead_to_a_whole_proof(
    book: Book, reports: Reports
) -> None:
    old = book.move(book.start(), "failed")
    book.now += 20 * DAY_S
    recent = book.move(book.start(), "failed")
    await _write_and_forget(book, reports)
    book.move(book.start(), "failed")  # the tail has it, so the lake may lack it
    scans, scan = 0, book.source.scan

    def counted(*, consistent: bool = True) -> Any:
        nonlocal scans
        scans += 1
        return scan(consistent=consistent)

    book.source.scan = counted
    equal = await reports.verify_lake(recent_s=2 * DAY_S)
    since = (book.now - 2 * DAY_S) // 3600 * 3600
    assert (equal.equal, equal.since, scans) == (True, since, 0), equal.lines()
    assert [(check.table, check.lake.rows) for check in equal.months] == [("payments", 1), ("payment_events", 3)]
    assert equal.lines()[0].endswith(f", changes since {iso_ms(since)}")

    book.attempts[recent.agency_tracking_id] = replace(recent, amount=Decimal("60.01"))
    found = await reports.verify_lake(recent_s=2 * DAY_S)
    [wrong] = [check for check in found.months if not check.equal]
    assert (wrong.differences, found.since) == (("atid000001: another row in the lake",), None)
    assert found.rebuilt == (("payments", wrong.month),)
    assert (await reports.verify_lake(recent_s=2 * DAY_S)).equal

    del book.events[-4]  # the last event of the recent attempt
    assert not (await reports.verify_lake(recent_s=2 * DAY_S)).equal, "a recent row that only the lake has"
    book.attempts[old.agency_tracking_id] = replace(old, amount=Decimal("60.01"))
    scans = 0
    assert (await reports.verify_lake(recent_s=2 * DAY_S)).equal, "it does not read the old month"
    assert scans == 0
    assert not (await reports.verify_lake()).equal


async def test_a_month_is_not_rebuilt_where_only_the_differences_are_asked_for(book: Book, reports: Reports) -> None:
    book.pay(5)
    book.now += 3600
    await reports.write_lake()
    book.attempts.popitem()
    for _ in range(2):
        verification = await reports.verify_lake(repairs=False)
        assert not verification.equal
        assert verification.rebuilt == ()


@pytest.mark.parametrize("repairs", [False, True])
async def test_the_keys_that_differ_are_named(book: Book, reports: Reports, repairs: bool) -> None:
    gone, altered, _ = [book.move(book.start(), "failed") for _ in range(3)]
    await _write_and_forget(book, reports)
    book.move(book.start(), "failed")  # the tail has it, so the lake may lack it
    del book.attempts[gone.agency_tracking_id]
    book.attempts[altered.agency_tracking_id] = replace(altered, amount=Decimal("60.01"))
    book.attempts["lost"] = replace(altered, agency_tracking_id="lost")
    del book.events[0]
    verification = await reports.verify_lake(repairs=repairs)
    payments, events = [check for check in verification.months if not check.equal]
    assert payments.differences == (
        "atid000000: only in the lake",
        "atid000001: another row in the lake",
        "lost: only in the table",
    )
    assert events.differences == ("atid000000 1: only in the lake",)
    assert (await reports.verify_lake()).equal == repairs


async def test_at_most_twenty_keys_of_a_month_are_named(book: Book, reports: Reports) -> None:
    attempts = [book.move(book.start(), "failed") for _ in range(NAMED_KEYS_MAX + 5)]
    await _write_and_forget(book, reports)
    for attempt in attempts:
        book.attempts[attempt.agency_tracking_id] = replace(attempt, amount=Decimal("1.00"))
    verification = await reports.verify_lake()
    [wrong] = [check for check in verification.months if not check.equal]
    assert (len(wrong.differences), wrong.differing) == (NAMED_KEYS_MAX, len(attempts))
    assert "                    and 5 more" in verification.lines()


async def _write_and_forget(book: Book, reports: Reports) -> None:
    """Write the lake so late that the source does not read the rows again, which would show what a test alters."""
    book.now += 3 * OVERLAP_S
    book.start()
    book.now += 3600
    await reports.write_lake()


async def test_a_rebuilt_month_keeps_the_tail_and_the_other_months(book: Book, reports: Reports) -> None:
    book.pay(100)
    await reports.write_lake()
    book.pay(10, seed=7)
    lost = next(key for key, attempt in book.attempts.items() if not attempt.live)
    missing = book.attempts.pop(lost)
    assert not (await reports.verify_lake()).equal
    before = (await reports.sql(COUNT)).rows
    assert before == [(len(book.attempts), sum(attempt.amount for attempt in book.attempts.values()))]
    book.attempts[lost] = missing
    assert not (await reports.verify_lake()).equal
    assert (await reports.sql(COUNT)).rows == [(before[0][0] + 1, before[0][1] + missing.amount)]
    await reports.write_lake()
    assert (await reports.verify_lake()).equal


async def test_a_lake_that_is_written_meanwhile_is_rebuilt_at_the_next_try(
    book: Book, reports: Reports, tmp_path: Path
) -> None:
    book.pay(20)
    book.now += 3600
    await reports.write_lake()
    book.attempts.popitem()
    current, tries = reports._current, 0
    rewrite = current.rewrite

    async def contended(before: LakeState, work: Any) -> bool:
        nonlocal tries
        tries += 1
        if tries == 1:
            book.move(book.start(), "failed")
            book.now += 3600
            await reports.write_lake()
        return await rewrite(before, work)

    current.rewrite = contended
    assert isinstance(await reports.verify_lake(), Verification)
    assert tries == 2
    assert (await reports.verify_lake()).equal


async def test_a_row_that_the_lake_has_twice_is_named(book: Book, reports: Reports, tmp_path: Path) -> None:
    book.move(book.start(), "failed")
    await _write_and_forget(book, reports)
    [path] = (tmp_path / "lake" / "payments" / "data" / "final_on_month=2026-03").rglob("*.parquet")
    table = pq.ParquetFile(path).read()
    pq.write_table(pa.concat_tables([table, table]), path)
    [wrong] = [check for check in (await reports.verify_lake()).months if not check.equal]
    assert wrong.differences == ("atid000000: twice in the lake",)
    assert (await reports.verify_lake()).equal


@pytest.mark.parametrize("twin", [False, True])
async def test_one_altered_value_in_a_data_file_is_found(
    book: Book, reports: Reports, tmp_path: Path, twin: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bursar.reports.lake.twin.NEW_ROWS_MIN", 0 if twin else 100)
    for client in ("dawson", "exams"):
        book.move(book.start(client=client), "failed")
    book.now += 3 * OVERLAP_S  # a source that reads the rows again would repair them
    book.start()
    book.now += 3600
    await reports.write_lake()
    [path] = (tmp_path / "lake" / "payments" / "data" / "final_on_month=2026-03").rglob("*.parquet")
    table = pq.ParquetFile(path).read()
    place = table.schema.get_field_index("client")
    column = pa.array(list(reversed(table["client"].to_pylist())), table["client"].type)  # same counts, same sums
    pq.write_table(table.set_column(place, table.schema.field(place), column), path)
    verification = await reports.verify_lake()
    assert [check.equal for check in verification.months] == [False, True]
    altered = tuple(f"atid{number:06d}: another row in the lake" for number in range(2))
    assert verification.months[0].differences == altered
    answer = await reports.sql("SELECT client FROM payments WHERE status = 'failed' ORDER BY agency_tracking_id")
    assert answer.rows == [("dawson",), ("exams",)]
