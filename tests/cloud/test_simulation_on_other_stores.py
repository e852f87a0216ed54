"""The whole portal, with the simulation's faults, on Amazon's DynamoDB Local and on dynoxide.

The seed decides the faults, as on Bursar's own engine, and the same judge compares the books. The store is reached
through the one of ``dynamodb+http:``, so the rules are compiled transactions that the other server decides. The
simulation sends one request at a time, so a second test sends many at once.
``make test-cloud`` runs this; tools/install-oracles installs the servers. SIMULATED_SEEDS sets the number of seeds.
"""

import asyncio
import os
import random
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from bursar.clock import system_clock
from bursar.dynamo import AsyncEngine, DynamoError, Engine, Store
from bursar.dynamo.clients.remote_store import open_remote_store
from bursar.paygov.client import PayGov
from bursar.paygov.config import PayGovConfig
from bursar.paygov.protocol import ONLINE_PATH, QUERY_PATH
from bursar.paygov.simulator import Simulator, SimulatorTransport
from bursar.payments.catalogue.clients import Clients
from bursar.payments.ledger.ledger import Ledger
from bursar.portal.contract.errors import PortalError
from bursar.portal.contract.validation import InitRequest
from bursar.portal.state.observer import NoObserver
from bursar.portal.state.portal import Portal, PortalSettings
from bursar.portal.upkeep.sweep import sweep
from bursar.portal.use_cases.init_payment import init_payment
from bursar.portal.use_cases.process_payment import process_payment
from sim.run import simulate
from tests.support.cloud.other_dynamodb import OtherDynamoDb, connected, name_of
from tests.support.dynamo.peers import STARTS, missing
from tests.support.portal.stage import DAWSON, PAYGOV_TIMEOUT_S
from tests.support.write_paths import shipped_fees

SEEDS: Final = range(1, 1 + int(os.environ.get("SIMULATED_SEEDS", "6")))
"""One of them has a restore from a backup."""
STRUCK: Final = "TransactionCanceledException ConditionalCheckFailed"
"""The only error of a server that serves one request at a time: a rule, or a lost race, which a condition decides."""
CONFLICT: Final = "TransactionCanceledException TransactionConflict"
"""Another transaction uses an item of this one: nothing was judged, and the portal sends it again."""
OBLIGATIONS: Final = 12
TABS: Final = 4
PROCESSES: Final = 3
TRIES_MAX: Final = 600
PAUSE_S: Final = 0.1


@pytest.fixture(scope="module", params=["local", "dynoxide"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    if reason := missing(request.param):
        pytest.skip(reason)
    with STARTS[request.param](tmp_path_factory.mktemp("store")) as served:
        yield served


@pytest.fixture
def store(port: int) -> Iterator[OtherDynamoDb]:
    with connected(port) as other:
        yield other


def test_the_books_are_equal_and_no_payer_is_charged_twice(store: OtherDynamoDb) -> None:
    charges = restores = 0
    for seed in SEEDS:
        verdict = simulate(seed, other_store=store)
        store.drop_table()
        assert verdict.findings == [], seed
        charges += verdict.charges
        restores += verdict.faults["store restored from a backup"]
        # Bursar's own engine decides the same transactions, so the run is the same, event by event.
        own = simulate(seed, other_store=AsyncEngine(Engine.open(":memory:")))
        assert verdict.timeline == own.timeline, seed
    assert charges > len(SEEDS)
    assert restores > 0
    assert set(store.refusals) == {STRUCK}


async def test_payers_in_several_tabs_and_processes_at_once_are_charged_once(port: int) -> None:
    paygov = Simulator(system_clock, random.Random(1))
    remote = await open_remote_store(f"dynamodb+http://127.0.0.1:{port}", randomness=random.Random(2))
    store = CountingStore(remote)
    portals = [portal_on(store, paygov, number) for number in range(PROCESSES)]
    try:
        await portals[0].ledger.create_table()
        payers = [Payer(paygov, uuid.UUID(int=number, version=4)) for number in range(OBLIGATIONS)]
        tabs = (payer.pay(portals[tab % PROCESSES]) for payer in payers for tab in range(TABS))
        await asyncio.gather(*tabs, *(sweep(portal) for portal in portals))
        for payer in payers:
            view = await portals[0].ledger.obligation(DAWSON.name, payer.reference)
            assert view is not None
            assert [attempt.status for attempt in view.attempts] == ["processed"]
            assert len(paygov.books.charges(view.attempts[0].agency_tracking_id)) == 1
        assert sum(1 for _ in paygov.books.all_charges()) == OBLIGATIONS
        assert store.refusals.keys() <= {STRUCK, CONFLICT}, store.refusals
    finally:
        await remote.close()


class Payer:
    """A payer who pays one obligation in several tabs at once."""

    def __init__(self, paygov: Simulator, reference: uuid.UUID) -> None:
        self.reference = str(reference)
        self._paygov = paygov
        self._tokens: set[str] = set()

    async def pay(self, portal: Portal) -> None:
        """Pay and collect until the portal has the payment. Raises ``AssertionError`` after TRIES_MAX."""
        for _ in range(TRIES_MAX):
            try:
                token = (await init_payment(portal, DAWSON, self._request())).token
                if token not in self._tokens:
                    self._tokens.add(token)
                    self._paygov.pay(token, "PLASTIC_CARD", "Success")
                if (await process_payment(portal, DAWSON, token)).status == "success":
                    return
            except PortalError:  # another tab collects; the portal's answer says when that has ended
                view = await portal.ledger.obligation(DAWSON.name, self.reference)
                if view is not None and any(attempt.status == "processed" for attempt in view.attempts):
                    return
            await asyncio.sleep(PAUSE_S)
        raise AssertionError(f"{self.reference} is not paid after {TRIES_MAX} tries")

    def _request(self) -> InitRequest:
        fee = shipped_fees().fee("PETITION_FILING_FEE", system_clock())
        assert fee is not None
        assert fee.amount is not None
        urls = {"url_success": "https://client.example/success", "url_cancel": "https://client.example/cancel"}
        return InitRequest(self.reference, fee, fee.amount, {"docketNumber": "123-26"}, **urls)


class CountingStore:
    """A store that counts the errors of the server by their code."""

    def __init__(self, behind: Store) -> None:
        self._behind = behind
        self.refusals: Counter[str] = Counter()

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request."""
        try:
            return await self._behind.call(operation, request)
        except DynamoError as error:
            self.refusals[name_of(error)] += 1
            raise

    async def close(self) -> None:
        """Close the store behind it."""
        await self._behind.close()


def portal_on(store: Store, paygov: Simulator, number: int) -> Portal:
    """Return the portal of one process."""
    url = "http://paygov.example"
    config = PayGovConfig(
        url=f"{url}{ONLINE_PATH}",
        query_url=f"{url}{QUERY_PATH}",
        payment_url=f"{url}/pay",
        timeout_s=PAYGOV_TIMEOUT_S,
    )
    fees = shipped_fees()
    return Portal(
        Ledger(store, clock=system_clock, randomness=random.Random(number), fees=fees, compare_and_swap=None),
        PayGov(config, SimulatorTransport(paygov)),
        fees,
        Clients([DAWSON]),
        PortalSettings(paygov_timeout_s=PAYGOV_TIMEOUT_S),
        clock=system_clock,
        randomness=random.Random(-number),
        observer=NoObserver(),
    )
