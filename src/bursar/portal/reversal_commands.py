"""The commands ``bursar reverse`` and ``bursar refunds``: money that goes back after settlement.

Both work on the record alone (:data:`~bursar.portal.commands.RECORD`): nothing is sent to Pay.gov.
"""

from decimal import Decimal, InvalidOperation
from typing import Any

import click

from bursar.clock import iso_ms
from bursar.payments.records import money
from bursar.payments.reversals import REFUNDED, REVERSAL_KINDS, ReversalKind, ReversalReport
from bursar.portal.commands import RECORD, run_with
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.reversals import (
    REFUNDS_LISTED_MAX,
    amount_left,
    approve_refund,
    open_refunds,
    reject_refund,
    request_refund,
)
from bursar.portal.upkeep.reversals import reverse as record_reversal


@click.command()
@click.argument("attempt")
@click.option("--kind", required=True, type=click.Choice(REVERSAL_KINDS), help="How the money went back.")
@click.option("--amount", metavar="USD", help="Dollars.  [default: the amount less its reversals]")
@click.option("--by", required=True, metavar="NAME", help="The person who records it.")
@click.option("--reason", required=True, metavar="TEXT", help="The evidence.")
@click.option("--reason-code", metavar="CODE", help="The bank's or card network's code, such as R01.")
@click.option("--effective", metavar="DATE", help="The day on which the money went back, such as 2026-11-29.")
@click.option("--ticket", metavar="NUMBER", help="The deposit ticket (SF-215) that held the payment.")
@click.option("--voucher", metavar="NUMBER", help="The debit voucher (SF-5515) that took the money back.")
@click.option("--report-id", metavar="ID", help="The id of the case; reports with the same id are one reversal.")
@click.pass_context
def reverse(
    ctx: click.Context,
    attempt: str,
    kind: ReversalKind,
    amount: str | None,
    by: str,
    reason: str,
    reason_code: str | None,
    effective: str | None,
    ticket: str | None,
    voucher: str | None,
    report_id: str | None,
) -> None:
    """Record that money of ATTEMPT (an agency tracking id) went back after settlement.

    A return or a chargeback is recorded at once. A refund is requested, and another person must approve it with `bursar
    refunds approve`. Nothing is sent to Pay.gov.
    """
    given = None if amount is None else _dollars(amount)
    facts = {"effective_on": effective, "deposit_ticket": ticket, "debit_voucher": voucher}
    codes: dict[str, Any] = {"reason_code": reason_code, "report_id": report_id, **facts}

    async def work(portal: Portal) -> str:
        dollars = await amount_left(portal, attempt) if given is None else given
        if kind == REFUNDED:
            request = await request_refund(portal, attempt, dollars, by=by, reason=reason)
            return (
                f"The refund of {request.amount} USD is requested as {request.request_id}. "
                f"Another person must approve it: bursar refunds approve {request.request_id} --by … --reason …"
            )
        report = ReversalReport(kind, dollars, "operator", by=by, reason=reason, **codes)
        changed, reversal = await record_reversal(portal, attempt, report)
        return (
            f"{attempt}: {reversal.amount} USD {reversal.kind.replace('_', ' ')}, recorded as reversal {reversal.seq}; "
            f"{changed.net_amount} USD are left."
        )

    if kind == REFUNDED and any(codes.values()):
        raise click.UsageError(
            "--kind refunded: must be given without --reason-code, --effective, --ticket, --voucher and --report-id"
        )
    click.echo(run_with(ctx, RECORD, work))


@click.group(invoke_without_command=True)
@click.option(
    "--limit", default=REFUNDS_LISTED_MAX, show_default=True, type=click.IntRange(1), help="Open requests to list."
)
@click.pass_context
def refunds(ctx: click.Context, limit: int) -> None:
    """List the open requests for refunds, oldest first; approve or reject one.

    A refund is only recorded: send it in Pay.gov's own pages. `bursar reverse ATTEMPT --kind refunded` requests one.
    """
    if ctx.invoked_subcommand is not None:
        return
    requests = run_with(ctx, RECORD, lambda portal: open_refunds(portal, limit))
    for each in requests:
        click.echo(
            f"{each.request_id}  since {iso_ms(each.requested_at)}  {each.amount} USD  {each.client}  "
            f"by {each.requested_by}: {each.reason}"
        )
    if not requests:
        click.echo("No refund waits for a decision.")


_DECIDED_BY = click.option("--by", required=True, metavar="NAME", help="The person who decides.")
_DECIDED_BECAUSE = click.option("--reason", required=True, metavar="TEXT", help="The reason.")


@refunds.command()
@click.argument("request")
@_DECIDED_BY
@_DECIDED_BECAUSE
@click.pass_context
def approve(ctx: click.Context, request: str, by: str, reason: str) -> None:
    """Approve REQUEST (ATTEMPT/NUMBER as listed): its refund is recorded.

    The person who requested it may not approve it.
    """
    reversal = run_with(ctx, RECORD, lambda portal: approve_refund(portal, request, by=by, reason=reason))
    click.echo(f"{request} is approved: {reversal.amount} USD are recorded as refunded. Send the refund in Pay.gov.")


@refunds.command()
@click.argument("request")
@_DECIDED_BY
@_DECIDED_BECAUSE
@click.pass_context
def reject(ctx: click.Context, request: str, by: str, reason: str) -> None:
    """Reject REQUEST (ATTEMPT/NUMBER as listed). The person who requested it may reject it too."""
    run_with(ctx, RECORD, lambda portal: reject_refund(portal, request, by=by, reason=reason))
    click.echo(f"{request} is rejected.")


def _dollars(text: str) -> Decimal:
    try:
        return money(Decimal(text))
    except (InvalidOperation, ValueError):
        raise click.UsageError(f"--amount: must be dollars such as 60.00; got {text!r}") from None
