"""The kinds of a report's parameters: what each accepts, and the checked text that the database gets.

A day is a day of the court, in New York. The statement gets it as a timestamp: a DAY as its beginning, a LAST_DAY as
its end. Comparing timestamps is cheap and lets the lake skip months. A FEE or a CLIENT is a key, or ``*`` for all.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final
from zoneinfo import ZoneInfo

from bursar.clock import iso_ms
from bursar.payments.catalogue.fees import COURT_ZONE
from bursar.reports.errors import BadInstant, BadParameter

TEXT_CHARS_MAX: Final = 256
NOW: Final = "now"  # the default: the time at which the report runs
EVERY: Final = "*"  # every fee, every client
FEE: Final = "FEE"
CLIENT: Final = "CLIENT"
FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 9998
"""The last year that Python's calendar can represent in every time zone."""
_COURT: Final = ZoneInfo(COURT_ZONE)


def month_days(month: str) -> tuple[str, str]:
    """Return the first and the last day of ``month``, ``2026-10``. Raise :class:`BadParameter` for anything else."""
    found = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", month)
    if found is None or not FIRST_YEAR <= int(found[1]) <= LAST_YEAR:
        raise BadParameter(f"month: must be a month as YYYY-MM; got {month[:40]!r}")
    first = date(int(found[1]), int(found[2]), 1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return first.isoformat(), last.isoformat()


def past_instant(text: str) -> float:
    """Return the instant of ``--as-of``, Unix seconds: an ISO date-time with its offset, or the end of a day.

    A day is a day in New York. Raises :class:`BadInstant`.
    """
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            midnight = datetime.combine(date.fromisoformat(text) + timedelta(days=1), time(), _COURT)
            moment = midnight - timedelta(milliseconds=1)  # the precision of times in the store
        else:
            moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise ValueError
        return moment.timestamp()
    except (ValueError, OverflowError):
        rule = "must be an ISO date-time with its offset, or a day as YYYY-MM-DD, which means its end"
        raise BadInstant(f"as of: {rule}, from {FIRST_YEAR} to {LAST_YEAR}; got {text[:40]!r}") from None


def checked_text(name: str, kind: str, value: str, now: float) -> str:
    """Return the text of a parameter for the database. Raise :class:`BadParameter` with its name and its rule."""
    takes, convert = KINDS[kind]
    try:
        return convert(value, now)
    except (ValueError, OverflowError, InvalidOperation):
        raise BadParameter(f"{name}: must be {takes}; got {value[:40]!r}") from None


def _text(value: str, now: float) -> str:
    if not value or len(value) > TEXT_CHARS_MAX:
        raise ValueError
    return value


def _timestamp(value: str, now: float) -> str:
    return _moment(datetime.fromisoformat(iso_ms(now) if value == NOW else value))


def _day(value: str, now: float, later: int = 0) -> str:
    """Return the beginning of the court's day ``later`` days after ``value``: a date or, as ``-90``, days ago."""
    if re.fullmatch(r"-[0-9]{1,5}", value):
        day = datetime.fromtimestamp(now, _COURT).date() + timedelta(days=int(value))
    else:
        day = date.fromisoformat(value)
    return _moment(datetime.combine(day + timedelta(days=later), time(), _COURT).astimezone(UTC))


def _moment(moment: datetime) -> str:
    """Return ``moment`` as text that both DuckDB and Trino cast to a timestamp with time zone."""
    if moment.tzinfo is None:
        raise ValueError
    return moment.isoformat(sep=" ", timespec="milliseconds")


def _decimal(value: str, now: float) -> str:
    amount = Decimal(value)
    if not amount.is_finite():
        raise ValueError
    return f"{amount:f}"


KINDS: Final[dict[str, tuple[str, Callable[[str, float], str]]]] = {
    # kind: (accepted values, check and conversion; the second argument is the time at which the report runs)
    "TEXT": (f"a text of 1 to {TEXT_CHARS_MAX} characters", _text),
    FEE: ("the key of a fee, or * for every fee", _text),
    CLIENT: ("the name of a client, or * for every client", _text),
    "DAY": ("a day as YYYY-MM-DD, or -N for N days ago", _day),
    "LAST_DAY": ("a day as YYYY-MM-DD, or -N for N days ago", lambda value, now: _day(value, now, later=1)),
    "DECIMAL": ("an amount such as 60.00", _decimal),
    "INTEGER": ("a whole number", lambda value, now: str(int(value))),
    "TIMESTAMP": ("an ISO date-time with its offset", _timestamp),
}
