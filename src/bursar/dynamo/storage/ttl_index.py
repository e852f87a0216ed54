"""Time to live: the expiry time of each item that has one, in the order in which items expire.

    expiry_7:  entry = encoded time ‖ table key  │ id ──► items_7.id

It follows the table's changes like an index, so that housekeeping finds expired items without reading others. Source:
Developer Guide, "Using time to live (TTL) in DynamoDB".
"""

import orjson

from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.items.key_encoding import encode_key_value
from bursar.dynamo.storage.sqlite_file import Storage
from bursar.dynamo.storage.table import ItemWrite, Table

OLDEST_S = 5 * 365 * 24 * 3600
"""An item that expired longer ago is kept, because DynamoDB treats such a time as an error in the data."""


class TtlIndex:
    """The expiry entries of one table whose time to live is in the attribute ``name``."""

    __slots__ = ("_cursor", "_delete", "_due", "_insert", "_table", "name")

    def __init__(self, storage: Storage, table_id: int, name: str) -> None:
        self.name = name
        self._cursor = storage.cursor
        self._table = f"expiry_{table_id}"
        self._insert = f"INSERT INTO {self._table} (entry, id) VALUES (?, ?)"
        self._delete = f"DELETE FROM {self._table} WHERE entry = ?"
        self._due = (
            f"SELECT e.entry, i.id, i.size, i.item FROM {self._table} e JOIN items_{table_id} i ON i.id = e.id"
            " WHERE e.entry > ? AND e.entry < ? ORDER BY e.entry LIMIT ?"
        )

    def key_of(self, item: Item) -> bytes | None:
        """Return the encoded expiry time of an item; None if its attribute is missing or not a number."""
        value = item.get(self.name)
        return None if value is None or "N" not in value else encode_key_value(value)

    def item_changed(self, write: ItemWrite, row_id: int) -> None:
        """Update the entries after a change; a follower of the table."""
        before = None if write.old is None else self.key_of(write.old)
        after = None if write.new is None else self.key_of(write.new)
        if before == after:
            return
        if before is not None:
            self._cursor.execute(self._delete, (before + write.key,))
        if after is not None:
            self._cursor.execute(self._insert, (after + write.key, row_id))

    def expired(self, now: float, after: bytes, limit: int) -> list[tuple[bytes, int, int, bytes]]:
        """Return (entry, row id, size, item) of items expired before the second ``now``, past the entry ``after``."""
        low = max(after, _moment(now - OLDEST_S))
        return list(self._cursor.execute(self._due, (low, _moment(now), limit)))

    def create(self, table: Table) -> None:
        """Create the entries of the existing items."""
        self._cursor.execute(f"CREATE TABLE {self._table} (entry BLOB PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID")
        for row_id, key, _, body in table.rows.all_rows():
            moment = self.key_of(orjson.loads(body))
            if moment is not None:
                self._cursor.execute(self._insert, (moment + key, row_id))

    def drop(self) -> None:
        """Remove all entries."""
        self._cursor.execute(f"DROP TABLE {self._table}")


def ttl_index_of(storage: Storage, table: Table) -> TtlIndex | None:
    """Return the TTL index of ``table``; None for a table without a time to live."""
    return None if table.ttl_attribute is None else TtlIndex(storage, table.id, table.ttl_attribute)


def _moment(seconds: float) -> bytes:
    return encode_key_value({"N": str(int(seconds))})
