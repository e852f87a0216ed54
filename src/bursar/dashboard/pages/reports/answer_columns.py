"""The columns of an answer as people read them: a name in their language, with its unit. Files have the plain names."""

from dataclasses import dataclass
from typing import Any, Final

from bursar.dashboard.text.catalogue import Text
from bursar.reports.named_reports import NamedReport
from bursar.reports.output.head import COUNTED_UNITS, DURATION, SHARE, USD
from bursar.reports.output.table import NUMBERS
from bursar.reports.output.values import duration
from bursar.reports.schema_text import readable_tables
from bursar.reports.sql.answer import SqlAnswer

MONTH: Final = "month"
"""The unit of a day that represents its month."""
CODE: Final = "code"
"""The unit of a return code or a reason code, which has a meaning."""
UNIT_OF_NAME: Final = {"month": MONTH, "month_started": MONTH, "return_code": CODE, "reason_code": CODE}
"""Name of a column → its unit, in any answer."""

WORDS_OF_NAME: Final = {
    "fee": "fee",
    "status": "status",
    "payment_status": "payment_status",
    "payment_method": "methods",
    "kind": "reversals",
}
"""Name of a report's column → the group of the catalogue that has its words; ``fee`` for keys of fees."""


@dataclass(frozen=True, slots=True)
class ShownColumn:
    """A column of an answer: its plain name, its head on the page, its unit, and whether it holds numbers."""

    name: str
    head: str
    unit: str
    is_number: bool
    words: str = ""
    """The group of the catalogue that has the words of the column; ``fee`` for keys of fees."""

    @property
    def is_id(self) -> bool:
        """Whether the column holds ids, which are long."""
        return self.name == "reference" or self.name.endswith("_id")


def shown_columns(text: Text, answer: SqlAnswer, report: NamedReport | None = None) -> list[ShownColumn]:
    """Return the columns of an answer, of ``report`` or of a statement.

    A column with a name of the schema has the catalogue's name and its unit; a name that a statement defines is
    unchanged. The cells of a report show the catalogue's words. Those of a statement show the stored words, which the
    next statement needs.
    """
    columns = {} if report is None else {column.name: column for column in report.columns}
    money = _money_columns()
    found = []
    for name, kind in zip(answer.columns, answer.types, strict=True):
        unit = UNIT_OF_NAME.get(name, name if name in COUNTED_UNITS else "")
        if name in columns:
            unit = columns[name].unit
        elif name in money and kind.startswith("DECIMAL"):
            unit = USD
        words = "" if report is None else WORDS_OF_NAME.get(name, "")
        found.append(ShownColumn(name, _head(text, name, unit, kind), unit, kind.startswith(NUMBERS), words))
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
