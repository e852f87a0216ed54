"""The page "Transactions": filters, search, totals, pages of rows, and the export of exactly what is shown."""

import asyncio
from datetime import date
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from bursar.dashboard.exports.downloads import EXPORT_FORMS, export
from bursar.dashboard.formatting import dollars, short_day_text
from bursar.dashboard.pages.exports import begun
from bursar.dashboard.queries.as_of import PRESENT, AsOf, as_of_text
from bursar.dashboard.queries.filters import MONEY_CHOICES, NO_CODE, STATUS_CHOICES, TransactionFilter, read_filter
from bursar.dashboard.queries.periods import PERIODS, period_of_days
from bursar.dashboard.queries.search import Search, read_search
from bursar.dashboard.queries.transactions import Cursor, choices_of, count_of, every_transaction, transactions_page
from bursar.dashboard.sign_in.roles import ROLES
from bursar.dashboard.statement_runs import new_run_id
from bursar.dashboard.text.reason_codes import RETURN_CODES, codes_of, meaning_of
from bursar.dashboard.visit import PageError, Visit
from bursar.portal.contract.periods import court_day
from bursar.reports.output.head import USD, ReportColumn, Subject

METADATA: Final = "metadata"
EXPORTED: Final = (
    "agency_tracking_id", "client", "reference", "fee", "amount", "status", "payment_method", "paygov_tracking_id",
    "transaction_status", "return_code", "return_detail", "created_at", "updated_at", "final_on", "reversed_amount",
    "net_amount",
)  # fmt: skip
_UNITS: Final = {
    name: ReportColumn(name, USD, is_total, name)
    for name, is_total in (("amount", True), ("reversed_amount", True), ("net_amount", True))
}
TABLE_COLUMNS: Final = ("started", "status", "amount", "fee", "client", "method", "collected", "reference")
"""The sortable columns of the table, by their names in SORTS."""


async def show_transactions(visit: Visit) -> Response:
    """Show one page of what the URL asks for.

    A URL that writes the filter in another way is redirected to the standard form.

    A period that was chosen by name is replaced by its days, so the URL shows the same rows tomorrow.
    """
    today = court_day(visit.parts.clock())
    found, problems = read_filter(visit.query, today, visit.parts.clock())
    asked = [(name, value) for name, value in visit.query if name not in ("after", "before", "value")]
    if not problems and asked != found.query():
        return visit.redirect(visit.path("transactions", found.query()), whole_page=False)
    search = search_of(visit, found, today)
    page = await transactions_page(visit.parts.reports, found, visit.account, search, _cursor_of(visit))
    if found.search:
        await visit.log("searched", visit.route.path, search=found.search, count=page.total.count)
    return visit.page(
        "transactions.html",
        filter=found,
        filter_words=_filter_words(visit, found),
        problems=problems,
        period=period_of_days(found.first, found.last, today) or ("any" if found.first is found.last is None else ""),
        periods=list(PERIODS),
        choices=await choices_of(visit.parts.reports, visit.account),
        statuses=STATUS_CHOICES,
        columns=TABLE_COLUMNS,
        rows=[_row(visit, row, search) for row in page.rows],
        page=page,
        forms=EXPORT_FORMS,
        run=new_run_id(),
        views=await asyncio.to_thread(visit.site.saved_views.visible_to, visit.account),
        roles=ROLES,
        query_text=urlencode(found.query()),
        link_here=visit.path("transactions", found.query()),
        link_state=visit.path("transactions", found.query(as_of=AsOf(as_of_text(page.as_of), page.as_of))),
        link_present=visit.path("transactions", found.query(as_of=PRESENT)),
        today=today,
        next_page=_page_url(visit, found, page.next),
        previous_page=_page_url(visit, found, page.previous),
        has_filter=bool(found.query(search="", sort="started", order="desc", as_of=PRESENT)),
        payment_path=lambda row: visit.path(
            "payment", found.as_of.query, client=row["client"], reference=row["reference"]
        ),
        return_codes=codes_of(RETURN_CODES, visit.text.language),
        status_label=lambda value: visit.text.label("status", value),
        money_choices=list(MONEY_CHOICES),
        money_label=lambda value: visit.text(f"overview.{value}"),
        method_label=lambda value: visit.text.label("methods", value),
        plain_label=str,
    )


async def export_transactions(visit: Visit) -> Response:
    """Send every transaction of the filter as a file; ``personal=yes`` adds the metadata."""
    form = visit.request.path_params["form"]
    if form not in EXPORT_FORMS:
        raise PageError(404, "errors.not_found")
    today = court_day(visit.parts.clock())
    found, _ = read_filter(visit.query, today, visit.parts.clock())
    personal = visit.request.query_params.get("personal") == "yes"
    columns = (*EXPORTED, METADATA) if personal else EXPORTED
    await visit.log("exported", "transactions", filter=found.query(), personal_data=personal, form=form)
    search = search_of(visit, found, today)
    question = every_transaction(found, visit.account, search, columns)
    run = await begun(visit, partial(count_of, visit.parts.reports, found, visit.account, search))
    subject = Subject(visit.text("pages.transactions"), (visit.path("transactions", found.query()),), _UNITS)
    return export(visit.parts.reports, question, form, f"transactions-{today.isoformat()}", subject, run)


def search_of(visit: Visit, found: TransactionFilter, today: date) -> Search:
    """Return what the search box of a filter asks for, within what the person may see."""
    fees = visit.parts.fees
    names = {key: fees.name(key) for key in fees.keys}
    return read_search(
        found.search,
        today,
        fee_names=names,
        with_metadata=visit.may_see_personal_data,
        clients=visit.parts.clients.names,
    )


def _filter_words(visit: Visit, found: TransactionFilter) -> list[str]:
    """Return the filter for a printed page: the name and the value of each part."""
    text = visit.text
    lowest, highest = (("" if each is None else dollars(each)) for each in (found.amount_min, found.amount_max))
    first, last = (("" if each is None else short_day_text(text, each)) for each in (found.first, found.last))
    parts = {
        "search.button": [found.search],
        f"columns.{found.dated}": [f"{first} – {last}" if first or last else ""],
        "columns.status": [text.label("status", each) for each in found.statuses],
        "columns.fee": [visit.parts.fees.name(each) for each in found.fees],
        "columns.client": found.clients,
        "columns.method": [text.label("methods", each) for each in found.methods],
        "overview.money": [text(f"overview.{each}") for each in found.money],
        "filters.code": [text("overview.no_code") if found.code == NO_CODE else _code_words(visit, found.code)],
        "filters.amount": [f"{lowest} – {highest}" if lowest or highest else ""],
    }
    return [f"{text(key)}: {', '.join(values)}" for key, values in parts.items() if any(values)]


def _code_words(visit: Visit, code: str) -> str:
    meaning = meaning_of(code, visit.text.language)
    return f"{code} ({meaning})" if meaning else code


def _cursor_of(visit: Visit) -> Cursor | None:
    query = visit.request.query_params
    for side in ("after", "before"):
        if query.get(side):
            value = query.get("value")
            return Cursor(query[side], value, "after" if side == "after" else "before")
    return None


def _page_url(visit: Visit, found: TransactionFilter, cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    place: list[tuple[str, str]] = [(cursor.side, cursor.agency_tracking_id)]
    place += [("value", cursor.value)] if cursor.value is not None else []
    return visit.path("transactions", [*found.query(), *place])


def _row(visit: Visit, row: dict[str, Any], search: Search) -> dict[str, Any]:
    return {
        **row,
        "reasons": [visit.text(each.key, **each.fields) for each in search.reasons(row)],
    }
