"""Changes of items as records of Kinesis, in Amazon's JSON form.

Sources: Developer Guide, "Change data capture for Kinesis Data Streams"; records of Amazon's that users published.
"""

import hashlib
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from bursar.dynamo.operations.control_plane.kinesis import MICROSECOND, PRECISION
from bursar.dynamo.storage.change_streams import Record, Stream

BY_TIME_TO_LIVE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
_UNITS_PER_S = {MICROSECOND: 1_000_000}
_MILLISECONDS_PER_S = 1_000
_ID_BYTES = 16


class KinesisRecord(NamedTuple):
    """One change: its number in the capture, the partition key of its record, and the record's data."""

    sequence: int
    partition_key: str
    data: bytes

    @property
    def size(self) -> int:
        """The bytes that the record adds to a request."""
        return len(self.data) + len(self.partition_key)


def kinesis_record(capture: Stream, record: Record) -> KinesisRecord:
    """Return the record of a change.

    Its ``eventID`` is always the same, so that a reader can recognise records that it has read before.
    """
    precision = (capture.destination or {}).get(PRECISION)
    unit = _UNITS_PER_S.get(precision or "", _MILLISECONDS_PER_S)
    change: dict[str, Any] = {
        "ApproximateCreationDateTime": int(record.created_at * unit),
        "Keys": orjson.Fragment(record.keys),
    }
    if record.new is not None:
        change["NewImage"] = orjson.Fragment(record.new)
    if record.old is not None:
        change["OldImage"] = orjson.Fragment(record.old)
    change["SizeBytes"] = record.size
    if precision is not None:
        change[PRECISION] = precision
    table = capture.document["TableName"]
    identity = f"{table}/{capture.document['CreatedAt']}/{capture.id}/{record.sequence}"
    event = {
        "awsRegion": capture.region,
        "eventID": str(UUID(bytes=hashlib.blake2b(identity.encode(), digest_size=_ID_BYTES).digest(), version=4)),
        "eventName": record.event,
        "userIdentity": BY_TIME_TO_LIVE if record.by_service else None,
        "recordFormat": "application/json",
        "tableName": table,
        "dynamodb": change,
        "eventSource": "aws:dynamodb",
    }
    return KinesisRecord(record.sequence, _partition_key(record.keys), orjson.dumps(event))


def _partition_key(keys: bytes) -> str:
    """Return a partition key in Amazon's form. It is equal for all changes of an item, so they are in one shard."""
    return hashlib.md5(keys, usedforsecurity=False).hexdigest().upper()
