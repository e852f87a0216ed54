"""Factories of the objects that commands use, from the settings in force. The command line passes them to commands.

Each factory returns an async context manager or plain values. If a part cannot be made, the command ends with one
line and exit code 2. No factory creates a store: these commands run beside a portal, whose store exists.
"""

import logging
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

from bursar.bootstrap.commands import UNUSABLE, settings_from
from bursar.bootstrap.composition import Composition
from bursar.startup import CannotStart

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store
    from bursar.paygov.commands import Connection
    from bursar.portal.state.portal import Portal
    from bursar.portal.webhooks.dispatcher import Dispatcher
    from bursar.reports.athena.engine import AthenaEngine
    from bursar.reports.exported_lake import ExportedLake
    from bursar.reports.port import PaymentReports
    from bursar.reports.reconciliation.commands import ReconciliationParts
    from bursar.reports.report_questions import KnownNames
    from bursar.rules.command_inputs import Defaults


@asynccontextmanager
async def reports() -> "AsyncIterator[PaymentReports]":
    """Make SQL over every payment, for ``bursar sql``, ``report`` and ``lake``.

    The reports process answers, if one runs for these settings; otherwise this process opens the store and the lake.
    """
    from bursar.reports.server.priority import lower_priority

    remote = await _served_reports()
    if remote is not None:
        yield remote
        return
    lower_priority()
    async with _composition() as parts:
        yield await parts.reports()


def known_names() -> "KnownNames":
    """Return the fees of the catalogue and the clients of the clients' file, for ``bursar report``."""
    parts = Composition(settings_from({}))
    try:
        return parts.known_names()
    except CannotStart as error:
        click.echo(f"bursar: {error}", err=True)
        sys.exit(UNUSABLE)


def exported_lake() -> "ExportedLake":
    """Make the lake of the settings' table, for ``bursar lake build`` and ``follow``."""
    from bursar.reports.exported_lake import ExportedLake
    from bursar.reports.lake.retention import Retention
    from bursar.reports.server.priority import lower_priority

    lower_priority()
    settings = settings_from({})
    return ExportedLake(settings.lake_url, settings.table, Retention(settings.lake_retention_years))


def lake_url() -> str:
    """Return the URL of the lake, for ``bursar lake ddl``."""
    return settings_from({}).lake_url


@asynccontextmanager
async def athena() -> "AsyncIterator[AthenaEngine]":
    """Make Athena over the lake's tables, for ``bursar report --engine athena``. It needs neither store nor lake."""
    from bursar.reports.athena.api import open_athena
    from bursar.reports.athena.engine import AthenaEngine, AthenaPlace

    settings = settings_from({})
    place = AthenaPlace(settings.athena_workgroup, settings.athena_database, settings.athena_output)
    api = open_athena()
    try:
        yield AthenaEngine(api, place)
    finally:
        await api.close()


@asynccontextmanager
async def reconciliation() -> "AsyncIterator[ReconciliationParts]":
    """Make SQL over every payment and the ledger, for ``bursar reconcile``."""
    from bursar.reports.reconciliation.commands import ReconciliationParts
    from bursar.reports.server.priority import lower_priority

    lower_priority()
    remote = await _served_reports()
    async with _composition() as parts:
        asked = await parts.reports() if remote is None else remote
        yield ReconciliationParts(asked, await parts.ledger(), parts.clients, parts.clock)


async def _served_reports() -> "PaymentReports | None":
    """Return the reports process of these settings; None if none runs."""
    from bursar.bootstrap.parts.reports_socket import reports_socket
    from bursar.reports.server.client import RemoteReports

    remote = RemoteReports(reports_socket(settings_from({})), start_wait_s=0.0)
    return remote if await remote.is_served() else None


@asynccontextmanager
async def portal() -> "AsyncIterator[Portal]":
    """Make a portal over the configured store and Pay.gov, for ``bursar sweep``."""
    async with _composition() as parts:
        yield await parts.portal()


@asynccontextmanager
async def record() -> "AsyncIterator[Portal]":
    """Make a portal that never calls Pay.gov, for ``bursar attention`` and ``resolve``."""
    async with _composition() as parts:
        yield await parts.portal(asks_paygov=False)


@asynccontextmanager
async def webhooks() -> "AsyncIterator[Dispatcher]":
    """Make the dispatcher of ``BURSAR_WEBHOOKS``, for ``bursar webhooks``."""
    async with _composition() as parts:
        dispatcher = await parts.webhooks()
        if dispatcher is None:
            raise CannotStart("BURSAR_WEBHOOKS is not set: there are no webhooks")
        yield dispatcher


@asynccontextmanager
async def paygov() -> "AsyncIterator[Connection]":
    """Make a connection to Pay.gov, for ``bursar paygov probe``."""
    from bursar.paygov.commands import Connection

    async with _composition() as parts:
        fees = [parts.fees.fee(key, parts.clock()) for key in parts.fees.keys]
        tcs_app_ids = tuple(fee.tcs_app_id for fee in fees if fee is not None)
        yield Connection(*parts.paygov_connection(), tcs_app_ids)


def rules() -> "Defaults":
    """Return the payments table and its rules, for ``bursar audit`` and ``rules``."""
    from bursar.bootstrap.parts.upkeep import keep_note
    from bursar.payments.audit.payment_history import PaymentHistory
    from bursar.payments.ledger.ledger import Ledger
    from bursar.payments.rules import payment_rules
    from bursar.rules.command_inputs import Defaults

    settings = settings_from({})
    parts = Composition(settings)

    def history(store: "Store", table: str) -> PaymentHistory:
        ledger = Ledger(store, clock=parts.clock, randomness=parts.randomness, table=table, fees=parts.fees)
        return PaymentHistory(store, table, ledger.daily_roots, parts.root_copies, clock=parts.clock)

    def keep_audit(of_history: bool, findings: int, lines: list[str]) -> None:
        keep_note(settings, "chain_audit" if of_history else "audit", parts.clock(), findings=findings, lines=lines)

    return Defaults(
        store_url=settings.store_url,
        store_setting=settings.store_setting,
        table=settings.table,
        rules=lambda: payment_rules(parts.fees),
        history=history,
        keep_audit=keep_audit,
    )


@asynccontextmanager
async def _composition() -> AsyncIterator[Composition]:
    settings = settings_from({})
    logging.basicConfig(level=settings.log_level.upper())
    try:
        async with Composition(settings, creates_store=False) as parts:
            yield parts
    except CannotStart as error:
        click.echo(f"bursar: {error}", err=True)
        sys.exit(UNUSABLE)


FACTORIES: Mapping[str, Any] = {
    "athena": athena,
    "known_names": known_names,
    "lake_url": lake_url,
    "exported_lake": exported_lake,
    "reconciliation": reconciliation,
    "reports": reports,
    "paygov": paygov,
    "portal": portal,
    "record": record,
    "rules": rules,
    "webhooks": webhooks,
}
