"""``bursar report --engine athena``: the same report, its forms and its chart, answered by Amazon Athena.

Athena sees the lake alone, so the answer holds as of the lake's watermark. Each statement is billed by the bytes that
it scans, which are printed on standard error.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from bursar.reports.athena.engine import AthenaEngine
from bursar.reports.athena.statement import AthenaStatement, athena_statement
from bursar.reports.command_line.output_files import output_file
from bursar.reports.command_line.plot_files import CHART_ROWS_MAX, write_chart
from bursar.reports.command_line.runs import known_names, run_athena
from bursar.reports.named_reports import NamedReport
from bursar.reports.output.forms import TABLE, write_stream
from bursar.reports.output.table import TABLE_ROWS_MAX, as_table
from bursar.reports.report_parameters import CLIENT, EVERY, FEE
from bursar.reports.report_questions import KnownNames, check_names

_NAMES: Final = AthenaStatement(
    "SELECT DISTINCT 'FEE' AS kind, fee AS name FROM payments "
    "UNION ALL SELECT DISTINCT 'CLIENT', client FROM payments ORDER BY 1, 2",
    (),
    (),
)


@dataclass(frozen=True, slots=True)
class ReportOutput:
    """The form of an answer, its file (None: standard output), and a chart with its theme."""

    form: str
    path: Path | None
    plot: Path | None
    theme: str


def report_on_athena(ctx: click.Context, found: NamedReport, given: Mapping[str, str], output: ReportOutput) -> None:
    """Run a report on Athena, write it, and print what Athena scanned on standard error."""

    async def work(engine: AthenaEngine) -> None:
        bound = found.bind(given, engine.clock())
        await _check(engine, found, bound, known_names(ctx))
        await _write(engine, found, athena_statement(found, bound), given, output)

    engine = run_athena(ctx, work)
    scanned = sum(execution.bytes_scanned for execution in engine.executions)
    seconds = sum(execution.seconds for execution in engine.executions)
    count = len(engine.executions)
    click.echo(
        f"Athena scanned {scanned:,} bytes in {seconds:.1f} s, in {count} statements; "
        f"the report is {engine.executions[-1].id}",
        err=True,
    )


async def _check(
    engine: AthenaEngine, found: NamedReport, bound: Mapping[str, str], known: Callable[[], KnownNames]
) -> None:
    """Raise ``BadParameter`` for an unknown fee or client. Athena is asked only about a name that no file has."""
    named = {each.kind: bound[each.name] for each in found.parameters if each.kind in (FEE, CLIENT)}
    files = known()
    if all(value == EVERY or value in (files.fees if kind == FEE else files.clients) for kind, value in named.items()):
        return
    check_names(found, bound, await engine.answer(_NAMES, rows_max=CHART_ROWS_MAX), known)


async def _write(
    engine: AthenaEngine, found: NamedReport, statement: AthenaStatement, given: Mapping[str, str], output: ReportOutput
) -> None:
    subject = found.subject(given)
    if output.plot is not None:
        answer = await engine.answer(statement, rows_max=CHART_ROWS_MAX)
        write_chart(found, answer, output.plot, output.theme)
    if output.form == TABLE:
        answer = await engine.answer(statement, rows_max=TABLE_ROWS_MAX, cuts=True)
        with output_file(output.path) as file:
            file.write(as_table(answer, subject=subject).encode())
        return
    async with engine.stream(statement) as stream:
        with output_file(output.path) as file:
            await write_stream(stream, output.form, file, subject)
