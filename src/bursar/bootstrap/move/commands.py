"""The command ``bursar move``."""

from dataclasses import replace

import click

from bursar.bootstrap.commands import refuse, run_command, settings_from
from bursar.bootstrap.composition import Composition
from bursar.bootstrap.move.moving import SEGMENTS, MoveOptions, MoveRefused, MoveReport
from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown, StoreUnreachable
from bursar.dynamo.tools.moving.changed_keys import ChangesLost


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--copy-only", is_flag=True, help="Copy and catch up, but do not close FROM; run again to switch over.")
@click.option("--reopen", is_flag=True, help="Open FROM again, if TO is not open yet. TO keeps the copy.")
@click.option(
    "--writers-stopped", is_flag=True, help="Every writer of FROM is stopped; for a store that cannot refuse writes."
)
@click.option(
    "--settle-s",
    type=click.FloatRange(min=0),
    metavar="S",
    help="How long FROM must refuse writes before its last changes are read.  [default: 300 for dynamodb:, else 0]",
)
@click.option("--segments", type=click.IntRange(1, 256), default=SEGMENTS, show_default=True, help="Parallel scans.")
def move(
    source: str,
    target: str,
    *,
    copy_only: bool,
    reopen: bool,
    writers_stopped: bool,
    settle_s: float | None,
    segments: int,
) -> None:
    """Move the store FROM to the store TO while the portal runs (docs/moving.md).

    FROM and TO are URLs as in BURSAR_STORE: file:PATH, dynamodb:?region=R or dynamodb+http://HOST:PORT.

    The command copies everything, then the changes since. Then it closes FROM, which refuses every later write, copies
    the last changes, compares both stores, audits them, and opens TO. Portals on FROM answer 503 store_closed until
    BURSAR_STORE names TO.

    Run the same command again if it was interrupted. FROM keeps its data.

    Exit codes: 0 done; 2 the move is refused, and the line says why.
    """
    from bursar.bootstrap.move.stores import opened_move, settle_s_of

    settings = settings_from({})
    options = MoveOptions(segments, settle_s_of(source) if settle_s is None else settle_s, writers_stopped)

    async def run() -> None:
        async with Composition(replace(settings, store=target)) as parts:
            try:
                async with opened_move(parts, source, target, options, lambda line: click.echo(line, err=True)) as both:
                    if reopen:
                        await both.move.reopen()
                        click.echo(f"{source} is open again.")
                        return
                    if await both.move.is_done():
                        both.store_rules()
                        click.echo(f"The move is done: {source} is closed, and {target} is open.")
                        return
                    state = await both.move.copy_and_follow()
                    if copy_only:
                        click.echo(f"{target} has caught up. Run the command without --copy-only to switch over.")
                        return
                    report = await both.move.switch(state)
                    both.store_rules()
                    click.echo(_summary(source, target, report))
            except (MoveRefused, ChangesLost) as refused:
                refuse(str(refused))
            except (DynamoError, StoreOutcomeUnknown, StoreUnreachable) as error:
                refuse(f"{error}; run the same command again to go on")

    run_command(settings, run)


def _summary(source: str, target: str, report: MoveReport) -> str:
    tables = "\n".join(
        f"  {name}: {sums.items} items, checksum {sums.digest:064x} on both sides" for name, sums in report.sums.items()
    )
    return (
        f"{target} is open: {report.copied} items and {report.followed} changes copied, {report.retries} retries, "
        f"closed for {report.closed_s:.1f} s.\n{tables}\n"
        f"Set BURSAR_STORE={target} and start the portals again. {source} stays closed and keeps its data."
    )
