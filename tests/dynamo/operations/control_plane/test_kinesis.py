"""Kinesis streaming destinations: their states and Amazon's texts, with and without a server of Kinesis."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.engine.captured_changes import CapturedChanges
from bursar.dynamo.engine.group_commit import AsyncEngine
from tests.support.dynamo.kinesis import STREAM
from tests.support.dynamo.tables import refusal, table

OTHER = STREAM.replace("stream/s", "stream/t")
STATE = "Table is not in a valid state to enable Kinesis Streaming Destination: "
NOT_DISABLED = (
    STATE + "EnableKinesisStreamingDestination must be DISABLED or ENABLE_FAILED to perform ENABLE operation."
)
NOT_ACTIVE = STATE + "KinesisStreamingDestination must be ACTIVE to perform DISABLE operation."
MICROSECONDS = {"ApproximateCreationDateTimePrecision": "MICROSECOND"}
ON_ENABLE, ON_UPDATE = "EnableKinesisStreamingConfiguration", "UpdateKinesisStreamingConfiguration"


@pytest.fixture(autouse=True)
def orders(engine: Engine) -> None:
    engine.execute("CreateTable", table())


Members = Mapping[str, Any]


def request(stream: str = STREAM, members: Members = MappingProxyType({})) -> dict[str, Any]:
    return {"TableName": "orders", "StreamArn": stream, **members}


def enable(engine: Engine, stream: str = STREAM, members: Members = MappingProxyType({})) -> dict[str, Any]:
    return engine.execute("EnableKinesisStreamingDestination", request(stream, members))


def entries(engine: Engine) -> list[dict[str, Any]]:
    described = engine.execute("DescribeKinesisStreamingDestination", {"TableName": "orders"})
    assert described["TableName"] == "orders"
    return list(described["KinesisDataStreamDestinations"])


def found(engine: Engine, problem: str | None = None) -> None:
    """Let the delivery find the data stream of the newest destination, or a problem."""
    changes = CapturedChanges(AsyncEngine(engine))
    newest = changes.all()[-1].id

    async def settle() -> None:
        await (changes.enabled(newest) if problem is None else changes.failed(newest, problem))

    asyncio.run(settle())


def test_without_a_server_of_kinesis_there_is_nothing_to_enable(engine: Engine) -> None:
    text = refusal(engine, "EnableKinesisStreamingDestination", request())
    assert text == STATE + "Kinesis Data Streams is not available in this engine; DynamoDB Streams is"
    assert refusal(engine, "DisableKinesisStreamingDestination", request("no ARN")) == NOT_ACTIVE
    text = refusal(engine, "UpdateKinesisStreamingDestination", request(members={ON_UPDATE: MICROSECONDS}))
    assert text == STATE + f"No streaming destination with streamArn: {STREAM} found for table with tableName: orders"
    assert entries(engine) == []
    assert engine._core.table("orders").followers == ()


def test_a_destination_is_enabled_changed_and_disabled(engine: Engine) -> None:
    engine.set_kinesis()
    answer = {"TableName": "orders", "StreamArn": STREAM}
    assert enable(engine) == {**answer, "DestinationStatus": "ENABLING", ON_ENABLE: {}}
    assert entries(engine) == [{"StreamArn": STREAM, "DestinationStatus": "ENABLING"}]
    assert refusal(engine, "DisableKinesisStreamingDestination", request()) == NOT_ACTIVE
    found(engine)
    assert entries(engine) == [{"StreamArn": STREAM, "DestinationStatus": "ACTIVE"}]

    updated = engine.execute("UpdateKinesisStreamingDestination", request(members={ON_UPDATE: MICROSECONDS}))
    assert updated == {**answer, "DestinationStatus": "UPDATING", ON_UPDATE: MICROSECONDS}
    assert entries(engine) == [{"StreamArn": STREAM, "DestinationStatus": "ACTIVE", **MICROSECONDS}]

    disabled = engine.execute("DisableKinesisStreamingDestination", request())
    assert disabled == {**answer, "DestinationStatus": "DISABLING"}
    assert entries(engine)[0]["DestinationStatus"] == "DISABLED"
    assert engine._core.table("orders").followers == ()
    enable(engine)
    assert entries(engine) == [{"StreamArn": STREAM, "DestinationStatus": "ENABLING"}]


def test_a_table_has_one_destination_at_a_time(engine: Engine) -> None:
    engine.set_kinesis()
    enable(engine, members={ON_ENABLE: MICROSECONDS})
    for stream in (STREAM, OTHER):
        assert refusal(engine, "EnableKinesisStreamingDestination", request(stream)) == NOT_DISABLED
    found(engine, "it is not there")
    failed = {"StreamArn": STREAM, "DestinationStatus": "ENABLE_FAILED", **MICROSECONDS}
    failed["DestinationStatusDescription"] = "it is not there"
    assert entries(engine) == [failed]
    assert refusal(engine, "DisableKinesisStreamingDestination", request()) == NOT_ACTIVE
    text = refusal(engine, "UpdateKinesisStreamingDestination", request(members={ON_UPDATE: MICROSECONDS}))
    assert text == (
        f"{STATE}Kinesis streaming is not in ACTIVE state. Updates are only allowed in ACTIVE state. "
        f"TableName: orders, kdsArn: {STREAM}"
    )
    enable(engine, OTHER)
    assert [entry["DestinationStatus"] for entry in entries(engine)] == ["ENABLING", "ENABLE_FAILED"]


def test_configurations_are_checked(engine: Engine) -> None:
    engine.set_kinesis()
    enable(engine)
    found(engine)
    missing: list[Members] = [{}, {ON_UPDATE: {}}]
    for configuration in missing:
        assert refusal(engine, "UpdateKinesisStreamingDestination", request(members=configuration)) == (
            f"Streaming destination cannot be updated with given parameters: {ON_UPDATE} cannot be null or contain "
            "only null values"
        )
    unchanged = {ON_UPDATE: {"ApproximateCreationDateTimePrecision": "MILLISECOND"}}
    table_id = engine.execute("DescribeTable", {"TableName": "orders"})["Table"]["TableId"]
    assert refusal(engine, "UpdateKinesisStreamingDestination", request(members=unchanged)) == (
        "Invalid Request: Precision is already set to the desired value of MILLISECOND for "
        f"tableId: {table_id}, kdsArn: {STREAM}"
    )
    assert refusal(engine, "DisableKinesisStreamingDestination", request(members={ON_ENABLE: MICROSECONDS})) == (
        "Stream cannot be disabled using EnableKinesisStreamingConfiguration parameters"
    )
    wrong = {ON_ENABLE: {"ApproximateCreationDateTimePrecision": "HOUR"}}
    assert "at 'enableKinesisStreamingConfiguration.approximateCreationDateTimePrecision' failed to satisfy" in refusal(
        engine, "EnableKinesisStreamingDestination", request(members=wrong)
    )


def test_a_destination_is_no_stream(engine: Engine) -> None:
    engine.set_kinesis()
    enable(engine)
    assert engine.execute("ListStreams", {}) == {"Streams": []}
    assert "StreamSpecification" not in engine.execute("DescribeTable", {"TableName": "orders"})["Table"]
    specification = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    engine.execute("UpdateTable", {"TableName": "orders", "StreamSpecification": specification})
    assert len(engine.execute("ListStreams", {})["Streams"]) == 1
    assert len(engine._core.table("orders").followers) == 2
