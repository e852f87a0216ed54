"""Serves the simulator with uvicorn, in a separate process or inside another one (``bursar up``, tests)."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bursar.paygov.protocol import ONLINE_PATH, PAY_PATH, QUERY_PATH
from bursar.paygov.simulator.app import ABORT_EXTENSION, simulator_app
from bursar.paygov.simulator.core import Simulator
from bursar.paygov.simulator.misbehaviour import MisbehaviourPlan
from bursar.web import binding

HOST = "127.0.0.1"
BACKLOG = 1_024
GRACE_S = 2
"""The seconds in which a stopping simulator lets requests finish. uvicorn needs a whole number."""


@dataclass(frozen=True)
class Addresses:
    """The addresses of a served simulator, for a PayGovConfig."""

    base: str

    @property
    def url(self) -> str:
        """The URL of TCSOnlineService."""
        return self.base + ONLINE_PATH

    @property
    def query_url(self) -> str:
        """The URL of TCSSingleQueryService."""
        return self.base + QUERY_PATH

    @property
    def payment_url(self) -> str:
        """The URL of the hosted pages."""
        return self.base + PAY_PATH


def listen(host: str = HOST, port: int = 0) -> socket.socket:
    """Return a listening socket. Port 0 takes any free port. Raises :class:`~bursar.web.binding.CannotBind`."""
    return binding.listen(host, port, BACKLOG)


def addresses(listening: socket.socket) -> Addresses:
    """Return the addresses of a simulator that listens on a socket."""
    host, port = listening.getsockname()[:2]
    return Addresses(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")


def simulator_server(simulator: Simulator, plan: MisbehaviourPlan | None = None) -> uvicorn.Server:
    """Return a uvicorn server. Run it with ``serve(sockets=[listen(…)])``; it stops at SIGINT and SIGTERM."""
    return uvicorn.Server(simulator_config(simulator_app(simulator, plan)))


@contextlib.asynccontextmanager
async def serving(
    simulator: Simulator,
    plan: MisbehaviourPlan | None = None,
    *,
    host: str = HOST,
    port: int = 0,
) -> AsyncIterator[Addresses]:
    """Serve the simulator in this event loop during a ``with``. The caller keeps handling signals."""
    async with serving_config(simulator_config(simulator_app(simulator, plan)), host=host, port=port) as where:
        yield where


@contextlib.asynccontextmanager
async def serving_config(config: uvicorn.Config, *, host: str = HOST, port: int = 0) -> AsyncIterator[Addresses]:
    """Serve a simulator with the given configuration in this event loop during a ``with``."""
    listening = listen(host, port)
    async with _serving_on(listening, config):
        # The kernel queues connections until uvicorn accepts them.
        yield addresses(listening)


@contextlib.asynccontextmanager
async def serving_on(listening: socket.socket, simulator: Simulator) -> AsyncIterator[None]:
    """Serve the simulator on a listening socket during a ``with``; leaving it closes the socket."""
    async with _serving_on(listening, simulator_config(simulator_app(simulator))):
        yield


@contextlib.asynccontextmanager
async def _serving_on(listening: socket.socket, config: uvicorn.Config) -> AsyncIterator[None]:
    server = _EmbeddedServer(config)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await running


class _EmbeddedServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class SimulatorProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which also lets the app end its connection in the middle of a reply."""

    def on_message_begin(self) -> None:
        """Begin a request, and put :data:`~bursar.paygov.simulator.app.ABORT_EXTENSION` into its scope."""
        super().on_message_begin()
        extensions: dict[str, Any] = {ABORT_EXTENSION: self._abort}
        self.scope["extensions"] = extensions

    def _abort(self, reset: bool) -> None:
        self.cycle.disconnected = True  # so that uvicorn logs no error of an application that does not answer
        if reset:
            # Lingering for zero seconds makes the kernel send RST instead of FIN.
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.close()


def simulator_config(app: ASGIApp, protocol: type[SimulatorProtocol] = SimulatorProtocol) -> uvicorn.Config:
    """Return the configuration of a uvicorn server for ``app``."""
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )
