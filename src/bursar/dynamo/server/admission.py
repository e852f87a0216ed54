"""Check a request before the engine gets it: content type, JSON, target, signature, policy.

That is Amazon's order: a body that is not JSON is refused before the signature is checked.

:class:`Admission` returns the operation and its request, or raises :class:`NotAdmitted`, which holds the answer. It
does no I/O and stores nothing of a request.
"""

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

from bursar.clock import Clock
from bursar.dynamo.regions import DEFAULT_REGION
from bursar.dynamo.server import responses
from bursar.dynamo.server.x_amz_target import TARGETS
from bursar.web.http1_server import HttpRequest
from bursar.web.sigv4 import Identity, SignatureRefused, form_refusal, verify

SERVICE = "dynamodb"  # requests to streams are signed for this service too

if TYPE_CHECKING:
    from bursar.dynamo.server.iam_scope import PartitionNames

BODY_BYTES_MAX = 16 * 1024 * 1024
"""Amazon's bound on the body of a request."""

Headers = Mapping[bytes, bytes]
"""Lower-case names."""

_JSON_TYPES: Final = (responses.AMZ_JSON, responses.JSON)

_NO_BROWSERS: Final = responses.coral_error(
    "AccessDeniedException",
    "Requests from web pages are answered only when access keys are configured (--credentials).",
)


class Access(Protocol):
    """The access keys that the server knows, and the requests that each of them allows."""

    @property
    def signed_region(self) -> str | None:
        """Return the region that signatures must be for; None accepts any."""

    def secret_for(self, access_key: str) -> str | None:
        """Return the secret of an access key, or None if the key is not known."""

    def authorise(
        self, identity: Identity, operation: str, request: Mapping[str, Any], partition_names: "PartitionNames"
    ) -> None:
        """Raise ``DynamoError`` AccessDeniedException if the key's policy does not allow the request."""


class NotAdmitted(Exception):
    """The request is answered without the engine; the fields are the answer.

    ``extra`` is header lines, each ended by CRLF.
    """

    def __init__(self, status: int, body: bytes, content_type: bytes = responses.AMZ_JSON, extra: str = "") -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.extra = extra


class Admission:
    """Admit the requests of one process. Without ``access``, only the form of a signature is checked."""

    def __init__(
        self,
        access: Access | None,
        clock: Clock,
        partition_names: "PartitionNames",
        region: str = DEFAULT_REGION,
    ) -> None:
        self._region = region
        self._access = access
        self._partition_names = partition_names
        self._clock = clock

    def admit(self, request: HttpRequest) -> tuple[str, dict[str, Any]]:
        """Return the operation and its request.

        Raises:
            NotAdmitted: the request does not reach the engine.
            DynamoError: AccessDeniedException by the key's policy.
        """
        headers, body = request.headers, request.body
        if b"origin" in headers or request.method != b"POST":
            self._check_unusual(request.method, headers)
        if headers.get(b"content-type") != responses.AMZ_JSON:
            _check_content_type(headers, body)
        text = body if b"content-encoding" not in headers else self._decompressed(headers, body)
        try:
            parsed = orjson.loads(text) if text else None
        except orjson.JSONDecodeError:
            raise self._not_admitted(headers, responses.SERIALIZATION) from None
        operation = TARGETS.get(headers.get(b"x-amz-target", b""))
        if operation is None:
            raise self._not_admitted(headers, responses.UNKNOWN_OPERATION)
        identity = self._authenticate(request)
        if type(parsed) is not dict:
            raise self._not_admitted(headers, responses.SERIALIZATION)
        if identity is not None and self._access is not None:
            self._access.authorise(identity, operation, parsed, self._partition_names)
        return operation, parsed

    def _authenticate(self, request: HttpRequest) -> Identity | None:
        headers = request.headers
        authorization = headers.get(b"authorization", b"")
        if self._access is None:
            if (
                authorization.startswith(b"AWS4-HMAC-SHA256 Credential=")
                and b"Signature=" in authorization
                and b"x-amz-date" in headers
            ):
                return None  # every SDK has this form; without a secret nothing else can be checked
            refusal = form_refusal(
                authorization.decode("latin-1"),
                request.url.partition(b"?")[2].decode("latin-1"),
                has_date=b"x-amz-date" in headers or b"date" in headers,
            )
            if refusal is not None:
                raise self._refused(headers, refusal)
            return None
        path, _, query = request.url.decode("latin-1").partition("?")
        try:
            return verify(
                request.method.decode("latin-1"),
                path,
                query,
                {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()},
                request.body,
                secret_for=self._access.secret_for,
                service=SERVICE,
                region=self._access.signed_region,
                now=self._clock(),
            )
        except SignatureRefused as refusal:
            raise self._refused(headers, refusal) from None

    def _check_unusual(self, method: bytes, headers: Headers) -> None:
        """Raise the answers to browsers, to health checks and to methods that Amazon answers with 404."""
        if b"origin" in headers and self._access is None:
            # Otherwise any web page that the user visits could read and write a store on loopback.
            raise NotAdmitted(400, _NO_BROWSERS)
        if method == b"OPTIONS" and b"origin" in headers:
            raise NotAdmitted(200, b"", responses.AMZ_JSON, _preflight(headers))
        if method == b"HEAD":
            raise NotAdmitted(404, b"", b"text/xml")  # an answer to HEAD may have no body
        if method == b"GET":
            raise NotAdmitted(200, f"healthy: dynamodb.{self._region}.amazonaws.com ".encode(), b"text/plain")
        if method != b"POST":
            raise _not_found()

    def _decompressed(self, headers: Headers, body: bytes) -> bytes:
        """Return a gzip body unpacked. A body larger than ``BODY_BYTES_MAX`` is refused."""
        unpacker = zlib.decompressobj(wbits=31)
        try:
            unpacked = unpacker.decompress(body, BODY_BYTES_MAX)
        except zlib.error:
            unpacked = b""
        if headers[b"content-encoding"].strip().lower() != b"gzip" or not unpacker.eof:
            raise self._not_admitted(headers, responses.SERIALIZATION)
        return unpacked

    def _not_admitted(self, headers: Headers, body: bytes) -> NotAdmitted:
        return NotAdmitted(400, body, content_type_of(headers), cors_of(headers))

    def _refused(self, headers: Headers, refusal: SignatureRefused) -> NotAdmitted:
        return self._not_admitted(headers, responses.coral_error(refusal.code, str(refusal)))


def content_type_of(headers: Headers) -> bytes:
    """Return the content type of the answer: that of the request."""
    return responses.JSON if _media_type(headers) in (responses.JSON, b"") else responses.AMZ_JSON


def cors_of(headers: Headers) -> str:
    """Return the header line that lets a web page read the answer; empty for requests of other clients."""
    return "Access-Control-Allow-Origin: *\r\n" if b"origin" in headers else ""


def accepts_gzip(headers: Headers) -> bool:
    """Return whether the client accepts a compressed answer."""
    for coding in headers.get(b"accept-encoding", b"").lower().split(b","):
        name, _, weight = coding.partition(b";")
        if name.strip() == b"gzip":
            return weight.replace(b" ", b"").rstrip(b"0") not in (b"q=", b"q=0.")
    return False


def _check_content_type(headers: Headers, body: bytes) -> None:
    if body and _media_type(headers) not in _JSON_TYPES:
        raise _not_found()


def _media_type(headers: Headers) -> bytes:
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def _not_found() -> NotAdmitted:
    return NotAdmitted(404, responses.XML_UNKNOWN, b"text/xml")


def _preflight(headers: Headers) -> str:
    lines = f"Access-Control-Allow-Origin: *\r\nAccess-Control-Max-Age: {responses.PREFLIGHT_AGE_S}\r\n"
    for asked, answered in _PREFLIGHT_ECHOES.items():
        if asked in headers:
            lines += f"{answered}: {headers[asked].decode('latin-1')}\r\n"
    return lines


_PREFLIGHT_ECHOES: Final = {
    b"access-control-request-headers": "Access-Control-Allow-Headers",
    b"access-control-request-method": "Access-Control-Allow-Methods",
}
