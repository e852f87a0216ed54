"""Compute the court's periods: in America/New_York, weeks from Sunday, the federal fiscal year from 1 October.

    fiscal quarters   Oct-Dec · Jan-Mar · Apr-Jun · Jul-Sep        fiscal year 2027 = 1 Oct 2026 - 30 Sep 2027

A day is from one local midnight to the next: 23 hours when summer time begins, 25 when it ends.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

COURT_ZONE: Final = "America/New_York"
FISCAL_YEAR_FIRST_MONTH: Final = 10
YEAR_MIN: Final = 1990
YEAR_MAX: Final = 2200

PeriodName = Literal["day", "week", "month", "quarter", "fiscalYear"]
PERIODS: Final[tuple[PeriodName, ...]] = ("day", "week", "month", "quarter", "fiscalYear")

_COURT_DAY: Final = re.compile(r"(\d{2})/(\d{2})/(\d{4})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """A time frame in Unix seconds, from ``begin`` (included) to ``end`` (not included)."""

    begin: float
    end: float


def court_day(at: float) -> date:
    """Return the court's day at ``at``, Unix seconds."""
    return datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(COURT_ZONE)).date()


def midnight(day: date) -> float:
    """Return when ``day`` begins in the court's zone, Unix seconds."""
    return datetime.combine(day, time(), ZoneInfo(COURT_ZONE)).timestamp()


def day_of(day: date) -> Period:
    """Return the whole of ``day``."""
    return Period(midnight(day), midnight(day + timedelta(days=1)))


def begin_of(period: PeriodName, at: float) -> float:
    """Return when the ``period`` that holds ``at`` began, Unix seconds: a local midnight."""
    return midnight(_first_day(period, court_day(at)))


def _first_day(period: PeriodName, day: date) -> date:
    if period == "day":
        return day
    if period == "week":
        return day - timedelta(days=day.isoweekday() % 7)  # Sunday is 7
    if period == "month":
        return day.replace(day=1)
    if period == "quarter":  # fiscal quarters begin in the months in which calendar quarters do
        return day.replace(month=3 * ((day.month - 1) // 3) + 1, day=1)
    year = day.year if day.month >= FISCAL_YEAR_FIRST_MONTH else day.year - 1
    return date(year, FISCAL_YEAR_FIRST_MONTH, 1)


def fiscal_year(day: date) -> int:
    """Return the federal fiscal year of ``day``, named by the calendar year in which it ends."""
    return day.year + (1 if day.month >= FISCAL_YEAR_FIRST_MONTH else 0)


def fiscal_quarter(day: date) -> int:
    """Return the fiscal quarter of ``day``, 1 to 4. The first is October to December."""
    return (day.month - FISCAL_YEAR_FIRST_MONTH) % 12 // 3 + 1


def read_moment(text: str, *, ends: bool) -> float:
    """Return ``text`` as Unix seconds: an ISO date-time with its offset, or a court day MM/DD/YYYY.

    A court day gives its beginning, or with ``ends`` its end. Raises ``ValueError`` that says what is accepted.
    """
    court = _COURT_DAY.fullmatch(text)
    if court:
        month, day, year = (int(part) for part in court.groups())
        if not YEAR_MIN <= year <= YEAR_MAX:
            raise ValueError(f"is not a year between {YEAR_MIN} and {YEAR_MAX}")
        try:
            whole = day_of(date(year, month, day))
        except ValueError:
            raise ValueError("is not a day of the calendar") from None
        return whole.end if ends else whole.begin
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be an ISO date-time with an offset, or MM/DD/YYYY") from None
    if moment.tzinfo is None:
        raise ValueError("must have an offset, as in 2026-11-22T19:30:00Z")
    if not YEAR_MIN <= moment.year <= YEAR_MAX:
        raise ValueError(f"is not a year between {YEAR_MIN} and {YEAR_MAX}")
    return moment.timestamp()
