"""A filter is read from a URL and written back to the same URL; a field that cannot be used is named."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dashboard.queries.filters import SORTS, STATUS_CHOICES, TransactionFilter, read_filter
from bursar.dashboard.queries.url_reader import read_dollars

TODAY = date(2026, 11, 22)
days = st.dates(date(1990, 1, 1), date(2200, 12, 31))
amounts = st.decimals(0, 10**9, places=2)
words = st.text("abcXYZ_-09", min_size=1, max_size=12)
filters = st.builds(
    TransactionFilter,
    dated=st.sampled_from(["started", "collected"]),
    first=st.none() | days,
    statuses=st.lists(st.sampled_from(STATUS_CHOICES), unique=True).map(
        lambda chosen: tuple(each for each in STATUS_CHOICES if each in chosen)
    ),
    fees=st.lists(words, unique=True, max_size=3).map(tuple),
    clients=st.lists(words, unique=True, max_size=3).map(tuple),
    methods=st.lists(words, unique=True, max_size=3).map(tuple),
    code=st.just("") | words,
    amount_min=st.none() | amounts,
    search=st.just("") | words,
    sort=st.sampled_from(list(SORTS)),
    order=st.sampled_from(["asc", "desc"]),
)


@given(filters)
def test_a_url_reproduces_its_filter(shown: TransactionFilter) -> None:
    assert read_filter(shown.query(), TODAY) == (shown, [])


def test_a_period_becomes_its_days() -> None:
    found, problems = read_filter([("period", "this_month"), ("from", "2020-01-01")], TODAY)
    assert (found.first, found.last, problems) == (date(2026, 11, 1), date(2026, 11, 30), [])
    assert found.query() == [("from", "2026-11-01"), ("to", "2026-11-30")]


@pytest.mark.parametrize(
    ("pairs", "field", "key"),
    [
        ([("from", "11/22/2026")], "from", "day"),
        ([("from", "0001-01-01")], "from", "day"),
        ([("from", "2026-11-22"), ("to", "2026-11-21")], "to", "order_of_days"),
        ([("min", "12.345")], "min", "amount"),
        ([("min", "9"), ("max", "8")], "max", "order_of_amounts"),
        ([("status", "paid")], "status", "choice"),
        ([("period", "next_month")], "period", "choice"),
        ([("sort", "token")], "sort", "choice"),
        ([("q", "x" * 201)], "q", "too_long"),
    ],
)
def test_a_field_that_cannot_be_used_is_named_and_left_out(pairs: list[tuple[str, str]], field: str, key: str) -> None:
    found, problems = read_filter(pairs, TODAY)
    assert [(problem.field, problem.key) for problem in problems] == [(field, key)]
    assert field not in dict(found.query())


@pytest.mark.parametrize(
    ("text", "amount"),
    [("60", "60"), ("$1,234.50", "1234.50"), ("0.5", "0.5"), ("1.234", None), ("-1", None), ("1e3", None), ("", None)],
)
def test_dollars_are_read_as_people_write_them(text: str, amount: str | None) -> None:
    assert read_dollars(text) == (None if amount is None else Decimal(amount))
