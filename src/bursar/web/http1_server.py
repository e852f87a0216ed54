"""An HTTP/1.1 server without tasks: httptools parses, and a subclass of :class:`Http1Connection` answers by callback.

    bytes ─► httptools ─► HttpRequest ─► handle(request) ─► … ─► reply(head, body) ─► bytes
                   └─ not HTTP, or too much of it ─► refusal_reply(reason) ─► bytes, end

No task and no future is made for a request. Requests of one connection are answered in order, one at a time: a
pipelined read sees the result of the write before it. Everything is bounded: head, body, pipelined requests,
connections, buffered bytes, and the time that each phase of a connection may take.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import Final, cast

import httptools

from bursar.web.connection_balancing import WorkerShare
from bursar.web.http_server import IDLE_S_MAX, LINGER_S_MAX, WRITE_STALL_S_MAX, HttpServer, head_without_offers
from bursar.web.refusals import HEAD_BYTES_MAX, RefusalReason

HEADERS_MAX: Final = 100
PIPELINED_MAX: Final = 64
"""The most requests of one connection that wait for an answer. Above it, nothing more is read from that client."""
BUFFERED_BYTES_MAX: Final = 512 * 1024 * 1024
"""The bytes of bodies that are still arriving, of all connections together."""
WRITE_BUFFER_BYTES_MAX: Final = 4 * 1024 * 1024
"""The bytes of answers that a client has not read. Above it, nothing more is read from that client."""
JOINED_BYTES_MAX: Final = 64 * 1024
"""The head and the body of a smaller answer are joined and written at once."""

RECEIVE_S_MAX: Final = 60.0
"""The time from the first byte of a request to its last."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class HttpRequest:
    """A whole request. Header names are lower case; of repeated headers the first counts. Trailers are ignored."""

    method: bytes
    url: bytes
    headers: dict[bytes, bytes]
    body: bytes
    keep_alive: bool
    """Whether the client allows another request on the connection."""


class Http1Server(HttpServer["Http1Connection"]):
    """The connections of one process, with what they share.

    Args:
        body_bytes_max: the largest body of a request.
        share: this process's share of the connections, if several workers serve one port.
    """

    def __init__(self, *, body_bytes_max: int, share: WorkerShare | None) -> None:
        super().__init__(share)
        self.body_bytes_max = body_bytes_max
        # Bounds the chunk sizes and trailers of a request, which no other bound covers.
        self.request_bytes_max = HEAD_BYTES_MAX + 2 * body_bytes_max
        self.buffered_bytes = 0


class Http1Connection(asyncio.Protocol, ABC):
    """One client.

    Phases: idle → receiving → a request in hand → idle; the connection of a refused client ends by lingering.

    A subclass has :meth:`handle` and :meth:`refusal_reply`.
    """

    __slots__ = (
        "_adopted",
        "_body",
        "_eof",
        "_gone",
        "_headers",
        "_in_head",
        "_lingering",
        "_parser",
        "_parts",
        "_parts_bytes",
        "_paused",
        "_pumping",
        "_raw_headers",
        "_received_bytes",
        "_receiving",
        "_refusal",
        "_transport",
        "_url",
        "_waiting",
        "deadline_s",
        "on_header",
        "request",
        "server",
    )

    _transport: asyncio.Transport

    def __init__(self, server: Http1Server, *, adopted: bool = False) -> None:
        self.server = server
        self.deadline_s = server.now_s + IDLE_S_MAX
        self.request: HttpRequest | None = None
        """The request that :meth:`handle` is handling; its answer is due."""
        self._adopted = adopted
        self._waiting: deque[HttpRequest] = deque()
        self._paused = self._pumping = False
        self._eof = self._lingering = self._gone = False
        self._receiving = self._in_head = False
        self._refusal: RefusalReason | None = None
        self._raw_headers: dict[bytes, bytes] = {}
        # The parser calls this for each header. A Python method would cost 5 % of a GetItem (of its instructions).
        self.on_header = self._raw_headers.setdefault
        self._headers: dict[bytes, bytes] = {}
        self._url = self._body = b""
        self._parts: list[bytes] = []
        self._parts_bytes = self._received_bytes = 0

    # --- the hooks

    @abstractmethod
    def handle(self, request: HttpRequest) -> None:
        """Start to handle ``request``; the subclass calls :meth:`reply` once, now or later.

        An exception is logged and answered by :meth:`refusal_reply`, and ends the connection.
        """

    @abstractmethod
    def refusal_reply(self, refusal: RefusalReason) -> bytes:
        """Return the whole answer, head and body, to bytes that are not a valid request.

        The connection ends after it.
        """

    # --- the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection, pass it on to another worker, or refuse it."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has no common base class
        if self.server.pass_on(self._transport, adopted=self._adopted):
            return
        self._transport.set_write_buffer_limits(WRITE_BUFFER_BYTES_MAX)
        self._parser = httptools.HttpRequestParser(self)
        self.server.connections.add(self)
        self.server.count()
        if self.server.is_full:
            self._refuse(RefusalReason.TOO_BUSY)

    def connection_lost(self, error: Exception | None) -> None:
        """Drop what was received. An answer that is still due is not written."""
        self._gone = True
        self._waiting.clear()
        self._drop_parts()
        self.server.connections.discard(self)
        self.server.count()

    def eof_received(self) -> bool:
        """Return whether to keep the connection: a client may close its half and still wait for answers."""
        if (self.request or self._waiting) and not self._lingering:
            self._eof = True
            return True
        return False

    def pause_writing(self) -> None:
        """Read nothing more from a client that does not read its answers."""
        self._paused = True
        self.deadline_s = self.server.now_s + WRITE_STALL_S_MAX
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Handle the requests that waited while the client read its answers."""
        self._paused = False
        self.deadline_s = self.server.now_s + IDLE_S_MAX
        self._pump()

    def data_received(self, data: bytes) -> None:
        """Parse ``data``, and refuse a request that is not HTTP or larger than its bounds."""
        if self._lingering or self._refusal:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError:
            _log.exception("unhandled exception while reading a request")
            self._refuse(RefusalReason.FAILED)
        except httptools.HttpParserError:
            self._refuse(RefusalReason.NOT_HTTP)
        if self._receiving:
            # The read in which a request begins may hold other requests before it: that read is not counted.
            self._received_bytes = self._received_bytes + len(data) if self._received_bytes >= 0 else 0
            if self._in_head and self._received_bytes > HEAD_BYTES_MAX:
                self._refuse(RefusalReason.HEAD_TOO_LARGE)
            elif self._received_bytes > self.server.request_bytes_max:
                self._refuse(RefusalReason.TOO_LARGE)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Read a request again without its offer of another protocol. ``rest`` is what the parser has not read."""
        method = self._parser.get_method()
        if method == b"CONNECT":
            self._refuse(RefusalReason.NOT_HTTP)
            return
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(head_without_offers(method, self._url, self._headers.items()) + rest)

    # --- the parser's calls

    def on_message_begin(self) -> None:
        """Start a request."""
        self._raw_headers.clear()
        self._url = self._body = b""
        self._receiving = self._in_head = True
        self._received_bytes = -1
        if self.request is None:
            self.deadline_s = self.server.now_s + RECEIVE_S_MAX

    def on_url(self, url: bytes) -> None:
        """Append a piece of the URL."""
        self._url += url

    def on_headers_complete(self) -> None:
        """Check the bounds that the head shows, and send 100 Continue if the client waits for it."""
        self._in_head = False
        # A copy: the parser adds trailers to the raw headers, and trailers are ignored.
        self._headers = headers = {name.lower(): value for name, value in self._raw_headers.items()}
        if len(headers) > HEADERS_MAX:
            self._refuse(RefusalReason.HEAD_TOO_LARGE)
        elif int(headers.get(b"content-length", b"0")) > self.server.body_bytes_max:
            self._refuse(RefusalReason.TOO_LARGE)
        elif b"expect" in headers and self.request is None:
            self._transport.write(_CONTINUE)

    def on_body(self, chunk: bytes) -> None:
        """Collect a piece of a body. Most bodies arrive in one piece."""
        if not self._body:
            self._body = chunk
            return
        # The pieces are kept apart until the last one has arrived, so that each byte is copied once.
        if not self._parts:
            self._add_part(self._body)
        self._add_part(chunk)

    def _add_part(self, part: bytes) -> None:
        self._parts.append(part)
        self._parts_bytes += len(part)
        self.server.buffered_bytes += len(part)
        if self._parts_bytes > self.server.body_bytes_max:
            self._refuse(RefusalReason.TOO_LARGE)
        elif self.server.buffered_bytes > BUFFERED_BYTES_MAX:
            self._refuse(RefusalReason.TOO_BUSY)

    def _drop_parts(self) -> None:
        self.server.buffered_bytes -= self._parts_bytes
        self._parts_bytes = 0
        self._parts = []

    def on_message_complete(self) -> None:
        """Handle the request, or keep it until those before it are answered."""
        self._receiving = False
        if self._lingering or self._refusal or self._parser.should_upgrade():
            return
        if self._parts:
            self._body = b"".join(self._parts)
            self._drop_parts()
        parser = self._parser
        request = HttpRequest(parser.get_method(), self._url, self._headers, self._body, parser.should_keep_alive())
        if self.request or self._paused or self._waiting:
            self._waiting.append(request)
            if len(self._waiting) >= PIPELINED_MAX:
                self._transport.pause_reading()
        else:
            self._start(request)

    # --- one request

    def _start(self, request: HttpRequest) -> None:
        self.request = request
        self.deadline_s = float("inf")  # the server does not limit the subclass's time
        try:
            self.handle(request)
        except Exception:  # a bug of the subclass: without an answer the connection would hang
            _log.exception("unhandled exception while handling a request")
            self.request = None
            self._answer_refusal(RefusalReason.FAILED)

    def reply(self, head: bytes, body: bytes, *, keep_alive: bool) -> None:
        """Write the answer to the current request, and start the next one or end the connection.

        ``keep_alive``: the result of :meth:`stays_open`, which ``head`` announces.
        """
        self.request = None
        if self._gone:
            return
        if len(body) < JOINED_BYTES_MAX:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        phase_s = WRITE_STALL_S_MAX if self._paused else RECEIVE_S_MAX if self._receiving else IDLE_S_MAX
        self.deadline_s = self.server.now_s + phase_s
        if not keep_alive or (self._eof and not self._waiting):
            self._linger()
        elif self._refusal and not self._waiting:
            self._answer_refusal(self._refusal)
        elif self._waiting and not self._pumping:
            self._pump()

    def stays_open(self, request: HttpRequest) -> bool:
        """Return whether the connection stays open after the answer to ``request``."""
        return request.keep_alive and not self.server.closing

    def _pump(self) -> None:
        """Handle the requests that wait. It is a loop because immediate answers would otherwise recurse."""
        self._pumping = True
        while self._waiting and not (self.request or self._paused or self._lingering):
            self._start(self._waiting.popleft())
        self._pumping = False
        ended = self._lingering or self._transport.is_closing()
        if not (self._paused or ended) and len(self._waiting) < PIPELINED_MAX:
            self._transport.resume_reading()

    # --- endings

    def shutdown(self) -> None:
        """End after the current answer, which announces the end, or now if there is none."""
        if not (self.request or self._waiting):
            self._transport.close()

    def time_out(self) -> None:
        """Cut off a client that has stayed in its phase for too long."""
        self.abort()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def _refuse(self, refusal: RefusalReason) -> None:
        """Answer bytes that are not a valid request, after the answers before it, and end the connection."""
        if self._lingering:
            return
        self._drop_parts()
        self._receiving = False
        if self.request or self._waiting:
            self._refusal = refusal
        else:
            self._answer_refusal(refusal)

    def _answer_refusal(self, refusal: RefusalReason) -> None:
        self._transport.write(self.refusal_reply(refusal))
        self._linger()

    def _linger(self) -> None:
        """Send nothing more, and discard what the client sends until it closes, for at most ``LINGER_S_MAX``."""
        if self._lingering or self._gone:
            return
        self._lingering = True
        self._receiving = False
        self._waiting.clear()
        self.deadline_s = self.server.now_s + LINGER_S_MAX
        if self._transport.can_write_eof() and not self._eof and not self._transport.is_closing():
            self._transport.write_eof()
            if not self._paused:
                self._transport.resume_reading()
        else:
            self._transport.close()
