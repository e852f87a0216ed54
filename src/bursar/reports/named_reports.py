"""Named reports. Each is one file in ``named/``; its first lines are the question that it answers and its parameters.

    -- Which failed payments were above an amount?
    -- $above DECIMAL = 0: US dollars
    -- $since DAY = 1970-01-01: first day
    -- $fee TEXT: key of the fee            (no default, so it is required)

    SELECT …

A day is a day of the court, in New York. The statement gets it as a timestamp: a DAY as its beginning, a LAST_DAY as
its end. Comparing timestamps is cheap and lets the lake skip months.

The database gets parameters as text that is checked here, and the statement casts them. So one file runs on DuckDB and,
with positional parameters, on Athena (``named/athena/``; a test compares the two).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib.resources import files
from typing import Any, Final
from zoneinfo import ZoneInfo

from bursar.clock import iso_ms
from bursar.payments.fees import COURT_ZONE
from bursar.reports.errors import BadParameter, NoSuchReport
from bursar.reports.paygov_activity_file import ACTIVITY_TABLE, read_activity_file
from bursar.reports.sql.answer import Question

TEXT_CHARS_MAX: Final = 256
NOW: Final = "now"  # as a default: the time at which the report runs
_COURT: Final = ZoneInfo(COURT_ZONE)
_PARAMETER: Final = re.compile(r"-- \$(?P<name>[a-z_]+) (?P<kind>[A-Z_]+)(?: = (?P<default>\S+))?: (?P<meaning>.+)")


@dataclass(frozen=True, slots=True)
class ReportParameter:
    """A parameter of a named report. ``default`` is None if the parameter is required."""

    name: str
    kind: str
    default: str | None
    meaning: str


@dataclass(frozen=True, slots=True)
class NamedReport:
    """A named report: its question, its parameters and its statement for DuckDB."""

    name: str
    question: str
    parameters: tuple[ReportParameter, ...]
    sql: str

    @property
    def needs_activity_file(self) -> bool:
        """Whether it reads a Pay.gov activity file (:mod:`bursar.reports.paygov_activity_file`)."""
        return ACTIVITY_TABLE in self.sql

    @property
    def athena_sql(self) -> str:
        """The same statement for Athena. Its header names the parameters in the order of the question marks."""
        return (files("bursar.reports") / "named" / "athena" / f"{self.name}.sql").read_text(encoding="utf-8").strip()

    def bind(self, given: Mapping[str, Any], now: float) -> dict[str, str]:
        """Return a checked text for each parameter. Raise :class:`BadParameter` with the parameter and its rule."""
        unknown = sorted(set(given) - {parameter.name for parameter in self.parameters})
        if unknown:
            takes = ", ".join(parameter.name for parameter in self.parameters) or "none"
            raise BadParameter(f"report {self.name}: there is no parameter {unknown[0]}; the parameters are {takes}")
        return {parameter.name: self._text(parameter, given, now) for parameter in self.parameters}

    def _text(self, parameter: ReportParameter, given: Mapping[str, Any], now: float) -> str:
        value = given.get(parameter.name, parameter.default)
        if value is None:
            raise BadParameter(f"{parameter.name}: is required by report {self.name}: {parameter.meaning}")
        takes, convert = KINDS[parameter.kind]
        try:
            return convert(str(value), now)
        except (ValueError, OverflowError, InvalidOperation):
            raise BadParameter(f"{parameter.name}: must be {takes}; got {str(value)[:40]!r}") from None


def named_reports() -> dict[str, NamedReport]:
    """Return every named report by its name, in alphabetical order."""
    return dict(_load())


def named_report(name: str) -> NamedReport:
    """Return the report with this name. Raise :class:`NoSuchReport`, which lists the names."""
    found = _load().get(name)
    if found is None:
        raise NoSuchReport(f"there is no report {name!r}; the reports are {', '.join(_load())}")
    return found


def bound_question(name: str, parameters: Mapping[str, Any], now: float, activity_file: bytes | None) -> Question:
    """Return a named report as a question. Raises :class:`NoSuchReport` and :class:`BadParameter`."""
    found = named_report(name)
    bound = found.bind(parameters, now)
    if found.needs_activity_file != (activity_file is not None):
        rule = "needs a" if found.needs_activity_file else "takes no"
        raise BadParameter(f"report {name} {rule} Pay.gov activity file")
    if activity_file is None:
        return Question(found.sql, bound)
    return Question(found.sql, bound, extra_tables={ACTIVITY_TABLE: read_activity_file(activity_file)})


def parse_report(name: str, content: str) -> NamedReport:
    """Return the report in the ``content`` of a file. Raise ``ValueError`` if its header is not as above."""
    header, _, sql = content.partition("\n\n")
    question, *lines = header.splitlines()
    if not question.startswith("-- ") or "?" not in question:
        raise ValueError(f"{name}: the first line must be a comment with the question of the report")
    parameters = []
    for line in lines:
        found = _PARAMETER.fullmatch(line)
        if found is None or found["kind"] not in KINDS:
            raise ValueError(f"{name}: must be a comment with a parameter; got {line}")
        parameters.append(ReportParameter(found["name"], found["kind"], found["default"], found["meaning"]))
    return NamedReport(name, question.removeprefix("-- "), tuple(parameters), sql.strip())


@cache
def _load() -> dict[str, NamedReport]:
    folder = files("bursar.reports") / "named"
    found = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda e: e.name)
    return {
        name: parse_report(name, entry.read_text(encoding="utf-8"))
        for entry in found
        for name in [entry.name.removesuffix(".sql")]
    }


def _text(value: str, now: float) -> str:
    if not value or len(value) > TEXT_CHARS_MAX:
        raise ValueError
    return value


def _timestamp(value: str, now: float) -> str:
    return _moment(datetime.fromisoformat(iso_ms(now) if value == NOW else value))


def _day(value: str, now: float, later: int = 0) -> str:
    """Return the beginning of the court's day ``later`` days after ``value``: a date, or days ago as in ``-90``."""
    if re.fullmatch(r"-[0-9]{1,5}", value):
        day = datetime.fromtimestamp(now, _COURT).date() + timedelta(days=int(value))
    else:
        day = date.fromisoformat(value)
    return _moment(datetime.combine(day + timedelta(days=later), time(), _COURT).astimezone(UTC))


def _moment(moment: datetime) -> str:
    """Return the text that both DuckDB and Trino cast to a timestamp with time zone."""
    if moment.tzinfo is None:
        raise ValueError
    return moment.isoformat(sep=" ", timespec="milliseconds")


def _decimal(value: str, now: float) -> str:
    amount = Decimal(value)
    if not amount.is_finite():
        raise ValueError
    return f"{amount:f}"


KINDS: Final[dict[str, tuple[str, Callable[[str, float], str]]]] = {
    # kind: (accepted values, check and conversion; its second argument is the time at which the report runs)
    "TEXT": (f"a text of 1 to {TEXT_CHARS_MAX} characters", _text),
    "DAY": ("a day as YYYY-MM-DD, or -N for N days ago", _day),
    "LAST_DAY": ("a day as YYYY-MM-DD, or -N for N days ago", lambda value, now: _day(value, now, later=1)),
    "DECIMAL": ("an amount such as 60.00", _decimal),
    "INTEGER": ("a whole number", lambda value, now: str(int(value))),
    "TIMESTAMP": ("an ISO date-time with its offset", _timestamp),
}
