"""The calendar of a generated history."""

import random
from datetime import date, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from bursar.bootstrap.generate.calendar import HistoryDay, end_of, history_days, start_times

COURT = ZoneInfo("America/New_York")


@given(
    st.integers(1, 5000),
    st.integers(1, 30),
    st.dates(date(2020, 1, 1), date(2030, 12, 31)),
)
def test_every_payment_has_a_day_and_the_days_follow_each_other(payments: int, months: int, until: date) -> None:
    days = history_days(payments, months, until)
    assert sum(day.payments for day in days) == payments
    assert all(day.payments >= 0 for day in days)
    assert [day.day.toordinal() for day in days] == list(range(days[0].day.toordinal(), until.toordinal() + 1))
    assert 28 * months - 3 <= len(days) <= 31 * months + 3


def test_people_pay_on_weekdays_and_in_office_hours() -> None:
    days = history_days(100_000, 12, date(2026, 11, 28))
    weekend = sum(day.payments for day in days if day.day.weekday() >= 5)
    assert 4_000 < weekend < 10_000
    times = start_times(days[5], random.Random(1))
    hours = [datetime.fromtimestamp(at, COURT).hour for at in times]
    assert times == sorted(times)
    assert sum(9 <= hour < 17 for hour in hours) > len(hours) / 2


def test_the_times_of_a_day_are_in_that_day_also_when_clocks_change() -> None:
    for changed in (date(2026, 3, 8), date(2026, 11, 1)):
        times = [datetime.fromtimestamp(at, COURT) for at in start_times(HistoryDay(changed, 3000), random.Random(1))]
        assert {at.date() for at in times} == {changed}
        night, evening, morning = (sum(at.hour == hour for at in times) for hour in (4, 23, 10))
        assert night < evening < morning
    assert end_of(date(2026, 3, 8)) - end_of(date(2026, 3, 7)) == 23 * 3600
