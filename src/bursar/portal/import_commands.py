"""The command ``bursar import``: bring another portal's records into the payments table.

It works on the record alone (:data:`~bursar.portal.commands.RECORD`): nothing is sent to Pay.gov.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import click

from bursar.portal.commands import RECORD, run_with
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.attention import check_words
from bursar.portal.upkeep.imports.importing import ImportReport, import_rows
from bursar.portal.upkeep.imports.rows import RowReader

REASON = "bursar import"


@click.command("import")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE…",
)
@click.option("--by", required=True, metavar="NAME", help="The person who imports; each event keeps the name.")
@click.option(
    "--client", "clients", multiple=True, metavar="THEIRS=OURS", help="The other portal's name of a client; may repeat."
)
@click.option("--dry-run", is_flag=True, help="Write nothing; report what would be imported.")
@click.pass_context
def import_(ctx: click.Context, files: tuple[Path, ...], by: str, clients: tuple[str, ...], dry_run: bool) -> None:
    """Import another portal's transactions (CSV or JSON lines), as docs/migrating.md maps them.

    It may be repeated: a row that is imported already is not changed. Exit code 1: a row was not imported.
    """
    names = dict(_renamed(each) for each in clients)

    async def work(portal: Portal) -> ImportReport:
        check_words(by, REASON)
        now = portal.clock()
        live_until = now - portal.ledger.due_policy.token_age_max_s - portal.settings.token_grace_s
        reader = RowReader(portal.fees, portal.clients, names, now, live_until)
        rows = chain.from_iterable(reader.rows(path) for path in files)
        with _progress() as advance:
            return await import_rows(
                portal.ledger, rows, portal.fees, by=by.strip(), dry_run=dry_run, on_progress=advance
            )

    report = run_with(ctx, RECORD, work)
    _print(report, dry_run=dry_run)
    if report.problems:
        sys.exit(1)


def _renamed(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.partition("=")
    if not equals or not theirs or not ours:
        raise click.BadParameter(f"must be THEIRS=OURS; got {text!r}", param_hint="--client")
    return theirs, ours


def _print(report: ImportReport, *, dry_run: bool) -> None:
    for line in report.problems:
        click.echo(f"not imported: {line}", err=True)
    for line in report.compare:
        click.echo(f"compare with Pay.gov: {line}")
    verb = "would import" if dry_run else "imported"
    by_status = ", ".join(f"{count} {status}" for status, count in sorted(report.imported.items())) or "none"
    click.echo(f"{report.rows:,} rows: {verb} {report.imported.total():,} attempts ({by_status})")
    click.echo(f"{report.known:,} were imported before; {len(report.problems):,} cannot be imported")
    if report.compare:
        click.echo(f"{len(report.compare):,} were imported as failed and may hide a charge: compare them with Pay.gov")


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """Show the number of imported rows on a terminal."""
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.completed:,.0f} rows"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("rows", total=None)
        yield lambda done: progress.advance(task, done)
