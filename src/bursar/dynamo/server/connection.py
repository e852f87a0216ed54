"""DynamoDB over HTTP: admission, the engine, and the answer, on the HTTP/1.1 server of :mod:`bursar.web.http1_server`.

    HttpRequest ─► Admission ─► engine.submit ─► (commit of the event loop's iteration) ─► Responses ─► reply

The engine answers by callback. Requests that arrive on different connections in one iteration of the event loop share a
commit.
"""

import logging
from collections.abc import Callable
from typing import Any, Protocol

import orjson

from bursar.clock import Clock
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.regions import DEFAULT_REGION
from bursar.dynamo.server import responses
from bursar.dynamo.server.admission import (
    BODY_BYTES_MAX,
    Access,
    Admission,
    NotAdmitted,
    accepts_gzip,
    content_type_of,
    cors_of,
)
from bursar.dynamo.server.isolation import IsolatedStores
from bursar.web.connection_balancing import WorkerShare
from bursar.web.http1_server import Http1Connection, Http1Server, HttpRequest
from bursar.web.refusals import RefusalReason

_log = logging.getLogger(__name__)


class CallbackEngine(Protocol):
    """The part of ``AsyncEngine`` that the server uses."""

    def submit(self, operation: str, request: dict[str, Any], settle: Callable[[bytes | Exception], None]) -> None:
        """Call ``settle`` once, now or in a later loop iteration, with the answer's body or an exception."""


class DynamoServer(Http1Server):
    """The DynamoDB connections of one process.

    Args:
        engine: answers the requests.
        access: the access keys; None admits every request with a well-formed signature.
        clock: the time against which signatures are checked.
        process_id_bytes: 10 random bytes or more, which keep the request ids of processes apart.
        share: this process's share of the connections, if several workers serve one port.
        region: the region of the engine, for the answer to a health check.
    """

    def __init__(
        self,
        engine: CallbackEngine,
        *,
        access: Access | None,
        clock: Clock,
        process_id_bytes: bytes,
        share: WorkerShare | None = None,
        region: str = DEFAULT_REGION,
    ) -> None:
        super().__init__(body_bytes_max=BODY_BYTES_MAX, share=share)
        self.submit = engine.submit
        self.admit = Admission(access, clock, self._partition_names, region).admit
        self.responses = responses.Responses(process_id_bytes)

    def isolate(self, stores: IsolatedStores) -> None:
        """Give each access key and region a separate store.

        An admitted request is submitted immediately, so ``submit`` always belongs to the store of the last admitted
        request.
        """
        admit_one = self.admit

        def admit(request: HttpRequest) -> tuple[str, dict[str, Any]]:
            admitted = admit_one(request)
            self.submit = stores.of(request.headers).submit
            return admitted

        self.admit = admit

    def connection(self, *, adopted: bool = False) -> "DynamoConnection":
        """Return the protocol of a new connection."""
        return DynamoConnection(self, adopted=adopted)

    def renew_date(self) -> None:
        """Update the date in the heads of responses. It has a precision of one second."""
        self.responses.renew_date()

    def _partition_names(self, table: str, index: str | None) -> tuple[str, ...]:
        """Return the partition key attributes, which policies on leading keys need.

        The engine answers reads at once.
        """
        answered: list[bytes | Exception] = []
        self.submit("DescribeTable", {"TableName": table}, answered.append)
        if not answered or not isinstance(answered[0], bytes):
            return ()
        described = orjson.loads(answered[0])["Table"]
        if index is not None:
            indexes = described.get("GlobalSecondaryIndexes", []) + described.get("LocalSecondaryIndexes", [])
            described = next((each for each in indexes if each["IndexName"] == index), {"KeySchema": []})
        return tuple(key["AttributeName"] for key in described["KeySchema"] if key["KeyType"] == "HASH")


class DynamoConnection(Http1Connection):
    """One client of the engine."""

    __slots__ = ()

    server: DynamoServer

    def handle(self, request: HttpRequest) -> None:
        """Answer ``request``, or pass it to the engine."""
        try:
            operation, parsed = self.server.admit(request)
        except NotAdmitted as answer:
            self._respond(request, answer.status, answer.body, answer.content_type, answer.extra)
        except DynamoError as error:
            self._answer(error)
        else:
            self.server.submit(operation, parsed, self._answer)

    def refusal_reply(self, refusal: RefusalReason) -> bytes:
        """Return Amazon's answer to bytes that are not a valid request."""
        return responses.REFUSALS[refusal]

    def _answer(self, outcome: bytes | Exception) -> None:
        """Answer the current request with the engine's ``outcome``."""
        request = self.request
        assert request is not None
        if type(outcome) is bytes and self.stays_open(request) and _has_plain_response(request.headers):
            self.reply(self.server.responses.ok_head(outcome), outcome, keep_alive=True)
            return
        status, body = (200, outcome) if isinstance(outcome, bytes) else _error_response(outcome)
        self._respond(request, status, body, content_type_of(request.headers), cors_of(request.headers))

    def _respond(self, request: HttpRequest, status: int, body: bytes, content_type: bytes, extra: str) -> None:
        keep_alive = self.stays_open(request)
        head, body = self.server.responses.head_and_body(
            status,
            body,
            content_type=content_type,
            keep_alive=keep_alive,
            compress=accepts_gzip(request.headers),
            extra=extra,
        )
        self.reply(head, body, keep_alive=keep_alive)


def _has_plain_response(headers: dict[bytes, bytes]) -> bool:
    """Return whether the response is JSON 1.0, uncompressed and not for a web page, as most are."""
    accepted = headers.get(b"accept-encoding")
    return (
        headers.get(b"content-type") == responses.AMZ_JSON
        and (accepted is None or accepted == b"identity" or b"gzip" not in accepted)
        and b"origin" not in headers
    )


def _error_response(error: Exception) -> tuple[int, bytes]:
    """Return the HTTP status and the body that report ``error``. A bug is logged and reported without details."""
    if isinstance(error, DynamoError):
        return error.http_status, orjson.dumps(error.body())
    _log.error("unhandled exception in an operation", exc_info=error)
    return 500, responses.INTERNAL_ERROR
