"""DynamoDB over HTTP: one :class:`Connection` per client on asyncio's own protocol interface, parsed by httptools.

    bytes ─► httptools ─► Reception ─► engine.submit ─► (the turn's commit) ─► Answers ─► bytes

No task and no future is made for a request: the engine calls back. Requests of one connection are answered in
order, one at a time (a pipelined read sees the write before it); those of different connections share the event
loop's turn, and so one commit. Everything is bounded: head, body, pipelined requests, connections, buffered bytes,
and the time that each phase of a request may take, which one sweep a second looks after instead of a timer per request.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, cast

import httptools
import orjson

from bursar.clock import Clock
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.server import responses as answers
from bursar.dynamo.server.admission import (
    BODY_BYTES_MAX,
    INTERNAL_ERROR,
    Access,
    Reception,
    Turned,
    accepts_gzip,
    content_type_of,
    cors_of,
)
from bursar.web.connection_balancing import Seat

HEAD_BYTES_MAX = 64 * 1024
HEADERS_MAX = 100
WIRE_BYTES_MAX = HEAD_BYTES_MAX + 2 * BODY_BYTES_MAX
"""A request with its chunk sizes and trailers, which nothing else bounds."""
PIPELINED_MAX = 64
CONNECTIONS_MAX = 10_000
BUFFERED_BYTES_MAX = 512 * 1024 * 1024
"""Bodies that are still arriving, all connections together."""
WRITE_BUFFER_BYTES_MAX = 4 * 1024 * 1024
"""Answers that a client has not read; above it, nothing more is read from that client."""

RECEIVE_S_MAX = 60.0
"""From the first byte of a request to its last."""
IDLE_S_MAX = 300.0
WRITE_STALL_S_MAX = 60.0
LINGER_S_MAX = 2.0
"""How long a client that was refused may go on sending before it is cut off; cutting at once would lose the answer."""
SWEEP_S = 1.0

WHOLE_WRITE_BYTES_MAX = 64 * 1024
"""Head and body of smaller answers are joined and written at once."""

_OFFER_HEADERS = (b"upgrade", b"http2-settings", b"connection")

_log = logging.getLogger(__name__)


class Submits(Protocol):
    """The engine as the door sees it (``AsyncEngine``)."""

    def submit(self, operation: str, request: dict[str, Any], settle: Callable[[bytes | Exception], None]) -> None:
        """Calls ``settle`` once, now or in a later turn of the loop, with the answer's body or what went wrong."""


class HttpDoor:
    """What the connections of one process share. Call it to get a protocol for a new connection."""

    def __init__(
        self,
        engine: Submits,
        *,
        access: Access | None,
        clock: Clock,
        process_id_bytes: bytes,
    ) -> None:
        self.submit = engine.submit
        self.receive = Reception(access, clock, self._partition_names).receive
        self.answers = answers.Answers(process_id_bytes)
        self.connections: set[Connection] = set()
        self.buffered_bytes = 0
        self.closing = False
        self._loop = asyncio.get_running_loop()
        self.now_s = self._loop.time()
        self._sweeping = self._loop.call_later(SWEEP_S, self._sweep)
        self._empty = asyncio.Event()
        self.seat: Seat | None = None
        self._adopting: set[asyncio.Task[Any]] = set()

    def __call__(self) -> "Connection":
        return Connection(self)

    def sit(self, seat: Seat) -> None:
        """Shares connections with the other workers of this server from now on."""
        self.seat = seat
        seat.open(self._adopt)

    def _adopt(self, connection: socket.socket) -> None:
        adopting = self._loop.create_task(self._loop.connect_accepted_socket(self._adopted, connection))
        self._adopting.add(adopting)
        adopting.add_done_callback(self._adopting.discard)

    def _adopted(self) -> "Connection":
        connection = self()
        connection.settled = True
        return connection

    def _partition_names(self, table: str, index: str | None) -> tuple[str, ...]:
        """For policies on leading keys. The engine answers reads at once."""
        answered: list[bytes | Exception] = []
        self.submit("DescribeTable", {"TableName": table}, answered.append)
        if not answered or not isinstance(answered[0], bytes):
            return ()
        described = orjson.loads(answered[0])["Table"]
        if index is not None:
            indexes = described.get("GlobalSecondaryIndexes", []) + described.get("LocalSecondaryIndexes", [])
            described = next((each for each in indexes if each["IndexName"] == index), {"KeySchema": []})
        return tuple(key["AttributeName"] for key in described["KeySchema"] if key["KeyType"] == "HASH")

    def _sweep(self) -> None:
        self._sweeping = self._loop.call_later(SWEEP_S, self._sweep)
        self.now_s = now_s = self._loop.time()
        self.answers.renew_date()
        for connection in [each for each in self.connections if each.deadline_s < now_s]:
            connection.abort()

    def left(self, connection: "Connection") -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if self.seat is not None:
            self.seat.holds(len(self.connections))
        if self.closing and not self.connections:
            self._empty.set()

    async def close(self, within_s: float) -> None:
        """Answers what has been asked, takes no more requests, and cuts off whoever is left after ``within_s``."""
        self.closing = True
        if self.seat is not None:
            self.seat.close()
        for connection in list(self.connections):
            connection.finish()
        try:
            if self.connections:
                await asyncio.wait_for(self._empty.wait(), within_s)
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()
        finally:
            self._sweeping.cancel()


class Connection(asyncio.Protocol):
    """One client. Phases: idle → receiving → (``busy``: the engine has it) → answered; at the end ``discarding``."""

    __slots__ = (
        "body",
        "busy",
        "deadline_s",
        "discarding",
        "door",
        "eof",
        "gone",
        "headers",
        "in_head",
        "in_message",
        "on_header",
        "parser",
        "parts",
        "parts_bytes",
        "paused",
        "pumping",
        "raw_headers",
        "refusal",
        "reply_headers",
        "reply_keep_alive",
        "settled",
        "transport",
        "url",
        "waiting",
        "wire_bytes",
    )

    transport: asyncio.Transport

    def __init__(self, door: HttpDoor) -> None:
        self.door = door
        self.deadline_s = door.now_s + IDLE_S_MAX
        self.busy = self.paused = self.pumping = False
        self.eof = self.discarding = self.gone = self.settled = False
        self.in_message = self.in_head = False
        self.waiting: deque[tuple[bytes, bytes, dict[bytes, bytes], bytes, bool]] = deque()
        # The parser calls this ten times a request: a built-in costs a fifth of a function. Of repeated headers the
        # first counts, for the signature as for everything else.
        self.raw_headers: dict[bytes, bytes] = {}
        self.on_header = self.raw_headers.setdefault
        self.headers: dict[bytes, bytes] = {}
        self.reply_headers = self.headers
        self.reply_keep_alive = True
        self.url = self.body = b""
        self.parts: list[bytes] = []
        self.parts_bytes = self.wire_bytes = 0
        self.refusal = b""

    # --- the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        seat = self.door.seat
        if seat is not None:
            if not self.settled and seat.pass_on(self.transport.get_extra_info("socket").fileno()):
                self.transport.abort()  # our descriptor; the connection lives on in the other's
                return
            seat.holds(len(self.door.connections) + 1)
        self.transport.set_write_buffer_limits(WRITE_BUFFER_BYTES_MAX)
        self.parser = httptools.HttpRequestParser(self)
        connections = self.door.connections
        connections.add(self)
        if len(connections) > CONNECTIONS_MAX or self.door.closing:
            self._refuse(answers.TOO_BUSY)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self.waiting.clear()
        self._drop_parts()
        self.door.left(self)

    def eof_received(self) -> bool:
        # A client may close its half and still wait for the answer.
        if (self.busy or self.waiting) and not self.discarding:
            self.eof = True
            return True
        return False

    def pause_writing(self) -> None:
        self.paused = True
        self.deadline_s = self.door.now_s + WRITE_STALL_S_MAX
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.paused = False
        self.deadline_s = self.door.now_s + IDLE_S_MAX
        self._pump()

    def data_received(self, data: bytes) -> None:
        if self.discarding or self.refusal:
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError:
            _log.exception("the door failed at a request in a way that nobody foresaw")
            self._refuse(answers.FAILED)
        except httptools.HttpParserError:
            self._refuse(answers.NOT_HTTP)
        if self.in_message:
            # The read in which a request begins may hold others before it: it is not counted.
            self.wire_bytes = self.wire_bytes + len(data) if self.wire_bytes >= 0 else 0
            if self.in_head and self.wire_bytes > HEAD_BYTES_MAX:
                self._refuse(answers.HEAD_TOO_LARGE)
            elif self.wire_bytes > WIRE_BYTES_MAX:
                self._refuse(answers.BODY_TOO_LARGE)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Goes on in HTTP/1.1 where a client offers more (Java's does, with its first request).

        The parser has stopped before the body: another one reads the request again without the offer.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(answers.NOT_HTTP)
            return
        kept = [b"%b: %b\r\n" % header for header in self.headers.items() if header[0] not in _OFFER_HEADERS]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, self.url, b"".join(kept), rest))

    # --- the parser's calls

    def on_message_begin(self) -> None:
        self.raw_headers.clear()
        self.url = self.body = b""
        self.in_message = self.in_head = True
        self.wire_bytes = -1
        if not self.busy:
            self.deadline_s = self.door.now_s + RECEIVE_S_MAX

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_headers_complete(self) -> None:
        self.in_head = False
        # A copy: trailers still come to the raw ones, and nothing here reads any.
        self.headers = headers = {name.lower(): value for name, value in self.raw_headers.items()}
        if len(headers) > HEADERS_MAX:
            self._refuse(answers.HEAD_TOO_LARGE)
        elif int(headers.get(b"content-length", b"0")) > BODY_BYTES_MAX:
            self._refuse(answers.BODY_TOO_LARGE)
        elif b"expect" in headers and not self.busy:
            self.transport.write(answers.CONTINUE)

    def on_body(self, chunk: bytes) -> None:
        if not self.body:
            self.body = chunk
            return
        # A body in several pieces: keep them apart until the last, so that each byte is copied once.
        if not self.parts:
            self.parts.append(self.body)
            self._count_part(len(self.body))
        self.parts.append(chunk)
        self._count_part(len(chunk))

    def _count_part(self, size: int) -> None:
        self.parts_bytes += size
        self.door.buffered_bytes += size
        if self.parts_bytes > BODY_BYTES_MAX:
            self._refuse(answers.BODY_TOO_LARGE)
        elif self.door.buffered_bytes > BUFFERED_BYTES_MAX:
            self._refuse(answers.TOO_BUSY)

    def _drop_parts(self) -> None:
        self.door.buffered_bytes -= self.parts_bytes
        self.parts_bytes = 0
        self.parts = []

    def on_message_complete(self) -> None:
        self.in_message = False
        if self.discarding or self.refusal or self.parser.should_upgrade():
            return
        if self.parts:
            self.body = b"".join(self.parts)
            self._drop_parts()
        method, keep_alive = self.parser.get_method(), self.parser.should_keep_alive()
        if self.busy or self.paused or self.waiting:
            self.waiting.append((method, self.url, self.headers, self.body, keep_alive))
            if len(self.waiting) >= PIPELINED_MAX:
                self.transport.pause_reading()
        else:
            self._handle(method, self.url, self.headers, self.body, keep_alive)

    # --- one request

    def _handle(self, method: bytes, url: bytes, headers: dict[bytes, bytes], body: bytes, keep_alive: bool) -> None:
        self.busy = True
        self.deadline_s = float("inf")  # the engine's time is not the client's fault
        self.reply_headers = headers
        self.reply_keep_alive = keep_alive
        try:
            operation, request = self.door.receive(method, url, headers, body)
        except Turned as turned:
            self._answer(turned.status, turned.body, turned.content_type, turned.extra)
        except DynamoError as error:
            self.answered(error)
        else:
            self.door.submit(operation, request, self.answered)

    def answered(self, outcome: bytes | Exception) -> None:
        """The engine's answer to the request in hand."""
        if self.gone:
            self.busy = False
            return
        headers = self.reply_headers
        if type(outcome) is bytes and self.reply_keep_alive and not self.door.closing and _is_plain(headers):
            head = self.door.answers.ok(outcome)
            if len(outcome) < WHOLE_WRITE_BYTES_MAX:
                self.transport.write(head + outcome)
            else:
                self.transport.writelines((head, outcome))
            self._done()
            return
        status, body = (200, outcome) if isinstance(outcome, bytes) else _error_answer(outcome)
        self._answer(status, body, content_type_of(headers), cors_of(headers))

    def _answer(self, status: int, body: bytes, content_type: bytes, extra: str) -> None:
        keep_alive = self.reply_keep_alive and not self.door.closing
        whole = self.door.answers.answer(
            status,
            body,
            content_type=content_type,
            keep_alive=keep_alive,
            compress=accepts_gzip(self.reply_headers),
            extra=extra,
        )
        self.reply_keep_alive = keep_alive
        self.transport.write(whole)
        self._done()

    def _done(self) -> None:
        self.busy = False
        patience_s = WRITE_STALL_S_MAX if self.paused else RECEIVE_S_MAX if self.in_message else IDLE_S_MAX
        self.deadline_s = self.door.now_s + patience_s
        if not self.reply_keep_alive or (self.eof and not self.waiting):
            self._hang_up()
        elif self.refusal and not self.waiting:
            self._refuse(self.refusal)
        elif self.waiting and not self.pumping:
            self._pump()

    def _pump(self) -> None:
        """Handles requests that waited their turn. A loop, since answers that come at once would otherwise recurse."""
        self.pumping = True
        while self.waiting and not (self.busy or self.paused or self.discarding):
            self._handle(*self.waiting.popleft())
        self.pumping = False
        if not (self.paused or self.discarding or self.transport.is_closing()) and len(self.waiting) < PIPELINED_MAX:
            self.transport.resume_reading()

    # --- endings

    def finish(self) -> None:
        """The door closes: end after the answer in hand, or now if there is none."""
        # The answers to what was asked say "close". An idle client has nothing to lose, and would not look for an end.
        if not (self.busy or self.waiting):
            self.transport.close()

    def abort(self) -> None:
        """Out of time."""
        self.transport.abort()

    def _refuse(self, whole_answer: bytes) -> None:
        """Answers something that cannot become a request, after those before it, and ends."""
        if self.discarding:
            return
        self._drop_parts()
        self.in_message = False
        if self.busy or self.waiting:
            self.refusal = whole_answer
        else:
            self.transport.write(whole_answer)
            self._hang_up()

    def _hang_up(self) -> None:
        """Ends our half; the client's bytes are thrown away until it ends its own or LINGER_S_MAX has passed."""
        if self.discarding or self.gone:
            return
        self.discarding = True
        self.in_message = False
        self.waiting.clear()
        self.deadline_s = self.door.now_s + LINGER_S_MAX
        if self.transport.can_write_eof() and not self.eof and not self.transport.is_closing():
            self.transport.write_eof()
            if not self.paused:
                self.transport.resume_reading()
        else:
            self.transport.close()


def _is_plain(headers: dict[bytes, bytes]) -> bool:
    """Is the answer to this request the ordinary one: JSON 1.0, uncompressed, not for a web page?"""
    accepted = headers.get(b"accept-encoding")
    return (
        headers.get(b"content-type") == answers.AMZ_JSON
        and (accepted is None or accepted == b"identity" or b"gzip" not in accepted)
        and b"origin" not in headers
    )


def _error_answer(error: Exception) -> tuple[int, bytes]:
    if isinstance(error, DynamoError):
        return error.http_status, orjson.dumps(error.body())
    _log.error("an operation failed in a way that nobody foresaw", exc_info=error)
    return 500, INTERNAL_ERROR
