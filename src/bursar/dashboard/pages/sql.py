"""The page "SQL": one SELECT over every payment, as `bursar sql` runs it, with the tables beside it."""

from typing import Final

from starlette.responses import Response

from bursar.dashboard.exports import EXPORT_FORMS, export
from bursar.dashboard.pages.reports import require_no_limits
from bursar.dashboard.visit import PageError, Visit
from bursar.reports.errors import ReportError
from bursar.reports.output.head import NO_SUBJECT
from bursar.reports.schema_text import readable_tables
from bursar.reports.sql.answer import Question

ROWS_SHOWN_MAX: Final = 1_000
EXAMPLE: Final = (
    "SELECT fee, status, count(*) AS attempts, sum(amount) AS amount\nFROM payments GROUP BY ALL ORDER BY ALL"
)


async def show_sql(visit: Visit) -> Response:
    """Show the editor."""
    require_no_limits(visit)
    return visit.page("sql.html", text=EXAMPLE, answer=None, problem="", tables=list(readable_tables()), forms=())


async def run_sql(visit: Visit) -> Response:
    """Run the statement and show its first rows. Each statement is an entry of the access log."""
    require_no_limits(visit)
    text, problem, answer = visit.form.get("text", ""), "", None
    await visit.log("queried", "sql", text=text)
    try:
        answer = await visit.parts.reports.sql(text, rows_max=ROWS_SHOWN_MAX, cuts=True)
    except ReportError as error:
        problem = str(error)
    return visit.page(
        "sql.html",
        http_status=400 if problem else 200,
        text=text,
        answer=answer,
        problem=problem,
        tables=list(readable_tables()),
        forms=EXPORT_FORMS,
    )


async def export_sql(visit: Visit) -> Response:
    """Run the statement and send all its rows as a file."""
    require_no_limits(visit)
    form, text = visit.field("form"), visit.form.get("text", "")
    if form not in EXPORT_FORMS:
        raise PageError(404, "errors.not_found")
    await visit.log("exported", "sql", text=text, form=form)
    checked = text.strip().rstrip(";")
    await visit.parts.reports.sql(f"SELECT * FROM (\n{checked}\n) LIMIT 0")  # an error is a page, and not a file
    return export(visit.parts.reports, Question(text, rows_max=None), form, "answer", NO_SUBJECT)
