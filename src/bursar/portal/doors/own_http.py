"""The portal's door when it serves itself: the engine's HTTP door, with the portal where the engine was.

    bytes ─► httptools ─► Call ─► Application.handle, a task ─► Reply ─► bytes

Connections, pipelining, bounds, deadlines and endings are those of :mod:`bursar.dynamo.server.connection`; what is
different is
here: bodies are small, every answer is the portal's JSON with a request id and a line in its log, and a request that
has begun goes on when its caller leaves. ``http.py`` is the other door, for servers that speak ASGI.
"""

import asyncio
import logging
import time
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from bursar.dynamo.server import responses as http_answers
from bursar.dynamo.server.connection import HEAD_BYTES_MAX, HEADERS_MAX, Connection, HttpDoor
from bursar.portal.api.application import TOO_LARGE, Application
from bursar.portal.contract.errors import (
    HeadTooLarge,
    InvalidRequest,
    PortalError,
    TooLarge,
    TooSlow,
    Unavailable,
    Unexpected,
)
from bursar.portal.contract.messages import Call, Reply
from bursar.portal.contract.schemas import BODY_BYTES_MAX
from bursar.portal.doors.asgi import BODY_TIMEOUT_S, sent_request_id
from bursar.portal.use_cases.portal import RequestTask

NOT_HTTP: Final = "This is not an HTTP request"
HEAD_TOO_LARGE: Final = f"The request's head is larger than {HEAD_BYTES_MAX} bytes, or more than {HEADERS_MAX} headers"
TOO_BUSY: Final = "The portal cannot take more connections: retry"
HEADS_KEPT_MAX: Final = 256

_log = logging.getLogger(__name__)


class _NoEngine:
    """Nothing of what comes to this door goes to an engine."""

    def submit(self, *asked: Any) -> None:
        raise AssertionError("the portal's door has no engine")


class PortalDoor(HttpDoor):
    """What the connections of one process share. Call it to get a protocol for a new connection."""

    def __init__(self, application: Application) -> None:
        super().__init__(_NoEngine(), access=None, clock=application.portal.clock, process_id_bytes=b"")
        self.application = application
        self.loop = asyncio.get_running_loop()
        self.tasks: set[RequestTask] = set()
        self.date = _date()

    def __call__(self) -> Connection:
        return PortalConnection(self)

    def _sweep(self) -> None:
        super()._sweep()
        self.date = _date()

    async def close(self, within_s: float) -> None:
        """Answers what has been asked, takes no more requests, and cuts off whoever is left after ``within_s``.

        What must be finished goes on: ``Portal.drain`` waits for it.
        """
        await super().close(within_s)
        left = [task for task in self.tasks if not task.finishing]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


class PortalConnection(Connection):
    """One client of the portal."""

    __slots__ = ()

    door: PortalDoor

    def __init__(self, door: PortalDoor) -> None:
        super().__init__(door)
        self.on_header = self._on_header

    # --- the parser's calls

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self.busy:
            self.deadline_s = self.door.now_s + BODY_TIMEOUT_S

    def _on_header(self, name: bytes, value: bytes) -> bytes:
        """A repeated header's values are joined by commas: a signature is over all of them."""
        name, headers = name.lower(), self.raw_headers
        headers[name] = value = headers[name] + b"," + value if name in headers else value
        return value

    def on_headers_complete(self) -> None:
        """As every connection does, but names are in lower case already, and bodies are small."""
        self.in_head = False
        self.headers = headers = self.raw_headers.copy()
        if int(headers.get(b"content-length", b"0")) > BODY_BYTES_MAX:
            self._refuse(http_answers.BODY_TOO_LARGE)
        elif len(headers) > HEADERS_MAX:
            self._refuse(http_answers.HEAD_TOO_LARGE)
        elif b"expect" in headers and not self.busy:
            self.transport.write(http_answers.CONTINUE)

    def on_body(self, chunk: bytes) -> None:
        super().on_body(chunk)
        if len(self.body) > BODY_BYTES_MAX or self.parts_bytes > BODY_BYTES_MAX:
            self._refuse(http_answers.BODY_TOO_LARGE)

    # --- one request

    def _handle(self, method: bytes, url: bytes, headers: dict[bytes, bytes], body: bytes, keep_alive: bool) -> None:
        self.busy = True
        self.deadline_s = float("inf")  # the portal's time is not the client's fault
        self.reply_keep_alive = keep_alive
        door = self.door
        task = RequestTask(self._serve(_call(method, url, headers, body)), loop=door.loop, name="request")
        door.tasks.add(task)
        task.add_done_callback(door.tasks.discard)

    async def _serve(self, call: Call) -> None:
        try:
            reply = await self.door.application.handle(call)
            self.busy = False
            if self.gone:
                return
            if self.door.closing or "connection" in reply.headers:
                self.reply_keep_alive = False
            self.transport.write(_whole(reply, call, self.door.date, self.reply_keep_alive))
            self._done()
        except Exception:  # handle answers every error, so this is a fault of the door, which must not hold its client
            _log.exception("the door failed at a request in a way that nobody foresaw")
            self.transport.abort()

    def _done(self) -> None:
        super()._done()
        if self.in_message and not self.busy:
            self.deadline_s = min(self.deadline_s, self.door.now_s + BODY_TIMEOUT_S)

    # --- endings

    def abort(self) -> None:
        """Out of time: a request that drips is told so."""
        if self.in_message and not (self.busy or self.waiting or self.discarding or self.door.closing):
            self._refuse_as(TooSlow())
        else:
            super().abort()

    def _refuse(self, whole_answer: bytes) -> None:
        refused = _REFUSALS.get(whole_answer)
        if refused is None:
            super()._refuse(whole_answer)  # the portal's own, which waited for the answers before it
        elif not (self.discarding or self.refusal):
            self._refuse_as(refused[0](*refused[1:]))

    def _refuse_as(self, error: PortalError) -> None:
        """Answers what cannot become a request in the portal's way: with an id, logged and counted."""
        head_known = self.in_message and not self.in_head
        call = _call(self.parser.get_method(), self.url, self.headers, b"") if head_known else _call(b"", b"", {}, b"")
        reply = self.door.application.refuse(call, error)
        super()._refuse(_whole(reply, call, self.door.date, False))


# What the connection refuses, as the engine's door words it → as the portal does.
_REFUSALS: Final[dict[bytes, tuple[type[PortalError], str] | tuple[type[Unexpected]]]] = {
    http_answers.NOT_HTTP: (InvalidRequest, NOT_HTTP),
    http_answers.HEAD_TOO_LARGE: (HeadTooLarge, HEAD_TOO_LARGE),
    http_answers.BODY_TOO_LARGE: (TooLarge, TOO_LARGE),
    http_answers.TOO_BUSY: (Unavailable, TOO_BUSY),
    http_answers.FAILED: (Unexpected,),
}


def _call(method: bytes, url: bytes, headers: dict[bytes, bytes], body: bytes) -> Call:
    path, _, query = url.decode("latin-1").partition("?")
    texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
    return Call(method.decode("latin-1"), path or "/", query, texts, body, sent_request_id(texts))


def _whole(reply: Reply, call: Call, date: bytes, keep_alive: bool) -> bytes:
    """A whole answer, head and body."""
    body = reply.body
    head = _head(reply.status, reply.content_type, keep_alive)
    more = ""
    if reply.headers:
        more = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items() if name != "connection")
    return b"%b%d\r\ndate: %b\r\nx-request-id: %b\r\n%b\r\n%b" % (
        head,
        len(body),
        date,
        call.request_id.encode("latin-1"),
        more.encode("latin-1"),
        b"" if call.method == "HEAD" else body,
    )


@lru_cache(HEADS_KEPT_MAX)
def _head(status: int, content_type: str, keep_alive: bool) -> bytes:
    """An answer's head up to the length of its body."""
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nconnection: {'keep-alive' if keep_alive else 'close'}\r\n"
        f"content-type: {content_type}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n"
        "content-length: "
    ).encode("latin-1")


def _date() -> bytes:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()).encode()
