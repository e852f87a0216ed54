"""The commands ``bursar up``, ``portal``, ``reports``, ``demo`` and ``settings``."""

import asyncio
import logging
import os
import random
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from bursar.bootstrap.composition import Composition
from bursar.settings import SECRET_SETTINGS, SETTINGS, SettingError, Settings, load_settings, setting_text
from bursar.startup import CannotStart

UNUSABLE: Final = 2
DEMO_REPORT: Final = "fees_by_month"
LOG_FORMAT: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def settings_from(flags: Mapping[str, Any]) -> Settings:
    """Return the settings in force. A bad setting ends the command with one line and exit code 2."""
    try:
        return load_settings(flags, os.environ, Path.cwd())
    except SettingError as error:
        refuse(str(error))


def run_command(settings: Settings, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run ``main`` until it ends. If it cannot start, end with one line and exit code 2."""
    import uvloop

    _run_processes(settings, lambda: uvloop.run(main()))


def _run_processes(settings: Settings, main: Callable[[], None]) -> None:
    logging.basicConfig(level=settings.log_level.upper(), format=LOG_FORMAT)
    try:
        main()
    except CannotStart as error:
        refuse(str(error))


def refuse(line: str) -> NoReturn:
    """End the command with one line and exit code 2."""
    click.echo(f"bursar: {line}", err=True)
    sys.exit(UNUSABLE)


_data = click.option(
    "--data", metavar="DIR", help="The folder of the store, the lake and the simulator's books.  [default: data]"
)
_port = click.option("--port", metavar="N", help="The portal's port.  [default: 8080]")


@click.command()
@_port
@click.option("--simulator-port", metavar="N", help="The port of Pay.gov's simulator.  [default: 3366]")
@_data
@click.option("--ach-settle-s", metavar="S", help="Seconds until the simulator settles an ACH debit.  [default: 15]")
@click.option("--demo", is_flag=True, help="If there is no store yet, fill it with a year of made-up payments.")
def up(*, demo: bool, **flags: Any) -> None:
    """Run the portal, Pay.gov's simulator and the pages in one process, until Ctrl-C.

    The data folder keeps everything for the next start.
    """
    from bursar.bootstrap.generate.demo_history import fill_for_demo
    from bursar.bootstrap.up import run_up

    settings = settings_from(flags | {"log_level": os.environ.get("BURSAR_LOG_LEVEL", "warning")})
    if demo:
        _run_processes(settings, lambda: fill_for_demo(settings, click.echo))
    run_command(settings, lambda: run_up(settings, click.echo))


@click.command()
@_port
@click.option("--host", metavar="ADDRESS", help="The portal's address.  [default: 127.0.0.1]")
@_data
@click.option("--auth", metavar="sigv4|none", help="How callers are verified; none: loopback only.  [default: sigv4]")
@click.option("--workers", metavar="N", help="Processes that share the port.  [default: 1]")
def portal(**flags: Any) -> None:
    """Run the portal and its sweeper against the configured store and Pay.gov (docs/settings.md)."""
    from bursar.portal.api.json_logs import log_as_json

    settings = settings_from(flags)
    log_as_json(settings.log_level)  # before logging.basicConfig, because programs read a server's log
    if settings.workers > 1:
        from bursar.bootstrap.portal_workers import run_portal_workers

        _run_processes(settings, lambda: run_portal_workers(settings, click.echo))
        return
    from bursar.bootstrap.up import run_portal

    run_command(settings, lambda: run_portal(settings, click.echo))


@click.command()
@click.option("--port", "dashboard_port", metavar="N", help="The dashboard's port.  [default: 8081]")
@click.option("--host", metavar="ADDRESS", help="The dashboard's address.  [default: 127.0.0.1]")
@_data
def dashboard(**flags: Any) -> None:
    """Serve the dashboard alone, beside a portal that uses the same store (docs/dashboard.md).

    Its pages only read. The portal's own pages offer the actions.
    """
    from bursar.bootstrap.parts.dashboard import run_dashboard

    settings = settings_from(flags)
    run_command(settings, lambda: run_dashboard(settings, click.echo))


@click.command()
@_data
@click.option(
    "--until-stdin-closes", is_flag=True, help="End when standard input is closed, such as by the end of the parent."
)
@click.option(
    "--log", type=click.Choice(["text", "json"]), default="text", show_default=True, help="The form of the log."
)
def reports(until_stdin_closes: bool, log: str, **flags: Any) -> None:
    """Serve SQL over every payment to the other processes of this machine, and write the lake.

    `bursar up` and `bursar portal` start it. It answers on a Unix socket in the data folder.
    """
    from bursar.bootstrap.reports_process import run_reports

    settings = settings_from(flags)
    if log == "json":
        from bursar.portal.api.json_logs import log_as_json

        log_as_json(settings.log_level)
    logging.basicConfig(level=settings.log_level.upper(), format=LOG_FORMAT)
    try:
        code = asyncio.run(run_reports(settings, until_stdin_closes=until_stdin_closes))
    except CannotStart as error:
        refuse(str(error))
    logging.shutdown()
    os._exit(code)  # everything is closed; a normal exit would let DuckDB's binding print its leaked objects


@click.command()
@click.option(
    "--payments", "count", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="Number of payments."
)
@click.option("--portal-url", default="http://127.0.0.1:8080", show_default=True, help="The portal of `bursar up`.")
@click.option(
    "--simulator-url", default="http://127.0.0.1:3366", show_default=True, help="The simulator of `bursar up`."
)
@click.option("--seed", type=int, help="With the same seed, make the same payments.  [default: random]")
@_data
def demo(count: int, portal_url: str, simulator_url: str, seed: int | None, data: str | None) -> None:
    """Make payments against a running `bursar up`, then print payments by fee type and month.

    Payers pay by card, bank account or PayPal. Some payments are declined, and some payers leave without paying.
    """
    settings = settings_from({"data": data})
    run_command(settings, lambda: _demo(settings, count, portal_url.rstrip("/"), simulator_url.rstrip("/"), seed))


async def _demo(settings: Settings, count: int, portal_url: str, simulator_url: str, seed: int | None) -> None:
    import duckdb  # noqa: F401 - the report at the end needs it: without it, fail before the first payment
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from bursar.bootstrap.demo import DemoFailed, make_payments
    from bursar.reports.named_reports import named_report
    from bursar.reports.output.table import as_table

    columns = (TextColumn("payments"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns) as progress:
            task = progress.add_task("payments", total=count)
            made = await make_payments(
                count, portal_url, simulator_url, random.Random(seed), lambda: progress.advance(task)
            )
    except DemoFailed as error:
        refuse(str(error))
    outcomes = ", ".join(f"{number} {status}" for status, number in sorted(made.statuses.items()))
    click.echo(f"{outcomes or 'none completed'}; {made.walked_away} walked away\n")
    async with Composition(settings, creates_store=False) as parts:
        answer = await (await parts.reports()).report(DEMO_REPORT)
        click.echo(as_table(answer, subject=named_report(DEMO_REPORT).subject({})))


@click.command()
@_data
def settings(**flags: Any) -> None:
    """List every setting with its present value and its meaning."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    chosen = settings_from(flags)
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("setting", "value", "meaning"):
        table.add_column(column, overflow="fold")
    for name, each in SETTINGS.items():
        value = getattr(chosen, name)
        shown = "(set)" if name in SECRET_SETTINGS and value else "" if value is None else setting_text(value)
        table.add_row(f"BURSAR_{name.upper()}", shown, each.metadata["meaning"])
    Console(soft_wrap=False).print(table)
