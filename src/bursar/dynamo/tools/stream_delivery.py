"""Deliver the records of a table's stream to an HTTP target, as Lambda's event source mapping does to a function.

    stream ──► {"Records": [ … ]} ──► POST ──► 2xx: the checkpoint moves on │ otherwise: the same records again

A batch is delivered until it is accepted, in the order of the stream, so each record arrives once or more, and none is
passed over. The checkpoint is a file: the stream, the shard and the last record that was accepted.
Source of the events: Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB".
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.tools.dump_and_load import Execute
from bursar.web.http_client import HttpClient
from bursar.web.http_reply import HttpClientError, HttpReply

FIRST_PAUSE_S, PAUSE_S_MAX = 1.0, 60.0
POLL_S = 0.5
TIMEOUT_S = 60.0
ANSWER_BYTES_MAX = 6 * 1024 * 1024
"""The largest answer of a Lambda function. Source: Lambda Developer Guide, "Lambda quotas"."""


class DeliveryRefused(Exception):
    """The stream cannot be delivered; the text says why."""


class DeliveryPosition(NamedTuple):
    """Where a delivery is: the stream, its shard, and the number of the last accepted record of the shard, or None."""

    stream: str
    shard: str
    sequence: str | None


class Rejected(Exception):
    """The target did not accept records; ``accepted`` is how many of the first ones it did."""

    def __init__(self, reason: str, accepted: int = 0) -> None:
        super().__init__(reason)
        self.accepted = accepted


SendBatch = Callable[[list[dict[str, Any]]], None]
"""Send a batch; raise :class:`Rejected`."""


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
        """Keep a position, also through a power cut."""
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


class StreamDelivery:
    """The delivery of one table's stream."""

    def __init__(
        self,
        execute: Execute,
        send: SendBatch,
        checkpoint: Checkpoint,
        *,
        batch: int,
        sleep: Callable[[float], None],
        report: Callable[[str], None],
    ) -> None:
        """Set up a delivery; ``report`` gets a line for each attempt that the target did not accept."""
        self._execute = execute
        self._send = send
        self._checkpoint = checkpoint
        self._batch = batch
        self._sleep = sleep
        self._report = report

    def run(self, table: str, *, once: bool) -> int:
        """Deliver until interrupted, or, ``once``, until no record is left; return the number of records.

        Raises :class:`DeliveryRefused`, and ``DynamoError`` for a missing table.
        """
        position = self._start(table)
        iterator: str | None = None
        delivered = 0
        while True:
            records, iterator = self._page(position, iterator)
            for done in self._accepted(records):
                position = position._replace(sequence=records[done - 1]["dynamodb"]["SequenceNumber"])
                self._checkpoint.write(position)
            delivered += len(records)
            if records:
                continue
            following = self._next_shard(position) if iterator is None else None
            if following is not None:
                position = following
            elif once:
                return delivered
            else:
                self._sleep(POLL_S)

    def _start(self, table: str) -> DeliveryPosition:
        stream = self._execute("DescribeTable", {"TableName": table})["Table"].get("LatestStreamArn")
        if stream is None:
            raise DeliveryRefused(f"the table {table} has no stream")
        known = self._checkpoint.read()
        if known is None:
            return DeliveryPosition(stream, self._shards(stream)[0]["ShardId"], None)
        if known.stream != stream:
            raise DeliveryRefused(
                f"the checkpoint is of another stream, {known.stream}; remove it to begin with {stream}"
            )
        if known.shard not in [shard["ShardId"] for shard in self._shards(stream)]:
            raise DeliveryRefused(_trimmed(known))
        return known

    def _page(self, position: DeliveryPosition, iterator: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """Return the next records, and the iterator after them, None at the end of the shard."""
        try:
            try:
                answer = self._records(iterator or self._iterator(position))
            except DynamoError as error:  # the target took longer than an iterator lives
                if error.code != "ExpiredIteratorException":
                    raise
                answer = self._records(self._iterator(position))
        except DynamoError as error:
            if error.code == "TrimmedDataAccessException":
                raise DeliveryRefused(_trimmed(position)) from None
            raise
        records = [{**record, "eventSourceARN": position.stream} for record in answer["Records"]]
        return records, answer.get("NextShardIterator")

    def _records(self, iterator: str) -> dict[str, Any]:
        return self._execute("GetRecords", {"ShardIterator": iterator, "Limit": self._batch})

    def _iterator(self, position: DeliveryPosition) -> str:
        request = {"StreamArn": position.stream, "ShardId": position.shard, "ShardIteratorType": "TRIM_HORIZON"}
        if position.sequence is not None:
            request |= {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": position.sequence}
        return str(self._execute("GetShardIterator", request)["ShardIterator"])

    def _next_shard(self, position: DeliveryPosition) -> DeliveryPosition | None:
        following = [one for one in self._shards(position.stream) if one.get("ParentShardId") == position.shard]
        return DeliveryPosition(position.stream, following[0]["ShardId"], None) if following else None

    def _accepted(self, records: list[dict[str, Any]]) -> Iterator[int]:
        """Send records until all are accepted; yield how many are, each time that some are."""
        done, pause_s = 0, FIRST_PAUSE_S
        while done < len(records):
            try:
                self._send(records[done:])
                done = len(records)
                yield done
            except Rejected as error:
                self._report(f"not accepted, again in {pause_s:.0f} s: {error}")
                if error.accepted:
                    done += error.accepted
                    yield done
                self._sleep(pause_s)
                pause_s = min(2 * pause_s, PAUSE_S_MAX)

    def _shards(self, stream: str) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = []
        request: dict[str, Any] = {"StreamArn": stream}
        while True:
            described = self._execute("DescribeStream", request)["StreamDescription"]
            shards += described["Shards"]
            if "LastEvaluatedShardId" not in described:
                return shards
            request["ExclusiveStartShardId"] = described["LastEvaluatedShardId"]


def _trimmed(position: DeliveryPosition) -> str:
    return (
        f"the stream no longer has record {position.sequence or 'one'} of {position.shard}, so later ones may be lost "
        "to the target; remove the checkpoint to begin with the oldest that are left"
    )


def sender(url: str) -> SendBatch:
    """Return the function that posts batches to a URL. Raises ``ValueError`` for another than http or https."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"target: must begin with http:// or https://; got {url}")

    def send(records: list[dict[str, Any]]) -> None:
        try:
            reply = asyncio.run(_post(url, orjson.dumps({"Records": records})))
        except HttpClientError as error:
            raise Rejected(f"{url}: {error}") from None
        if not 200 <= reply.status < 300:
            raise Rejected(f"{url}: HTTP {reply.status}")
        _check_answer(url, reply.headers.get("x-amz-function-error"), reply.body, records)

    return send


async def _post(url: str, body: bytes) -> HttpReply:
    client = HttpClient(reply_bytes_max=ANSWER_BYTES_MAX)
    try:
        return await client.post(url, body, {"Content-Type": "application/json"}, TIMEOUT_S)
    finally:
        await client.close()


def _check_answer(url: str, function_error: str | None, body: bytes, records: list[dict[str, Any]]) -> None:
    """Raise :class:`Rejected` for the error of a function, and for the batch item failures that it names."""
    try:
        answer = orjson.loads(body)
    except ValueError:
        answer = None
    document = answer if isinstance(answer, dict) else {}
    if function_error is not None or "errorType" in document:
        raise Rejected(f"{url}: the function failed: {document.get('errorMessage', function_error)}")
    failures = document.get("batchItemFailures")
    if not failures:
        return
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    failed = [one.get("itemIdentifier") if isinstance(one, dict) else None for one in failures]
    known = [numbers.index(number) for number in failed if number in numbers]
    accepted = min(known) if len(known) == len(failed) else 0
    raise Rejected(f"{url}: {len(failed)} batch item failures", accepted)
