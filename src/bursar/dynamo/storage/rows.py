"""The rows of one table and the entries of one index: get, write, and read a range, by encoded key.

    items_7:     id │ key (encoded, sorts as DynamoDB sorts) │ size (bytes, AWS's rules) │ item (DynamoDB JSON)
    index_7_1:   entry = index key ‖ table key              │ id ──► items_7.id

Items are in a rowid table with an index, because writes of random keys in a WITHOUT ROWID table would rewrite whole
pages of items. An index entry does not move when an item changes outside of that index's key.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from bursar.dynamo.storage.sqlite_file import Storage

StoredRow = tuple[int, int, bytes]
"""(id, size in bytes, item as DynamoDB JSON)."""
SizedItem = tuple[int, bytes]
"""(size in bytes, item as DynamoDB JSON)."""


class Span(NamedTuple):
    """A range of encoded keys. ``low`` is inclusive if ``low_inclusive``; ``high`` is exclusive, None for no end."""

    low: bytes
    low_inclusive: bool
    high: bytes | None


class Segment(NamedTuple):
    """One of the ``total`` segments of a parallel scan; ``partition_types``: the key types of a partition, as "NS"."""

    number: int
    total: int
    partition_types: str


class ItemRows:
    """The items of one table, by encoded key.

    Its SQL texts are built once, because apsw caches statements by their text.
    """

    def __init__(self, storage: Storage, table_id: int) -> None:
        items = f"items_{table_id}"
        self._cursor = storage.cursor
        self._connection = storage.connection
        self._items = items
        self._get = f"SELECT id, size, item FROM {items} WHERE key = ?"
        self._ranges = _Ranges(f"SELECT size, item FROM {items}", "key")
        self._insert = f"INSERT INTO {items} (key, size, item) VALUES (?, ?, ?)"
        self._update = f"UPDATE {items} SET size = ?, item = ? WHERE id = ?"
        self._delete = f"DELETE FROM {items} WHERE id = ?"

    def get(self, key: bytes) -> StoredRow | None:
        """Return the row under ``key``, or None."""
        # ``get`` ends the statement; fetching a single row would leave it open, and with it the read lock.
        row: StoredRow | None = self._cursor.execute(self._get, (key,)).get
        return row

    def insert(self, key: bytes, size: int, item: bytes) -> int:
        """Add a row and return its id."""
        self._cursor.execute(self._insert, (key, size, item))
        return self._connection.last_insert_rowid()

    def update(self, row_id: int, size: int, item: bytes) -> None:
        """Replace a row's item."""
        self._cursor.execute(self._update, (size, item, row_id))

    def delete(self, row_id: int) -> None:
        """Remove a row."""
        self._cursor.execute(self._delete, (row_id,))

    def span(self, span: Span, *, forward: bool, limit: int) -> Iterator[SizedItem]:
        """Return (size, item) in key order; the caller stops when it has enough."""
        return self._connection.execute(*self._ranges.statement(span, forward=forward, limit=limit))

    def segment(self, span: Span, segment: Segment, *, limit: int) -> Iterator[SizedItem]:
        """Return (size, item) of one segment in key order."""
        return self._connection.execute(*self._ranges.segment_statement(span, segment, limit=limit))

    def all_rows(self) -> Iterator[tuple[int, bytes, int, bytes]]:
        """Return (id, key, size, item) of every row, in no particular order."""
        return self._connection.execute(f"SELECT id, key, size, item FROM {self._items}")

    def inserted_after(self, row_id: int) -> Iterator[tuple[int, bytes]]:
        """Return (id, item) of the rows with greater ids, by id; the caller stops when it has enough."""
        return self._connection.execute(f"SELECT id, item FROM {self._items} WHERE id > ? ORDER BY id", (row_id,))

    def partition_bytes(self, span: Span) -> int:
        """Return the summed size of the items in a range."""
        where, bindings = _bounds("key", span)
        return int(
            self._connection.execute(f"SELECT coalesce(sum(size), 0) FROM {self._items} WHERE {where}", bindings).get
        )


class IndexEntries:
    """The entries of one index: ``entry`` (index key ‖ table key) and the id of the item's row."""

    def __init__(self, storage: Storage, table_id: int, number: int) -> None:
        entries = f"index_{table_id}_{number}"
        self._cursor = storage.cursor
        self._connection = storage.connection
        self._insert = f"INSERT INTO {entries} (entry, id) VALUES (?, ?)"
        self._delete = f"DELETE FROM {entries} WHERE entry = ?"
        self._ranges = _Ranges(
            f"SELECT i.size, i.item FROM {entries} e JOIN items_{table_id} i ON i.id = e.id", "e.entry"
        )

    def insert(self, entry: bytes, row_id: int) -> None:
        """Add an entry."""
        self._cursor.execute(self._insert, (entry, row_id))

    def delete(self, entry: bytes) -> None:
        """Remove an entry."""
        self._cursor.execute(self._delete, (entry,))

    def span(self, span: Span, *, forward: bool, limit: int) -> Iterator[SizedItem]:
        """Return (size, item), both of the whole item, in the index's order."""
        return self._connection.execute(*self._ranges.statement(span, forward=forward, limit=limit))

    def segment(self, span: Span, segment: Segment, *, limit: int) -> Iterator[SizedItem]:
        """Return (size, item) of one segment, both of the whole item, in the index's order."""
        return self._connection.execute(*self._ranges.segment_statement(span, segment, limit=limit))


class _Ranges:
    """The statements that read a range, one for each form of range."""

    def __init__(self, select: str, column: str) -> None:
        self._select = select
        self._column = column
        self._texts = {
            (low_inclusive, high, forward): (
                f"{select} WHERE {column} {'>=' if low_inclusive else '>'} ?"
                f"{f' AND {column} < ?' if high else ''} ORDER BY {column} {'ASC' if forward else 'DESC'} LIMIT ?"
            )
            for low_inclusive in (True, False)
            for high in (True, False)
            for forward in (True, False)
        }

    def statement(self, span: Span, *, forward: bool, limit: int) -> tuple[str, tuple[Any, ...]]:
        """Return the text and its bindings."""
        if span.high is None:
            return self._texts[span.low_inclusive, False, forward], (span.low, limit)
        return self._texts[span.low_inclusive, True, forward], (span.low, span.high, limit)

    def segment_statement(self, span: Span, segment: Segment, *, limit: int) -> tuple[str, tuple[Any, ...]]:
        """Return the text and its bindings; the function ``segment_of`` is registered by the storage."""
        where, bounds = _bounds(self._column, span)
        text = f"{self._select} WHERE {where} AND segment_of({self._column}, ?, ?) = ? ORDER BY {self._column} LIMIT ?"
        return text, (*bounds, segment.partition_types, segment.total, segment.number, limit)


def _bounds(column: str, span: Span) -> tuple[str, tuple[Any, ...]]:
    low = f"{column} {'>=' if span.low_inclusive else '>'} ?"
    if span.high is None:
        return low, (span.low,)
    return f"{low} AND {column} < ?", (span.low, span.high)
