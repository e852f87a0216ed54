"""The transport of production: HTTP/1.1 by aiohttp, TLS with a client certificate, everything bounded.

What is definite and what is not, along the life of one request:

    name ─► connect ─► TLS ─► request sent ─► reply's head ─► reply's body ─► whole reply
    └────── NotSent ───────┘└──── TimedOut (time is up) · Lost (reset, end of file, cut short) ───┘

Connections are pooled, which costs two races; both are settled here.

- A server may close an idle connection just as it is taken from the pool. Whether it read the request cannot be
  known, so this is Lost, and nothing is sent again: aiohttp repeats only idempotent methods, which POST is not. To
  make it rare, a connection is idle for at most POOL_IDLE_MAX_S, less than servers usually wait.
- A server may send a reply twice. The second would lie in the pooled connection and answer the next request, another
  payer's: a connection with bytes lying in it is closed, not used.
"""

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bursar.paygov.errors import Lost, Nonsense, NotSent, TimedOut
from bursar.paygov.safe_xml import DOCUMENT_BYTES_MAX
from bursar.paygov.transport import HttpReply

if TYPE_CHECKING:
    import aiohttp

CONNECTIONS_MAX = 64
CONNECT_TIMEOUT_MAX_S = 5.0
CONNECT_SHARE_MAX = 0.8
"""Connecting may take at most this share of a call's time, so that its timeout is always told from the call's."""
POOL_IDLE_MAX_S = 2.0
REPLY_BYTES_MAX = DOCUMENT_BYTES_MAX
REPLY_HEADER_BYTES_MAX = 16 * 1024


class AioHttpTransport:
    """Posts over HTTP or HTTPS.

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
        self._ssl: ssl.SSLContext | bool = True
        if client_cert is not None:
            self._ssl = ssl.create_default_context()
            self._ssl.load_cert_chain(client_cert, client_key)
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> HttpReply:
        """See :class:`~bursar.paygov.transport.Transport`."""
        import aiohttp

        session = self._session or self._open()
        time = aiohttp.ClientTimeout(total=timeout_s, connect=min(CONNECT_TIMEOUT_MAX_S, timeout_s * CONNECT_SHARE_MAX))
        try:
            async with session.post(url, data=body, headers=headers, timeout=time, allow_redirects=False) as reply:
                whole = await _read_bounded(reply)
                return HttpReply(reply.status, {name.lower(): value for name, value in reply.headers.items()}, whole)
        # The order matters: what comes first are kinds of what comes below. UnicodeError: a name that no DNS can hold.
        except (
            aiohttp.ConnectionTimeoutError,
            aiohttp.ClientConnectorError,
            aiohttp.InvalidURL,
            aiohttp.NonHttpUrlClientError,
            UnicodeError,
        ) as error:
            raise NotSent(f"no connection to {_host(url)}: {error}") from error
        except TimeoutError as error:
            raise TimedOut(f"no whole reply from {_host(url)} within {timeout_s:g} s") from error
        except aiohttp.ClientResponseError as error:
            raise Nonsense(f"not HTTP: {error.message}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(
                f"the connection to {_host(url)} broke before the whole reply: {type(error).__name__}"
            ) from error

    async def close(self) -> None:
        """Closes the pooled connections."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def _open(self) -> "aiohttp.ClientSession":
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=_clean_connector(limit=self._connections_max, keepalive_timeout=POOL_IDLE_MAX_S, ssl=self._ssl),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # Nobody asked for compression, so nothing can unfold into gigabytes.
            skip_auto_headers=("User-Agent",),
            headers={"Accept-Encoding": "identity", "User-Agent": "bursar"},
            max_line_size=REPLY_HEADER_BYTES_MAX,
            max_field_size=REPLY_HEADER_BYTES_MAX,
        )
        return self._session


def _clean_connector(**options: Any) -> "aiohttp.TCPConnector":
    """A connection pool that never gives out a connection in which bytes are lying already.

    aiohttp looks only whether a pooled connection is open. ``_get`` is its own name for taking one from the
    pool; tests/paygov/test_aiohttp_transport.py fails should that ever change.
    """
    import aiohttp

    class CleanConnector(aiohttp.TCPConnector):
        async def _get(self, key: Any, traces: Any) -> Any:
            while (connection := await super()._get(key, traces)) is not None:
                protocol = connection.protocol
                if protocol is not None and not protocol.should_close:
                    break
                connection.close()
            return connection

    return CleanConnector(**options)


async def _read_bounded(reply: "aiohttp.ClientResponse") -> bytes:
    if (reply.content_length or 0) > REPLY_BYTES_MAX:
        reply.close()
        raise Nonsense(f"a reply of {reply.content_length} bytes", status=reply.status)
    whole = bytearray()
    async for piece in reply.content.iter_any():
        whole += piece
        if len(whole) > REPLY_BYTES_MAX:
            reply.close()
            raise Nonsense(f"a reply of more than {REPLY_BYTES_MAX} bytes", status=reply.status)
    return bytes(whole)


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return "an unreadable address"
