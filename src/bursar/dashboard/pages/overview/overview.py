"""The page "Overview": a period against the period before, where the money is, and what needs attention.

Every number is a link to the transactions that make it.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from starlette.responses import Response

from bursar.dashboard import drawing
from bursar.dashboard.exports.downloads import MEDIA_TYPES, download_headers
from bursar.dashboard.pages.operations import open_findings
from bursar.dashboard.pages.overview.attention import needs_attention
from bursar.dashboard.pages.overview.overview_chart import ChartOnPage
from bursar.dashboard.pages.reconciliation.runs import unsigned_runs
from bursar.dashboard.pages.reports.reports import asked_as_of
from bursar.dashboard.pages.webhooks import webhook_status
from bursar.dashboard.queries.as_of import AS_OF, AsOf, as_of_text
from bursar.dashboard.queries.filters import read_filter
from bursar.dashboard.queries.overview import Overview, change_of, overview_of
from bursar.dashboard.queries.overview_chart import MEASURES, SPLITS, ChartChoice, read_choice
from bursar.dashboard.queries.periods import PERIODS, days_of_period, period_of_days
from bursar.dashboard.visit import PageError, Visit
from bursar.portal.contract.periods import court_day
from bursar.reports.errors import BadParameter

DEFAULT_PERIOD: Final = "last_30_days"
DAYS_MAX: Final = 3_660
CHART_TYPES: Final = {"svg": "image/svg+xml", "png": "image/png", "csv": MEDIA_TYPES["csv"]}


async def show_overview(visit: Visit) -> Response:
    """Show the overview of the chosen period."""
    asked = _asked(visit)
    first, last, as_of = asked.first, asked.last, asked.as_of
    shown = await _overview(visit, asked)
    days = [("from", first.isoformat()), ("to", last.isoformat())]
    choice = asked.choice.query
    return visit.page(
        "overview.html",
        http_status=400 if asked.problem else 200,
        shown=shown,
        first=first,
        last=last,
        period=asked.period,
        as_of=as_of,
        problem=asked.problem,
        today=court_day(visit.parts.clock()),
        present=visit.path("overview", days + choice),
        link_state=visit.path("overview", days + AsOf(as_of_text(shown.as_of), shown.as_of).query + choice),
        periods=list(PERIODS),
        chart=ChartOnPage(visit, shown, as_of),
        choice=asked.choice,
        choices={
            "by": {name: replace(asked.choice, by=name) for name in SPLITS},
            "measure": {name: replace(asked.choice, measure=name) for name in MEASURES},
        },
        size=drawing,
        attention=await needs_attention(visit),
        unsigned=await unsigned_runs(visit),
        webhooks=await webhook_status(visit),
        audits=open_findings(visit),
        change_of=change_of,
        days=days + as_of.query,
    )


async def download_chart(visit: Visit) -> Response:
    """Send the chart as SVG, PNG or its numbers as CSV."""
    form = visit.request.path_params["form"]
    if form not in CHART_TYPES:
        raise PageError(404, "errors.not_found")
    asked = _asked(visit)
    if asked.problem:
        raise BadParameter(asked.problem)
    chart = ChartOnPage(visit, await _overview(visit, asked), asked.as_of)
    content = chart.csv() if form == "csv" else await asyncio.to_thread(chart.picture, form)
    counted = "collected" if asked.choice.by == "fee" else "started"
    name = f"{counted}-{asked.first.isoformat()}-{asked.last.isoformat()}.{form}"
    return Response(content, headers=download_headers(name), media_type=CHART_TYPES[form])


@dataclass(frozen=True, slots=True)
class _Asked:
    """The state, the days and the chart that a URL asks for.

    ``today``: the day of that state; ``problem``: an error in the URL.
    """

    first: date
    last: date
    period: str
    today: date
    as_of: AsOf
    choice: ChartChoice
    problem: str


def _asked(visit: Visit) -> _Asked:
    as_of, problem = asked_as_of(visit, visit.request.query_params.get(AS_OF, ""))
    today = court_day(visit.parts.clock() if as_of.instant is None else as_of.instant)
    found, _ = read_filter([(name, value) for name, value in visit.query if name != AS_OF], today)
    first, last = found.first, found.last
    if first is None or last is None or (last - first).days >= DAYS_MAX:
        first, last = days_of_period(DEFAULT_PERIOD, today)
    choice = read_choice(visit.query)
    return _Asked(first, last, period_of_days(first, last, today) or "", today, as_of, choice, problem)


async def _overview(visit: Visit, asked: _Asked) -> Overview:
    days = asked.first, asked.last, asked.today
    return await overview_of(visit.parts.reports, visit.account, *days, asked.as_of, asked.choice)
