"""Read the parameters of a filter from a URL: texts, choices, days and amounts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final

from bursar.dashboard.queries.as_of import AS_OF, PRESENT, AsOf, read_as_of
from bursar.dashboard.queries.periods import PERIODS, days_of_period
from bursar.portal.contract.periods import YEAR_MAX, YEAR_MIN
from bursar.reports.errors import BadParameter

CHOICES_MAX: Final = 100
TEXT_CHARS_MAX: Final = 200
AMOUNT_MAX: Final = Decimal("999999999999.99")


@dataclass(frozen=True, slots=True)
class FilterProblem:
    """A field of the filter that cannot be used: its name, the key of the text that says why, and its value."""

    field: str
    key: str
    value: str


class UrlReader:
    """Reads the parameters of a URL. A value that cannot be used is a problem, and counts as missing."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = list(pairs)
        self.problems: list[FilterProblem] = []

    def add_problem(self, field: str, key: str, value: str) -> None:
        """Record that a field cannot be used."""
        self.problems.append(FilterProblem(field, key, value))

    def one(self, name: str) -> str:
        """Return the first value of a name without spaces around it; an empty text if it is missing or too long."""
        value = next((value.strip() for key, value in self._pairs if key == name), "")
        if len(value) > TEXT_CHARS_MAX:
            self.add_problem(name, "too_long", f"{value[:20]}…")
            return ""
        return value

    def many(self, name: str) -> tuple[str, ...]:
        """Return the values of a name, each once."""
        values = dict.fromkeys(value.strip() for key, value in self._pairs if key == name and value.strip())
        return tuple(value for value in list(values)[:CHOICES_MAX] if len(value) <= TEXT_CHARS_MAX)

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """Return the value of a name if it is one of the choices, otherwise ``default``."""
        value = self.one(name)
        if value and value not in choices:
            self.add_problem(name, "choice", value)
        return value if value in choices else default

    def choices(self, name: str, choices: tuple[str, ...]) -> tuple[str, ...]:
        """Return the values of a name that are among the choices, in the order of these."""
        values = self.many(name)
        for value in values:
            if value not in choices:
                self.add_problem(name, "choice", value)
        return tuple(value for value in choices if value in values)

    def day(self, name: str) -> date | None:
        """Return the day of a name, as ``2026-10-01``; None if it is missing."""
        value = self.one(name)
        if not value:
            return None
        try:
            found = date.fromisoformat(value)
        except ValueError:
            found = None
        if found is None or not YEAR_MIN <= found.year <= YEAR_MAX:
            self.add_problem(name, "day", value)
            return None
        return found

    def days(self, today: date) -> tuple[date | None, date | None]:
        """Return the first and the last day: those of ``period``, or ``from`` and ``to``; None for no limit."""
        first, last = self.day("from"), self.day("to")
        period = self.one("period")
        if period in PERIODS:
            return days_of_period(period, today)
        if period not in ("", "any"):
            self.add_problem("period", "choice", period)
        if first is not None and last is not None and first > last:
            self.add_problem("to", "order_of_days", last.isoformat())
            last = None
        return first, last

    def as_of(self, today: date, now: float) -> AsOf:
        """Return the instant that the URL asks for. One after ``now``, Unix seconds, is a problem."""
        text = self.one(AS_OF)
        try:
            return read_as_of(text, today, now)
        except BadParameter:
            self.add_problem(AS_OF, "as_of", text)
            return PRESENT

    def amount(self, name: str) -> Decimal | None:
        """Return the amount of a name in dollars; None if it is missing."""
        value = self.one(name)
        if not value:
            return None
        found = read_dollars(value)
        if found is None:
            self.add_problem(name, "amount", value)
        return found


def read_dollars(text: str) -> Decimal | None:
    """Return the amount in a text such as ``$1,234.50``; None if it is not an amount of at most two decimals."""
    plain = text.strip().removeprefix("$").replace(",", "").strip()
    if not plain.isascii() or not plain.replace(".", "", 1).isdigit():
        return None
    try:
        found = Decimal(plain)
    except InvalidOperation:
        return None
    exponent = found.as_tuple().exponent
    return found if isinstance(exponent, int) and exponent >= -2 and found <= AMOUNT_MAX else None
