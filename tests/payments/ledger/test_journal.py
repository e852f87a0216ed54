"""What the journal makes of a store that is slow to say what happened."""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from bursar.dynamo.clients.store import Store
from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown
from bursar.payments import Attempt, Ledger, LedgerBusy
from bursar.payments.ledger.journal import CHANGE_TRIES_MAX
from bursar.rules import RuleRefused
from tests.support.payments.stage import Wall

Start = Callable[..., Awaitable[Attempt]]
Answer = Callable[[dict[str, Any]], None]


@dataclass
class Unreliable:
    """A store that carries out each transaction and then spoils its answer, as long as there is something to spoil."""

    behind: Store
    spoils: list[Exception]

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if operation != "TransactWriteItems" or not self.spoils:
            return await self.behind.call(operation, request)
        spoiled = self.spoils.pop()
        if isinstance(spoiled, StoreOutcomeUnknown):
            await self.behind.call(operation, request)
        raise spoiled

    async def close(self) -> None:
        await self.behind.close()


def unreliable(ledger: Ledger, *spoils: Exception) -> None:
    ledger._ruled.store = Unreliable(ledger._ruled.store, list(spoils))


async def test_a_lost_answer_is_settled_and_nothing_is_written_twice(ledger: Ledger, start: Start) -> None:
    unreliable(ledger, StoreOutcomeUnknown("reset"))
    attempt = await start()
    unreliable(ledger, StoreOutcomeUnknown("reset"))
    given = await ledger.record_token(attempt, "t" * 32)
    view = await ledger.obligation(attempt.client, attempt.reference)
    assert view is not None
    assert view.attempts == (given,)
    assert [event.name for event in view.events] == ["started", "token_given"]


def conflict() -> DynamoError:
    reasons = [{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}]
    return DynamoError("TransactionCanceledException", "cancelled", cancellation_reasons=reasons)


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_seconds: float) -> None:
        """Retries follow each other without a pause."""

    monkeypatch.setattr("bursar.rules.table.asyncio.sleep", at_once)


@pytest.mark.usefixtures("no_waiting")
async def test_a_store_that_stays_busy_is_said_so_and_nothing_is_written(ledger: Ledger, start: Start) -> None:
    attempt = await start()
    unreliable(ledger, *(conflict() for _ in range(50)))
    with pytest.raises(LedgerBusy):
        await ledger.record_token(attempt, "t" * 32)
    with pytest.raises(LedgerBusy):
        await start(reference="another")
    assert await ledger.reread(attempt) == attempt
    assert await ledger.obligation("dawson", "another") is None


async def test_bookkeeping_that_never_stops_ends_in_attempt_moved(
    ledger: Ledger, start: Start, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Ledger(ledger._store, clock=wall, randomness=random.Random(5))
    attempt = await start()
    reread = ledger._journal._reread
    touches = 0

    async def touched_meanwhile(old: Attempt) -> Attempt:
        nonlocal touches
        found = await reread(old)
        await other.touch_due(found, wall.now + touches)
        touches += 1
        return found

    await other.touch_due(attempt, wall.now)
    monkeypatch.setattr(ledger._journal, "_reread", touched_meanwhile)
    with pytest.raises(Exception, match="has moved on"):
        await ledger.record_token(attempt, "t" * 32)
    assert touches == CHANGE_TRIES_MAX


async def test_a_refusal_that_is_this_rooms_mistake_is_passed_on(ledger: Ledger, start: Start) -> None:
    attempt = await start()
    with pytest.raises(RuleRefused) as caught:
        await ledger._journal.tend(attempt, fee_version="2021-01-01")
    assert caught.value.rule == "attempt-identity"
