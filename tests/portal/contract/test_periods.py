"""The court's periods: its zone, its weeks, the federal fiscal year, and the days on which clocks change."""

from datetime import date

import pytest

from bursar.clock import from_iso_ms, iso_ms
from bursar.portal.contract.periods import PeriodName, begin_of, day_of, fiscal_quarter, fiscal_year, read_moment

HOUR_S = 3600.0


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (date(2026, 11, 22), 24), (date(2026, 7, 4), 24)],
)
def test_a_day_is_from_midnight_to_midnight_also_when_clocks_change(day: date, hours: int) -> None:
    period = day_of(day)
    assert (period.end - period.begin) / HOUR_S == hours


@pytest.mark.parametrize(
    ("at", "period", "begin"),
    [
        ("2026-11-22T19:30:00.000Z", "day", "2026-11-22T05:00:00.000Z"),
        ("2026-11-23T04:59:59.999Z", "day", "2026-11-22T05:00:00.000Z"),
        ("2026-11-23T05:00:00.000Z", "day", "2026-11-23T05:00:00.000Z"),
        ("2026-07-04T03:59:59.999Z", "day", "2026-07-03T04:00:00.000Z"),
        ("2026-11-22T19:30:00.000Z", "week", "2026-11-22T05:00:00.000Z"),
        ("2026-11-21T19:30:00.000Z", "week", "2026-11-15T05:00:00.000Z"),
        ("2026-11-03T12:00:00.000Z", "week", "2026-11-01T04:00:00.000Z"),
        ("2026-11-22T19:30:00.000Z", "month", "2026-11-01T04:00:00.000Z"),
        ("2026-12-22T19:30:00.000Z", "quarter", "2026-10-01T04:00:00.000Z"),
        ("2027-01-01T04:59:59.999Z", "quarter", "2026-10-01T04:00:00.000Z"),
        ("2027-01-01T05:00:00.000Z", "quarter", "2027-01-01T05:00:00.000Z"),
        ("2026-09-30T19:30:00.000Z", "quarter", "2026-07-01T04:00:00.000Z"),
        ("2026-10-01T03:59:59.999Z", "fiscalYear", "2025-10-01T04:00:00.000Z"),
        ("2026-10-01T04:00:00.000Z", "fiscalYear", "2026-10-01T04:00:00.000Z"),
        ("2027-09-30T19:30:00.000Z", "fiscalYear", "2026-10-01T04:00:00.000Z"),
    ],
)
def test_when_a_period_began(at: str, period: PeriodName, begin: str) -> None:
    assert iso_ms(begin_of(period, from_iso_ms(at))) == begin


@pytest.mark.parametrize(
    ("day", "year", "quarter"),
    [
        (date(2026, 9, 30), 2026, 4),
        (date(2026, 10, 1), 2027, 1),
        (date(2026, 12, 31), 2027, 1),
        (date(2027, 1, 1), 2027, 2),
        (date(2027, 4, 1), 2027, 3),
        (date(2027, 7, 1), 2027, 4),
    ],
)
def test_the_federal_fiscal_year(day: date, year: int, quarter: int) -> None:
    assert (fiscal_year(day), fiscal_quarter(day)) == (year, quarter)


def test_moments() -> None:
    assert iso_ms(read_moment("11/01/2026", ends=False)) == "2026-11-01T04:00:00.000Z"
    assert iso_ms(read_moment("11/01/2026", ends=True)) == "2026-11-02T05:00:00.000Z"
    assert iso_ms(read_moment("2026-11-01T01:30:00-05:00", ends=True)) == "2026-11-01T06:30:00.000Z"
    for text in ("2026-11-01", "yesterday", "13/01/2026", "2026-11-01T01:30:00", "1-1-2026", "１１/01/2026", ""):
        with pytest.raises(ValueError, match=r".+"):
            read_moment(text, ends=False)
