"""Deliveries to Kinesis: every change, in the order of its item, after any failure; their ends; kill -9."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bursar.clock import Clock, system_clock
from bursar.dynamo import Engine
from bursar.dynamo.commands import dynamo
from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.dynamo.storage.integrity_check import check_store
from bursar.dynamo.tools.delivering.kinesis_target import KinesisTarget
from tests.support.dynamo.kinesis import (
    KEYS,
    STREAM,
    MemoryTarget,
    MotoKinesis,
    delivered,
    in_order,
    records_of,
)
from tests.support.dynamo.served import Served
from tests.support.dynamo.stream_readers import HandClock, opened
from tests.support.dynamo.tables import item, put, table
from tests.support.hypothesis_profiles import examples

DAY_S = 24 * 3600.0
DESTINATION = {"TableName": "orders", "StreamArn": STREAM}


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def engine(clock: HandClock) -> Engine:
    """Return an engine with a table whose destination is being enabled."""
    return with_destination(clock)


def with_destination(clock: HandClock, path: str = ":memory:", stream: str = STREAM) -> Engine:
    engine = opened(clock, path)
    engine.set_kinesis()
    engine.execute("CreateTable", table())
    engine.execute("EnableKinesisStreamingDestination", {**DESTINATION, "StreamArn": stream})
    return engine


class Deliveries:
    """The deliveries of one engine to one target."""

    def __init__(self, engine: Engine, clock: Clock, target: KinesisTarget | None = None) -> None:
        self.engine, self._clock = engine, clock
        self.memory = MemoryTarget()
        self._target = target or self.memory
        self.reports: list[str] = []

    def run(self) -> None:
        """Deliver until nothing is left."""
        self.run_until(self.is_done)

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Deliver until a condition holds."""
        delivered(AsyncEngine(self.engine), self._target, condition, clock=self._clock, reports=self.reports)

    def is_done(self) -> bool:
        """Return whether no capture has a record, and none is being enabled."""
        streams = self.engine._core.streams
        return all(
            not streams.captured(capture.id, 1) and (capture.destination or {})["Status"] != "ENABLING"
            for capture in streams.captures()
        )

    def status(self) -> tuple[str, str | None]:
        [entry] = self.engine.execute("DescribeKinesisStreamingDestination", {"TableName": "orders"})[
            "KinesisDataStreamDestinations"
        ]
        return entry["DestinationStatus"], entry.get("DestinationStatusDescription")


def test_records_have_amazons_form(engine: Engine, clock: HandClock) -> None:
    clock.now += 0.25
    put(engine, "orders", item(pk="a", sk="1", n=1), item(pk="a", sk="1", n=2))
    engine.execute("DeleteItem", {"TableName": "orders", "Key": item(pk="a", sk="1")})
    deliveries = Deliveries(engine, clock)
    deliveries.run()
    inserted, modified, removed = deliveries.memory.events()
    identifier = inserted.pop("eventID")
    assert (len(identifier), identifier[14]) == (36, "4")
    assert list(inserted) == [
        "awsRegion",
        "eventName",
        "userIdentity",
        "recordFormat",
        "tableName",
        "dynamodb",
        "eventSource",
    ]
    assert inserted == {
        "awsRegion": "us-east-1",
        "eventName": "INSERT",
        "userIdentity": None,
        "recordFormat": "application/json",
        "tableName": "orders",
        "dynamodb": {
            "ApproximateCreationDateTime": int(clock.now * 1000),
            "Keys": item(pk="a", sk="1"),
            "NewImage": item(pk="a", sk="1", n=1),
            "SizeBytes": 15,
        },
        "eventSource": "aws:dynamodb",
    }
    assert modified["dynamodb"]["OldImage"] == item(pk="a", sk="1", n=1)
    assert (removed["eventName"], "NewImage" in removed["dynamodb"]) == ("REMOVE", False)
    assert [len(request) for request in deliveries.memory.requests] == [1, 1, 1], "one record of an item at a time"
    assert deliveries.status() == ("ACTIVE", None)


def test_microseconds_and_deletions_by_time_to_live(engine: Engine, clock: HandClock) -> None:
    deliveries = Deliveries(engine, clock)
    deliveries.run()
    precision = {"ApproximateCreationDateTimePrecision": "MICROSECOND"}
    engine.execute(
        "UpdateKinesisStreamingDestination", {**DESTINATION, "UpdateKinesisStreamingConfiguration": precision}
    )
    lives = {"Enabled": True, "AttributeName": "ends"}
    engine.execute("UpdateTimeToLive", {"TableName": "orders", "TimeToLiveSpecification": lives})
    put(engine, "orders", item(pk="a", sk="1", ends=int(clock.now)))
    clock.now += 10.000125
    engine.run_housekeeping()
    deliveries.run()
    _, removed = deliveries.memory.events()
    assert removed["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    assert removed["dynamodb"]["ApproximateCreationDateTime"] == int(clock.now * 1_000_000)
    assert removed["dynamodb"].items() >= precision.items()


@pytest.mark.parametrize(
    ("stream", "usable", "description"),
    [
        (STREAM, False, "User does not have a permission to use kinesis stream"),
        (STREAM, None, "User does not have a permission to use kinesis stream"),
        (
            STREAM.replace("us-east-1", "eu-west-1"),
            True,
            "The kinesis Arn used to enable kinesis replication belongs to a stream which is not in the current region",
        ),
    ],
)
def test_a_stream_that_cannot_be_used(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch, stream: str, usable: bool | None, description: str
) -> None:
    deliveries = Deliveries(with_destination(clock, stream=stream), clock)
    put(deliveries.engine, "orders", item(pk="a", sk="1"))
    deliveries.memory.usable = usable
    clock.now += 61  # a server that does not answer is asked for a minute
    deliveries.run()
    assert deliveries.status() == ("ENABLE_FAILED", description)
    clock.now += DAY_S
    deliveries.engine.run_housekeeping()
    described = deliveries.engine.execute("DescribeKinesisStreamingDestination", {"TableName": "orders"})
    assert described["KinesisDataStreamDestinations"] == []


@examples(8)
@given(seed=st.integers(0, 10_000))
def test_no_change_is_lost_and_each_item_keeps_its_order(seed: int) -> None:
    clock, randomness = HandClock(), random.Random(seed)
    deliveries = Deliveries(with_destination(clock), clock)
    deliveries.memory.randomness = randomness
    expected: dict[str, list[str]] = {}
    for number in range(60):
        key = item(pk=randomness.choice("abc"), sk="1")
        put(deliveries.engine, "orders", {**key, "n": {"N": str(number)}})
        expected.setdefault(json.dumps(key), []).append(str(number))
        if number == 30:
            deliveries.run()
    deliveries.run()
    arrived = deliveries.memory.events()
    assert in_order(arrived, lambda event: event["dynamodb"]["NewImage"]["n"]["N"]) == expected
    last = {json.dumps(event["dynamodb"]["Keys"]): event["dynamodb"]["NewImage"]["n"]["N"] for event in arrived}
    assert last == {key: numbers[-1] for key, numbers in expected.items()}
    deliveries.engine.close()


def test_what_a_closed_destination_holds_is_delivered_before_what_follows(tmp_path: Path, clock: HandClock) -> None:
    path = str(tmp_path / "store.db")
    engine = with_destination(clock, path)
    deliveries = Deliveries(engine, clock)
    deliveries.run()
    put(engine, "orders", item(pk="a", sk="1", n=1))
    engine.execute("DisableKinesisStreamingDestination", DESTINATION)
    put(engine, "orders", item(pk="a", sk="1", n=2))
    engine.execute("EnableKinesisStreamingDestination", DESTINATION)
    put(engine, "orders", item(pk="a", sk="1", n=3))
    engine.execute("DeleteTable", {"TableName": "orders"})
    engine.execute("CreateTable", table())
    put(engine, "orders", item(pk="a", sk="1", n=4))
    assert check_store(path) == []
    deliveries.run()
    assert [event["dynamodb"]["NewImage"]["n"]["N"] for event in deliveries.memory.events()] == ["1", "3"]
    described = engine.execute("DescribeKinesisStreamingDestination", {"TableName": "orders"})
    assert described["KinesisDataStreamDestinations"] == []
    engine.close()
    version = Path(path).read_bytes()[60:64]
    assert int.from_bytes(version) == 5, "an older Bursar must not open a file with destinations"


def test_changes_wait_a_day_for_a_server_that_does_not_answer(engine: Engine, clock: HandClock) -> None:
    deliveries = Deliveries(engine, clock)
    deliveries.run()
    deliveries.memory.usable = None
    put(engine, "orders", item(pk="a", sk="1"), item(pk="b", sk="1"))
    deliveries.run_until(lambda: len(deliveries.reports) > 3)
    clock.now += DAY_S - 1
    engine.run_housekeeping()
    deliveries.memory.usable = True
    deliveries.run()
    assert len(deliveries.memory.received) == 2


def test_a_record_that_kinesis_cannot_take_is_skipped(engine: Engine, clock: HandClock) -> None:
    many = {"L": [{"BOOL": True}] * 80_000}
    put(engine, "orders", item(pk="a", sk="1", large=many), item(pk="b", sk="1"))
    deliveries = Deliveries(engine, clock)
    deliveries.run()
    assert [event["dynamodb"]["Keys"]["pk"]["S"] for event in deliveries.memory.events()] == ["b"]
    [report] = deliveries.reports
    assert report.startswith(f"{STREAM}: skipped change 1, whose record would have 1,")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kinesis-endpoint", "localhost:4566"], "--kinesis-endpoint: must begin with http:// or https://"),
        (["--kinesis-endpoint", "http://x", "--isolated"], "--isolated: must be given without"),
        (["--kinesis-endpoint", "http://x", "--read-only"], "--read-only: must be given without"),
    ],
)
def test_wrong_options_are_explained(options: list[str], message: str) -> None:
    run = CliRunner().invoke(dynamo, options)
    assert (run.exit_code, message in run.output) == (2, True), run.output


def test_a_server_that_is_killed_is_followed_by_one_that_goes_on(tmp_path: Path) -> None:
    path, kinesis = str(tmp_path / "store.db"), MotoKinesis()
    servers: list[Served] = []
    puts: list[int] = []

    def kill_the_server_that_waits(operation: str) -> None:
        if operation == "PutRecords":
            puts.append(1)
            if len(puts) == 2:  # Kinesis has the records, and the server does not know it
                servers[0].kill()

    kinesis.before_answer = kill_the_server_that_waits
    with kinesis.running() as streams:
        streams.create_stream(StreamName="changes", ShardCount=2)
        arn = streams.describe_stream_summary(StreamName="changes")["StreamDescriptionSummary"]["StreamARN"]
        servers.append(Served(path, options=(f"--kinesis-endpoint={kinesis.url}",)))
        client = boto3.client("dynamodb", endpoint_url=servers[0].url, **KEYS)
        client.create_table(**table())
        client.enable_kinesis_streaming_destination(TableName="orders", StreamArn=arn)
        for number in range(6):
            client.put_item(TableName="orders", Item=item(pk="ab"[number % 2], sk="1", n=number))
        servers[0].process.wait(120)

        following = Deliveries(Engine.open(path), system_clock, kinesis.target())
        following.run()
        assert following.status() == ("ACTIVE", None)
        following.engine.close()
        events = records_of(streams, "changes")
    assert len(events) > 6, "the request that was not answered is repeated"
    ordered = in_order(events, lambda event: event["dynamodb"]["NewImage"]["n"]["N"])
    assert sorted(ordered.values()) == [["0", "2", "4"], ["1", "3", "5"]]
    assert {len(event["PartitionKey"]) for event in events} == {32}
    assert any("/us-east-1/kinesis/aws4_request" in signature for signature in kinesis.signatures)
    assert check_store(path) == []
