"""The clients of generated histories, and the year of history that `bursar up --demo` makes."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from bursar.payments.catalogue.fees import COURT_ZONE
from bursar.settings import Settings

DEMO_PAYMENTS: Final = 3_000
DEMO_MONTHS: Final = 14
"""The months of a demo: a whole fiscal year and the months since."""
DEMO_SEED: Final = 1
MADE_UP_CLIENTS: Final = (
    ("dawson", frozenset({"PETITION_FILING_FEE", "COPY_FEE"})),
    ("development", frozenset({"*"})),
    ("exams", frozenset({"NONATTORNEY_EXAM_REGISTRATION_FEE"})),
)
"""The clients of a history if there is no clients' file: the development client and two without access keys."""


def fill_for_demo(settings: Settings, print_line: Callable[[str], None]) -> None:
    """Fill a store that does not exist yet with a year of made-up payments, of which some wait for a person.

    The last months are reconciled and deposited; the last week has differences.

    An existing store is not changed.

    Raises:
        CannotStart: the store cannot be written, the clients' file cannot be read, or the data folder has a lake or
            books without a store.
    """
    from bursar.bootstrap.generate.history import HistoryPlan
    from bursar.bootstrap.generate.new_store import generate_store
    from bursar.bootstrap.generate.open_cases import add_open_cases
    from bursar.bootstrap.generate.reconciled_months import add_reconciliations
    from bursar.dynamo.clients.store import file_of

    store = file_of(settings.store_url)
    if store is not None and Path(store).exists():
        return
    print_line(f"Making {DEMO_PAYMENTS:,} payments of {DEMO_MONTHS} months …")
    last = yesterday(datetime.now(UTC))
    plan = HistoryPlan(DEMO_PAYMENTS, DEMO_MONTHS, DEMO_SEED, last, settings.fees, clients_of(settings))
    generate_store(plan, settings, lambda _: None)
    asyncio.run(add_reconciliations(plan, settings))
    asyncio.run(add_open_cases(plan, settings))


def yesterday(now: datetime) -> date:
    """Return the day before ``now`` in New York."""
    return now.astimezone(ZoneInfo(COURT_ZONE)).date() - timedelta(days=1)


def clients_of(settings: Settings) -> tuple[tuple[str, frozenset[str]], ...]:
    """Return the clients of the clients' file, or made-up ones. Raises :class:`CannotStart`."""
    if settings.clients is None:
        return MADE_UP_CLIENTS
    from bursar.bootstrap.composition import Composition

    clients = Composition(settings).clients
    found = [clients.by_name(name) for name in clients.names]
    return tuple((client.name, client.fees) for client in found if client is not None)
