"""The index of changes as a source: the overlap that it reads again, and its position."""

from collections.abc import Mapping

import pytest

from bursar.payments.ledger.lookups import CHANGES_SPAN_MAX_S
from bursar.reports.lake.position import Position
from bursar.reports.lake.rows import micros
from bursar.reports.tail import index_source
from bursar.reports.tail.index_source import OVERLAP_S, READ_AHEAD_S, SOURCE, changes_between
from bursar.reports.tail.sources import SAFETY_MARGIN_S, RowChange
from tests.support.reports.book import DAY_S, START, Book


async def changes(book: Book, position: Position) -> tuple[Mapping[tuple[object, ...], RowChange], Position]:
    found: dict[tuple[object, ...], RowChange] = {}
    async for page in book.source.changes(position):
        found |= {change.key: change for change in page.changes}
        position = page.position
    return found, position


async def test_a_change_that_was_stamped_before_the_position_is_read(book: Book) -> None:
    position = Position(SOURCE, micros(book.now))
    book.now -= OVERLAP_S - 1  # another machine's clock
    book.start()
    book.now += OVERLAP_S
    found, _ = await changes(book, position)
    assert set(found) == {("atid000000",), ("atid000000", 1)}


async def test_a_change_ahead_of_this_clock_is_read(book: Book) -> None:
    position = await book.source.position()
    book.now += READ_AHEAD_S - 1
    book.start()
    book.now -= READ_AHEAD_S - 1
    found, _ = await changes(book, position)
    assert len(found) == 2


async def test_the_position_passes_neither_the_newest_change_nor_the_margin(book: Book) -> None:
    position = await book.source.position()
    book.start()
    book.now += DAY_S
    _, after = await changes(book, position)
    assert after == Position(SOURCE, micros(START) + 1)
    book.start()
    _, after = await changes(book, after)
    assert after == Position(SOURCE, micros(book.now - SAFETY_MARGIN_S))


async def test_the_position_does_not_go_back_with_the_clock(book: Book) -> None:
    book.start()
    book.now += DAY_S
    position = await book.source.position()
    book.now -= 2 * DAY_S
    _, after = await changes(book, position)
    assert after == position


async def test_an_attempt_that_is_newer_than_its_events_neither_holds_up_a_page_nor_moves_the_position(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_source, "PAGE_CHANGES", 2)
    position = await book.source.position()
    attempt = book.start()
    for _ in range(3):
        book.now += DAY_S
        book.start()
    book.move(attempt, "failed", "start_failed")
    read: set[tuple[object, ...]] = set()
    pages = 0
    async for page in book.source.changes(position):
        pages += 1
        read |= {change.key for change in page.changes}
        passed = [event for event in book.events if micros(event.at) < page.position.order]
        assert {(event.agency_tracking_id, event.seq) for event in passed} <= read
    assert pages == 4


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
