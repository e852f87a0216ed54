"""The periods that a person chooses by name, as first and last days in Eastern time."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from bursar.portal.contract.periods import FISCAL_YEAR_FIRST_MONTH

Days = tuple[date, date]


def month_of(day: date) -> Days:
    """Return the first and the last day of the month that holds ``day``."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _quarter(day: date) -> Days:
    first = day.replace(month=3 * ((day.month - 1) // 3) + 1, day=1)
    return first, (first + timedelta(days=93)).replace(day=1) - timedelta(days=1)


def week_of(day: date) -> Days:
    """Return the first and the last day of the week that holds ``day``."""
    first = day - timedelta(days=day.isoweekday() % 7)  # weeks begin on Sunday, as everywhere in the court
    return first, first + timedelta(days=6)


def _fiscal_year(day: date) -> Days:
    year = day.year if day.month >= FISCAL_YEAR_FIRST_MONTH else day.year - 1
    return date(year, FISCAL_YEAR_FIRST_MONTH, 1), date(year + 1, FISCAL_YEAR_FIRST_MONTH, 1) - timedelta(days=1)


def _before(period: Callable[[date], Days]) -> Callable[[date], Days]:
    return lambda today: period(period(today)[0] - timedelta(days=1))


PERIODS: Final[Mapping[str, Callable[[date], Days]]] = {
    "today": lambda today: (today, today),
    "yesterday": lambda today: (today - timedelta(days=1), today - timedelta(days=1)),
    "this_week": week_of,
    "last_week": _before(week_of),
    "this_month": month_of,
    "last_month": _before(month_of),
    "this_quarter": _quarter,
    "last_quarter": _before(_quarter),
    "this_fiscal_year": _fiscal_year,
    "last_fiscal_year": _before(_fiscal_year),
    "last_30_days": lambda today: (today - timedelta(days=29), today),
    "last_90_days": lambda today: (today - timedelta(days=89), today),
}
"""Name of a period → its first and last day, given today's date."""


STEPS: Final[Mapping[str, Callable[[date], Days]]] = {
    "day": lambda day: (day, day),
    "week": week_of,
    "month": month_of,
}
"""Name of a chart's step → the first and the last day of the bucket that holds a day."""


def buckets_between(first: date, last: date, step: str) -> list[date]:
    """Return the first day of each bucket between two days; ``step`` is one of :data:`STEPS`."""
    begin, end = STEPS[step](first)
    found = []
    while begin <= last:
        found.append(begin)
        begin, end = STEPS[step](end + timedelta(days=1))
    return found


def days_of_period(name: str, today: date) -> Days:
    """Return the first and the last day of a period. Raises ``KeyError`` for an unknown name."""
    return PERIODS[name](today)


def period_of_days(first: date | None, last: date | None, today: date) -> str | None:
    """Return the name of the period with these days; None without one."""
    if first is None or last is None:
        return None
    return next((name for name, days in PERIODS.items() if days(today) == (first, last)), None)


def period_before(first: date, last: date) -> Days:
    """Return the days with which a period is compared: the same number of days, directly before it.

    A whole calendar month, quarter or fiscal year is compared with the one before.
    """
    for whole in (month_of, _quarter, _fiscal_year):
        if whole(first) == (first, last):
            return _before(whole)(first)
    days = (last - first).days + 1
    return first - timedelta(days=days), first - timedelta(days=1)


def days_compared(buckets: Sequence[Days], before: Days, step: str) -> list[Days]:
    """Return the days of the period ``before`` with which each bucket of a chart is compared, without gaps.

    A day is compared with the day in the same place, and a whole month with the month in the same place. Every other
    bucket is compared with the same number of days. If the period before is longer, its last days become further
    buckets.
    """
    begin, last = before
    if step == "month" and begin.day == buckets[0][0].day == 1:
        ends = [STEPS[step](start)[1] for start in buckets_between(begin, last, step)]
        return [(end.replace(day=1), min(end, last)) for end in ends]
    found: list[Days] = []
    widths = [until - since for since, until in buckets]
    while begin <= last:
        width = widths[len(found)] if len(found) < len(widths) else widths[0] if step == "day" else last - begin
        end = min(begin + width, last)
        found.append((begin, end))
        begin = end + timedelta(days=1)
    return found
