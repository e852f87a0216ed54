"""Serves the simulator with uvicorn, in a process of its own or inside another (``bursar up``, tests)."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bursar.paygov.protocol import ONLINE_PATH, PAY_PATH, QUERY_PATH
from bursar.paygov.simulator.app import ABORT_EXTENSION, simulator_app
from bursar.paygov.simulator.core import Simulator
from bursar.paygov.simulator.misbehaviour import MisbehaviourPlan

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
    """A listening socket; port 0: any free one. Raises OSError when the port is busy or the host is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


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


class _AbortableProtocol(HttpToolsProtocol):
    """uvicorn's own protocol, with the one thing that a simulator of bad networks needs besides: to hang up."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions: dict[str, Any] = {ABORT_EXTENSION: self._abort}
        self.scope["extensions"] = extensions

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
        http=_AbortableProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )
