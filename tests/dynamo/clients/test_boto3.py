"""Tests of boto3 over HTTP and with no server, as client and as resource."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from botocore.config import Config
from botocore.exceptions import ClientError

from bursar.dynamo import Engine
from bursar.dynamo.clients.boto3_in_process import boto3_client, boto3_resource
from tests.support.dynamo.served import Served

ARGUMENTS = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}
TABLE: dict[str, Any] = {
    "TableName": "notes",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "N"},
        {"AttributeName": "state", "AttributeType": "S"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-state",
            "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
Doors = tuple[Any, Any]


@pytest.fixture(params=["http", "in process"])
def doors(request: pytest.FixtureRequest, server: Served) -> Iterator[Doors]:
    """Return (client, resource)."""
    if request.param == "http":
        arguments: dict[str, Any] = {
            "endpoint_url": server.url,
            **ARGUMENTS,
            "config": Config(retries={"total_max_attempts": 1}),
        }
        client = boto3.client("dynamodb", **arguments)
        yield client, boto3.resource("dynamodb", **arguments)
        client.delete_table(TableName="notes")
        client.close()
        return
    engine = Engine.open(":memory:")
    yield boto3_client(engine), boto3_resource(engine)
    engine.close()


def made(client: Any) -> None:
    client.create_table(**TABLE)
    client.get_waiter("table_exists").wait(TableName="notes")


def error(call: Callable[[], object]) -> dict[str, Any]:
    with pytest.raises(ClientError) as raised:
        call()
    return dict(raised.value.response)


def test_items_queries_and_pages(doors: Doors) -> None:
    client, resource = doors
    made(client)
    notes = resource.Table("notes")
    with notes.batch_writer() as batch:
        for number in range(60):
            batch.put_item({"pk": "a", "sk": number, "state": "odd" if number % 2 else "even", "n": Decimal("1.50")})
    pages = client.get_paginator("query").paginate(
        TableName="notes",
        KeyConditionExpression="pk = :p",
        ExpressionAttributeValues={":p": {"S": "a"}},
        PaginationConfig={"PageSize": 25},
    )
    assert [len(page["Items"]) for page in pages] == [25, 25, 10]
    found = notes.query(
        KeyConditionExpression=Key("pk").eq("a") & Key("sk").between(10, 19), FilterExpression=Attr("state").eq("odd")
    )
    assert [int(item["sk"]) for item in found["Items"]] == [11, 13, 15, 17, 19]
    assert found["Items"][0]["n"] == Decimal("1.5")
    assert (
        notes.query(IndexName="by-state", KeyConditionExpression=Key("state").eq("even"), Select="COUNT")["Count"] == 30
    )
    updated = notes.update_item(
        Key={"pk": "a", "sk": 1}, AttributeUpdates={"n": {"Value": 2, "Action": "ADD"}}, ReturnValues="UPDATED_NEW"
    )
    assert updated["Attributes"] == {"n": Decimal("3.5")}
    assert client.describe_table(TableName="notes")["Table"]["ItemCount"] == 60


def test_refusals_are_the_clients_own_error_classes(doors: Doors) -> None:
    client, resource = doors
    made(client)
    notes = resource.Table("notes")
    notes.put_item(Item={"pk": "a", "sk": 1, "state": "new"})
    put = {"Item": {"pk": "a", "sk": 1}, "ConditionExpression": Attr("pk").not_exists()}
    with pytest.raises(resource.meta.client.exceptions.ConditionalCheckFailedException) as failed:
        notes.put_item(**put, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert failed.value.response["Item"] == {"pk": {"S": "a"}, "sk": {"N": "1"}, "state": {"S": "new"}}
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_item(TableName="absent", Key={"pk": {"S": "a"}})
    with pytest.raises(client.exceptions.ResourceInUseException):
        client.create_table(**TABLE)
    assert error(lambda: notes.get_item(Key={"pk": "a"}))["Error"] == {
        "Code": "ValidationException",
        "Message": "The provided key element does not match the schema",
    }


def test_a_cancelled_transaction_gives_its_reasons_in_order(doors: Doors) -> None:
    client, _ = doors
    made(client)
    client.put_item(TableName="notes", Item={"pk": {"S": "a"}, "sk": {"N": "1"}})
    new = {"TableName": "notes", "Item": {"pk": {"S": "b"}, "sk": {"N": "1"}}}
    taken = {
        "TableName": "notes",
        "Item": {"pk": {"S": "a"}, "sk": {"N": "1"}},
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    with pytest.raises(client.exceptions.TransactionCanceledException) as cancelled:
        client.transact_write_items(TransactItems=[{"Put": new}, {"Put": taken}])
    assert cancelled.value.response["CancellationReasons"] == [
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed", "Item": taken["Item"]},
    ]
    token = {"ClientRequestToken": "once"}
    for _ in range(2):
        client.transact_write_items(TransactItems=[{"Put": new}], **token)
    with pytest.raises(client.exceptions.IdempotentParameterMismatchException):
        client.transact_write_items(TransactItems=[{"Put": {**new, "Item": taken["Item"]}}], **token)


def test_a_batch_read_that_is_too_large_gives_the_rest_back(doors: Doors) -> None:
    client, _ = doors
    made(client)
    for number in range(50):
        client.put_item(
            TableName="notes", Item={"pk": {"S": "a"}, "sk": {"N": str(number)}, "body": {"S": "x" * 380_000}}
        )
    keys = [{"pk": {"S": "a"}, "sk": {"N": str(number)}} for number in range(50)]
    answer = client.batch_get_item(RequestItems={"notes": {"Keys": keys}})
    got, rest = answer["Responses"]["notes"], answer["UnprocessedKeys"]["notes"]["Keys"]
    assert got
    assert rest
    assert len(got) + len(rest) == 50
    more = client.batch_get_item(RequestItems=answer["UnprocessedKeys"])
    assert len(more["Responses"]["notes"]) == len(rest)
    assert len(list(client.get_paginator("scan").paginate(TableName="notes"))) >= 19
