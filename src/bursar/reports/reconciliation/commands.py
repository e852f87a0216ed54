"""The command ``bursar reconcile``: compare activity files with the payments, and list, show and sign off the runs.

``ctx.obj[RECONCILIATION]`` is a function that returns an async context manager of a :class:`ReconciliationParts`.
Exit codes: 0 the files agree; 1 they differ, or something could not be recorded; 2 bad usage.
"""

import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from bursar.clock import Clock, iso_ms
from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown, StoreUnreachable
from bursar.payments.catalogue.clients import Clients
from bursar.payments.errors import LedgerBusy
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.ledger.store_records.reconciliations import ReconciliationRun, SignOff
from bursar.reports.errors import ReportError
from bursar.reports.port import PaymentReports
from bursar.reports.reconciliation.applying import Applied, apply
from bursar.reports.reconciliation.mapping import FileMapping, load_mapping
from bursar.reports.reconciliation.our_payments import ReportedPayments
from bursar.reports.reconciliation.run import FileDays, reconciled
from bursar.reports.reconciliation.text import run_lines

RECONCILIATION: Final = "reconciliation"
PERSON_CHARS_MAX: Final = 500
RUN: Final = "run"
T = TypeVar("T")


@dataclass(frozen=True)
class ReconciliationParts:
    """The objects that the command uses."""

    reports: PaymentReports
    ledger: Ledger
    clients: Clients
    clock: Clock


class _FilesOrCommand(click.Group):
    """A group whose arguments are files unless the first one names a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. If they are files, parse them as arguments of ``run``."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = [RUN, *args]
        return super().parse_args(ctx, args)


@click.group(cls=_FilesOrCommand)
def reconcile() -> None:
    """Compare Pay.gov's activity files with the payments, as in `bursar reconcile FILE`.

    `bursar reconcile run --help` lists the options. docs/reconciliation.md says what to do for each class.
    """


def _day(_context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else date.fromisoformat(value).isoformat()
    except ValueError:
        raise click.BadParameter(f"must be a date such as 2026-11-29; got {value!r}", param=option) from None


def _words(_context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not 0 < len(value.strip()) <= PERSON_CHARS_MAX:
        raise click.BadParameter(f"must have 1 to {PERSON_CHARS_MAX} characters", param=option)
    return value and value.strip()


_path = click.Path(exists=True, dir_okay=False, path_type=Path)
_format = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="The output."
)


@reconcile.command(RUN)
@click.argument("files", nargs=-1, required=True, type=_path, metavar="FILE…")
@click.option(
    "--mapping", "mapping_file", type=_path, help="How the files are read (TOML).  [default: Pay.gov's names]"
)
@click.option("--from", "first", metavar="DATE", callback=_day, help="First day that the files cover, New York.")
@click.option("--to", "last", metavar="DATE", callback=_day, help="Last day that the files cover.")
@click.option("--dry-run", is_flag=True, help="Compare and print only: keep no run, record nothing.")
@click.option("--apply", "applies", is_flag=True, help="Record what the files prove: reversals, and unknown outcomes.")
@click.option("--by", metavar="NAME", callback=_words, help="The person who runs it.  [default: the login name]")
@_format
@click.pass_context
def run(
    ctx: click.Context,
    files: tuple[Path, ...],
    mapping_file: Path | None,
    first: str | None,
    last: str | None,
    dry_run: bool,
    applies: bool,
    by: str | None,
    form: str,
) -> None:
    """Compare the files with the payments, and keep the run. Exit code 1: there are differences.

    A payment counts as missing in the files only on the days that they cover: by default, the days of their lines.
    """
    if (first is None) != (last is None):
        raise click.UsageError("--from and --to: must be given together")
    if applies and (dry_run or by is None):
        raise click.UsageError("--apply: must be given with --by, and without --dry-run")
    period = FileDays(first, last) if first is not None and last is not None else None
    person = by or getpass.getuser()

    async def work(parts: ReconciliationParts) -> bool:
        mapping = FileMapping() if mapping_file is None else load_mapping(mapping_file)
        found = await reconciled(files, mapping, ReportedPayments(parts.reports), period=period)
        with found as result:
            applied = await apply(result, parts.ledger, parts.clients, by=person) if applies else Applied()
            run_id = parts.ledger.reconciliations.new_id()
            made = result.run(run_id=run_id, at=parts.clock(), by=person, applied=applied.counts)
            if not dry_run:
                await parts.ledger.reconciliations.keep(made, result.rows(kept=made.kept))
            _print(form, made, None, result.rows(kept=made.kept))
            for line in applied.refused:
                click.echo(f"not recorded: {line}", err=True)
            if not dry_run and form == "text":
                click.echo(f"\nkept as run {made.run_id}")
            return result.agrees and not applied.refused

    if not _run(ctx, work):
        sys.exit(1)


@reconcile.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Runs to list, newest first.")
@click.pass_context
def list_runs(ctx: click.Context, limit: int) -> None:
    """List the runs, newest first. Exit code 1: a run with differences is not signed off."""
    runs = _run(ctx, lambda parts: parts.ledger.reconciliations.runs())
    for each, signed in runs[:limit]:
        state = "agrees" if not each.differences else f"{each.differences:,} differences"
        if signed is not None:
            state += f", signed off by {signed.by}"
        names = ", ".join(file.name for file in each.files)
        click.echo(f"{each.run_id}  {iso_ms(each.at)}  {each.by}  {names}  {state}")
    if not runs:
        click.echo("There is no run.")
    if any(each.differences and signed is None for each, signed in runs):
        sys.exit(1)


@reconcile.command()
@click.argument("run_id", metavar="RUN")
@_format
@click.pass_context
def show(ctx: click.Context, run_id: str, form: str) -> None:
    """Show the files, totals and differences that were stored with RUN."""

    async def work(parts: ReconciliationParts) -> tuple[ReconciliationRun, SignOff | None, list[Mapping[str, Any]]]:
        found, signed = await _known(parts.ledger.reconciliations.find(run_id))
        return found, signed, [row async for row in parts.ledger.reconciliations.rows(run_id)]

    found, signed, rows = _run(ctx, work)
    _print(form, found, signed, rows)


@reconcile.command("sign-off")
@click.argument("run_id", metavar="RUN")
@click.option("--by", required=True, metavar="NAME", callback=_words, help="The person who signs off.")
@click.option("--reason", required=True, metavar="TEXT", callback=_words, help="How the differences are settled.")
@click.pass_context
def sign_off(ctx: click.Context, run_id: str, by: str, reason: str) -> None:
    """State that the differences of RUN are settled. A run can be signed off once."""
    _run(ctx, lambda parts: _known(parts.ledger.reconciliations.sign_off(run_id, by=by, reason=reason)))
    click.echo(f"{run_id} is signed off.")


def _print(form: str, made: ReconciliationRun, signed: SignOff | None, rows: Iterable[Mapping[str, Any]]) -> None:
    if form == "text":
        for line in run_lines(made, signed, rows):
            click.echo(line)
        return
    whole = {**asdict(made), "at": iso_ms(made.at), "signed_off": None if signed is None else asdict(signed)}
    listed = list(rows)
    whole["by_day"] = [_without_row(row) for row in listed if row["row"] == "total"]
    whole["difference_rows"] = [_without_row(row) for row in listed if row["row"] == "difference"]
    click.echo(json.dumps(whole, indent=2, ensure_ascii=False))


def _without_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "row"}


async def _known(work: Awaitable[T]) -> T:
    """Return the result of ``work``.

    An unknown run, or one that is signed off already, ends the command with one line.
    """
    try:
        return await work
    except (LookupError, ValueError) as refused:
        raise click.ClickException(str(refused)) from None


def _run(ctx: click.Context, work: Callable[[ReconciliationParts], Awaitable[T]]) -> T:
    factory: Callable[[], AbstractAsyncContextManager[ReconciliationParts]] = ctx.obj[RECONCILIATION]

    async def within() -> T:
        async with factory() as parts:
            return await work(parts)

    try:
        return asyncio.run(within())
    except (ReportError, LedgerBusy, DynamoError, StoreUnreachable, StoreOutcomeUnknown) as error:
        raise click.ClickException(str(error)) from error
