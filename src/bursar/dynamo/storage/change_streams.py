"""DynamoDB Streams in the file: the streams, their shards, and their records.

    streams:    id │ table id │ document (table, label, view type, key schema, shards; when disabled)
    stream_7:   sequence │ created │ event │ by the service? │ size │ keys │ old image │ new image

A record is written in the transaction of its change (by :class:`Recorder`, a follower of the table), so that stream and
items cannot disagree. Sequence numbers have no gaps and rise in the order of the writes. The shards of a stream form
one line, each the parent of the next, as after Amazon's splits and rolls: housekeeping closes a shard after four hours.
Records are readable for 24 hours, also those of a disabled stream or a deleted table.

A capture is a stream that no reader sees: the changes on their way to a data stream of Kinesis. Its document names the
destination. Records are removed as soon as the data stream has them, so its first record is the next one to send.
Source: Developer Guide, "Change data capture for DynamoDB Streams".
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from bursar.clock import Clock, iso_ms
from bursar.dynamo.items.attribute_values import Item, equal, item_bytes, item_size
from bursar.dynamo.regions import table_arn_prefix
from bursar.dynamo.storage.sqlite_file import Storage
from bursar.dynamo.storage.table import ItemWrite, Table

RETENTION_S = 24 * 3600
SHARD_LIFE_S = 4 * 3600
INSERT, MODIFY, REMOVE = "INSERT", "MODIFY", "REMOVE"
LABEL_STEP_S = 0.001
SHARD_ID_BITS = 32
SEQUENCE_MAX = 2**62

VIEWS_WITH_NEW_IMAGE = frozenset({"NEW_IMAGE", "NEW_AND_OLD_IMAGES"})
VIEWS_WITH_OLD_IMAGE = frozenset({"OLD_IMAGE", "NEW_AND_OLD_IMAGES"})


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a stream: the records from ``starting`` to ``ending`` (None while it is open), both included."""

    id: str
    starting: int
    ending: int | None
    opened_at: float
    parent: str | None


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of one table; enabling a table's stream again makes a new one."""

    id: int
    table_id: int
    document: Mapping[str, Any]
    region: str
    """The region of the engine that reads the stream."""

    @property
    def label(self) -> str:
        """The time of its creation, which is unique for the table's name."""
        return str(self.document["Label"])

    @property
    def destination(self) -> Mapping[str, Any] | None:
        """The data stream of Kinesis that gets a capture's changes, and its state; None for a stream with readers."""
        return self.document.get("Destination")

    @property
    def arn(self) -> str:
        """The stream's Amazon resource name; a capture has none, and its text names it in messages."""
        if self.destination is not None:
            return f"capture {self.id} of {self.document['TableName']} for {self.destination['StreamArn']}"
        return f"{table_arn_prefix(self.region)}{self.document['TableName']}/stream/{self.label}"

    @property
    def view(self) -> str:
        """The images in its records: KEYS_ONLY, NEW_IMAGE, OLD_IMAGE or NEW_AND_OLD_IMAGES."""
        return str(self.document["ViewType"])

    @property
    def disabled_at(self) -> float | None:
        """When it was disabled, or its table deleted (seconds since the epoch); None while it is enabled."""
        return self.document.get("DisabledAt")

    @property
    def shards(self) -> list[Shard]:
        """Its shards, oldest first; at least one."""
        return [Shard(**shard) for shard in self.document["Shards"]]


@dataclass(frozen=True, slots=True)
class Record:
    """One change of one item. The images are DynamoDB JSON; None where the view type leaves them out."""

    sequence: int
    created_at: float
    event: str
    by_service: bool
    size: int
    keys: bytes
    old: bytes | None
    new: bytes | None


class Streams:
    """The streams of one store."""

    def __init__(self, storage: Storage, randomness: random.Random) -> None:
        self._connection = storage.connection
        self._region = storage.region
        self._randomness = randomness

    def all(self) -> list[Stream]:
        """Return every stream, enabled and disabled, by table name and label; no capture."""
        streams = [stream for stream in self.with_captures() if stream.destination is None]
        return sorted(streams, key=lambda stream: (stream.document["TableName"], stream.label))

    def captures(self) -> list[Stream]:
        """Return every capture, oldest first."""
        return [stream for stream in self.with_captures() if stream.destination is not None]

    def capture(self, capture_id: int) -> Stream | None:
        """Return one capture, or None if it no longer exists."""
        row = self._connection.execute("SELECT table_id, document FROM streams WHERE id = ?", (capture_id,)).get
        return None if row is None else Stream(capture_id, row[0], orjson.loads(row[1]), self._region)

    def captured(self, capture_id: int, limit: int, bytes_max: int | None = None) -> list[Record]:
        """Return the first records of a capture, bounded as in :meth:`records`."""
        return self.records(capture_id, 1, SEQUENCE_MAX, limit, bytes_max)

    def with_captures(self) -> list[Stream]:
        """Return every stream and every capture, oldest first."""
        rows: list[tuple[Any, ...]] = self._connection.execute(
            "SELECT id, table_id, document FROM streams ORDER BY id"
        ).fetchall()
        return [Stream(row[0], row[1], orjson.loads(row[2]), self._region) for row in rows]

    def enabled(self) -> dict[int, Stream]:
        """Return the enabled streams by table id; a table has at most one."""
        return {stream.table_id: stream for stream in self.all() if stream.disabled_at is None}

    def free_label(self, table_name: str, now: float) -> str:
        """Return an unused label for a table's name: ISO 8601 with milliseconds and no zone."""
        taken = {stream.label for stream in self.all() if stream.document["TableName"] == table_name}
        label = iso_ms(now).removesuffix("Z")
        while label in taken:
            now += LABEL_STEP_S
            label = iso_ms(now).removesuffix("Z")
        return label

    def start(self, table_id: int, table_name: str, table: Mapping[str, Any], now: float) -> None:
        """Create the stream that a table's document specifies."""
        document = {
            "TableName": table_name,
            "Label": table["LatestStreamLabel"],
            "ViewType": table["StreamSpecification"]["StreamViewType"],
            "KeySchema": table["KeySchema"],
            "CreatedAt": round(now, 3),
            "Shards": [self._shard(1, None, now)],
        }
        self._add(table_id, document)

    def start_capture(self, table: Table, destination: Mapping[str, Any], now: float) -> None:
        """Begin to capture a table's changes for a destination."""
        self._add(
            table.id,
            {
                "TableName": table.name,
                "ViewType": "NEW_AND_OLD_IMAGES",
                "KeySchema": table.document["KeySchema"],
                "CreatedAt": round(now, 3),
                "Shards": [self._shard(1, None, now)],
                "Destination": destination,
            },
        )

    def _add(self, table_id: int, document: Mapping[str, Any]) -> None:
        self._connection.execute(
            "INSERT INTO streams (table_id, document) VALUES (?, ?)", (table_id, orjson.dumps(document))
        )
        self._connection.execute(
            f"CREATE TABLE stream_{self._connection.last_insert_rowid()} ("
            "sequence INTEGER PRIMARY KEY AUTOINCREMENT, created_at REAL NOT NULL, event TEXT NOT NULL,"
            " by_service INTEGER NOT NULL, size INTEGER NOT NULL, keys BLOB NOT NULL, old BLOB, new BLOB)"
        )

    def stop(self, stream: Stream, now: float, **destination: Any) -> None:
        """Disable a stream: its last shard is closed, its records stay readable for 24 hours.

        ``destination`` has the members of a capture's destination that change.
        """
        *closed, last = stream.document["Shards"]
        last = {**last, "ending": max(last["starting"], self.last(stream.id))}
        document = {**stream.document, "DisabledAt": now, "Shards": [*closed, last]}
        if destination:
            document["Destination"] = {**document["Destination"], **destination}
        self._put(stream, document)

    def change_destination(self, capture: Stream, **destination: Any) -> None:
        """Change members of a capture's destination."""
        changed = {**capture.document["Destination"], **destination}
        self._put(capture, {**capture.document, "Destination": changed})

    def kept_shards(self, stream: Stream, oldest: int) -> list[dict[str, Any]]:
        """Return the shards without the closed ones whose records are all older than ``oldest``."""
        *closed, last = stream.document["Shards"]
        return [*(shard for shard in closed if shard["ending"] >= oldest), last]

    def keep_shards(self, stream: Stream, shards: list[dict[str, Any]]) -> None:
        """Remove all shards but ``shards``."""
        self._put(stream, {**stream.document, "Shards": shards})

    def roll(self, stream: Stream, shards: list[dict[str, Any]], now: float) -> None:
        """Close the last of the shards, which is open and has records, and open its child."""
        last = self.last(stream.id)
        closed = {**shards[-1], "ending": last}
        child = self._shard(last + 1, closed["id"], now)
        self._put(stream, {**stream.document, "Shards": [*shards[:-1], closed, child]})

    def remove(self, stream: Stream) -> None:
        """Remove a stream and its records."""
        self._connection.execute(f"DROP TABLE stream_{stream.id}")
        self._connection.execute("DELETE FROM streams WHERE id = ?", (stream.id,))

    def _shard(self, starting: int, parent: str | None, now: float) -> dict[str, Any]:
        number = self._randomness.getrandbits(SHARD_ID_BITS)
        shard_id = f"shardId-{int(now * 1000):020d}-{number:08x}"
        return {"id": shard_id, "starting": starting, "ending": None, "opened_at": now, "parent": parent}

    def _put(self, stream: Stream, document: Mapping[str, Any]) -> None:
        self._connection.execute("UPDATE streams SET document = ? WHERE id = ?", (orjson.dumps(document), stream.id))

    # Records --------------------------------------------------------------------------------------------------

    def last(self, stream_id: int) -> int:
        """Return the last sequence number given, whether or not its record still exists; 0 for none."""
        return (
            self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (f"stream_{stream_id}",)).get
            or 0
        )

    def first(self, stream_id: int) -> int:
        """Return the oldest sequence number in the file; one after the last when there is none."""
        oldest = self._connection.execute(f"SELECT min(sequence) FROM stream_{stream_id}").get
        return self.last(stream_id) + 1 if oldest is None else int(oldest)

    def first_since(self, stream_id: int, moment: float) -> int:
        """Return the first sequence number created at ``moment`` or later; one after the last when there is none."""
        low, high = self.first(stream_id), self.last(stream_id) + 1
        created = f"SELECT created_at FROM stream_{stream_id} WHERE sequence = ?"
        while low < high:
            middle = (low + high) // 2
            if self._connection.execute(created, (middle,)).get < moment:
                low = middle + 1
            else:
                high = middle
        return low

    def records(self, stream_id: int, first: int, last: int, limit: int, bytes_max: int | None = None) -> list[Record]:
        """Return the records from ``first`` to ``last``, both included, at most ``limit``.

        Their sizes add up to at most ``bytes_max``, unless the first is larger alone.
        """
        rows = self._connection.execute(
            "SELECT sequence, created_at, event, by_service, size, keys, old, new"
            f" FROM stream_{stream_id} WHERE sequence BETWEEN ? AND ? ORDER BY sequence LIMIT ?",
            (first, last, limit),
        )
        records: list[Record] = []
        size = 0
        for row in rows:
            size += row[4]
            if records and bytes_max is not None and size > bytes_max:
                break
            records.append(Record(row[0], row[1], row[2], bool(row[3]), *row[4:]))
        rows.close()
        return records

    def trim(self, stream_id: int, before: int) -> None:
        """Remove the records with lower sequence numbers than ``before``."""
        self._connection.execute(f"DELETE FROM stream_{stream_id} WHERE sequence < ?", (before,))


class Recorder:
    """Writes a record of each change of one table's items; a change to an equal item has no record."""

    __slots__ = ("_clock", "_cursor", "_insert", "_keeps_new_image", "_keeps_old_image")

    def __init__(self, storage: Storage, clock: Clock, stream: Stream) -> None:
        self._clock = clock
        self._cursor = storage.cursor
        self._keeps_new_image = stream.view in VIEWS_WITH_NEW_IMAGE
        self._keeps_old_image = stream.view in VIEWS_WITH_OLD_IMAGE
        self._insert = (
            f"INSERT INTO stream_{stream.id} (created_at, event, by_service, size, keys, old, new)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)"
        )

    def item_changed(self, write: ItemWrite, row_id: int) -> None:
        """Write the record of a change; a follower of the table."""
        event = MODIFY
        if write.row is None:
            event = INSERT
        elif write.new is None:
            event = REMOVE
        elif _same(write.old, write.new):
            return
        old_bytes = new_bytes = None
        keys = write.key_item
        size = item_size(keys)
        if self._keeps_new_image and write.new is not None:
            new_bytes = write.body
            size += write.size
        if self._keeps_old_image and write.row is not None:
            old_bytes = write.row[2]
            size += write.row[1]
        self._cursor.execute(
            self._insert,
            (
                self._clock(),
                event,
                write.by_service,
                size,
                item_bytes(keys),
                old_bytes,
                new_bytes,
            ),
        )


def _same(old: Item | None, new: Item) -> bool:
    return old is not None and equal({"M": old}, {"M": new})
