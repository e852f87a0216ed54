"""The command ``bursar restored``: show the restores of the store, clear their mark, mark a restored store.

It takes its parts as the commands of :mod:`bursar.portal.commands` do.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from bursar.clock import iso_ms
from bursar.payments.ledger.store_records.restores import Restores
from bursar.portal.commands import RECORD, run_with
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.restored import clear as clear_restored
from bursar.portal.upkeep.restored import lost_collections, mark_restored


@click.command()
@click.option("--show", is_flag=True, help="List the restores; the default.")
@click.option("--clear", is_flag=True, help="Clear the mark, after comparing the store with Pay.gov's reports.")
@click.option(
    "--activity-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --clear: Pay.gov's activity file since the backup; collections that only Pay.gov has are recorded.",
)
@click.option("--mark", is_flag=True, help="Mark a store that was restored in another way, such as by Amazon.")
@click.option("--by", metavar="NAME", help="With --clear and --mark: the person who decides.")
@click.option("--reason", metavar="TEXT", help="With --clear and --mark: the evidence, or what was done.")
@click.pass_context
def restored(
    ctx: click.Context,
    show: bool,
    clear: bool,
    activity_file: Path | None,
    mark: bool,
    by: str | None,
    reason: str | None,
) -> None:
    """Show the restores of the store; clear their mark; mark a restored store.

    While a mark is open, the portal asks Pay.gov before it starts or completes a payment that may have been made since
    the backup. Exit code 1 while a mark is open.
    """
    if show + clear + mark > 1:
        raise click.UsageError("give one of --show, --clear and --mark")
    if activity_file is not None and not clear:
        raise click.UsageError("--activity-file: must be given together with --clear")
    if (clear or mark) and (by is None or reason is None):
        raise click.UsageError("--by and --reason: must be given with --clear and --mark")
    if mark:
        marked = run_with(ctx, RECORD, lambda portal: mark_restored(portal, by=by or "", reason=reason or ""))
        click.echo(f"The store is marked as restored at {iso_ms(marked.restored_at)}. Restart the portals that run.")
    elif clear:
        charged = [] if activity_file is None else _charged_in(activity_file)
        click.echo(run_with(ctx, RECORD, lambda portal: _clear_restored(portal, by or "", reason or "", charged)))
    else:
        state = run_with(ctx, RECORD, lambda portal: portal.ledger.restores.read())
        click.echo(_restores_text(state))
        if state.open_mark is not None:
            sys.exit(1)


def _charged_in(activity_file: Path) -> list[tuple[str, str]]:
    """Return (agency tracking id, Pay.gov tracking id) of each charge.

    End the command if a line cannot be read, or if a collection is still settling.
    """
    from bursar.reports.reconciliation.lines import LineProblem
    from bursar.reports.reconciliation.mapping import FileMapping
    from bursar.reports.reconciliation.reading import read_file

    charged, undecided = [], []
    for line in read_file(activity_file, 0, FileMapping())[1]:
        if isinstance(line, LineProblem):
            raise click.ClickException(f"{activity_file}, line {line.line}: {line.problem}")
        if line.status not in ("processed", "failed", "returned"):
            undecided.append(line)
        elif line.status == "processed" and line.kind == "charge" and line.agency_id and line.paygov_id:
            charged.append((line.agency_id, line.paygov_id))
    if undecided:
        raise click.ClickException(
            f"{len(undecided)} collections in the file are neither paid nor failed, such as "
            f"{undecided[0].paygov_id} ({undecided[0].status_word}): use a file from after they settled"
        )
    return charged


async def _clear_restored(portal: Portal, by: str, reason: str, charged: Sequence[tuple[str, str]]) -> str:
    lost = await lost_collections(portal, charged)
    cleared = await clear_restored(portal, by=by, reason=reason, lost=lost)
    lines = [f"cleared: restored at {iso_ms(mark.restored_at)} ({mark.way})" for mark in cleared]
    lines += [f"only at Pay.gov: {agency_id} as {paygov_id}" for agency_id, paygov_id in lost]
    if lost:
        lines.append(
            f"{len(lost)} collections are recorded: if their payment is initialized again, it is answered as paid."
        )
    return "\n".join(lines)


def _restores_text(state: Restores) -> str:
    if not state.marks:
        return "The store was never restored."
    lines = []
    for mark in state.marks:
        backup = "an unknown time" if mark.backup_at is None else f"{iso_ms(mark.backup_at)} or later"
        line = f"restored at {iso_ms(mark.restored_at)} ({mark.way}) from a backup of {backup}: "
        if mark.cleared_at is None:
            lines.append(f"{line}THE MARK IS OPEN")
        else:
            lines.append(f"{line}cleared at {iso_ms(mark.cleared_at)} by {mark.cleared_by}: {mark.cleared_reason}")
    lines += [
        f"only at Pay.gov: {each.agency_tracking_id} as {each.paygov_tracking_id}" for each in state.lost.values()
    ]
    return "\n".join(lines)
