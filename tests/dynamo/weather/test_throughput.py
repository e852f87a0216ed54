"""Throttling by the capacity of partitions, tables and indexes, with Amazon's texts and reasons."""

import dataclasses
from typing import Any

import pytest

from bursar.dynamo import DynamoError
from bursar.dynamo.weather.engine import WeatherEngine
from bursar.dynamo.weather.settings import CALM
from tests.support.dynamo.in_weather import in_weather
from tests.support.dynamo.stream_readers import HandClock
from tests.support.dynamo.tables import item, refused, table

HOT_KEY = (
    "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your table or "
    "index so please try again shortly. If exceptions persist, check if you have a hot key: "
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"
)
PROVISIONED = (
    "The level of configured provisioned throughput for the table was exceeded. "
    "Consider increasing your provisioning level with the UpdateTable API."
)
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/orders"
UNITS = {"ReadCapacityUnits": 10, "WriteCapacityUnits": 10}


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def partitioned(clock: HandClock, **settings: Any) -> WeatherEngine:
    """Return an engine whose partitions are limited, with an on-demand table."""
    engine = in_weather(dataclasses.replace(CALM, **settings), clock=clock)
    engine.execute("CreateTable", table(global_indexes={"by-owner": ("owner:S",)}))
    return engine


def write(engine: WeatherEngine, partition: str, **more: Any) -> None:
    engine.execute("PutItem", {"TableName": "orders", "Item": item(pk=partition, sk="s", **more)})


def writes_until_throttled(engine: WeatherEngine, partition: str, most: int = 2_000) -> int:
    for number in range(most):
        try:
            write(engine, partition, n=number)
        except DynamoError:
            return number
    return most


def test_a_partition_writes_a_thousand_units_a_second(clock: HandClock) -> None:
    engine = partitioned(clock, partition_write_units_per_s=1_000, partitions=1)
    assert writes_until_throttled(engine, "a") == 1_000
    clock.now += 0.1
    assert writes_until_throttled(engine, "a") == 100
    clock.now += 600
    assert writes_until_throttled(engine, "a") == 1_000, "a partition has no burst beyond its limit"
    error = refused(lambda: write(engine, "a"), "ThrottlingException")
    assert error.body() == {
        "__type": "com.amazon.coral.availability#ThrottlingException",
        "message": HOT_KEY,
        "throttlingReasons": [{"reason": "TableWriteKeyRangeThroughputExceeded", "resource": ARN}],
    }
    assert engine.happened() == {("orders", "throttled"): 4}


def test_a_hot_partition_leaves_the_others(clock: HandClock) -> None:
    engine = partitioned(clock, partition_write_units_per_s=10, partitions=1_000)
    assert writes_until_throttled(engine, "a") == 10
    assert writes_until_throttled(engine, "b") == 10


def test_reads_are_billed_by_size_and_consistency(clock: HandClock) -> None:
    engine = partitioned(clock, partition_read_units_per_s=30, partitions=1)
    write(engine, "a", text="x" * 8_000)
    get = {"TableName": "orders", "Key": item(pk="a", sk="s")}
    for _ in range(15):  # 2 units each
        engine.execute("GetItem", {**get, "ConsistentRead": True})
    error = refused(lambda: engine.execute("GetItem", get), "ThrottlingException")
    assert error.body()["throttlingReasons"][0]["reason"] == "TableReadKeyRangeThroughputExceeded"
    clock.now += 1
    for _ in range(30):  # 1 unit each
        engine.execute("GetItem", get)
    refused(lambda: engine.execute("Scan", {"TableName": "orders"}), "ThrottlingException")
    condition = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
    refused(lambda: engine.execute("Query", {"TableName": "orders", **condition}), "ThrottlingException")


def test_a_hot_partition_of_an_index_throttles_the_table(clock: HandClock) -> None:
    engine = partitioned(clock, partition_write_units_per_s=10, partitions=1_000)
    for number in range(10):
        write(engine, str(number), owner="ann")
    error = refused(lambda: write(engine, "new", owner="ann"), "ThrottlingException")
    assert error.message == (
        "Throughput exceeds the current capacity for one or more global secondary indexes. DynamoDB is automatically "
        "scaling your index so please try again shortly."
    )
    reason = {"reason": "IndexWriteKeyRangeThroughputExceeded", "resource": f"{ARN}/index/by-owner"}
    assert error.body()["throttlingReasons"] == [reason]
    write(engine, "new", owner="ben")


def provisioned(clock: HandClock, **settings: Any) -> WeatherEngine:
    engine = in_weather(dataclasses.replace(CALM, provisioned_limits=True, **settings), clock=clock)
    request = {**table(), "BillingMode": "PROVISIONED", "ProvisionedThroughput": UNITS}
    engine.execute("CreateTable", request)
    return engine


def test_a_provisioned_table_has_its_units_and_a_burst(clock: HandClock) -> None:
    engine = provisioned(clock, burst_s=30)
    assert writes_until_throttled(engine, "a") == 300
    clock.now += 2
    assert writes_until_throttled(engine, "b") == 20
    error = refused(lambda: write(engine, "c"), "ProvisionedThroughputExceededException")
    assert error.body() == {
        "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        "message": PROVISIONED,
        "ThrottlingReasons": [{"reason": "TableWriteProvisionedThroughputExceeded", "resource": ARN}],
    }


def test_adaptive_capacity_lets_one_partition_use_the_whole_table(clock: HandClock) -> None:
    engine = provisioned(clock, burst_s=0, partition_write_units_per_s=1_000, partitions=4)
    assert writes_until_throttled(engine, "a") == 10


def test_a_throttled_transaction_is_cancelled_with_its_reason(clock: HandClock) -> None:
    engine = provisioned(clock, burst_s=0)
    puts = [{"Put": {"TableName": "orders", "Item": item(pk=str(number), sk="s")}} for number in range(5)]
    engine.execute("TransactWriteItems", {"TransactItems": puts})  # 10 units
    error = refused(
        lambda: engine.execute("TransactWriteItems", {"TransactItems": puts[:2]}), "TransactionCanceledException"
    )
    reason = {"Code": "ProvisionedThroughputExceeded", "Message": PROVISIONED}
    assert error.cancellation_reasons == [reason, {"Code": "None"}]


def test_the_throttled_part_of_a_batch_is_unprocessed(clock: HandClock) -> None:
    engine = partitioned(clock, partition_write_units_per_s=5, partitions=1_000)
    writes_until_throttled(engine, "hot")
    hot = {"PutRequest": {"Item": item(pk="hot", sk="new")}}
    answer = engine.execute(
        "BatchWriteItem", {"RequestItems": {"orders": [hot, {"PutRequest": {"Item": item(pk="cold", sk="new")}}]}}
    )
    assert answer["UnprocessedItems"] == {"orders": [hot]}
    refused(lambda: engine.execute("BatchWriteItem", {"RequestItems": {"orders": [hot]}}), "ThrottlingException")
    assert engine.execute("Scan", {"TableName": "orders"})["Count"] == 2
