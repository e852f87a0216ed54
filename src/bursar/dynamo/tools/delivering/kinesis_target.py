"""A server of Kinesis' API: check whether a data stream can be used, and put records.

PutRecords may refuse some records of a request and accept later ones, so a request has at most one record of each
partition key. A refused record is put again before the next record of its key:

    X1 Y1 X2 Z1 X3  ──►  X1 Y1 Z1  ──►  X2  ──►  X3          the records of an item keep their order

Source: Kinesis Data Streams API Reference, "PutRecords".
"""

from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from bursar.clock import Clock
from bursar.dynamo.tools.delivering.delivery import Rejected
from bursar.dynamo.tools.delivering.kinesis_records import KinesisRecord
from bursar.web.aws import AwsKeySource, KeysNotFound
from bursar.web.http_client import HttpClient
from bursar.web.http_reply import HttpClientError
from bursar.web.sigv4_signing import signed_headers

RECORDS_MAX: Final = 500
REQUEST_BYTES_MAX: Final = 5 * 1024 * 1024
RECORD_BYTES_MAX: Final = 1024 * 1024
REQUEST_TIMEOUT_S: Final = 30.0
CONNECTIONS_MAX: Final = 32

_SERVICE: Final = "kinesis"
_TARGET: Final = "Kinesis_20131202."
_USABLE: Final = frozenset({"ACTIVE", "UPDATING"})
_LATER: Final = frozenset(
    {"LimitExceededException", "ProvisionedThroughputExceededException", "Throttling", "ThrottlingException"}
)
"""The errors after which the same request may succeed."""


class KinesisRefused(Exception):
    """The server refused a request because of its content."""


class KinesisTarget:
    """One server of Kinesis' API in one region."""

    def __init__(self, url: str, region: str, keys: AwsKeySource, clock: Clock) -> None:
        """Set up a target, without sending anything.

        Raises ``ValueError`` for a URL of a scheme other than HTTP or HTTPS.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ValueError(f"must begin with http:// or https:// and have no query; got {url}")
        self._url = url if parts.path else f"{url}/"
        self._region = region
        self._keys = keys
        self._clock = clock
        self._http = HttpClient(connections_max=CONNECTIONS_MAX)

    async def is_usable(self, arn: str) -> bool:
        """Return whether records can be put to a data stream.

        Raises :class:`Rejected` if the server gives no answer.
        """
        try:
            answer = await self._ask("DescribeStreamSummary", {"StreamARN": arn})
        except KinesisRefused:
            return False
        return (answer.get("StreamDescriptionSummary") or {}).get("StreamStatus") in _USABLE

    async def put(self, arn: str, records: Sequence[KinesisRecord], skipped: Callable[[KinesisRecord], None]) -> None:
        """Put records, those of one partition key in their order. Raises :class:`Rejected` when none is accepted.

        ``skipped`` is called for each record that is larger than Kinesis accepts; Amazon's DynamoDB skips them too.
        """
        waiting = []
        for record in records:
            if record.size > RECORD_BYTES_MAX:
                skipped(record)
            else:
                waiting.append(record)
        while waiting:
            request = _next_request(waiting)
            first = waiting[0].sequence
            try:
                refused = await self._put(arn, request)
            except Rejected as error:
                raise Rejected(f"{arn}: {error}", sum(record.sequence < first for record in records)) from None
            accepted = {record.sequence for record in request} - refused
            waiting = [record for record in waiting if record.sequence not in accepted]

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _put(self, arn: str, request: list[KinesisRecord]) -> set[int]:
        """Put records, and return the numbers of those that were refused.

        Raises :class:`Rejected` if all were refused.
        """
        entries = [
            {"Data": b64encode(record.data).decode(), "PartitionKey": record.partition_key} for record in request
        ]
        try:
            answer = await self._ask("PutRecords", {"StreamARN": arn, "Records": entries})
        except KinesisRefused as error:
            raise Rejected(str(error)) from None
        results = answer.get("Records")
        if not isinstance(results, list) or len(results) != len(request):
            raise Rejected("the answer has no result for each record")
        refused = {record.sequence for record, result in zip(request, results, strict=True) if result.get("ErrorCode")}
        if len(refused) == len(request):
            raise Rejected(f"{results[0]['ErrorCode']}: {results[0].get('ErrorMessage')}")
        return refused

    async def _ask(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Send one request. Raises :class:`KinesisRefused`, and :class:`Rejected` if it may succeed later."""
        body = orjson.dumps(request)
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": _TARGET + operation}
        try:
            keys = await self._keys.keys()
            now = self._clock()
            signed = signed_headers(self._url, headers, body, keys, service=_SERVICE, region=self._region, now=now)
            reply = await self._http.post(self._url, body, signed, REQUEST_TIMEOUT_S)
        except (HttpClientError, KeysNotFound) as error:
            raise Rejected(f"{self._url}: {error or type(error).__name__}") from None
        try:
            answer = orjson.loads(reply.body)
        except ValueError:
            answer = None
        if reply.status == 200 and isinstance(answer, dict):
            return answer
        members = answer if isinstance(answer, dict) else {}
        code = str(members.get("__type", "")).rpartition("#")[2]
        text = f"{self._url}: HTTP {reply.status} {code}: {members.get('message') or members.get('Message')}"
        if 400 <= reply.status < 500 and code and code not in _LATER:
            raise KinesisRefused(text)
        raise Rejected(text)


def _next_request(waiting: list[KinesisRecord]) -> list[KinesisRecord]:
    """Return the first record of each partition key, as many as fit into one request."""
    request: list[KinesisRecord] = []
    keys: set[str] = set()
    size = 0
    for record in waiting:
        if record.partition_key in keys:
            continue
        size += record.size
        if len(request) == RECORDS_MAX or size > REQUEST_BYTES_MAX:
            break
        keys.add(record.partition_key)
        request.append(record)
    return request
