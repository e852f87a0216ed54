"""The port through which requests reach Pay.gov: one method, which fails in four ways."""

from collections.abc import Mapping
from typing import Protocol

from bursar.web.http_reply import HttpReply

__all__ = ["HttpReply", "Transport"]


class Transport(Protocol):
    """Posts one request once. A transport never repeats it: only the caller knows whether that is safe."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> HttpReply:
        """Post ``body`` and return the whole reply, for any status.

        Raises:
            NotSent: definitely nothing reached the other side.
            TimedOut: no whole reply arrived within ``timeout_s`` seconds.
            Lost: the connection broke before the whole reply arrived.
            Nonsense: the reply is not HTTP, or is larger than a reply may be.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
