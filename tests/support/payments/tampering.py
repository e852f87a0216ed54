"""A person with access to the file, who changes items of the payments table without the portal and its rules."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.dynamo.items.attribute_values import Item
from bursar.payments.ledger.table import TABLE_NAME
from bursar.payments.records import partition_key


@contextmanager
def without_rules(store: AsyncEngine) -> Iterator[None]:
    """Take the rules of the payments table away for a while, if it has rules."""
    rules = store.engine.rules_document(TABLE_NAME)
    store.engine.put_rules_document(TABLE_NAME, None)
    try:
        yield
    finally:
        store.engine.put_rules_document(TABLE_NAME, rules)


async def items_of(store: AsyncEngine, client: str, reference: str) -> list[dict[str, Any]]:
    """Return the items of an obligation's partition, in key order."""
    request = {
        "TableName": TABLE_NAME,
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": partition_key(client, reference)}},
    }
    items: list[dict[str, Any]] = (await store.call("Query", request))["Items"]
    return items


async def put(store: AsyncEngine, item: Item) -> None:
    """Write ``item`` in the place of the item with its key."""
    with without_rules(store):
        await store.call("PutItem", {"TableName": TABLE_NAME, "Item": dict(item)})


async def remove(store: AsyncEngine, item: Mapping[str, Any]) -> None:
    """Remove the item with the key of ``item``."""
    key = {name: item[name] for name in ("pk", "sk")}
    with without_rules(store):
        await store.call("DeleteItem", {"TableName": TABLE_NAME, "Key": key})


async def take_chain_away(store: AsyncEngine, client: str, reference: str) -> None:
    """Leave an obligation as a version of Bursar wrote it that did not chain events."""
    for item in await items_of(store, client, reference):
        await put(store, {name: value for name, value in item.items() if name not in ("previousHash", "eventHash")})
