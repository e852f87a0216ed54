"""The requests that a server refuses before its application sees them, because they cannot be read."""

import enum
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

HEAD_BYTES_MAX: Final = 64 * 1024
"""The most bytes of the request line and the headers together."""


class RefusalReason(enum.Enum):
    """The reason why a server refuses a request before its application sees it. The value is the HTTP status."""

    NOT_HTTP = HTTPStatus.BAD_REQUEST
    TOO_SLOW = HTTPStatus.REQUEST_TIMEOUT
    TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    HEAD_TOO_LARGE = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    FAILED = HTTPStatus.INTERNAL_SERVER_ERROR
    """The server has a bug: an exception while it read or started to handle the request."""
    TOO_BUSY = HTTPStatus.SERVICE_UNAVAILABLE
    """Too many connections, or too many bytes that are still arriving."""


class RefusalReply(NamedTuple):
    """The answer to a refused request: ASGI headers, ``content-length`` among them, and the body."""

    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


Refuse = Callable[[RefusalReason, dict[str, Any] | None], RefusalReply]
"""Makes the answer to a refused request. The second argument is the ASGI scope, or None if the head was not read."""


def plain_refusal(refusal: RefusalReason, scope: dict[str, Any] | None) -> RefusalReply:
    """Return ``refusal`` as plain text, for applications without an error format."""
    body = refusal.value.phrase.encode()
    return RefusalReply([(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))], body)
