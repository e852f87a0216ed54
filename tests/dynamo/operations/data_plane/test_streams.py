"""DynamoDB Streams: the records, and how they are read."""

from typing import Any

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.clients.boto3_in_process import boto3_client, boto3_streams_client
from tests.support.dynamo.stream_readers import (
    HandClock,
    arn_of,
    described,
    iterator,
    opened,
    read,
    records_of,
    streamed,
)
from tests.support.dynamo.tables import item, put, refusal, table

HOUR_S = 3600.0
KEY = item(pk="a", sk="1")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def engine(clock: HandClock) -> Engine:
    made = opened(clock)
    made.execute("CreateTable", streamed())
    return made


def update(engine: Engine, number: int, name: str = "orders") -> None:
    engine.execute(
        "UpdateItem",
        {
            "TableName": name,
            "Key": KEY,
            "UpdateExpression": "SET n = :n",
            "ExpressionAttributeValues": {":n": {"N": str(number)}},
        },
    )


def switch(engine: Engine, *, on: bool) -> None:
    specification = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"} if on else {"StreamEnabled": False}
    engine.execute("UpdateTable", {"TableName": "orders", "StreamSpecification": specification})


def test_each_change_makes_one_record_in_order(engine: Engine) -> None:
    put(engine, "orders", item(pk="a", sk="1", n=1))
    update(engine, 2)
    engine.execute("DeleteItem", {"TableName": "orders", "Key": KEY})

    records = records_of(engine, arn_of(engine))

    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "REMOVE"]
    assert [record["dynamodb"].get("OldImage") for record in records] == [None, KEY | item(n=1), KEY | item(n=2)]
    assert [record["dynamodb"].get("NewImage") for record in records] == [KEY | item(n=1), KEY | item(n=2), None]
    assert [record["dynamodb"]["Keys"] for record in records] == [KEY] * 3
    sequences = [record["dynamodb"]["SequenceNumber"] for record in records]
    assert sequences == sorted(sequences)
    assert {len(sequence) for sequence in sequences} == {21}
    assert len({record["eventID"] for record in records}) == 3


def test_a_record_has_the_members_of_amazons(engine: Engine) -> None:
    put(engine, "orders", item(pk="a", sk="1", n=1))
    (record,) = records_of(engine, arn_of(engine))
    assert {name: value for name, value in record.items() if name not in ("eventID", "dynamodb")} == {
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
    }
    assert record["dynamodb"]["ApproximateCreationDateTime"] == 1_800_000_000
    assert record["dynamodb"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    # Keys take 6 bytes (pk a, sk 1), the image takes those and n=1 (1 + 2): as DynamoDB Local counts them.
    assert record["dynamodb"]["SizeBytes"] == 6 + 9


@pytest.mark.parametrize(
    ("view", "images", "size"),
    [("KEYS_ONLY", set(), 6), ("NEW_IMAGE", {"NewImage"}, 15), ("OLD_IMAGE", {"OldImage"}, 15)],
)
def test_a_view_type_chooses_the_images(clock: HandClock, view: str, images: set[str], size: int) -> None:
    engine = opened(clock)
    engine.execute("CreateTable", streamed(view))
    put(engine, "orders", item(pk="a", sk="1", n=1))
    update(engine, 2)
    change = records_of(engine, arn_of(engine))[1]["dynamodb"]
    assert {name for name in change if name.endswith("Image")} == images
    assert change["SizeBytes"] == size


@pytest.mark.parametrize(
    "again", [item(pk="a", sk="1", s={"SS": ["x", "y"]}, n=1), item(n=1, s={"SS": ["y", "x"]}, sk="1", pk="a")]
)
def test_a_write_that_changes_nothing_makes_no_record(engine: Engine, again: dict[str, object]) -> None:
    put(engine, "orders", item(pk="a", sk="1", s={"SS": ["x", "y"]}, n=1))
    put(engine, "orders", again)
    engine.execute("DeleteItem", {"TableName": "orders", "Key": item(pk="not", sk="there")})
    assert len(records_of(engine, arn_of(engine))) == 1


def test_a_removal_from_a_missing_item_makes_no_record(engine: Engine) -> None:
    removal = {"TableName": "orders", "Key": KEY, "UpdateExpression": "REMOVE n"}
    legacy = {"TableName": "orders", "Key": KEY, "AttributeUpdates": {"n": {"Action": "DELETE"}}}
    engine.execute("UpdateItem", removal)
    engine.execute("UpdateItem", legacy)
    engine.execute("TransactWriteItems", {"TransactItems": [{"Update": removal}]})
    assert records_of(engine, arn_of(engine)) == []


def test_transactions_and_batches_are_recorded_write_by_write(engine: Engine) -> None:
    engine.execute(
        "TransactWriteItems",
        {"TransactItems": [{"Put": {"TableName": "orders", "Item": item(pk="t", sk=sk)}} for sk in ("1", "2")]},
    )
    batch = [{"PutRequest": {"Item": item(pk="b", sk="1")}}, {"DeleteRequest": {"Key": item(pk="t", sk="1")}}]
    engine.execute("BatchWriteItem", {"RequestItems": {"orders": batch}})
    records = records_of(engine, arn_of(engine))
    assert [(record["eventName"], record["dynamodb"]["Keys"]["pk"]["S"]) for record in records] == [
        ("INSERT", "t"),
        ("INSERT", "t"),
        ("INSERT", "b"),
        ("REMOVE", "t"),
    ]


def test_a_refused_transaction_leaves_no_record(engine: Engine) -> None:
    put(engine, "orders", item(pk="a", sk="1"))
    actions = [
        {"Put": {"TableName": "orders", "Item": item(pk="b", sk="1")}},
        {
            "ConditionCheck": {
                "TableName": "orders",
                "Key": KEY,
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        },
    ]
    refusal(engine, "TransactWriteItems", {"TransactItems": actions}, "TransactionCanceledException")
    assert len(records_of(engine, arn_of(engine))) == 1


# Reading ------------------------------------------------------------------------------------------------------


def test_iterators_start_at_the_requested_position(engine: Engine, clock: HandClock) -> None:
    put(engine, "orders", *(item(pk="a", sk=str(number)) for number in range(3)))
    clock.now += 10
    put(engine, "orders", item(pk="a", sk="3"))
    arn = arn_of(engine)
    second = records_of(engine, arn)[1]["dynamodb"]["SequenceNumber"]

    def keys(kind: str, **request: Any) -> list[str]:
        return [
            record["dynamodb"]["Keys"]["sk"]["S"] for record in read(engine, iterator(engine, arn, kind, **request))
        ]

    assert keys("TRIM_HORIZON") == ["0", "1", "2", "3"]
    assert keys("AT_SEQUENCE_NUMBER", SequenceNumber=second) == ["1", "2", "3"]
    assert keys("AFTER_SEQUENCE_NUMBER", SequenceNumber=second) == ["2", "3"]
    assert keys("AT_TIMESTAMP", Timestamp=clock.now - 5) == ["3"]
    assert keys("AT_TIMESTAMP", Timestamp=clock.now - HOUR_S) == ["0", "1", "2", "3"]
    assert keys("LATEST") == []


def test_latest_reads_later_records(engine: Engine) -> None:
    put(engine, "orders", item(pk="before", sk="1"))
    text = iterator(engine, arn_of(engine), "LATEST")
    put(engine, "orders", item(pk="after", sk="1"))
    assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in read(engine, text)] == ["after"]


def test_pages_end_at_the_limit_and_at_a_megabyte(engine: Engine) -> None:
    put(engine, "orders", *(item(pk="a", sk=str(number), text="x" * 300_000) for number in range(5)))
    arn = arn_of(engine)
    assert len(read(engine, iterator(engine, arn))) == 3
    assert len(read(engine, iterator(engine, arn), Limit=2)) == 2
    assert len(records_of(engine, arn, page=2)) == 5


def test_a_record_larger_than_a_page_is_returned_alone(engine: Engine) -> None:
    for letter in "xy":
        large = {name: {"S": letter * 390_000} for name in ("text",)}
        put(engine, "orders", {**KEY, **large})
    assert [record["eventName"] for record in records_of(engine, arn_of(engine))] == ["INSERT", "MODIFY"]


def test_an_iterator_expires_after_a_quarter_of_an_hour(engine: Engine, clock: HandClock) -> None:
    text = iterator(engine, arn_of(engine))
    clock.now += 15 * 60
    assert read(engine, text) == []
    clock.now += 1
    refusal(engine, "GetRecords", {"ShardIterator": text}, "ExpiredIteratorException")


def test_records_are_kept_for_a_day(engine: Engine, clock: HandClock) -> None:
    put(engine, "orders", item(pk="old", sk="1"))
    arn = arn_of(engine)
    first = records_of(engine, arn)[0]["dynamodb"]["SequenceNumber"]
    clock.now += 24 * HOUR_S - 60
    text = iterator(engine, arn)
    clock.now += 61
    put(engine, "orders", item(pk="new", sk="1"))
    # The same before and after housekeeping.
    for _ in range(2):
        assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in records_of(engine, arn)] == ["new"]
        refusal(engine, "GetRecords", {"ShardIterator": text}, "TrimmedDataAccessException")
        shard = described(engine, arn)["Shards"][0]["ShardId"]
        request = {
            "StreamArn": arn,
            "ShardId": shard,
            "ShardIteratorType": "AT_SEQUENCE_NUMBER",
            "SequenceNumber": first,
        }
        refusal(engine, "GetShardIterator", request, "TrimmedDataAccessException")
        engine.run_housekeeping()


def test_shards_roll_and_the_old_one_ends(engine: Engine, clock: HandClock) -> None:
    arn = arn_of(engine)
    put(engine, "orders", item(pk="a", sk="1"))
    clock.now += 4 * HOUR_S
    engine.run_housekeeping()
    put(engine, "orders", item(pk="a", sk="2"))
    closed, child = described(engine, arn)["Shards"]
    assert child["ParentShardId"] == closed["ShardId"]
    assert "EndingSequenceNumber" in closed["SequenceNumberRange"]
    assert "EndingSequenceNumber" not in child["SequenceNumberRange"]
    answer = engine.execute("GetRecords", {"ShardIterator": iterator(engine, arn, shard=closed["ShardId"])})
    assert [record["dynamodb"]["Keys"]["sk"]["S"] for record in answer["Records"]] == ["1"]
    assert "NextShardIterator" not in answer
    assert [record["dynamodb"]["Keys"]["sk"]["S"] for record in records_of(engine, arn)] == ["1", "2"]
    asked = {"Type": "CHILD_SHARDS", "ShardId": closed["ShardId"]}
    assert described(engine, arn, ShardFilter=asked)["Shards"] == [child]
    assert described(engine, arn, ExclusiveStartShardId=closed["ShardId"])["Shards"] == [child]
    page = described(engine, arn, Limit=1)
    assert page["Shards"] == [closed]
    assert page["LastEvaluatedShardId"] == closed["ShardId"]


def test_an_old_shard_is_deleted_after_its_records(engine: Engine, clock: HandClock) -> None:
    for sk in ("1", "2"):
        put(engine, "orders", item(pk="a", sk=sk))
        clock.now += 4 * HOUR_S
        engine.run_housekeeping()
    assert len(described(engine, arn_of(engine))["Shards"]) == 3
    clock.now += 17 * HOUR_S
    engine.run_housekeeping()
    assert len(described(engine, arn_of(engine))["Shards"]) == 2


# Enabling and disabling ---------------------------------------------------------------------------------------


def test_a_disabled_stream_is_readable_for_a_day(engine: Engine, clock: HandClock) -> None:
    put(engine, "orders", item(pk="a", sk="1"))
    arn = arn_of(engine)
    switch(engine, on=False)
    put(engine, "orders", item(pk="a", sk="2"))
    description = described(engine, arn)
    assert description["StreamStatus"] == "DISABLED"
    assert "EndingSequenceNumber" in description["Shards"][0]["SequenceNumberRange"]
    answer = engine.execute("GetRecords", {"ShardIterator": iterator(engine, arn)})
    assert len(answer["Records"]) == 1
    assert "NextShardIterator" not in answer
    clock.now += 24 * HOUR_S
    refusal(engine, "DescribeStream", {"StreamArn": arn}, "ResourceNotFoundException")
    engine.run_housekeeping()
    assert engine.execute("ListStreams", {}) == {"Streams": []}


def test_a_table_without_a_stream_still_reports_its_latest(engine: Engine) -> None:
    arn = arn_of(engine)
    switch(engine, on=False)
    described_table = engine.execute("DescribeTable", {"TableName": "orders"})["Table"]
    assert described_table["LatestStreamArn"] == arn
    assert "StreamSpecification" not in described_table


def test_enabling_again_makes_another_stream(engine: Engine) -> None:
    first = arn_of(engine)
    switch(engine, on=False)
    switch(engine, on=True)
    assert arn_of(engine) != first
    assert [stream["StreamArn"] for stream in engine.execute("ListStreams", {})["Streams"]] == [first, arn_of(engine)]


def test_the_stream_of_a_deleted_table_stays_readable(engine: Engine) -> None:
    put(engine, "orders", item(pk="a", sk="1"))
    arn = arn_of(engine)
    engine.execute("DeleteTable", {"TableName": "orders"})
    engine.execute("CreateTable", streamed())
    assert described(engine, arn)["StreamStatus"] == "DISABLED"
    assert len(records_of(engine, arn)) == 1
    assert records_of(engine, arn_of(engine)) == []


def test_streams_are_listed_by_table_and_by_page(engine: Engine) -> None:
    engine.execute("CreateTable", streamed(name="others"))
    engine.execute("CreateTable", table("plain"))
    assert [one["TableName"] for one in engine.execute("ListStreams", {})["Streams"]] == ["orders", "others"]
    assert [one["TableName"] for one in engine.execute("ListStreams", {"TableName": "others"})["Streams"]] == ["others"]
    page = engine.execute("ListStreams", {"Limit": 1})
    assert page["LastEvaluatedStreamArn"] == arn_of(engine)
    rest = engine.execute("ListStreams", {"ExclusiveStartStreamArn": page["LastEvaluatedStreamArn"]})
    assert [one["TableName"] for one in rest["Streams"]] == ["others"]
    assert "LastEvaluatedStreamArn" not in rest


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ({"StreamEnabled": True}, "If stream is being enabled then UpdateViewType is required"),
        (
            {"StreamEnabled": False, "StreamViewType": "KEYS_ONLY"},
            "If stream is being disabled, then UpdateViewType must not be specified",
        ),
    ],
)
def test_a_specification_must_not_contradict_itself(clock: HandClock, specification: object, message: str) -> None:
    engine = opened(clock)
    engine.execute("CreateTable", table() if specification == {"StreamEnabled": True} else streamed())
    request = {"TableName": "orders", "StreamSpecification": specification}
    assert refusal(engine, "UpdateTable", request) == f"One or more parameter values were invalid: {message}"


# Rejected requests --------------------------------------------------------------------------------------------

ABSENT = "arn:aws:dynamodb:us-east-1:000000000000:table/absent/stream/2026-01-01T00:00:00.000"


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        ({"ShardIteratorType": "AT_SEQUENCE_NUMBER"}, "ValidationException", "Invalid SequenceNumber"),
        (
            {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "9" * 25},
            "ValidationException",
            "Invalid SequenceNumber for the shard",
        ),
        (
            {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": "x" * 25},
            "ValidationException",
            "Invalid SequenceNumber",
        ),
        (
            {"ShardIteratorType": "LATEST", "SequenceNumber": "1" * 21},
            "ValidationException",
            "SequenceNumber should not be passed for this iterator type",
        ),
        ({"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 9e9}, "ValidationException", "cannot be in the future"),
        ({"ShardIteratorType": "AT_TIMESTAMP"}, "ValidationException", "Timestamp is required"),
        ({"ShardIteratorType": "SOMETIMES"}, "ValidationException", "enum value set"),
        ({"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": "soon"}, "SerializationException", "cannot be converted"),
        ({"ShardId": "shardId-00000000000000000000-00000000"}, "ResourceNotFoundException", "Shard does not exist"),
        ({"StreamArn": ABSENT}, "ResourceNotFoundException", f"Stream: {ABSENT} not found"),
    ],
)
def test_impossible_positions_are_refused(engine: Engine, request_: dict[str, str], code: str, message: str) -> None:
    arn = arn_of(engine)
    shard = described(engine, arn)["Shards"][0]["ShardId"]
    request = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "LATEST", **request_}
    assert message in refusal(engine, "GetShardIterator", request, code)


def test_limits_are_checked(engine: Engine) -> None:
    arn = arn_of(engine)
    assert "Limit cannot be greater" in refusal(engine, "ListStreams", {"Limit": 101})
    assert "Limit cannot be greater" in refusal(engine, "DescribeStream", {"StreamArn": arn, "Limit": 101})
    text = iterator(engine, arn)
    assert "less than or equal to 1000" in refusal(engine, "GetRecords", {"ShardIterator": text, "Limit": 1001})
    assert "greater than or equal to 1" in refusal(engine, "GetRecords", {"ShardIterator": text, "Limit": 0})


@pytest.mark.parametrize("text", ["x", "a|1|!", "a|1|W10=", "a|2|WyJzIiwxLDFd", "a|1|WyJzIiwidCIsMV0=", "a|1|é"])
def test_a_text_that_is_no_iterator_is_refused(engine: Engine, text: str) -> None:
    assert refusal(engine, "GetRecords", {"ShardIterator": text}) == "Invalid ShardIterator"


def test_boto3_reads_streams(engine: Engine) -> None:
    client = boto3_client(engine)
    streams: Any = boto3_streams_client(engine)
    client.put_item(TableName="orders", Item={"pk": {"S": "a"}, "sk": {"S": "1"}, "b": {"B": b"\x00\xff"}})
    (listed,) = streams.list_streams()["Streams"]
    arn = listed["StreamArn"]
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    text = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    (record,) = streams.get_records(ShardIterator=text)["Records"]
    assert record["dynamodb"]["NewImage"]["b"] == {"B": b"\x00\xff"}
    assert record["dynamodb"]["ApproximateCreationDateTime"].timestamp() == 1_800_000_000
