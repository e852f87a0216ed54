"""The pages of reconciliations: the history of runs, one run, its differences as CSV, and the sign-off.

    history, newest first ─► a run: totals, differences, what to do ─► confirmation ─► signed off, once
                                                                   └─► CSV

`bursar reconcile` and the upload of a file make the runs. They are over all payments, so an account that is limited to
some clients or fees has none of these pages. A run never changes, so a page of differences can begin at a row number.
"""

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from bursar.dashboard.exports.downloads import MEDIA_TYPES, download_headers
from bursar.dashboard.formatting import dollars, short_day_text
from bursar.dashboard.pages.reports.reports import asked_as_of, require_no_limits
from bursar.dashboard.queries.as_of import AS_OF, PRESENT, AsOf
from bursar.dashboard.visit import PageError, Visit
from bursar.payments.ledger.store_records.reconciliations import ReconciliationRun, SignOff
from bursar.portal.contract.periods import court_day
from bursar.reports.reconciliation.classes import BY_NAME, CLASSES, MATCHED, LineClass
from bursar.web.pages.harmless_text import cell_text

RUNS_SHOWN_MAX: Final = 50
ROWS_SHOWN_MAX: Final = 200
DAY_TOTALS_SHOWN_MAX: Final = 500
REASON_CHARS_MAX: Final = 500
CHUNK_CHARS: Final = 64 * 1024
COLUMNS: Final = (
    "day", "class", "file", "line", "agency_tracking_id", "paygov_tracking_id", "client", "reference", "file_amount",
    "our_amount", "file_status", "our_status", "why",
)  # fmt: skip
"""The columns of the CSV. Amounts are in dollars, with two decimals and no separators."""
_ORDER: Final = {each.name: place for place, each in enumerate(CLASSES)}

KeptRow = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClassSum:
    """The lines of one class: their number, and their sum in cents."""

    line_class: LineClass
    count: int
    cents: int


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run in the history. ``matched``: the payments that agree and were collected."""

    run: ReconciliationRun
    signed: SignOff | None
    lines: int
    matched: ClassSum
    differences: Sequence[ClassSum]


@dataclass(frozen=True, slots=True)
class RunRows:
    """The rows of a run that one page shows.

    ``is_cut``: there are more totals. ``is_more``: there are more differences.
    """

    totals: Sequence[KeptRow]
    is_cut: bool
    differences: Sequence[KeptRow]
    is_more: bool


async def show_reconciliations(visit: Visit) -> Response:
    """List the runs, newest first; the page begins after the run ``before``.

    With ``as_of``, a day or an instant, the runs and sign-offs until then.
    """
    require_no_limits(visit)
    as_of, problem = asked_as_of(visit, visit.request.query_params.get(AS_OF, ""))
    before = visit.request.query_params.get("before", "")
    runs = await visit.parts.ledger.reconciliations.runs()
    left = [each for each in runs if _is_past(each[0].at, as_of) and (not before or each[0].run_id < before)]
    shown = [_listed(run, _signed_at(signed, as_of)) for run, signed in left[:RUNS_SHOWN_MAX]]
    older = [*as_of.query, ("before", shown[-1].run.run_id)] if len(left) > RUNS_SHOWN_MAX else []
    return visit.page(
        "reconciliation.html",
        http_status=400 if problem else 200,
        runs=shown,
        older=older,
        cents=_cents,
        as_of=as_of,
        problem=problem,
        today=court_day(visit.parts.clock()),
    )


async def show_run(visit: Visit) -> Response:
    """Show the totals and the differences of a run; ``class`` selects one class, ``after`` skips rows.

    Only the sign-off of a run can change. With ``as_of``, it is shown as it was then.
    """
    run, signed = await _run(visit)
    as_of, problem = asked_as_of(visit, visit.request.query_params.get(AS_OF, ""))
    if problem or not _is_past(run.at, as_of):
        raise PageError(404, "errors.no_run")
    only = _chosen_class(visit)
    after = visit.number("after") or 0
    rows = await _rows(visit, run, only, after)
    await visit.log("viewed", _target(run))
    return run_page(visit, run, _signed_at(signed, as_of), rows, only=only, after=after, as_of=as_of)


def run_page(
    visit: Visit,
    run: ReconciliationRun,
    signed: SignOff | None,
    rows: RunRows,
    *,
    only: str = "",
    after: int = 0,
    is_kept: bool = True,
    as_of: AsOf = PRESENT,
) -> Response:
    """Return the page of a run. Only a run that was kept (``is_kept``) has links to its export and its sign-off."""
    sums = _sums(run)
    lines = [each for each in sums if not each.line_class.of_payments]
    broken = sum(each.broken is not None for each in run.files)
    chosen = [*as_of.query, *([("class", only)] if only else [])]
    return visit.page(
        "reconciliation_run.html",
        run=run,
        is_kept=is_kept,
        as_of=as_of,
        signed=signed,
        sums=sums,
        all_lines=(sum(each.count for each in lines) - broken, sum(each.cents for each in lines)),
        all_files=(sum(each.records for each in run.files), sum(each.cents for each in run.files)),
        rows=rows,
        only=only,
        chosen=chosen,
        next_page=[*chosen, ("after", str(after + ROWS_SHOWN_MAX))] if rows.is_more else [],
        after=after,
        cents=_cents,
        row_day=lambda day: short_day_text(visit.text, date.fromisoformat(day)),
        section="reconciliation",
    )


async def export_run(visit: Visit) -> Response:
    """Send the differences of a run as CSV, of one class if the URL names it."""
    run, _ = await _run(visit)
    only = _chosen_class(visit)
    await visit.log("exported", _target(run), form="csv", **({"class": only} if only else {}))
    headers = download_headers(f"reconciliation-{run.run_id}.csv")
    return StreamingResponse(_csv(visit, run, only), media_type=MEDIA_TYPES["csv"], headers=headers)


async def confirm_sign_off(visit: Visit) -> Response:
    """Show the consequence of the sign-off and ask for the reason."""
    run, signed = await _run(visit)
    if signed is not None:
        return visit.redirect(visit.path("reconciliation_run", run=run.run_id))
    return _confirmation(visit, run)


async def sign_off(visit: Visit) -> Response:
    """Sign a run off in the person's name and redirect to the run; a refusal is shown on the form."""
    run, _ = await _run(visit)
    reason = visit.field("reason")
    if not 0 < len(reason) <= REASON_CHARS_MAX:
        problem = visit.text("reconciliation.problems.reason", limit=REASON_CHARS_MAX, length=len(reason))
        return _confirmation(visit, run, problem, 400)
    try:
        await visit.parts.ledger.reconciliations.sign_off(run.run_id, by=visit.account.name, reason=reason)
    except ValueError:
        return _confirmation(visit, run, visit.text("reconciliation.problems.signed"), 409)
    await visit.log("changed", _target(run), change="reconciliation_sign_off", reason=reason)
    return visit.redirect(visit.path("reconciliation_run", run=run.run_id))


async def unsigned_runs(visit: Visit) -> list[ReconciliationRun]:
    """Return the runs with differences that are not signed off, newest first; none if the person may not see them."""
    if not visit.may("reconciliation") or visit.account.is_limited:
        return []
    runs = await visit.parts.ledger.reconciliations.runs()
    return [run for run, signed in runs if run.differences and signed is None]


def _is_past(at: float, as_of: AsOf) -> bool:
    """Return whether an object that was created at ``at``, Unix seconds, existed at the instant."""
    return as_of.instant is None or at <= as_of.instant


def _signed_at(signed: SignOff | None, as_of: AsOf) -> SignOff | None:
    return signed if signed is not None and _is_past(signed.at, as_of) else None


def _confirmation(visit: Visit, run: ReconciliationRun, problem: str = "", http_status: int = 200) -> Response:
    return visit.page(
        "reconciliation_sign_off.html",
        http_status=http_status,
        run=run,
        problem=problem,
        limit=REASON_CHARS_MAX,
        section="reconciliation",
    )


async def _run(visit: Visit) -> tuple[ReconciliationRun, SignOff | None]:
    """Return the run of the URL and its sign-off. Raises :class:`PageError` if there is none for this account."""
    require_no_limits(visit)
    try:
        return await visit.parts.ledger.reconciliations.find(visit.request.path_params["run"])
    except LookupError:
        raise PageError(404, "errors.no_run") from None


async def _rows(visit: Visit, run: ReconciliationRun, only: str, after: int) -> RunRows:
    return await shown_rows(visit.parts.ledger.reconciliations.rows(run.run_id), only, after)


async def shown_rows(rows: AsyncIterator[KeptRow], only: str = "", after: int = 0) -> RunRows:
    """Return the totals by day, and at most ``ROWS_SHOWN_MAX`` differences; later ones are not read."""
    totals: list[KeptRow] = []
    differences: list[KeptRow] = []
    passed = 0
    async for row in rows:
        if row["row"] == "total":
            totals.append(row)
        elif only in ("", row["class"]):
            passed += 1
            if passed > after:
                differences.append(row)
            if len(differences) > ROWS_SHOWN_MAX:
                break
    totals.sort(key=lambda each: (each["day"] or "", _ORDER[each["class"]]))
    return RunRows(
        totals[:DAY_TOTALS_SHOWN_MAX],
        len(totals) > DAY_TOTALS_SHOWN_MAX,
        differences[:ROWS_SHOWN_MAX],
        len(differences) > ROWS_SHOWN_MAX,
    )


async def _csv(visit: Visit, run: ReconciliationRun, only: str) -> AsyncIterator[str]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    async for row in visit.parts.ledger.reconciliations.rows(run.run_id):
        if row["row"] == "difference" and only in ("", row["class"]):
            writer.writerow(_cells(run, row))
        if text.tell() > CHUNK_CHARS:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _cells(run: ReconciliationRun, row: KeptRow) -> list[str]:
    name = None if row["file"] is None else run.files[row["file"]].name
    amounts = (_decimal(row["their_cents"]), _decimal(row["our_cents"]))
    before = (row["day"], row["class"], name, row["line"], row["agency_id"], row["paygov_id"])
    after = (row["their_status"], row["our_status"], row["why"])
    texts = ["" if each is None else cell_text(each) for each in (*before, row["client"], row["reference"], *after)]
    return [*texts[:8], *amounts, *texts[8:]]


def _listed(run: ReconciliationRun, signed: SignOff | None) -> ListedRun:
    differences = [each for each in _sums(run) if each.line_class.is_difference]
    matched = ClassSum(MATCHED, *run.totals.get(MATCHED.name, (0, 0)))
    return ListedRun(run, signed, sum(each.records for each in run.files), matched, differences)


def _sums(run: ReconciliationRun) -> list[ClassSum]:
    return [ClassSum(each, *run.totals[each.name]) for each in CLASSES if each.name in run.totals]


def _chosen_class(visit: Visit) -> str:
    """Return the class of the URL, or an empty text for all classes."""
    found = BY_NAME.get(visit.request.query_params.get("class", ""))
    return found.name if found is not None and found.is_difference else ""


def _target(run: ReconciliationRun) -> str:
    return f"reconciliation {run.run_id}"


def _cents(cents: int) -> str:
    return dollars(Decimal(cents) / 100)


def _decimal(cents: int | None) -> str:
    return "" if cents is None else f"{Decimal(cents) / 100:.2f}"
