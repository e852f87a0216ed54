"""Everything that takes part in one simulated run: the store, Pay.gov, the portal's processes, and who may die when.

applications ─► processes (die, come back) ─► faulty store ─► the engine, in memory
                          └────────────────► misbehaving Pay.gov (the simulator) with its own books
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bursar.clock import iso_ms
from bursar.dynamo import AsyncEngine, Engine
from bursar.paygov.client import PayGov
from bursar.paygov.config import PayGovConfig
from bursar.paygov.simulator import (
    Books,
    Misbehaviour,
    MisbehaviourPlan,
    Simulator,
    SimulatorSettings,
    SimulatorTransport,
)
from bursar.paygov.simulator.server import Addresses
from bursar.payments.clients import Client, Clients
from bursar.payments.fees import FeeCatalogue
from bursar.payments.ledger import Ledger
from bursar.portal.portal import Portal, PortalSettings
from bursar.portal.sweeper import run_sweeper
from bursar.rules.native import load_guard
from sim.loop import VirtualLoop
from sim.mortality import MortalStore, MortalTransport, Process
from sim.store_faults import FaultyStore

TABLE = "payments"
PAYGOV_TIMEOUT_S = 20.0
SWEEP_INTERVAL_S = 240.0
PROCESSES = 2
REBIRTH_S = (1.0, 40.0)
T = TypeVar("T")


@dataclass(frozen=True)
class Weather:
    """How bad the day is, drawn from the seed."""

    paygov_faults: float
    store_faults: float
    deaths: float
    query_available: bool
    unpaid_code: str | None

    @classmethod
    def drawn(cls, randomness: random.Random) -> "Weather":
        return cls(
            paygov_faults=randomness.choice((0.0, 0.05, 0.2, 0.5)),
            store_faults=randomness.choice((0.0, 0.01, 0.05, 0.15)),
            deaths=randomness.choice((0.0, 0.002, 0.01, 0.03)),
            query_available=randomness.random() < 0.75,
            unpaid_code=randomness.choice(("4117", "4117", None)),
        )


# What Pay.gov does wrong, each with its share of the faults, and which calls it happens to (empty: all).
PAYGOV_FAULTS: tuple[tuple[dict[str, Any], int], ...] = (
    ({"kind": "delay", "delay_s": 30.0}, 3),
    ({"kind": "delay", "delay_s": 400.0}, 1),
    ({"kind": "refuse"}, 3),
    ({"kind": "drop", "takes_place": True}, 4),
    ({"kind": "drop", "takes_place": False}, 2),
    ({"kind": "reset", "takes_place": True}, 3),
    ({"kind": "reset", "takes_place": False}, 2),
    ({"kind": "cut"}, 1),
    ({"kind": "http", "status": 500, "takes_place": True}, 1),
    ({"kind": "http", "status": 503, "takes_place": False}, 1),
    ({"kind": "garbage"}, 1),
    ({"kind": "truncated"}, 1),
    ({"kind": "wrong_shape"}, 1),
    ({"kind": "drip", "delay_s": 5.0}, 1),
    ({"kind": "wrong_agency", "operations": ("complete",)}, 1),
    ({"kind": "wrong_amount", "operations": ("complete",)}, 1),
)


class CountingPlan(MisbehaviourPlan):
    """A plan that counts what it made happen."""

    def __init__(self, randomness: random.Random, counts: Counter[str]) -> None:
        super().__init__(randomness)
        self._counts = counts

    def choose(self, operation: str, token: str | None, agency_tracking_id: str | None) -> Misbehaviour | None:
        chosen = super().choose(operation, token, agency_tracking_id)
        if chosen is not None:
            self._counts[f"Pay.gov {chosen.kind}, {'done' if chosen.happens else 'not done'}"] += 1
        return chosen


class Gone(Exception):
    """The process that was asked died before it answered."""


@dataclass
class World:
    """One run. ``counts``: faults injected, by kind. ``timeline``: what happened, for whoever reads a failing seed."""

    loop: VirtualLoop
    seed: int
    randomness: random.Random = field(init=False)
    counts: Counter[str] = field(default_factory=Counter)
    timeline: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.randomness = random.Random(self.seed)
        self.weather = Weather.drawn(self.randomness)
        self.engine = AsyncEngine(
            Engine.open(":memory:", clock=self.loop.clock, randomness=self._branch("engine"), guard_loader=load_guard)
        )
        self.store = FaultyStore(self.engine, self._branch("store"), self.counts, self.weather.store_faults)
        self.fees = FeeCatalogue.default()
        self.clients = Clients((self._client("court"), self._client("registry")))
        self.books = Books()
        settings = SimulatorSettings(ach_settle_s=900.0, unpaid_code=self.weather.unpaid_code)
        self.paygov = Simulator(self.loop.clock, self._branch("paygov"), self.books, settings)
        self.plan = CountingPlan(self._branch("plan"), self.counts)
        self.transport = SimulatorTransport(self.paygov, self.plan, latency_s=(0.02, 0.6))
        self._ledgers = 0
        self._hanging: list[asyncio.Task[None]] = []
        self.portals: list[Portal] = []
        self.processes: list[Process] = []
        self._calm = False

    async def start(self) -> None:
        """The table with its rules inside, the weather, and the first processes."""
        ledger = self.ledger(self.engine)
        await ledger.create_table()
        self.engine.engine.put_rules_document(TABLE, ledger.rules.to_toml())
        total = sum(share for _, share in PAYGOV_FAULTS)
        for values, share in PAYGOV_FAULTS:
            probability = self.weather.paygov_faults * share / total
            self.plan.add(Misbehaviour(**values, probability=probability))
        for number in range(PROCESSES):
            self.portals.append(self._born(number))
            self.loop.create_task(self._keep_alive(number))

    def ledger(self, store: Any) -> Ledger:
        self._ledgers += 1
        randomness = self._branch(f"ledger {self._ledgers}")
        return Ledger(store, clock=self.loop.clock, randomness=randomness, table=TABLE, fees=self.fees)

    def client(self, name: str) -> Client:
        client = self.clients.by_name(name)
        assert client is not None
        return client

    async def ask(self, use_case: Callable[[Portal], Awaitable[T]]) -> T:
        """Runs ``use_case`` on one of the processes, as a request over a network. Raises :class:`Gone`."""
        number = self.randomness.randrange(len(self.portals))
        process, portal = self.processes[number], self.portals[number]
        if process.dead:
            raise Gone

        async def request() -> T:
            return await use_case(portal)

        task = self.loop.create_task(request())
        await asyncio.wait({task, process.death}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Gone
        return task.result()

    def calm(self) -> None:
        """The storm is over: Pay.gov and the store behave, nobody dies any more."""
        self._calm = True
        self.plan.clear()
        self.store.calm()
        for process in self.processes:
            process.live_on()

    def note(self, line: str) -> None:
        self.timeline.append(f"{iso_ms(self.loop.clock())[11:]} {line}")

    def _born(self, number: int) -> Portal:
        deaths = 0.0 if self._calm else self.weather.deaths
        process = Process(f"process {number}", self._branch(f"death {number} {self.loop.time()}"), deaths)
        addresses = Addresses("http://paygov")
        config = PayGovConfig(
            url=addresses.url,
            query_url=addresses.query_url if self.weather.query_available else None,
            payment_url=addresses.payment_url,
            timeout_s=PAYGOV_TIMEOUT_S,
        )
        portal = Portal(
            self.ledger(MortalStore(self.store, process)),
            PayGov(config, MortalTransport(self.transport, process)),
            self.fees,
            self.clients,
            PortalSettings(paygov_timeout_s=PAYGOV_TIMEOUT_S),
            clock=self.loop.clock,
            randomness=self._branch(f"portal {number} {self.loop.time()}"),
        )
        if number < len(self.processes):
            self.processes[number] = process
        else:
            self.processes.append(process)
        return portal

    async def _keep_alive(self, number: int) -> None:
        """Sweeps with process ``number``, and starts it anew when it has died."""
        while True:
            process, portal = self.processes[number], self.portals[number]
            sweeper = self.loop.create_task(run_sweeper(portal, SWEEP_INTERVAL_S))
            await asyncio.wait({process.death})  # its sweeper hangs with it
            self._hanging.append(sweeper)
            self.counts["deaths"] += 1
            self.note(f"process {number} died")
            await asyncio.sleep(self.randomness.uniform(*REBIRTH_S))
            self.portals[number] = self._born(number)
            self.note(f"process {number} is back")

    def _branch(self, name: str) -> random.Random:
        """Randomness of its own for one part, so that one part's draws do not move another's."""
        return random.Random(f"{self.seed} {name}")

    def _client(self, name: str) -> Client:
        return Client(name, f"arn:aws:iam::000000000000:role/{name}", frozenset({"*"}), ())
