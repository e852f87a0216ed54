"""Fill the empty table of a store's file quickly, while no other process has the file.

    RowMaker     items ─► rows, index entries and sizes, as the engine would store them       (in any process)
    TableFill    rows  ─► the file: no fsync, no write-ahead log, the index of keys at the end (in one process)

No rules are checked and no stream is written. After an interruption the file is unusable, so fill a file under another
name and rename it at the end.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple, Self

import orjson

from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.items.fast_normalise import normalise_and_measure
from bursar.dynamo.storage.sqlite_file import MEMORY, TABLE_ITSELF, Storage
from bursar.dynamo.storage.table import Table

CACHE_KIB: Final = 512 * 1024


class TableDefinition(NamedTuple):
    """A table's definition as it is stored; another process can make rows from it."""

    table_id: int
    name: str
    document: bytes
    rules: str | None


class FilledRows(NamedTuple):
    """Rows to insert into a table, and the entries of its indexes.

    ``rows``: (key, size in bytes, item). ``entries``: index number → (entry, position in ``rows``, bytes in the index).
    """

    rows: list[tuple[bytes, int, bytes]]
    entries: dict[int, list[tuple[bytes, int, int]]]


class RowMaker:
    """Makes rows for one table."""

    def __init__(self, definition: TableDefinition) -> None:
        # Making rows needs the table's keys and indexes, but no file.
        table_id, self.name, document, rules = definition
        self._storage = Storage(MEMORY)
        self._table = Table(self._storage, table_id, self.name, orjson.loads(document), rules)

    def rows(self, items: Iterable[Item]) -> FilledRows:
        """Return the rows of ``items``. Raises ``DynamoError`` for an item that does not fit the table."""
        table = self._table
        rows: list[tuple[bytes, int, bytes]] = []
        entries: dict[int, list[tuple[bytes, int, int]]] = {index.number: [] for index in table.every_index}
        for item in items:
            normal, size = normalise_and_measure(item)
            key = table.key_of_item(normal)
            for index in table.every_index:
                index_key = index.key_of(normal)
                if index_key is not None:
                    entries[index.number].append((index_key + key, len(rows), index.size_of(normal, size)))
            rows.append((key, size, orjson.dumps(normal)))
        return FilledRows(rows, entries)

    def close(self) -> None:
        """Release its memory."""
        self._storage.close()


class TableFill:
    """Fills the table ``name`` of the file at ``path``, for the length of a ``with``.

    Raises ``ValueError`` if the table is missing or not empty, and ``apsw.Error``.
    """

    def __init__(self, path: str, name: str) -> None:
        self._storage = Storage(path)
        found = [TableDefinition(*each) for each in self._storage.definitions() if each[1] == name]
        if not found or self._storage.counts(found[0].table_id, TABLE_ITSELF) != (0, 0):
            self._storage.close()
            raise ValueError(f"{name}: must be an empty table of {path}")
        self.definition = found[0]
        self._items = f"items_{self.definition.table_id}"
        self._next_id = 1

    def __enter__(self) -> Self:
        execute = self._storage.connection.execute
        for pragma in ("journal_mode=TRUNCATE", "synchronous=OFF", f"cache_size=-{CACHE_KIB}"):
            execute(f"PRAGMA {pragma}")
        execute(f"DROP INDEX {self._items}_by_key")
        return self

    def __exit__(self, *failure: object) -> None:
        try:
            if failure[0] is None:
                self._finish()
        finally:
            self._storage.close()

    def add(self, filled: FilledRows) -> None:
        """Write rows in one transaction."""
        storage, table_id, first = self._storage, self.definition.table_id, self._next_id
        storage.begin()
        insert = f"INSERT INTO {self._items} (id, key, size, item) VALUES (?, ?, ?, ?)"
        storage.connection.executemany(insert, ((first + at, *row) for at, row in enumerate(filled.rows)))
        counts = [(len(filled.rows), sum(size for _, size, _ in filled.rows), table_id, TABLE_ITSELF)]
        for number, entries in filled.entries.items():
            insert = f"INSERT INTO index_{table_id}_{number} (entry, id) VALUES (?, ?)"
            storage.connection.executemany(insert, ((entry, first + at) for entry, at, _ in sorted(entries)))
            counts.append((len(entries), sum(held for _, _, held in entries), table_id, number))
        storage.add_counts(counts)
        storage.commit()
        self._next_id += len(filled.rows)

    def _finish(self) -> None:
        """Build the index of keys, and restore the usual settings of a store."""
        execute = self._storage.connection.execute
        execute(f"CREATE UNIQUE INDEX {self._items}_by_key ON {self._items} (key)")
        execute("PRAGMA synchronous=FULL")
        execute("PRAGMA journal_mode=WAL")
