"""The chart of any answer: the first column has the names of the bars, and the first numeric column their heights.

    SELECT month, sum(amount) …            one bar for each month
    SELECT month, fee, sum(amount) …       a text in the second place splits each bar

An answer has no chart if a bar would have two values or a negative one, or if there are fewer than 2 or more than
``BARS_MAX`` bars.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from bursar.dashboard.drawing import SERIES_MAX, BarChart, bar_chart
from bursar.reports.sql.answer import SqlAnswer

BARS_MAX: Final = 120
NUMBER_TYPES: Final = (
    "DECIMAL", "BIGINT", "INTEGER", "DOUBLE", "FLOAT", "HUGEINT", "SMALLINT", "TINYINT", "UBIGINT", "UINTEGER",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AnswerChart:
    """The bars of an answer; a label is a value of the first column. ``value_name``: the column of the heights."""

    chart: BarChart
    value_name: str
    values: dict[tuple[Any, str], Decimal]
    labels: list[Any]


def chart_of(answer: SqlAnswer) -> AnswerChart | None:
    """Return the chart of an answer; None if it has none."""
    numbers = [place for place, kind in enumerate(answer.types) if place and kind.startswith(NUMBER_TYPES)]
    if not numbers or answer.cut:
        return None
    value_place = numbers[0]
    split = value_place > 1 and answer.types[1] == "VARCHAR"
    name = answer.columns[value_place]
    values: dict[tuple[Any, str], Decimal] = {}
    for row in answer.rows:
        key = (row[0], str(row[1]) if split else name)
        value = Decimal(str(row[value_place] or 0))
        if key in values or not value.is_finite() or value < 0:
            return None
        values[key] = value
    labels = list(dict.fromkeys(row[0] for row in answer.rows))
    series = {each for _, each in values}
    if not 2 <= len(labels) <= BARS_MAX or len(series) > SERIES_MAX:
        return None
    return AnswerChart(bar_chart(values, labels), name, values, labels)
