"""A call and its reply, the same for every door, and the JSON of replies."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson

from bursar.payments.catalogue.clients import Client
from bursar.payments.records import CENT

JSON_TYPE: Final = "application/json"
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(slots=True)
class Call:
    """One request. Header names are lower case. ``path`` and ``query`` are as on the wire, still percent-encoded.

    ``role_arn``: the caller's ARN, if API Gateway has verified it. ``values``: the path's parameters, decoded, set when
    the endpoint is known. ``caller``: the client, set when it is authenticated. ``until_left``: waits until the caller
    has disconnected; None for a door that does not learn of it.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""
    request_id: str = ""
    role_arn: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    caller: Client | None = None
    until_left: Callable[[], Awaitable[None]] | None = None

    @property
    def client(self) -> Client:
        """The client that makes the call, for an endpoint that authenticates."""
        assert self.caller is not None, "the endpoint is not authenticated"
        return self.caller


@dataclass(frozen=True, slots=True)
class BodyStream:
    """A body of any length, part by part. Its receiver calls ``close`` once, also without reading a part."""

    parts: AsyncIterator[bytes]
    close: Callable[[], Awaitable[object]]


class CallerLeft(Exception):
    """The caller disconnected before its request had arrived, or before a request that ends with it was answered."""


class Reply(NamedTuple):
    """A reply. Header names are lower case. ``stream``: the body, instead of ``body``; only a server can send it."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = NO_HEADERS
    stream: BodyStream | None = None


def json_reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return ``value`` as JSON. A ``Decimal`` is an amount and becomes a number with exactly two decimals."""
    return Reply(status, orjson.dumps(value, default=_amount), headers=headers or NO_HEADERS)


def _amount(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value.quantize(CENT):f}".encode())
    raise TypeError(f"not JSON: {type(value).__name__}")
