"""The payments table: its key, its two sparse indexes, and its creation."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from bursar.dynamo.errors import DynamoError

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store

TABLE_NAME: Final = "bursar-payments"
DUE_INDEX: Final = "due"
CHANGES_INDEX: Final = "changes"
ACTIVE_POLL_INTERVAL_S: Final = 1.0
ACTIVE_POLLS_MAX: Final = 300


def table_definition(name: str) -> dict[str, Any]:
    """Return the CreateTable request.

    ``due`` projects only the keys: recording a token, which does not move the entry, then writes no entry. Tables of
    earlier versions project all attributes, and no request can change that. ``changes`` projects all attributes: its
    readers need them, and an event is written once and fits in 1 KB.
    """
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": attribute, "AttributeType": "S"}
            for attribute in ("pk", "sk", "dueShard", "dueAt", "changeBucket", "changedAt")
        ],
        "KeySchema": _key_schema("pk", "sk"),
        "GlobalSecondaryIndexes": [
            _index(DUE_INDEX, "dueShard", "dueAt", "KEYS_ONLY"),
            _index(CHANGES_INDEX, "changeBucket", "changedAt", "ALL"),
        ],
    }


async def create_table(store: "Store", name: str) -> None:
    """Create the table unless it exists, and wait until it is usable. Several processes may do this at once.

    Raises ``DynamoError``, and ``TimeoutError`` if the table is not usable after ``ACTIVE_POLLS_MAX`` polls.
    """
    try:
        await store.call("CreateTable", table_definition(name))
    except DynamoError as error:
        if error.code != "ResourceInUseException":
            raise
    for _ in range(ACTIVE_POLLS_MAX):
        described = await store.call("DescribeTable", {"TableName": name})
        if _usable(described["Table"]):
            return
        await asyncio.sleep(ACTIVE_POLL_INTERVAL_S)
    raise TimeoutError(f"table {name} has not become active in {ACTIVE_POLLS_MAX * ACTIVE_POLL_INTERVAL_S:.0f} s")


def _usable(table: Mapping[str, Any]) -> bool:
    indexes = table.get("GlobalSecondaryIndexes", [])
    return table["TableStatus"] == "ACTIVE" and all(index.get("IndexStatus", "ACTIVE") == "ACTIVE" for index in indexes)


def _index(name: str, partition: str, sort: str, projected: str) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": _key_schema(partition, sort),
        "Projection": {"ProjectionType": projected},
    }


def _key_schema(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]
