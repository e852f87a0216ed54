"""Whole items compared and swapped, under the same guards, limits, indexes and commits as the API."""

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bursar.dynamo import AsyncEngine, Change, DynamoError, Engine, GuardView, Refusal, TableCheck
from bursar.dynamo.core.guards import Guard
from bursar.dynamo.engine.compare_and_swap import Unswapped
from bursar.dynamo.items.attribute_values import ITEM_BYTES_MAX

NO_FOUR = "n is not 4"
TABLE = {
    "TableName": "things",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "due")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "due",
            "KeySchema": [{"AttributeName": "due", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}


class NoFour(Guard):
    """A guard whose only rule is easy to break."""

    def __init__(self, document: str) -> None:
        assert document == NO_FOUR
        self.judged: list[Change] = []

    def judge(self, changes: Sequence[Change]) -> Refusal | TableCheck:
        self.judged += changes
        for at, change in enumerate(changes):
            if change.new and change.new.get("n") == {"N": "4"}:
                return Refusal(at, NO_FOUR)
        return lambda view: None

    def adopt(self, view: GuardView, table: str) -> list[str]:
        return []


def item(sk: str, **attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {"pk": {"S": "p"}, "sk": {"S": sk}, **attributes}


@pytest.fixture
def store() -> Iterator[AsyncEngine]:
    engine = Engine.open(":memory:", clock=lambda: 0.0, randomness=random.Random(1), guard_loader=NoFour)
    engine.execute("CreateTable", TABLE)
    engine.put_rules_document("things", NO_FOUR)
    yield AsyncEngine(engine)
    engine.close()


def everything(store: AsyncEngine) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = store.engine.execute("Scan", {"TableName": "things"})["Items"]
    return items


def due(store: AsyncEngine, value: str) -> list[str]:
    request = {
        "TableName": "things",
        "IndexName": "due",
        "KeyConditionExpression": "due = :due",
        "ExpressionAttributeValues": {":due": {"S": value}},
    }
    return [found["sk"]["S"] for found in store.engine.execute("Query", request)["Items"]]


async def test_a_swap_makes_changes_and_removes_and_keeps_indexes_in_step(store: AsyncEngine) -> None:
    one, two = item("1", due={"S": "x"}), item("2")
    await store.compare_and_swap.swap("things", [(None, one), (None, two)], NO_FOUR)
    assert everything(store) == [one, two]
    assert due(store, "x") == ["1"]
    changed = {**one, "due": {"S": "y"}, "n": {"N": "5"}}
    await store.compare_and_swap.swap("things", [(one, changed), (two, None)], NO_FOUR)
    assert everything(store) == [changed]
    assert (due(store, "x"), due(store, "y")) == ([], ["1"])


async def test_reads_return_committed_items(store: AsyncEngine) -> None:
    items = [item("2"), item("10"), item("1")]
    await store.compare_and_swap.swap("things", [(None, one) for one in items], NO_FOUR)
    assert await store.compare_and_swap.get("things", {"pk": {"S": "p"}, "sk": {"S": "10"}}) == items[1]
    assert await store.compare_and_swap.get("things", {"pk": {"S": "p"}, "sk": {"S": "3"}}) is None
    assert [one["sk"]["S"] for one in await store.compare_and_swap.partition("things", {"S": "p"})] == ["1", "10", "2"]
    assert await store.compare_and_swap.partition("things", {"S": "q"}) == []
    assert [one["sk"]["S"] for one in await store.compare_and_swap.partition("things", {"S": "p"}, "1")] == ["1", "10"]
    assert await store.compare_and_swap.partition("things", {"S": "p"}, "11") == []


@pytest.mark.parametrize(
    "swaps",
    [
        pytest.param([(None, item("1"))], id="there is one already"),
        pytest.param([(item("2"), item("2", n={"N": "1"}))], id="there is none"),
        pytest.param([(item("1", n={"N": "2"}), item("1", n={"N": "3"}))], id="it is another"),
        pytest.param([(item("1", n={"N": "2"}), None)], id="another goes"),
        pytest.param([(item("1", n={"N": "1"}), item("2"))], id="the key changes"),
        pytest.param([(None, item("9")), (None, item("9"))], id="one key twice"),
        pytest.param([(None, item(f"{number + 100}")) for number in range(101)], id="too many"),
        pytest.param([(None, item("9")), (None, item("8", n={"N": "4"}))], id="a guard refuses"),
    ],
)
async def test_a_swap_that_does_not_fit_writes_nothing(store: AsyncEngine, swaps: Any) -> None:
    there = item("1", n={"N": "1"})
    await store.compare_and_swap.swap("things", [(None, there)], NO_FOUR)
    with pytest.raises(Unswapped):
        await store.compare_and_swap.swap("things", [(None, item("0")), *swaps], NO_FOUR)
    assert everything(store) == [there]
    assert due(store, "x") == []


async def test_the_order_of_attributes_makes_no_other_item(store: AsyncEngine) -> None:
    await store.compare_and_swap.swap("things", [(None, item("1", n={"N": "1"}))], NO_FOUR)
    held = {"n": {"N": "1"}, "sk": {"S": "1"}, "pk": {"S": "p"}}
    await store.compare_and_swap.swap("things", [(held, item("1", n={"N": "2"}))], NO_FOUR)
    assert everything(store) == [item("1", n={"N": "2"})]


async def test_a_value_that_json_cannot_hold_equals_no_stored_one(store: AsyncEngine) -> None:
    await store.compare_and_swap.swap("things", [(None, item("1", n={"N": "1"}))], NO_FOUR)
    with pytest.raises(Unswapped):
        await store.compare_and_swap.swap("things", [(item("1", n={"N": object()}), item("1"))], NO_FOUR)
    assert everything(store) == [item("1", n={"N": "1"})]


async def test_the_rules_counted_on_must_be_the_tables(store: AsyncEngine) -> None:
    with pytest.raises(Unswapped, match="rules"):
        await store.compare_and_swap.swap("things", [(None, item("1"))], "other rules")
    store.engine.put_rules_document("things", None)
    with pytest.raises(Unswapped, match="rules"):
        await store.compare_and_swap.swap("things", [(None, item("1"))], NO_FOUR)
    assert everything(store) == []


async def test_the_guard_gets_the_comparison_of_the_two_items(store: AsyncEngine) -> None:
    old = item("1", n={"N": "1"}, kept={"S": "k"}, gone={"S": "g"}, text={"S": "a"})
    new = item("1", n={"N": "1.0"}, kept={"S": "k"}, text={"S": "b"}, come={"S": "c"})
    await store.compare_and_swap.swap("things", [(None, old)], NO_FOUR)
    await store.compare_and_swap.swap("things", [(old, new)], NO_FOUR)
    guard = store.engine._core.guard(NO_FOUR)
    assert isinstance(guard, NoFour)
    created, changed = guard.judged
    assert created.unlike is None
    assert changed.unlike == {"n", "gone", "text", "come"}


async def test_of_two_swaps_of_one_item_in_one_iteration_one_succeeds(store: AsyncEngine) -> None:
    there = item("1", n={"N": "1"})
    await store.compare_and_swap.swap("things", [(None, there)], NO_FOUR)
    swaps = [store.compare_and_swap.swap("things", [(there, item("1", n={"N": new}))], NO_FOUR) for new in ("2", "3")]
    outcomes = await asyncio.gather(*swaps, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), Unswapped]
    assert everything(store) == [item("1", n={"N": "2"})]


async def test_a_definition_that_changes_before_the_write_lock_refuses_the_swap(tmp_path: Path) -> None:
    path = str(tmp_path / "things.db")
    engine = Engine.open(path, guard_loader=NoFour)
    engine.execute("CreateTable", TABLE)
    engine.put_rules_document("things", NO_FOUR)
    store, another = AsyncEngine(engine), Engine.open(path, guard_loader=NoFour)
    swapping = asyncio.create_task(store.compare_and_swap.swap("things", [(None, item("1"))], NO_FOUR))
    await asyncio.sleep(0)  # it is prepared, and waits for the write lock
    another.put_rules_document("things", None)
    with pytest.raises(Unswapped, match="definition has changed"):
        await swapping
    assert everything(store) == []
    another.close()
    await store.close()


@pytest.mark.parametrize(
    ("new", "text"),
    [
        (item("1", b={"S": "x" * ITEM_BYTES_MAX}), "Item size has exceeded"),
        (item("1", due={"N": "1"}), "Type mismatch for Index Key due"),
        (item("1", n={"N": "one"}), "cannot be converted to a numeric value"),
        ({"pk": {"S": "p"}}, "Missing the key sk"),
    ],
)
async def test_items_are_validated_as_in_the_api(store: AsyncEngine, new: dict[str, Any], text: str) -> None:
    with pytest.raises(DynamoError, match=text) as refused:
        await store.compare_and_swap.swap("things", [(None, new)], NO_FOUR)
    assert refused.value.code == "ValidationException"
    assert everything(store) == []


async def test_numbers_are_kept_canonical(store: AsyncEngine) -> None:
    await store.compare_and_swap.swap("things", [(None, item("1", n={"N": "5.0"}))], NO_FOUR)
    assert everything(store) == [item("1", n={"N": "5"})]


async def test_a_missing_table_is_an_error(store: AsyncEngine) -> None:
    for asked in (
        store.compare_and_swap.get("nothing", item("1")),
        store.compare_and_swap.partition("nothing", {"S": "p"}),
        store.compare_and_swap.swap("nothing", [(None, item("1"))], NO_FOUR),
    ):
        with pytest.raises(DynamoError) as missing:
            await asked
        assert missing.value.code == "ResourceNotFoundException"


@pytest.fixture
def commits(store: AsyncEngine) -> list[str]:
    made: list[str] = []
    commit = store.engine._storage.commit

    def counted() -> None:
        made.append("")
        commit()

    store.engine._storage.commit = counted
    return made


async def test_swaps_and_other_writes_of_one_iteration_share_a_commit(store: AsyncEngine, commits: list[str]) -> None:
    answers = await asyncio.gather(
        store.compare_and_swap.swap("things", [(None, item("1"))], NO_FOUR),
        store.compare_and_swap.swap("things", [(item("3"), item("3", n={"N": "1"}))], NO_FOUR),
        store.call("PutItem", {"TableName": "things", "Item": item("2")}),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [type(None), Unswapped, dict]
    assert everything(store) == [item("1"), item("2")]
    assert len(commits) == 1


async def test_an_existing_item_refuses_only_the_swap_without_an_old_one(
    store: AsyncEngine, commits: list[str]
) -> None:
    """Undo a half-written swap of an existing item; the other requests of its group succeed."""
    there = item("5", due={"S": "x"})
    await store.compare_and_swap.swap("things", [(None, there)], NO_FOUR)
    answers = await asyncio.gather(
        store.compare_and_swap.swap("things", [(None, item("1"))], NO_FOUR),
        store.compare_and_swap.swap(
            "things", [(None, item("0", due={"S": "x"})), (there, None), (None, item("1"))], NO_FOUR
        ),
        store.call("PutItem", {"TableName": "things", "Item": item("2")}),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [type(None), Unswapped, dict]
    assert everything(store) == [item("1"), item("2"), there]
    assert due(store, "x") == ["5"]
    counted = store.engine.execute("DescribeTable", {"TableName": "things"})["Table"]
    assert (counted["ItemCount"], counted["GlobalSecondaryIndexes"][0]["ItemCount"]) == (3, 1)
    assert len(commits) == 3  # once in the group, and once separately
    assert store.write_error() is None


async def test_no_name_of_the_api_leads_to_it(store: AsyncEngine) -> None:
    for name in ("Swap", "SWAP", "swap"):
        with pytest.raises(DynamoError, match="not known"):
            await store.call(name, {"TableName": "things", "Swaps": [], "Rules": NO_FOUR})
