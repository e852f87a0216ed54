"""Fixtures: a ledger on each write path, the reports over its store, and the parts of the command."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bursar.payments.catalogue.clients import Client, Clients
from bursar.payments.ledger.table import TABLE_NAME
from bursar.reports.reconciliation.commands import ReconciliationParts
from bursar.reports.reports import Reports
from bursar.reports.tail.stream_source import StreamSource
from tests.support.payments.stage import Wall
from tests.support.reports.ledger_payments import NOON, Payments
from tests.support.write_paths import WritePath


@pytest.fixture
async def payments(write_path: WritePath, tmp_path: Path) -> AsyncIterator[Payments]:
    wall = Wall(NOON)
    store = write_path.open(str(tmp_path / "portal.db"), clock=wall, randomness=random.Random(1))
    await write_path.create_table(store)
    ledger = write_path.ledger(store, clock=wall, randomness=random.Random(2))
    reports = Reports(StreamSource(store, TABLE_NAME), f"file:{tmp_path / 'lake'}", wall)
    every = frozenset({"*"})
    role = "arn:aws:iam::111111111111:role/registry"
    clients = Clients([Client("registry", role, every, (), reopen_after_full_return=True)])
    yield Payments(ReconciliationParts(reports, ledger, clients, wall), wall)
    await reports.close()
    await store.close()
