"""The journal with a store that is busy, or whose answer is lost."""

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import pytest

from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown
from bursar.payments import Attempt, Ledger, LedgerBusy, NoSuchEdge
from bursar.payments.ledger.journal import CHANGE_TRIES_MAX
from bursar.payments.ledger.table import TABLE_NAME
from bursar.payments.records import attempt_key
from bursar.rules import RuleRefused
from bursar.rules.transactions.cancellations import UNCLEAR_CODES
from tests.support.payments.stage import PAID, Listening, Wall, initiated, processing
from tests.support.write_paths import WRITE_PATHS, EmbeddedStore, Wrapped, WritePath

Start = Callable[..., Awaitable[Attempt]]
T = TypeVar("T")
WRITES = frozenset(path.write_operation for path in WRITE_PATHS)


class Unreliable(Wrapped):
    """A store that answers its next writes with the errors in ``spoils``.

    A write with an unknown outcome takes place; any other does not.
    """

    def __init__(self, behind: EmbeddedStore, spoils: list[DynamoError | StoreOutcomeUnknown]) -> None:
        super().__init__(behind)
        self.spoils = spoils

    async def passing(self, operation: str, request: Mapping[str, Any], go_on: Callable[[], Awaitable[T]]) -> T:
        if operation not in WRITES or not self.spoils:
            return await go_on()
        spoiled = self.spoils.pop()
        if isinstance(spoiled, StoreOutcomeUnknown) or spoiled.code in UNCLEAR_CODES:
            await go_on()
        raise spoiled


@pytest.fixture
def unreliable(write_path: WritePath, store: Listening, ledger: Ledger) -> Callable[..., None]:
    """Return a function that makes the next writes of ``ledger`` fail with the given errors."""

    def spoil(*spoils: DynamoError | StoreOutcomeUnknown) -> None:
        wrapped = Unreliable(store, list(spoils))
        ledger._ruled.store = wrapped
        if write_path.swaps:
            ledger._ruled._compare_and_swap = wrapped.compare_and_swap

    return spoil


async def test_a_lost_answer_is_settled_and_nothing_is_written_twice(
    write_path: WritePath, ledger: Ledger, start: Start, unreliable: Callable[..., None]
) -> None:
    # An embedded store cannot lose an answer, but its commit can fail halfway.
    lost = DynamoError("InternalServerError", "disk") if write_path.swaps else StoreOutcomeUnknown("reset")
    unreliable(lost)
    attempt = await start()
    unreliable(lost)
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
        """Return at once, so that retries follow each other without a pause."""

    monkeypatch.setattr("bursar.rules.table.asyncio.sleep", at_once)


@pytest.mark.usefixtures("no_waiting")
async def test_a_store_that_stays_busy_raises_and_nothing_is_written(
    ledger: Ledger, start: Start, unreliable: Callable[..., None]
) -> None:
    attempt = await start()
    unreliable(*(conflict() for _ in range(50)))
    with pytest.raises(LedgerBusy):
        await ledger.record_token(attempt, "t" * 32)
    with pytest.raises(LedgerBusy):
        await start(reference="another")
    assert await ledger.reread(attempt) == attempt
    assert await ledger.obligation("dawson", "another") is None


async def test_bookkeeping_that_never_stops_ends_in_attempt_moved(
    write_path: WritePath,
    store: Listening,
    ledger: Ledger,
    start: Start,
    wall: Wall,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = write_path.ledger(store, clock=wall, randomness=random.Random(5))
    attempt = await start()
    reread = ledger._journal._reread
    touches = 0

    async def touched_meanwhile(old: Attempt) -> Attempt:
        nonlocal touches
        found = await reread(old)
        await other.set_due(found, wall.now + touches)
        touches += 1
        return found

    await other.set_due(attempt, wall.now)
    monkeypatch.setattr(ledger._journal, "_reread", touched_meanwhile)
    with pytest.raises(Exception, match="has changed"):
        await ledger.record_token(attempt, "t" * 32)
    assert touches == CHANGE_TRIES_MAX


async def test_a_refusal_by_another_rule_is_raised_unchanged(ledger: Ledger, start: Start) -> None:
    attempt = await start()
    with pytest.raises(RuleRefused) as caught:
        await ledger._journal.record_bookkeeping(attempt, fee_version="2021-01-01")
    assert caught.value.rule == "attempt-identity"


async def test_an_item_of_another_version_is_written_at_once_and_keeps_its_attributes(
    write_path: WritePath, store: Listening, ledger: Ledger, start: Start
) -> None:
    attempt = await processing(ledger, start)
    await store.call(
        "UpdateItem",
        {
            "TableName": TABLE_NAME,
            "Key": attempt_key(attempt),
            "UpdateExpression": "SET addedLater = :new, outcomeUnknown = :true, unknownReason = :reason",
            "ExpressionAttributeValues": {
                ":new": {"M": {"a": {"N": "1"}}},
                ":true": {"BOOL": True},
                ":reason": {"S": "second complete: the reply was lost"},
            },
        },
    )
    read = await ledger.reread(attempt)
    assert (read.repeat_used, (read.stored_item or {}).get("repeatUsed")) == (True, None)
    store.clear()
    settled = await ledger.record_outcome(read, PAID, actor="sweeper")
    assert store.operations == [write_path.write_operation]
    stored = (await ledger.reread(attempt)).stored_item
    assert stored == settled.stored_item
    assert stored is not None
    assert stored["addedLater"] == {"M": {"a": {"N": "1"}}}
    assert stored["repeatUsed"] == {"BOOL": True}


async def test_a_step_of_another_actor_is_refused_and_not_written(ledger: Ledger, start: Start) -> None:
    given = await initiated(ledger, start)
    with pytest.raises(NoSuchEdge, match=r"^claimed: must be recorded by portal; got sweeper$"):
        await ledger.take_lease(given, "sweeper-1", 30, actor="sweeper")
    with pytest.raises(NoSuchEdge, match="got operator"):
        await ledger.fail(given, event="expired", actor="operator", return_code=None, return_detail=None)
    assert await ledger.reread(given) == given
