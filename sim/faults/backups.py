"""Backups of a store: the whole SQLite file of an engine in memory, or the items of a table on another store."""

import asyncio
from typing import Any, Final

from bursar.dynamo import AsyncEngine, Engine, Store
from bursar.payments.records import ATTEMPT

START_WAIT_S: Final = 300.0
"""The longest wait for an attempt that waits for its token."""
START_POLL_S: Final = 0.2
BATCH_WRITES_MAX: Final = 25

Items = dict[tuple[str, str], dict[str, Any]]
"""Key of an item → the item."""


def backup_of(store: Store) -> bytes:
    """Return the committed state of ``store``, an engine in this process."""
    return bytes(_engine(store)._storage.connection.serialize("main"))


def restore_into(store: Store, backup: bytes) -> None:
    """Restore ``store`` to ``backup``. No request may be in progress in it."""
    engine = _engine(store)
    engine._storage.connection.deserialize("main", backup)
    engine._core.discard_cache()


def _engine(store: Store) -> Engine:
    assert isinstance(store, AsyncEngine), "only a store in this process is backed up as a file"
    return store.engine


async def take_backup(store: Store, table: str) -> bytes | Items:
    """Return the state of ``store``: a file of an engine in this process, the items of ``table`` of another store."""
    return backup_of(store) if isinstance(store, AsyncEngine) else await _items(store, table)


async def restore_backup(store: Store, table: str, backup: bytes | Items) -> None:
    """Restore ``store`` to ``backup``. No request may be in progress in it."""
    if isinstance(backup, bytes):
        restore_into(store, backup)
        return
    writes: list[dict[str, Any]] = [{"PutRequest": {"Item": item}} for item in backup.values()]
    writes += [
        {"DeleteRequest": {"Key": {"pk": item["pk"], "sk": item["sk"]}}}
        for key, item in (await _items(store, table)).items()
        if key not in backup
    ]
    for first in range(0, len(writes), BATCH_WRITES_MAX):
        batch = writes[first : first + BATCH_WRITES_MAX]
        answer = await store.call("BatchWriteItem", {"RequestItems": {table: batch}})
        assert not answer.get("UnprocessedItems"), "a store on this machine writes every item of a batch"


async def wait_for_a_start(store: Store, table: str) -> None:
    """Wait until an attempt in ``table`` waits for its token, but not longer than START_WAIT_S."""
    for _ in range(int(START_WAIT_S / START_POLL_S)):
        items = (await store.call("Scan", {"TableName": table}))["Items"]
        if any(item.get("kind") == {"S": ATTEMPT} and item["status"] == {"S": "received"} for item in items):
            return
        await asyncio.sleep(START_POLL_S)


async def _items(store: Store, table: str) -> Items:
    found: Items = {}
    request: dict[str, Any] = {"TableName": table, "ConsistentRead": True}
    while True:
        page = await store.call("Scan", request)
        found |= {(item["pk"]["S"], item["sk"]["S"]): item for item in page["Items"]}
        if "LastEvaluatedKey" not in page:
            return found
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
