"""The page "SQL": one SELECT over every payment, as `bursar sql` runs it, with the tables beside it.

    editor ─► run ─► answer: grid, chart, exports          each statement is an entry of the access log
              └─► stop

Statements can be saved by name and shared with a role, like filters of transactions.
"""

import asyncio
from typing import Any, Final

from starlette.responses import Response

from bursar.dashboard.drawing import MARKS
from bursar.dashboard.exports.downloads import EXPORT_FORMS, export
from bursar.dashboard.formatting import short_day_text, time_text
from bursar.dashboard.pages.exports import begun
from bursar.dashboard.pages.reports.answer_columns import number_text, shown_columns
from bursar.dashboard.pages.reports.reports import asked_as_of, require_no_limits
from bursar.dashboard.queries.answer_chart import chart_of
from bursar.dashboard.queries.as_of import AS_OF, AsOf
from bursar.dashboard.saved_views import NAME_CHARS_MAX, TooManyViews
from bursar.dashboard.sign_in.roles import ROLES, role_named
from bursar.dashboard.statement_runs import Stopped, new_run_id
from bursar.dashboard.text.catalogue import Text
from bursar.dashboard.visit import PageError, Visit, whole_number
from bursar.portal.contract.periods import court_day
from bursar.reports.errors import BadParameter, ReportError
from bursar.reports.lake.twin import DAYS
from bursar.reports.output.head import NO_SUBJECT
from bursar.reports.schema_text import readable_tables
from bursar.reports.sql.answer import Question, SqlAnswer
from bursar.reports.sql.statement import STATEMENT_BYTES_MAX

ROWS_SHOWN_MAX: Final = 1_000
LABEL_CHARS_MAX: Final = 12
EXAMPLE: Final = (
    "SELECT fee, status, count(*) AS attempts, sum(amount) AS amount\nFROM payments GROUP BY ALL ORDER BY ALL"
)


async def show_sql(visit: Visit) -> Response:
    """Show the editor, with the saved statement that ``query`` names."""
    require_no_limits(visit)
    as_of, problem = asked_as_of(visit, visit.request.query_params.get(AS_OF, ""))
    text = EXAMPLE
    if "query" in visit.request.query_params:
        number = visit.number("query")
        saved = await asyncio.to_thread(visit.site.saved_queries.visible_to, visit.account)
        text = next((each.query for each in saved if each.number == number), "")
        if not text:
            raise PageError(404, "errors.not_found")
    return await _page(visit, text, as_of, problem)


async def run_sql(visit: Visit) -> Response:
    """Run the statement and show its first rows."""
    require_no_limits(visit)
    text = visit.form.get("text", "")
    as_of, problem = asked_as_of(visit, visit.field(AS_OF))
    if problem:
        return await _page(visit, text, as_of, problem)
    since = visit.parts.clock()
    await visit.log("queried", "sql", text=text, **dict(as_of.query))
    work = visit.parts.reports.sql(text, rows_max=ROWS_SHOWN_MAX, cuts=True, as_of=as_of.instant)
    try:
        answer = await visit.site.statements.result(visit.account, visit.field("run"), since, work)
    except Stopped:
        return await _page(visit, text, as_of, visit.text("sql.stopped"), http_status=200)
    except ReportError as error:
        return await _page(visit, text, as_of, str(error))
    return await _page(visit, text, as_of, "", answer)


async def stop_sql(visit: Visit) -> Response:
    """Stop the statement that this page sent, and show the editor with it."""
    require_no_limits(visit)
    await asyncio.to_thread(visit.site.statements.stop, visit.account, visit.field("run"))
    await visit.log("changed", "sql", change="stop", run=visit.field("run"))
    as_of, problem = asked_as_of(visit, visit.field(AS_OF))
    return await _page(visit, visit.form.get("text", ""), as_of, problem, notice=visit.text("sql.stop_sent"))


async def export_sql(visit: Visit) -> Response:
    """Run the statement and send all its rows as a file."""
    require_no_limits(visit)
    form, text = visit.field("form"), visit.form.get("text", "")
    if form not in EXPORT_FORMS:
        raise PageError(404, "errors.not_found")
    as_of, problem = asked_as_of(visit, visit.field(AS_OF))
    if problem:
        raise BadParameter(problem)
    await visit.log("exported", "sql", text=text, form=form, **dict(as_of.query))
    checked = text.strip().rstrip(";")
    await visit.parts.reports.sql(f"SELECT * FROM (\n{checked}\n) LIMIT 0")  # an error is a page, and not a file
    question = Question(text, rows_max=None, as_of=as_of.instant)
    return export(visit.parts.reports, question, form, "answer", NO_SUBJECT, await begun(visit))


async def save_query(visit: Visit) -> Response:
    """Save the statement of the form by name, and show it."""
    require_no_limits(visit)
    name, role, text = visit.field("name"), visit.field("role"), visit.form.get("text", "")
    usable = 1 <= len(name) <= NAME_CHARS_MAX and role in ("", *ROLES)
    if not usable or not text.strip() or len(text.encode()) > STATEMENT_BYTES_MAX:
        raise PageError(400, "errors.bad_query", limit=NAME_CHARS_MAX)
    try:
        await asyncio.to_thread(
            visit.site.saved_queries.save, visit.account, name, text, role_named(role) if role else None
        )
    except TooManyViews:
        raise PageError(409, "errors.too_many_views") from None
    await visit.log("changed", "saved query", change="save", name=name, role=role)
    saved = await asyncio.to_thread(visit.site.saved_queries.visible_to, visit.account)
    own = next(each.number for each in saved if (each.owner, each.name) == (visit.account.name, name))
    return visit.redirect(visit.path("sql", [("query", str(own))]))


async def remove_query(visit: Visit) -> Response:
    """Remove a saved statement of the person."""
    require_no_limits(visit)
    number = whole_number(visit.request.path_params["query"])
    if number is None or not await asyncio.to_thread(visit.site.saved_queries.remove, visit.account, number):
        raise PageError(404, "errors.not_found")
    await visit.log("changed", "saved query", change="remove", number=number)
    return visit.redirect(visit.path("sql"))


async def _page(
    visit: Visit,
    text: str,
    as_of: AsOf,
    problem: str,
    answer: SqlAnswer | None = None,
    *,
    http_status: int | None = None,
    notice: str = "",
) -> Response:
    columns = shown_columns(visit.text, answer) if answer else []
    return visit.page(
        "sql.html",
        http_status=http_status or (400 if problem else 200),
        text=text,
        run=new_run_id(),
        as_of=as_of,
        today=court_day(visit.parts.clock()),
        answer=answer,
        columns=columns,
        heads={each.name: each.head for each in columns},
        number_text=number_text,
        drawn=chart_of(answer) if answer else None,
        marks=MARKS,
        label=lambda value: _label(visit, value),
        problem=problem,
        notice=notice,
        tables=list(readable_tables()),
        words=_words(visit.text),
        queries=await asyncio.to_thread(visit.site.saved_queries.visible_to, visit.account),
        roles=ROLES,
        forms=EXPORT_FORMS,
        section="sql",
    )


def _words(text: Text) -> dict[str, str]:
    """Return every name that a statement may use → its description in the person's language, for the completion."""
    found = dict.fromkeys([*(name for name, _, _ in readable_tables()), DAYS], text("sql.table"))
    for table, _, columns in readable_tables():
        for each in columns:
            found.setdefault(each.name, f"{each.sql_type}  {text(f'sql_columns.{table}.{each.name}')}")
    return found | {"attempts": text("sql.attempts")}


def _label(visit: Visit, value: Any) -> str:
    """Return a value of the answer as the label of a bar."""
    if value is None:
        return "–"
    if hasattr(value, "isoformat"):
        return time_text(visit.text, value) if hasattr(value, "tzinfo") else short_day_text(visit.text, value)
    text = str(value)
    return text if len(text) <= LABEL_CHARS_MAX else f"{text[: LABEL_CHARS_MAX - 1]}…"
