"""Tables, items and expected errors of the engine's tests."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from bursar.dynamo import DynamoError, Engine

Attributes = Mapping[str, str]


def table(
    name: str = "orders",
    key: tuple[str, ...] = ("pk:S", "sk:S"),
    *,
    global_indexes: Mapping[str, tuple[str, ...]] | None = None,
    local_indexes: Mapping[str, tuple[str, ...]] | None = None,
    projection: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a CreateTable request. Keys are ``name:type``; an index's key is its partition and its sort attribute."""
    indexes = {**(global_indexes or {}), **(local_indexes or {})}
    definitions = dict(part.split(":") for part in (*key, *(part for keys in indexes.values() for part in keys)))

    def made(of: Mapping[str, tuple[str, ...]]) -> list[dict[str, Any]]:
        return [
            {
                "IndexName": index,
                "KeySchema": key_schema(keys),
                "Projection": projection or {"ProjectionType": "ALL"},
            }
            for index, keys in of.items()
        ]

    request: dict[str, Any] = {
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": t} for n, t in definitions.items()],
        "KeySchema": key_schema(key),
        "BillingMode": "PAY_PER_REQUEST",
    }
    if global_indexes:
        request["GlobalSecondaryIndexes"] = made(global_indexes)
    if local_indexes:
        request["LocalSecondaryIndexes"] = made(local_indexes)
    return request


def key_schema(key: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the key schema of ``name:type`` parts; the first is the partition key."""
    return [{"AttributeName": part.split(":")[0], "KeyType": "RANGE" if at else "HASH"} for at, part in enumerate(key)]


def item(**attributes: str | int | dict[str, Any]) -> dict[str, Any]:
    """Return an item: text becomes S, an int becomes N, a dictionary is already an attribute value."""
    return item_of(attributes)


def item_of(attributes: Mapping[str, str | int | dict[str, Any]]) -> dict[str, Any]:
    """Return ``item`` of attributes whose names are no identifiers."""
    return {
        name: value if isinstance(value, dict) else {"N": str(value)} if isinstance(value, int) else {"S": value}
        for name, value in attributes.items()
    }


def put(engine: Engine, table_name: str, *items: dict[str, Any]) -> None:
    """Store items."""
    for one in items:
        engine.execute("PutItem", {"TableName": table_name, "Item": one})


def refused(call: Callable[[], object], code: str = "ValidationException") -> DynamoError:
    """Return the error that ``call`` raises, which must have this code."""
    with pytest.raises(DynamoError) as raised:
        call()
    assert raised.value.code == code, str(raised.value)
    return raised.value


def refusal(engine: Engine, operation: str, request: Mapping[str, Any], code: str = "ValidationException") -> str:
    """Return the message of the error that a request raises."""
    return refused(lambda: engine.execute(operation, request), code).message
