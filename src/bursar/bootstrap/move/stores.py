"""The two stores of a move, opened from their URLs, with the audits of their payments."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.move.moving import AuditStore, Move, MovedTable, MoveOptions, MoveRefused, Note
from bursar.dynamo.clients.store import MEMORY, Store, file_of, open_store
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.tools.moving.patient_store import PatientStore
from bursar.payments.audit.payment_history import PaymentHistory
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.ledger.store_records.move_state import MOVE_KEY
from bursar.payments.ledger.table import table_definition
from bursar.portal.webhooks.queue import TABLE_NAME as WEBHOOKS_TABLE
from bursar.portal.webhooks.queue import queue_definition
from bursar.private_files import TooOpen, make_private_folder
from bursar.rules.audit.table_audit import audit_table
from bursar.rules.native import load_guard
from bursar.startup import CannotStart

AMAZON_SCHEME: Final = "dynamodb:"
AMAZON_SETTLE_S: Final = 300.0
"""A source at Amazon must refuse every probe for this time: Amazon does not document when a policy is in force."""


def settle_s_of(source_url: str) -> float:
    """Return how long a source must refuse every probe before its last changes are read."""
    return AMAZON_SETTLE_S if source_url.startswith(AMAZON_SCHEME) else 0.0


def name_of(url: str) -> str:
    """Return the name that identifies a store: its URL, with the whole path of a file."""
    path = file_of(url)
    return url if path is None else f"file:{Path(path).resolve()}"


@asynccontextmanager
async def opened_move(
    parts: Composition, source_url: str, target_url: str, options: MoveOptions, note: Note
) -> "AsyncIterator[StoreMove]":
    """Open both stores, and make their move. Raises ``CannotStart`` and ``MoveRefused``."""
    for url in (source_url, target_url):
        if file_of(url) == MEMORY:
            raise MoveRefused(f"FROM, TO: must outlive this command; got {url}")
    if name_of(source_url) == name_of(target_url):
        raise MoveRefused(f"TO: must be another store than FROM; got {target_url}")
    _ = parts.fees  # the audits need the catalogue: an invalid one is reported before anything is copied
    source = await _opened(parts, source_url, creates=False)
    try:
        target = await _opened(parts, target_url, creates=True)
        try:
            tables = await _tables(source, parts.settings.table)
            yield StoreMove(parts, source, target, tables, (name_of(source_url), name_of(target_url)), options, note)
        finally:
            await target.close()
    finally:
        await source.close()


class StoreMove:
    """The move of a whole store: its tables, and after the move the rules of a target in a file."""

    def __init__(
        self,
        parts: Composition,
        source: Store,
        target: Store,
        tables: Sequence[MovedTable],
        names: tuple[str, str],
        options: MoveOptions,
        note: Note,
    ) -> None:
        self._parts, self._target = parts, target
        self.move = Move(
            PatientStore(source, random.SystemRandom()),
            PatientStore(target, random.SystemRandom()),
            tables,
            source_name=names[0],
            target_name=names[1],
            clock=parts.clock,
            options=options,
            audit_source=self._audit_of(source),
            audit_target=self._audit_of(target),
            note=note,
        )

    def store_rules(self) -> None:
        """Store the rules with an embedded target's table, which checks all its items; other stores have no rules.

        A portal also does this when it starts. Raises ``CannotStart`` if an item breaks a rule.
        """
        from bursar.bootstrap.parts.embedded_store import store_rules
        from bursar.dynamo import AsyncEngine

        if isinstance(self._target, AsyncEngine):
            table = self._parts.settings.table
            store_rules(self._target, "TO", table, self._ledger(self._target), may_change=True)

    def _audit_of(self, store: Store) -> AuditStore:
        async def audit() -> list[str]:
            return await audit_payments(self._parts, store, self._ledger(store))

        return audit

    def _ledger(self, store: Store) -> Ledger:
        parts = self._parts
        return Ledger(
            store, clock=parts.clock, randomness=parts.randomness, table=parts.settings.table, fees=parts.fees
        )


async def audit_payments(parts: Composition, store: Store, ledger: Ledger) -> list[str]:
    """Return the findings of both audits: rules and sentinels, then chains of events and daily roots."""
    table = parts.settings.table
    rules = await audit_table(store, table, ledger.rules, randomness=parts.randomness)
    # The state of a move is the only item of another kind, and it is removed before the store is opened.
    found = [f"{each.rule}: {each.message}" for each in rules.findings if each.key != MOVE_KEY]
    history = PaymentHistory(store, table, ledger.daily_roots, parts.root_copies, clock=parts.clock)
    return found + [line for line, _ in (await history.check()).lines()]


async def _opened(parts: Composition, url: str, *, creates: bool) -> Store:
    path = file_of(url)
    side = "TO" if creates else "FROM"
    try:
        if creates and path is not None:
            make_private_folder(Path(path).parent)
        return await open_store(
            url,
            clock=parts.clock,
            randomness=parts.randomness,
            guard_loader=load_guard,
            must_exist=not creates,
            private=True,
        )
    except (FileNotFoundError, TooOpen, OSError, ValueError) as error:
        raise CannotStart(f"{side}: {error}") from error


async def _tables(source: Store, payments: str) -> list[MovedTable]:
    """Return the payments table, and the webhooks' table if the source has one."""
    tables = [MovedTable(payments, table_definition(payments))]
    try:
        await source.call("DescribeTable", {"TableName": WEBHOOKS_TABLE})
    except DynamoError as error:
        if error.code != "ResourceNotFoundException":
            raise
    else:
        tables.append(MovedTable(WEBHOOKS_TABLE, queue_definition(WEBHOOKS_TABLE)))
    return tables
