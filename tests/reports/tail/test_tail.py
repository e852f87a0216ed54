"""The tail: live attempts, finals and events that the lake does not hold, and suspects that it may hold."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from bursar.payments.records import Attempt, Event
from bursar.reports.lake.position import Position
from bursar.reports.lake.rows import RowKey, TableRow, record_row
from bursar.reports.lake.schema import PAYMENTS
from bursar.reports.tail.sources import RowChange
from bursar.reports.tail.tail import Tail
from tests.support.reports.book import Book

AT_10 = Position("stream", 10)


def change(record: Attempt | Event, order: int, *, inserted: bool = False, version: int = 0) -> RowChange:
    return RowChange(*record_row(record), order=order, inserted=inserted, version=version)


def column(tail: Tail, table: str, name: str) -> list[Any]:
    values: list[Any] = tail.tables().tables[table][name].to_pylist()
    return values


def nothing(table: str, rows: list[TableRow]) -> Mapping[RowKey, TableRow]:
    return {}


def test_an_attempt_is_live_until_it_is_final_and_is_there_once(book: Book) -> None:
    tail = Tail.at(AT_10)
    attempt = book.start()
    tail.apply([change(attempt, 10, inserted=True)])
    attempt = book.move(attempt, "initiated")
    tail.apply([change(attempt, 11)])
    assert column(tail, "payments", "status") == ["initiated"]
    tail.apply([change(book.move(attempt, "failed"), 12)])
    assert column(tail, "payments", "status") == ["failed"]
    assert (len(tail.live), len(tail.finals["payments"])) == (0, 1)


def test_an_event_is_there_once_however_often_it_is_read(book: Book) -> None:
    tail = Tail.at(AT_10)
    book.start()
    for order in (10, 10, 11):
        tail.apply([change(book.events[0], order, inserted=True)])
    assert column(tail, "payment_events", "seq") == [1]


def test_a_row_that_the_lake_holds_is_not_taken(book: Book) -> None:
    tail = Tail.at(AT_10)
    final = book.move(book.start(), "processed")
    schema, key, row = record_row(final)
    tail.apply([change(final, 11)])
    assert tail.has_suspects
    tail.resolve(lambda table, rows: {key: row} if table == schema.name else {})
    assert len(tail) == 0
    tail.apply([change(final, 12)])
    assert not tail.has_suspects, "the lake is asked once"


def test_an_event_from_before_the_position_is_taken_only_if_the_lake_lacks_it(book: Book) -> None:
    tail = Tail.at(AT_10)
    book.start()
    tail.apply([change(book.events[0], 9)])
    assert tail.has_suspects
    tail.resolve(nothing)
    assert column(tail, "payment_events", "seq") == [1]


def test_a_final_that_was_changed_in_the_store_replaces_the_lakes_row(book: Book) -> None:
    tail = Tail.at(AT_10)
    stored = book.move(book.start(), "processed")
    changed = book.move(stored, "failed")
    tail.apply([change(changed, 11)])
    tail.resolve(lambda table, rows: {(stored.agency_tracking_id,): record_row(stored)[2]})
    assert column(tail, "payments", "status") == ["failed"]
    assert tail.tables().replaced == (stored.agency_tracking_id,)


def test_an_older_state_that_an_index_still_shows_changes_nothing(book: Book) -> None:
    tail = Tail.at(AT_10)
    first = book.start()
    second = book.move(first, "initiated")
    tail.apply([change(second, 12, version=2)])
    tail.resolve(nothing)
    tail.apply([change(first, 11, version=1)])
    assert column(tail, "payments", "status") == ["initiated"]
    final = book.move(second, "failed")
    tail.apply([change(final, 13, version=3), change(second, 12, version=2)])
    assert column(tail, "payments", "status") == ["failed"]


def test_what_the_lake_has_taken_is_forgotten(book: Book) -> None:
    tail = Tail.at(AT_10)
    live, final = book.start(), book.move(book.start(), "failed")
    tail.apply([change(live, 10, inserted=True), change(final, 11, inserted=True)])
    tail.apply([change(event, 12 + place) for place, event in enumerate(book.events)])
    tail.rebase({**dict.fromkeys(tail.positions, Position("stream", 13)), PAYMENTS.name: Position("stream", 12)})
    assert column(tail, "payments", "agency_tracking_id") == [live.agency_tracking_id]
    assert len(tail.finals["payment_events"]) == len(book.events) - 1
    tail.apply([change(book.events[0], 12)])
    assert tail.has_suspects, "the lake may hold it"


def test_tables_that_were_taken_do_not_change(book: Book) -> None:
    tail = Tail.at(AT_10)
    tail.apply([change(book.start(), 10, inserted=True)])
    before = tail.tables().tables["payments"]
    for order in range(11, 60):
        tail.apply([change(book.move(book.start(), "failed"), order, inserted=True)])
        assert tail.tables().tables["payments"].num_rows == order - 9
    assert before.num_rows == 1


def test_a_final_whose_row_stays_the_same_is_forgotten_with_its_first_change(book: Book) -> None:
    """Change the stored attempt, and not its row, after another process has moved it to the lake."""
    tail = Tail.at(AT_10)
    final = book.move(book.start(), "processed")
    tail.apply([change(final, 11, inserted=True)])
    tail.apply([change(book.reverse(final, "1.00"), 20)])
    tail.rebase(dict.fromkeys(tail.positions, Position("stream", 15)))
    assert column(tail, "payments", "agency_tracking_id") == []


def test_a_final_that_changed_after_another_process_moved_it_replaces_the_lakes_row(book: Book) -> None:
    tail = Tail.at(AT_10)
    final = book.move(book.start(), "processed")
    tail.apply([change(final, 11, inserted=True)])
    tail.apply([change(replace(final, metadata={}), 20)])
    tail.rebase(dict.fromkeys(tail.positions, Position("stream", 15)))
    assert column(tail, "payments", "metadata") == ["{}"]
    assert tail.tables().replaced == (final.agency_tracking_id,)
    tail.rebase(dict.fromkeys(tail.positions, Position("stream", 21)))
    assert tail.tables().replaced == ()


def test_a_row_that_another_process_may_not_have_seen_is_a_suspect_again(book: Book) -> None:
    tail = Tail.at(AT_10)
    seen, late = book.move(book.start(), "failed"), book.move(book.start(), "failed")
    tail.apply([change(seen, 11, inserted=True), change(late, 9)])
    tail.resolve(nothing)
    tail.rebase(dict.fromkeys(tail.positions, Position("index", 15)), by_another=True, is_ordered=False)
    assert tail.has_suspects
    stored = record_row(seen)
    tail.resolve(lambda table, rows: {stored[1]: stored[2]})
    assert column(tail, "payments", "agency_tracking_id") == [late.agency_tracking_id]


def test_a_reversed_attempt_that_another_process_saw_before_is_not_there_twice(book: Book) -> None:
    tail = Tail.at(AT_10)
    paid = book.move(book.start(), "processed")
    tail.apply([change(replace(paid, reversed_amount=Decimal("1.00"), metadata={}), 20, inserted=True)])
    tail.rebase(dict.fromkeys(tail.positions, Position("stream", 15)), by_another=True)
    stored = record_row(paid)
    tail.resolve(lambda table, rows: {stored[1]: stored[2]})
    assert column(tail, "payments", "agency_tracking_id") == [paid.agency_tracking_id]
    assert tail.tables().replaced == (paid.agency_tracking_id,)


def test_a_live_attempt_that_another_process_saw_end_is_not_taken_twice(book: Book) -> None:
    tail = Tail.at(AT_10)
    attempt = book.start()
    tail.apply([change(attempt, 10, inserted=True)])
    tail.rebase(dict.fromkeys(tail.positions, Position("index", 15)), by_another=True, is_ordered=False)
    final = book.move(attempt, "failed")
    tail.apply([change(final, 12)])
    stored = record_row(final)
    tail.resolve(lambda table, rows: {stored[1]: stored[2]})
    assert len(tail) == 0


def test_an_attempt_that_changed_after_a_killed_commit_is_not_there_twice(book: Book) -> None:
    """Begin the tail before an attempt that the lake has: the commit of payments was the last before the kill."""
    tail = Tail(AT_10, {**Tail.at(AT_10).positions, "payments": Position("stream", 20)})
    final = book.move(book.start(), "processed")
    schema, key, in_lake = record_row(final)
    book.now += 60.0
    reversed_later = book.reverse(final, "10.00")
    tail.apply([change(reversed_later, 25, inserted=True)])
    tail.resolve(lambda table, rows: {key: in_lake} if table == schema.name else {})
    assert (len(tail), tail.tables().replaced) == (0, ())
    fresh = book.start()
    tail.position = Position("stream", 30)
    tail.apply([change(fresh, 31, inserted=True)])
    assert not tail.has_suspects
