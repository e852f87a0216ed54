"""Rows that are made from items, or from their stored JSON, equal the rows that are made from records."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.payments.classified_amounts import ClassifiedAmount
from bursar.payments.deposits import deposit_from_item, deposit_to_item
from bursar.payments.records import Attempt, Event, Item, from_item, obligation_of, to_item, whole_ms
from bursar.payments.reversals import REVERSAL_KINDS, ReversalKind, reversal_from_item, reversal_to_item
from bursar.payments.status import STATUSES
from bursar.reports.lake.fast_columns import columns_of
from bursar.reports.lake.fast_rows import item_row
from bursar.reports.lake.rows import TableRow, plain_rows, record_row
from bursar.reports.lake.schema import PAYMENTS, TABLES
from tests.support.hypothesis_profiles import examples
from tests.support.reports.book import Book

times = st.floats(0, 4e9).map(whole_ms)
texts = st.none() | st.text(min_size=1, max_size=5)


def column_rows(*items: Mapping[str, object]) -> dict[str, list[TableRow]]:
    """Return the rows of stored items by table name, made as columns."""
    found = columns_of(map(orjson.dumps, items))
    rows = {
        schema.name: list(plain_rows(schema, found.finals.get(schema.name))) if schema.name in found.finals else []
        for schema in TABLES
    }
    return rows | {PAYMENTS.name: [*found.live, *rows[PAYMENTS.name]]}


@examples(50)
@given(
    st.sampled_from(STATUSES),
    times,
    times,
    st.none() | times,
    st.integers(1, 99_999_999_999),
    texts,
    texts,
    st.booleans(),
    st.none() | times,
    st.dictionaries(st.sampled_from(("token", "a", 'a "token" b')), st.text(max_size=3) | st.integers()),
)
def test_a_row_of_an_item_equals_the_row_of_its_record(
    status: str, created: float, updated: float, token: float | None, cents: int, code: str | None, reason: str | None,
    unknown: bool, erased: float | None, detail: dict[str, object],
) -> None:  # fmt: skip
    book = Book()
    attempt = replace(
        book.start(token="t" * 32),
        status=status,  # type: ignore[arg-type] # one of the statuses
        created_at=created,
        updated_at=updated,
        token_at=token,
        amount=Decimal(cents) / 100,
        return_code=code,
        unknown_reason=reason,
        outcome_unknown=unknown,
        metadata={"docketNumber": "1-26"} if erased is None else {},
        metadata_erased_at=erased,
    )
    event = replace(book.events[0], at=updated, detail=detail)
    if code is not None:
        attempt = replace(attempt, classification=(ClassifiedAmount(code, attempt.amount),))
    for record in (attempt, event):
        item = to_item(record)
        stored = from_item(item)
        assert isinstance(stored, Attempt | Event)
        assert item_row(item) == record_row(stored)
        schema, _, row = record_row(stored)
        assert column_rows(item)[schema.name] == [row]


@examples(50)
@given(
    st.sampled_from(REVERSAL_KINDS),
    times,
    st.integers(1, 99_999_999_999),
    texts,
    st.none() | st.dates().map(str) | st.text(min_size=1, max_size=10),
)
def test_a_row_of_a_reversals_item_equals_the_row_of_its_record(
    kind: ReversalKind, at: float, cents: int, text: str | None, day: str | None
) -> None:
    book = Book()
    book.now = at
    book.reverse(
        book.start(), f"{Decimal(cents) / 100:f}", kind, reason=text, debit_voucher=text, by=text, effective_on=day
    )
    item = reversal_to_item(book.reversals[0])
    assert item_row(item) == record_row(reversal_from_item(item))
    assert column_rows(item)["reversals"] == [record_row(reversal_from_item(item))[2]]


def test_a_row_of_a_deposits_item_equals_the_row_of_its_record(book: Book) -> None:
    for day in ("2026-04-01", "soon"):
        book.deposit(book.start(), "000123", day)
    for deposit in book.deposits:
        item = deposit_to_item(deposit)
        assert deposit_from_item(item) == deposit
        assert item_row(item) == record_row(deposit)
    rows = [record_row(deposit)[2] for deposit in book.deposits]
    assert column_rows(*map(deposit_to_item, book.deposits))["deposits"] == rows


def test_other_items_have_no_row(book: Book) -> None:
    assert item_row(to_item(obligation_of(book.start()))) is None
    assert item_row({"pk": {"S": "a sentinel"}}) is None
    attempt = to_item(book.start())
    nested = {"pk": {"S": "x"}, "more": {"M": {"kind": {"S": "attempt"}}}, "kind": {"S": "sentinel"}}
    found = column_rows(to_item(obligation_of(book.start())), nested, attempt, {"pk": {"S": "a sentinel"}})
    assert found == {"payments": [item_row(attempt)[2]], "payment_events": [], "reversals": [], "deposits": []}  # type: ignore[index] # it has a row


def test_items_of_an_unexpected_form_have_the_rows_of_the_plain_twin(book: Book) -> None:
    book.start()
    event = to_item(book.events[0])
    late: Item = {**event, "seq": {"N": "2"}, "at": {"S": "2026-03-30T12:00:00.000_00:00"}}
    plain = [row for found in map(item_row, (event, late)) if found is not None for row in (found[2],)]
    assert column_rows(event, late)["payment_events"] == plain
    assert len(plain) == 2
    with pytest.raises(KeyError):
        column_rows(event, {**event, "seq": {"S": "x"}})
