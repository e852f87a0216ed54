"""The laws that hold in a storm: nothing acknowledged is lost or doubled, and nothing that is refused takes place."""

import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import DynamoError, Engine
from bursar.dynamo.storage.integrity_check import check_store
from bursar.dynamo.weather.settings import STORM
from tests.support.dynamo.in_weather import Caller, in_weather
from tests.support.dynamo.stream_readers import HandClock, arn_of
from tests.support.dynamo.tables import item, table
from tests.support.hypothesis_profiles import examples

ORDERS = {
    **table(global_indexes={"by-owner": ("owner:S",)}),
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}
KEYS = [(partition, sort) for partition in "ab" for sort in "xyz"]
Items = dict[tuple[str, str], dict[str, Any]]


class Run:
    """Random requests in a storm, beside a model that knows what was acknowledged, and when."""

    def __init__(self, seed: int, path: str = ":memory:") -> None:
        self.chances = random.Random(seed)
        self.clock = HandClock()
        self.engine = in_weather(seed=seed, clock=self.clock, path=path)
        self.caller = Caller(self.engine)
        self.now: Items = {}
        self.states: dict[tuple[str, str], list[tuple[float, dict[str, Any] | None]]] = defaultdict(list)
        self.caller.execute("CreateTable", ORDERS)

    def step(self) -> None:
        self.clock.now += self.chances.choice((0.0, 0.01, 0.5, 3.0))
        getattr(self, self.chances.choice(("put", "add", "delete", "batch", "transact", "read", "query", "index")))()

    def key(self) -> tuple[str, str]:
        return self.chances.choice(KEYS)

    def new(self, key: tuple[str, str]) -> dict[str, Any]:
        return item(pk=key[0], sk=key[1], n=self.chances.randrange(1000), owner=self.chances.choice("mn"))

    def becomes(self, key: tuple[str, str], new: dict[str, Any] | None) -> None:
        self.states[key].append((self.clock.now, self.now.get(key)))  # this moment ends the state before
        if new is None:
            self.now.pop(key, None)
        else:
            self.now[key] = new

    def put(self) -> None:
        key = self.key()
        new = self.new(key)
        self.caller.execute("PutItem", {"TableName": "orders", "Item": new})
        self.becomes(key, new)

    def add(self) -> None:
        key = self.key()
        request = {"UpdateExpression": "ADD n :n", "ExpressionAttributeValues": {":n": {"N": "1"}}}
        self.caller.execute("UpdateItem", {"TableName": "orders", "Key": item(pk=key[0], sk=key[1]), **request})
        before = self.now.get(key, item(pk=key[0], sk=key[1], n=0))
        self.becomes(key, {**before, "n": {"N": str(int(before["n"]["N"]) + 1)}})

    def delete(self) -> None:
        key = self.key()
        self.caller.execute("DeleteItem", {"TableName": "orders", "Key": item(pk=key[0], sk=key[1])})
        self.becomes(key, None)

    def batch(self) -> None:
        left = {key: self.new(key) for key in self.chances.sample(KEYS, 3)}
        while left:
            requests = [{"PutRequest": {"Item": one}} for one in left.values()]
            answer = self.caller.execute("BatchWriteItem", {"RequestItems": {"orders": requests}})
            if not answer:  # 500: some took place; the caller repeats all
                for key in left:
                    self.becomes(key, self.stored(key))
                continue
            unprocessed = [one["PutRequest"]["Item"] for one in answer["UnprocessedItems"].get("orders", ())]
            for key in [key for key, new in left.items() if new not in unprocessed]:
                self.becomes(key, left.pop(key))

    def transact(self) -> None:
        news = {key: self.new(key) for key in self.chances.sample(KEYS, 2)}
        puts = [{"Put": {"TableName": "orders", "Item": new}} for new in news.values()]
        self.caller.execute("TransactWriteItems", {"TransactItems": puts})
        for key, new in news.items():
            self.becomes(key, new)

    def read(self) -> None:
        key = self.key()
        request = {"TableName": "orders", "Key": item(pk=key[0], sk=key[1])}
        assert self.caller.execute("GetItem", {**request, "ConsistentRead": True}).get("Item") == self.now.get(key)
        get = {"Get": request}
        answer = self.caller.execute("TransactGetItems", {"TransactItems": [get]})
        assert answer["Responses"][0].get("Item") == self.now.get(key)
        found = self.caller.execute("GetItem", request).get("Item")
        assert found in self.recent(key, STORM.stale_read_lag_ms)
        batch = self.caller.execute("BatchGetItem", {"RequestItems": {"orders": {"Keys": [request["Key"]]}}})
        assert next(iter(batch["Responses"]["orders"]), None) in self.recent(key, STORM.stale_read_lag_ms)

    def query(self) -> None:
        condition = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
        request = {"TableName": "orders", **condition}
        found = self.caller.all_pages("Query", {**request, "ConsistentRead": True})
        assert found == [self.now[key] for key in sorted(self.now) if key[0] == "a"]
        for one in self.caller.all_pages("Query", request):
            assert one in self.recent((one["pk"]["S"], one["sk"]["S"]), STORM.stale_read_lag_ms)
        found = self.caller.all_pages("Scan", {"TableName": "orders", "ConsistentRead": True})
        assert found == [self.now[key] for key in sorted(self.now)]

    def index(self) -> None:
        condition = {"KeyConditionExpression": "#o = :o", "ExpressionAttributeNames": {"#o": "owner"}}
        request = {**condition, "ExpressionAttributeValues": {":o": {"S": "m"}}}
        for one in self.caller.all_pages("Query", {"TableName": "orders", "IndexName": "by-owner", **request}):
            assert one["owner"] == {"S": "m"}
            assert one in self.recent((one["pk"]["S"], one["sk"]["S"]), STORM.stale_index_lag_ms)

    def recent(self, key: tuple[str, str], lag_ms: int) -> list[dict[str, Any] | None]:
        """Return the states of an item that a replica may show."""
        oldest = self.clock.now - lag_ms / 1000
        return [self.now.get(key), *(state for ended, state in self.states[key] if ended >= oldest)]

    def stored(self, key: tuple[str, str]) -> dict[str, Any] | None:
        with self.engine.calm():
            return self.engine.execute("GetItem", {"TableName": "orders", "Key": item(pk=key[0], sk=key[1])}).get(
                "Item"
            )


@examples(25)
@given(st.integers(0, 2**32))
def test_acknowledged_writes_are_stored_once_and_reads_show_what_was(seed: int) -> None:
    run = Run(seed)
    for _ in range(40):
        run.step()
    with run.engine.calm():
        scanned = run.engine.execute("Scan", {"TableName": "orders"})["Items"]
    assert scanned == [run.now[key] for key in sorted(run.now)]
    run.engine.close()


def test_a_storm_leaves_a_sound_file(tmp_path: Path) -> None:
    run = Run(5, str(tmp_path / "store.db"))
    for _ in range(200):
        run.step()
    happened = {kind for _, kind in run.engine.happened()}
    run.engine.close()
    assert check_store(str(tmp_path / "store.db")) == []
    assert happened == {
        "error_after_write",
        "partial_batch",
        "slow_answer",
        "small_page",
        "stale_index",
        "stale_read",
        "throttled",
        "transaction_conflict",
    }


def outcomes(seed: int) -> tuple[dict[tuple[str, str], int], list[str]]:
    run = Run(1, ":memory:")
    run.engine.close()
    run.engine = in_weather(seed=seed, clock=run.clock)
    run.caller = Caller(run.engine)
    run.caller.execute("CreateTable", ORDERS)
    for number in range(60):
        run.caller.execute("PutItem", {"TableName": "orders", "Item": item(pk="a", sk=str(number % 3), n=number)})
        run.caller.execute("GetItem", {"TableName": "orders", "Key": item(pk="a", sk=str(number % 3))})
    return run.engine.happened(), [error.code for error in run.caller.refusals]


def test_a_seed_repeats_the_weather_and_another_seed_does_not() -> None:
    assert outcomes(1) == outcomes(1)
    assert outcomes(1) != outcomes(2)


@examples(20)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_a_paged_scan_yields_each_item_once(seed: int, segments: int) -> None:
    engine = in_weather(seed=seed)
    caller = Caller(engine)
    caller.execute("CreateTable", ORDERS)
    expected = [item(pk=str(number % 7), sk=str(number)) for number in range(60)]
    with engine.calm():
        for one in expected:
            engine.execute("PutItem", {"TableName": "orders", "Item": one})
    parts = [{"Segment": number, "TotalSegments": segments} for number in range(segments)]
    found = [one for part in parts for one in caller.all_pages("Scan", {"TableName": "orders", **part})]
    assert sorted(map(orjson.dumps, found)) == sorted(map(orjson.dumps, expected))
    engine.close()


def delivered(caller: Caller, clock: HandClock) -> Iterator[dict[str, Any]]:
    """Yield the records of the stream, as a consumer gets them; it waits when there are none."""
    arn = arn_of(caller.engine, "orders")
    shard = caller.execute("DescribeStream", {"StreamArn": arn})["StreamDescription"]["Shards"][0]["ShardId"]
    start = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    iterator = caller.execute("GetShardIterator", start)["ShardIterator"]
    empty = 0
    while empty < 3:
        answer = caller.execute("GetRecords", {"ShardIterator": iterator, "Limit": 5})
        iterator = answer["NextShardIterator"]
        yield from answer["Records"]
        empty = 0 if answer["Records"] else empty + 1
        clock.now += 0.5


@examples(20)
@given(st.integers(0, 2**32))
def test_stream_records_come_at_least_once_and_in_order(seed: int) -> None:
    clock = HandClock()
    engine = in_weather(seed=seed, clock=clock)
    caller = Caller(engine)
    caller.execute("CreateTable", ORDERS)
    with engine.calm():
        for number in range(30):
            clock.now += 0.01
            engine.execute("PutItem", {"TableName": "orders", "Item": item(pk="a", sk=str(number % 4), n=number)})
    numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in delivered(caller, clock)]
    first = list(dict.fromkeys(numbers))
    assert first == sorted(first)
    assert len(first) == 30
    assert len(numbers) - len(first) == engine.happened().get(("orders", "stream_repeat"), 0)
    assert engine.happened()["orders", "stream_delay"] > 0
    engine.close()


def test_an_expired_item_stays_and_is_counted() -> None:
    clock = HandClock()
    engine = in_weather(clock=clock)
    caller = Caller(engine)
    caller.execute("CreateTable", ORDERS)
    specification = {"Enabled": True, "AttributeName": "ends"}
    caller.execute("UpdateTimeToLive", {"TableName": "orders", "TimeToLiveSpecification": specification})
    caller.execute("PutItem", {"TableName": "orders", "Item": item(pk="a", sk="b", ends=int(clock.now) + 10)})
    clock.now += 3600
    engine.run_housekeeping()
    assert "Item" in caller.execute("GetItem", {"TableName": "orders", "Key": item(pk="a", sk="b")})
    assert engine.happened()["orders", "expired_item"] == 1
    clock.now += STORM.ttl_delay_s
    engine.run_housekeeping()
    request = {"TableName": "orders", "Key": item(pk="a", sk="b"), "ConsistentRead": True}
    assert "Item" not in caller.execute("GetItem", request)


def test_slow_answers_sleep_after_the_request() -> None:
    sleeps: list[float] = []
    engine = in_weather(sleeps=sleeps)
    caller = Caller(engine)
    caller.execute("CreateTable", ORDERS)
    for number in range(100):
        caller.execute("PutItem", {"TableName": "orders", "Item": item(pk="a", sk=str(number))})
    assert len(sleeps) == engine.happened()["orders", "slow_answer"] > 0
    assert 0 < max(sleeps) <= STORM.slow_answer_ms / 1000


def test_a_calm_engine_reports_nothing() -> None:
    engine = Engine.open(":memory:")
    with engine.calm():
        engine.execute("CreateTable", ORDERS)
    assert (engine.happened(), engine.weather_report()) == ({}, "")


@pytest.mark.parametrize("operation", ["PutItem", "Query", "BatchWriteItem", "TransactWriteItems", "ExecuteStatement"])
def test_faults_of_a_request_are_reported_without_weather(operation: str) -> None:
    calm, stormy = Engine.open(":memory:"), in_weather()
    requests: list[dict[str, Any]] = [
        {},
        {"TableName": "orders"},
        {"RequestItems": {}},
        {"Statement": "SELECT"},
        {"TransactItems": [{}]},
    ]
    for request in requests:
        texts = []
        for engine in (calm, stormy):
            with pytest.raises(DynamoError) as raised:
                engine.execute(operation, request)
            texts.append(str(raised.value))
        assert texts[0] == texts[1]
