"""The transport of production: HTTP/1.1 on asyncio's own protocol interface, TLS with a client certificate.

What is definite and what is not, along the life of one request:

    name ─► connect ─► TLS ─► request sent ─► reply's head ─► reply's body ─► whole reply
    └────── NotSent ───────┘└──── TimedOut (time is up) · Lost (reset, end of file, cut short) ───┘

Connections are pooled, which costs two races; both are settled here.

- A server may close an idle connection just as it is taken from the pool. Whether it read the request cannot be
  known, so this is Lost, and nothing is ever sent again. To make it rare, a connection is idle for at most
  POOL_IDLE_MAX_S, less than servers usually wait.
- A server may send a reply twice. The second would lie in the pooled connection and answer the next request, another
  payer's: a connection on which anything comes that nobody asked for is closed, not used (``http_connection.py``).
"""

import asyncio
import base64
import re
import ssl
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from bursar.paygov.errors import NotSent
from bursar.paygov.http_connection import Connection
from bursar.paygov.transport import HttpReply

CONNECTIONS_MAX: Final = 64
CONNECT_TIMEOUT_MAX_S: Final = 5.0
CONNECT_SHARE_MAX: Final = 0.8
"""Connecting may take at most this share of a call's time, so that its timeout is always told from the call's."""
POOL_IDLE_MAX_S: Final = 2.0
HEADS_KEPT_MAX: Final = 64
PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")
_WIRE_TARGET: Final = re.compile(r"[!-~]*")


class Place(NamedTuple):
    """Where a connection leads; connections to one place are pooled together."""

    is_tls: bool
    host: str
    port: int
    name: str
    """As the address has it, for the server and for messages."""


class HttpTransport:
    """Posts over HTTP or HTTPS. Use it in one event loop.

    client_cert, client_key: PEM files for mutual TLS; read at once, so that a wrong path fails at start (OSError,
    ssl.SSLError). connections_max: open at once, whatever the number of callers; the rest wait for one.
    """

    def __init__(
        self,
        *,
        client_cert: str | None = None,
        client_key: str | None = None,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self._ssl: ssl.SSLContext | None = None
        if client_cert is not None:
            self._ssl = _tls_context()
            self._ssl.load_cert_chain(client_cert, client_key)
        self._connections_max = connections_max
        self._open: set[Connection] = set()
        self._opening = 0
        self._idle: dict[Place, list[Connection]] = {}  # the one used last is at the end
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._sweeping: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> HttpReply:
        """See :class:`~bursar.paygov.transport.Transport`."""
        loop = self._loop
        if loop is None:  # asked for once: Python 3.11 asks the system each time
            loop = self._loop = asyncio.get_running_loop()
        now = loop.time()
        place, head = _head(url, tuple(headers.items()))
        connection = self._pooled(place, now) or await self._connected(
            place, min(CONNECT_TIMEOUT_MAX_S, timeout_s * CONNECT_SHARE_MAX)
        )
        try:
            return await connection.ask(b"%b%d\r\n\r\n%b" % (head, len(body), body), now + timeout_s, timeout_s)
        finally:
            connection.over()
            self._put_back(place, connection, loop.time())

    async def close(self) -> None:
        """Closes every connection; a request that is under way is lost."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        self._idle.clear()
        for connection in (ending := list(self._open)):
            self._drop(connection)
        for connection in ending:
            await connection.ended.wait()

    def _pooled(self, place: Place, now: float) -> Connection | None:
        """A connection that is idle, fresh, open and clean; None when there is none."""
        idle = self._idle.get(place)
        while idle:
            connection = idle.pop()
            if connection.usable and now - connection.idle_since <= POOL_IDLE_MAX_S:
                return connection
            self._drop(connection)
        return None

    async def _connected(self, place: Place, timeout_s: float) -> Connection:
        """A new connection, or one that somebody gave back meanwhile. Raises ``NotSent``."""
        try:
            async with asyncio.timeout(timeout_s):
                while len(self._open) + self._opening >= self._connections_max:
                    if not self._drop_an_idle_one():
                        await self._one_is_free()
                    if (connection := self._pooled(place, asyncio.get_running_loop().time())) is not None:
                        return connection
                return await self._connect(place)
        except TimeoutError as error:
            raise NotSent(f"no connection to {place.name} within {timeout_s:g} s") from error
        # ssl.SSLError and socket.gaierror are kinds of OSError. UnicodeError: a name that no DNS can hold.
        except (OSError, UnicodeError, OverflowError) as error:
            raise NotSent(f"no connection to {place.name}: {error}") from error

    async def _connect(self, place: Place) -> Connection:
        loop = asyncio.get_running_loop()
        if place.is_tls and self._ssl is None:
            self._ssl = _tls_context()
        self._opening += 1
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(place.name, loop),
                place.host,
                place.port,
                ssl=self._ssl if place.is_tls else None,
            )
        except BaseException:
            self._wake()
            raise
        finally:
            self._opening -= 1
        self._open.add(connection)
        return connection

    def _put_back(self, place: Place, connection: Connection, now: float) -> None:
        """Into the pool, where the next one takes it, or away if it cannot be used again."""
        if not connection.usable:
            self._drop(connection)
            return
        connection.idle_since = now
        self._idle.setdefault(place, []).append(connection)
        self._wake()
        if self._sweeping is None:
            self._sweep()

    def _drop(self, connection: Connection) -> None:
        connection.end()
        self._open.discard(connection)
        self._wake()

    def _drop_an_idle_one(self) -> bool:
        """Makes room by ending the connection, to whatever place, that has been idle longest."""
        places = [idle for idle in self._idle.values() if idle]
        if not places:
            return False
        self._drop(min(places, key=lambda idle: idle[0].idle_since).pop(0))
        return True

    def _wake(self) -> None:
        """Lets the caller who has waited longest look again."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return

    async def _one_is_free(self) -> None:
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled():
                self._wake()  # somebody else's turn: this caller's time was up as its own came
            raise

    def _sweep(self) -> None:
        """Ends what has been idle for too long; comes again while something is idle."""
        loop = asyncio.get_running_loop()
        for place, idle in list(self._idle.items()):
            fresh = [each for each in idle if each.usable and loop.time() - each.idle_since <= POOL_IDLE_MAX_S]
            for connection in idle:
                if connection not in fresh:
                    self._drop(connection)
            self._idle[place] = fresh
        any_idle = any(self._idle.values())
        self._sweeping = loop.call_later(POOL_IDLE_MAX_S / 2, self._sweep) if any_idle else None


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


@lru_cache(HEADS_KEPT_MAX)
def _head(url: str, headers: tuple[tuple[str, str], ...]) -> tuple[Place, bytes]:
    """Where ``url`` leads, and a request's head up to the length of its body. Raises ``NotSent``.

    Nothing that could end a line early gets into a head. No compression is asked for, so nothing can unfold.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
        host = parts.hostname or ""
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        name = parts.netloc.rpartition("@")[2].encode("idna" if not parts.netloc.isascii() else "ascii").decode()
    except (KeyError, ValueError) as error:  # KeyError: a scheme that is not HTTP's; UnicodeError is a ValueError
        raise NotSent(f"not an HTTP address: {error}") from error
    if not host or not name or not _WIRE_TARGET.fullmatch(target) or not _WIRE_TARGET.fullmatch(name):
        raise NotSent("not an HTTP address: no host, or a character that an address cannot hold")
    lines = [("Host", name), ("Accept", "*/*"), ("Accept-Encoding", "identity"), ("User-Agent", "bursar"), *headers]
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        lines.append(("Authorization", f"Basic {base64.b64encode(user).decode()}"))
    for header, value in lines:
        if not _HEADER_NAME.fullmatch(header) or not _HEADER_VALUE.fullmatch(value):
            raise NotSent(f"the header {header!r} holds a character that a header cannot hold")
    head = "".join(f"{header}: {value}\r\n" for header, value in lines)
    return (
        Place(parts.scheme == "https", host, port, name),
        f"POST {target} HTTP/1.1\r\n{head}Content-Length: ".encode("latin-1"),
    )
