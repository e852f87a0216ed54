"""One client connection, which carries one request at a time: asyncio reads and writes, httptools parses.

    exchange ─► request written ─► head ─► body ─► whole reply ─► release ─► usable again, unless the server closes it

Every part of a reply is bounded: its head, its body, and the bytes that chunking adds on the wire.
"""

import asyncio
from typing import Final, cast

import httptools

from bursar.web.http_reply import HttpClientError, HttpReply, ReplyLost, ReplyTimedOut, ReplyUnreadable, RequestNotSent

REPLY_HEAD_BYTES_MAX: Final = 16 * 1024
"""The bytes of a head that arrives in several reads. The event loop bounds the size of one read."""
WIRE_BYTES_PER_BODY_BYTE_MAX: Final = 8
"""A body byte that is alone in its chunk takes six bytes on the wire; chunk extensions and trailers take more."""

_OK: Final = 200


class HttpClientConnection(asyncio.Protocol):
    """One connection to ``where``, the name in error messages.

    ``idle_since`` belongs to the pool: when the connection became idle, in the loop's time. ``ended`` is set when the
    connection is closed. ``reply_bytes_max`` bounds the body of a reply.
    """

    def __init__(self, where: str, loop: asyncio.AbstractEventLoop, reply_bytes_max: int) -> None:
        self._free = False
        self.idle_since = 0.0
        self.ended = asyncio.Event()
        self._where = where
        self._loop = loop
        self._reply_bytes_max = reply_bytes_max
        self._wire_bytes_max = REPLY_HEAD_BYTES_MAX + WIRE_BYTES_PER_BODY_BYTE_MAX * reply_bytes_max
        self._waiting: asyncio.Future[HttpReply] | None = None
        self._timer: asyncio.TimerHandle | None = None
        # The parser calls on_header for every header: a built-in method costs a fifth of a Python function.
        # The last header of a name counts.
        self._raw_headers: dict[bytes, bytes] = {}
        self.on_header = self._raw_headers.__setitem__
        self._pieces: list[bytes] = []
        self._body_bytes = self._wire_bytes = 0
        self._in_body = False
        self._refused: ReplyUnreadable | None = None
        self._parser = httptools.HttpResponseParser(self)  # reads the callbacks of self only once, at this point

    @property
    def usable(self) -> bool:
        """Whether the connection can carry a request. An ended connection may learn of its end one loop pass later."""
        return self._free and not self._transport.is_closing()

    def exchange(self, request: bytes, ends_at: float, timeout_s: float) -> "asyncio.Future[HttpReply]":
        """Send ``request`` and return a future of its whole reply. The caller must call :meth:`release` afterwards.

        ``ends_at`` is the deadline in the loop's time; ``timeout_s`` is for the message only.
        Raises what :meth:`HttpClient.post <bursar.web.http_client.HttpClient.post>` raises, here or in the future.
        """
        if not self.usable:
            # The connection ended, or bytes arrived on it, before this call: no byte of the request was sent.
            self.end()
            raise RequestNotSent(f"the connection to {self._where} ended before the request was sent")
        self._free = False
        self._waiting = waiting = self._loop.create_future()
        self._timer = self._loop.call_at(ends_at, self._time_out, timeout_s)
        self._transport.write(request)
        return waiting

    def release(self) -> None:
        """Stop waiting for a reply. The connection stays usable only if the whole reply has arrived."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting = None
        if not self._free:
            self.end()

    def end(self) -> None:
        """Close the connection at once."""
        self._free = False
        self._transport.abort()

    def _time_out(self, timeout_s: float) -> None:
        self._fail(ReplyTimedOut(f"no whole reply from {self._where} within {timeout_s:g} s"))

    def _fail(self, error: HttpClientError) -> None:
        self._free = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
        self._transport.abort()

    # --- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport does not inherit from it
        self._free = True

    def data_received(self, data: bytes) -> None:
        """Parse ``data`` of the reply, and end the connection if it breaks a bound or no request waits for a reply."""
        if self._waiting is None or self._waiting.done():
            self.end()  # no request asked for these bytes: they must not answer the next one
            return
        self._wire_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(ReplyUnreadable("not HTTP: another protocol"))
        except httptools.HttpParserError as error:
            self._fail(self._refused or ReplyUnreadable(f"not HTTP: {error}"))
        else:
            if not self._in_body and self._wire_bytes > REPLY_HEAD_BYTES_MAX:
                self._fail(ReplyUnreadable(f"a reply whose head is more than {REPLY_HEAD_BYTES_MAX} bytes"))
            elif self._wire_bytes > self._wire_bytes_max:
                self._fail(ReplyUnreadable(f"a reply of more than {self._wire_bytes_max} bytes on the wire"))

    def eof_received(self) -> None:
        """Complete a reply that ends with its connection."""
        if self._in_body and self._ends_with_the_connection():
            self._complete(keep_alive=False)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the request in progress, if there is one."""
        self.ended.set()
        self._fail(
            ReplyLost(
                f"the connection to {self._where} broke before the whole reply: "
                f"{'end of file' if error is None else type(error).__name__}"
            )
        )

    # --- called by the parser

    def on_message_begin(self) -> None:
        """Start a reply. A second reply in the same read makes the connection unusable."""
        if self._waiting is None or self._waiting.done():
            self._free = False
        self._raw_headers.clear()
        self._pieces = []
        self._body_bytes = 0

    def on_headers_complete(self) -> None:
        """Refuse a reply whose Content-Length is too large."""
        self._in_body = True
        length = next((value for name, value in self._raw_headers.items() if name.lower() == b"content-length"), b"")
        if int(length or b"0") > self._reply_bytes_max:  # the parser admits at most 20 digits
            self._refuse(f"a reply of {int(length)} bytes")

    def on_body(self, piece: bytes) -> None:
        """Collect ``piece``, and refuse a body that grows too large."""
        self._pieces.append(piece)
        self._body_bytes += len(piece)
        if self._body_bytes > self._reply_bytes_max:
            self._refuse(f"a reply of more than {self._reply_bytes_max} bytes")

    def on_message_complete(self) -> None:
        """Complete the request, unless this is an interim reply such as 100 Continue."""
        self._in_body = False
        if self._parser.get_status_code() >= _OK:
            self._complete(keep_alive=self._parser.should_keep_alive())

    def _complete(self, *, keep_alive: bool) -> None:
        self._in_body = False
        self._wire_bytes = 0
        if self._waiting is None or self._waiting.done():
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._raw_headers.items()}
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._free = keep_alive
        self._waiting.set_result(HttpReply(self._parser.get_status_code(), headers, body))

    def _refuse(self, reason: str) -> None:
        """Stop the parser in the middle of a reply."""
        self._refused = ReplyUnreadable(reason, status=self._parser.get_status_code())
        raise self._refused

    def _ends_with_the_connection(self) -> bool:
        """Return whether the reply has neither a length nor chunks, so that the end of the connection ends it."""
        names = {name.lower() for name in self._raw_headers}
        return not names & {b"content-length", b"transfer-encoding"}
