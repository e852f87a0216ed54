"""A ``Store`` over any DynamoDB on the network: Amazon's, or another server of its API.

    dynamodb:?region=us-east-1                         Amazon's endpoint of the region, botocore's credential chain
    dynamodb+http://127.0.0.1:8000?region=us-east-1    another server; dummy credentials if there are no others

Requests and responses pass as they are on the wire. botocore signs them, finds the endpoint and the credentials, and
sends them from a bounded pool of threads. Errors are classified by whether the request may have taken place:

    no connection (refused, unknown name, connect timeout, certificate)  StoreUnreachable
    sent, then a timeout, a reset, or an unreadable reply                StoreOutcomeUnknown for a write
    5xx for a write                                                      StoreOutcomeUnknown: Amazon says it may have
    an error of DynamoDB's                                               DynamoError
    throttled                                                            retried: it has not taken place

Reads are retried after every error. Other writes are not: the caller knows how to find out (``rules``).
"""

import asyncio
import os
import random
import re
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from zlib import crc32

import orjson

from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown, StoreUnreachable
from bursar.dynamo.server.x_amz_target import STREAM_OPERATIONS, TARGETS

REQUESTS_AT_ONCE_MAX = 32
CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 15.0
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
_SOCKET_OPTIONS: Any = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]  # botocore's stubs say a list of strings
"""urllib3 sends a request's head and body in two writes.
With Nagle's algorithm the second write waits for the peer's delayed acknowledgement, about 40 ms.
A bare ``URLLib3Session`` replaces urllib3's default of TCP_NODELAY with no options; botocore's clients pass it too."""


class RemoteStore:
    """A ``Store`` on another server. Made by :func:`open_remote_store`."""

    def __init__(self, sender: "_Sender", randomness: random.Random) -> None:
        self._sender = sender
        self._randomness = randomness
        self._threads = ThreadPoolExecutor(REQUESTS_AT_ONCE_MAX, thread_name_prefix="dynamodb")

    @property
    def endpoints(self) -> tuple[str, str]:
        """The URLs of the data operations and of the streams' operations."""
        return self._sender.endpoints

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request. Raises ``DynamoError``, ``StoreUnreachable``, ``StoreOutcomeUnknown``."""
        body = orjson.dumps(request)
        reads = operation in _READS or operation.startswith(_READ_PREFIXES)
        loop = asyncio.get_running_loop()
        for tried in range(1, TRIES_MAX + 1):
            last = tried == TRIES_MAX
            try:
                return await loop.run_in_executor(self._threads, self._sender.exchange, operation, body)
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
        """Finish the requests in progress, then end the threads and the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        self._sender.close()


async def open_remote_store(url: str, *, randomness: random.Random | None = None) -> RemoteStore:
    """Return the store that ``url`` names, without sending anything; ``randomness`` jitters the delays between retries.

    Raises ``ValueError`` for a URL that names no store, and when no region or no credentials can be found.
    """
    sender = await asyncio.to_thread(_Sender, url)
    return RemoteStore(sender, randomness or random.SystemRandom())


class _Sender:
    """Signs and sends one request at a time per thread, by botocore's lower half (no service model is loaded)."""

    def __init__(self, url: str) -> None:
        from botocore.credentials import Credentials
        from botocore.httpsession import URLLib3Session
        from botocore.session import get_session

        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        if set(options) - {"region"}:
            raise ValueError(f"store URL: must have no option but region; got {url!r}")
        session = get_session()
        is_custom_endpoint = parts.scheme != "dynamodb"
        self._region = (
            options.get("region")
            or session.get_config_variable("region")
            or ("us-east-1" if is_custom_endpoint else "")
        )
        if not self._region:
            raise ValueError(f"store URL: must name a region, as in dynamodb:?region=us-east-1; got {url!r}")
        self.endpoints = _endpoints(parts.scheme, parts.netloc, self._region, session)
        credentials = session.get_credentials()
        if credentials is None and is_custom_endpoint:
            credentials = Credentials(_DUMMY_KEY, _DUMMY_KEY)
        if credentials is None:
            raise ValueError(f"AWS credentials: must be configured for {url!r}; none were found")
        self._credentials = credentials
        timeouts_s: Any = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)  # botocore's stubs lack the pair
        self._http = URLLib3Session(
            timeout=timeouts_s, max_pool_connections=REQUESTS_AT_ONCE_MAX, socket_options=_SOCKET_OPTIONS
        )

    def exchange(self, operation: str, body: bytes) -> dict[str, Any]:
        """Send one request and read its answer. Raises as :meth:`RemoteStore.call` does, without retries."""
        from botocore import exceptions
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        request = AWSRequest(
            method="POST",
            url=self.endpoints[operation in STREAM_OPERATIONS],
            data=body,
            headers={
                "Content-Type": "application/x-amz-json-1.0",
                "X-Amz-Target": _TARGETS[operation],
                "Accept-Encoding": "identity",
            },
        )
        try:
            # Frozen: a renewal must not change the secret between reading the key and reading the secret.
            SigV4Auth(self._credentials.get_frozen_credentials(), "dynamodb", self._region).add_auth(request)
            response = self._http.send(request.prepare())
        except (
            exceptions.EndpointConnectionError,
            exceptions.ConnectTimeoutError,
            exceptions.ProxyConnectionError,
            exceptions.CredentialRetrievalError,
        ) as error:
            raise StoreUnreachable(f"{operation}: {error}") from error
        except exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise StoreUnreachable(f"{operation}: {error}") from error
            raise StoreOutcomeUnknown(f"{operation}: {error}") from error
        except exceptions.BotoCoreError as error:
            raise StoreOutcomeUnknown(f"{operation}: {error}") from error
        return _answer(operation, response.status_code, response.headers, response.content)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _endpoints(scheme: str, netloc: str, region: str, session: Any) -> tuple[str, str]:
    """Return the URLs of the data operations and of the streams' operations."""
    if scheme != "dynamodb":
        if not netloc:
            raise ValueError(f"store URL: must name a host, as in {scheme}://127.0.0.1:8000; got none")
        endpoint = f"{scheme.removeprefix('dynamodb+')}://{netloc}/"
        return endpoint, endpoint
    configured = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB") or os.environ.get("AWS_ENDPOINT_URL")
    suffix = next(
        (
            partition["dnsSuffix"]
            for partition in session.get_data("endpoints")["partitions"]
            if region in partition["regions"] or re.fullmatch(partition["regionRegex"], region)
        ),
        None,
    )
    if suffix is None:
        raise ValueError(f"AWS region: must be one that botocore knows; got {region!r}")
    data = configured or f"https://dynamodb.{region}.{suffix}/"
    streams = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB_STREAMS") or configured
    return data, streams or f"https://streams.dynamodb.{region}.{suffix}/"


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
