"""Creation of the payments table."""

import asyncio
from typing import Any

import pytest

from bursar.payments import Ledger
from bursar.payments.ledger.table import TABLE_NAME, create_table
from tests.support.payments.stage import Listening


async def test_creating_the_table_twice_creates_it_once(ledger: Ledger, store: Listening) -> None:
    await asyncio.gather(ledger.create_table(), ledger.create_table())
    table = (await store.call("DescribeTable", {"TableName": TABLE_NAME}))["Table"]
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == {"due", "changes"}


class StaysCreating:
    """A store whose table never becomes active."""

    def __init__(self) -> None:
        self.polls = 0

    async def call(self, operation: str, _request: Any) -> dict[str, Any]:
        self.polls += operation == "DescribeTable"
        return {"Table": {"TableStatus": "CREATING"}}

    async def close(self) -> None:
        """Do nothing: the store is not open."""


async def test_a_table_that_never_becomes_active_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bursar.payments.ledger.table.ACTIVE_POLL_INTERVAL_S", 0.0)
    monkeypatch.setattr("bursar.payments.ledger.table.ACTIVE_POLLS_MAX", 3)
    store = StaysCreating()
    with pytest.raises(TimeoutError, match="has not become active"):
        await create_table(store, TABLE_NAME)
    assert store.polls == 3
