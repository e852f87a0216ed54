"""A move from a stage's store to another in-memory store, and payers who pay meanwhile."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bursar.bootstrap.move.moving import Move, MovedTable, MoveOptions, MoveReport
from bursar.clock import Clock
from bursar.dynamo.clients.store import Store
from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.dynamo.errors import EXPLICIT_DENY, DynamoError
from bursar.dynamo.tools.moving.patient_store import PatientStore
from bursar.payments.audit.payment_history import PaymentHistory
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.ledger.store_records.move_state import MOVE_KEY
from bursar.payments.ledger.table import TABLE_NAME, table_definition
from bursar.portal.contract.errors import PortalError, portal_error
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.sweep import sweep
from bursar.portal.use_cases.payment_details import details
from bursar.rules.audit.table_audit import audit_table
from tests.support.portal.stage import DAWSON, Stage
from tests.support.write_paths import TRANSACTION, shipped_fees

PAYMENTS = MovedTable(TABLE_NAME, table_definition(TABLE_NAME))
BREATH_S = 0.01
"""The time that each request of the move takes, so that payments go on between them."""
PAUSE_MAX_S = 0.4
"""The longest pause of an application between two payments."""
WAIT_S = 1.0
TRIES_MAX = 400


class Killed(BaseException):
    """The process of the move has died."""


class Breathing(Store):
    """A store behind a network: each request takes a moment. ``before`` is called with the number of each request."""

    def __init__(self, behind: Store, before: Callable[[str], None] = lambda operation: None) -> None:
        self._behind = behind
        self._before = before

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request, after a moment."""
        await asyncio.sleep(BREATH_S)
        self._before(operation)
        answer = await self._behind.call(operation, request)
        self._before(operation)
        return answer

    async def close(self) -> None:
        """Leave the store behind open."""


def a_ledger(store: Store, clock: Clock) -> Ledger:
    """Return a ledger that sends transactions to ``store``."""
    return Ledger(store, clock=clock, randomness=random.Random(6), fees=shipped_fees(), compare_and_swap=None)


async def findings(store: Store, clock: Clock) -> list[str]:
    """Return the findings of both audits of ``store``."""
    ledger = a_ledger(store, clock)
    report = await audit_table(store, TABLE_NAME, ledger.rules, randomness=random.Random(5))
    found = [each.message for each in report.findings if each.key != MOVE_KEY]
    history = PaymentHistory(store, TABLE_NAME, ledger.daily_roots, None, clock=clock)
    return found + [line for line, _ in (await history.check()).lines()]


def a_move(
    source: Store,
    target: Store,
    clock: Clock,
    *,
    options: MoveOptions | None = None,
    before: Callable[[str], None] = lambda operation: None,
) -> Move:
    """Return the move from ``source`` to ``target``; ``before`` runs before and after each of its requests."""

    def audit_of(store: Store) -> Callable[[], Awaitable[list[str]]]:
        return lambda: findings(store, clock)

    return Move(
        PatientStore(Breathing(source, before), random.Random(1)),
        PatientStore(Breathing(target, before), random.Random(2)),
        [PAYMENTS],
        source_name="file:/old.db",
        target_name="file:/new.db",
        clock=clock,
        options=options or MoveOptions(segments=2),
        audit_source=audit_of(source),
        audit_target=audit_of(target),
        note=lambda line: None,
    )


async def run(move: Move) -> MoveReport:
    """Run a move to its end."""
    return await move.switch(await move.copy_and_follow())


@dataclass
class Payers:
    """Applications that pay one obligation after another, and repeat what is answered 503."""

    stage: Stage
    references: list[str] = field(default_factory=list)
    refused_closed: int = 0
    """Requests that were answered ``store_closed``."""
    paid: int = 0
    stopping: bool = False

    async def pay_until_stopped(self) -> None:
        """Pay one obligation after another."""
        while not self.stopping:
            await self.pay(self.stage.reference())
            await asyncio.sleep(self.stage.seed.uniform(0.0, PAUSE_MAX_S))

    async def pay(self, reference: str) -> None:
        """Pay one obligation, until it is known to be paid."""
        self.references.append(reference)
        for _ in range(TRIES_MAX):
            if await self._paid(reference):
                self.paid += 1
                return
            await asyncio.sleep(WAIT_S)
        raise AssertionError(f"{reference} was not paid in {TRIES_MAX} tries")

    async def _paid(self, reference: str) -> bool:
        """Ask for the payment, begin it or complete it; return whether it is paid."""
        try:
            status, token = await self._state(reference)
            if status == "success":
                return True
            if token is None:
                token = await self.stage.init(reference)
                self.stage.simulator.pay(token, "PLASTIC_CARD", "Success")
            return (await self.stage.process(token)).status == "success"
        except Exception as error:
            known = portal_error(error)
            if known.status == 500:
                raise
            self.refused_closed += known.code.code == "store_closed"
            return False

    async def _state(self, reference: str) -> tuple[str, str | None]:
        try:
            payment = await details(self.stage.portal, DAWSON, reference)
        except PortalError as error:
            if error.status == 404:
                return "none", None
            raise
        live = [attempt for attempt in payment.attempts if attempt.live]
        return payment.status, live[0].token if live else None


async def keep_sweeping(stage: Stage) -> None:
    """Sweep with the stage's present portal every 10 s until cancelled. A closed store ends a pass."""
    while True:
        await asyncio.sleep(10.0)
        try:
            await sweep(stage.portal)
        except DynamoError as error:
            if EXPLICIT_DENY not in error.message:
                raise


def use_store(stage: Stage, store: AsyncEngine) -> Portal:
    """Point the stage at another store, as a new ``BURSAR_STORE`` does; return the portal on it."""
    stage.store = store
    stage.ledger = TRANSACTION.ledger(store, clock=stage.loop.clock, randomness=random.Random(8), fees=stage.fees)
    stage.portal = stage.another_portal(stage.watcher)
    return stage.portal


async def items_of(store: Store) -> dict[str, Any]:
    """Return all items of the payments table by key."""
    found: dict[str, Any] = {}
    request: dict[str, Any] = {"TableName": TABLE_NAME}
    while True:
        page = await store.call("Scan", request)
        found |= {f"{item['pk']['S']} {item['sk']['S']}": item for item in page["Items"]}
        if "LastEvaluatedKey" not in page:
            return found
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
