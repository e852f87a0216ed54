"""Streams and items agree: after any writes, refusals and rollbacks, the records are exactly the table's history."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import AsyncEngine, DynamoError, Engine
from bursar.dynamo.core.guards import Change, Guard, GuardView, Refusal, TableCheck
from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.storage.sqlite_file import Storage
from tests.support.dynamo.stream_readers import HandClock, arn_of, opened, records_of, streamed
from tests.support.dynamo.tables import item, put, refusal
from tests.support.hypothesis_profiles import examples

VIEWS = ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")
Request = tuple[str, dict[str, Any]]
Held = dict[tuple[str, str], Item]

# Random requests ----------------------------------------------------------------------------------------------

keys = st.builds(lambda pk, sk: item(pk=pk, sk=sk), st.sampled_from("ab"), st.sampled_from("12"))
items = st.builds(
    lambda key, number, texts: {**key, "n": {"N": str(number)}, **({"s": {"SS": texts}} if texts else {})},
    keys,
    st.integers(0, 1),
    # Equal sets in two orders: the items are equal.
    st.sampled_from(([], ["x", "y"], ["y", "x"])),
)
puts = items.map(lambda one: {"TableName": "orders", "Item": one})
deletes = keys.map(lambda key: {"TableName": "orders", "Key": key})
updates = st.builds(
    lambda key, number, condition: {
        "TableName": "orders",
        "Key": key,
        "UpdateExpression": "ADD n :n",
        "ExpressionAttributeValues": {":n": {"N": str(number)}},
        **({"ConditionExpression": "attribute_exists(pk)"} if condition else {}),
    },
    keys,
    st.integers(0, 1),
    st.booleans(),
)
actions = st.one_of(
    puts.map(lambda one: {"Put": one}),
    deletes.map(lambda one: {"Delete": one}),
    updates.map(lambda one: {"Update": one}),
)
batched = st.one_of(
    items.map(lambda one: {"PutRequest": {"Item": one}}), keys.map(lambda key: {"DeleteRequest": {"Key": key}})
)
requests = st.one_of(
    puts.map(lambda one: ("PutItem", one)),
    deletes.map(lambda one: ("DeleteItem", one)),
    updates.map(lambda one: ("UpdateItem", one)),
    st.lists(actions, min_size=1, max_size=3).map(lambda some: ("TransactWriteItems", {"TransactItems": some})),
    st.lists(batched, min_size=1, max_size=3).map(lambda some: ("BatchWriteItem", {"RequestItems": {"orders": some}})),
)


# Readers of a stream ------------------------------------------------------------------------------------------


def key_of(one: Item) -> tuple[str, str]:
    return one["pk"]["S"], one["sk"]["S"]


def plain(one: Item) -> Item:
    """Return an item with its set in one order, since sets have none."""
    return {name: {"SS": sorted(value["SS"])} if "SS" in value else value for name, value in one.items()}


def held(engine: Engine) -> Held:
    return {key_of(one): plain(one) for one in engine.execute("Scan", {"TableName": "orders"})["Items"]}


def replayed(records: Sequence[dict[str, Any]]) -> Held:
    """Return the table that the new images make of an empty one."""
    table: Held = {}
    for record in records:
        key = key_of(record["dynamodb"]["Keys"])
        assert (key in table) == (record["eventName"] != "INSERT")
        if record["eventName"] == "REMOVE":
            del table[key]
        else:
            table[key] = plain(record["dynamodb"]["NewImage"])
    return table


def undone(records: Sequence[dict[str, Any]], table: Held) -> Held:
    """Return the table before all of its changes, by the old images."""
    for record in reversed(records):
        key = key_of(record["dynamodb"]["Keys"])
        assert (key in table) == (record["eventName"] != "REMOVE")
        if record["eventName"] == "INSERT":
            del table[key]
        else:
            table[key] = plain(record["dynamodb"]["OldImage"])
    return table


def keys_left(records: Sequence[dict[str, Any]]) -> set[tuple[str, str]]:
    """Return the keys that exist according to the events alone."""
    left: set[tuple[str, str]] = set()
    for record in records:
        change = left.discard if record["eventName"] == "REMOVE" else left.add
        change(key_of(record["dynamodb"]["Keys"]))
    return left


def check_in_step(engine: Engine, view: str) -> None:
    records = records_of(engine, arn_of(engine), page=3)
    sequences = [int(record["dynamodb"]["SequenceNumber"]) for record in records]
    assert sequences == list(range(10**20 + 1, 10**20 + 1 + len(records)))
    assert keys_left(records) == set(held(engine))
    if view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"):
        assert replayed(records) == held(engine)
    if view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES"):
        assert undone(records, held(engine)) == {}
    if view == "NEW_AND_OLD_IMAGES":
        changes = [record["dynamodb"] for record in records]
        assert all(plain(change.get("OldImage", {})) != plain(change.get("NewImage", {})) for change in changes)


async def ask(engine: AsyncEngine, request: Request) -> None:
    """Carry out a request that may be refused."""
    try:
        await engine.call(*request)
    except DynamoError:
        return


# Properties ---------------------------------------------------------------------------------------------------


@given(view=st.sampled_from(VIEWS), turns=st.lists(st.lists(requests, min_size=1, max_size=4), max_size=6))
def test_replaying_a_stream_gives_the_table(view: str, turns: list[list[Request]]) -> None:
    async def write() -> None:
        engine = AsyncEngine(opened(HandClock()))
        await engine.call("CreateTable", streamed(view))
        for turn in turns:
            # All writes of one event loop iteration share a commit.
            await asyncio.gather(*(ask(engine, request) for request in turn))
            check_in_step(engine.engine, view)
        await engine.close()

    asyncio.run(write())


@examples(50)
@given(
    turns=st.lists(st.tuples(st.lists(requests, min_size=1, max_size=4), st.booleans()), max_size=6),
)
def test_a_write_that_a_failed_commit_undoes_is_in_neither(turns: list[tuple[list[Request], bool]]) -> None:
    async def write() -> None:
        engine = AsyncEngine(opened(HandClock()))
        await engine.call("CreateTable", streamed())
        storage = engine.engine._storage
        commit = storage.commit
        for turn, fails in turns:
            before = held(engine.engine)
            storage.commit = failing if fails else commit
            await asyncio.gather(*(ask(engine, request) for request in turn))
            check_in_step(engine.engine, "NEW_AND_OLD_IMAGES")
            assert not fails or held(engine.engine) == before
        storage.commit = commit
        await engine.close()

    def failing() -> None:
        raise apsw.FullError("database or disk is full")

    asyncio.run(write())


class OnlyEven(Guard):
    """A rule: ``n`` is even."""

    def judge(self, changes: Sequence[Change]) -> Refusal | TableCheck:
        odd = [at for at, change in enumerate(changes) if int((change.new or {}).get("n", {}).get("N", 0)) % 2]
        return Refusal(odd[0], "odd") if odd else lambda view: None

    def adopt(self, view: GuardView, table: str) -> list[str]:
        return []


@examples(50)
@given(turns=st.lists(st.lists(requests, min_size=1, max_size=4), max_size=6))
def test_a_write_that_a_rule_refuses_is_in_neither(turns: list[list[Request]]) -> None:
    async def write() -> None:
        engine = AsyncEngine(opened(HandClock(), guard_loader=lambda _document: OnlyEven()))
        await engine.call("CreateTable", streamed())
        engine.engine.put_rules_document("orders", "n is even")
        for turn in turns:
            await asyncio.gather(*(ask(engine, request) for request in turn))
            check_in_step(engine.engine, "NEW_AND_OLD_IMAGES")
        await engine.close()

    asyncio.run(write())


# The file -----------------------------------------------------------------------------------------------------


def test_a_stream_outlives_a_restart_and_goes_on(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    engine = opened(HandClock(), path)
    engine.execute("CreateTable", streamed())
    put(engine, "orders", item(pk="a", sk="1"))
    engine.close()
    engine = opened(HandClock(), path)
    put(engine, "orders", item(pk="a", sk="2"))
    check_in_step(engine, "NEW_AND_OLD_IMAGES")
    engine.close()


def test_a_stream_that_another_process_enables_is_noticed(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    writer, other = opened(HandClock(), path), opened(HandClock(), path)
    writer.execute("CreateTable", {**streamed(), "StreamSpecification": {"StreamEnabled": False}})
    put(writer, "orders", item(pk="before", sk="1"))
    specification = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    other.execute("UpdateTable", {"TableName": "orders", "StreamSpecification": specification})
    put(writer, "orders", item(pk="after", sk="1"))
    assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in records_of(other, arn_of(other))] == ["after"]
    writer.close()
    other.close()


def test_a_file_of_the_format_before_streams_is_brought_up(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    Storage(path).close()
    with sqlite3.connect(path) as old:
        for later in ("streams", "backups", "transfers"):
            old.execute(f"DROP TABLE {later}")
        old.execute("PRAGMA user_version=1")
    old.close()
    engine = opened(HandClock(), path)
    engine.execute("CreateTable", streamed())
    put(engine, "orders", item(pk="a", sk="1"))
    check_in_step(engine, "NEW_AND_OLD_IMAGES")
    engine.close()


def test_a_table_without_a_stream_has_no_followers() -> None:
    engine = opened(HandClock())
    engine.execute("CreateTable", {**streamed(), "StreamSpecification": {"StreamEnabled": False}})
    assert engine._core.table("orders").followers == ()
    refusal(engine, "DescribeStream", {"StreamArn": "x" * 40}, "ResourceNotFoundException")


def test_sequence_numbers_are_not_given_twice() -> None:
    clock = HandClock()
    engine = opened(clock)
    engine.execute("CreateTable", streamed())
    put(engine, "orders", item(pk="a", sk="1"))
    first = records_of(engine, arn_of(engine))[0]["dynamodb"]["SequenceNumber"]
    clock.now += 25 * 3600
    engine.run_housekeeping()
    put(engine, "orders", item(pk="b", sk="1"))
    (second,) = records_of(engine, arn_of(engine))
    assert int(second["dynamodb"]["SequenceNumber"]) == int(first) + 1
