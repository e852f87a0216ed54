"""Run the web servers and background tasks of one process until a signal, then end them in order.

    SIGINT, SIGTERM ─► no new connections ─► requests end ─► background tasks end ─► work they began ends ─► parts close

Ports are bound before anything else starts, so a busy port is reported before anything has to be undone.
"""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

from starlette.types import ASGIApp

from bursar.startup import CannotStart
from bursar.web import binding
from bursar.web.asgi_server import UploadLimit, start_asgi_server
from bursar.web.connection_balancing import WorkerShare
from bursar.web.http_server import BACKLOG
from bursar.web.refusals import Refuse, plain_refusal

REQUEST_GRACE_S: Final = 30
COLLECT_AFTER_ALLOCATIONS: Final = 50_000
"""The allocations between two garbage collections.

Python's default of 700 gives several per payment, which find few cycles.
"""


def bind(host: str, port: int, what: str, *, flag: str = "--port", shared: bool = False) -> socket.socket:
    """Return a listening socket; with ``shared``, one that several processes may bind, and that does not listen yet.

    ``flag`` is the option that sets the port.

    Raises:
        CannotStart: the port cannot be bound; the text begins with ``what``, the server that needs it.
    """
    try:
        return binding.bind(host, port, shared=True) if shared else binding.listen(host, port, BACKLOG)
    except binding.CannotBind as error:
        remedy = f"; choose another with {flag}" if error.in_use else ""
        raise CannotStart(f"{what} {error}{remedy}") from error


def address(listening: socket.socket) -> str:
    """Return ``http://host:port`` of a bound socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp,
    listening: socket.socket,
    *,
    refuse: Refuse = plain_refusal,
    share: WorkerShare | None = None,
    uploads: Mapping[str, UploadLimit] | None = None,
) -> AsyncIterator[None]:
    """Serve ``app`` for the length of a ``with``; leaving it waits ``REQUEST_GRACE_S`` for requests in progress.

    ``refuse`` makes the answers to requests that cannot be read. ``share`` is this process's share of the
    connections, if several workers serve one port. ``uploads``: the bounds of paths that take large bodies.
    """
    server = await start_asgi_server(app, listening, refuse=refuse, share=share, uploads=uploads)
    try:
        yield
    finally:
        await server.close(REQUEST_GRACE_S)


@contextlib.asynccontextmanager
async def background(tasks: Sequence[Coroutine[Any, Any, Any]]) -> AsyncIterator[None]:
    """Run ``tasks`` for the length of a ``with`` and cancel them at its end."""
    running = [asyncio.create_task(task) for task in tasks]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def until_stopped(lifeline: int | None = None, *, on_ready: Callable[[], None] = lambda: None) -> None:
    """Return at the first SIGINT or SIGTERM, or when ``lifeline``, a descriptor, reports that the parent has ended.

    Call it when all parts are made: it tunes the garbage collector for serving. ``on_ready`` is called when signals are
    handled, because a program that sees that the process is ready may send one at once.
    """
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    if lifeline is not None:
        loop.add_reader(lifeline, stopped.set)
    try:
        _collect_garbage_less_often()
        on_ready()
        await stopped.wait()
    finally:
        if lifeline is not None:
            loop.remove_reader(lifeline)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _collect_garbage_less_often() -> None:
    """Exclude all present objects from garbage collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_ALLOCATIONS)
