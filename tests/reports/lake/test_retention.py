"""Retention: months leave the lake, verification and the past agree, and the store is the judge of all that is kept."""

import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.clock import from_iso_ms, iso_ms
from bursar.reports.errors import InstantForgotten
from bursar.reports.lake import vacuum
from bursar.reports.lake.retention import EVENTS_LONGER_MONTHS, Retention, month_number
from bursar.reports.lake.rows import court_day
from bursar.reports.reports import Reports
from bursar.reports.sql.answer import Question
from tests.support.hypothesis_profiles import examples
from tests.support.reports.book import DAY_S, Book

KEPT = (
    "SELECT (SELECT count(*) FROM payments), (SELECT sum(amount) FROM payments), "
    "(SELECT count(*) FROM payment_events), (SELECT count(*) FROM reversals), (SELECT count(*) FROM deposits)"
)


@examples(60)
@given(st.floats(0, 4e9), st.integers(1, 30))
def test_a_month_leaves_when_all_its_days_are_older(now: float, years: int) -> None:
    first, today = Retention(years).first_days(now), court_day(now)
    kept = first["payments"]
    assert kept == first["reversals"] == first["deposits"] == date(today.year - years, today.month, 1)
    assert month_number(kept) - month_number(first["payment_events"]) == EVENTS_LONGER_MONTHS
    horizon = Retention(years).horizon(now)
    assert (court_day(horizon), court_day(horizon - 1)) == (kept, date.fromordinal(kept.toordinal() - 1))


def expected(book: Book, retention: Retention) -> tuple[Any, ...]:
    """Return the counts and sums of the rows that the lake should keep, computed from the book."""
    first = retention.first_days(book.now)
    attempts = [each for each in book.attempts.values() if each.live or court_day(each.updated_at) >= first["payments"]]
    return (
        len(attempts),
        sum(each.amount for each in attempts) if attempts else None,
        sum(court_day(each.at) >= first["payment_events"] for each in book.events),
        sum(court_day(each.at) >= first["reversals"] for each in book.reversals),
        sum(court_day(each.at) >= first["deposits"] for each in book.deposits),
    )


def change_old_payments(book: Book, draw: random.Random) -> None:
    """Let money go back, and deposits be recorded, long after some payments ended, and settle a payment late."""
    for attempt in list(book.attempts.values()):
        if attempt.status == "processed" and attempt.reversed_amount is None and draw.random() < 0.2:
            book.reverse(attempt, "1.00")
        is_recent = book.now - attempt.created_at < 300 * DAY_S  # its events are kept
        if attempt.status == "initiated" and is_recent and draw.random() < 0.3:
            book.move(attempt, "processed", "completed")
    deposited = {each.agency_tracking_id for each in book.deposits}
    for attempt in book.attempts.values():
        if attempt.status == "processed" and attempt.agency_tracking_id not in deposited and draw.random() < 0.1:
            book.deposit(attempt, "123456")


async def check(book: Book, reports: Reports, retention: Retention, draw: random.Random) -> None:
    """Compare the answers of now, and of instants since the horizon, with the book, and the lake with the store."""
    assert (await reports.sql(KEPT)).rows == [expected(book, retention)]
    first = retention.first_days(book.now)["payments"]
    instant = draw.uniform(retention.horizon(book.now), book.now)
    kept = {
        each.agency_tracking_id for each in book.attempts.values() if each.live or court_day(each.updated_at) >= first
    }
    was = {}
    for event in book.events:
        if event.at <= instant and event.agency_tracking_id in kept:
            was[event.agency_tracking_id] = event.to_status
    past = await reports.sql("SELECT agency_tracking_id, status FROM payments", as_of=instant)
    assert dict(past.rows) == was, iso_ms(instant)
    verification = await reports.verify_lake()
    assert verification.equal, verification.lines()


async def test_years_of_payments_leave_month_by_month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vacuum, "SNAPSHOTS_MAX", 0)
    monkeypatch.setattr(vacuum, "READER_GRACE_S", -60.0)  # every file is old enough
    book, retention, draw = Book(), Retention(1), random.Random(1)
    lake = tmp_path / "lake"
    reports = Reports(book.source, f"file:{lake}", book.clock, retention=retention)
    for step in range(6):
        book.pay(14, seed=draw.randrange(1000))
        change_old_payments(book, draw)
        await reports.write_lake(only_if_due=step == 3)
        if step == 4:  # another process continues at the lake's position
            await reports.close()
            reports = Reports(book.source, f"file:{lake}", book.clock, retention=retention)
        if step == 4:
            await check(book, reports, retention, draw)
        book.now += 95 * DAY_S
    await reports.write_lake()
    await check(book, reports, retention, draw)
    first = retention.first_days(book.now)["payments"]
    assert expected(book, retention)[0] < len(book.attempts)
    months = {path.parent.name.partition("=")[2] for path in (lake / "payments").rglob("*.parquet")} - {"null"}
    assert min(months) >= f"{first:%Y-%m}"  # the vacuum removed the others
    await reports.close()


async def test_a_build_reads_no_month_that_has_left(book: Book, tmp_path: Path) -> None:
    for _ in range(4):
        book.pay(15)
        book.now += 300 * DAY_S
    retention = Retention(1)
    reports = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock, retention=retention)
    assert (await reports.sql(KEPT)).rows == [expected(book, retention)]
    await reports.write_lake()
    assert (await reports.sql(KEPT)).rows == [expected(book, retention)]
    await reports.close()


async def test_a_longer_retention_brings_months_back_with_the_next_verification(book: Book, tmp_path: Path) -> None:
    for _ in range(4):
        book.pay(15)
        book.now += 300 * DAY_S
    for years, is_equal in ((1, True), (7, False), (7, True)):
        reports = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock, retention=Retention(years))
        await reports.write_lake()
        assert (await reports.verify_lake()).equal is is_equal
        await reports.close()
    assert expected(book, Retention(7))[0] == len(book.attempts)


async def test_an_instant_before_the_horizon_is_refused_and_names_it(book: Book, reports: Reports) -> None:
    book.now = from_iso_ms("2026-11-30T12:00:00.000Z")
    horizon = from_iso_ms("2019-11-01T04:00:00.000Z")
    assert (await reports.sql("SELECT 1", as_of=horizon)).rows == [(1,)]
    rule = r"as of: must not be before 2019-11-01T04:00:00\.000Z, the horizon .* 7 years; got 2019-11-01T03:59:59"
    with pytest.raises(InstantForgotten, match=rule):
        await reports.sql("SELECT 1", as_of=horizon - 1)
    with pytest.raises(InstantForgotten, match=rule):
        async with reports.stream(Question("SELECT 1", as_of=horizon - 1)):
            pass
