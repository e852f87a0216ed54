"""A request and its reply as the portal sees them, whichever door they come through."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson

from bursar.payments.clients import Client
from bursar.payments.records import CENT

JSON_TYPE: Final = "application/json"
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(slots=True)
class Call:
    """One request. Header names are lower case; ``path`` and ``query`` are as on the wire, still percent-encoded.

    ``role_arn``: who API Gateway says is calling, where it has verified that. ``values`` are the path's parameters,
    decoded, once the endpoint is known; ``caller`` is the client, once authenticated.
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

    @property
    def client(self) -> Client:
        """The client of an endpoint that needs one."""
        assert self.caller is not None, "the endpoint is not authenticated"
        return self.caller


class Reply(NamedTuple):
    """A whole reply. Header names are lower case."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = NO_HEADERS


def json_reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """``value`` as JSON; a ``Decimal`` is an amount and becomes a number with exactly two decimals."""
    return Reply(status, orjson.dumps(value, default=_amount), headers=headers or NO_HEADERS)


def any_json(value: Any) -> orjson.Fragment:
    """``value`` for :func:`json_reply` whatever it holds: orjson itself takes no integer beyond 64 bits."""
    return orjson.Fragment(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _amount(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value.quantize(CENT):f}".encode())
    raise TypeError(f"not JSON: {type(value).__name__}")
