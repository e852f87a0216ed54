"""The page "Operations": how each dependency answers, which work is waiting, and when the store was last checked."""

import time
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from bursar.dashboard.pages.webhooks import webhook_status
from bursar.dashboard.upkeep_notes import KINDS, UpkeepNote
from bursar.dashboard.visit import Visit
from bursar.portal.state.portal import Portal
from bursar.reports.errors import ReportError

DUE_READ_MAX: Final = 1_000
WAITING_SHOWN_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class SweeperState:
    """The attempts that are due now, at most ``DUE_READ_MAX``. ``oldest_s``: for how long the first has been due."""

    due: int
    is_more: bool
    oldest_s: float


@dataclass(frozen=True, slots=True)
class ReportsState:
    """How the reports answered a small question: after how many milliseconds, or with which problem.

    ``watermark``: of the lake, Unix seconds; None if it is empty. ``complete_at``: the lake has every change before
    this time; None if no process has written the lake.
    """

    latency_ms: float
    as_of: float | None = None
    watermark: float | None = None
    complete_at: float | None = None
    problem: str = ""


async def show_operations(visit: Visit) -> Response:
    """Ask each dependency a harmless question and show the answers."""
    portal = visit.parts.portal
    report: Any = None
    if portal is not None:
        from bursar.portal.use_cases.health import health

        report = await health(portal)
    return visit.page(
        "operations.html",
        health=report,
        sweeper=await _sweeper(visit.parts.record),
        reports=await _reports(visit),
        workers=None if portal is None else visit.parts.workers,  # the workers of another server are not known
        webhooks=await webhook_status(visit),
        backlog=None if visit.parts.webhooks is None else await visit.parts.webhooks.backlog(),
        webhook_names=() if visit.parts.webhooks is None else visit.parts.webhooks.names,
        waiting_max=WAITING_SHOWN_MAX,
        kinds=() if visit.parts.upkeep is None or visit.account.is_limited else KINDS,
        notes={} if visit.parts.upkeep is None else {note.kind: note for note in visit.parts.upkeep.all()},
    )


def open_findings(visit: Visit) -> list[UpkeepNote]:
    """Return the last audits that have open findings; none for a person who may not see them."""
    if visit.parts.upkeep is None or not visit.may("operations") or visit.account.is_limited:
        return []
    return [note for note in visit.parts.upkeep.all() if note.findings]


async def _sweeper(portal: Portal) -> SweeperState:
    now = portal.clock()
    due = await portal.ledger.due_times(now, DUE_READ_MAX)
    oldest = min(due, default=now)
    return SweeperState(len(due), len(due) >= DUE_READ_MAX, now - oldest)


async def _reports(visit: Visit) -> ReportsState:
    began = time.perf_counter()
    try:
        answer = await visit.parts.reports.sql("SELECT count(*) FROM payment_days")
        watermark = await visit.parts.reports.lake_watermark()
    except (ReportError, OSError) as error:
        return ReportsState(1000 * (time.perf_counter() - began), problem=str(error))
    latency_ms = 1000 * (time.perf_counter() - began)
    complete_at = None if visit.parts.lake is None else visit.parts.lake.read().complete_at
    return ReportsState(latency_ms, answer.as_of, watermark, complete_at)
