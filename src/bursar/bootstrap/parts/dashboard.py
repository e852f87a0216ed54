"""Make the dashboard from the settings: for `bursar up`, for the portal, and for a process that serves it alone."""

import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.parts.provider import people_of, provider_of
from bursar.bootstrap.parts.reports_socket import has_reports_process, reports_socket, upkeep_path
from bursar.bootstrap.reports_process import keep_reports_process
from bursar.bootstrap.serving import address, background, bind, serving, until_stopped
from bursar.dashboard.application import dashboard_app
from bursar.dashboard.multipart import UPLOADS
from bursar.dashboard.parts import DashboardParts, SandboxParts
from bursar.dashboard.sign_in.accounts import Accounts, DevelopmentAccounts
from bursar.dashboard.sign_in.provider.provider import IdentityProvider
from bursar.dashboard.state_file import StateFile
from bursar.dashboard.upkeep_notes import UpkeepNotes
from bursar.payments.catalogue.clients import Client
from bursar.portal.doors.asgi import AsgiApp
from bursar.portal.state.portal import Portal
from bursar.private_files import TooOpen
from bursar.reports.lake.upkeep import UpkeepFile
from bursar.reports.port import PaymentReports
from bursar.reports.server.client import RemoteReports
from bursar.settings import Settings
from bursar.startup import CannotStart

STATE_FILE: Final = "dashboard.db"


async def run_dashboard(settings: Settings, print_line: Callable[[str], None]) -> None:
    """Serve only the dashboard, beside a portal, until a signal. Its pages only read: they offer no actions.

    Raises:
        CannotStart: a port is in use, there is no store, or a file cannot be used.
    """
    async with AsyncExitStack() as stack:
        listening = stack.enter_context(bind(settings.host, settings.dashboard_port, "the dashboard"))
        parts = await stack.enter_async_context(Composition(settings, creates_store=False))
        if has_reports_process(settings):
            await parts.ledger()
            reports: PaymentReports = RemoteReports(reports_socket(settings))
            await stack.enter_async_context(background([keep_reports_process(settings, logs_json=True)]))
        else:
            reports = await parts.reports()
        app = dashboard_app(
            await dashboard_parts(parts, reports, people_of(settings), provider=provider_of(settings, parts.clock))
        )
        await stack.enter_async_context(serving(app, listening, uploads=UPLOADS))
        await until_stopped(on_ready=lambda: print_line(f"Dashboard  {address(listening)}  store {settings.store_url}"))
        print_line("Stopping: finishing the work that has begun …")


async def development_dashboard(
    parts: Composition,
    portal: Portal,
    reports: PaymentReports,
    client: Client,
    *,
    portal_url: str,
    payment_url: str,
) -> AsgiApp:
    """Return the dashboard of `bursar up`: without passwords, and with the sandbox. Raises :class:`CannotStart`."""
    sandbox = SandboxParts(client=client, portal_url=portal_url, payment_url=payment_url)
    made = await dashboard_parts(parts, reports, DevelopmentAccounts(), portal=portal, sandbox=sandbox)
    return dashboard_app(made)


async def portal_dashboard(parts: Composition, portal: Portal | None, reports: PaymentReports) -> AsgiApp | None:
    """Return the dashboard of the portal, or None if the settings turn it off. Raises :class:`CannotStart`."""
    if not parts.settings.dashboard:
        return None
    people = people_of(parts.settings)
    provider = provider_of(parts.settings, parts.clock)
    made = await dashboard_parts(parts, reports, people, portal=portal, provider=provider)
    return dashboard_app(made)


async def dashboard_parts(
    parts: Composition,
    reports: PaymentReports,
    accounts: Accounts,
    *,
    portal: Portal | None = None,
    sandbox: SandboxParts | None = None,
    provider: IdentityProvider | None = None,
) -> DashboardParts:
    """Return the parts of the dashboard; without ``portal`` its pages only read. Raises :class:`CannotStart`."""
    settings = parts.settings
    return DashboardParts(
        ledger=await parts.ledger(),
        reports=reports,
        fees=parts.fees,
        clients=parts.clients,
        accounts=accounts,
        state=open_state(settings),
        clock=parts.clock,
        environment=settings.environment,
        own_url=settings.dashboard_url,
        portal=portal,
        record=portal or await parts.portal(asks_paygov=False),
        sandbox=sandbox,
        provider=provider,
        webhooks=await parts.webhooks(),
        upkeep=UpkeepNotes(Path(settings.data)),
        lake=UpkeepFile(upkeep_path(settings)),
        workers=settings.workers,
    )


def open_state(settings: Settings) -> StateFile:
    """Open the dashboard's own file in the data folder. Raises :class:`CannotStart`."""
    path = Path(settings.data) / STATE_FILE
    try:
        return StateFile(path)
    except (TooOpen, OSError, sqlite3.Error) as error:
        raise CannotStart(f"the dashboard's file {path}: {error}") from error
