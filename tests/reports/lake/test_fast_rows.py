"""Rows that are made from items equal the rows that are made from records."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bursar.payments.classified_amounts import ClassifiedAmount
from bursar.payments.deposits import deposit_from_item, deposit_to_item
from bursar.payments.records import Attempt, Event, from_item, obligation_of, to_item, whole_ms
from bursar.payments.reversals import REVERSAL_KINDS, ReversalKind, reversal_from_item, reversal_to_item
from bursar.payments.status import STATUSES
from bursar.reports.lake.fast_rows import item_row
from bursar.reports.lake.rows import record_row
from tests.support.hypothesis_profiles import examples
from tests.support.reports.book import Book

times = st.floats(0, 4e9).map(whole_ms)
texts = st.none() | st.text(min_size=1, max_size=5)


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


def test_a_row_of_a_deposits_item_equals_the_row_of_its_record(book: Book) -> None:
    for day in ("2026-04-01", "soon"):
        book.deposit(book.start(), "000123", day)
    for deposit in book.deposits:
        item = deposit_to_item(deposit)
        assert deposit_from_item(item) == deposit
        assert item_row(item) == record_row(deposit)


def test_other_items_have_no_row(book: Book) -> None:
    assert item_row(to_item(obligation_of(book.start()))) is None
    assert item_row({"pk": {"S": "a sentinel"}}) is None
