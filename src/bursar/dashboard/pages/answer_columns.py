"""The columns of an answer as people read them: a name in their language, with its unit. Files have the plain names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bursar.dashboard.text.catalogue import Text
from bursar.reports.output.head import COUNTED_UNITS, DURATION, SHARE, USD, ReportColumn
from bursar.reports.output.table import NUMBERS
from bursar.reports.output.values import duration
from bursar.reports.schema_text import readable_tables
from bursar.reports.sql.answer import SqlAnswer

MONTH: Final = "month"
"""The unit of a day that represents its month."""
CODE: Final = "code"
"""The unit of a return code or a reason code, which has a meaning."""
_UNITS: Final = {"month": MONTH, "month_started": MONTH, "return_code": CODE, "reason_code": CODE}


@dataclass(frozen=True, slots=True)
class ShownColumn:
    """A column of an answer: its plain name, its head on the page, its unit, and whether it holds numbers."""

    name: str
    head: str
    unit: str
    is_number: bool


def shown_columns(text: Text, answer: SqlAnswer, columns: Mapping[str, ReportColumn]) -> list[ShownColumn]:
    """Return the columns of an answer; ``columns`` are those of its report that have a unit.

    A column with a name of the schema has the catalogue's name and its unit; a name that a statement made up stays.
    """
    money = _money_columns()
    found = []
    for name, kind in zip(answer.columns, answer.types, strict=True):
        unit = _UNITS.get(name, "")
        if name in columns:
            unit = columns[name].unit
        elif name in money and kind.startswith("DECIMAL"):
            unit = USD
        found.append(ShownColumn(name, _head(text, name, unit, kind), unit, kind.startswith(NUMBERS)))
    return found


def number_text(value: Any, unit: str) -> str:
    """Return a number with its unit, other than dollars: a share as ``3.25%``, seconds as ``2 min 05 s``."""
    if unit == SHARE:
        return f"{100 * value:.2f}%"
    return duration(float(value)) if unit == DURATION else f"{value:,}"


def _head(text: Text, name: str, unit: str, kind: str) -> str:
    shown = text.label("answer_columns", name)
    named = text("dates.zone") if kind.startswith("TIMESTAMP") else text.label("answer_units", unit)
    is_plain = not named or unit in (DURATION, MONTH, CODE, *COUNTED_UNITS)
    return shown if is_plain else text("answer.head", name=shown, unit=named)


def _money_columns() -> frozenset[str]:
    return frozenset(column.name for _, _, columns in readable_tables() for column in columns if column.type == "money")
