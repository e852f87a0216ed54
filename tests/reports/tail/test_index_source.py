"""The tail: the rows that it holds, the rows that it reads again, and its limit."""

import pytest

from bursar.payments.ledger.lookups import CHANGES_SPAN_MAX_S
from bursar.reports.lake.tail import READ_AHEAD_S, SAFETY_MARGIN_S, Tail, TailTooLong, changes_between
from tests.support.reports.book import DAY_S, START, Book

FROM_THE_START = {"payments": None, "payment_events": None}


def tail_of(book: Book) -> Tail:
    async def origin() -> float:
        return START - 3600

    return Tail(book, origin, book.clock)


async def test_the_tail_holds_each_attempt_once_and_every_event(book: Book) -> None:
    tail = tail_of(book)
    attempt = book.move(book.start(), "initiated")
    book.now += 1
    book.move(attempt, "failed")
    tables = await tail.read(FROM_THE_START)
    assert tables["payments"]["status"].to_pylist() == ["failed"]
    assert tables["payment_events"]["to_status"].to_pylist() == ["received", "initiated", "failed"]


async def test_a_change_that_appears_late_within_the_margin_is_read(book: Book) -> None:
    tail = tail_of(book)
    book.now += 1000
    await tail.read(FROM_THE_START)
    seen_at = book.now
    book.now = seen_at - SAFETY_MARGIN_S + 1  # stamped before the read above, visible after it
    book.start()
    book.now = seen_at + 1
    assert (await tail.read(FROM_THE_START))["payments"].num_rows == 1


async def test_only_the_margin_is_read_again(book: Book) -> None:
    tail = tail_of(book)
    book.now += DAY_S
    await tail.read(FROM_THE_START)
    book.reads.clear()
    await tail.read(FROM_THE_START)
    assert book.reads == [(book.now - SAFETY_MARGIN_S, book.now + READ_AHEAD_S)]


async def test_rows_below_the_watermark_are_dropped(book: Book) -> None:
    tail = tail_of(book)
    book.start()
    book.now += 10
    book.start()
    assert (await tail.read(FROM_THE_START))["payments"].num_rows == 2
    tables = await tail.read({"payments": START + 5, "payment_events": START})
    assert (tables["payments"].num_rows, tables["payment_events"].num_rows) == (1, 2)


async def test_a_lower_watermark_is_read_from_again(book: Book) -> None:
    tail = tail_of(book)
    book.start()
    book.now += DAY_S
    assert (await tail.read({"payments": book.now, "payment_events": book.now}))["payments"].num_rows == 0
    assert (await tail.read(FROM_THE_START))["payments"].num_rows == 1


async def test_a_tail_beyond_its_row_limit_is_refused_and_freed(book: Book) -> None:
    tail = tail_of(book)
    for _ in range(6):
        book.start()
    with pytest.raises(TailTooLong):
        await tail.read(FROM_THE_START, rows_max=11)
    assert (await tail.read(FROM_THE_START, rows_max=12))["payments"].num_rows == 6


async def test_a_long_span_is_read_in_steps_that_the_ledger_takes(book: Book) -> None:
    book.start()
    until = START + 2.5 * CHANGES_SPAN_MAX_S
    records = [record async for record in changes_between(book, START, until)]
    assert len(records) == 2
    assert [end - begin for begin, end in book.reads] == [
        CHANGES_SPAN_MAX_S,
        CHANGES_SPAN_MAX_S,
        CHANGES_SPAN_MAX_S / 2,
    ]
