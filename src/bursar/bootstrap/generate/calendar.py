"""The calendar of a generated history: how many payments start on each day, and at what time of the day.

People pay on weekdays, in office hours in New York, and a little more each month.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from bursar.payments.catalogue.fees import COURT_ZONE

_COURT: Final = ZoneInfo(COURT_ZONE)
_WEEKDAYS: Final = (1.15, 1.2, 1.15, 1.1, 0.95, 0.25, 0.2)  # Monday first
_HOURS: Final = (3, 2, 1, 1, 1, 2, 5, 12, 30, 55, 70, 68, 50, 58, 66, 62, 52, 36, 24, 20, 18, 15, 10, 6)
_MONTHS: Final = (0.95, 0.95, 1.1, 1.2, 1.05, 1.0, 0.9, 0.9, 1.05, 1.1, 0.95, 0.85)  # January first
_GROWTH_OF_MONTH: Final = 1.01
_DAYS_OF_MONTH: Final = 30.44


@dataclass(frozen=True, slots=True)
class HistoryDay:
    """One day in New York, and the number of payments that start on it."""

    day: date
    payments: int


def history_days(payments: int, months: int, until: date) -> list[HistoryDay]:
    """Return the days of ``months`` months up to ``until``, with ``payments`` payments in total."""
    begin = _months_before(until, months)
    days = [begin + timedelta(days=number) for number in range((until - begin).days + 1)]
    weights = [
        _WEEKDAYS[day.weekday()] * _MONTHS[day.month - 1] * _GROWTH_OF_MONTH ** (place / _DAYS_OF_MONTH)
        for place, day in enumerate(days)
    ]
    return [HistoryDay(day, count) for day, count in zip(days, _shares(payments, weights), strict=True)]


def start_times(day: HistoryDay, randomness: random.Random) -> list[float]:
    """Return the times at which the payments of ``day`` start, in order; Unix seconds."""
    hours = [datetime.combine(day.day, time(hour), _COURT).timestamp() for hour in range(24)]
    begun = randomness.choices(hours, _HOURS, k=day.payments)
    return sorted(hour + randomness.uniform(0.0, 3600.0) for hour in begun)


def end_of(day: date) -> float:
    """Return the end of ``day`` in New York; Unix seconds."""
    return datetime.combine(day + timedelta(days=1), time(), _COURT).timestamp()


def _months_before(until: date, months: int) -> date:
    month = until.year * 12 + until.month - 1 - months
    first = date(month // 12, month % 12 + 1, 1)
    return first + timedelta(days=min(until.day, 28))


def _shares(total: int, weights: Sequence[float]) -> list[int]:
    """Return whole numbers in proportion to ``weights``, whose sum is ``total``."""
    whole = sum(weights)
    reached, given, shares = 0.0, 0, []
    for weight in weights:
        reached += weight
        upto = round(total * reached / whole)
        shares.append(upto - given)
        given = upto
    return shares
