"""``bursar up`` and ``bursar portal``: run all of Bursar, or only the portal, until a signal.

    up        portal + pages ── Pay.gov's simulator ── sweeper        keeps a reports process      one data folder
    portal    portal ───────────────────────────────── sweeper        keeps a reports process      Pay.gov as configured

Several portals may share one store and one port.
"""

import logging
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.parts.dashboard import development_dashboard, portal_dashboard
from bursar.bootstrap.parts.reports_socket import has_reports_process, reports_socket
from bursar.bootstrap.parts.transaction_log import sql_transaction_log
from bursar.bootstrap.reports_process import keep_reports_process, lake_tasks
from bursar.bootstrap.serving import address, background, bind, serving, until_stopped
from bursar.clock import steady_clock
from bursar.dashboard.multipart import UPLOADS
from bursar.dashboard.site import PREFIX
from bursar.paygov.simulator import Books, BooksError, Simulator, SimulatorSettings
from bursar.paygov.simulator.server import addresses, serving_on
from bursar.payments.catalogue.clients import Client
from bursar.portal.api.authentication import Authenticate, sigv4, without_signatures
from bursar.portal.api.rate_limits import ClientLimits, TokenBuckets
from bursar.portal.doors.asgi import AsgiApp, PortalApp, portal_app
from bursar.portal.metrics.metrics import Metrics
from bursar.portal.state.portal import DRAIN_TIMEOUT_S, Portal
from bursar.portal.upkeep.sweep_loop import run_sweeper
from bursar.private_files import make_private_folder
from bursar.reports.port import PaymentReports
from bursar.reports.server.client import RemoteReports
from bursar.settings import Settings
from bursar.startup import CannotStart
from bursar.web.binding import is_loopback
from bursar.web.connection_balancing import WorkerShare

BOOKS_FILE: Final = "paygov-books.jsonl"
DEVELOPMENT_CLIENT_ACCEPTED: Final = (
    "THE DEVELOPMENT CLIENT IS ACCEPTED: its key is public and it may charge every fee; use it for development only"
)
BURST_S: Final = 2.0
"""A client may use this many seconds of its rate in one burst."""
FORCED_INTERVAL_S: Final = 1.0
"""The longest time between two sweeps of `bursar up`, whose user watches an ACH debit settle within seconds."""

PrintLine = Callable[[str], None]
_log = logging.getLogger(__name__)


async def run_up(settings: Settings, print_line: PrintLine) -> None:
    """Run everything on one machine. ``print_line`` gets the lines for the terminal.

    Raises:
        CannotStart: the host is not loopback, a port is in use, the data folder cannot be written, or a file has a
            newer format.
    """
    if not is_loopback(settings.host):
        raise CannotStart(
            f"BURSAR_HOST: must be loopback, because `bursar up` verifies no signatures; got {settings.host}. "
            "Use `bursar portal` to serve other machines"
        )
    settings = replace(
        settings,
        auth="none",
        development_client=True,
        environment="local",
        sweep_interval_s=min(settings.sweep_interval_s, FORCED_INTERVAL_S),
    )
    async with AsyncExitStack() as stack:
        portal_socket = stack.enter_context(bind(settings.host, settings.port, "the portal"))
        paygov_socket = stack.enter_context(
            bind(settings.host, settings.simulator_port, "Pay.gov's simulator", flag="--simulator-port")
        )
        where = addresses(paygov_socket)
        settings = replace(
            settings,
            paygov_url=where.url,
            paygov_query_url=where.query_url,
            payment_url=where.payment_url,
            paygov_lookups_confirmed="details,query",
        )
        parts = await stack.enter_async_context(Composition(settings, metrics=Metrics()))
        portal, reports = await parts.portal(watches_lake=True), await _reports(parts)
        await stack.enter_async_context(serving_on(paygov_socket, _simulator(settings, parts, stack)))
        authenticate = _authentication(settings, parts)
        client = _first_client(parts)
        pages = await development_dashboard(
            parts, portal, reports, client, portal_url=address(portal_socket), payment_url=where.payment_url
        )
        stack.push_async_callback(portal.drain, DRAIN_TIMEOUT_S)
        await stack.enter_async_context(background(await _tasks(parts, portal, reports, logs_json=False)))
        limits = client_limits(settings)
        app = _app(parts, portal, reports, authenticate, limits, pages)
        await stack.enter_async_context(serving(app, portal_socket, refuse=app.refuse, uploads=UPLOADS))
        lines = (
            f"Dashboard            {address(portal_socket)}\n"
            f"Pay.gov (simulated)  {where.base}\n"
            f"Data folder          {settings.data} (kept; Ctrl-C stops)"
            f"{_warning(settings)}"
        )
        await until_stopped(on_ready=lambda: print_line(lines))
        print_line("Stopping: finishing the work that has begun …")


async def run_portal(settings: Settings, print_line: PrintLine) -> None:
    """Run the portal and its sweeper against the configured store and Pay.gov. Raises :class:`CannotStart`."""
    with bind(settings.host, settings.port, "the portal") as listening:
        await serve_portal(
            settings,
            listening,
            on_ready=lambda: print_line(portal_lines(settings, listening)),
            on_stop=lambda: print_line("Stopping: finishing the work that has begun …"),
        )


def portal_lines(settings: Settings, listening: socket.socket) -> str:
    """Return the line with the addresses of the portal, its store and Pay.gov; below it a warning, if there is one."""
    workers = f"  {settings.workers} workers" if settings.workers > 1 else ""
    where = f"Portal  {address(listening)}  store {settings.store_url}  Pay.gov {settings.paygov_url}{workers}"
    return where + _warning(settings)


def _warning(settings: Settings) -> str:
    return f"\nWARNING  {DEVELOPMENT_CLIENT_ACCEPTED}" if settings.accepts_development_client else ""


async def serve_portal(
    settings: Settings,
    listening: socket.socket,
    *,
    on_ready: Callable[[], None],
    on_stop: Callable[[], None],
    lifeline: int | None = None,
    share: WorkerShare | None = None,
    metrics: Metrics | None = None,
    limits: ClientLimits | None = None,
) -> None:
    """Serve the portal on ``listening`` until a signal (:func:`~bursar.bootstrap.serving.until_stopped`).

    ``share``, ``metrics`` and ``limits`` belong to this process if it is one of several that serve one port.
    """
    metrics = metrics or Metrics()
    limits = limits or client_limits(settings)
    async with AsyncExitStack() as stack:
        stack.callback(metrics.publish)  # after everything has ended, so that all counts are kept
        parts = await stack.enter_async_context(Composition(settings, metrics=metrics))
        authenticate = _authentication(settings, parts)
        portal, reports = await parts.portal(watches_lake=True), await _reports(parts)
        stack.push_async_callback(portal.drain, DRAIN_TIMEOUT_S)
        tasks = [*await _tasks(parts, portal, reports, logs_json=True), metrics.publish_regularly()]
        await stack.enter_async_context(background(tasks))
        pages = await portal_dashboard(parts, portal, reports)
        app = _app(parts, portal, reports, authenticate, limits, pages)
        await stack.enter_async_context(serving(app, listening, refuse=app.refuse, share=share, uploads=UPLOADS))
        await until_stopped(lifeline, on_ready=on_ready)
        on_stop()


def client_limits(settings: Settings, shared: TokenBuckets | None = None, worker: int = 0) -> ClientLimits:
    """Return the limits of each client. ``shared``: the memory that the workers of a server share, if any."""
    return ClientLimits(
        steady_clock,
        at_once_max=settings.at_once_max,
        rate_per_s=settings.rate_per_s,
        burst=max(1.0, BURST_S * settings.rate_per_s),
        shared=shared,
        worker=worker,
    )


async def check_portal(settings: Settings) -> None:
    """Make every part of the portal, and so the table and its rules, and close the parts without serving.

    Raises:
        CannotStart: as :func:`serve_portal`.
    """
    async with Composition(settings) as parts:
        _authentication(settings, parts)
        await parts.portal()
        await parts.reports()
        await parts.webhooks()


def _app(
    parts: Composition,
    portal: Portal,
    reports: PaymentReports,
    authenticate: Authenticate,
    limits: ClientLimits,
    others: AsgiApp | None = None,
) -> PortalApp:
    """Return the portal's application with the endpoints that only a server has: the log, metrics and other pages."""
    log = sql_transaction_log(reports, parts.fees)
    return portal_app(
        portal,
        authenticate,
        log=log,
        reports=reports,
        metrics=parts.metrics,
        limits=limits,
        others=others,
        others_below=PREFIX,
        body_timeout_s=None,
        cors_origins=parts.settings.browser_origins,
    )


def _authentication(settings: Settings, parts: Composition) -> Authenticate:
    if settings.clients is None:
        _require_development_client(settings)
        _log.warning(DEVELOPMENT_CLIENT_ACCEPTED)
    if settings.auth == "none":
        return _unverified_callers(settings, _first_client(parts))
    return sigv4(parts.clients, clock=parts.clock)


def _require_development_client(settings: Settings) -> None:
    """Raise :class:`CannotStart` unless the settings allow the development client and the portal is on loopback."""
    if not is_loopback(settings.host):
        raise CannotStart(
            "BURSAR_CLIENTS: must name the clients' file where other machines can reach the portal, because the "
            f"development client's key is public; BURSAR_HOST is {settings.host}"
        )
    if not settings.development_client:
        raise CannotStart(
            "BURSAR_CLIENTS is not set: name the clients' file, or set BURSAR_DEVELOPMENT_CLIENT=true to accept the "
            "development client, whose key is public"
        )


def _unverified_callers(settings: Settings, client: Client) -> Authenticate:
    try:
        return without_signatures(client, listens_on=[settings.host])
    except ValueError as error:
        raise CannotStart(f"BURSAR_AUTH=none: {error}") from error


def _first_client(parts: Composition) -> Client:
    name = parts.clients.names[0]
    client = parts.clients.by_name(name)
    assert client is not None
    return client


def _simulator(settings: Settings, parts: Composition, stack: AsyncExitStack) -> Simulator:
    try:
        make_private_folder(settings.data)
        books = Books(Path(settings.data) / BOOKS_FILE)
    except (BooksError, OSError) as error:
        raise CannotStart(f"the simulator's books: {error}") from error
    stack.callback(books.close)
    return Simulator(parts.clock, parts.randomness, books, SimulatorSettings(ach_settle_s=settings.ach_settle_s))


async def _reports(parts: Composition) -> PaymentReports:
    """Return the reports of the reports process, or of this process if the store is in memory."""
    local = await parts.reports()  # this also reports a lake that cannot be opened
    return RemoteReports(reports_socket(parts.settings)) if has_reports_process(parts.settings) else local


async def _tasks(parts: Composition, portal: Portal, reports: PaymentReports, *, logs_json: bool) -> list[Any]:
    settings, webhooks = parts.settings, await parts.webhooks()
    keepers = (
        [keep_reports_process(settings, logs_json=logs_json)]
        if has_reports_process(settings)
        else lake_tasks(reports, settings, parts.clock)
    )
    tasks = [run_sweeper(portal, settings.sweep_interval_s), *keepers, *parts.tasks()]
    return tasks if webhooks is None else [*tasks, webhooks.run()]
