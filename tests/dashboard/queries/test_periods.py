"""Periods in Eastern days: weeks from Sunday, fiscal years from October, and what a period is compared with."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dashboard.queries.periods import (
    PERIODS,
    STEPS,
    buckets_between,
    days_compared,
    days_of_period,
    period_before,
    period_of_days,
)

TODAY = date(2026, 11, 22)  # a Sunday


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("today", date(2026, 11, 22), date(2026, 11, 22)),
        ("yesterday", date(2026, 11, 21), date(2026, 11, 21)),
        ("this_week", date(2026, 11, 22), date(2026, 11, 28)),
        ("last_week", date(2026, 11, 15), date(2026, 11, 21)),
        ("last_month", date(2026, 10, 1), date(2026, 10, 31)),
        ("this_quarter", date(2026, 10, 1), date(2026, 12, 31)),
        ("last_quarter", date(2026, 7, 1), date(2026, 9, 30)),
        ("this_fiscal_year", date(2026, 10, 1), date(2027, 9, 30)),
        ("last_fiscal_year", date(2025, 10, 1), date(2026, 9, 30)),
        ("last_30_days", date(2026, 10, 24), date(2026, 11, 22)),
    ],
)
def test_a_period_has_its_days(name: str, first: date, last: date) -> None:
    assert days_of_period(name, TODAY) == (first, last)


@given(st.dates(date(1990, 1, 1), date(2200, 1, 1)), st.sampled_from(sorted(PERIODS)))
def test_the_period_before_ends_where_a_period_begins(today: date, name: str) -> None:
    first, last = days_of_period(name, today)
    before_first, before_last = period_before(first, last)
    assert before_first <= before_last == first - timedelta(days=1)
    assert first <= last


def test_a_month_is_compared_with_the_month_before() -> None:
    assert period_before(date(2026, 3, 1), date(2026, 3, 31)) == (date(2026, 2, 1), date(2026, 2, 28))
    assert period_before(date(2026, 3, 2), date(2026, 3, 8)) == (date(2026, 2, 23), date(2026, 3, 1))


def test_days_have_the_name_of_their_period() -> None:
    assert period_of_days(date(2026, 10, 1), date(2026, 10, 31), TODAY) == "last_month"
    assert period_of_days(date(2026, 10, 1), date(2026, 10, 30), TODAY) is None
    assert period_of_days(None, None, TODAY) is None


@pytest.mark.parametrize(
    ("step", "first", "count"),
    [("day", date(2026, 2, 3), 60), ("week", date(2026, 2, 1), 9), ("month", date(2026, 2, 1), 3)],
)
def test_buckets_cover_the_days(step: str, first: date, count: int) -> None:
    found = buckets_between(date(2026, 2, 3), date(2026, 4, 3), step)
    assert (found[0], len(found)) == (first, count)


def compared(first: date, last: date, step: str) -> list[tuple[date, date]]:
    days = [STEPS[step](start) for start in buckets_between(first, last, step)]
    return days_compared([(max(a, first), min(b, last)) for a, b in days], period_before(first, last), step)


@given(st.dates(date(1990, 1, 1), date(2200, 1, 1)), st.sampled_from(sorted(PERIODS)), st.sampled_from(sorted(STEPS)))
def test_the_days_compared_are_each_day_of_the_period_before_once(today: date, name: str, step: str) -> None:
    first, last = days_of_period(name, today)
    found = compared(first, last, step)
    assert (found[0][0], found[-1][1]) == period_before(first, last)
    assert all(begin <= end for begin, end in found)
    assert all(end + timedelta(days=1) == begin for (_, end), (begin, _) in pairwise(found))


def test_a_month_of_a_leap_year_is_compared_with_the_same_month() -> None:
    found = compared(date(2023, 10, 1), date(2024, 9, 30), "month")
    assert found[4:6] == [(date(2023, 2, 1), date(2023, 2, 28)), (date(2023, 3, 1), date(2023, 3, 31))]
    assert len(found) == 12


def test_the_days_that_a_longer_month_before_has_are_further_places() -> None:
    found = compared(date(2026, 2, 1), date(2026, 2, 28), "day")
    assert found[28:] == [(date(2026, 1, day), date(2026, 1, day)) for day in (29, 30, 31)]
    assert len(compared(date(2026, 3, 1), date(2026, 3, 31), "day")) == 28
