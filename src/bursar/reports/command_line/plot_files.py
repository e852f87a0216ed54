"""The chart that ``bursar report --plot`` writes."""

from pathlib import Path
from typing import Final

from bursar.reports.command_line.output_files import output_file
from bursar.reports.errors import BadParameter
from bursar.reports.named_reports import NamedReport
from bursar.reports.sql.answer import SqlAnswer

CHART_ROWS_MAX: Final = 100_000


def write_chart(found: NamedReport, answer: SqlAnswer, path: Path, theme: str) -> None:
    """Draw the answer of a report into a file. Raise :class:`BadParameter` unless its name ends with .svg or .png."""
    from bursar.reports.charts import FORMS, draw, report_chart

    form = next((each for each in FORMS if path.suffix == f".{each}"), None)
    if form is None:
        raise BadParameter(f"--plot: must be a file that ends with .svg or .png; got {path.name}")
    drawn = draw(report_chart(found, answer), theme="dark" if theme == "dark" else "light", form=form)
    with output_file(path) as file:
        file.write(drawn)
