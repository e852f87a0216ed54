"""The command ``bursar generate``."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import click

from bursar.bootstrap.commands import refuse, settings_from
from bursar.settings import Settings
from bursar.startup import CannotStart

DEMO_PAYMENTS: Final = 3_000
DEMO_MONTHS: Final = 14
"""Enough for a whole fiscal year and the months since."""
DEMO_SEED: Final = 1
MADE_UP_CLIENTS: Final = (
    ("dawson", frozenset({"PETITION_FILING_FEE", "COPY_FEE"})),
    ("development", frozenset({"*"})),
    ("exams", frozenset({"NONATTORNEY_EXAM_REGISTRATION_FEE"})),
)
"""Without a clients' file: the development client and two that no key belongs to."""


@click.command()
@click.option(
    "--payments", type=click.IntRange(1, 20_000_000), default=10_000, show_default=True, help="Number of payments."
)
@click.option("--months", type=click.IntRange(1, 120), default=12, show_default=True, help="Length of the history.")
@click.option("--seed", type=int, default=1, show_default=True, help="With the same seed, make the same history.")
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="The last day, in New York.  [default: yesterday]"
)
@click.option("--data", metavar="DIR", help="The folder of the new store.  [default: data]")
def generate(payments: int, months: int, seed: int, until: datetime | None, data: str | None) -> None:
    """Make a new store with a made-up history of payments, for demos, tests and benchmarks.

    Payments go through the real ledger: cards, ACH debits and PayPal, declines, retries, payers that walk away,
    returns, chargebacks and refunds, more on weekdays and in office hours. The store must not exist yet. `bursar up`
    and every report then work on it.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from bursar.bootstrap.generate.history import HistoryPlan
    from bursar.bootstrap.generate.new_store import generate_store

    settings = settings_from({"data": data})
    last = yesterday(datetime.now(UTC)) if until is None else until.date()
    plan = HistoryPlan(payments, months, seed, last, settings.fees, _clients(settings))
    columns = (TextColumn("payments"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("payments", total=payments)
        try:
            made = generate_store(plan, settings, lambda day: progress.advance(task, day.payments))
        except CannotStart as error:
            refuse(str(error))
    attempts = ", ".join(f"{number:,} {status}" for status, number in sorted(made.statuses.items()))
    total = f"{sum(made.statuses.values()):,} attempts ({attempts})"
    click.echo(f"{total}, {made.events:,} events, {made.reversals:,} reversals")
    click.echo(f"from seed {seed}, until {last}: {settings.store_url}")


def fill_for_demo(settings: Settings, print_line: Callable[[str], None]) -> None:
    """Fill a store that does not exist yet with a year of made-up payments; leave an existing one as it is.

    Raises:
        CannotStart: the store cannot be written, or the data folder has a lake or books without a store.
    """
    from bursar.bootstrap.generate.history import HistoryPlan
    from bursar.bootstrap.generate.new_store import generate_store
    from bursar.dynamo.clients.store import file_of

    store = file_of(settings.store_url)
    if store is not None and Path(store).exists():
        return
    print_line(f"Making {DEMO_PAYMENTS:,} payments of {DEMO_MONTHS} months …")
    last = yesterday(datetime.now(UTC))
    plan = HistoryPlan(DEMO_PAYMENTS, DEMO_MONTHS, DEMO_SEED, last, settings.fees, _clients(settings))
    generate_store(plan, settings, lambda _: None)


def yesterday(now: datetime) -> date:
    """Return the day before ``now`` in New York."""
    return now.astimezone(ZoneInfo("America/New_York")).date() - timedelta(days=1)


def _clients(settings: Settings) -> tuple[tuple[str, frozenset[str]], ...]:
    """Return the clients of the clients' file, or made-up ones."""
    if settings.clients is None:
        return MADE_UP_CLIENTS
    from bursar.bootstrap.composition import Composition

    try:
        clients = Composition(settings).clients
    except CannotStart as error:
        refuse(str(error))
    found = [clients.by_name(name) for name in clients.names]
    return tuple((client.name, client.fees) for client in found if client is not None)
