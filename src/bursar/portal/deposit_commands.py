"""The command ``bursar deposit``: the payments that a deposit ticket of the Treasury holds.

It works on the record alone (:data:`~bursar.portal.commands.RECORD`): nothing is sent to Pay.gov.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final

import click

from bursar.payments.deposits import DepositReport
from bursar.payments.errors import DepositDiffers
from bursar.payments.records import ZERO
from bursar.payments.status import NoSuchEdge
from bursar.portal.commands import RECORD, run_with
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.attention import known_attempt

NAME_CHARS_MAX: Final = 100
"""The most characters of a ticket's number and of an operator's name."""


@click.command()
@click.argument("attempts", nargs=-1, required=True, metavar="ATTEMPT...")
@click.option("--ticket", required=True, metavar="NUMBER", help="The deposit ticket (SF-215).")
@click.option("--on", "day", required=True, type=click.DateTime(["%Y-%m-%d"]), help="The day of the deposit.")
@click.option("--by", required=True, metavar="NAME", help="The person who records it.")
@click.pass_context
def deposit(ctx: click.Context, attempts: tuple[str, ...], ticket: str, day: datetime, by: str) -> None:
    """Record that a deposit ticket holds the money of each ATTEMPT (an agency tracking id).

    Recording the same deposit again changes nothing. The command ends at the first attempt that cannot have this
    deposit; run it again when that attempt is repaired or left out.
    """
    report = DepositReport(_named("--ticket", ticket), day.date().isoformat(), "operator", _named("--by", by))

    async def work(portal: Portal) -> Decimal:
        total = ZERO
        for each in attempts:
            recorded = await portal.ledger.deposits.record(await known_attempt(portal, each), report)
            total += recorded.amount
        return total

    try:
        total = run_with(ctx, RECORD, work)
    except (DepositDiffers, NoSuchEdge) as refused:
        raise click.ClickException(str(refused)) from refused
    click.echo(f"Ticket {report.ticket} holds {len(attempts)} of these attempts: {total} USD.")


def _named(option: str, text: str) -> str:
    found = text.strip()
    if not 0 < len(found) <= NAME_CHARS_MAX:
        raise click.UsageError(f"{option}: must have 1 to {NAME_CHARS_MAX} characters; got {len(found)}")
    return found
