"""The picture of a report's chart in the person's language: its title, its axis, its series and the labels below it."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bursar.dashboard.formatting import short_day_text, short_month_text
from bursar.dashboard.pages.reports.answer_columns import MONTH, UNIT_OF_NAME, WORDS_OF_NAME
from bursar.dashboard.text.catalogue import Text
from bursar.payments.catalogue.fees import FeeCatalogue
from bursar.reports.named_reports import NamedReport
from bursar.reports.sql.answer import SqlAnswer

if TYPE_CHECKING:
    from bursar.reports.charts import Chart, ChartWords


def chart_of_report(text: Text, fees: FeeCatalogue, report: NamedReport, answer: SqlAnswer) -> "Chart":
    """Return the chart of a report's answer. Raises ``BadParameter`` if the report has none, or too many points."""
    from bursar.reports.charts import OTHERS, label_of, report_chart

    plain = report_chart(report, answer)
    spec = report.chart
    assert spec is not None, "report_chart accepts only a report with a chart"
    names = {OTHERS: text("overview.others")}
    for name in plain.series:
        word = text.label("answer_columns", name) if spec.by is None else _word(text, fees, spec.by, name)
        names.setdefault(name, name if word in names.values() else word)  # two fees may have the same name
    values = {row[spec.x] for row in answer.dicts()}
    return replace(
        plain,
        title=_title(text, report, plain.unit),
        x_name=text.label("answer_columns", spec.x),
        series={names[name]: points for name, points in plain.series.items()},
        label_names={label_of(spec.x, value): _label(text, fees, spec.x, value) for value in values},
        words=chart_words(text),
    )


def chart_words(text: Text) -> "ChartWords":
    """Return the words of a chart in the language of ``text``."""
    from bursar.reports.charts import ChartWords

    parts = {name: text(f"charts.{name}") for name in ("sentence", "frame", "series", "nothing")}
    return ChartWords(language=text.language, **parts)


def _title(text: Text, report: NamedReport, unit: str) -> str:
    assert report.chart is not None
    [first, *others] = report.chart.ys
    name = text(f"report_titles.{report.name}") if others else text.label("answer_columns", first)
    if report.chart.by is not None:
        name = text("charts.by", name=name, by=text.label("answer_columns", report.chart.by).lower())
    named = text.texts.get(f"answer_units.{unit}")
    return name if named is None else text("answer.head", name=name, unit=named)


def _label(text: Text, fees: FeeCatalogue, column: str, value: Any) -> str:
    if not hasattr(value, "isoformat"):
        return _word(text, fees, column, str(value))
    return short_month_text(text, value) if UNIT_OF_NAME.get(column) == MONTH else short_day_text(text, value)


def _word(text: Text, fees: FeeCatalogue, column: str, value: str) -> str:
    """Return a value of a column as its page shows it."""
    words = WORDS_OF_NAME.get(column)
    if words is None:
        return value
    return fees.name(value) if words == "fee" else text.label(words, value)
