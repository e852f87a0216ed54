"""The page "Operations": how each dependency answers, what the sweeper has to do, and how fast questions are."""

import time
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from bursar.dashboard.visit import Visit
from bursar.portal.use_cases.portal import Portal
from bursar.reports.errors import ReportError

DUE_READ_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class SweeperState:
    """The attempts that are due now, at most ``DUE_READ_MAX``. ``oldest_s``: for how long the first has been due."""

    due: int
    is_more: bool
    oldest_s: float


@dataclass(frozen=True, slots=True)
class ReportsState:
    """How the reports answered a small question: after how many milliseconds, or with which problem."""

    latency_ms: float
    as_of: float | None
    problem: str = ""


async def show_operations(visit: Visit) -> Response:
    """Ask each dependency a harmless question and show the answers."""
    portal = visit.parts.portal
    report: Any = None
    if portal is not None:
        from bursar.portal.use_cases.health import health

        report = await health(portal)
    return visit.page(
        "operations.html", health=report, sweeper=await _sweeper(visit.parts.record), reports=await _reports(visit)
    )


async def _sweeper(portal: Portal) -> SweeperState:
    now = portal.clock()
    due = await portal.ledger.due(now, DUE_READ_MAX)
    oldest = min((each.due_at for each in due if each.due_at is not None), default=now)
    return SweeperState(len(due), len(due) >= DUE_READ_MAX, now - oldest)


async def _reports(visit: Visit) -> ReportsState:
    began = time.perf_counter()
    try:
        answer = await visit.parts.reports.sql("SELECT count(*) FROM payment_days")
    except (ReportError, OSError) as error:
        return ReportsState(1000 * (time.perf_counter() - began), None, str(error))
    return ReportsState(1000 * (time.perf_counter() - began), answer.as_of)
