"""Run the work of a command over the reports that the composition root makes, and end with one line on an error."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final, TypeVar

import click

from bursar.reports.errors import ReportError
from bursar.reports.fast_arrow import import_arrow
from bursar.reports.port import PaymentReports
from bursar.reports.report_questions import KnownNames, no_names

if TYPE_CHECKING:
    from bursar.reports.athena.engine import AthenaEngine

REPORTS: Final = "reports"
ATHENA: Final = "athena"
LAKE_URL: Final = "lake_url"
EXPORTED_LAKE: Final = "exported_lake"
KNOWN_NAMES: Final = "known_names"

AthenaFactory = Callable[[], AbstractAsyncContextManager["AthenaEngine"]]
ReportsFactory = Callable[[], AbstractAsyncContextManager[PaymentReports]]
T = TypeVar("T")


def known_names(ctx: click.Context) -> Callable[[], KnownNames]:
    """Return the function that returns the fees and clients of this process's files."""
    found: Callable[[], KnownNames] = ctx.obj.get(KNOWN_NAMES, no_names)
    return found


def run(ctx: click.Context, work: Callable[[PaymentReports], Awaitable[T]]) -> T:
    """Return the result of ``work``. A :class:`ReportError` ends the command with its line and exit code 1."""
    factory: ReportsFactory = ctx.obj[REPORTS]
    has_runaway = False
    import_arrow()

    async def within() -> T:
        nonlocal has_runaway
        async with factory() as reports:
            try:
                return await work(reports)
            finally:
                has_runaway = getattr(reports, "has_runaway", False)

    try:
        return asyncio.run(within())
    except ReportError as error:
        if has_runaway:  # a thread still runs the statement, and Python would wait for it
            click.echo(f"Error: {error}", err=True)
            os._exit(1)
        raise click.ClickException(str(error)) from error


def run_athena(ctx: click.Context, work: "Callable[[AthenaEngine], Awaitable[None]]") -> "AthenaEngine":
    """Run ``work`` over Athena, and return the engine with its executions.

    Errors end the command as :func:`run` does.
    """
    factory: AthenaFactory = ctx.obj[ATHENA]

    async def within() -> "AthenaEngine":
        async with factory() as engine:
            await work(engine)
            return engine

    try:
        return asyncio.run(within())
    except ReportError as error:
        raise click.ClickException(str(error)) from error
