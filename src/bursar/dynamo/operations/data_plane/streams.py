"""ListStreams, DescribeStream, GetShardIterator and GetRecords (the ``dynamodbstreams`` service).

A shard iterator contains a stream, a shard, a position, and the time when it was created. It is valid for 15 minutes.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid, invalid_parameter
from bursar.dynamo.operations.requests.common_members import NAME
from bursar.dynamo.operations.requests.shapes import IntegerShape, Request, StringShape, StructureShape
from bursar.dynamo.operations.requests.timestamps import TIMESTAMP
from bursar.dynamo.storage.change_streams import RETENTION_S, Record, Shard, Stream

PAGE_MAX = 100
RECORDS_MAX = 1000
RECORDS_BYTES_MAX = 1024 * 1024
ITERATOR_LIFE_S = 15 * 60
EVENT_ID_BYTES = 16
SEQUENCE_BASE = 10**20
"""The number that is added to sequence numbers, which have at least 21 digits."""
SEQUENCE_DIGITS_MAX = 40

ONLY_CHILDREN = "CHILD_SHARDS"
NO_TIMESTAMP = "Timestamp is required for ShardIteratorType AT_TIMESTAMP"


_LIMIT = IntegerShape(1)
_STREAM_ARN = StringShape(37, 1024)
_SHARD_ID = StringShape(28, 65)
LIST_STREAMS = Request({"TableName": NAME, "Limit": _LIMIT, "ExclusiveStartStreamArn": _STREAM_ARN})
DESCRIBE_STREAM = Request(
    {
        "StreamArn": _STREAM_ARN,
        "Limit": _LIMIT,
        "ExclusiveStartShardId": _SHARD_ID,
        "ShardFilter": StructureShape({"Type": StringShape(choices=(ONLY_CHILDREN,)), "ShardId": _SHARD_ID}),
    },
    ("StreamArn",),
)
GET_SHARD_ITERATOR = Request(
    {
        "StreamArn": _STREAM_ARN,
        "ShardId": _SHARD_ID,
        "ShardIteratorType": StringShape(
            choices=("AFTER_SEQUENCE_NUMBER", "LATEST", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON", "AT_TIMESTAMP")
        ),
        "SequenceNumber": StringShape(21, SEQUENCE_DIGITS_MAX),
        "Timestamp": TIMESTAMP,
    },
    ("StreamArn", "ShardId", "ShardIteratorType"),
)
GET_RECORDS = Request({"ShardIterator": StringShape(1, 2048), "Limit": _LIMIT}, ("ShardIterator",))


def list_streams(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the streams of all tables or of one. Disabled streams are included while their records last."""
    limit = _limit(request, "Limit cannot be greater than the maximum allowed size: 100")
    streams = [
        stream
        for stream in _readable(core)
        if request.get("TableName") in (None, stream.document["TableName"])
        and stream.arn > (request.get("ExclusiveStartStreamArn") or "")
    ]
    streams.sort(key=lambda stream: stream.arn)
    response: dict[str, Any] = {
        "Streams": [
            {"StreamArn": stream.arn, "TableName": stream.document["TableName"], "StreamLabel": stream.label}
            for stream in streams[:limit]
        ]
    }
    if len(streams) > limit:
        response["LastEvaluatedStreamArn"] = streams[limit - 1].arn
    return response


def describe_stream(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stream and its shards, 100 at a time."""
    limit = _limit(request, "Limit cannot be greater than the maximum: 100")
    stream = _stream(core, request["StreamArn"])
    shards = stream.shards
    shard_filter = request.get("ShardFilter")
    if shard_filter is not None and shard_filter.get("ShardId") is not None:
        shards = [shard for shard in shards if shard.parent == shard_filter["ShardId"]]
    after = request.get("ExclusiveStartShardId")
    if after is not None:
        shards = [shard for shard in shards if shard.id > after]
    document = stream.document
    description: dict[str, Any] = {
        "StreamArn": stream.arn,
        "StreamLabel": stream.label,
        "StreamStatus": "ENABLED" if stream.disabled_at is None else "DISABLED",
        "StreamViewType": stream.view,
        "CreationRequestDateTime": document["CreatedAt"],
        "TableName": document["TableName"],
        "KeySchema": document["KeySchema"],
        "Shards": [_describe_shard(shard) for shard in shards[:limit]],
    }
    if len(shards) > limit:
        description["LastEvaluatedShardId"] = shards[limit - 1].id
    return {"StreamDescription": description}


def get_shard_iterator(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return an iterator at a position in a shard."""
    stream = _stream(core, request["StreamArn"])
    shard = next((shard for shard in stream.shards if shard.id == request["ShardId"]), None)
    if shard is None:
        raise DynamoError("ResourceNotFoundException", "Shard does not exist")
    position = _POSITIONS[request["ShardIteratorType"]](core, stream, shard, request)
    return {"ShardIterator": ShardIterator(stream.arn, shard.id, position, core.clock()).text()}


def get_records(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the records from a position on: at most 1,000, and at most 1 MB unless a single record is larger."""
    iterator = ShardIterator.read(request["ShardIterator"])
    limit = request.get("Limit") or RECORDS_MAX
    if limit > RECORDS_MAX:
        raise invalid_parameter("Limit should be less than or equal to 1000")
    now = core.clock()
    if now - iterator.made_at > ITERATOR_LIFE_S:
        raise DynamoError(
            "ExpiredIteratorException", "The shard iterator has expired: it is older than 15 minutes. Get a new one"
        )
    stream = _stream(core, iterator.arn)
    shard = next((shard for shard in stream.shards if shard.id == iterator.shard), None)
    if shard is None or iterator.position < _horizon(core, stream):
        raise _trimmed()
    last = shard.ending if shard.ending is not None else core.streams.last(stream.id)
    records = core.streams.records(stream.id, iterator.position, last, limit, RECORDS_BYTES_MAX)
    position = records[-1].sequence + 1 if records else iterator.position
    response: dict[str, Any] = {"Records": [_describe_record(stream, record) for record in records]}
    # A closed shard that has been read to its end has no next iterator: its children continue.
    if shard.ending is None or position <= min(shard.ending, core.streams.last(stream.id)):
        response["NextShardIterator"] = ShardIterator(stream.arn, shard.id, position, now).text()
    return response


# Positions ----------------------------------------------------------------------------------------------------


def _trim_horizon(core: Core, stream: Stream, shard: Shard, request: Mapping[str, Any]) -> int:
    _no_sequence(request)
    return max(shard.starting, _horizon(core, stream))


def _latest(core: Core, stream: Stream, shard: Shard, request: Mapping[str, Any]) -> int:
    _no_sequence(request)
    return (shard.ending if shard.ending is not None else core.streams.last(stream.id)) + 1


def _at_sequence(core: Core, stream: Stream, shard: Shard, request: Mapping[str, Any]) -> int:
    digits = request.get("SequenceNumber")
    if digits is None or not (digits.isascii() and digits.isdigit()):
        raise invalid_parameter("Invalid SequenceNumber")
    sequence = int(digits) - SEQUENCE_BASE
    last = shard.ending if shard.ending is not None else max(shard.starting, core.streams.last(stream.id))
    if not shard.starting <= sequence <= last:
        raise invalid("Invalid SequenceNumber for the shard")
    if sequence < _horizon(core, stream):
        raise _trimmed()
    return sequence


def _after_sequence(core: Core, stream: Stream, shard: Shard, request: Mapping[str, Any]) -> int:
    return _at_sequence(core, stream, shard, request) + 1


def _at_timestamp(core: Core, stream: Stream, shard: Shard, request: Mapping[str, Any]) -> int:
    _no_sequence(request)
    timestamp = request.get("Timestamp")
    if timestamp is None:
        raise invalid_parameter(NO_TIMESTAMP)
    if timestamp > core.clock():
        raise invalid_parameter("Timestamp cannot be in the future")
    position = core.streams.first_since(stream.id, timestamp)
    return max(shard.starting, position, _horizon(core, stream))


_POSITIONS: dict[str, Callable[[Core, Stream, Shard, Mapping[str, Any]], int]] = {
    "TRIM_HORIZON": _trim_horizon,
    "LATEST": _latest,
    "AT_SEQUENCE_NUMBER": _at_sequence,
    "AFTER_SEQUENCE_NUMBER": _after_sequence,
    "AT_TIMESTAMP": _at_timestamp,
}


@dataclass(frozen=True, slots=True)
class ShardIterator:
    """The contents of a shard iterator."""

    arn: str
    shard: str
    position: int
    made_at: float

    def text(self) -> str:
        """Return the iterator as callers receive it."""
        inner = orjson.dumps([self.shard, self.position, round(self.made_at, 3)])
        return f"{self.arn}|1|{urlsafe_b64encode(inner).decode()}"

    @classmethod
    def read(cls, text: str) -> "ShardIterator":
        """Return the iterator of a text. Raise ValidationException unless :meth:`text` made it."""
        try:
            arn, version, inner = text.split("|")
            shard, position, made_at = orjson.loads(urlsafe_b64decode(inner))
            if version == "1" and isinstance(shard, str) and type(position) is int:
                return cls(arn, shard, position, float(made_at))
        except (ValueError, TypeError):  # not three parts, not base64, not JSON, not a list of three
            pass
        raise invalid("Invalid ShardIterator")


# Descriptions -------------------------------------------------------------------------------------------------


def _describe_shard(shard: Shard) -> dict[str, Any]:
    sequences = {"StartingSequenceNumber": _sequence(shard.starting)}
    if shard.ending is not None:
        sequences["EndingSequenceNumber"] = _sequence(shard.ending)
    described: dict[str, Any] = {"ShardId": shard.id, "SequenceNumberRange": sequences}
    if shard.parent is not None:
        described["ParentShardId"] = shard.parent
    return described


def _describe_record(stream: Stream, record: Record) -> dict[str, Any]:
    sequence = _sequence(record.sequence)
    change: dict[str, Any] = {
        # Whole seconds, as Amazon has.
        "ApproximateCreationDateTime": int(record.created_at),
        "Keys": orjson.Fragment(record.keys),
        "SequenceNumber": sequence,
        "SizeBytes": record.size,
        "StreamViewType": stream.view,
    }
    if record.new is not None:
        change["NewImage"] = orjson.Fragment(record.new)
    if record.old is not None:
        change["OldImage"] = orjson.Fragment(record.old)
    described: dict[str, Any] = {
        # Always the same for one record, so that a reader can recognise records that it has read before.
        "eventID": blake2b(f"{stream.arn}/{sequence}".encode(), digest_size=EVENT_ID_BYTES).hexdigest(),
        "eventName": record.event,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": stream.region,
        "dynamodb": change,
    }
    if record.by_service:
        # Capitalised in this API; Lambda's events have principalId and type.
        described["userIdentity"] = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    return described


def _sequence(number: int) -> str:
    return str(SEQUENCE_BASE + number)


# Streams that readers may see ---------------------------------------------------------------------------------


def _readable(core: Core) -> list[Stream]:
    oldest = core.clock() - RETENTION_S
    return [stream for stream in core.streams.all() if stream.disabled_at is None or stream.disabled_at > oldest]


def _stream(core: Core, arn: str) -> Stream:
    for stream in _readable(core):
        if stream.arn == arn:
            return stream
    raise DynamoError("ResourceNotFoundException", f"Requested resource not found: Stream: {arn} not found")


def _horizon(core: Core, stream: Stream) -> int:
    """Return the first sequence number of the last 24 hours, whether or not housekeeping has deleted older ones."""
    return core.streams.first_since(stream.id, core.clock() - RETENTION_S)


def _limit(request: Mapping[str, Any], too_large: str) -> int:
    limit: int = request.get("Limit") or PAGE_MAX
    if limit > PAGE_MAX:
        raise invalid_parameter(too_large)
    return limit


def _no_sequence(request: Mapping[str, Any]) -> None:
    if request.get("SequenceNumber") is not None:
        raise invalid_parameter("SequenceNumber should not be passed for this iterator type")


def _trimmed() -> DynamoError:
    return DynamoError(
        "TrimmedDataAccessException",
        "The operation attempted to read past the oldest stream record in a shard: records are kept for 24 hours",
    )
