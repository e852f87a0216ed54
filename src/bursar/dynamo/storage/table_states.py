"""Read the items of a table at an instant of its past, and the changes between two instants.

The rows are collected in temporary tables. The caller keeps them on disk (:meth:`Storage.scratch_on_disk`), so that
memory does not grow with the table, and reads one snapshot; other processes can write meanwhile.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from bursar.dynamo.storage.history import History
from bursar.dynamo.storage.sqlite_file import Storage
from bursar.dynamo.storage.table import Table

_OLD, _LATER = "temp.scratch_old", "temp.scratch_later"


class ItemDifference(NamedTuple):
    """How an item differs between two instants. The images are DynamoDB JSON; None if there is no item."""

    key: bytes
    at: int
    """The instant of its last change, in microseconds since the epoch."""
    old: bytes | None
    new: bytes | None


def items_at(storage: Storage, table: Table, history: History, instant: int) -> Iterator[tuple[bytes, int, bytes]]:
    """Return (key, size, item) of each item that a table had at an instant (µs), in no particular order."""
    first, end = history.first_after(instant), history.bounds()[1]
    if first == end:
        yield from storage.connection.execute(f"SELECT key, size, item FROM items_{table.id}")
        return
    with _scratch(storage, _LATER):
        _put_first(storage, _LATER, history, first, end)
        yield from storage.connection.execute(f"SELECT key, size, item FROM {_LATER} WHERE item IS NOT NULL")
        yield from storage.connection.execute(
            f"SELECT key, size, item FROM items_{table.id} i"
            f" WHERE NOT EXISTS (SELECT 1 FROM {_LATER} l WHERE l.key = i.key)"
        )


def changes_between(
    storage: Storage, table: Table, history: History, after: int, until: int
) -> Iterator[ItemDifference]:
    """Return one change for each item that changed after one instant (µs) and up to another, in the keys' order."""
    first, end = history.first_after(after), history.first_after(until)
    last = history.bounds()[1]
    with _scratch(storage, _OLD), _scratch(storage, _LATER):
        _put_first(storage, _OLD, history, first, end)
        _put_first(storage, _LATER, history, end, last, f"AND key IN (SELECT key FROM {_OLD})")
        rows: Iterator[Any] = storage.connection.execute(
            f"SELECT o.key, o.at, o.item, CASE WHEN l.key IS NOT NULL THEN l.item ELSE i.item END FROM {_OLD} o"
            f" LEFT JOIN {_LATER} l ON l.key = o.key LEFT JOIN items_{table.id} i ON i.key = o.key ORDER BY o.key"
        )
        yield from (ItemDifference(*row) for row in rows)


def _put_first(storage: Storage, scratch: str, history: History, first: int, end: int, condition: str = "") -> None:
    """Store each key's first row with an id from ``first`` to before ``end``, and the instant of its last one."""
    storage.connection.execute(
        f"INSERT INTO {scratch} (key, size, item, at) SELECT key, size, item, at FROM {history.name}"
        f" WHERE id >= ? AND id < ? {condition} ORDER BY id ON CONFLICT (key) DO UPDATE SET at = excluded.at",
        (first, end),
    )


@contextmanager
def _scratch(storage: Storage, name: str) -> Iterator[None]:
    """Create a temporary table, and remove it."""
    storage.connection.execute(
        f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, size INTEGER, item BLOB, at INTEGER)"
    )
    try:
        yield
    finally:
        storage.connection.execute(f"DROP TABLE {name}")
