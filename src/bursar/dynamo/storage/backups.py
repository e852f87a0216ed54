"""On-demand backups in the file: they survive their tables.

    backups:   id │ arn │ document (name, type, times; the table's name, document and counts)
    backup_3:  id │ key │ size │ item

The items of a backup are a copy, made in one transaction. The items of a deleted table with point-in-time recovery
become its system backup without being copied. Source: Developer Guide, "Backing up and restoring DynamoDB tables".
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from bursar.dynamo.storage.sqlite_file import TABLE_ITSELF, Storage
from bursar.dynamo.storage.table import Table

USER, SYSTEM = "USER", "SYSTEM"
SYSTEM_BACKUP_LIFE_S = 35 * 24 * 3600
DELETED_TABLE_BACKUP = "$DeletedTableBackup"
"""The suffix of the name of a system backup, which follows the deleted table's name."""
ID_BITS = 32


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup of one table."""

    id: int
    arn: str
    document: Mapping[str, Any]
    """The members Name, Type, CreatedAt, ExpiresAt (SYSTEM), TableName, Table (its document), Items, Bytes."""

    @property
    def items_name(self) -> str:
        """The SQLite table of its items."""
        return f"backup_{self.id}"

    @property
    def type(self) -> str:
        """USER or SYSTEM."""
        return str(self.document["Type"])

    @property
    def created_at(self) -> float:
        """When it was made (epoch s)."""
        return float(self.document["CreatedAt"])

    @property
    def expires_at(self) -> float | None:
        """When it is removed (epoch s); None for a backup that a user made."""
        return self.document.get("ExpiresAt")

    @property
    def table_name(self) -> str:
        """The name of its table."""
        return str(self.document["TableName"])


class Backups:
    """The backups of one store."""

    def __init__(self, storage: Storage, randomness: random.Random) -> None:
        self._storage = storage
        self._connection = storage.connection
        self._randomness = randomness

    def all(self) -> list[Backup]:
        """Return every backup, oldest first."""
        rows = self._connection.execute("SELECT id, arn, document FROM backups ORDER BY id")
        return [Backup(row[0], row[1], orjson.loads(row[2])) for row in rows]

    def find(self, arn: str) -> Backup | None:
        """Return the backup of that ARN, or None."""
        return next((backup for backup in self.all() if backup.arn == arn), None)

    def create(self, table: Table, name: str, now: float) -> Backup:
        """Copy a table's items into a new backup."""
        described = {"Name": name, "Type": USER, "CreatedAt": round(now, 3)}
        backup = self._register(table, described, backup_id(now, self._randomness.getrandbits(ID_BITS)))
        self._connection.execute(
            f"CREATE TABLE {backup.items_name} ("
            "id INTEGER PRIMARY KEY, key BLOB NOT NULL, size INTEGER NOT NULL, item BLOB NOT NULL);"
            f"INSERT INTO {backup.items_name} (key, size, item) SELECT key, size, item FROM items_{table.id}"
        )
        return backup

    def keep_deleted_table(self, table: Table, now: float) -> None:
        """Turn the items of a table that is about to be removed into its system backup."""
        times = {"CreatedAt": round(now, 3), "ExpiresAt": round(now, 3) + SYSTEM_BACKUP_LIFE_S}
        described = {"Name": table.name + DELETED_TABLE_BACKUP, "Type": SYSTEM, **times}
        self._storage.rename_items(table.id, self._register(table, described, backup_id(now, 0)).items_name)

    def remove(self, backup: Backup) -> None:
        """Remove a backup and its items."""
        self._connection.execute(f"DROP TABLE {backup.items_name}")
        self._connection.execute("DELETE FROM backups WHERE id = ?", (backup.id,))

    def fill(self, target: str, backup: Backup) -> None:
        """Add a backup's items to the empty items table ``target``."""
        self._connection.execute(
            f"INSERT INTO {target} (key, size, item) SELECT key, size, item FROM {backup.items_name}"
        )

    def _register(self, table: Table, described: Mapping[str, Any], last: str) -> Backup:
        items, size_bytes = self._storage.counts(table.id, TABLE_ITSELF)
        document = {
            **described,
            "TableName": table.name,
            "Table": table.document,
            "Items": items,
            "Bytes": size_bytes,
        }
        arn = f"{table.arn}/backup/{last}"
        self._connection.execute("INSERT INTO backups (arn, document) VALUES (?, ?)", (arn, orjson.dumps(document)))
        return Backup(self._connection.last_insert_rowid(), arn, document)


def backup_id(now: float, number: int) -> str:
    """Return the last part of the ARN of a backup, export or import: its time in ms, and a number of 32 bits."""
    return f"{int(now * 1000):014d}-{number:08x}"
