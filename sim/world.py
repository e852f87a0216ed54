"""All parts of one simulated run: the store, Pay.gov, the portal's processes, and their deaths.

applications ─► processes (die, come back) ─► faulty store ─► the engine, in memory
                          └────────────────► misbehaving Pay.gov (the simulator) with separate books
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from typing import Any, Final, TypeVar

from bursar.clock import iso_ms
from bursar.dynamo import AsyncEngine, Engine, Store
from bursar.dynamo.engine.compare_and_swap import CompareAndSwap
from bursar.paygov.client import PayGov
from bursar.paygov.config import PayGovConfig
from bursar.paygov.protocol import TOKEN_LIFE_S
from bursar.paygov.simulator import Books, Misbehaviour, SimulatorSettings, SimulatorTransport
from bursar.paygov.simulator.server import Addresses
from bursar.paygov.transport import Transport
from bursar.payments.catalogue.clients import Client, Clients
from bursar.payments.catalogue.fees import FeeCatalogue
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.ledger.store_records.restores import BY_COMMAND
from bursar.portal.state.portal import Portal, PortalSettings
from bursar.portal.upkeep.sweep import sweep
from bursar.portal.upkeep.sweep_loop import SWEEP_INTERVAL_S, pause_s, run_sweeper
from bursar.rules.language.toml import rules_to_toml
from bursar.rules.native import load_guard
from sim.faults.backups import restore_backup, take_backup, wait_for_a_start
from sim.faults.due_times import DueTimes, NoticedCompareAndSwap, NoticedStore
from sim.faults.fault_switch import ALL_FAULTS, FaultPlan, FaultSwitch
from sim.faults.mortality import MortalCompareAndSwap, MortalStore, MortalTransport, Process
from sim.faults.paygov_faults import (
    FAULT_SHARES,
    FAULTS,
    LATE_COMPLETE,
    OUTAGE_S,
    OUTAGES,
    REFUSED_LOOKUPS,
    REFUSED_S,
    CountingPlan,
    EchoingTransport,
    OddPayGov,
    Outage,
)
from sim.faults.store_faults import AWAY_S, FaultyCompareAndSwap, FaultyStore
from sim.faults.weather import Weather, is_late
from sim.loop import VirtualLoop
from sim.proof.alerts import CountingAlerts
from sim.proof.resolution_times import Cause
from sim.request_memory import RequestMemory

TABLE: Final = "payments"
PAYGOV_TIMEOUT_S: Final = 20.0
PROCESSES: Final = (1, 2, 2, 3)
BILLS_MIN, BILLS_MAX = 2, 6
BILLS_MEAN: Final = (BILLS_MIN + BILLS_MAX) / 2
STORM_S: Final = 5_000.0
QUIET_SWEEP_INTERVAL_S: Final = 600.0
"""The interval of scheduled sweeps after the storm: every pass costs a query per shard."""
CHANGES_NOTHING: Final = frozenset(("not_due", "error", "lost_race"))
"""The results of a sweep that leave an attempt due."""
FAR_S: Final = 10 * 365 * 24 * 3600.0
LIFETIME_MEAN_S: Final = 1500.0
REBIRTH_S: Final = (1.0, 40.0)
HANG_UP_MAX_S: Final = 8.0  # most hang up in the first second, while a request is in progress
RESTORES_SHARE: Final = 0.25
"""The share of days on which the store is restored from a backup."""
HELD_BACK_S: Final = 900.0
"""How long a restore waits, at most, for a complete that the network holds back and that arrives after the restore."""
SETTLING_S: Final = 0.1
BACKUP_AFTER_S: Final = (30.0, 1200.0)
"""The time at which that backup is taken: while most payments are in progress."""
BACKUP_AT_A_START_SHARE: Final = 0.5
"""The share of backups that are taken while an attempt waits for its token."""
LOST_HELD_BACK_SHARE: Final = 0.6
"""The share of restores that follow the backup with the first complete of an attempt that it does not have."""
RESTORED_AFTER_S: Final = ((10.0, 300.0), (60.0, 2700.0))
"""The age of the backup when the store is restored from it, up to HELD_BACK_S less: one of the two ranges."""
SKEW_MAX_S: Final = 120.0
"""The largest difference between Pay.gov's clock and ours, and between the life of its tokens and what we assume."""
LATE_STORM_S: Final = 13_000.0
LATE_S: Final = 60.0
REFUSED_LOOKUPS_SHARE: Final = 0.15
"""The share of days on which Pay.gov refuses every lookup with fault 4117, for hours."""
ACH_SETTLE_S: Final = 900.0
REOPENING_CLIENT: Final = "registry"
"""The client whose policy lets an obligation be paid again after a full return."""
T = TypeVar("T")

load_guard_once = cache(load_guard)
catalogue = cache(FeeCatalogue.default)


class Gone(Exception):
    """There is no answer: the process died, or the caller hung up."""


@dataclass
class World:
    """One run.

    ``counts`` has the injected faults by kind, ``findings`` the violations that the world itself found. ``reader`` is
    a ledger without faults. ``restored_at`` and ``cleared_at`` are the times of the restore from a backup, and of the
    operator's clearing of its mark. ``when_backed_up`` is called after a backup that is restored while a complete of a
    later attempt is on its way, and ``when_restored`` at the restore. ``left`` counts the attempts that a person
    settled, by reason, and ``resolutions`` has how long each lost reply took. ``shown_s``: for lost replies of a
    charge, how much of that time came after a lookup could show the charge. ``went_back``:
    attempt → the dollars that operators have recorded as charged back or refunded. ``crowd``: the obligations of a run
    in volume. Its processes take so many more steps that each step kills with a smaller probability, so that processes
    die as often as in other runs. ``other_store``: another implementation of DynamoDB, empty, that has the payments
    instead of the engine; no store is then in the processes themselves. ``keeps_timeline``: for crowds it is long.
    """

    loop: VirtualLoop
    seed: int | str
    weather: Weather | None = None
    process_count: int | None = None
    randomness: random.Random = field(init=False)
    counts: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    timeline: list[tuple[float, str]] = field(default_factory=list)
    when_backed_up: list[Callable[[], None]] = field(default_factory=list)
    when_restored: list[Callable[[], None]] = field(default_factory=list)
    restored_at: float | None = None
    cleared_at: float | None = None
    left: Counter[str] = field(default_factory=Counter)
    resolutions: list[tuple[Cause, float]] = field(default_factory=list)
    shown_s: list[float] = field(default_factory=list)
    went_back: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    faults: FaultPlan = ALL_FAULTS
    edges: Counter[str] = field(default_factory=Counter)
    crowd: int | None = None
    other_store: Store | None = None
    keeps_timeline: bool = True

    def __post_init__(self) -> None:
        self._branches: list[random.Random] = []
        self.switch = FaultSwitch(self.faults, self.loop.time)
        self.randomness = random.Random(str(self.seed))
        self.sky = self.weather or Weather.drawn(self.randomness)
        self.sky = replace(
            self.sky,
            deaths=self._deaths_per_step(self.sky.deaths),
            embedded=self.sky.embedded and self.other_store is None,
        )
        sky, loop = self.sky, self.loop
        engine = Engine.open(
            ":memory:", clock=loop.clock, randomness=self.branch("engine"), guard_loader=load_guard_once
        )
        self.engine = AsyncEngine(engine)
        self.payments: Store = self.other_store or self.engine
        self.due_times = DueTimes(loop)
        self.noticed = NoticedStore(self.payments, self.due_times)
        self.store = FaultyStore(
            self.noticed, self.branch("store"), self.counts, sky.store_faults, loop.clock, self.switch
        )
        self.compare_and_swap = FaultyCompareAndSwap(
            NoticedCompareAndSwap(self.engine.compare_and_swap, self.due_times),
            self.branch("disk"),
            self.counts,
            sky.store_faults,
            self.switch,
        )
        self.fees = catalogue()
        self.clients = Clients((_client("court"), _client(REOPENING_CLIENT)))
        self.books = Books()
        self.skew_s = skew_s = 0.0 if self.weather else self.branch("skew").uniform(-SKEW_MAX_S, SKEW_MAX_S)
        self.pays_late = self.weather is None and is_late(self.branch("late"))
        token_life_s = TOKEN_LIFE_S + (abs(skew_s) if self.pays_late else skew_s)
        settings = SimulatorSettings(
            ach_settle_s=ACH_SETTLE_S,
            unpaid_code=sky.unpaid_code,
            token_life_s=token_life_s,
            lookups=sky.lookups.offered,
            lookup_delay_s=sky.lookup_delay_s,
        )
        self.storm_s = LATE_STORM_S if self.pays_late else STORM_S
        self.paygov = OddPayGov(lambda: loop.clock() + skew_s, self.branch("paygov"), self.books, settings)
        self.paygov.counts, self.paygov.oddity, self.paygov.blind = self.counts, sky.paygov_oddity, sky.lookups.blind
        self.paygov.switch = self.switch
        self.plan = CountingPlan(self.branch("plan"), self.counts, loop.clock, self.note, self.switch)
        wire = SimulatorTransport(self.paygov, self.plan, latency_s=(0.02, 0.6), read=RequestMemory().read)
        self.transport = EchoingTransport(wire, self.branch("echo"), self.counts, self.findings.append, self.switch)
        self.transport.echo_rate = sky.paygov_faults / 5
        self.portals: list[Portal] = []
        self.processes: list[Process] = []
        self._sweepers: list[asyncio.Task[None]] = []
        self._background: list[asyncio.Task[None]] = []
        self._ledgers = 0
        self._calm = False
        self._slow: tuple[float, float] | None = None
        self.reader = self.ledger(self.payments)

    async def start(self) -> None:
        """Create the table with its rules, draw the weather, and start the first processes."""
        await self.reader.create_table()
        if self.other_store is None:
            self.engine.engine.put_rules_document(TABLE, rules_to_toml(self.reader.rules))
        self._draw_faults()
        drawn = self.branch("processes").choice(PROCESSES)
        for number in range(drawn if self.process_count is None else self.process_count):
            self.processes.append(self.new_process(number))
            self.portals.append(self.new_portal(self.processes[number]))
            self._sweepers.append(self._sweep_with(number))
            self._background.append(self.loop.create_task(self._keep_alive(number)))
        chance = self.branch("backup")
        if self.weather is None and chance.random() < RESTORES_SHARE:
            taken_after_s, restored_after_s = (
                chance.uniform(*BACKUP_AFTER_S),
                chance.uniform(*chance.choice(RESTORED_AFTER_S)),
            )
            self._background.append(self.loop.create_task(self._restore_from_backup(taken_after_s, restored_after_s)))

    def ledger(self, store: Store, compare_and_swap: CompareAndSwap | None = None) -> Ledger:
        """Return a new ledger on ``store``."""
        self._ledgers += 1
        randomness = self.branch(f"ledger {self._ledgers}")
        return Ledger(
            store,
            clock=self.loop.clock,
            randomness=randomness,
            table=TABLE,
            fees=self.fees,
            compare_and_swap=compare_and_swap,
        )

    def client(self, name: str) -> Client:
        """Return the client with this name."""
        client = self.clients.by_name(name)
        assert client is not None
        return client

    async def ask(self, use_case: Callable[[Portal], Awaitable[T]]) -> T:
        """Run ``use_case`` on one of the processes, as a request over a network. Raises :class:`Gone`."""
        number = self.randomness.randrange(len(self.portals))
        process, portal = self.processes[number], self.portals[number]
        patience_s = None
        hangs_up = not self._calm and self.randomness.random() < self.sky.disconnects
        if hangs_up and self.switch.strikes("caller hangs up"):
            patience_s = HANG_UP_MAX_S * self.randomness.random() ** 3
        return await self.ask_of(portal, process, use_case, patience_s)

    async def ask_of(
        self,
        portal: Portal,
        process: Process,
        use_case: Callable[[Portal], Awaitable[T]],
        patience_s: float | None = None,
    ) -> T:
        """Run ``use_case`` on ``portal``; the caller hangs up after ``patience_s``. Raises :class:`Gone`."""
        if process.dead:
            raise Gone

        async def request() -> T:
            return await use_case(portal)

        task = self.loop.create_task(request())
        waiting: list[asyncio.Future[Any]] = [task, process.death]
        await asyncio.wait(waiting, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if not process.dead:
            self.counts["callers hung up"] += 1
            task.cancel()
        raise Gone

    @property
    def is_storm(self) -> bool:
        """Whether faults are still injected."""
        return not self._calm

    def calm(self) -> None:
        """End the storm: no more faults of Pay.gov and the store, no more deaths. An outage lasts to its end."""
        self._calm, self._slow = True, None
        self.plan.clear()
        self.paygov.oddity = self.transport.echo_rate = 0.0
        self.store.calm()
        self.compare_and_swap.calm()
        for number, process in enumerate(self.processes):
            process.stop_dying()
            self._sweepers[number].cancel()
            self._sweepers[number] = self._sweep_with(number)

    def go_slow(self, sweep_interval_s: float, deaths: float) -> None:
        """Let weeks pass: sweep at longer intervals, and let the processes die again with this probability per step."""
        self._slow = sweep_interval_s, self._deaths_per_step(deaths)
        for process in self.processes:
            process.kill()

    def _deaths_per_step(self, deaths: float) -> float:
        """Return the probability of death per step: a crowd takes more steps than a few bills, and dies as often."""
        return deaths if self.crowd is None else deaths * BILLS_MEAN / self.crowd

    async def sweep_together(self) -> None:
        """Start a sweep in all processes at the same moment, as a schedule does."""
        for process, portal in zip(self.processes, self.portals, strict=True):
            if not process.dead:
                self._background.append(self.loop.create_task(_one_sweep(portal)))

    def broken_parts(self) -> list[str]:
        """Return a finding for each background task that failed: a fault of the simulation, not of the product."""
        ended = [task for task in self._background if task.done() and not task.cancelled()]
        failures = [failure for task in ended if (failure := task.exception())]
        return [f"a part of the simulation broke: {failure!r}" for failure in failures]

    def note(self, line: str) -> None:
        """Add ``line`` to the timeline, if it is kept."""
        if self.keeps_timeline:
            self.timeline.append((self.loop.clock(), line))

    def timeline_lines(self) -> list[str]:
        """Return the timeline as lines, in order of time."""
        return [f"{iso_ms(at)[5:]} {line}" for at, line in sorted(self.timeline, key=lambda entry: entry[0])]

    def new_process(self, number: int, dies_at: Callable[[str], bool] | None = None) -> Process:
        """Return a new process with this number."""
        deaths = self._slow[1] if self._slow else 0.0 if self._calm else self.sky.deaths
        randomness = self.branch(f"death {number} {self.loop.time()}")
        return Process(f"process {number}", randomness, deaths, self.switch, dies_at)

    def new_portal(self, process: Process) -> Portal:
        """Return the portal of ``process``: a new one, except for the store and Pay.gov."""
        wire, name = MortalTransport(self.transport, process), f"{process.name} {self.loop.time()}"
        if self.sky.embedded:
            ledger = self.ledger(
                MortalStore(self.noticed, process), MortalCompareAndSwap(self.compare_and_swap, process)
            )
        else:
            ledger = self.ledger(MortalStore(self.store, process))
        return self.portal(ledger, wire, name)

    def portal(self, ledger: Ledger, transport: Transport, name: str) -> Portal:
        """Return a portal on ``ledger`` that reaches Pay.gov through ``transport``."""
        addresses = Addresses("http://paygov")
        config = PayGovConfig(
            url=addresses.url,
            query_url=addresses.query_url,
            lookups=self.sky.lookups.configured,
            confirmed_lookups=self.sky.lookups.confirmed,
            payment_url=addresses.payment_url,
            timeout_s=PAYGOV_TIMEOUT_S,
        )
        return Portal(
            ledger,
            PayGov(config, transport),
            self.fees,
            self.clients,
            PortalSettings(paygov_timeout_s=PAYGOV_TIMEOUT_S),
            clock=self.loop.clock,
            randomness=self.branch(f"portal {name}"),
            observer=CountingAlerts(self.alerts),
        )

    def branch(self, name: str) -> random.Random:
        """Return separate randomness for one part, so that the draws of one part do not change another's."""
        made = random.Random(f"{self.seed} {name}")
        self._branches.append(made)
        return made

    def reseed(self) -> None:
        """Let all later draws come from another future, which the fault plan numbers."""
        for number, each in enumerate((self.randomness, *self._branches)):
            each.seed(f"{self.seed} future {self.faults.future} {number}")

    def _draw_faults(self) -> None:
        """Draw the storm's faults, outages and kills from the weather."""
        sky, chance, now = self.sky, self.branch("weather"), self.loop.clock()
        for values, share in FAULTS if sky.paygov_faults else ():
            probability = sky.paygov_faults * share / FAULT_SHARES
            self.plan.add(Misbehaviour(**values, probability=probability))
        if self.pays_late:
            self.plan.add(LATE_COMPLETE)
        refused = self.branch("refused lookups")
        if self.weather is None and refused.random() < REFUSED_LOOKUPS_SHARE:
            since = now + refused.uniform(0, STORM_S / 5)
            outage = Outage(since, since + refused.uniform(*REFUSED_S), REFUSED_LOOKUPS)
            if self.switch.strikes("Pay.gov lookups refused"):
                self.plan.outages.append(outage)
        for _ in range(sky.outages):
            since = now + chance.uniform(0, STORM_S)
            outage = Outage(since, since + chance.uniform(*OUTAGE_S), chance.choice(OUTAGES))
            if self.switch.strikes("Pay.gov outage"):
                self.plan.outages.append(outage)
        if sky.store_faults and chance.random() < 0.3:
            since = now + chance.uniform(0, STORM_S)
            away = (since, since + chance.uniform(*AWAY_S))
            if self.switch.strikes("store away"):
                self.store.away.append(away)

    def _sweep_with(self, number: int) -> asyncio.Task[None]:
        portal = self.portals[number]
        if self._slow:
            return self.loop.create_task(run_sweeper(portal, self._slow[0]))
        if self.sky.sweep_interval_s == SWEEP_INTERVAL_S:
            return self.loop.create_task(self._sweep_when_due(portal))
        interval_s = QUIET_SWEEP_INTERVAL_S if self._calm else self.sky.sweep_interval_s
        return self.loop.create_task(run_sweeper(portal, interval_s))

    async def _sweep_when_due(self, portal: Portal) -> None:
        """Sweep as :func:`run_sweeper` does at its default interval, without the passes that would find nothing due.

        After the storm, a pass that changes nothing of what is due will change nothing in 5 s either: a planted fault
        keeps the attempts due.
        """
        failures, interval_s = 0, SWEEP_INTERVAL_S
        while True:
            await asyncio.sleep(pause_s(portal, interval_s, failures))
            if await self.due_times.wait(
                self.loop.clock
            ):  # the passes in between are skipped: the next one is within a pause
                await asyncio.sleep(pause_s(portal, interval_s, 0) * portal.randomness.random())
            try:
                report = await sweep(portal)
                failures = 0
            except Exception:  # the store is away: the loop continues, as the product's does
                failures += 1
                continue
            stuck = self._calm and report.results.keys() <= CHANGES_NOTHING
            interval_s = QUIET_SWEEP_INTERVAL_S if stuck else SWEEP_INTERVAL_S

    async def _restore_from_backup(self, taken_after_s: float, restored_after_s: float) -> None:
        """Take a backup, and later restore the store from it; every process dies with the store that it used."""
        await asyncio.sleep(taken_after_s)
        if self.branch("backup at a start").random() < BACKUP_AT_A_START_SHARE:
            await wait_for_a_start(self.payments, TABLE)
        backup, backup_at = await take_backup(self.payments, TABLE), self.paygov.clock()
        only_lost = self.branch("held back").random() < LOST_HELD_BACK_SHARE
        if only_lost:
            for call in self.when_backed_up:
                call()
        else:
            await asyncio.sleep(restored_after_s)
        if not self.switch.strikes("store restored from a backup"):
            return
        self.transport.holds_back = lambda token: not only_lost or self._started_after(token, backup_at)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.transport.held_back.wait(), HELD_BACK_S)
        self.transport.holds_back = None
        if only_lost:
            self.calm()  # or no portal could ask about the 32 ids of an obligation before the complete arrives
        for process in self.processes:
            process.kill()
        self.store.forget()
        self.compare_and_swap.forget()
        self.transport.forget()
        await asyncio.sleep(SETTLING_S)  # requests that the old store has begun end in the old store
        await restore_backup(self.payments, TABLE, backup)
        mark = await self.reader.mark_restored(BY_COMMAND)
        assert mark is not None, "a mark that depends on nothing is written"
        await self.due_times.read(self.payments, TABLE)
        self.restored_at = mark.restored_at
        self.counts["store restored from a backup"] += 1
        self.note("the store is restored from a backup")
        for call in self.when_restored:
            call()

    def _started_after(self, token: str, at: float) -> bool:
        entry = self.books.entry(token)
        return entry is not None and entry.started_at > at

    async def _keep_alive(self, number: int) -> None:
        """Kill process ``number`` at random times, and start it again each time it has died."""
        chance = self.branch(f"life {number}")
        while True:
            process = self.processes[number]
            lifetime_s = chance.expovariate(1 / LIFETIME_MEAN_S) if self.sky.deaths and not self._calm else None
            await asyncio.wait([process.death], timeout=lifetime_s)
            if not process.dead and (self._calm or not self.switch.strikes("death")):
                continue
            process.kill()
            self.counts["deaths"] += 1
            self.note(f"{process.name} died")
            await asyncio.sleep(chance.uniform(*REBIRTH_S))
            self.processes[number] = self.new_process(number)
            self.portals[number] = self.new_portal(self.processes[number])
            self._sweepers[number] = self._sweep_with(number)
            self.note(f"{process.name} is back")


async def _one_sweep(portal: Portal) -> None:
    try:
        await sweep(portal)
    except Exception:  # the store is away: a scheduled sweep fails, and the next one comes
        return


@cache
def _client(name: str) -> Client:
    role = f"arn:aws:iam::000000000000:role/{name}"
    return Client(name, role, frozenset({"*"}), (), reopen_after_full_return=name == REOPENING_CLIENT)
