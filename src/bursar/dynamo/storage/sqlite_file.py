"""The SQLite file under the engine: its format, its settings, its transactions, and the rows of tables and indexes.

Nothing here interprets an item. A DynamoDB table is one SQLite table of items and one of entries for each of its
indexes (see :mod:`bursar.dynamo.storage.rows`); the catalogue lists them.

Promise: once :meth:`Storage.commit` has returned, the transaction survives power loss (WAL, ``synchronous=FULL``). When
it raises, the transaction is rolled back and the file is as before.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw

from bursar.dynamo.regions import DEFAULT_REGION, check_region, differences_of, table_arn_prefix
from bursar.dynamo.storage.segments import segment_of
from bursar.private_files import create_private

APPLICATION_ID = 0x42555253  # "BURS"
FORMAT_VERSION = 4
"""Format 2 added streams. In a file of format 3, the owner of a unique value may be recorded in an item of the table
instead of the owners table, where an older Bursar would look it up. Format 4 added backups and the past of tables,
which an older Bursar would not continue. Opening a file of an older format upgrades it."""
NEWEST_FORMAT_VERSION = 5
"""Format 5 is format 4 with destinations of Kinesis, which an older Bursar would treat as streams. A file gets it with
its first destination, so a store without any can still be opened by an older Bursar."""
MEMORY = ":memory:"
SQLITE_FILES = ("", "-wal", "-shm")
"""The suffixes of a store's files, which SQLite adds to the file's name."""
TABLE_ITSELF = 0
"""The index number under which a table's own items are counted; indexes count from 1."""

CACHE_KIB = 16 * 1024
"""A larger cache costs more than it saves: while a file is smaller than 1 GiB, a commit after a page split scans every
page of the cache (SQLite numbers split pages by way of one beyond the file's end, and then cuts the cache off at that
end). Pages that are not in this cache are in the operating system's."""
WAL_CHECKPOINT_PAGES = 10_000
STATEMENTS_MAX = 128
"""The most prepared statements in the cache. apsw searches the cache linearly, so a larger one would slow every
statement, and would help only stores with very many tables."""
PROBE_BYTES = 256 * 1024
"""The size of the probe, which is that of several payments.

On a disk that is nearly full, one page may fit although a payment does not.
"""
PROBE_TOKEN = "whether there is room for what is to be written"
"""The token of the probe, which is longer than any token in a request."""
SQLITE_MIN = (3, 51, 3)
"""SQLite 3.7.0 to 3.51.2 can lose commits when several connections use one file in WAL mode: the "WAL-reset bug" of
https://sqlite.org/wal.html. The backported fixes (3.44.6, 3.50.7) do not matter here: apsw is not built against an
SQLite older than itself, and pyproject.toml requires apsw 3.51.3."""
BUSY_WAIT_S = 0.0001
BUSY_WAITS_MAX = 60_000


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
# AUTOINCREMENT keeps the last sequence numbers in sqlite_sequence: SQLite never uses one twice.
_CREATE_STREAMS = """
CREATE TABLE streams (id INTEGER PRIMARY KEY AUTOINCREMENT, table_id INTEGER NOT NULL, document BLOB NOT NULL);
"""
_CREATE_BACKUPS = """
CREATE TABLE backups (id INTEGER PRIMARY KEY AUTOINCREMENT, arn TEXT NOT NULL UNIQUE, document BLOB NOT NULL);
CREATE TABLE transfers (arn TEXT PRIMARY KEY, document BLOB NOT NULL);
"""
_FIXED_TABLES = frozenset(
    ("tables", "counters", "rules", "owners", "request_tokens", "streams", "backups", "transfers")
)
"""The tables that every store has, besides ``catalogue_version``; the others belong to one table or backup."""
_UPGRADES = {
    0: _CREATE + _CREATE_STREAMS + _CREATE_BACKUPS,
    1: _CREATE_STREAMS + _CREATE_BACKUPS,
    2: _CREATE_BACKUPS,
    3: _CREATE_BACKUPS,
}
"""The statements that upgrade a file of each older format to this one; format 0 is an empty file."""


class StoreFormatError(Exception):
    """The file is not a Bursar store, or was written by a newer Bursar than this one."""


class SQLiteVersionError(StoreFormatError):
    """The SQLite of this process can lose commits, so it must not open any file.

    It is a ``StoreFormatError``, so commands report it like a store that cannot be opened.
    """


def check_sqlite_version() -> None:
    """Raise :class:`SQLiteVersionError` when SQLite is older than ``SQLITE_MIN``."""
    version = apsw.sqlite_lib_version()
    if tuple(map(int, version.split("."))) < SQLITE_MIN:
        oldest = ".".join(map(str, SQLITE_MIN))
        raise SQLiteVersionError(
            f"SQLite: must be {oldest} or newer, because older versions can lose commits in WAL mode; got {version}: "
            f"install apsw {oldest} or newer"
        )


def _connection(path: str, *, read_only: bool) -> apsw.Connection:
    """Open the file; create it first with mode 600. SQLite gives its WAL and shm files the same mode."""
    if read_only:
        return _read_only_connection(path)
    if path == MEMORY:
        return apsw.Connection(path, statementcachesize=STATEMENTS_MAX)
    with suppress(OSError):  # SQLite reports the error; it must not create the file, with a wider mode
        create_private(path)
    return apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=STATEMENTS_MAX)


def _read_only_connection(path: str) -> apsw.Connection:
    """Open an existing file without writing to it or beside it, as read-only media require.

    If SQLite cannot create a shm file, no process can write the store either, so it is read as immutable. Reading it so
    needs no shm file, and ignores the WAL, so a WAL that is not empty is refused.
    """
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY, statementcachesize=STATEMENTS_MAX)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema")
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        connection.close()
    else:
        return connection
    wal = Path(f"{path}-wal")
    if wal.exists() and wal.stat().st_size:
        raise StoreFormatError(f"{path} has commits in {wal.name}: open it once on a disk that can be written")
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    return apsw.Connection(f"file:{quote(path)}?immutable=1", flags=flags, statementcachesize=STATEMENTS_MAX)


class Storage:
    """One connection to one file (or to memory). Used by one thread; several processes may each have a connection."""

    def __init__(self, path: str, *, read_only: bool = False, region: str = DEFAULT_REGION) -> None:
        """Open the store at ``path``, or create it with mode 600. ``read_only``: open an existing one; write nothing.

        ``region`` is the region in ARNs; it is not stored. Raises ``ValueError`` for another text,
        :class:`StoreFormatError`, ``apsw.Error``.
        """
        self.region = check_region(region)
        self.differences = differences_of(region)
        """How the region's answers differ from those of us-east-1."""
        self.table_arn_prefix = table_arn_prefix(region)
        check_sqlite_version()
        self.path = path
        self.read_only = read_only
        # The parent folder must exist: a mistyped path must not create folders.
        self.connection = _connection(path, read_only=read_only)
        # Without this option, SQLite compiles a statement with a bound LIMIT again at each use, to find a better plan.
        self.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        self.connection.create_scalar_function("segment_of", _segment_of, 3, deterministic=True)
        self._waits_for_write_lock = True
        self.connection.set_busy_handler(self._busy)
        try:
            self._prepare()
        except BaseException:
            self.connection.close()
            raise
        # One cursor for all single-row statements: creating a cursor costs as much as stepping it.
        self.cursor = self.connection.cursor()

    def _prepare(self) -> None:
        execute = self.connection.execute
        self._check_format()
        execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        execute("PRAGMA temp_store=MEMORY")
        if self.read_only:
            version = self._pragma("user_version")
            if version < FORMAT_VERSION:
                raise StoreFormatError(f"{self.path} has the older format {version}: open it once for writing")
            return
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=FULL")
        execute(f"PRAGMA wal_autocheckpoint={WAL_CHECKPOINT_PAGES}")
        if self._pragma("user_version") < FORMAT_VERSION:
            self._upgrade()

    def _pragma(self, name: str) -> int:
        return int(self.connection.execute(f"PRAGMA {name}").get)

    def _check_format(self) -> None:
        try:
            application, version = self._pragma("application_id"), self._pragma("user_version")
            empty = self.connection.execute("SELECT count(*) FROM sqlite_schema").get == 0
        except apsw.NotADBError as error:
            raise StoreFormatError(f"{self.path} is not a Bursar store: it is not a SQLite file") from error
        if application != APPLICATION_ID and not (empty and application == 0):
            raise StoreFormatError(f"{self.path} is not a Bursar store: it is another program's SQLite file")
        if version > NEWEST_FORMAT_VERSION:
            raise StoreFormatError(
                f"{self.path} has store format {version}; this Bursar reads formats up to {NEWEST_FORMAT_VERSION}: "
                "use a newer one"
            )

    def _upgrade(self) -> None:
        self.begin()
        # Another process may have upgraded the file before this one got the write lock.
        version = self._pragma("user_version")
        if version < FORMAT_VERSION:
            self.connection.execute(_UPGRADES[version])
            self.connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            self.connection.execute(f"PRAGMA user_version={FORMAT_VERSION}")
        self.commit()

    def allow_destinations(self) -> None:
        """Give the file the format that may have destinations of Kinesis, in the open transaction."""
        self.connection.execute(f"PRAGMA user_version={NEWEST_FORMAT_VERSION}")

    def close(self) -> None:
        """Close the file; the last process that closes it merges the WAL into it."""
        self.connection.close()

    # Transactions ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start a write transaction as soon as no other process has one. Raises ``apsw.BusyError`` after some 10 s."""
        self.connection.execute("BEGIN IMMEDIATE")

    def begin_if_free(self) -> bool:
        """Start a write transaction, or return False if another process has one. Raises ``apsw.Error``."""
        self._waits_for_write_lock = False
        try:
            self.connection.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            return False
        finally:
            self._waits_for_write_lock = True
        return True

    def _busy(self, waits: int) -> bool:
        return self._waits_for_write_lock and wait_while_busy(waits)

    def commit(self) -> None:
        """Make the transaction durable, or undo it and raise ``apsw.Error``."""
        try:
            self.connection.execute("COMMIT")
        except apsw.Error:
            self.rollback()
            raise

    def probe_disk(self) -> None:
        """Write ``PROBE_BYTES`` in the open transaction, and remove them in another one.

        Raises ``apsw.Error`` if the disk does not accept them. A process that dies in between leaves an expired token,
        which is removed like every other one.
        """
        self.put_token(PROBE_TOKEN, b"", 0.0, bytes(PROBE_BYTES))
        self.commit()
        if self.begin_if_free():
            self.connection.execute("DELETE FROM request_tokens WHERE token = ?", (PROBE_TOKEN,))
            self.commit()

    def rollback(self) -> None:
        """Undo the transaction; SQLite may have done so already (a full disk, an I/O error)."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Run several reads on one committed state."""
        if self.connection.in_transaction:
            yield
            return
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            # Nothing was written, so COMMIT is not needed: on a damaged file it fails and leaves the transaction open.
            self.rollback()

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Undo everything that is written in the length of a ``with``.

        Do not use it while a write transaction is open.
        """
        self.connection.execute("SAVEPOINT trial")
        try:
            yield
        finally:
            self.connection.execute("ROLLBACK TO trial; RELEASE trial")

    def remove_everything(self) -> None:
        """Remove the content of the store in the open transaction. Ids of tables are not used again."""
        execute = self.connection.execute
        names = execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall()
        for (name,) in names:
            if name in _FIXED_TABLES:
                execute(f"DELETE FROM {name}")
            elif name != "catalogue_version":
                execute(f"DROP TABLE {name}")
        self.increment_catalogue_version()

    @contextmanager
    def scratch_on_disk(self) -> Iterator[None]:
        """Keep temporary tables in files, not in memory, for the length of a ``with``; not in a transaction."""
        self.connection.execute("PRAGMA temp_store=FILE")
        try:
            yield
        finally:
            self.connection.execute("PRAGMA temp_store=MEMORY")

    # The catalogue --------------------------------------------------------------------------------------------

    def catalogue_version(self) -> int:
        """Return a number that increases with every change of a table's definition, in any process."""
        return int(self.cursor.execute("SELECT version FROM catalogue_version").get)

    def increment_catalogue_version(self) -> None:
        """Record in the open transaction that definitions changed, so that every process reads them."""
        self.connection.execute("UPDATE catalogue_version SET version = version + 1")

    def definitions(self) -> list[tuple[int, str, bytes, str | None]]:
        """Return (id, name, document, rules document) of every table, by name."""
        rows: list[tuple[Any, ...]] = self.connection.execute(
            "SELECT t.id, t.name, t.document, r.document FROM tables t"
            " LEFT JOIN rules r ON r.table_id = t.id ORDER BY t.name"
        ).fetchall()
        return [(table_id, name, document, rules) for table_id, name, document, rules in rows]

    def add_table(self, name: str, document: bytes) -> int:
        """Register a table, create its rows and return its id, which is never used again."""
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
        """Change a table's definition."""
        self.connection.execute("UPDATE tables SET document = ? WHERE id = ?", (document, table_id))

    def remove_table(self, table_id: int, index_numbers: list[int]) -> None:
        """Remove a table with its indexes and rules, and with its items unless they were renamed."""
        for number in index_numbers:
            self.remove_index(table_id, number)
        self.connection.execute(f"DROP TABLE IF EXISTS items_{table_id}")
        for statement in (
            "DELETE FROM tables WHERE id = ?",
            "DELETE FROM counters WHERE table_id = ?",
            "DELETE FROM rules WHERE table_id = ?",
        ):
            self.connection.execute(statement, (table_id,))
        self.release_owned_values(table_id)

    def rename_items(self, table_id: int, name: str) -> None:
        """Rename the SQLite table with the items of a table that is about to be removed, and drop its index of keys."""
        self.connection.execute(f"DROP INDEX items_{table_id}_by_key; ALTER TABLE items_{table_id} RENAME TO {name}")

    def add_index(self, table_id: int, number: int) -> None:
        """Create the entries of an index."""
        self.connection.execute(
            f"CREATE TABLE index_{table_id}_{number} (entry BLOB PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID"
        )
        self.connection.execute("INSERT INTO counters VALUES (?, ?, 0, 0)", (table_id, number))

    def remove_index(self, table_id: int, number: int) -> None:
        """Remove the entries of an index."""
        self.connection.execute(f"DROP TABLE index_{table_id}_{number}")
        self.connection.execute("DELETE FROM counters WHERE table_id = ? AND index_number = ?", (table_id, number))

    def put_rules(self, table_id: int, document: str | None) -> None:
        """Set or remove a table's rules document."""
        if document is None:
            self.connection.execute("DELETE FROM rules WHERE table_id = ?", (table_id,))
        else:
            self.connection.execute("INSERT OR REPLACE INTO rules VALUES (?, ?)", (table_id, document))

    # Counters -------------------------------------------------------------------------------------------------

    def add_counts(self, added: Sequence[tuple[int, int, int, int]]) -> None:
        """Add to counters; each of ``added`` is (items, bytes, table id, ``TABLE_ITSELF`` or index number)."""
        self.cursor.executemany(
            "UPDATE counters SET items = items + ?, bytes = bytes + ? WHERE table_id = ? AND index_number = ?", added
        )

    def counts(self, table_id: int, number: int) -> tuple[int, int]:
        """Return (items, bytes) of a table or an index."""
        row = self.cursor.execute(
            "SELECT items, bytes FROM counters WHERE table_id = ? AND index_number = ?", (table_id, number)
        ).get
        return (row[0], row[1]) if row else (0, 0)

    def measure_items(self, table_id: int) -> tuple[int, int]:
        """Return (items, bytes) of a table by reading every row."""
        items, size_bytes = self.connection.execute(
            f"SELECT count(*), coalesce(sum(size), 0) FROM items_{table_id}"
        ).get
        return int(items), int(size_bytes)

    # Idempotency tokens ---------------------------------------------------------------------------------------

    def token(self, token: str, now: float) -> tuple[bytes, bytes] | None:
        """Return (request digest, response) under a token that has not expired at ``now``; None without one."""
        row = self.cursor.execute(
            "SELECT digest, response FROM request_tokens WHERE token = ? AND expires_at > ?", (token, now)
        ).get
        return (row[0], row[1]) if row else None

    def put_token(self, token: str, digest: bytes, expires_at: float, response: bytes) -> None:
        """Store a request's token, in the transaction of its writes."""
        self.cursor.execute(
            "INSERT OR REPLACE INTO request_tokens VALUES (?, ?, ?, ?)", (token, digest, expires_at, response)
        )

    def delete_expired_tokens(self, now: float) -> None:
        """Remove the tokens that expired before ``now``."""
        self.cursor.execute("DELETE FROM request_tokens WHERE expires_at <= ?", (now,))

    # Unique values --------------------------------------------------------------------------------------------

    def owner(self, space: str, value: bytes) -> bytes | None:
        """Return the owner of ``value`` in ``space``; None when it is free."""
        row: bytes | None = self.cursor.execute(
            "SELECT owner FROM owners WHERE space = ? AND value = ?", (space, value)
        ).get
        return row

    def own(self, space: str, value: bytes, owner: bytes) -> bytes | None:
        """Make ``owner`` the owner of a free ``value`` and return None; return the present owner otherwise."""
        self.cursor.execute("INSERT OR IGNORE INTO owners VALUES (?, ?, ?)", (space, value, owner))
        return None if self.connection.changes() else self.owner(space, value)

    def set_owner(self, space: str, value: bytes, owner: bytes) -> None:
        """Make ``owner`` the owner of ``value``, in place of any present owner."""
        self.cursor.execute("INSERT OR REPLACE INTO owners VALUES (?, ?, ?)", (space, value, owner))

    def release_owned_values(self, table_id: int) -> None:
        """Free every value in one table's spaces, whose names begin with ``<table id>:``."""
        self.cursor.execute("DELETE FROM owners WHERE space >= ? AND space < ?", (f"{table_id}:", f"{table_id};"))

    def release(self, space: str, value: bytes) -> None:
        """Free ``value``."""
        self.cursor.execute("DELETE FROM owners WHERE space = ? AND value = ?", (space, value))


def _segment_of(*values: Any) -> int:
    """Return the segment of a key; SQLite passes the values of :func:`segment_of` in its order."""
    return segment_of(*values)


def wait_while_busy(waits: int) -> bool:
    """Wait while another process writes: 0.1 ms and the wake-up time at each call, about 10 s in total.

    SQLite's own waits grow to 100 ms.
    """
    if waits >= BUSY_WAITS_MAX:
        return False
    time.sleep(BUSY_WAIT_S)
    return True
