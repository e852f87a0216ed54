"""``bursar reports``: the process that answers questions about all payments, and its supervisor in the portal.

    portal ── keeps ──► reports process: follows the store, answers over a Unix socket, writes the lake
       └──── asks ────► its socket, and so do `bursar sql`, `report` and `lake`

A query never runs in the portal's process, so payments do not wait for it, and a query that cannot be stopped ends only
the reports process. Where payments and queries compete for the processor, payments get it first. One process serves a
socket; other portals wait until it has ended.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Coroutine
from importlib import import_module
from typing import Final

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.parts.reports_socket import reports_socket, upkeep_path
from bursar.bootstrap.serving import background, until_stopped
from bursar.clock import Clock
from bursar.reports.errors import LakeBusy, ReportError
from bursar.reports.lake.upkeep import UpkeepFile
from bursar.reports.port import PaymentReports
from bursar.reports.server.client import RemoteReports
from bursar.settings import ENVIRONMENT_PREFIX, SETTINGS, Settings, setting_text
from bursar.startup import CannotStart

ALREADY_SERVED: Final = 3
"""The exit code of a reports process if another process serves its socket."""
RUNAWAY: Final = 75
"""The exit code after a statement that could not be stopped."""
RESTART_PAUSE_S: Final = 0.5
STOP_TIMEOUT_S: Final = 20.0
VERIFY_CHECK_S: Final = 60.0
"""The time between two checks of whether a verification is due."""
VERIFY_RETRY_S: Final = 900.0
"""The pause after a verification that failed, which may have read all payments."""

_log = logging.getLogger(__name__)


async def run_reports(settings: Settings, *, until_stdin_closes: bool) -> int:
    """Serve reports until a signal, and write the lake when it is due. Return the exit code.

    Raises:
        CannotStart: the store cannot be opened, or the socket cannot be bound.
    """
    from bursar.reports.server.memory_limit import allocate_as_needed, limit_memory
    from bursar.reports.server.priority import lower_priority
    from bursar.reports.server.server import AlreadyServed, served

    lower_priority()
    allocate_as_needed()
    async with Composition(settings, creates_store=False) as parts:
        reports = await parts.reports()
        _load_libraries()
        limit_memory()
        try:
            async with (
                served(reports, reports_socket(settings), _end),
                background([ask_once(reports), *lake_tasks(reports, settings, parts.clock)]),
            ):
                await until_stopped(sys.stdin.fileno() if until_stdin_closes else None)
        except AlreadyServed as error:
            _log.info("%s", error)
            return ALREADY_SERVED
        except OSError as error:
            raise CannotStart(f"the reports process: {error}") from error
    return 0


async def ask_once(reports: PaymentReports) -> None:
    """Run a query and drop its answer. The changes are then read already when the first caller asks."""
    try:
        await reports.sql("SELECT status FROM payments LIMIT 0")
    except (ReportError, OSError) as error:
        _log.warning("the first question failed: %s", error)  # the first caller gets the error or an answer


async def write_lake_when_due(reports: PaymentReports, interval_s: float) -> None:
    """Move changes into the lake every ``interval_s``, if they are many or old. Queries do not wait long for it."""
    while True:
        await asyncio.sleep(interval_s)
        try:
            await reports.write_lake(only_if_due=True)
        except LakeBusy:
            continue  # another process is writing the lake
        except (ReportError, OSError) as error:
            _log.error("writing the lake failed: %s", error)


async def verify_lake_when_due(reports: PaymentReports, upkeep: UpkeepFile, clock: Clock, interval_s: float) -> None:
    """Verify the lake every ``interval_s``, and repair what differs.

    The time of the last verification is kept over restarts.
    """
    pause_s = check_s = min(VERIFY_CHECK_S, interval_s)
    while True:
        await asyncio.sleep(pause_s)
        pause_s = check_s
        if not upkeep.read().is_due(clock(), interval_s):
            continue
        try:
            found = await reports.verify_lake()
        except (ReportError, OSError) as error:
            _log.error("verifying the lake failed: %s", error)
            pause_s = max(check_s, min(VERIFY_RETRY_S, interval_s))
            continue
        if not found.equal:
            _log.error("the lake was repaired:\n%s", "\n".join(found.lines()), extra={"alert": "lake differs"})


def lake_tasks(
    reports: PaymentReports, settings: Settings, clock: Clock
) -> "tuple[Coroutine[None, None, None], Coroutine[None, None, None]]":
    """Return the background work of the process that keeps the lake: write it, and verify it."""
    upkeep = UpkeepFile(upkeep_path(settings))
    return (
        write_lake_when_due(reports, settings.lake_interval_s),
        verify_lake_when_due(reports, upkeep, clock, settings.lake_verify_interval_s),
    )


async def keep_reports_process(settings: Settings, *, logs_json: bool) -> None:
    """Run a reports process, and start another one when it ends, unless another portal's process serves the socket."""
    remote = RemoteReports(reports_socket(settings), start_wait_s=0.0)
    while True:
        if not await remote.is_served():
            code = await _run_process(settings, "json" if logs_json else "text")
            if code not in (0, ALREADY_SERVED):
                _log.warning("the reports process ended with code %s and is started again", code)
        await asyncio.sleep(RESTART_PAUSE_S)


async def _run_process(settings: Settings, log: str) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bursar", "reports", "--until-stdin-closes", "--log", log),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        env=environment_of(settings),
        # Ctrl-C is for the portal, which closes stdin at its end.
        start_new_session=True,
    )
    try:
        return await process.wait()
    except asyncio.CancelledError:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
        raise


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment that gives another process these settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
    for name in SETTINGS:
        value = getattr(settings, name)
        if value is not None:
            kept[f"{ENVIRONMENT_PREFIX}{name.upper()}"] = setting_text(value)
    return kept


def _load_libraries() -> None:
    """Load all libraries that answers need, so that the memory limit counts only what queries add."""
    for name in ("duckdb", "pyarrow.compute", "pyarrow.parquet", "pyiceberg.table"):
        import_module(name)


def _end() -> None:
    os._exit(RUNAWAY)
