"""The stream of a table as a source of records, read through DynamoDB's API, with a checkpoint in a file.

The checkpoint has the stream, the shard and the last record that was accepted.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson

from bursar.dynamo.errors import DynamoError

AsyncExecute = Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Carries out one request: its operation, its members. Raises ``DynamoError``."""


class DeliveryRefused(Exception):
    """The stream cannot be delivered; the text is the reason."""


class DeliveryPosition(NamedTuple):
    """The position of a delivery: stream, shard, and number of the last accepted record of the shard, or None."""

    stream: str
    shard: str
    sequence: str | None


class Checkpoint:
    """The file with a delivery's position."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> DeliveryPosition | None:
        """Return the position, or None before the first. Raises :class:`DeliveryRefused` for another file."""
        if not self._path.exists():
            return None
        try:
            document = orjson.loads(self._path.read_bytes())
            return DeliveryPosition(document["stream"], document["shard"], document["sequence"])
        except (ValueError, TypeError, KeyError):
            raise DeliveryRefused(f"{self._path} must be the checkpoint of a delivery") from None

    def write(self, position: DeliveryPosition) -> None:
        """Store a position, so that it survives a power cut."""
        scratch = self._path.with_name(self._path.name + ".new")
        with scratch.open("wb") as file:
            file.write(orjson.dumps(position._asdict()))
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class TableStream:
    """The records of one table's stream, as GetRecords returns them, each with its ``eventSourceARN``."""

    def __init__(self, call: AsyncExecute, checkpoint: Checkpoint, position: DeliveryPosition, batch: int) -> None:
        self._call = call
        self._checkpoint = checkpoint
        self._position = position
        self._batch = batch
        self._iterator: str | None = None

    @classmethod
    async def open(cls, call: AsyncExecute, table: str, checkpoint: Checkpoint, batch: int) -> Self:
        """Return the stream of a table, after the checkpoint, in pages of up to ``batch`` records.

        Raises :class:`DeliveryRefused`, and ``DynamoError`` for a missing table.
        """
        described = await call("DescribeTable", {"TableName": table})
        stream = described["Table"].get("LatestStreamArn")
        if stream is None:
            raise DeliveryRefused(f"the table {table} has no stream")
        shards = [shard["ShardId"] for shard in await _shards(call, stream)]
        known = checkpoint.read() or DeliveryPosition(stream, shards[0], None)
        if known.stream != stream:
            raise DeliveryRefused(
                f"the checkpoint is of another stream, {known.stream}; remove it to begin with {stream}"
            )
        if known.shard not in shards:
            raise DeliveryRefused(_trimmed(known))
        return cls(call, checkpoint, known, batch)

    async def page(self) -> list[dict[str, Any]]:
        """Return the next records; an empty list if there are none now. Raises :class:`DeliveryRefused`."""
        while True:
            records, self._iterator = await self._page()
            following = await self._next_shard() if not records and self._iterator is None else None
            if following is None:
                return records
            self._position = following

    async def keep_accepted(self, record: Mapping[str, Any]) -> None:
        """Write to the checkpoint that the records up to this one were accepted."""
        self._position = self._position._replace(sequence=record["dynamodb"]["SequenceNumber"])
        self._checkpoint.write(self._position)

    async def _page(self) -> tuple[list[dict[str, Any]], str | None]:
        """Return the next records of the shard, and the iterator after them, None at the end of the shard."""
        position = self._position
        try:
            try:
                answer = await self._records(self._iterator or await self._first_iterator())
            except DynamoError as error:  # the target took longer than an iterator lives
                if error.code != "ExpiredIteratorException":
                    raise
                answer = await self._records(await self._first_iterator())
        except DynamoError as error:
            if error.code == "TrimmedDataAccessException":
                raise DeliveryRefused(_trimmed(position)) from None
            raise
        records = [{**record, "eventSourceARN": position.stream} for record in answer["Records"]]
        return records, answer.get("NextShardIterator")

    async def _records(self, iterator: str) -> dict[str, Any]:
        return await self._call("GetRecords", {"ShardIterator": iterator, "Limit": self._batch})

    async def _first_iterator(self) -> str:
        """Return the iterator after the position."""
        stream, shard, sequence = self._position
        request = {"StreamArn": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
        if sequence is not None:
            request |= {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": sequence}
        answer = await self._call("GetShardIterator", request)
        return str(answer["ShardIterator"])

    async def _next_shard(self) -> DeliveryPosition | None:
        stream, shard, _ = self._position
        following = [one for one in await _shards(self._call, stream) if one.get("ParentShardId") == shard]
        return DeliveryPosition(stream, following[0]["ShardId"], None) if following else None


async def _shards(call: AsyncExecute, stream: str) -> list[dict[str, Any]]:
    shards: list[dict[str, Any]] = []
    request: dict[str, Any] = {"StreamArn": stream}
    while True:
        description = (await call("DescribeStream", request))["StreamDescription"]
        shards += description["Shards"]
        if "LastEvaluatedShardId" not in description:
            return shards
        request["ExclusiveStartShardId"] = description["LastEvaluatedShardId"]


def _trimmed(position: DeliveryPosition) -> str:
    return (
        f"the stream no longer has record {position.sequence or 'one'} of {position.shard}, so later ones may be lost "
        "to the target; remove the checkpoint to begin with the oldest that are left"
    )
