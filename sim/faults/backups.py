"""Backups of a store in memory: the whole SQLite file, as a copy of the disk would keep it."""

import asyncio
from typing import Final

from bursar.dynamo import AsyncEngine, Engine, Store
from bursar.payments.records import ATTEMPT

START_WAIT_S: Final = 300.0
"""The longest wait for an attempt that waits for its token."""
START_POLL_S: Final = 0.2


def backup_of(store: Store) -> bytes:
    """Return the committed state of ``store``, an engine in this process."""
    return bytes(_engine(store)._storage.connection.serialize("main"))


def restore_into(store: Store, backup: bytes) -> None:
    """Restore ``store`` to ``backup``. No request may be in progress in it."""
    engine = _engine(store)
    engine._storage.connection.deserialize("main", backup)
    engine._core.discard_cache()


async def wait_for_a_start(store: Store, table: str) -> None:
    """Wait until an attempt in ``table`` waits for its token, but not longer than START_WAIT_S."""
    for _ in range(int(START_WAIT_S / START_POLL_S)):
        items = (await store.call("Scan", {"TableName": table}))["Items"]
        if any(item.get("kind") == {"S": ATTEMPT} and item["status"] == {"S": "received"} for item in items):
            return
        await asyncio.sleep(START_POLL_S)


def _engine(store: Store) -> Engine:
    assert isinstance(store, AsyncEngine), "only a store in this process is backed up"
    return store.engine
