"""Fixtures for the tests of the payments package: a clock moved by hand, a store in memory, a ledger, one attempt."""

import random
from collections.abc import AsyncIterator, Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from bursar.payments import Attempt, Fee, Ledger
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
    return Attempt(
        agency_tracking_id="b0000000000000000001",
        client="dawson",
        reference=REFERENCE,
        fee="PETITION_FILING_FEE",
        fee_version="2020-01-01",
        tcs_app_id="TCSUSTAXCOURTPETITION",
        amount=Decimal("60.00"),
        metadata={"docketNumber": "123-26"},
        url_success="https://app.example/success",
        url_cancel="https://app.example/cancel",
        created_at=STARTED,
        updated_at=STARTED,
        status="received",
        event_seq=1,
    )
