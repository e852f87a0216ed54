"""The dashboard's own small database: sessions, failed sign-ins, saved views, and the access log.

It is one SQLite file beside the store, shared by every process that serves pages. It holds no payment. A process opens
a connection for each use, because uses are short and a connection belongs to one thread.
"""

import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from bursar.private_files import create_private, make_private_folder, require_private

BUSY_TIMEOUT_S: Final = 10.0
_LEAVE_WAL_WAIT_S: Final = 0.01
KEY_BYTES: Final = 32
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS keys (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS sessions (
    token_hash TEXT PRIMARY KEY, name TEXT NOT NULL, password_mark TEXT NOT NULL,
    began_at REAL NOT NULL, seen_at REAL NOT NULL, address TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS sessions_by_name ON sessions (name);
CREATE TABLE IF NOT EXISTS provider_sessions (
    token_hash TEXT PRIMARY KEY, issuer TEXT NOT NULL, account TEXT NOT NULL, id_token TEXT NOT NULL, sid TEXT
) STRICT;
CREATE TRIGGER IF NOT EXISTS provider_session_ends AFTER DELETE ON sessions
    BEGIN DELETE FROM provider_sessions WHERE token_hash = OLD.token_hash; END;
CREATE TABLE IF NOT EXISTS finished_sign_ins (state_hash TEXT PRIMARY KEY, at REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS used_logout_tokens (
    issuer TEXT NOT NULL, id_hash TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (issuer, id_hash)
) STRICT;
CREATE TABLE IF NOT EXISTS provider_people (
    issuer TEXT NOT NULL, subject TEXT NOT NULL, name TEXT NOT NULL UNIQUE, PRIMARY KEY (issuer, subject)
) STRICT;
CREATE TABLE IF NOT EXISTS failed_sign_ins (kind TEXT NOT NULL, name TEXT NOT NULL, at REAL NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS failed_sign_ins_by_name ON failed_sign_ins (kind, name, at);
CREATE TABLE IF NOT EXISTS access (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, name TEXT NOT NULL, roles TEXT NOT NULL, address TEXT NOT NULL,
    action TEXT NOT NULL, target TEXT NOT NULL, detail TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS access_by_time ON access (at);
CREATE TRIGGER IF NOT EXISTS access_is_never_changed BEFORE UPDATE ON access
    BEGIN SELECT RAISE(ABORT, 'the access log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS access_is_never_removed BEFORE DELETE ON access
    BEGIN SELECT RAISE(ABORT, 'the access log is append-only'); END;
CREATE TABLE IF NOT EXISTS saved_views (
    id INTEGER PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, query TEXT NOT NULL, role TEXT,
    UNIQUE (owner, name)
) STRICT;
CREATE TABLE IF NOT EXISTS saved_queries (
    id INTEGER PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, query TEXT NOT NULL, role TEXT,
    UNIQUE (owner, name)
) STRICT;
CREATE TABLE IF NOT EXISTS stops (
    name TEXT NOT NULL, run TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (name, run)
) STRICT;
CREATE TABLE IF NOT EXISTS exports (
    name TEXT NOT NULL, run TEXT NOT NULL, rows INTEGER NOT NULL, total INTEGER, state TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (name, run)
) STRICT;
"""


class StateFile:
    """The database at ``path``, created for its owner alone if it is missing."""

    def __init__(self, path: Path) -> None:
        """Create or open the file. Raises ``OSError``, ``sqlite3.Error``, and ``TooOpen`` if others may use it."""
        self._path = path
        make_private_folder(path.parent)
        create_private(path)
        require_private(path)
        self._leave_wal()
        with self.writing() as connection:
            connection.executescript(_SCHEMA)
            columns = {row["name"] for row in connection.execute("PRAGMA table_info(provider_sessions)")}
            if "sid" not in columns:  # the file is of an earlier version
                connection.execute("ALTER TABLE provider_sessions ADD COLUMN sid TEXT")

    def _leave_wal(self) -> None:
        """Give the file a rollback journal.

        Raises ``sqlite3.Error`` if other processes keep the file in WAL mode too long.

        Earlier versions used WAL mode. Python's own SQLite may be of a version that loses commits in it when several
        processes write ("WAL-reset bug" of sqlite.org/wal.html). SQLite does not wait for other processes when it
        changes the mode.
        """
        tries = int(BUSY_TIMEOUT_S / _LEAVE_WAL_WAIT_S)
        for left in reversed(range(tries)):
            try:
                with self.writing() as connection:
                    connection.execute("PRAGMA journal_mode = DELETE")
                return
            except sqlite3.OperationalError:
                if not left:
                    raise
                time.sleep(_LEAVE_WAL_WAIT_S)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open a connection for the length of a ``with``, and commit at its end. Raises ``sqlite3.Error``."""
        with closing(sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S)) as connection, connection:
            connection.row_factory = sqlite3.Row
            yield connection

    def key(self, name: str) -> str:
        """Return the secret key of this name, the same for every process; it is made on first use."""
        with self.writing() as connection:
            new = secrets.token_hex(KEY_BYTES)
            connection.execute("INSERT OR IGNORE INTO keys (name, value) VALUES (?, ?)", (name, new))
            [(value,)] = connection.execute("SELECT value FROM keys WHERE name = ?", (name,))
            return str(value)
