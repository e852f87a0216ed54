"""Runs the web servers and background tasks of one process until it is told to stop, then ends them in order.

    SIGINT, SIGTERM ─► no new connections ─► requests end ─► background tasks end ─► what they began ends ─► parts close

Ports are bound before anything else starts, so that a busy one is a clear line and nothing half-started.
"""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Final

from starlette.types import ASGIApp

from bursar.startup import CannotStart
from bursar.web import binding
from bursar.web.asgi_server import BACKLOG, start_asgi_server
from bursar.web.connection_balancing import Seat
from bursar.web.refusals import Refuse, plain_refusal

REQUEST_GRACE_S: Final = 30
COLLECT_AFTER_ALLOCATIONS: Final = 50_000
"""Python's own 700 would look for cycles several times per payment, and requests make hardly any."""


def bind(host: str, port: int, what: str, *, flag: str = "--port", shared: bool = False) -> socket.socket:
    """Return a socket that listens; with ``shared``, one that several processes bind and that does not listen yet.

    ``flag`` is the option that sets the port.

    Raises:
        CannotStart: naming ``what`` needs the port.
    """
    try:
        return binding.bind(host, port, shared=True) if shared else binding.listen(host, port, BACKLOG)
    except binding.CannotBind as error:
        remedy = f"; choose another with {flag}" if error.in_use else ""
        raise CannotStart(f"{what} {error}{remedy}") from error


def address(listening: socket.socket) -> str:
    """``http://host:port`` of a bound socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp, listening: socket.socket, *, refuse: Refuse = plain_refusal, seat: Seat | None = None
) -> AsyncIterator[None]:
    """Serve ``app`` for the length of a ``with``; leaving it waits ``REQUEST_GRACE_S`` for requests under way.

    Args:
        refuse: words the answers to requests that cannot be read.
        seat: this process's place among the workers that serve one port.
    """
    server = await start_asgi_server(app, listening, refuse=refuse, seat=seat)
    try:
        yield
    finally:
        await server.close(REQUEST_GRACE_S)


@contextlib.asynccontextmanager
async def background(tasks: Sequence[Coroutine[Any, Any, Any]]) -> AsyncIterator[None]:
    """Runs ``tasks`` for the length of a ``with`` and cancels them at its end."""
    running = [asyncio.create_task(task) for task in tasks]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def until_stopped(lifeline: int | None = None, *, on_ready: Callable[[], None] = lambda: None) -> None:
    """Returns at the first SIGINT or SIGTERM, or when ``lifeline``, a descriptor, says that the parent is gone.

    Whoever waits here has made what it needs and serves: memory is settled for that. ``ready`` is called once a signal
    would be heard: who is told that all is ready may send one at once.
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
    """What was made so far is never garbage, and cycles are looked for seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_ALLOCATIONS)
