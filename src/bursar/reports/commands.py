"""The commands ``bursar sql``, ``bursar report`` and ``bursar lake``.

Each command finds its reports in click's context: ``ctx.obj[REPORTS]`` is a function that returns an async context
manager of :class:`bursar.reports.port.PaymentReports`. So only the composition root reads settings.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO

import click

from bursar.clock import iso_ms, system_clock
from bursar.reports.command_line.output_files import output_file, refuse_terminal
from bursar.reports.command_line.plot_files import CHART_ROWS_MAX, write_chart
from bursar.reports.command_line.runs import EXPORTED_LAKE, LAKE_URL, known_names, run
from bursar.reports.errors import BadParameter, NoSuchReport, ReportError
from bursar.reports.named_reports import NamedReport, named_report, named_reports
from bursar.reports.output.forms import FORMS, TABLE, write_stream
from bursar.reports.output.head import NO_SUBJECT, Subject
from bursar.reports.output.table import TABLE_ROWS_MAX, as_table
from bursar.reports.port import PaymentReports, WrittenLake
from bursar.reports.report_parameters import month_days, past_instant
from bursar.reports.report_questions import report_question
from bursar.reports.schema_text import schema_text
from bursar.reports.sql.answer import Question
from bursar.reports.sql.splitting import split_statements

if TYPE_CHECKING:
    from bursar.reports.exported_lake import ExportedLake
    from bursar.reports.reports import Written

SEVERAL: Final = (TABLE, "csv", "json", "jsonl")
"""The forms in which several answers can follow each other."""

_form = click.option(
    "--format", "form", type=click.Choice(list(FORMS)), default=TABLE, show_default=True, help="The output format."
)
_output = click.option(
    "--output", "path", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file, not to standard output."
)
_as_of = click.option(
    "--as-of",
    "instant",
    metavar="INSTANT",
    callback=lambda ctx, parameter, text: None if text is None else _instant(text),
    help="Ask about the past: the end of a day in New York (2026-10-31), or 2026-10-31T17:00:00-04:00.",
)


@click.command()
@click.argument("statement", required=False)
@click.option(
    "--file",
    "source",
    type=click.File("r", encoding="utf-8"),
    help="Read the statements from a file; - is standard input.",
)
@click.option("--schema", is_flag=True, help="Print the tables and their columns.")
@_as_of
@_form
@_output
@click.pass_context
def sql(
    ctx: click.Context,
    statement: str | None,
    source: TextIO | None,
    schema: bool,
    instant: float | None,
    form: str,
    path: Path | None,
) -> None:
    """Query all payments in SQL: SELECTs over the tables that --schema prints, separated by semicolons.

    Without a statement, it reads standard input; at a terminal it is a prompt with history and completion.
    """
    if schema:
        click.echo(schema_text(), nl=False)
        return
    if statement is not None and source is not None:
        raise click.UsageError("the statement: must be an argument or --file, not both")
    refuse_terminal(form, path)
    if statement is None and source is None and sys.stdin.isatty():
        run(ctx, lambda reports: _prompt(reports, instant))
        return
    text = statement if statement is not None else (source or sys.stdin).read()
    statements = split_statements(text)
    if len(statements) > 1 and form not in SEVERAL:
        several = ", ".join(SEVERAL)
        raise click.UsageError(f"--format {form}: must be {several} for {len(statements)} statements")
    run(ctx, lambda reports: _write(reports, [Question(each, as_of=instant) for each in statements], form, path))


async def _prompt(reports: PaymentReports, instant: float | None) -> None:
    from bursar.reports.command_line.sql_prompt import run_prompt

    async def ask(text: str) -> str:
        [answer] = await reports.answers([Question(text, rows_max=TABLE_ROWS_MAX, cuts=True, as_of=instant)])
        return as_table(answer)

    await run_prompt(ask)


@click.command()
@click.argument("name", required=False)
@click.option("--from", "since", metavar="DAY", help="The first day, in New York: 2026-10-01, or -90 for 90 days ago.")
@click.option("--to", "until", metavar="DAY", help="The last day.")
@click.option("--month", metavar="YYYY-MM", help="A whole month, instead of --from and --to.")
@click.option("--fee", metavar="KEY", help="Only this fee.")
@click.option("--client", metavar="NAME", help="Only this client.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="Another parameter; may be repeated.")
@click.option(
    "--sql", "show", type=click.Choice(["duckdb", "athena"]), help="Print the SQL for an engine; do not run it."
)
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="Also draw the report: FILE.svg or FILE.png."
)
@click.option(
    "--theme", type=click.Choice(["light", "dark"]), default="light", show_default=True, help="The chart's colors."
)
@click.option(
    "--engine",
    type=click.Choice(["duckdb", "athena"]),
    default="duckdb",
    show_default=True,
    help="The engine that answers: Amazon Athena sees only the lake.",
)
@_as_of
@_form
@_output
@click.pass_context
def report(
    ctx: click.Context,
    name: str | None,
    since: str | None,
    until: str | None,
    month: str | None,
    fee: str | None,
    client: str | None,
    params: tuple[str, ...],
    show: str | None,
    plot: Path | None,
    theme: str,
    engine: str,
    instant: float | None,
    form: str,
    path: Path | None,
) -> None:
    """Run a named report. Without NAME, list the reports."""
    if name is None:
        for each in named_reports().values():
            click.echo(_described(each))
        return
    try:
        found = named_report(name)
        given = _given(params, {"since": since, "until": until, "fee": fee, "client": client}, month)
    except (NoSuchReport, BadParameter) as error:
        raise click.UsageError(str(error)) from error
    if show is not None:
        click.echo(found.sql if show == "duckdb" else _athena_text(found, given))
        return
    refuse_terminal(form, path)
    if engine == "athena":
        if instant is not None:
            raise click.UsageError("--as-of: must not be given with --engine athena, which has the lake's state alone")
        from bursar.reports.command_line.athena_report import ReportOutput, report_on_athena

        report_on_athena(ctx, found, given, ReportOutput(form, path, plot, theme))
        return

    async def work(reports: PaymentReports) -> None:
        question = await report_question(reports, name, given, known=known_names(ctx), as_of=instant)
        if plot is not None:
            [answer] = await reports.answers([replace(question, rows_max=CHART_ROWS_MAX)])
            write_chart(found, answer, plot, theme)
        await _write(reports, [question], form, path, found.subject(given))

    run(ctx, work)


@click.group()
def lake() -> None:
    """Write the lake, or prove that it equals the table."""


@lake.command()
@click.pass_context
def write(ctx: click.Context) -> None:
    """Move changes from the table to the lake, and build the lake if there is none."""
    click.echo(_moved(run(ctx, lambda reports: reports.write_lake())))


_export = click.option(
    "--from-export",
    "place",
    required=True,
    metavar="FOLDER|s3://…",
    help="The folder of the export, which has manifest-summary.json: PREFIX/AWSDynamoDB/ID.",
)


@lake.command("build")
@_export
@click.pass_context
def build_lake(ctx: click.Context, place: str) -> None:
    """Build the lake from a full export of the table to S3. The store is not read."""
    click.echo(_moved(_run_exported(ctx, lambda lake: lake.build(place))))


@lake.command("follow")
@_export
@click.pass_context
def follow_lake(ctx: click.Context, place: str) -> None:
    """Add the changes of an incremental export of the table to the lake. The store is not read."""
    click.echo(_moved(_run_exported(ctx, lambda lake: lake.follow(place))))


def _run_exported(ctx: click.Context, work: "Callable[[ExportedLake], Coroutine[Any, Any, Written]]") -> "Written":
    try:
        return asyncio.run(work(ctx.obj[EXPORTED_LAKE]()))
    except ReportError as error:
        raise click.ClickException(str(error)) from error


@lake.command()
@click.pass_context
def verify(ctx: click.Context) -> None:
    """Prove that the lake equals the table, and rebuild what differs.

    They are compared month by month. Exit code 1: they differed.
    """
    found = run(ctx, lambda reports: reports.verify_lake())
    for line in found.lines():
        click.echo(line)
    if not found.equal:
        raise SystemExit(1)


@lake.command()
@click.option(
    "--for",
    "target",
    type=click.Choice(["glue", "athena", "trino"]),
    default="glue",
    show_default=True,
    help="glue: arguments of CreateTable, a line each; athena: the views; trino: statements that register the tables.",
)
@click.pass_context
def ddl(ctx: click.Context, target: str) -> None:
    """Print the definitions of the lake's tables as they are, for another catalog (docs/athena.md)."""
    from bursar.reports.athena.statement import view_statements
    from bursar.reports.lake.definitions import definitions, glue_text, trino_text
    from bursar.reports.lake.lake import Lake

    if target == "athena":
        click.echo(view_statements())
        return
    try:
        found = definitions(Lake.at(ctx.obj[LAKE_URL]()))
    except ReportError as error:
        raise click.ClickException(str(error)) from error
    click.echo(glue_text(found) if target == "glue" else trino_text(found))


def _moved(written: WrittenLake) -> str:
    moved = ", ".join(f"{count} rows of {name}" for name, count in written.rows.items()) or "nothing"
    watermark = "now; it is empty" if written.watermark is None else iso_ms(written.watermark)
    return f"moved {moved}; the lake is complete up to {watermark}"


def _instant(text: str) -> float:
    try:
        return past_instant(text)
    except BadParameter as error:
        raise click.UsageError(str(error)) from error


def _described(each: NamedReport) -> str:
    lines = [f"{each.name}\n    {each.question}"]
    for parameter in each.parameters:
        default = "required" if parameter.default is None else f"default {parameter.default}"
        lines.append(f"    --param {parameter.name}={parameter.kind}  {parameter.meaning} ({default})")
    return "\n".join(lines)


def _athena_text(found: NamedReport, given: Mapping[str, str]) -> str:
    """Return the report for Athena, with its execution parameters as comments. Raises a usage error."""
    from bursar.reports.athena.statement import athena_statement

    try:
        statement = athena_statement(found, found.bind(given, system_clock()))
    except BadParameter as error:
        raise click.UsageError(str(error)) from error
    values = zip(statement.names, statement.parameters, strict=True)
    lines = [f"-- {place}. {name}: {value}" for place, (name, value) in enumerate(values, start=1)]
    return "\n".join(["-- Execution parameters, in the order of the question marks:", *lines, "", statement.text])


def _given(params: tuple[str, ...], flags: Mapping[str, str | None], month: str | None) -> dict[str, str]:
    """Return the parameters by name. Raise :class:`BadParameter` for one that is given twice."""
    pairs: list[tuple[str, str]] = [(name, value) for name, value in flags.items() if value is not None]
    if month is not None:
        pairs += zip(("since", "until"), month_days(month), strict=True)
    for param in params:
        name, equals, value = param.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"must be NAME=VALUE; got {param!r}", param_hint="--param")
        pairs.append((name, value))
    given = dict(pairs)
    if len(given) < len(pairs):
        twice = next(name for name in given if [each for each, _ in pairs].count(name) > 1)
        raise BadParameter(f"{twice}: must be given once")
    return given


async def _write(
    reports: PaymentReports,
    questions: Sequence[Question],
    form: str,
    path: Path | None,
    subject: Subject = NO_SUBJECT,
) -> None:
    """Write one answer after another, with an empty line between two tables or CSV files. The first error ends this."""
    with output_file(path) as file:
        for number, question in enumerate(questions):
            if number > 0 and form in (TABLE, "csv"):
                file.write(b"\n")
            await _write_one(reports, question, form, file, subject)


async def _write_one(reports: PaymentReports, question: Question, form: str, file: BinaryIO, subject: Subject) -> None:
    """Write an answer: a table has a limit of rows, the other forms have all rows and are streamed."""
    if form == TABLE:
        [answer] = await reports.answers([replace(question, rows_max=TABLE_ROWS_MAX, cuts=True)])
        file.write(as_table(answer, subject=subject).encode())
        return
    async with reports.stream(question) as stream:
        await write_stream(stream, form, file, subject)
