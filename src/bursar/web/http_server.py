"""The base of the HTTP servers of the house: connections, their bounds and deadlines, and an orderly end.

    bound socket ───┐                         ┌── once a second: the date, connections past their deadline
                    ├──► connection ──► open ─┤
    another worker ─┘                         └── close: answer what was asked, wait, cut off the rest

:mod:`bursar.web.http1_server` answers by callback, and :mod:`bursar.web.asgi_server` uses uvicorn's connections.
"""

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Final, Generic, Protocol, TypeVar

from bursar.web.connection_balancing import WorkerShare

BACKLOG: Final = 2048
CONNECTIONS_MAX: Final = 10_000
IDLE_S_MAX: Final = 300.0
WRITE_STALL_S_MAX: Final = 60.0
"""How long a client may leave answers unread."""
LINGER_S_MAX: Final = 2.0
"""How long a refused client may continue to send.

Closing the socket immediately could destroy the answer in transit.
"""
HOUSEKEEPING_S: Final = 1.0
"""The time between two checks of the deadlines.

One timer for all connections costs less than a timer for each request.
"""

_OFFER_HEADERS: Final = (b"upgrade", b"http2-settings", b"connection")


class ServerConnection(Protocol):
    """An open connection, as its server sees it."""

    @property
    def deadline_s(self) -> float:
        """The time of the event loop at which the connection's phase must be over."""
        ...

    def time_out(self) -> None:
        """End a connection that has passed its deadline."""

    def shutdown(self) -> None:
        """End after the answers to the requests that have arrived, or now if there are none."""

    def abort(self) -> None:
        """Close the connection at once."""


OpenConnection = TypeVar("OpenConnection", bound=ServerConnection)


class HttpServer(ABC, Generic[OpenConnection]):
    """The connections of one process. Created inside the running event loop.

    Args:
        share: this process's share of the connections, if several workers serve one port.
    """

    def __init__(self, share: WorkerShare | None) -> None:
        self.connections: set[OpenConnection] = set()
        self.closing = False
        self.loop = asyncio.get_running_loop()
        self.now_s = self.loop.time()
        self._share = share
        self._listener: asyncio.Server | None = None
        self._adopting: set[asyncio.Task[Any]] = set()
        self._empty = asyncio.Event()
        self._housekeeping = self.loop.call_later(HOUSEKEEPING_S, self._run_housekeeping)

    @abstractmethod
    def connection(self, *, adopted: bool = False) -> asyncio.Protocol:
        """Return the protocol of a new connection. ``adopted``: another worker has accepted it."""

    @abstractmethod
    def renew_date(self) -> None:
        """Update the date in the heads of answers. It has a precision of one second."""

    async def listen(self, bound: socket.socket) -> None:
        """Accept connections from a bound socket, and from the other workers if there are any."""
        if self._share is not None:
            self._share.open(self._adopt)
        self._listener = await self.loop.create_server(self.connection, sock=bound, backlog=BACKLOG)

    async def close(self, within_s: float) -> None:
        """Stop listening, answer the requests that have arrived, and close the rest after ``within_s`` seconds."""
        self.closing = True
        if self._share is not None:
            self._share.close()
        if self._listener is not None:
            self._listener.close()
        for connection in list(self.connections):
            connection.shutdown()
        try:
            if self.connections:
                await asyncio.wait_for(self._empty.wait(), within_s)
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()
        finally:
            self._housekeeping.cancel()

    def pass_on(self, transport: asyncio.Transport, *, adopted: bool) -> bool:
        """Pass a new connection to a worker that has fewer, if there is one, and return whether it was passed.

        An adopted connection is not passed on again, so it cannot move back and forth.
        """
        if self._share is None or adopted or not self._share.pass_on(transport.get_extra_info("socket").fileno()):
            return False
        transport.abort()  # only this descriptor: the other worker has another one
        return True

    @property
    def is_full(self) -> bool:
        """Whether the last added connection exceeds the maximum."""
        return len(self.connections) > CONNECTIONS_MAX or self.closing

    def count(self) -> None:
        """Note that a connection was added or removed."""
        if self._share is not None:
            self._share.report(len(self.connections))
        if self.closing and not self.connections:
            self._empty.set()

    def _adopt(self, accepted: socket.socket) -> None:
        """Serve a connection that another worker has accepted."""
        made = self.loop.connect_accepted_socket(lambda: self.connection(adopted=True), accepted)
        adopting = self.loop.create_task(made)
        self._adopting.add(adopting)
        adopting.add_done_callback(self._adopting.discard)

    def _run_housekeeping(self) -> None:
        self._housekeeping = self.loop.call_later(HOUSEKEEPING_S, self._run_housekeeping)
        self.now_s = now_s = self.loop.time()
        self.renew_date()
        for connection in [each for each in self.connections if each.deadline_s < now_s]:
            connection.time_out()


def head_without_offers(method: bytes, url: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a request's head without its offer of another protocol, for a new parser to read.

    Java's client makes such an offer (h2c) in its first request. httptools stops before the body of that request.
    """
    kept = [b"%b: %b\r\n" % header for header in headers if header[0] not in _OFFER_HEADERS]
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, url, b"".join(kept))
