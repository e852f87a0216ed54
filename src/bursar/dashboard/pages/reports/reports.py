"""The pages of the named reports: parameters, chart, totals and exports. The questions are those of `bursar report`.

Reports are over all payments, so an account that is limited to some clients or fees has none.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from bursar.dashboard.exports.downloads import EXPORT_FORMS, PDF, document, export
from bursar.dashboard.pages.exports import begun
from bursar.dashboard.pages.reports.answer_columns import number_text, shown_columns
from bursar.dashboard.pages.reports.report_chart import chart_of_report
from bursar.dashboard.queries.as_of import AS_OF, PRESENT, AsOf, read_as_of
from bursar.dashboard.statement_runs import new_run_id
from bursar.dashboard.text.catalogue import Text
from bursar.dashboard.visit import PageError, Visit
from bursar.portal.contract.periods import court_day
from bursar.reports.errors import BadParameter, NoSuchReport
from bursar.reports.named_reports import NamedReport, named_report, named_reports
from bursar.reports.report_questions import report_question
from bursar.reports.sql.answer import SqlAnswer

ROWS_SHOWN_MAX: Final = 1_000
REPORT_FORMS: Final = (*EXPORT_FORMS, PDF)
CHART_FORMS: Final = {"svg": "image/svg+xml", "png": "image/png"}
_INPUT_TYPES: Final = {"DAY": "date", "LAST_DAY": "date", "INTEGER": "number"}


async def list_reports(visit: Visit) -> Response:
    """List the reports with their questions."""
    require_no_limits(visit)
    as_of, problem = asked_as_of(visit, visit.request.query_params.get(AS_OF, ""))
    return visit.page(
        "reports.html",
        http_status=400 if problem else 200,
        reports=list(named_reports().values()),
        as_of=as_of,
        problem=problem,
        today=court_day(visit.parts.clock()),
    )


async def show_report(visit: Visit) -> Response:
    """Show the form of a report, and its answer if the parameters were sent or none is required."""
    report, given = _asked(visit)
    as_of, problem = asked_as_of(visit, visit.request.query_params.get(AS_OF, ""))
    answer = None
    if not problem and _is_ready(visit, report):
        try:
            question = await report_question(visit.parts.reports, report.name, given, as_of=as_of.instant)
            [answer] = await visit.parts.reports.answers([replace(question, rows_max=ROWS_SHOWN_MAX, cuts=True)])
        except BadParameter as error:
            problem = str(error)
    if answer is not None:
        await visit.log("queried", f"report {report.name}", **given, **dict(as_of.query))
    return visit.page(
        "report.html",
        http_status=400 if problem else 200,
        report=report,
        given=given,
        problem=problem,
        answer=answer,
        columns=shown_columns(visit.text, answer, report) if answer else (),
        number_text=number_text,
        totals=_totals(report, answer) if answer else (),
        hints={each.name: hint(visit.text, report, each.name) for each in report.parameters},
        input_types=_INPUT_TYPES,
        known=_known_values(visit),
        forms=REPORT_FORMS,
        run=new_run_id(),
        chart_forms=tuple(CHART_FORMS) if report.chart else (),
        query=[*given.items(), *as_of.query],
        present=visit.path("report", list(given.items()), name=report.name),
        as_of=as_of,
        today=court_day(visit.parts.clock()),
        title=visit.text(f"report_titles.{report.name}"),
        section="reports",
    )


async def export_report(visit: Visit) -> Response:
    """Send a report as a file, or its chart as SVG or PNG."""
    report, given = _asked(visit)
    as_of, problem = asked_as_of(visit, visit.request.query_params.get(AS_OF, ""))
    if problem:
        raise BadParameter(problem)
    form = visit.request.path_params["form"]
    is_part_of_page = visit.request.query_params.get("shown") == "yes"
    await visit.log(
        "viewed" if is_part_of_page else "exported", f"report {report.name}", form=form, **given, **dict(as_of.query)
    )
    question = await report_question(visit.parts.reports, report.name, given, as_of=as_of.instant)
    if form in EXPORT_FORMS:
        return export(visit.parts.reports, question, form, report.name, report.subject(given), await begun(visit))
    if form == PDF:
        return await document(visit.parts.reports, question, report.name, report.subject(given))
    if form not in CHART_FORMS or report.chart is None:
        raise PageError(404, "errors.not_found")
    from bursar.reports.charts import draw

    [answer] = await visit.parts.reports.answers([question])
    chart = chart_of_report(visit.text, visit.parts.fees, report, answer)
    dark = visit.theme == "dark" or visit.request.query_params.get("theme") == "dark"
    content = await asyncio.to_thread(
        draw, chart, theme="dark" if dark else "light", form="png" if form == "png" else "svg"
    )
    return Response(content, headers={"cache-control": "no-store"}, media_type=CHART_FORMS[form])


def require_no_limits(visit: Visit) -> None:
    """Raise :class:`PageError` for an account that is limited to some clients or fees."""
    if visit.account.is_limited:
        raise PageError(403, "errors.limited")


def asked_as_of(visit: Visit, text: str) -> tuple[AsOf, str]:
    """Return the requested instant, and the problem with ``text``.

    If there is a problem, the instant is the present.
    """
    now = visit.parts.clock()
    try:
        return read_as_of(text.strip(), court_day(now), now), ""
    except BadParameter as error:
        return PRESENT, str(error)


def _asked(visit: Visit) -> tuple[NamedReport, dict[str, str]]:
    """Return the report of the URL and the parameters that were given. Raises :class:`PageError`."""
    require_no_limits(visit)
    try:
        report = named_report(visit.request.path_params["name"])
    except NoSuchReport:
        raise PageError(404, "errors.not_found") from None
    query: Mapping[str, str] = visit.request.query_params
    return report, {name: query[name].strip() for name in report.parameter_names if query.get(name, "").strip()}


def _is_ready(visit: Visit, report: NamedReport) -> bool:
    """Return whether the report can be asked: the form was sent, or no parameter is required."""
    sent = any(name in visit.request.query_params for name in report.parameter_names)
    return sent or all(each.default is not None for each in report.parameters)


def hint(text: Text, report: NamedReport, parameter: str) -> str:
    """Return what a parameter means: in this report, if it has its own text, otherwise in every report."""
    own = text.texts.get(f"report_hints.{report.name}.{parameter}")
    return text(f"report_hints.{parameter}") if own is None else own


def _known_values(visit: Visit) -> dict[str, dict[str, str]]:
    """Return the values that the form offers: kind of parameter → value → its name."""
    fees = visit.parts.fees
    names = visit.parts.clients.names
    return {"FEE": {key: fees.name(key) for key in fees.keys}, "CLIENT": dict(zip(names, names, strict=True))}


def _totals(report: NamedReport, answer: SqlAnswer) -> list[Any]:
    """Return the total of each column that has one; None for the others. A cut answer has no totals."""
    summed = set() if answer.cut else {column.name for column in report.columns if column.is_total}
    return [
        sum((row[place] for row in answer.rows if row[place] is not None), 0) if name in summed else None
        for place, name in enumerate(answer.columns)
    ]
