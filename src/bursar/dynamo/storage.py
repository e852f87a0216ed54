"""The SQLite file under the engine: its format, its settings, its transactions, and the rows of tables and indexes.

Nothing here knows what an item means. A DynamoDB table is one rowid table of ``(id, key, size, item)`` with a unique
index on ``key``; each of its indexes is a ``WITHOUT ROWID`` table of ``(entry, id)`` that joins back to the item:

    items_7:     id │ key (encoded, sorts as DynamoDB sorts) │ size (bytes, AWS's rules) │ item (DynamoDB JSON)
    index_7_1:   entry = index key ‖ table key              │ id ──► items_7.id

A rowid table with an index, because random keys in a WITHOUT ROWID table rewrite whole pages of items; an index entry
never moves when an item changes outside of that index's key.

What is promised: a transaction that :meth:`Storage.commit` returned from survives power loss (WAL,
``synchronous=FULL``); one that it raised from is rolled back and the file is as before.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import apsw

APPLICATION_ID = 0x42555253  # "BURS"
FORMAT_VERSION = 1
MEMORY = ":memory:"
TABLE_ITSELF = 0
"""The index number under which a table's own items are counted; indexes count from 1."""

CACHE_KIB = 64 * 1024
WAL_CHECKPOINT_PAGES = 10_000
STATEMENTS_MAX = 1_000
BUSY_WAIT_S = 0.0005
BUSY_WAITS_MAX = 20_000

StoredRow = tuple[int, int, bytes]
"""(id, size in bytes, item as DynamoDB JSON)."""
SizedItem = tuple[int, bytes]
"""(size in bytes, item as DynamoDB JSON)."""

_CREATE = """
CREATE TABLE catalogue_version (version INTEGER NOT NULL);
INSERT INTO catalogue_version VALUES (1);
CREATE TABLE tables (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, document BLOB NOT NULL);
CREATE TABLE counters (table_id INTEGER, index_number INTEGER, items INTEGER NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (table_id, index_number)) WITHOUT ROWID;
CREATE TABLE rules (table_id INTEGER PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE owners (space TEXT NOT NULL, value BLOB NOT NULL, owner BLOB NOT NULL, PRIMARY KEY (space, value))
    WITHOUT ROWID;
CREATE TABLE request_tokens (token TEXT PRIMARY KEY, digest BLOB NOT NULL, expires_at REAL NOT NULL,
    response BLOB NOT NULL);
CREATE INDEX request_tokens_by_expiry ON request_tokens (expires_at);
"""


class StoreFormatError(Exception):
    """The file is not a Bursar store, or was written by a newer Bursar than this one."""


class Storage:
    """One connection to one file (or to memory). Used by one thread; several processes may each have their own."""

    def __init__(self, path: str) -> None:
        """Opens or creates the store at ``path``. Raises :class:`StoreFormatError`, ``apsw.Error``."""
        self.path = path
        # The parent must exist: creating folders by a typing error in a path is no help.
        self.connection = apsw.Connection(path, statementcachesize=STATEMENTS_MAX)
        self.connection.set_busy_handler(_wait_while_busy)
        try:
            self._prepare()
        except BaseException:
            self.connection.close()
            raise
        # One cursor for single-row statements: making a cursor costs as much as stepping it.
        self.cursor = self.connection.cursor()

    def _prepare(self) -> None:
        execute = self.connection.execute
        self._check_format()
        execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        execute("PRAGMA temp_store=MEMORY")
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=FULL")
        execute(f"PRAGMA wal_autocheckpoint={WAL_CHECKPOINT_PAGES}")
        if self._pragma("user_version") == 0:
            self._create()

    def _pragma(self, name: str) -> int:
        return int(self.connection.execute(f"PRAGMA {name}").get)

    def _check_format(self) -> None:
        try:
            application, version = self._pragma("application_id"), self._pragma("user_version")
            empty = self.connection.execute("SELECT count(*) FROM sqlite_schema").get == 0
        except apsw.NotADBError as error:
            raise StoreFormatError(f"{self.path} is not a Bursar store: it is no SQLite file") from error
        if application != APPLICATION_ID and not (empty and application == 0):
            raise StoreFormatError(f"{self.path} is not a Bursar store: another program's SQLite file")
        if version > FORMAT_VERSION:
            raise StoreFormatError(
                f"{self.path} has store format {version}; this Bursar reads formats up to {FORMAT_VERSION}: "
                "use a newer one"
            )

    def _create(self) -> None:
        self.begin()
        # Another process may have created it between the look and the lock.
        if self._pragma("user_version") == 0:
            self.connection.execute(_CREATE)
            self.connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            self.connection.execute(f"PRAGMA user_version={FORMAT_VERSION}")
        self.commit()

    def close(self) -> None:
        """Closes the file; the last process to do so folds the WAL into it."""
        self.connection.close()

    # Transactions ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Starts a write transaction once no other process has one. Raises ``apsw.BusyError`` past the bound."""
        self.connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Makes the transaction durable, or undoes it and raises ``apsw.Error``."""
        try:
            self.connection.execute("COMMIT")
        except apsw.Error:
            self.rollback()
            raise

    def rollback(self) -> None:
        """Undoes the transaction; SQLite may have done so already (a full disk, an I/O error)."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several reads that see one moment."""
        if self.connection.in_transaction:
            yield
            return
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.execute("COMMIT")

    def savepoint(self) -> None:
        """Marks the point to which :meth:`undo` goes back."""
        self.connection.execute("SAVEPOINT request")

    def undo(self) -> None:
        """Undoes what was written since :meth:`savepoint`, and forgets the mark."""
        self.connection.execute("ROLLBACK TO request; RELEASE request")

    def release(self) -> None:
        """Keeps what was written since :meth:`savepoint`."""
        self.connection.execute("RELEASE request")

    # The catalogue --------------------------------------------------------------------------------------------

    def catalogue_version(self) -> int:
        """A number that every change of a table's definition raises, in whichever process it was made."""
        return int(self.cursor.execute("SELECT version FROM catalogue_version").get)

    def raise_catalogue_version(self) -> None:
        """Tells every other process that definitions changed; part of the current transaction."""
        self.connection.execute("UPDATE catalogue_version SET version = version + 1")

    def definitions(self) -> list[tuple[int, str, bytes, str | None]]:
        """(id, name, document, rules document) of every table, by name."""
        rows: list[tuple[Any, ...]] = self.connection.execute(
            "SELECT t.id, t.name, t.document, r.document FROM tables t"
            " LEFT JOIN rules r ON r.table_id = t.id ORDER BY t.name"
        ).fetchall()
        return [(table_id, name, document, rules) for table_id, name, document, rules in rows]

    def add_table(self, name: str, document: bytes) -> int:
        """Registers a table and makes its rows; the id is never used again."""
        self.connection.execute("INSERT INTO tables (name, document) VALUES (?, ?)", (name, document))
        table_id = self.connection.last_insert_rowid()
        self.connection.execute("INSERT INTO counters VALUES (?, ?, 0, 0)", (table_id, TABLE_ITSELF))
        self.connection.execute(
            f"CREATE TABLE items_{table_id} ("
            "id INTEGER PRIMARY KEY, key BLOB NOT NULL, size INTEGER NOT NULL, item BLOB NOT NULL);"
            f"CREATE UNIQUE INDEX items_{table_id}_by_key ON items_{table_id} (key)"
        )
        return table_id

    def replace_document(self, table_id: int, document: bytes) -> None:
        """Changes a table's definition."""
        self.connection.execute("UPDATE tables SET document = ? WHERE id = ?", (document, table_id))

    def remove_table(self, table_id: int, index_numbers: list[int]) -> None:
        """Forgets a table, its items, its indexes and its rules."""
        for number in index_numbers:
            self.remove_index(table_id, number)
        self.connection.execute(f"DROP TABLE items_{table_id}")
        for statement in (
            "DELETE FROM tables WHERE id = ?",
            "DELETE FROM counters WHERE table_id = ?",
            "DELETE FROM rules WHERE table_id = ?",
        ):
            self.connection.execute(statement, (table_id,))
        self.forget_owners(table_id)

    def add_index(self, table_id: int, number: int) -> None:
        """Makes the entries of an index."""
        self.connection.execute(
            f"CREATE TABLE index_{table_id}_{number} (entry BLOB PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID"
        )
        self.connection.execute("INSERT INTO counters VALUES (?, ?, 0, 0)", (table_id, number))

    def remove_index(self, table_id: int, number: int) -> None:
        """Drops the entries of an index."""
        self.connection.execute(f"DROP TABLE index_{table_id}_{number}")
        self.connection.execute("DELETE FROM counters WHERE table_id = ? AND index_number = ?", (table_id, number))

    def put_rules(self, table_id: int, document: str | None) -> None:
        """Sets or removes a table's rules document."""
        if document is None:
            self.connection.execute("DELETE FROM rules WHERE table_id = ?", (table_id,))
        else:
            self.connection.execute("INSERT OR REPLACE INTO rules VALUES (?, ?)", (table_id, document))

    # Counters -------------------------------------------------------------------------------------------------

    def count(self, table_id: int, number: int, items: int, size_bytes: int) -> None:
        """Adds to the item count and size of a table (``TABLE_ITSELF``) or of one of its indexes."""
        self.cursor.execute(
            "UPDATE counters SET items = items + ?, bytes = bytes + ? WHERE table_id = ? AND index_number = ?",
            (items, size_bytes, table_id, number),
        )

    def counts(self, table_id: int, number: int) -> tuple[int, int]:
        """(items, bytes) of a table or an index."""
        row = self.cursor.execute(
            "SELECT items, bytes FROM counters WHERE table_id = ? AND index_number = ?", (table_id, number)
        ).get
        return (row[0], row[1]) if row else (0, 0)

    # Idempotency tokens ---------------------------------------------------------------------------------------

    def token(self, token: str, now: float) -> tuple[bytes, bytes] | None:
        """(request digest, response) under a token that has not expired at ``now``."""
        row = self.cursor.execute(
            "SELECT digest, response FROM request_tokens WHERE token = ? AND expires_at > ?", (token, now)
        ).get
        return (row[0], row[1]) if row else None

    def put_token(self, token: str, digest: bytes, expires_at: float, response: bytes) -> None:
        """Remembers a request's token, in the transaction of its writes."""
        self.cursor.execute(
            "INSERT OR REPLACE INTO request_tokens VALUES (?, ?, ?, ?)", (token, digest, expires_at, response)
        )

    def forget_tokens(self, now: float) -> None:
        """Removes the tokens that expired before ``now``."""
        self.cursor.execute("DELETE FROM request_tokens WHERE expires_at <= ?", (now,))

    # Unique values --------------------------------------------------------------------------------------------

    def owner(self, space: str, value: bytes) -> bytes | None:
        """Who holds ``value`` in ``space``."""
        row: bytes | None = self.cursor.execute(
            "SELECT owner FROM owners WHERE space = ? AND value = ?", (space, value)
        ).get
        return row

    def claim(self, space: str, value: bytes, owner: bytes) -> None:
        """Gives ``value`` to ``owner``, whoever held it."""
        self.cursor.execute("INSERT OR REPLACE INTO owners VALUES (?, ?, ?)", (space, value, owner))

    def forget_owners(self, table_id: int) -> None:
        """Frees every value of one table's spaces, which are named ``<table id>:…``."""
        self.cursor.execute("DELETE FROM owners WHERE space >= ? AND space < ?", (f"{table_id}:", f"{table_id};"))

    def release_value(self, space: str, value: bytes) -> None:
        """Frees ``value``."""
        self.cursor.execute("DELETE FROM owners WHERE space = ? AND value = ?", (space, value))


@dataclass(frozen=True, slots=True)
class Span:
    """A range of encoded keys: ``high`` is exclusive, None for no upper end; ``low`` is as said."""

    low: bytes
    low_inclusive: bool
    high: bytes | None


class Rows:
    """The items of one table, by encoded key. Its SQL texts are made once: apsw caches statements by their text."""

    def __init__(self, storage: Storage, table_id: int) -> None:
        items = f"items_{table_id}"
        self._cursor = storage.cursor
        self._connection = storage.connection
        self._items = items
        self._get = f"SELECT id, size, item FROM {items} WHERE key = ?"
        self._ranges = _Ranges(f"SELECT size, item FROM {items}", "key")
        self._by_id = f"SELECT size, item FROM {items} WHERE id = ?"
        self._insert = f"INSERT INTO {items} (key, size, item) VALUES (?, ?, ?)"
        self._update = f"UPDATE {items} SET size = ?, item = ? WHERE id = ?"
        self._delete = f"DELETE FROM {items} WHERE id = ?"

    def get(self, key: bytes) -> StoredRow | None:
        """The row under ``key``."""
        # ``get`` ends the statement; a row fetched by itself would leave it open, and with it the read lock.
        row: StoredRow | None = self._cursor.execute(self._get, (key,)).get
        return row

    def insert(self, key: bytes, size: int, item: bytes) -> int:
        """Adds a row and gives its id."""
        self._cursor.execute(self._insert, (key, size, item))
        return self._connection.last_insert_rowid()

    def update(self, row_id: int, size: int, item: bytes) -> None:
        """Replaces a row's item."""
        self._cursor.execute(self._update, (size, item, row_id))

    def delete(self, row_id: int) -> None:
        """Removes a row."""
        self._cursor.execute(self._delete, (row_id,))

    def span(self, span: Span, *, forward: bool, limit: int) -> Iterator[SizedItem]:
        """(size, item) in key order; the caller stops when it has enough."""
        return self._connection.execute(*self._ranges.statement(span, forward=forward, limit=limit))

    def keys(self, span: Span) -> Iterator[tuple[int, bytes]]:
        """(id, key) in key order, from the key index alone."""
        where, bindings = _bounds("key", span)
        return self._connection.execute(f"SELECT id, key FROM {self._items} WHERE {where} ORDER BY key", bindings)

    def by_id(self, row_id: int) -> SizedItem:
        """(size, item) of a row that is there."""
        row: SizedItem = self._cursor.execute(self._by_id, (row_id,)).get
        return row

    def everything(self) -> Iterator[tuple[int, bytes, bytes]]:
        """(id, key, item) of every row, in no order."""
        return self._connection.execute(f"SELECT id, key, item FROM {self._items}")

    def partition_bytes(self, span: Span) -> int:
        """The summed size of the items in a range."""
        where, bindings = _bounds("key", span)
        return int(
            self._connection.execute(f"SELECT coalesce(sum(size), 0) FROM {self._items} WHERE {where}", bindings).get
        )


class Entries:
    """The entries of one index: ``entry`` (index key ‖ table key) and the id of the item that it stands for."""

    def __init__(self, storage: Storage, table_id: int, number: int) -> None:
        entries = f"index_{table_id}_{number}"
        self._cursor = storage.cursor
        self._connection = storage.connection
        self._insert = f"INSERT INTO {entries} (entry, id) VALUES (?, ?)"
        self._delete = f"DELETE FROM {entries} WHERE entry = ?"
        self._entries = entries
        self._ranges = _Ranges(
            f"SELECT i.size, i.item FROM {entries} e JOIN items_{table_id} i ON i.id = e.id", "e.entry"
        )

    def insert(self, entry: bytes, row_id: int) -> None:
        """Adds an entry."""
        self._cursor.execute(self._insert, (entry, row_id))

    def delete(self, entry: bytes) -> None:
        """Removes an entry."""
        self._cursor.execute(self._delete, (entry,))

    def span(self, span: Span, *, forward: bool, limit: int) -> Iterator[SizedItem]:
        """(size, item), both of the whole item, in the index's order."""
        return self._connection.execute(*self._ranges.statement(span, forward=forward, limit=limit))

    def keys(self, span: Span) -> Iterator[tuple[int, bytes]]:
        """(id, entry) in the index's order."""
        where, bindings = _bounds("entry", span)
        return self._connection.execute(f"SELECT id, entry FROM {self._entries} WHERE {where} ORDER BY entry", bindings)


class _Ranges:
    """The statements that read a range, made once for each form of range: apsw finds a statement by its text."""

    def __init__(self, select: str, column: str) -> None:
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
        """The text, and what is bound to it."""
        if span.high is None:
            return self._texts[span.low_inclusive, False, forward], (span.low, limit)
        return self._texts[span.low_inclusive, True, forward], (span.low, span.high, limit)


def _bounds(column: str, span: Span) -> tuple[str, tuple[Any, ...]]:
    low = f"{column} {'>=' if span.low_inclusive else '>'} ?"
    if span.high is None:
        return low, (span.low,)
    return f"{low} AND {column} < ?", (span.low, span.high)


def _wait_while_busy(waits: int) -> bool:
    """SQLite asks here while another process writes: 0.5 ms at a time, 10 s in all. Its own steps grow to 100 ms."""
    if waits >= BUSY_WAITS_MAX:
        return False
    time.sleep(BUSY_WAIT_S)
    return True
