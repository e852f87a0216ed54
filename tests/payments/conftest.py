"""Fixtures for the tests of the payments package: a clock moved by hand, a store in memory, a ledger, one attempt."""

import random
from collections.abc import AsyncIterator, Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from bursar.payments import Attempt, Fee, Ledger
from tests.support.payments.chains import new_attempt
from tests.support.payments.stage import REFERENCE, STARTED, Listening, Wall
from tests.support.write_paths import WritePath, shipped_fees


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
async def store(write_path: WritePath, wall: Wall) -> AsyncIterator[Listening]:
    """Open a store with the payments table, for ``write_path``."""
    opened = write_path.open(clock=wall, randomness=random.Random(1))
    await write_path.create_table(opened)
    yield Listening(opened)
    await opened.close()


@pytest.fixture
async def ledger(write_path: WritePath, store: Listening, wall: Wall) -> Ledger:
    return write_path.ledger(store, clock=wall, randomness=random.Random(2))


@pytest.fixture
def fee() -> Fee:
    found = shipped_fees().fee("PETITION_FILING_FEE", STARTED)
    assert found is not None
    return found


@pytest.fixture
def start(ledger: Ledger, fee: Fee) -> Callable[..., Any]:
    """Return a function that starts an attempt; arguments that are not given have usual values."""

    async def started(
        client: str = "dawson",
        reference: str = REFERENCE,
        fee: Fee = fee,
        amount: str = "60.00",
        metadata: Mapping[str, Any] | None = None,
    ) -> Attempt:
        known = {"docketNumber": "123-26"} if metadata is None else metadata
        urls = ("https://app.example/success", "https://app.example/cancel")
        return await ledger.start_attempt(client, reference, fee, Decimal(amount), known, *urls)

    return started


@pytest.fixture
def attempt() -> Attempt:
    """Return an attempt in the state after a start, without a table."""
    return new_attempt(1, STARTED)
