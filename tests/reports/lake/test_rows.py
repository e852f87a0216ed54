"""Rows: every column has its source, times are exact to the millisecond, and there are no secrets."""

from decimal import Decimal

from bursar.clock import from_iso_ms
from bursar.payments.deposits import Deposit
from bursar.payments.records import Attempt, Event, from_item, to_item
from bursar.payments.reversals import Reversal
from bursar.reports.lake.rows import arrow_table, attempt_row, event_row, micros, record_row
from bursar.reports.lake.schema import (
    DEPOSITS,
    PAYMENT_EVENTS,
    PAYMENTS,
    REVERSALS,
    TABLES,
    arrow_schema,
    iceberg_schema,
)
from tests.support.reports.book import Book


def test_every_column_has_a_source_in_its_record() -> None:
    for schema, record in ((PAYMENTS, Attempt), (PAYMENT_EVENTS, Event), (REVERSALS, Reversal), (DEPOSITS, Deposit)):
        for column in schema.columns:
            assert column.source in record.__dataclass_fields__
            assert column.source != "token"


def test_times_are_exact_to_the_millisecond() -> None:
    for text in ("2026-11-22T19:30:00.001Z", "2026-11-22T19:30:00.999Z", "1970-01-01T00:00:00.000Z"):
        assert micros(from_iso_ms(text)) == round(from_iso_ms(text) * 1000) * 1000


def test_a_record_and_the_record_read_from_its_item_make_one_row(book: Book) -> None:
    book.pay(20)
    records: list[Attempt | Event] = [*book.attempts.values(), *book.events]
    for record in records:
        stored = from_item(to_item(record))
        assert isinstance(stored, Attempt | Event)
        assert record_row(stored) == record_row(record)


def test_a_token_in_an_events_detail_stays_out(book: Book) -> None:
    book.start()
    [event] = book.events
    event.detail["token"] = "t" * 32
    assert "ttt" not in repr(event_row(event))


def test_arrow_and_iceberg_agree_on_every_table() -> None:
    for schema in TABLES:
        assert iceberg_schema(schema).as_arrow().names == arrow_schema(schema).names
        assert arrow_table(schema, []).num_rows == 0


def test_rows_survive_arrow(book: Book) -> None:
    attempt = book.start(amount="0.10")
    [row] = arrow_table(PAYMENTS, [attempt_row(attempt)]).to_pylist()
    assert row["amount"] == Decimal("0.10")
    assert row["created_at"].timestamp() == attempt.created_at
    assert row["payment_status"] == "pending"
    assert row["final_on"] is None
