"""The progress of an export that the person has begun, and its stop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.responses import Response

from bursar.dashboard.exports.progress import ExportRun
from bursar.dashboard.visit import PageError, Visit

RUN: Final = "run"
"""The parameter of an export's URL or form that names its run."""
LOOKS_BEFORE_BEGIN_MAX: Final = 30
"""The most times that a page asks for an export that has not begun yet."""


async def begun(visit: Visit, count: Callable[[], Awaitable[int]] | None = None) -> ExportRun | None:
    """Record that the export of this request begins, with ``count`` rows. Return None if the request has no run id."""
    run = visit.request.query_params.get(RUN, "") or visit.field(RUN)
    if not run:
        return None
    total = None if count is None else await count()
    return await asyncio.to_thread(visit.site.exports.begin, visit.account, run, total)


async def show_progress(visit: Visit) -> Response:
    """Show the progress of the export. The page asks again until the export has ended."""
    run = visit.request.path_params[RUN]
    progress = await asyncio.to_thread(visit.site.exports.progress, visit.account, run)
    looks = visit.number("looks") or 0
    if progress is None and looks >= LOOKS_BEFORE_BEGIN_MAX:
        raise PageError(404, "errors.not_found")
    again = [] if progress is not None else [("looks", str(looks + 1))]
    return visit.page(
        "export_progress.html", run=run, progress=progress, again=visit.path("export_progress", again, run=run)
    )


async def stop_export(visit: Visit) -> Response:
    """Stop the export, and show its progress."""
    run = visit.request.path_params[RUN]
    if await asyncio.to_thread(visit.site.exports.stop, visit.account, run):
        await visit.log("changed", "export", change="stop", run=run)
    return visit.redirect(visit.path("export_progress", run=run), whole_page=False)
