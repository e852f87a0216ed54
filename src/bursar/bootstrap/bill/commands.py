"""The command ``bursar cost``: the monthly bill on AWS, line by line."""

import click


@click.command()
@click.option("--payments-per-month", type=click.IntRange(1), required=True, metavar="N", help="New payments a month.")
@click.option(
    "--ach-share", type=click.FloatRange(0, 1), default=0.3, show_default=True, help="The share of ACH debits."
)
@click.option(
    "--stored-payments", type=click.IntRange(0), metavar="N", help="Payments in the table.  [default: those of a year]"
)
@click.option(
    "--proofs-per-month",
    type=click.FloatRange(0),
    metavar="N",
    help="Proofs of the whole lake; on each other day, recent changes are compared.  [default: one a week]",
)
@click.option("--sources", is_flag=True, help="Print where each price was found.")
def cost(
    payments_per_month: int,
    ach_share: float,
    stored_payments: int | None,
    proofs_per_month: float | None,
    sources: bool,
) -> None:
    """Print what Bursar costs on AWS in a month, from measured units and dated prices."""
    from bursar.bootstrap.bill.bill import YEAR_MONTHS, Prices, bill, free_usd
    from bursar.bootstrap.bill.units import PROOFS

    prices = Prices.load()
    stored = YEAR_MONTHS * payments_per_month if stored_payments is None else stored_payments
    proofs = PROOFS if proofs_per_month is None else proofs_per_month
    lines = bill(payments_per_month, ach_share=ach_share, stored_payments=stored, prices=prices, proofs=proofs)
    total = sum(line.usd for line in lines)
    click.echo(f"{payments_per_month:,} payments a month, {ach_share:.0%} of them ACH; {stored:,} in the table")
    click.echo(f"Prices of {prices.region}, collected on {prices.collected}")
    click.echo()
    for line in lines:
        click.echo(f"{line.part:<16} {line.what:<27} {line.quantity:>16,.2f} {line.price:<15} {line.usd:>10.4f}")
    click.echo(f"{'Total':<76} {total:>10.2f} USD")
    free = f"Total, if nothing else in the account uses what is free: {', '.join(prices.free)}"
    click.echo(f"{free:<76} {total - free_usd(lines, prices):>10.2f} USD")
    click.echo()
    click.echo("Not included, because no price was found:")
    for name, what in prices.unpriced.items():
        click.echo(f"  {name}: {what}")
    if sources:
        click.echo()
        for name, price in prices.prices.items():
            click.echo(f"  {name}: {price.source}")
