"""A ``Store`` over any DynamoDB on the network: Amazon's, or another server of its API.

    dynamodb:?region=us-east-1                         Amazon's endpoint of the region, botocore's credential chain
    dynamodb+http://127.0.0.1:8000?region=us-east-1    another server; dummy credentials if there are no others

Requests and responses are passed unchanged: signed by :mod:`bursar.web.sigv4_signing`, and posted by the HTTP client of
this house. Errors are classified by whether the request may have taken place:

    no connection (refused, unknown name, connect timeout, certificate)  StoreUnreachable
    sent, then a timeout, a reset, or an unreadable reply                StoreOutcomeUnknown for a write
    5xx for a write                                                      StoreOutcomeUnknown: Amazon says it may have
    an error of DynamoDB's                                               DynamoError
    throttled                                                            retried: it has not taken place

Reads are retried after every error. Other writes are not: the caller can find out whether they took place (``rules``).
"""

import asyncio
import os
import random
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zlib import crc32

import orjson

from bursar.clock import Clock, system_clock
from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown, StoreUnreachable
from bursar.dynamo.server.x_amz_target import STREAM_OPERATIONS, TARGETS
from bursar.web.aws import AwsKeySource, FixedKeys, KeysNotFound, endpoint, find_keys, find_region
from bursar.web.http_client import HttpClient
from bursar.web.http_reply import HttpClientError, RequestNotSent
from bursar.web.sigv4_signing import AwsKeys, signed_headers

REQUESTS_AT_ONCE_MAX = 32
REQUEST_TIMEOUT_S = 15.0
REPLY_BYTES_MAX = 64 * 1024 * 1024
"""The largest reply. A page of 1 MB, or a batch of 16 MB, becomes larger when it is written as JSON."""
SERVICE = "dynamodb"  # requests to streams are signed for this service too
TRIES_MAX = 4
RETRY_DELAY_S = 0.05
RETRY_DELAY_S_MAX = 1.0

_READS = frozenset({"GetItem", "BatchGetItem", "TransactGetItems", "Query", "Scan", *STREAM_OPERATIONS})
_READ_PREFIXES = ("Describe", "List")
_THROTTLES = frozenset(
    {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "Throttling"}
)
_TARGETS = {operation: target.decode() for target, operation in TARGETS.items()}
_DUMMY_KEY = "bursar"


class RemoteStore:
    """A ``Store`` on another server. Made by :func:`open_remote_store`."""

    def __init__(self, sender: "_Sender", randomness: random.Random) -> None:
        self._sender = sender
        self._randomness = randomness

    @property
    def endpoints(self) -> tuple[str, str]:
        """The URLs of the data operations and of the streams' operations."""
        return self._sender.endpoints

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request. Raises ``DynamoError``, ``StoreUnreachable``, ``StoreOutcomeUnknown``."""
        body = orjson.dumps(request)
        reads = operation in _READS or operation.startswith(_READ_PREFIXES)
        for tried in range(1, TRIES_MAX + 1):
            last = tried == TRIES_MAX
            try:
                return await self._sender.exchange(operation, body)
            except DynamoError as error:
                server_error = error.http_status >= 500
                if server_error and not reads:
                    raise StoreOutcomeUnknown(f"{operation}: {error}") from error
                if last or not (server_error or error.code in _THROTTLES):
                    raise
            except StoreOutcomeUnknown:
                if last or not reads:
                    raise
            except StoreUnreachable:
                if last or not reads:
                    raise
            # Full jitter: callers that were throttled together must not retry together.
            longest_s = min(RETRY_DELAY_S_MAX, RETRY_DELAY_S * 2**tried)
            await asyncio.sleep(self._randomness.uniform(0, longest_s))
        raise AssertionError("unreachable: the last try returns or raises")

    async def close(self) -> None:
        """Close the connections. The outcome of a request in progress is unknown."""
        await self._sender.close()


async def open_remote_store(
    url: str, *, randomness: random.Random | None = None, clock: Clock = system_clock
) -> RemoteStore:
    """Return the store at ``url``, without sending anything. ``randomness`` jitters the delays between retries.

    ``clock`` gives the time of signatures. Raises ``ValueError`` for a URL that names no store, and when no region or
    no credentials can be found.
    """
    return RemoteStore(await asyncio.to_thread(_sender, url, clock), randomness or random.SystemRandom())


def _sender(url: str, clock: Clock) -> "_Sender":
    """Return the sender to ``url``. The search for credentials may read files and use the network."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    if set(options) - {"region"}:
        raise ValueError(f"store URL: must have no option but region; got {url!r}")
    is_custom_endpoint = parts.scheme != "dynamodb"
    region = options.get("region") or find_region() or ("us-east-1" if is_custom_endpoint else "")
    if not region:
        raise ValueError(f"store URL: must name a region, as in dynamodb:?region=us-east-1; got {url!r}")
    endpoints = _endpoints(parts.scheme, parts.netloc, region)
    try:
        keys = find_keys()
    except KeysNotFound as error:
        raise ValueError(f"AWS credentials: {error}") from error
    if keys is None and is_custom_endpoint:
        keys = FixedKeys(AwsKeys(_DUMMY_KEY, _DUMMY_KEY))
    if keys is None:
        raise ValueError(f"AWS credentials: must be configured for {url!r}; none were found")
    return _Sender(endpoints, region, keys, clock)


class _Sender:
    """Signs and sends requests."""

    def __init__(self, endpoints: tuple[str, str], region: str, keys: AwsKeySource, clock: Clock) -> None:
        self.endpoints = endpoints
        self._region = region
        self._keys = keys
        self._clock = clock
        self._http = HttpClient(connections_max=REQUESTS_AT_ONCE_MAX, reply_bytes_max=REPLY_BYTES_MAX)

    async def exchange(self, operation: str, body: bytes) -> dict[str, Any]:
        """Send one request and read its answer. Raises as :meth:`RemoteStore.call` does, without retries."""
        url = self.endpoints[operation in STREAM_OPERATIONS]
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": _TARGETS[operation]}
        try:
            keys = await self._keys.keys()
            signed = signed_headers(url, headers, body, keys, service=SERVICE, region=self._region, now=self._clock())
            reply = await self._http.post(url, body, signed, REQUEST_TIMEOUT_S)
        except (RequestNotSent, KeysNotFound) as error:
            raise StoreUnreachable(f"{operation}: {error}") from error
        except HttpClientError as error:
            raise StoreOutcomeUnknown(f"{operation}: {error}") from error
        return _answer(operation, reply.status, reply.headers, reply.body)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()


def _endpoints(scheme: str, netloc: str, region: str) -> tuple[str, str]:
    """Return the URLs of the data operations and of the streams' operations."""
    if scheme != "dynamodb":
        if not netloc:
            raise ValueError(f"store URL: must name a host, as in {scheme}://127.0.0.1:8000; got none")
        custom = f"{scheme.removeprefix('dynamodb+')}://{netloc}/"
        return custom, custom
    data = endpoint(SERVICE, region)
    if "AWS_ENDPOINT_URL_DYNAMODB" in os.environ and "AWS_ENDPOINT_URL_DYNAMODB_STREAMS" not in os.environ:
        return data, data
    if "AWS_ENDPOINT_URL_DYNAMODB_STREAMS" in os.environ:
        return data, endpoint("dynamodb_streams", region)
    return data, endpoint("streams.dynamodb", region)


def _answer(operation: str, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Return the response in an HTTP reply. Raises ``DynamoError`` for an error of DynamoDB's."""
    checksum = headers.get("x-amz-crc32")
    whole = checksum is None or int(checksum) == crc32(body)
    try:
        answer = orjson.loads(body) if whole else None
    except orjson.JSONDecodeError:
        answer = None
    if status == 200:
        if not isinstance(answer, dict):
            raise StoreOutcomeUnknown(f"{operation}: the reply is not a JSON object")
        return answer
    raise _error(operation, status, answer if isinstance(answer, dict) else {})


def _error(operation: str, status: int, answer: Mapping[str, Any]) -> DynamoError:
    code = str(answer.get("__type", "")).rpartition("#")[2]
    message = answer.get("message") or answer.get("Message")
    return DynamoError(
        code or f"HTTP{status}",
        str(message or f"{operation}: the reply has HTTP status {status}"),
        http_status=status,
        item=answer.get("Item"),
        cancellation_reasons=answer.get("CancellationReasons"),
    )
