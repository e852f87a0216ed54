"""The command ``bursar shards``: show and raise the number of shards of the indexes ``changes`` and ``due``.

It takes its parts as the commands of :mod:`bursar.portal.commands` do.
"""

from typing import Final

import click

from bursar.payments.ledger.store_records.change_shards import CHANGE_SHARDS_MAX
from bursar.payments.records import DUE_SHARDS
from bursar.portal.commands import RECORD, run_with
from bursar.portal.state.portal import Portal

NAME_CHARS_MAX: Final = 100


@click.command()
@click.option(
    "--raise-to",
    type=click.IntRange(2, CHANGE_SHARDS_MAX),
    metavar="N",
    help="Write new events and attempts to N shards from now on.",
)
@click.option("--by", metavar="NAME", help="With --raise-to: the person who decides.")
@click.pass_context
def shards(ctx: click.Context, raise_to: int | None, by: str | None) -> None:
    """Show in how many shards the index `changes` is written, or raise the number permanently.

    The index `due` has as many shards, but at least 8. Each shard can take about 250 card payments a second on Amazon's
    DynamoDB, and makes each read of changes, and of what is due, more expensive. Raise the number only when every
    process runs a version that has this command: an older version reads only the first shard. A process writes to the
    new shards once it is restarted, and reads them at once.
    """
    if raise_to is None:
        click.echo(str(run_with(ctx, RECORD, _present)))
        return
    name = (by or "").strip()
    if not 0 < len(name) <= NAME_CHARS_MAX:
        raise click.UsageError(f"--by: must have 1 to {NAME_CHARS_MAX} characters with --raise-to; got {len(name)}")
    try:
        run_with(ctx, RECORD, lambda portal: portal.ledger.change_shards.raise_to(raise_to, by=name))
    except ValueError as refused:
        raise click.ClickException(str(refused)) from refused
    due = max(raise_to, DUE_SHARDS)
    click.echo(f"The index `changes` has {raise_to} shards, and `due` {due}. Restart the portals that run.")


async def _present(portal: Portal) -> int:
    return (await portal.ledger.change_shards.counts())[-1]
