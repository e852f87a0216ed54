"""Serve an ASGI application by uvicorn's HTTP/1.1 protocol, alone or as one of several worker processes.

    bytes ─► Connection ─► uvicorn's HttpToolsProtocol ─► a task per request ─► the application

uvicorn parses requests and runs the application. :class:`Connection` adds what uvicorn leaves to a proxy: bounds on
heads and on the number of connections, a time limit for each phase of a connection, an answer to requests that cannot
be read, and connections spread evenly over worker processes. The application bounds the bodies.
"""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Final, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from bursar.web.connection_balancing import WorkerShare
from bursar.web.http_server import IDLE_S_MAX, LINGER_S_MAX, WRITE_STALL_S_MAX, HttpServer, head_without_offers
from bursar.web.refusals import HEAD_BYTES_MAX, RefusalReason, Refuse, plain_refusal

REQUEST_BYTES_MAX: Final = 1024 * 1024
"""The bytes of a whole request, with its chunk sizes and trailers, which an application does not see."""
HEAD_S_MAX: Final = 20.0
"""The time from the first byte of a request to the end of its head."""
BODY_S_MAX: Final = 20.0
"""The time from the end of a head to the end of its body."""


@dataclass(frozen=True, slots=True)
class UploadLimit:
    """The bounds of requests to one path: bytes of the whole request, and seconds for its body."""

    bytes_max: int
    seconds_max: float


class AsgiServer(HttpServer["AsgiConnection"]):
    """The connections of one process to one application. Start it with :func:`start_asgi_server`."""

    def __init__(
        self,
        app: Any,
        *,
        refuse: Refuse = plain_refusal,
        share: WorkerShare | None = None,
        uploads: Mapping[str, UploadLimit] | None = None,
    ) -> None:
        super().__init__(share)
        self.uploads = {path.encode(): limit for path, limit in (uploads or {}).items()}
        self.config = uvicorn.Config(
            app,
            http=AsgiConnection,
            interface="asgi3",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        self.config.load()
        self.refuse = refuse
        self.state = ServerState()
        self.state.connections = cast(Any, self.connections)  # uvicorn adds and removes them
        self.renew_date()

    @property
    def tasks(self) -> "set[asyncio.Task[None]]":
        """The requests that the application is handling."""
        return self.state.tasks

    def connection(self, *, adopted: bool = False) -> "AsgiConnection":
        """Return the protocol of a new connection."""
        return AsgiConnection(self, adopted=adopted)

    def renew_date(self) -> None:
        """Update the date in the headers that uvicorn adds to each answer. It has a precision of one second."""
        self.state.default_headers = [(b"date", formatdate(usegmt=True).encode())]

    async def close(self, within_s: float) -> None:
        """Stop listening, answer the requests that have arrived, and close the rest after ``within_s`` seconds.

        Requests that are not answered by then are cancelled.
        """
        try:
            await super().close(within_s)
        finally:
            tasks = list(self.tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def start_asgi_server(
    app: Any,
    listening: socket.socket,
    *,
    refuse: Refuse = plain_refusal,
    share: WorkerShare | None = None,
    uploads: Mapping[str, UploadLimit] | None = None,
) -> AsgiServer:
    """Serve ``app`` on a bound socket.

    Args:
        app: the ASGI application.
        listening: the bound socket. It may listen already.
        refuse: makes the answers to requests that the server refuses.
        share: this process's share of the connections, if several workers serve one port.
        uploads: the bounds of paths that take more than ``REQUEST_BYTES_MAX`` or longer than ``BODY_S_MAX``.
    """
    server = AsgiServer(app, refuse=refuse, share=share, uploads=uploads)
    await server.listen(listening)
    return server


class AsgiConnection(HttpToolsProtocol):
    """One client.

    Phases: idle → head → body → handled → idle. The connection of a refused client ends by ``linger``.
    """

    transport: Any  # a _Writer, None before connection_made; uvicorn declares asyncio.Transport

    def __init__(self, server: AsgiServer, *, adopted: bool = False) -> None:
        super().__init__(config=server.config, server_state=server.state, app_state={}, _loop=server.loop)
        self.asgi_server = server
        self.adopted = adopted
        self.in_head = self.receiving = self.lingering = False
        self.received_bytes = 0
        self.upload: UploadLimit | None = None
        self.refusal: RefusalReason | None = None
        self.phase_began_s = server.now_s

    # --- the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection, pass it on to another worker, or refuse it."""
        transport = cast(asyncio.Transport, transport)  # uvloop's has no common base class
        if self.asgi_server.pass_on(transport, adopted=self.adopted):
            return
        super().connection_made(cast(asyncio.Transport, _Writer(self, transport)))
        self.asgi_server.count()
        self._start_phase()
        if self.asgi_server.is_full:
            self.refuse(RefusalReason.TOO_BUSY)

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop the connection; uvicorn reports it to the application."""
        if self.transport is None:  # another worker has the connection
            return
        self.receiving = False
        super().connection_lost(exc)
        self.asgi_server.count()

    def data_received(self, data: bytes) -> None:
        """Parse ``data``, and refuse a request that is not HTTP or larger than its bounds."""
        if self.refusal or self.lingering:
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.refuse(RefusalReason.NOT_HTTP)
        if self.receiving:
            # The read in which a request begins may hold other requests before it: that read is not counted.
            self.received_bytes = self.received_bytes + len(data) if self.received_bytes >= 0 else 0
            if self.in_head and self.received_bytes > HEAD_BYTES_MAX:
                self.refuse(RefusalReason.HEAD_TOO_LARGE)
            elif self.received_bytes > (self.upload.bytes_max if self.upload else REQUEST_BYTES_MAX):
                self.refuse(RefusalReason.TOO_LARGE)

    def eof_received(self) -> bool | None:  # type: ignore[override]  # uvicorn never keeps a half-closed connection
        """Return whether to keep the connection: a client may close its half and still wait for its answer."""
        if not self._is_handled:
            return None
        self.cycle.keep_alive = False
        return True

    def pause_writing(self) -> None:
        """Start to measure how long the client leaves its answers unread."""
        super().pause_writing()
        self._start_phase()

    def resume_writing(self) -> None:
        """Start the phase that follows when the client reads its answers."""
        super().resume_writing()
        self._start_phase()

    # --- the parser's calls

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self.in_head = self.receiving = True
        self.received_bytes = -1
        self.upload = None
        self._start_phase()

    def on_headers_complete(self) -> None:
        """Start the body."""
        super().on_headers_complete()
        self.headers = []  # uvicorn adds the trailers to it, which the application must not see among its headers
        self.in_head = False
        self.upload = self.asgi_server.uploads.get(self.url.partition(b"?")[0])
        self._start_phase()

    def on_message_complete(self) -> None:
        """Start the phase in which the application handles the request."""
        super().on_message_complete()
        self.receiving = False
        self._start_phase()

    def _should_upgrade(self) -> bool:
        """Return True: uvicorn then ignores a request that offers another protocol, and it is read again."""
        return True

    def _decline_upgrade(self, rest: bytes) -> None:
        """Read a request again without its offer of another protocol, which Java's client makes in its first request.

        The parser has stopped before the body, so uvicorn alone would lose it.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.refuse(RefusalReason.NOT_HTTP)
            return
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(head_without_offers(method, self.url, self.scope["headers"]) + rest)

    # --- uvicorn's calls

    def on_response_complete(self) -> None:
        """Start the next pipelined request. uvicorn's method also starts a timer, which is not needed."""
        self.transport.flush()
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
        if self.refusal and not self._is_handled:
            self._answer_refusal(self.refusal)
        self._start_phase()

    # --- time limits

    @property
    def _is_handled(self) -> bool:
        """Whether a whole request waits for its answer."""
        cycle = self.cycle
        return bool(self.pipeline) or (cycle is not None and not (cycle.response_complete or cycle.more_body))

    @property
    def deadline_s(self) -> float:
        """The time of the event loop at which the connection's phase must be over. Housekeeping reads it."""
        return self.phase_began_s + self._phase_s_max()

    def _start_phase(self) -> None:
        self.phase_began_s = self.asgi_server.now_s

    def _phase_s_max(self) -> float:
        """Return how long the connection may stay in its phase, in seconds."""
        if self.lingering:
            return LINGER_S_MAX
        if self.flow.write_paused:
            return WRITE_STALL_S_MAX
        if self._is_handled:
            return float("inf")  # the server does not limit the application's time
        if self.in_head:
            return HEAD_S_MAX
        if self.receiving:
            return self.upload.seconds_max if self.upload else BODY_S_MAX
        return IDLE_S_MAX

    def time_out(self) -> None:
        """End a connection that has stayed in its phase for too long."""
        if self.receiving and (self.in_head or not self.cycle.response_complete):
            self.refuse(RefusalReason.TOO_SLOW)
        else:
            self.abort()

    # --- endings

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def refuse(self, refusal: RefusalReason) -> None:
        """Answer a refused request, after the answers to the whole requests before it, and end the connection."""
        if self.refusal or self.transport.is_closing():
            return
        self.refusal = refusal
        if not self._is_handled:
            self._answer_refusal(refusal)

    def _answer_refusal(self, refusal: RefusalReason) -> None:
        head_is_read = self.receiving and not self.in_head
        if head_is_read and self.cycle.response_complete:  # the request was answered before its whole body had arrived
            self.transport.close()
            return
        answered = self.asgi_server.refuse(refusal, dict(self.scope) if head_is_read else None)
        status = refusal.value
        lines = [*self.server_state.default_headers, *answered.headers, (b"connection", b"close")]
        head = b"".join(b"%b: %b\r\n" % line for line in lines)
        if head_is_read:
            self.cycle.disconnected = True  # for the application, which waits for the rest of the body
            self.cycle.message_event.set()
        self.transport.write(b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, status.phrase.encode(), head, answered.body))
        self.linger()

    def linger(self) -> None:
        """Send nothing more, and discard what the client sends until it closes, for at most ``LINGER_S_MAX``."""
        self.lingering = True
        self.in_head = self.receiving = False
        self.flow.resume_reading()
        self.transport.write_eof()
        self._start_phase()


class _Writer:
    """The transport that uvicorn writes to. It sends an answer's head together with the body.

    uvicorn writes them separately, and uvloop sends each write at once, so the client would wake twice.
    """

    def __init__(self, connection: AsgiConnection, transport: asyncio.Transport) -> None:
        self._connection = connection
        self._transport = transport
        self._begun: Any = None  # ends the request whose answer has begun
        self._head = b""
        self.abort = transport.abort
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def is_closing(self) -> bool:
        """Return whether nothing more can be written."""
        return self._connection.lingering or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send ``data``, or keep it for the next write if it is an answer's head."""
        cycle = self._connection.cycle
        if cycle is not None and cycle.response_started and cycle is not self._begun:
            self._begun, self._head = cycle, data
        elif self._head:
            whole, self._head = self._head + data, b""
            self._transport.write(whole)
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Send the head that is kept, if there is one."""
        if self._head:
            self.write(b"")

    def write_eof(self) -> None:
        """Close the sending half."""
        self.flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Close once everything is sent; a client that is still sending lingers."""
        if self._transport.is_closing():
            return
        self.flush()
        if self._connection.receiving:
            self._connection.linger()
        else:
            self._transport.close()
