"""Serves the simulator with uvicorn, in a process of its own or inside another (``bursar up``, tests)."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from bursar.paygov.protocol import ONLINE_PATH, PAY_PATH, QUERY_PATH
from bursar.paygov.simulator.app import ABORT_EXTENSION, SimulatorApp, simulator_app
from bursar.paygov.simulator.core import Simulator
from bursar.paygov.simulator.misbehaviour import MisbehaviourPlan
from bursar.paygov.simulator.wire import Answer
from bursar.web import binding

HOST = "127.0.0.1"
BACKLOG = 1_024
GRACE_S = 2
"""How long a stopping simulator lets requests finish, seconds (uvicorn takes whole ones)."""


@dataclass(frozen=True)
class Addresses:
    """Where a served simulator is: what PayGovConfig wants to know."""

    base: str

    @property
    def url(self) -> str:
        return self.base + ONLINE_PATH

    @property
    def query_url(self) -> str:
        return self.base + QUERY_PATH

    @property
    def payment_url(self) -> str:
        return self.base + PAY_PATH


def listen(host: str = HOST, port: int = 0) -> socket.socket:
    """Return a listening socket. Port 0 takes any free port. Raises :class:`~bursar.web.binding.CannotBind`."""
    return binding.listen(host, port, BACKLOG)


def addresses(listening: socket.socket) -> Addresses:
    host, port = listening.getsockname()[:2]
    return Addresses(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")


def simulator_server(simulator: Simulator, plan: MisbehaviourPlan | None = None) -> uvicorn.Server:
    """A uvicorn server, to be run with ``serve(sockets=[listen(…)])``; it stops at SIGINT and SIGTERM."""
    return uvicorn.Server(_config(simulator, plan))


@contextlib.asynccontextmanager
async def serving(
    simulator: Simulator,
    plan: MisbehaviourPlan | None = None,
    *,
    host: str = HOST,
    port: int = 0,
) -> AsyncIterator[Addresses]:
    """Serves the simulator in this event loop for the length of a ``with``; signals stay the surroundings' affair."""
    listening = listen(host, port)
    where = addresses(listening)
    server = _EmbeddedServer(_config(simulator, plan))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        # Whoever connects from here on is queued by the kernel until uvicorn is up.
        yield where
    finally:
        server.should_exit = True
        await running


class _EmbeddedServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _SimulatorProtocol(HttpToolsProtocol):
    """uvicorn's own protocol, with what a simulator needs besides: to hang up, and the short cut to its answers."""

    def __init__(self, config: uvicorn.Config, *others: Any, **named: Any) -> None:
        super().__init__(config, *others, **named)
        assert isinstance(config.app, SimulatorApp)
        self._short_cut = config.app.short_cut
        self._receiving = False

    def data_received(self, data: bytes) -> None:
        if not self._busy():
            reply = self._short_cut.reply(data)
            if reply is not None:
                self._unset_keepalive_if_required()
                self.transport.write(self._whole(*reply))
                if reply.closes:
                    self.transport.close()
                return
        super().data_received(data)

    def _busy(self) -> bool:
        """Whether an earlier request is still on the long way, in or out."""
        return (
            self._receiving
            or (self.cycle is not None and not self.cycle.response_complete)
            or self.flow.write_paused
            or self.transport.is_closing()
        )

    def _whole(self, answer: Answer, closes: bool) -> bytes:
        lines = [STATUS_LINE[answer.status]]
        lines += [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        lines.append(b"content-type: %b\r\n" % answer.content_type.encode())
        if closes:
            lines.append(b"connection: close\r\n")
        lines.append(b"content-length: %d\r\n\r\n" % len(answer.body))
        lines.append(answer.body)
        return b"".join(lines)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._receiving = True
        extensions: dict[str, Any] = {ABORT_EXTENSION: self._abort}
        self.scope["extensions"] = extensions

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._receiving = False

    def _abort(self, reset: bool) -> None:
        if reset:
            # Lingering for zero seconds makes the kernel send RST instead of FIN.
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.close()


def _config(simulator: Simulator, plan: MisbehaviourPlan | None) -> uvicorn.Config:
    return uvicorn.Config(
        simulator_app(simulator, plan),
        http=_SimulatorProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )
