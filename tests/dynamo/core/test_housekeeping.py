"""Housekeeping deletes expired items through the same function as every deletion."""

from collections.abc import Sequence

import pytest

from bursar.dynamo import AsyncEngine, Engine
from bursar.dynamo.clients.boto3_in_process import boto3_client
from bursar.dynamo.core.guards import Change, Guard, GuardView, Refusal, TableCheck
from tests.support.dynamo.stream_readers import START, HandClock, arn_of, opened, records_of
from tests.support.dynamo.tables import item, put, table

NOW = int(START)
FIVE_YEARS_S = 5 * 365 * 24 * 3600


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def engine(clock: HandClock) -> Engine:
    return with_time_to_live(opened(clock))


def with_time_to_live(engine: Engine) -> Engine:
    engine.execute("CreateTable", table(global_indexes={"by-owner": ("owner:S",)}))
    enable(engine)
    return engine


def enable(engine: Engine, *, on: bool = True) -> None:
    specification = {"Enabled": on, "AttributeName": "expires"}
    engine.execute("UpdateTimeToLive", {"TableName": "orders", "TimeToLiveSpecification": specification})


def left(engine: Engine) -> list[str]:
    return sorted(one["sk"]["S"] for one in engine.execute("Scan", {"TableName": "orders"})["Items"])


def lasting(sk: str, expires: object, **more: str) -> dict[str, dict[str, str]]:
    value = expires if isinstance(expires, dict) else {"N": str(expires)}
    return item(pk="a", sk=sk, expires=value, **more)


def test_only_expired_items_are_deleted(engine: Engine) -> None:
    put(
        engine,
        "orders",
        lasting("expired", NOW - 1, owner="ann"),
        lasting("this second", NOW),
        lasting("later", NOW + 1),
        lasting("fraction", f"{NOW - 1}.5"),
        lasting("older than five years", NOW - FIVE_YEARS_S - 1),
        lasting("milliseconds", NOW * 1000),
        lasting("a string", {"S": str(NOW - 1)}),
        item(pk="a", sk="none"),
    )
    assert engine.run_housekeeping() == 2
    assert left(engine) == ["a string", "later", "milliseconds", "none", "older than five years", "this second"]
    described = engine.execute("DescribeTable", {"TableName": "orders"})["Table"]
    assert described["ItemCount"] == 6
    assert described["GlobalSecondaryIndexes"][0]["ItemCount"] == 0
    assert engine.run_housekeeping() == 0


def test_items_that_were_there_before_expire_too(clock: HandClock) -> None:
    engine = opened(clock)
    engine.execute("CreateTable", table())
    put(engine, "orders", lasting("1", NOW - 1), lasting("2", NOW + 5))
    assert engine.run_housekeeping() == 0
    enable(engine)
    engine.run_housekeeping()
    assert left(engine) == ["2"]
    enable(engine, on=False)
    clock.now += 10
    assert engine.run_housekeeping() == 0
    enable(engine)
    engine.run_housekeeping()
    assert left(engine) == []


def test_a_moment_that_is_moved_counts_from_then_on(engine: Engine, clock: HandClock) -> None:
    put(engine, "orders", lasting("1", NOW + 5), lasting("2", NOW + 5), lasting("3", NOW + 5))
    put(engine, "orders", lasting("1", NOW + 50), item(pk="a", sk="2"))
    engine.execute("DeleteItem", {"TableName": "orders", "Key": item(pk="a", sk="3")})
    clock.now += 10
    assert engine.run_housekeeping() == 0
    clock.now += 50
    assert engine.run_housekeeping() == 1
    assert left(engine) == ["2"]


def test_a_run_is_bounded(engine: Engine) -> None:
    put(engine, "orders", *(lasting(str(number), NOW - 1) for number in range(7)))
    assert [engine.run_housekeeping(3) for _ in range(4)] == [3, 3, 1, 0]


def test_the_stream_names_the_service_as_the_author(engine: Engine) -> None:
    engine.execute(
        "UpdateTable",
        {"TableName": "orders", "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"}},
    )
    put(engine, "orders", lasting("1", NOW - 1))
    engine.run_housekeeping()
    put(engine, "orders", lasting("2", NOW + 1))
    inserted, removed, after = records_of(engine, arn_of(engine))
    assert removed["eventName"] == "REMOVE"
    assert removed["dynamodb"]["OldImage"] == lasting("1", NOW - 1)
    assert removed["userIdentity"] == {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    assert "userIdentity" not in inserted
    assert "userIdentity" not in after


class KeepsHeld(Guard):
    """A rule: items with ``held`` are not deleted."""

    def judge(self, changes: Sequence[Change]) -> Refusal | TableCheck:
        for index, change in enumerate(changes):
            if change.new is None and "held" in (change.old or {}):
                return Refusal(index, "held")
        return lambda view: None

    def adopt(self, view: GuardView, table: str) -> list[str]:
        return []


def test_an_item_that_a_rule_protects_stays_and_the_others_are_deleted(clock: HandClock) -> None:
    engine = with_time_to_live(opened(clock, guard_loader=lambda _document: KeepsHeld()))
    engine.put_rules_document("orders", "keep what is held")
    put(engine, "orders", *(lasting(f"held {number}", NOW - 9, held="yes") for number in range(4)))
    put(engine, "orders", lasting("free", NOW - 1))
    for _ in range(3):
        engine.run_housekeeping(2)
    assert left(engine) == ["held 0", "held 1", "held 2", "held 3"]


def test_time_to_live_outlives_a_restart(clock: HandClock, tmp_path: object) -> None:
    path = f"{tmp_path}/store.db"
    engine = with_time_to_live(opened(clock, path))
    put(engine, "orders", lasting("1", NOW + 1))
    engine.close()
    clock.now += 5
    engine = opened(clock, path)
    engine.run_housekeeping()
    assert left(engine) == []
    engine.execute("DeleteTable", {"TableName": "orders"})
    engine.close()


async def test_the_asyncio_engine_runs_housekeeping_after_writes(clock: HandClock) -> None:
    engine = with_time_to_live(opened(clock))
    shared = AsyncEngine(engine)
    await shared.call("PutItem", {"TableName": "orders", "Item": lasting("1", NOW + 1)})
    clock.now += 5
    await shared.call("PutItem", {"TableName": "orders", "Item": item(pk="a", sk="2")})
    assert left(engine) == ["2"]
    await shared.close()


async def test_the_asyncio_engine_runs_housekeeping_every_second_once_started(clock: HandClock) -> None:
    engine = with_time_to_live(opened(clock))
    put(engine, "orders", lasting("1", NOW + 1))
    clock.now += 5
    shared = AsyncEngine(engine)
    shared.start_housekeeping()
    assert left(engine) == []
    await shared.close()


def test_boto3_clients_run_housekeeping(engine: Engine, clock: HandClock) -> None:
    client = boto3_client(engine)
    put(engine, "orders", lasting("1", NOW + 1))
    clock.now += 5
    client.list_tables()
    assert left(engine) == []
