"""The port through which requests reach Pay.gov: one method, and three ways in which it may fail."""

from collections.abc import Mapping
from typing import Protocol

from bursar.web.http_reply import HttpReply

__all__ = ["HttpReply", "Transport"]


class Transport(Protocol):
    """Posts one request once. Never repeats it: only the caller knows whether that is safe."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> HttpReply:
        """The whole reply, whatever its status.

        Raises:
            NotSent: definitely nothing reached the other side.
            TimedOut: no whole reply within ``timeout_s`` seconds.
            Lost: the connection broke before the whole reply was here.
            Nonsense: what came back is not HTTP, or is larger than a reply may be.
        """
        ...

    async def close(self) -> None:
        """End what the transport holds open."""
        ...
