"""boto3 on the engine without a server: clients, resources, errors, threads."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.clients.boto3_in_process import boto3_client, boto3_resource, boto3_streams_client

TABLE: dict[str, Any] = {
    "TableName": "notes",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    def no_sockets(*_arguments: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", no_sockets)
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(variable, raising=False)
    opened = Engine.open(":memory:")
    opened.execute("CreateTable", TABLE)
    yield opened
    opened.close()


def test_a_client_reads_its_writes(engine: Engine) -> None:
    client = boto3_client(engine)
    client.put_item(TableName="notes", Item={"pk": {"S": "a"}, "raw": {"B": b"\x00\xff"}})
    got = client.get_item(TableName="notes", Key={"pk": {"S": "a"}})
    assert got["Item"] == {"pk": {"S": "a"}, "raw": {"B": b"\x00\xff"}}
    assert len(got["ResponseMetadata"]["RequestId"]) == 52
    assert engine.execute("GetItem", {"TableName": "notes", "Key": {"pk": {"S": "a"}}})["Item"]["raw"] == {"B": "AP8="}


def test_a_resource_keeps_its_own_types(engine: Engine) -> None:
    table = boto3_resource(engine).Table("notes")
    table.put_item(Item={"pk": "a", "amount": Decimal("60.00"), "tags": {"x", "y"}})
    assert table.get_item(Key={"pk": "a"})["Item"] == {"pk": "a", "amount": Decimal("60"), "tags": {"x", "y"}}


def test_errors_are_botocores(engine: Engine) -> None:
    client = boto3_client(engine)
    client.put_item(TableName="notes", Item={"pk": {"S": "a"}})
    with pytest.raises(client.exceptions.ConditionalCheckFailedException) as refused:
        client.put_item(
            TableName="notes",
            Item={"pk": {"S": "a"}},
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    response: Any = refused.value.response
    assert response["Item"] == {"pk": {"S": "a"}}
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.describe_table(TableName="absent")


def test_a_cancelled_transaction_returns_its_reasons(engine: Engine) -> None:
    client = boto3_client(engine)
    with pytest.raises(client.exceptions.TransactionCanceledException) as refused:
        client.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": "notes", "Item": {"pk": {"S": "b"}}}},
                {
                    "ConditionCheck": {
                        "TableName": "notes",
                        "Key": {"pk": {"S": "a"}},
                        "ConditionExpression": "attribute_exists(pk)",
                    }
                },
            ]
        )
    assert [reason["Code"] for reason in refused.value.response["CancellationReasons"]] == [
        "None",
        "ConditionalCheckFailed",
    ]


def test_paginators_and_waiters_work(engine: Engine) -> None:
    client = boto3_client(engine)
    for number in range(7):
        client.put_item(TableName="notes", Item={"pk": {"S": str(number)}})
    pages = client.get_paginator("scan").paginate(TableName="notes", PaginationConfig={"PageSize": 3})
    assert sum(page["Count"] for page in pages) == 7
    client.get_waiter("table_exists").wait(TableName="notes")


def test_requests_of_several_threads_are_serialised(engine: Engine) -> None:
    client, other = boto3_client(engine), boto3_client(engine)

    def add(number: int) -> None:
        (client, other)[number % 2].update_item(
            TableName="notes",
            Key={"pk": {"S": "count"}},
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(100)))
    assert client.get_item(TableName="notes", Key={"pk": {"S": "count"}})["Item"]["n"] == {"N": "100"}


def test_a_streams_client_asks_the_engine_too(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, object]] = []

    def execute_bytes(operation: str, request: object) -> bytes:
        asked.append((operation, request))
        return b'{"Streams":[]}'

    monkeypatch.setattr(engine, "execute_bytes", execute_bytes)
    streams: Any = boto3_streams_client(engine)
    assert streams.list_streams(TableName="notes")["Streams"] == []
    assert asked == [("ListStreams", {"TableName": "notes"})]


def test_clients_share_a_session_and_nothing_else(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3_client(engine)
    monkeypatch.setattr("boto3.Session", None)  # a session reads the service models, which takes a third of a second
    other = Engine.open(":memory:")
    assert boto3_client(engine).list_tables()["TableNames"] == ["notes"]
    client.meta.events.register("before-call", lambda **_: pytest.fail("the event of another client"))
    assert boto3_client(other, region="eu-west-1").list_tables()["TableNames"] == []
    assert boto3_resource(other).meta.client.list_tables()["TableNames"] == []
    other.close()
