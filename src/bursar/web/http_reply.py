"""A whole HTTP reply, and the errors that an HTTP client raises instead of one.

HttpClientError
├── RequestNotSent     no byte of the request was sent: the caller can repeat it
│                      After the other three, the server may have acted on the request:
├── ReplyTimedOut      no whole reply in time
├── ReplyLost          the connection broke before the whole reply arrived
└── ReplyUnreadable    not HTTP, or larger than the client reads
"""

from collections.abc import Mapping
from typing import NamedTuple


class HttpReply(NamedTuple):
    """A whole HTTP reply. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClientError(Exception):
    """No whole reply. The text names the host and the reason; it contains no part of the request."""


class RequestNotSent(HttpClientError):
    """No byte of the request was sent: the caller can repeat it."""


class ReplyTimedOut(HttpClientError):
    """No whole reply arrived within the time allowed."""


class ReplyLost(HttpClientError):
    """The connection broke (reset, end of file, truncated body) before the whole reply arrived."""


class ReplyUnreadable(HttpClientError):
    """The bytes that arrived are not HTTP, or are more than the client reads. ``status``: of the reply, if known."""

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        self.reason = reason
        self.status = status
        super().__init__(reason if status is None else f"{reason} (HTTP {status})")
