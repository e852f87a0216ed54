"""Write amounts, days and times as finance reads them.

Amounts are US dollars with separators, negative ones in parentheses. Times are Eastern time and show its name. Months
have names. The words come from the catalogue.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from bursar.dashboard.text.catalogue import Text
from bursar.portal.contract.periods import COURT_ZONE

_EASTERN: Final = ZoneInfo(COURT_ZONE)
_CENT: Final = Decimal("0.01")


def dollars(amount: Decimal | int | str) -> str:
    """Return an amount, a number or its text, as ``$1,234.50``; a negative one as ``($60.00)``."""
    exact = Decimal(amount).quantize(_CENT) + 0  # removes the sign of a negative zero
    return f"(${-exact:,.2f})" if exact < 0 else f"${exact:,.2f}"


def percent(part: int | Decimal, whole: int | Decimal) -> str:
    """Return a share with one decimal, as ``97.5%``; a dash if the whole is 0."""
    return "–" if not whole else f"{Decimal(100) * part / whole:.1f}%"


def eastern(at: float | datetime) -> datetime:
    """Return an instant, Unix seconds or a datetime with a zone, as Eastern time."""
    moment = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    return moment.astimezone(_EASTERN)


def day_text(text: Text, day: date) -> str:
    """Return a day, as ``November 29, 2026``."""
    return text("dates.day", month=text(f"dates.months.{day.month}"), day=day.day, year=day.year)


def short_day_text(text: Text, day: date) -> str:
    """Return a day, as ``Nov 29, 2026``."""
    return text("dates.short_day", month=text(f"dates.short_months.{day.month}"), day=day.day, year=day.year)


def month_text(text: Text, day: date) -> str:
    """Return a month, as ``November 2026``."""
    return text("dates.month", month=text(f"dates.months.{day.month}"), year=day.year)


def short_month_text(text: Text, day: date) -> str:
    """Return a month, as ``Nov 2026``."""
    return text("dates.month", month=text(f"dates.short_months.{day.month}"), year=day.year)


def time_text(text: Text, at: float | datetime) -> str:
    """Return an instant to the second, without the name of its zone, as ``Nov 29, 2026, 2:15:07 p.m.``."""
    local = eastern(at)
    half = text("dates.am" if local.hour < 12 else "dates.pm")
    clock = f"{(local.hour + 11) % 12 + 1}:{local:%M:%S} {half}"
    short = text(f"dates.short_months.{local.month}")
    return text("dates.time", month=short, day=local.day, year=local.year, clock=clock)


def zoned_time_text(text: Text, at: float | datetime) -> str:
    """Return an instant with the name of its zone, as ``Nov 29, 2026, 2:15:07 p.m. Eastern time (EST)``."""
    return f"{time_text(text, at)} {text('dates.zone')} ({eastern(at):%Z})"


def duration_text(text: Text, seconds: float) -> str:
    """Return a length of time in its two largest units, as ``3 d 4 h``."""
    left, parts = max(int(seconds), 0), []
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count} {text(f'dates.units.{unit}')}")
    return " ".join(parts[:2]) or f"0 {text('dates.units.s')}"
