"""A small HTTP/1.1 client that posts, on asyncio and httptools: exact errors, bounded replies, pinned addresses.

The errors say how far a request got:

    name ─► connect ─► TLS ─► request sent ─► head of the reply ─► body ─► whole reply
    └── RequestNotSent ──┘└── ReplyTimedOut · ReplyLost (reset, end of file) · ReplyUnreadable ──┘

The client never repeats a request, follows no redirect and decompresses nothing. It reads no proxy settings.

Two races come with the pool of connections:

- A server may close an idle connection at the moment when the client takes it. The client cannot know whether the
  server read the request, so this is ReplyLost. To make it rare, a connection is idle for at most POOL_IDLE_MAX_S,
  which is less than servers usually wait.
- A server may send a reply twice. The second reply would arrive on the pooled connection and answer the next request,
  which may be another payer's. A connection that receives bytes without a request is closed
  (``http_client_connection.py``).
"""

import asyncio
import base64
import re
import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from bursar.web.http_client_connection import HttpClientConnection
from bursar.web.http_reply import HttpReply, RequestNotSent

CONNECTIONS_MAX: Final = 64
REPLY_BYTES_MAX: Final = 256 * 1024
CONNECT_TIMEOUT_MAX_S: Final = 5.0
CONNECT_SHARE_MAX: Final = 0.8
"""The share of a request's time that connecting may take, so that the connect timeout always ends first."""
POOL_IDLE_MAX_S: Final = 2.0
HEADS_KEPT_MAX: Final = 64
PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}

AddressRefusal = Callable[[str], str | None]
"""Returns the reason why the client must not connect to an IP address; None if it may connect."""

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")
_WIRE_TARGET: Final = re.compile(r"[!-~]*")


class Place(NamedTuple):
    """The server that a connection leads to. Connections to one place share a pool."""

    is_tls: bool
    host: str
    port: int
    name: str
    """Host and port as the URL has them, for the Host header and for messages."""


class HttpClient:
    """Posts over HTTP or HTTPS, in one event loop.

    client_cert, client_key: PEM files for mutual TLS. They are read here, so that a wrong path fails at start
    (OSError, ssl.SSLError).
    connections_max: connections that are open at once. Further callers wait for one.
    reply_bytes_max: the largest body that is read.
    address_refusal: checks every address that a host name resolves to. If it refuses one, nothing is sent. The client
    then connects to an address that was checked, so a name that resolves differently a moment later changes nothing.
    """

    def __init__(
        self,
        *,
        client_cert: str | None = None,
        client_key: str | None = None,
        connections_max: int = CONNECTIONS_MAX,
        reply_bytes_max: int = REPLY_BYTES_MAX,
        address_refusal: AddressRefusal | None = None,
    ) -> None:
        self._ssl: ssl.SSLContext | None = None
        if client_cert is not None:
            self._ssl = _tls_context()
            self._ssl.load_cert_chain(client_cert, client_key)
        self._connections_max = connections_max
        self._reply_bytes_max = reply_bytes_max
        self._address_refusal = address_refusal
        self._open: set[HttpClientConnection] = set()
        self._opening = 0
        self._idle: dict[Place, list[HttpClientConnection]] = {}  # the connection used last is at the end
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._eviction: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> HttpReply:
        """Post ``body`` once and return the whole reply, for any status.

        ``timeout_s`` bounds the whole call, in seconds.

        Raises:
            RequestNotSent: nothing was sent: an impossible URL or header, a refused address, no connection.
            ReplyTimedOut: no whole reply arrived within ``timeout_s``.
            ReplyLost: the connection broke before the whole reply arrived.
            ReplyUnreadable: the reply is not HTTP, or is larger than ``reply_bytes_max``.
        """
        loop = self._loop
        if loop is None:  # kept: Python 3.11 makes a system call for each get_running_loop
            loop = self._loop = asyncio.get_running_loop()
        now = loop.time()
        place, head = _head(url, tuple(headers.items()))
        connection = self._pooled(place, now) or await self._connected(
            place, min(CONNECT_TIMEOUT_MAX_S, timeout_s * CONNECT_SHARE_MAX)
        )
        try:
            return await connection.exchange(b"%b%d\r\n\r\n%b" % (head, len(body), body), now + timeout_s, timeout_s)
        finally:
            connection.release()
            self._put_back(place, connection, loop.time())

    async def close(self) -> None:
        """Close every connection. A request in progress raises ReplyLost."""
        if self._eviction is not None:
            self._eviction.cancel()
            self._eviction = None
        self._idle.clear()
        for connection in (ending := list(self._open)):
            self._drop(connection)
        for connection in ending:
            await connection.ended.wait()

    def _pooled(self, place: Place, now: float) -> HttpClientConnection | None:
        """Return a connection that is idle, fresh, open and clean; None if there is none."""
        idle = self._idle.get(place)
        while idle:
            connection = idle.pop()
            if connection.usable and now - connection.idle_since <= POOL_IDLE_MAX_S:
                return connection
            self._drop(connection)
        return None

    async def _connected(self, place: Place, timeout_s: float) -> HttpClientConnection:
        """Return a new connection, or one that was returned to the pool meanwhile. Raises RequestNotSent."""
        try:
            async with asyncio.timeout(timeout_s):
                while len(self._open) + self._opening >= self._connections_max:
                    if not self._drop_an_idle_one():
                        await self._capacity()
                    if (connection := self._pooled(place, asyncio.get_running_loop().time())) is not None:
                        return connection
                return await self._connect(place, timeout_s)
        except TimeoutError as error:
            raise RequestNotSent(f"no connection to {place.name} within {timeout_s:g} s") from error
        # ssl.SSLError and socket.gaierror are kinds of OSError. UnicodeError: a name that DNS cannot hold.
        except (OSError, UnicodeError, OverflowError) as error:
            raise RequestNotSent(f"no connection to {place.name}: {error}") from error

    async def _connect(self, place: Place, timeout_s: float) -> HttpClientConnection:
        self._opening += 1
        try:
            if self._address_refusal is None:
                connection = await self._connect_to(place, place.host)
            else:
                addresses = await self._checked_addresses(place, self._address_refusal)
                connection = await self._connect_to_first(place, addresses, timeout_s)
        except BaseException:
            self._wake_one()
            raise
        finally:
            self._opening -= 1
        self._open.add(connection)
        return connection

    async def _connect_to(self, place: Place, host: str) -> HttpClientConnection:
        """Connect to ``host``, the name or an address of ``place``. The certificate must be that of the name."""
        loop = asyncio.get_running_loop()
        if place.is_tls and self._ssl is None:
            self._ssl = _tls_context()
        _, connection = await loop.create_connection(
            lambda: HttpClientConnection(place.name, loop, self._reply_bytes_max),
            host,
            place.port,
            ssl=self._ssl if place.is_tls else None,
            server_hostname=place.host if place.is_tls else None,
        )
        return connection

    async def _connect_to_first(self, place: Place, addresses: Sequence[str], timeout_s: float) -> HttpClientConnection:
        """Connect to the first address that answers. Each address gets an equal share of the time."""
        for address in addresses[:-1]:
            try:
                async with asyncio.timeout(timeout_s / len(addresses)):
                    return await self._connect_to(place, address)
            except OSError:  # TimeoutError is an OSError
                continue
        return await self._connect_to(place, addresses[-1])

    async def _checked_addresses(self, place: Place, address_refusal: AddressRefusal) -> list[str]:
        """Return the addresses of ``place``. Raises RequestNotSent if one of them is refused."""
        found = await asyncio.get_running_loop().getaddrinfo(
            place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        for address in addresses:
            if reason := address_refusal(address):
                raise RequestNotSent(reason)
        if not addresses:
            raise RequestNotSent(f"{place.name} has no address")
        return addresses

    def _put_back(self, place: Place, connection: HttpClientConnection, now: float) -> None:
        """Return the connection to the pool, or drop it if it cannot be used again."""
        if not connection.usable:
            self._drop(connection)
            return
        connection.idle_since = now
        self._idle.setdefault(place, []).append(connection)
        self._wake_one()
        if self._eviction is None:
            self._evict()

    def _drop(self, connection: HttpClientConnection) -> None:
        connection.end()
        self._open.discard(connection)
        self._wake_one()

    def _drop_an_idle_one(self) -> bool:
        """Drop the connection that has been idle longest, to any place. Return False if none is idle."""
        places = [idle for idle in self._idle.values() if idle]
        if not places:
            return False
        self._drop(min(places, key=lambda idle: idle[0].idle_since).pop(0))
        return True

    def _wake_one(self) -> None:
        """Wake the caller that has waited longest for a connection."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return

    async def _capacity(self) -> None:
        """Wait until a connection is returned or dropped."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled():
                self._wake_one()  # this caller timed out at the moment when it was woken: wake the next one
            raise

    def _evict(self) -> None:
        """Drop the connections that have been idle too long, and repeat while a connection is idle."""
        loop = asyncio.get_running_loop()
        for place, idle in list(self._idle.items()):
            fresh = [each for each in idle if each.usable and loop.time() - each.idle_since <= POOL_IDLE_MAX_S]
            for connection in idle:
                if connection not in fresh:
                    self._drop(connection)
            self._idle[place] = fresh
        any_idle = any(self._idle.values())
        self._eviction = loop.call_later(POOL_IDLE_MAX_S / 2, self._evict) if any_idle else None


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


@lru_cache(HEADS_KEPT_MAX)
def _head(url: str, headers: tuple[tuple[str, str], ...]) -> tuple[Place, bytes]:
    """Return the place of ``url``, and the head of a request up to the length of its body. Raises RequestNotSent.

    No character that ends a line can get into a head. The client asks for no compression, so no reply can expand.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
        host = parts.hostname or ""
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        name = parts.netloc.rpartition("@")[2].encode("idna" if not parts.netloc.isascii() else "ascii").decode()
    except (KeyError, ValueError) as error:  # KeyError: another scheme than HTTP; UnicodeError is a ValueError
        raise RequestNotSent(f"not an HTTP address: {error}") from error
    if not host or not name or not _WIRE_TARGET.fullmatch(target) or not _WIRE_TARGET.fullmatch(name):
        raise RequestNotSent("not an HTTP address: no host, or a character that an address cannot hold")
    lines = [("Host", name), ("Accept", "*/*"), ("Accept-Encoding", "identity"), ("User-Agent", "bursar"), *headers]
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        lines.append(("Authorization", f"Basic {base64.b64encode(user).decode()}"))
    for header, value in lines:
        if not _HEADER_NAME.fullmatch(header) or not _HEADER_VALUE.fullmatch(value):
            raise RequestNotSent(f"the header {header!r} holds a character that a header cannot hold")
    head = "".join(f"{header}: {value}\r\n" for header, value in lines)
    return (
        Place(parts.scheme == "https", host, port, name),
        f"POST {target} HTTP/1.1\r\n{head}Content-Length: ".encode("latin-1"),
    )
