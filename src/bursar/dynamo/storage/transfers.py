"""The records of exports, imports and bulk operations, which outlive their tables for 90 days.

transfers:  arn │ document: Amazon's description of the job; with the digest of the request under its client token
"""

from collections.abc import Mapping
from typing import Any

import orjson

from bursar.dynamo.storage.sqlite_file import Storage

KEPT_S = 90 * 24 * 3600
TOKEN_LIFE_S = 8 * 3600


class Transfers:
    """The jobs of one store; ``kind`` is ``export``, ``import`` or ``bulk-operation``."""

    def __init__(self, storage: Storage) -> None:
        self._connection = storage.connection

    def put(self, arn: str, document: Mapping[str, Any], now: float) -> None:
        """Store a record, and remove those that are older than 90 days."""
        self._connection.execute(
            "DELETE FROM transfers WHERE json_extract(document, '$.StartTime') < ?", (now - KEPT_S,)
        )
        self._connection.execute("INSERT OR REPLACE INTO transfers VALUES (?, ?)", (arn, orjson.dumps(document)))

    def find(self, arn: str) -> dict[str, Any] | None:
        """Return a record, or None."""
        document = self._connection.execute("SELECT document FROM transfers WHERE arn = ?", (arn,)).get
        return None if document is None else orjson.loads(document)

    def all(self, kind: str, now: float) -> list[dict[str, Any]]:
        """Return the records of one kind of the last 90 days, newest first."""
        rows = self._connection.execute("SELECT document FROM transfers WHERE arn LIKE ?", (f"%/{kind}/%",))
        found = [orjson.loads(document) for (document,) in rows]
        kept = [one for one in found if one["StartTime"] >= now - KEPT_S]
        return sorted(kept, key=lambda one: (one["StartTime"], arn_of(one)), reverse=True)

    def under_token(self, kind: str, token: str, now: float) -> dict[str, Any] | None:
        """Return the record that a request made under a client token in the last 8 hours."""
        for one in self.all(kind, now):
            if one["ClientToken"] == token and one["StartTime"] > now - TOKEN_LIFE_S:
                return one
        return None


def arn_of(document: Mapping[str, Any]) -> str:
    """Return the ARN of a record."""
    return str(document.get("ExportArn") or document.get("ImportArn") or document["BulkOperationArn"])
