"""The commands ``bursar sql``, ``bursar report`` and ``bursar lake``.

Each command finds its reports in click's context: ``ctx.obj[REPORTS]`` is a function that returns an async context
manager of :class:`bursar.reports.port.PaymentReports`. So only the composition root reads settings.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import BinaryIO, Final, TypeVar

import click

from bursar.clock import iso_ms
from bursar.reports.errors import ReportError
from bursar.reports.named_reports import NamedReport, named_report, named_reports
from bursar.reports.output import FORMATS, TABLE_ROWS_MAX
from bursar.reports.port import PaymentReports
from bursar.reports.sql.answer import SqlAnswer

REPORTS: Final = "reports"

ReportsFactory = Callable[[], AbstractAsyncContextManager[PaymentReports]]
T = TypeVar("T")

_format = click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), default="table", show_default=True, help="The output format."
)


@click.command()
@click.argument("statement")
@_format
@click.pass_context
def sql(ctx: click.Context, statement: str, form: str) -> None:
    """Query all payments in SQL: one SELECT over payments, payment_events and reversals."""
    rows_max = _rows_max(form)
    _print(_run(ctx, lambda reports: reports.sql(statement, rows_max=rows_max, cuts=True)), form)


@click.command()
@click.argument("name", required=False)
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated.")
@click.option("--activity", type=click.File("rb"), help="A Pay.gov activity file (CSV), if the report needs one.")
@click.option(
    "--sql", "show", type=click.Choice(["duckdb", "athena"]), help="Print the SQL for an engine; do not run it."
)
@_format
@click.pass_context
def report(
    ctx: click.Context,
    name: str | None,
    params: tuple[str, ...],
    activity: BinaryIO | None,
    show: str | None,
    form: str,
) -> None:
    """Run a named report. Without NAME, list the reports."""
    if name is None:
        for each in named_reports().values():
            click.echo(_described(each))
        return
    given = _parameters(params)
    try:
        found = named_report(name)
    except ReportError as error:
        raise click.UsageError(str(error)) from error
    if show is not None:
        click.echo(found.sql if show == "duckdb" else found.athena_sql)
        return
    content = None if activity is None else activity.read()
    rows_max = _rows_max(form)

    def work(reports: PaymentReports) -> Awaitable[SqlAnswer]:
        return reports.report(name, given, activity_file=content, rows_max=rows_max, cuts=True)

    _print(_run(ctx, work), form)


@click.group()
def lake() -> None:
    """Write the lake, or prove that it equals the table."""


@lake.command()
@click.pass_context
def write(ctx: click.Context) -> None:
    """Move changes from the table to the lake, and found the lake if there is none."""
    written = _run(ctx, lambda reports: reports.write_lake())
    moved = ", ".join(f"{count} rows of {name}" for name, count in written.rows.items())
    watermark = "now; it is empty" if written.watermark is None else iso_ms(written.watermark)
    click.echo(f"moved {moved}; the lake is complete up to {watermark}")


@lake.command()
@click.pass_context
def verify(ctx: click.Context) -> None:
    """Prove that the lake equals the table, and rebuild what differs.

    They are compared month by month. Exit code 1: they differed.
    """
    found = _run(ctx, lambda reports: reports.verify_lake())
    for line in found.lines():
        click.echo(line)
    if not found.equal:
        raise SystemExit(1)


def _described(each: NamedReport) -> str:
    lines = [f"{each.name}\n    {each.question}"]
    for parameter in each.parameters:
        default = "required" if parameter.default is None else f"default {parameter.default}"
        lines.append(f"    --param {parameter.name}={parameter.kind}  {parameter.meaning} ({default})")
    return "\n".join(lines)


def _parameters(params: tuple[str, ...]) -> Mapping[str, str]:
    given: dict[str, str] = {}
    for param in params:
        name, equals, value = param.partition("=")
        if not equals or not name or name in given:
            raise click.BadParameter(f"must be NAME=VALUE, once per parameter; got {param!r}", param_hint="--param")
        given[name] = value
    return given


def _run(ctx: click.Context, work: Callable[[PaymentReports], Awaitable[T]]) -> T:
    factory: ReportsFactory = ctx.obj[REPORTS]

    has_runaway = False

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


def _rows_max(form: str) -> int | None:
    """Return the number of rows after which an answer is cut: a table is for people, other forms have all rows."""
    return TABLE_ROWS_MAX if form == "table" else None


def _print(answer: SqlAnswer, form: str) -> None:
    click.echo(FORMATS[form](answer), nl=False)
