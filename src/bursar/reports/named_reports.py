"""Named reports. Each is one file in ``named/``; its first lines are its question, parameters, columns and chart.

    -- Which failed payments were above an amount?
    -- $above DECIMAL = 0: US dollars
    -- $since DAY = 1970-01-01: first day
    -- $fee FEE = *: key of the fee
    -- $client CLIENT: name of the client     (no default, so it is required)
    -- amount [USD, total]: of the attempts   (a column, its unit, and that a total of it makes sense)
    -- chart bars: failed_on; amount; fee     (x; one or more y; what the bars are divided by)

    SELECT …

The database gets parameters as text that is checked here (:mod:`bursar.reports.report_parameters`), and the statement
casts them. So one file runs on DuckDB and, translated, on Athena (``named/athena/``,
:mod:`bursar.reports.athena.statement`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from bursar.reports.errors import BadParameter, NoSuchReport
from bursar.reports.output.head import ReportColumn, Subject
from bursar.reports.report_parameters import KINDS, checked_text

_PARAMETER: Final = re.compile(r"-- \$(?P<name>[a-z_]+) (?P<kind>[A-Z_]+)(?: = (?P<default>\S+))?: (?P<meaning>.+)")
_COLUMN: Final = re.compile(r"-- (?P<name>[a-z_0-9]+) \[(?P<unit>[^],]+)(?P<total>, total)?\]: (?P<meaning>.+)")
_CHART: Final = re.compile(
    r"-- chart (?P<kind>bars|lines): (?P<x>[a-z_0-9]+); (?P<ys>[a-z_0-9, ]+?)(?:; (?P<by>[a-z_0-9]+))?"
)
_ACRONYMS: Final = frozenset({"ach", "sla"})


@dataclass(frozen=True, slots=True)
class ReportParameter:
    """A parameter of a named report. ``default`` is None if the parameter is required."""

    name: str
    kind: str
    default: str | None
    meaning: str


@dataclass(frozen=True, slots=True)
class ReportChart:
    """How a report is drawn: bars or lines over the column ``x``, of the columns ``ys``, grouped ``by`` a column."""

    kind: str
    x: str
    ys: tuple[str, ...]
    by: str | None = None


@dataclass(frozen=True, slots=True)
class NamedReport:
    """A named report: its question, its parameters, its columns with units, and its statement for DuckDB."""

    name: str
    question: str
    parameters: tuple[ReportParameter, ...]
    sql: str
    columns: tuple[ReportColumn, ...] = ()
    chart: ReportChart | None = None

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """The names of its parameters."""
        return tuple(parameter.name for parameter in self.parameters)

    def subject(self, given: Mapping[str, Any]) -> Subject:
        """Return the title, the question, the parameters and the columns, for people."""
        first, *others = self.name.split("_")
        title = " ".join([first.upper() if first in _ACRONYMS else first.capitalize(), *others])
        lines = [self.question]
        if given:
            lines.append(", ".join(f"{name} {value}" for name, value in given.items()))
        return Subject(title, tuple(lines), {column.name: column for column in self.columns})

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
        return checked_text(parameter.name, parameter.kind, str(value), now)


def named_reports() -> dict[str, NamedReport]:
    """Return every named report by its name, in alphabetical order."""
    return dict(_load())


def named_report(name: str) -> NamedReport:
    """Return the report with this name. Raise :class:`NoSuchReport`, which lists the names."""
    found = _load().get(name)
    if found is None:
        raise NoSuchReport(f"there is no report {name!r}; the reports are {', '.join(_load())}")
    return found


def parse_report(name: str, content: str) -> NamedReport:
    """Return the report in the ``content`` of a file. Raise ``ValueError`` if its header is not as above."""
    header, _, sql = content.partition("\n\n")
    question, *lines = header.splitlines()
    if not question.startswith("-- ") or "?" not in question:
        raise ValueError(f"{name}: the first line must be a comment with the question of the report")
    parameters: list[ReportParameter] = []
    columns: list[ReportColumn] = []
    chart = None
    for line in lines:
        if (found := _PARAMETER.fullmatch(line)) and found["kind"] in KINDS:
            parameters.append(ReportParameter(found["name"], found["kind"], found["default"], found["meaning"]))
        elif found := _CHART.fullmatch(line):
            chart = ReportChart(found["kind"], found["x"], tuple(found["ys"].split(", ")), found["by"])
        elif found := _COLUMN.fullmatch(line):
            columns.append(ReportColumn(found["name"], found["unit"], found["total"] is not None, found["meaning"]))
        else:
            raise ValueError(f"{name}: must be a comment with a parameter, a column or the chart; got {line}")
    question = question.removeprefix("-- ")
    return NamedReport(name, question, tuple(parameters), sql.strip(), tuple(columns), chart)


@cache
def _load() -> dict[str, NamedReport]:
    from importlib.resources import files  # a cold `bursar sql` needs no report

    folder = files("bursar.reports") / "named"
    found = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda e: e.name)
    return {
        name: parse_report(name, entry.read_text(encoding="utf-8"))
        for entry in found
        for name in [entry.name.removesuffix(".sql")]
    }
