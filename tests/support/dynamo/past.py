"""A table with point-in-time recovery, random writes to it, and a model that replays them to any instant."""

import itertools
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from bursar.dynamo import Engine
from tests.support.dynamo.stream_readers import HandClock, opened
from tests.support.dynamo.tables import item, table

TABLE = "orders"
Request = tuple[str, dict[str, Any]]
Held = dict[tuple[str, str], dict[str, Any]]

keys = st.builds(lambda pk, sk: item(pk=pk, sk=sk), st.sampled_from("ab"), st.sampled_from("12"))
items = st.builds(
    lambda key, number, state: {**key, "n": {"N": str(number)}, **({"state": {"S": state}} if state else {})},
    keys,
    st.integers(0, 2),
    st.sampled_from(("", "x", "y")),
)
puts = items.map(lambda one: {"TableName": TABLE, "Item": one})
deletes = keys.map(lambda key: {"TableName": TABLE, "Key": key})
updates = st.builds(
    lambda key, number: {
        "TableName": TABLE,
        "Key": key,
        "UpdateExpression": "ADD n :n",
        "ExpressionAttributeValues": {":n": {"N": str(number)}},
    },
    keys,
    st.integers(0, 1),
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
    st.lists(batched, min_size=1, max_size=3).map(lambda some: ("BatchWriteItem", {"RequestItems": {TABLE: some}})),
)
"""Writes that may be refused (a key twice in one request)."""


def indexed_table(name: str = TABLE) -> dict[str, Any]:
    """Return a CreateTable request for a table with an index."""
    return table(name, global_indexes={"by-state": ("state:S", "n:N")})


def turn_on(engine: Engine, name: str = TABLE, **specification: Any) -> None:
    """Turn a table's point-in-time recovery on."""
    engine.execute(
        "UpdateContinuousBackups",
        {
            "TableName": name,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True, **specification},
        },
    )


def with_past(clock: HandClock, path: str = ":memory:") -> Engine:
    """Return an engine with one table, whose point-in-time recovery is on."""
    engine = opened(clock, path)
    engine.execute("CreateTable", indexed_table())
    turn_on(engine)
    return engine


def held(engine: Engine, name: str = TABLE, index: str | None = None) -> Held:
    """Return the items of a table, or of an index, by key."""
    request: dict[str, Any] = {"TableName": name, **({"IndexName": index} if index else {})}
    found: Held = {}
    while True:
        page = engine.execute("Scan", request)
        found.update({(one["pk"]["S"], one["sk"]["S"]): one for one in page["Items"]})
        if "LastEvaluatedKey" not in page:
            return found
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


_names = (f"restored-{number}" for number in itertools.count())


def fresh_name() -> str:
    """Return a table name that no earlier call returned."""
    return next(_names)


def restored(engine: Engine, instant: float | None, name: str = TABLE) -> Held:
    """Restore a table to an instant (None: the latest) and return its items; check that its index has them too."""
    target = fresh_name()
    when = {"UseLatestRestorableTime": True} if instant is None else {"RestoreDateTime": instant}
    engine.execute("RestoreTableToPointInTime", {"SourceTableName": name, "TargetTableName": target, **when})
    found = held(engine, target)
    described = engine.execute("DescribeTable", {"TableName": target})["Table"]
    assert described["ItemCount"] == len(found)
    assert held(engine, target, "by-state") == {key: one for key, one in found.items() if "state" in one and "n" in one}
    engine.execute("DeleteTable", {"TableName": target})
    return found


def states_at(states: list[tuple[float, Held]]) -> Iterator[tuple[float, Held]]:
    """Return (instant, expected items) at, between and after the instants of ``states``, which rise."""
    for at, (instant, state) in enumerate(states):
        if at + 1 == len(states) or states[at + 1][0] > instant:
            yield instant, state
        if at + 1 < len(states) and states[at + 1][0] > instant:
            yield (instant + states[at + 1][0]) / 2, state
