"""A whole portal for a test, with a real ledger in memory, the simulated Pay.gov, and virtual time."""

import functools
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, overload
from unittest.mock import patch

import pytest

from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.paygov import PayGov, PayGovConfig
from bursar.paygov.protocol import ONLINE_PATH, QUERY_PATH, LookupName
from bursar.paygov.simulator import Misbehaviour, Simulator, SimulatorSettings, SimulatorTransport
from bursar.payments import Attempt, Client, Clients
from bursar.payments.due import RECEIVED_AGE_MAX_S, TOKEN_AGE_MAX_S
from bursar.payments.ledger.store_records.restores import BY_COMMAND
from bursar.portal.contract.answers import Payment
from bursar.portal.contract.errors import GatewayTimeout, PortalError
from bursar.portal.contract.validation import InitRequest
from bursar.portal.state.observer import SweepResult
from bursar.portal.state.portal import Portal, PortalSettings
from bursar.portal.use_cases.init_payment import init_payment
from bursar.portal.use_cases.process_payment import process_payment
from sim.faults.backups import backup_of, restore_into
from sim.loop import VirtualLoop, run_virtual
from tests.support.write_paths import WritePath, shipped_fees

PAYGOV_TIMEOUT_S = 20.0
HOUR_S = 3600.0
UNUSED_S = TOKEN_AGE_MAX_S + RECEIVED_AGE_MAX_S
"""The age at which the sweeper ends an attempt that was never completed."""
DAWSON = Client("dawson", "arn:aws:iam::123456789012:role/dawson", frozenset({"PETITION_FILING_FEE", "COPY_FEE"}), ())
EXAMS = Client("exams", "arn:aws:iam::123456789012:role/exams", frozenset({"*"}), ())


@dataclass
class RecordingObserver:
    """An observer that records every report."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    conflicts: int = 0
    passes: list[Mapping[SweepResult, int]] = field(default_factory=list)

    def paygov_answered(self, operation: str, outcome: str, seconds: float) -> None:
        self.calls.append((operation, outcome))

    def lease_conflict(self) -> None:
        self.conflicts += 1

    def outcome_known(self, row: str) -> None:
        self.outcomes.append(row)

    def alerted(self, alert: str) -> None:
        self.alerts.append(alert)

    def swept(self, results: Mapping[SweepResult, int], seconds: float) -> None:
        self.passes.append(results)


class Stage:
    """One portal and its surroundings. ``plan``: Pay.gov's misbehaviours."""

    def __init__(
        self,
        loop: VirtualLoop,
        write_path: WritePath,
        store: AsyncEngine,
        *,
        lookups: tuple[LookupName, ...],
        confirmed: tuple[LookupName, ...],
        settings: SimulatorSettings,
    ) -> None:
        self.loop = loop
        self.write_path = write_path
        self.store = store
        self.seed = random.Random(7)
        self.fees = shipped_fees()
        self.clients = Clients([DAWSON, EXAMS])
        self.simulator = Simulator(loop.clock, random.Random(3), settings=settings)
        self.transport = SimulatorTransport(self.simulator)
        self.plan = self.transport.plan
        self.ledger = write_path.ledger(store, clock=loop.clock, randomness=random.Random(4), fees=self.fees)
        url = "http://paygov.example"
        self.paygov_config = PayGovConfig(
            url=f"{url}{ONLINE_PATH}",
            query_url=f"{url}{QUERY_PATH}",
            lookups=lookups,
            confirmed_lookups=confirmed,
            payment_url=f"{url}/pay",
            timeout_s=PAYGOV_TIMEOUT_S,
        )
        self.watcher = RecordingObserver()
        self.portal = self.another_portal(self.watcher)

    def another_portal(self, watcher: RecordingObserver | None = None) -> Portal:
        """Return a portal on the same table and the same Pay.gov, like that of another process."""
        return Portal(
            self.ledger,
            PayGov(self.paygov_config, self.transport),
            self.fees,
            self.clients,
            PortalSettings(paygov_timeout_s=PAYGOV_TIMEOUT_S),
            clock=self.loop.clock,
            randomness=random.Random(self.seed.random()),
            observer=watcher or RecordingObserver(),
        )

    def misbehave(self, kind: str, **how: Any) -> None:
        """Add a misbehaviour to the plan of Pay.gov."""
        self.plan.add(Misbehaviour(kind=kind, **how))

    def reference(self) -> str:
        """Return a new transaction reference id."""
        return str(uuid.UUID(int=self.seed.getrandbits(128), version=4))

    def request(self, reference: str | None = None, **changes: Any) -> InitRequest:
        """Return a valid init request with ``changes``."""
        fee = self.fees.fee("PETITION_FILING_FEE", self.loop.clock())
        assert fee is not None
        usual: dict[str, Any] = {
            "reference": reference or self.reference(),
            "fee": fee,
            "amount": fee.amount,
            "metadata": {"docketNumber": "123-26"},
            "url_success": "https://client.example/success",
            "url_cancel": "https://client.example/cancel",
        }
        return InitRequest(**{**usual, **changes})

    def other_fee(self) -> dict[str, Any]:
        """Return the changes that make :meth:`request` ask for a fee of another application at Pay.gov."""
        fee = self.fees.fee("COPY_FEE", self.loop.clock())
        return {"fee": fee, "amount": Decimal("12.25"), "metadata": {"copyRequestId": "7", "numberOfPages": 49}}

    async def init(self, reference: str | None = None, **changes: Any) -> str:
        """Start a payment and return its token."""
        return (await init_payment(self.portal, DAWSON, self.request(reference, **changes))).token

    async def paid(self, method: str = "PLASTIC_CARD", outcome: str = "Success", **changes: Any) -> str:
        """Return a token that the payer has paid on the hosted page, not yet processed."""
        token = await self.init(**changes)
        self.simulator.pay(token, method, outcome)
        return token

    async def process(self, token: str) -> Payment:
        """Process ``token`` as its client."""
        return await process_payment(self.portal, DAWSON, token)

    async def attempt(self, token: str) -> Attempt:
        """Return the attempt of ``token``."""
        found = await self.ledger.attempt_by_token(token)
        assert found is not None
        return found

    async def events_of(self, attempt: Attempt) -> list[str]:
        """Return the names of the attempt's events, oldest first."""
        view = await self.ledger.obligation(attempt.client, attempt.reference)
        assert view is not None
        return [e.name for e in view.events if e.agency_tracking_id == attempt.agency_tracking_id]

    def backup(self) -> bytes:
        """Return a backup of the store as it is now."""
        return backup_of(self.store)

    def restore(self, backup: bytes) -> None:
        """Restore the store from ``backup``: acknowledged writes since then are lost."""
        restore_into(self.store, backup)

    async def restore_and_mark(self, backup: bytes) -> None:
        """Restore the store as `bursar restore` does, and start a new portal."""
        self.restore(backup)
        await self.ledger.mark_restored(BY_COMMAND)
        self.portal = self.another_portal(self.watcher)

    @contextmanager
    def collections_unseen(self) -> Iterator[None]:
        """Let lookups find no collection meanwhile, as if each was too fresh to be shown."""
        with patch.object(self.simulator, "find", lambda *_: ()):
            yield

    async def lose_reply(
        self, token: str, kind: str = "drop", error: type[PortalError] = GatewayTimeout, **how: Any
    ) -> None:
        """Process ``token``: its complete gets no answer, no lookup shows its collection yet, and the call fails."""
        self.misbehave(kind, operations=("complete",), times=1, **how)
        with self.collections_unseen(), pytest.raises(error, match="ask details"):
            await self.process(token)

    def charges(self) -> int:
        """Return the number of all charges at Pay.gov."""
        return len(list(self.simulator.books.all_charges()))


Scene = Callable[[Stage], Awaitable[None]]


Test = Callable[[WritePath], None]


@overload
def on_stage(scene: Scene) -> Test: ...
@overload
def on_stage(
    *,
    query: bool = True,
    lookups: tuple[LookupName, ...] | None = None,
    confirmed: tuple[LookupName, ...] | None = None,
    settings: SimulatorSettings | None = None,
) -> Callable[[Scene], Test]: ...
def on_stage(
    scene: Scene | None = None,
    *,
    query: bool = True,
    lookups: tuple[LookupName, ...] | None = None,
    confirmed: tuple[LookupName, ...] | None = None,
    settings: SimulatorSettings | None = None,
) -> Test | Callable[[Scene], Test]:
    """Make ``async def test(stage)`` a test that runs in virtual time, on each write path.

    ``lookups`` are configured, and those in ``confirmed`` are believed (default: all of them). Without ``lookups``,
    ``query`` says whether the query service is the only one, or there is none. A scene inside a test is called with the
    test's ``write_path``.
    """
    asked: tuple[LookupName, ...] = lookups if lookups is not None else ("query",) if query else ()

    def decorate(play: Scene) -> Test:
        async def run(loop: VirtualLoop, write_path: WritePath) -> None:
            store = write_path.open(clock=loop.clock, randomness=random.Random(1))
            stage = Stage(
                loop,
                write_path,
                store,
                lookups=asked,
                confirmed=asked if confirmed is None else confirmed,
                settings=settings or SimulatorSettings(),
            )
            await write_path.create_table(store)
            try:
                await play(stage)
                await stage.portal.drain()
            finally:
                await store.close()

        # wraps() would show pytest the parameter `stage`, which is no fixture.
        @functools.wraps(play, assigned=("__module__", "__name__", "__qualname__", "__doc__"), updated=())
        def test(write_path: WritePath) -> None:
            log = logging.getLogger("bursar")
            level = log.level
            log.setLevel(logging.CRITICAL)
            try:
                run_virtual(lambda loop: run(loop, write_path))
            finally:
                log.setLevel(level)

        del test.__wrapped__
        return test

    return decorate if scene is None else decorate(scene)
