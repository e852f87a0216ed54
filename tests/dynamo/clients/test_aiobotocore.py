"""Tests of aiobotocore with many concurrent requests over a few connections."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from tests.support.dynamo.served import Served

KEY = {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]}
TABLE: dict[str, Any] = {
    "TableName": "counters",
    **KEY,
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture
async def client(server: Served) -> AsyncIterator[Any]:
    arguments = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}
    config = AioConfig(max_pool_connections=8, retries={"total_max_attempts": 1})
    async with get_session().create_client("dynamodb", endpoint_url=server.url, config=config, **arguments) as opened:
        await opened.create_table(**TABLE)
        yield opened
        await opened.delete_table(TableName="counters")


async def test_additions_at_once_are_all_counted(client: Any) -> None:
    add = {
        "TableName": "counters",
        "Key": {"pk": {"S": "one"}},
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
        "ReturnValues": "UPDATED_NEW",
    }
    answers = await asyncio.gather(*(client.update_item(**add) for _ in range(100)))
    assert sorted(int(answer["Attributes"]["n"]["N"]) for answer in answers) == list(range(1, 101))


async def test_pages_batches_and_refusals(client: Any) -> None:
    puts = [{"PutRequest": {"Item": {"pk": {"S": str(number)}}}} for number in range(25)]
    assert (await client.batch_write_item(RequestItems={"counters": puts}))["UnprocessedItems"] == {}
    pages = client.get_paginator("scan").paginate(TableName="counters", PaginationConfig={"PageSize": 10})
    assert [len(page["Items"]) async for page in pages] == [10, 10, 5]
    put = {"TableName": "counters", "Item": {"pk": {"S": "1"}}, "ConditionExpression": "attribute_not_exists(pk)"}
    with pytest.raises(client.exceptions.ConditionalCheckFailedException):
        await client.put_item(**put)
    with pytest.raises(client.exceptions.TransactionCanceledException) as cancelled:
        await client.transact_write_items(TransactItems=[{"Put": put}])
    assert cancelled.value.response["CancellationReasons"][0]["Code"] == "ConditionalCheckFailed"
