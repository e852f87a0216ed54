"""Serve a store over HTTP: :func:`start_server` in a running event loop, :func:`serve` in processes.

Workers are processes that each open the file and each listen on the port (SO_REUSEPORT: the kernel distributes the
connections, and the workers balance them). A server that cannot start raises :class:`CannotStart`, whose one-line text
the command prints before it exits with code 2.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bursar.clock import Clock, system_clock
from bursar.dynamo.regions import DEFAULT_REGION
from bursar.dynamo.server.admission import Access
from bursar.dynamo.server.connection import CallbackEngine, DynamoServer
from bursar.dynamo.server.isolation import IsolatedStores
from bursar.startup import CannotStart
from bursar.web.binding import bind, is_loopback
from bursar.web.connection_balancing import WorkerShare

if TYPE_CHECKING:
    from bursar.dynamo.engine.engine import Engine
    from bursar.dynamo.engine.group_commit import AsyncEngine

DEFAULT_PORT = 8000  # where SDK examples expect a local DynamoDB
SHUTDOWN_S_MAX = 10.0

COLLECT_AFTER_ALLOCATIONS = 50_000
"""The threshold of the cycle collector. A request creates some hundred dicts without cycles. At Python's default of 700
the collector would run every few requests, find nothing, and take a tenth of the time."""

MEMORY = ":memory:"

Beside = Callable[["AsyncEngine"], Awaitable[Callable[[], Awaitable[None]]]]
"""Starts further work in the event loop, on the same engine; returns the function that ends it."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The settings of :func:`serve`.

    ``open_to_anyone``: other hosts may use a server without access keys. ``shared_by_loop`` makes the engine for the
    event loop; None for the usual one. Each of ``beside`` starts what else the process does with the same engine, and
    returns what ends it. ``open_isolated`` opens the separate store of an access key and region; None for one store.
    """

    path: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    workers: int = 1
    open_to_anyone: bool = False
    shared_by_loop: "Callable[[Engine], AsyncEngine] | None" = None
    beside: "tuple[Beside, ...]" = ()
    open_isolated: "Callable[[str], Engine] | None" = None


class RunningServer:
    """A server in the event loop of this process. It listens at ``url``."""

    def __init__(self, server: DynamoServer, host: str, port: int) -> None:
        self._server = server
        self.host = host
        self.port = port
        self.url = url_of(host, port)

    async def close(self, within_s: float = SHUTDOWN_S_MAX) -> None:
        """Stop listening, answer the requests that have arrived, and end every connection. The engine stays open."""
        await self._server.close(within_s)


async def start_server(
    engine: CallbackEngine,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    access: Access | None = None,
    open_to_anyone: bool = False,
    clock: Clock = system_clock,
    process_id_bytes: bytes | None = None,
    listener: socket.socket | None = None,
    share: WorkerShare | None = None,
    stores: IsolatedStores | None = None,
    region: str = DEFAULT_REGION,
) -> RunningServer:
    """Serve ``engine`` in the running event loop. Port 0 takes any free port.

    ``share`` is this process's share of the connections, if several workers serve one port. With ``stores``, these
    answer requests instead of ``engine``. ``region`` is in the answer to a health check.

    Raises:
        CannotStart: other hosts could use the server without access keys, or the port cannot be bound.
    """
    require_safe(host, access, open_to_anyone)
    listener = listener or bind(host, port, shared=False)
    server = DynamoServer(
        engine,
        access=access,
        clock=clock,
        process_id_bytes=process_id_bytes or os.urandom(16),
        share=share,
        region=region,
    )
    if stores is not None:
        server.isolate(stores)
    port = listener.getsockname()[1]
    await server.listen(listener)
    return RunningServer(server, host, port)


def serve(
    settings: ServerSettings,
    *,
    open_engine: "Callable[[str], Engine]",
    access: Access | None = None,
    announce: Callable[[str], None],
) -> None:
    """Serve a store until SIGINT or SIGTERM, then answer the requests that have arrived, and end.

    ``open_engine`` opens the store in each worker. ``announce`` is called with the URL once connections are accepted.

    Raises:
        CannotStart: by the settings, the port or the file, or because workers crash.
    """
    require_safe(settings.host, access, settings.open_to_anyone)
    if settings.workers < 1:
        raise CannotStart(f"--workers: must be at least 1; got {settings.workers}")
    if settings.workers > 1 and settings.path == MEMORY:
        raise CannotStart(
            f"--workers: must be 1 for a store in memory; got {settings.workers}. Give --data a file, or use one worker"
        )
    if settings.workers == 1:
        listener = bind(settings.host, settings.port, shared=False)
        with listener:  # the event loop uses a duplicate of the descriptor
            engine = open_or_explain(open_engine, settings.path)
            _run_worker(engine, listener, settings, access, announce)
        return
    from bursar.web.worker_processes import WorkerProcesses

    # The first socket finds out whether another server has the port. The second reserves it without listening, so that
    # every worker can bind it, replacements included.
    bind(settings.host, settings.port, shared=False).close()
    with bind(settings.host, settings.port, shared=True) as placeholder:
        port = placeholder.getsockname()[1]
        open_or_explain(open_engine, settings.path).close()  # an error of the file is reported once, before any fork

        def work(lifeline: int, ready: Callable[[], None], share: WorkerShare) -> None:
            listener = bind(settings.host, port, shared=True)
            engine = open_or_explain(open_engine, settings.path)
            _run_worker(engine, listener, settings, access, lambda _url: ready(), lifeline, share)

        failed = WorkerProcesses(settings.workers, work).run(lambda: announce(url_of(settings.host, port)))
    if failed:
        raise CannotStart(failed)


def require_safe(host: str, access: Access | None, open_to_anyone: bool) -> None:
    """Raise :class:`CannotStart` if other machines could read and write without access keys."""
    if access is None and not open_to_anyone and not is_loopback(host):
        raise CannotStart(
            f"--host: must be a loopback address without access keys; got {host}. "
            "Give --credentials FILE or --open-to-anyone"
        )


def url_of(host: str, port: int) -> str:
    """Return the URL at which this machine reaches a server that listens on ``host``."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def open_or_explain(open_engine: "Callable[[str], Engine]", path: str) -> "Engine":
    """Open a store. Raise :class:`CannotStart` with the reason if the file cannot be opened."""
    import apsw

    from bursar.dynamo.storage.sqlite_file import StoreFormatError

    try:
        return open_engine(path)
    except StoreFormatError as error:
        raise CannotStart(str(error)) from None
    except apsw.Error as error:
        raise CannotStart(f"cannot open {path}: {_file_reason(path) or error}") from None


def _file_reason(path: str) -> str | None:
    """Return the reason why SQLite cannot open a file, if it can be found."""
    file = Path(path)
    if file.is_dir():
        return "it is a folder"
    if not file.parent.is_dir():
        return f"there is no folder {file.parent}"
    if not os.access(file.parent, os.W_OK):
        return f"the folder {file.parent} is not writable (--read-only opens an existing store)"
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        return "this user cannot read and write the file (--read-only opens it for reading)"
    return None


def _run_worker(
    engine: "Engine",
    listener: socket.socket,
    settings: ServerSettings,
    access: Access | None,
    announce: Callable[[str], None],
    lifeline: int | None = None,
    share: WorkerShare | None = None,
) -> None:
    """Serve in this process until a signal to stop, or until the other end of ``lifeline`` is closed."""
    if sys.platform == "win32":
        new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    else:
        import uvloop

        new_loop = uvloop.new_event_loop
    gc.collect()
    gc.freeze()  # modules are never collected
    gc.set_threshold(COLLECT_AFTER_ALLOCATIONS)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve_until_stopped(engine, listener, settings, access, announce, lifeline, share))


async def _serve_until_stopped(
    engine: "Engine",
    listener: socket.socket,
    settings: ServerSettings,
    access: Access | None,
    announce: Callable[[str], None],
    lifeline: int | None,
    share: WorkerShare | None,
) -> None:
    from bursar.dynamo.engine.group_commit import AsyncEngine

    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop_requested.set)
    if lifeline is not None:
        loop.add_reader(lifeline, stop_requested.set)
    shared = (settings.shared_by_loop or AsyncEngine)(engine)
    stores = None if settings.open_isolated is None else IsolatedStores(_isolated(settings.open_isolated, listener))
    try:
        server = await start_server(
            shared,
            host=settings.host,
            access=access,
            open_to_anyone=settings.open_to_anyone,
            listener=listener,
            share=share,
            stores=stores,
            region=engine.region,
        )
        engine.set_address(server.url.removeprefix("http://"))
        shared.start_housekeeping()
        announce(server.url)
        ending = [await start(shared) for start in settings.beside]
        await stop_requested.wait()
        if lifeline is not None:
            loop.remove_reader(lifeline)
        for end in ending:
            await end()
        await server.close()
    finally:
        if stores is not None:
            await stores.close()
        await shared.close()


def _isolated(open_engine: "Callable[[str], Engine]", listener: socket.socket) -> "Callable[[str], AsyncEngine]":
    """Return the function that opens a separate store and begins its housekeeping."""
    from bursar.dynamo.engine.group_commit import AsyncEngine

    host, port = listener.getsockname()[:2]

    def open_store(name: str) -> "AsyncEngine":
        engine = open_or_explain(open_engine, name)
        engine.set_address(url_of(host, port).removeprefix("http://"))
        store = AsyncEngine(engine)
        store.start_housekeeping()
        return store

    return open_store
