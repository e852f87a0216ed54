"""One connection to a server, with one request under way at a time: asyncio calls it, httptools parses for it.

    ask ─► request written ─► head ─► body ─► whole reply ─► over ─► usable again, unless the server did otherwise

Everything of a reply is bounded: its head, its body, and what chunking adds to it on the wire.
"""

import asyncio
from typing import Final, cast

import httptools

from bursar.paygov.errors import Lost, Nonsense, NotSent, PayGovError, TimedOut
from bursar.paygov.safe_xml import DOCUMENT_BYTES_MAX
from bursar.paygov.transport import HttpReply

REPLY_BYTES_MAX: Final = DOCUMENT_BYTES_MAX
REPLY_HEAD_BYTES_MAX: Final = 16 * 1024
"""Where it is not here after one read; a head that one read holds is small enough."""
REPLY_WIRE_BYTES_MAX: Final = REPLY_HEAD_BYTES_MAX + 8 * REPLY_BYTES_MAX
"""A reply with its chunk sizes and trailers, which nothing else bounds: a byte alone in its chunk takes six."""

_OK: Final = 200


class Connection(asyncio.Protocol):
    """``idle_since``: the pool's note, in the loop's time. ``ended``: it is gone."""

    def __init__(self, where: str, loop: asyncio.AbstractEventLoop) -> None:
        self._free = False
        self.idle_since = 0.0
        self.ended = asyncio.Event()
        self._where = where
        self._loop = loop
        self._waiting: asyncio.Future[HttpReply] | None = None
        self._timer: asyncio.TimerHandle | None = None
        # The parser calls this for every header: a built-in costs a fifth of a function. The last of a name counts.
        self._raw_headers: dict[bytes, bytes] = {}
        self.on_header = self._raw_headers.__setitem__
        self._pieces: list[bytes] = []
        self._body_bytes = self._wire_bytes = 0
        self._in_body = False
        self._fault: Nonsense | None = None
        self._parser = httptools.HttpResponseParser(self)  # it looks once for what it is to call

    @property
    def usable(self) -> bool:
        """Whether it may carry a request. What has ended may not know it until the loop's next turn."""
        return self._free and not self._transport.is_closing()

    def ask(self, request: bytes, ends_at: float, timeout_s: float) -> "asyncio.Future[HttpReply]":
        """Sends ``request``; its whole reply, until ``ends_at``, in the loop's time. Then ``over`` must be called.

        It, and awaiting it, raise what :class:`~bursar.paygov.transport.Transport` says; ``timeout_s`` is for the
        message.
        """
        if not self.usable:
            # Ended, or spoken to, between its making and this: not a byte of the request has left.
            self.end()
            raise NotSent(f"the connection to {self._where} ended before the request was sent")
        self._free = False
        self._waiting = waiting = self._loop.create_future()
        self._timer = self._loop.call_at(ends_at, self._time_is_up, timeout_s)
        self._transport.write(request)
        return waiting

    def over(self) -> None:
        """Nobody waits for a reply any more, whether it came or not. Leaves ``usable`` as it then is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting = None
        if not self._free:
            self.end()

    def end(self) -> None:
        """Ends the connection at once."""
        self._free = False
        self._transport.abort()

    def _time_is_up(self, timeout_s: float) -> None:
        self._fail(TimedOut(f"no whole reply from {self._where} within {timeout_s:g} s"))

    def _fail(self, error: PayGovError) -> None:
        self._free = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
        self._transport.abort()

    # --- the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._free = True

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            self.end()  # nobody asked: the next request must not be answered by it
            return
        self._wire_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(Nonsense("not HTTP: another protocol"))
        except httptools.HttpParserError as error:
            self._fail(self._fault or Nonsense(f"not HTTP: {error}"))
        else:
            if not self._in_body and self._wire_bytes > REPLY_HEAD_BYTES_MAX:
                self._fail(Nonsense(f"a reply whose head is more than {REPLY_HEAD_BYTES_MAX} bytes"))
            elif self._wire_bytes > REPLY_WIRE_BYTES_MAX:
                self._fail(Nonsense(f"a reply of more than {REPLY_WIRE_BYTES_MAX} bytes on the wire"))

    def eof_received(self) -> None:
        if self._in_body and self._ends_with_the_connection():
            self._give(may_go_on=False)

    def connection_lost(self, error: Exception | None) -> None:
        self.ended.set()
        self._fail(
            Lost(
                f"the connection to {self._where} broke before the whole reply: "
                f"{'end of file' if error is None else type(error).__name__}"
            )
        )

    # --- the parser's calls

    def on_message_begin(self) -> None:
        if self._waiting is None or self._waiting.done():
            self._free = False  # a second reply in the same read as the first
        self._raw_headers.clear()
        self._pieces = []
        self._body_bytes = 0

    def on_headers_complete(self) -> None:
        self._in_body = True
        length = next((value for name, value in self._raw_headers.items() if name.lower() == b"content-length"), b"")
        if int(length or b"0") > REPLY_BYTES_MAX:  # digits, and fewer than 21: the parser has seen to it
            self._refuse(f"a reply of {int(length)} bytes")

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._body_bytes += len(piece)
        if self._body_bytes > REPLY_BYTES_MAX:
            self._refuse(f"a reply of more than {REPLY_BYTES_MAX} bytes")

    def on_message_complete(self) -> None:
        self._in_body = False
        status = self._parser.get_status_code()
        if status >= _OK:
            self._give(may_go_on=self._parser.should_keep_alive())
        # Else it is a word on the way, as 100 Continue is; the reply is still to come.

    def _give(self, *, may_go_on: bool) -> None:
        self._in_body = False
        self._wire_bytes = 0
        if self._waiting is None or self._waiting.done():
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._raw_headers.items()}
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._free = may_go_on
        self._waiting.set_result(HttpReply(self._parser.get_status_code(), headers, body))

    def _refuse(self, reason: str) -> None:
        """Stops the parser in the middle of a reply that is not read further."""
        self._fault = Nonsense(reason, status=self._parser.get_status_code())
        raise self._fault

    def _ends_with_the_connection(self) -> bool:
        """Has the reply neither a length nor chunks? Then the connection's end is its own."""
        names = {name.lower() for name in self._raw_headers}
        return not names & {b"content-length", b"transfer-encoding"}
