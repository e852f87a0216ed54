"""The command ``bursar generate``."""

from datetime import UTC, datetime
from typing import Final

import click

from bursar.bootstrap.commands import refuse, settings_from
from bursar.bootstrap.generate.demo_history import clients_of, yesterday
from bursar.startup import CannotStart

PAYMENTS_MAX: Final = 20_000_000
MONTHS_MAX: Final = 120


@click.command()
@click.option(
    "--payments", type=click.IntRange(1, PAYMENTS_MAX), default=10_000, show_default=True, help="Number of payments."
)
@click.option(
    "--months", type=click.IntRange(1, MONTHS_MAX), default=12, show_default=True, help="Length of the history."
)
@click.option("--seed", type=int, default=1, show_default=True, help="With the same seed, make the same history.")
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="The last day, in New York.  [default: yesterday]"
)
@click.option("--data", metavar="DIR", help="The folder of the new store.  [default: data]")
def generate(payments: int, months: int, seed: int, until: datetime | None, data: str | None) -> None:
    """Make a new store with a made-up history of payments, for demos, tests and benchmarks.

    Payments go through the real ledger: cards, ACH debits and PayPal, declines, retries, payers that leave without
    paying, returns, chargebacks and refunds, more on weekdays and in office hours. The store must not exist yet.
    `bursar up` and every report then work on it.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from bursar.bootstrap.generate.history import HistoryPlan
    from bursar.bootstrap.generate.new_store import generate_store

    settings = settings_from({"data": data})
    last = yesterday(datetime.now(UTC)) if until is None else until.date()
    columns = (TextColumn("payments"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("payments", total=payments)
        try:
            plan = HistoryPlan(payments, months, seed, last, settings.fees, clients_of(settings))
            made = generate_store(plan, settings, lambda day: progress.advance(task, day.payments))
        except CannotStart as error:
            refuse(str(error))
    attempts = ", ".join(f"{number:,} {status}" for status, number in sorted(made.statuses.items()))
    total = f"{sum(made.statuses.values()):,} attempts ({attempts})"
    click.echo(f"{total}, {made.events:,} events, {made.reversals:,} reversals")
    click.echo(f"from seed {seed}, until {last}: {settings.store_url}")
