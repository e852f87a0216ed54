"""The page "Overview": a period against the period before, where the money is, and what needs attention.

Every number is a link to the transactions that make it.
"""

import asyncio
import csv
import io
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from bursar.dashboard import drawing
from bursar.dashboard.exports.downloads import MEDIA_TYPES, download_headers
from bursar.dashboard.formatting import month_text, short_day_text
from bursar.dashboard.pages.operations import open_findings
from bursar.dashboard.pages.reconciliation import unsigned_runs
from bursar.dashboard.pages.reports import asked_as_of
from bursar.dashboard.pages.webhooks import webhook_status
from bursar.dashboard.queries.as_of import AS_OF, AsOf, as_of_text
from bursar.dashboard.queries.filters import TransactionFilter, read_filter
from bursar.dashboard.queries.overview import Overview, change_of, overview_of
from bursar.dashboard.queries.periods import PERIODS, STEPS, buckets_between, days_of_period, period_of_days
from bursar.dashboard.visit import PageError, Visit
from bursar.payments.reversals import RefundRequest
from bursar.portal.contract.periods import court_day
from bursar.reports.errors import BadParameter
from bursar.web.pages.harmless_text import cell_text

if TYPE_CHECKING:
    from bursar.portal.upkeep.attention import AttentionItem

DEFAULT_PERIOD: Final = "last_30_days"
DAYS_MAX: Final = 3_660
ATTENTION_SHOWN_MAX: Final = 200
OPEN_REFUNDS_MAX: Final = 200
CHART_TYPES: Final = {"svg": "image/svg+xml", "png": "image/png", "csv": MEDIA_TYPES["csv"]}


@dataclass(frozen=True, slots=True)
class NeedsAttention:
    """The work that waits for a person: attempts, contradictions, and refunds that wait for a decision."""

    attempts: "list[AttentionItem]"
    refunds: list[RefundRequest]


async def show_overview(visit: Visit) -> Response:
    """Show the overview of the chosen period."""
    asked = _asked(visit)
    first, last, as_of = asked.first, asked.last, asked.as_of
    shown = await overview_of(visit.parts.reports, visit.account, first, last, asked.today, as_of)
    days = [("from", first.isoformat()), ("to", last.isoformat())]
    values = {(point.bucket, point.fee): point.total.amount for point in shown.series}
    buckets = buckets_between(first, last, shown.step)
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
        present=visit.path("overview", days),
        link_state=visit.path("overview", days + AsOf(as_of_text(shown.as_of), shown.as_of).query),
        periods=list(PERIODS),
        chart=drawing.bar_chart(values, buckets),
        size=drawing,
        values=values,
        buckets=buckets,
        bucket_filter=lambda bucket, fee: _bucket_filter(shown, bucket, fee, as_of),
        attention=await needs_attention(visit),
        unsigned=await unsigned_runs(visit),
        webhooks=await webhook_status(visit),
        audits=open_findings(visit),
        change_of=change_of,
        days=days + as_of.query,
        bucket_label=lambda bucket: _bucket_label(visit, shown.step, bucket),
    )


async def download_chart(visit: Visit) -> Response:
    """Send the chart of what was collected, as SVG, PNG or its numbers as CSV."""
    form = visit.request.path_params["form"]
    if form not in CHART_TYPES:
        raise PageError(404, "errors.not_found")
    asked = _asked(visit)
    if asked.problem:
        raise BadParameter(asked.problem)
    shown = await overview_of(visit.parts.reports, visit.account, asked.first, asked.last, asked.today, asked.as_of)
    content = _chart_csv(shown) if form == "csv" else await asyncio.to_thread(_chart_picture, visit, shown, form)
    name = f"collected-{asked.first.isoformat()}-{asked.last.isoformat()}.{form}"
    return Response(content, headers=download_headers(name), media_type=CHART_TYPES[form])


async def show_attention(visit: Visit) -> Response:
    """List everything that needs a person."""
    return visit.page(
        "attention.html",
        attention=await needs_attention(visit),
        unsigned=await unsigned_runs(visit),
        section="overview",
    )


async def needs_attention(visit: Visit) -> NeedsAttention:
    """Return what needs a person, of what the account may see."""
    from bursar.portal.upkeep.attention import attention

    portal, account = visit.parts.record, visit.account
    found = await attention(portal)
    refunds = await portal.ledger.open_refunds(OPEN_REFUNDS_MAX)
    seen = [each for each in found if account.may_see(each.attempt.client, each.attempt.fee)]
    if account.is_limited:
        kept = []
        for request in refunds:
            attempt = await portal.ledger.attempt_by_agency_id(request.agency_tracking_id)
            if attempt is not None and account.may_see(attempt.client, attempt.fee):
                kept.append(request)
        refunds = kept
    return NeedsAttention(seen[:ATTENTION_SHOWN_MAX], refunds)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The state and the days that a URL asks for. ``today``: the day of that state; ``problem``: what is wrong."""

    first: date
    last: date
    period: str
    today: date
    as_of: AsOf
    problem: str


def _asked(visit: Visit) -> _Asked:
    as_of, problem = asked_as_of(visit, visit.request.query_params.get(AS_OF, ""))
    today = court_day(visit.parts.clock() if as_of.instant is None else as_of.instant)
    found, _ = read_filter([(name, value) for name, value in visit.query if name != AS_OF], today)
    first, last = found.first, found.last
    if first is None or last is None or (last - first).days >= DAYS_MAX:
        first, last = days_of_period(DEFAULT_PERIOD, today)
    return _Asked(first, last, period_of_days(first, last, today) or "", today, as_of, problem)


def _bucket_filter(shown: Overview, bucket: date, fee: str, as_of: AsOf) -> TransactionFilter:
    """Return the filter of one number of the chart's table."""
    first, last = STEPS[shown.step](bucket)
    first, last = max(first, shown.first), min(last, shown.last)
    return TransactionFilter(dated="collected", first=first, last=last, fees=(fee,) if fee else (), as_of=as_of)


def _bucket_label(visit: Visit, step: str, bucket: date) -> str:
    return month_text(visit.text, bucket) if step == "month" else short_day_text(visit.text, bucket)


def _chart_csv(shown: Overview) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["begins_on", "fee", "payments", "collected"])
    for point in shown.series:
        writer.writerow([point.bucket.isoformat(), cell_text(point.fee), point.total.count, point.total.amount])
    return text.getvalue().encode()


def _chart_picture(visit: Visit, shown: Overview, form: str) -> bytes:
    from bursar.reports.charts import Chart, Theme, draw

    series: dict[str, list[tuple[str, float]]] = {}
    for point in shown.series:
        name = visit.parts.fees.name(point.fee)
        series.setdefault(name, []).append((point.bucket.isoformat(), float(point.total.amount)))
    title, axis = visit.text("overview.chart_title"), visit.text(f"overview.steps.{shown.step}")
    theme: Theme = "dark" if visit.theme == "dark" else "light"
    return draw(Chart("bars", title, axis, "USD", series), theme=theme, form="png" if form == "png" else "svg")
