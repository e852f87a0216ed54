"""The index ``due`` names what is due: it holds keys, and in tables of earlier versions whole items."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, TypeVar, cast

import pytest

from bursar.payments import Attempt, Ledger
from bursar.payments.due import RECEIVED_AGE_MAX_S, TOKEN_AGE_MAX_S
from bursar.payments.ledger.table import TABLE_NAME, table_definition
from tests.support.payments.stage import Listening, Wall, initiated, settled
from tests.support.write_paths import WritePath

T = TypeVar("T")
Start = Callable[..., Awaitable[Attempt]]

OVERDUE_S = RECEIVED_AGE_MAX_S + TOKEN_AGE_MAX_S
PROJECTIONS = ("KEYS_ONLY", "ALL")


@pytest.fixture(params=PROJECTIONS)
async def store(request: pytest.FixtureRequest, write_path: WritePath, wall: Wall) -> AsyncIterator[Listening]:
    """Open a store whose table is of the present version (KEYS_ONLY) or of an earlier one (ALL)."""
    opened = write_path.open(clock=wall, randomness=random.Random(1))
    definition = table_definition(TABLE_NAME)
    definition["GlobalSecondaryIndexes"][0]["Projection"] = {"ProjectionType": request.param}
    await opened.call("CreateTable", definition)
    await write_path.create_table(opened)
    yield Listening(opened)
    await opened.close()


def reads_behind(store: Listening) -> list[str]:
    return [operation for operation in store.operations if operation != "Query"]


async def test_due_attempts_are_read_whole_and_only_as_many_as_asked_for(
    write_path: WritePath, ledger: Ledger, start: Start, store: Listening, wall: Wall, request: pytest.FixtureRequest
) -> None:
    made = [await start(reference=f"r{number}") for number in range(6)]
    wall.pass_s(OVERDUE_S)
    store.clear()
    found = await ledger.due(wall.now, 4)
    assert len(found) == 4
    assert {each.agency_tracking_id for each in found} <= {each.agency_tracking_id for each in made}
    assert all(each.stored_item == next(one.stored_item for one in made if one == each) for each in found)
    if request.node.callspec.params["store"] == "ALL":
        assert reads_behind(store) == []
    else:
        assert reads_behind(store) == (["GetItem"] * 4 if write_path.swaps else ["BatchGetItem"])


async def test_a_token_leaves_the_entry_and_the_attempt_is_read_with_it(
    ledger: Ledger, start: Start, wall: Wall
) -> None:
    attempt = await initiated(ledger, start)
    wall.pass_s(OVERDUE_S)
    assert await ledger.due(wall.now, 9) == [attempt]


async def test_times_are_read_from_the_index_alone(ledger: Ledger, start: Start, store: Listening, wall: Wall) -> None:
    first = await start(reference="r1")
    wall.pass_s(5)
    second = await start(reference="r2")
    wall.pass_s(OVERDUE_S)
    store.clear()
    assert await ledger.due_times(wall.now, 9) == [first.due_at, second.due_at]
    assert await ledger.due_times(wall.now, 1) == [first.due_at]
    assert await ledger.due_times(wall.now - OVERDUE_S - 1, 9) == []
    assert reads_behind(store) == []


async def test_returns_and_refunds_are_read_through_it_too(ledger: Ledger, start: Start, wall: Wall) -> None:
    watched = await settled(ledger, start)
    assert watched.due_at is not None
    assert await ledger.due_returns(watched.due_at, 9) == [watched]
    _, asked = await ledger.reversals.request_refund(watched, Decimal("5.00"), by="Ada", reason="paid twice")
    wall.pass_s(1)
    current = await ledger.reread(watched)
    _, asked_later = await ledger.reversals.request_refund(current, Decimal("7.00"), by="Ada", reason="paid twice")
    assert await ledger.open_refunds(9) == [asked, asked_later]
    assert await ledger.open_refunds(1) == [asked]
    assert await ledger.due(watched.due_at, 9) == []


class Behind(Listening):
    """A store whose index ``due`` answers as it was at :meth:`remember`."""

    def __init__(self, behind: Listening) -> None:
        super().__init__(behind.behind)
        self.remembered: dict[str, Any] = {}
        self.is_behind = False

    async def passing(self, operation: str, request: Mapping[str, Any], go_on: Callable[[], Awaitable[T]]) -> T:
        if "IndexName" not in request:
            return await super().passing(operation, request, go_on)
        shard = request["ExpressionAttributeValues"][":shard"]["S"]
        if not self.is_behind:
            self.remembered[shard] = await super().passing(operation, request, go_on)
        return cast("T", self.remembered[shard])


@pytest.mark.parametrize("store", ["KEYS_ONLY"], indirect=True)
async def test_an_attempt_that_moved_on_since_the_index_saw_it_is_left_out(
    write_path: WritePath, start: Start, store: Listening, wall: Wall
) -> None:
    behind = Behind(store)
    ledger = write_path.ledger(behind, clock=wall, randomness=random.Random(3))
    later, ended, due = [await start(reference=f"r{number}") for number in range(3)]
    wall.pass_s(OVERDUE_S)
    assert {each.reference for each in await ledger.due(wall.now, 9)} == {"r0", "r1", "r2"}
    behind.is_behind = True
    await ledger.set_due(later, wall.now + 60)
    await ledger.fail(ended, event="start_failed", actor="portal", return_code=None, return_detail=None)
    assert await ledger.due(wall.now, 9) == [due]


class Reversing(Listening):
    """A store that returns the items of a batch in the reverse order: DynamoDB promises none."""

    async def passing(self, operation: str, request: Mapping[str, Any], go_on: Callable[[], Awaitable[T]]) -> T:
        answer = await super().passing(operation, request, go_on)
        if operation == "BatchGetItem":
            answered = cast("dict[str, Any]", answer)
            items = {table: found[::-1] for table, found in answered["Responses"].items()}
            return cast("T", {**answered, "Responses": items})
        return answer


@pytest.mark.parametrize("store", ["KEYS_ONLY"], indirect=True)
async def test_attempts_that_are_due_at_one_instant_have_the_same_order_on_every_store(
    write_path: WritePath, ledger: Ledger, start: Start, store: Listening, wall: Wall
) -> None:
    for number in range(6):
        await start(reference=f"r{number}")
    wall.pass_s(OVERDUE_S)
    reversing = write_path.ledger(Reversing(store.behind), clock=wall, randomness=random.Random(3))
    found = await ledger.due(wall.now, 9)
    assert len(found) == 6
    assert await reversing.due(wall.now, 9) == found
