"""Use boto3 without a server: real clients and resources whose transport is the engine.

    client = boto3_client(engine)          # engine: Engine
    client.put_item(TableName="t", Item={"pk": {"S": "a"}})

botocore serialises, validates, retries and parses as usual. Only its HTTP exchange is replaced, through the
``before-send`` event, so no socket is opened. boto3 is imported when a client is made.
"""

import os
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary
from zlib import crc32

import orjson

from bursar.dynamo.engine.engine import Engine
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.server.x_amz_target import TARGETS

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.client import BaseClient
    from mypy_boto3_dynamodb import DynamoDBClient, DynamoDBServiceResource

# Reserved by RFC 2606: a request that bypassed the hook would reach no server.
ENDPOINT = "http://embedded.invalid"


def boto3_client(engine: Engine, *, region: str | None = None) -> "DynamoDBClient":
    """Return a boto3 ``dynamodb`` client on ``engine``, in its region or in ``region``.

    Several threads may use the engine's clients; a lock lets one request through at a time.
    """
    with _MAKING:
        client: DynamoDBClient = _session().client("dynamodb", **_arguments(region or engine.region))
    _hook(client, engine)
    return client


def boto3_streams_client(engine: Engine, *, region: str | None = None) -> "BaseClient":
    """Return a boto3 ``dynamodbstreams`` client on ``engine``."""
    with _MAKING:
        client: BaseClient = _session().client("dynamodbstreams", **_arguments(region or engine.region))
    _hook(client, engine)
    return client


def boto3_resource(engine: Engine, *, region: str | None = None) -> "DynamoDBServiceResource":
    """Return a boto3 ``dynamodb`` resource on ``engine``."""
    with _MAKING:
        resource: DynamoDBServiceResource = _session().resource("dynamodb", **_arguments(region or engine.region))
    _hook(resource.meta.client, engine)
    return resource


def _hook(client: "BaseClient", engine: Engine) -> None:
    # The stubs assume that every handler returns nothing; this event's handler returns the response.
    transport: Callable[..., Any] = _Transport(engine)
    client.meta.events.register("before-send", transport)


_MAKING = threading.Lock()
"""The lock of the session, which can make only one client at a time."""


@cache
def _session() -> Any:
    """Return the session of all clients: the first client reads Amazon's service models, and later ones reuse them.

    A later change of one client's events or configuration concerns that client only.
    """
    import boto3

    return boto3.Session()


def _arguments(region: str) -> dict[str, Any]:
    from botocore import UNSIGNED
    from botocore.config import Config

    # Unsigned: the engine verifies no signatures, and no credentials need to exist.
    return {"region_name": region, "endpoint_url": ENDPOINT, "config": Config(signature_version=UNSIGNED)}


_LOCKS: WeakKeyDictionary[Engine, threading.Lock] = WeakKeyDictionary()
"""One lock for each engine: an engine serves one caller at a time, but clients may be used from several threads."""


class _Transport:
    """Answers the requests that botocore is about to send."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = _LOCKS.setdefault(engine, threading.Lock())

    def __call__(self, request: "AWSPreparedRequest", **_event: Any) -> "AWSResponse":
        from botocore.awsrequest import AWSResponse
        from botocore.compat import HTTPHeaders

        target = request.headers["X-Amz-Target"]
        operation = TARGETS[target if isinstance(target, bytes) else target.encode()]
        status = 200
        try:
            with self._lock:
                body = self._engine.execute_bytes(operation, orjson.loads(_request_body(request)))
                self._engine.run_housekeeping_if_due()
        except DynamoError as error:
            status, body = error.http_status, orjson.dumps(error.body())
        headers = HTTPHeaders.from_dict(
            {
                "Content-Type": "application/x-amz-json-1.0",
                "Content-Length": str(len(body)),
                "x-amzn-RequestId": os.urandom(26).hex().upper(),
                "x-amz-crc32": str(crc32(body)),
            }
        )
        return AWSResponse(request.url, status, headers, _Body(body))


def _request_body(request: "AWSPreparedRequest") -> bytes | str:
    assert isinstance(request.body, bytes | str)  # JSON requests are never streamed
    return request.body


class _Body:
    """A response's body as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body
