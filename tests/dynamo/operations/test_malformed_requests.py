"""Requests damaged at random places are rejected with DynamoDB's errors or run: no other exception is raised."""

import copy
import random
from typing import Any

import pytest

from bursar.dynamo import DynamoError, Engine
from bursar.dynamo.operations.dispatch import OPERATIONS
from tests.support.dynamo.tables import item, item_of, put, table

KEY = item(pk="a", sk="1")
NAMES = {"#s": "state"}
VALUES = item_of({":s": "new", ":n": 1})
CONDITIONED = {
    "TableName": "orders",
    "ConditionExpression": "#s = :s OR n < :n",
    "ExpressionAttributeNames": NAMES,
    "ExpressionAttributeValues": VALUES,
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}
READ = {
    "TableName": "orders",
    "IndexName": "by-state",
    "ProjectionExpression": "pk, #s",
    "FilterExpression": "tag <> :n",
    "ExpressionAttributeNames": NAMES,
    "Limit": 2,
    "ReturnConsumedCapacity": "INDEXES",
}
STORED = item(
    pk="a", sk="1", state="new", n=1, l={"L": [{"N": "1"}, {"M": {"x": {"SS": ["p", "q"]}}}]}, b={"B": "AA=="}
)
REQUESTS: dict[str, dict[str, Any]] = {
    "PutItem": {**CONDITIONED, "Item": STORED, "ReturnValues": "ALL_OLD", "ReturnItemCollectionMetrics": "SIZE"},
    "GetItem": {"TableName": "orders", "Key": KEY, "ConsistentRead": True, "ProjectionExpression": "l[0], n"},
    "DeleteItem": {**CONDITIONED, "Key": KEY},
    "UpdateItem": {
        **CONDITIONED,
        "Key": KEY,
        "UpdateExpression": "SET l[0] = :n REMOVE b",
        "ReturnValues": "UPDATED_NEW",
    },
    "Query": {
        **READ,
        "KeyConditionExpression": "#s = :s",
        "ExpressionAttributeValues": VALUES,
        "ScanIndexForward": False,
        "ExclusiveStartKey": item(state="new", n=1, pk="a", sk="1"),
    },
    "Scan": {**READ, "ExpressionAttributeValues": item(**{":n": 1}), "Segment": 0, "TotalSegments": 1},
    "BatchGetItem": {"RequestItems": {"orders": {"Keys": [KEY], "ProjectionExpression": "n"}}},
    "BatchWriteItem": {"RequestItems": {"orders": [{"PutRequest": {"Item": STORED}}]}},
    "TransactGetItems": {"TransactItems": [{"Get": {"TableName": "orders", "Key": KEY}}]},
    "TransactWriteItems": {
        "TransactItems": [
            {"Put": {**CONDITIONED, "Item": STORED}},
            {"ConditionCheck": {**CONDITIONED, "Key": item(pk="b", sk="1")}},
        ],
        "ClientRequestToken": "token",
    },
    "DescribeTable": {"TableName": "orders"},
    "ListTables": {"Limit": 1, "ExclusiveStartTableName": "aaa"},
    "CreateTable": table("other", global_indexes={"by-n": ("n:N",)}, local_indexes={"by-m": ("pk:S", "m:B")}),
    "DeleteTable": {"TableName": "other"},
    "UpdateTable": {
        "TableName": "orders",
        "AttributeDefinitions": [{"AttributeName": "m", "AttributeType": "S"}],
        "GlobalSecondaryIndexUpdates": [
            {
                "Create": {
                    "IndexName": "by-m",
                    "KeySchema": [{"AttributeName": "m", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]},
                }
            }
        ],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    },
}
DAMAGE: list[Any] = [
    None,
    "",
    "x",
    0,
    -1,
    1.5,
    True,
    [],
    {},
    [None],
    {"S": None},
    {"N": "x"},
    {"x": 1},
    "\ud800",
    10**30,
]
DAMAGES_PER_OPERATION = 200


def damaged(request: dict[str, Any], luck: random.Random) -> dict[str, Any]:
    """Return the request with one to three of its nodes replaced, removed or doubled."""
    whole = copy.deepcopy(request)
    for _ in range(luck.randint(1, 3)):
        node: Any = whole
        while isinstance(node, dict | list) and node:
            place = luck.choice(list(node) if isinstance(node, dict) else range(len(node)))
            inner = node[place]
            if isinstance(inner, dict | list) and inner and luck.random() < 0.7:
                node = inner
                continue
            if luck.random() < 0.2:
                del node[place]
            elif isinstance(node, list) and luck.random() < 0.3:
                node.append(copy.deepcopy(inner))
            else:
                node[place] = copy.deepcopy(luck.choice(DAMAGE))
            break
    return whole


@pytest.mark.parametrize("operation", sorted(OPERATIONS.keys() & REQUESTS.keys()))
def test_only_dynamodbs_own_refusals(operation: str) -> None:
    luck = random.Random(operation)
    engine = Engine.open(":memory:", clock=lambda: 0.0, randomness=random.Random(1))
    engine.execute("CreateTable", table(global_indexes={"by-state": ("state:S", "n:N")}))
    put(engine, "orders", STORED)
    for _ in range(DAMAGES_PER_OPERATION):
        request = damaged(REQUESTS[operation], luck)
        try:
            engine.execute(operation, request)
        except DynamoError as refusal:
            assert refusal.http_status == 400, request  # noqa: PT017 - which request it was matters
        except Exception as error:
            pytest.fail(f"{operation} {request} raised {error!r}")
    assert engine.execute("Scan", {"TableName": "orders"})["Count"] >= 0
    engine.close()


def test_every_operation_of_this_room_is_damaged() -> None:
    assert REQUESTS.keys() <= OPERATIONS.keys()
