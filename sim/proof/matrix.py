"""The fault matrix: {where the process dies} × {what Pay.gov did} × {what comes next}, every cell run and judged.

A cell is one payment by one process: init, the payer pays, process, one sweep. A run without faults finds its steps.
The process dies before its first request, or after any request (which is before the next). Then follows the sequel,
then the sweeper, then an operator where only a person can decide, then the judge. docs/faults.md is generated from it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bursar.paygov.simulator import Misbehaviour
from bursar.payments.due import TOKEN_AGE_MAX_S
from bursar.portal.contract.answers import Payment, StartedPayment
from bursar.portal.state.portal import LEASE_S, Portal
from bursar.portal.upkeep.sweep import SweepReport, sweep
from sim.actors.applications import Application, Bill
from sim.actors.operators import take_over
from sim.faults.lookup_days import NO_LOOKUP, ONLY_QUERY
from sim.faults.mortality import Process
from sim.faults.paygov_faults import Outage
from sim.faults.weather import Weather
from sim.loop import VirtualLoop, run_virtual
from sim.proof.judge import judge
from sim.world import Gone, World

REFERENCE: Final = "6f9619ff-8b86-4d01-b42d-00c04fc964ff"
OUTAGE_S: Final = 3600.0
ACH_SETTLE_S: Final = 60.0
PHASES: Final = ("init", "process", "sweep")
SWEEPS_AFTER_S: Final = (2 * LEASE_S, 600.0, 1800.0, 3600.0, 3600.0, 3600.0, 3600.0, 3600.0)
RETRIES_AFTER_S: Final = (2.0, 30.0, 120.0, 600.0)


@dataclass(frozen=True)
class Behaviour:
    """Pay.gov's fault at the first complete (``misbehaviour``), after the payer paid by ``method``."""

    name: str
    misbehaviour: Misbehaviour | None = None
    method: str = "PLASTIC_CARD"
    outcome: str = "Success"
    outage: bool = False


def _misbehaving(name: str, kind: str, takes_place: bool | None = None, **rest: Any) -> Behaviour:
    misbehaviour = Misbehaviour(kind=kind, takes_place=takes_place, operations=("complete",), times=1, **rest)
    return Behaviour(name, misbehaviour)


BEHAVIOURS: Final = (
    Behaviour("charges the card and reports it"),
    Behaviour("declines the card", outcome="Failed"),
    Behaviour("accepts an ACH debit, which settles", method="ACH"),
    Behaviour("accepts an ACH debit, which bounces", method="ACH", outcome="Failed"),
    _misbehaving("charges and never answers", "drop", True),
    _misbehaving("never answers and does not charge", "drop", False),
    _misbehaving("charges and resets the connection", "reset", True),
    _misbehaving("resets the connection and does not charge", "reset", False),
    _misbehaving("charges 400 s later, after the timeout", "delay", delay_s=400.0),
    _misbehaving("refuses the connection", "refuse"),
    _misbehaving("charges and answers HTTP 500", "http", True, status=500),
    _misbehaving("charges and answers garbage", "garbage"),
    _misbehaving("charges and answers with another amount", "wrong_amount"),
    _misbehaving("charges and answers with another payment's id", "wrong_agency"),
    _misbehaving("answers with fault 4019", "fault", code="4019"),
    _misbehaving("charges, is asked twice by the network and answers the second with 4117", "twice"),
    Behaviour("is out for an hour from then on", outage=True),
)


@dataclass(frozen=True)
class Death:
    """A death in ``phase``, after its request number ``after`` (0: before the first), which is ``request``."""

    phase: str
    after: int
    request: str

    def __str__(self) -> str:
        return f"{self.phase}: after {self.request}" if self.after else f"{self.phase}: before it begins"


@dataclass(frozen=True)
class Cell:
    """One cell of the matrix."""

    query: bool
    behaviour: Behaviour
    death: Death | None
    sequel: str


@dataclass(frozen=True)
class Fate:
    """The end of a cell: the status of each attempt, the charges, and the event that resolved the last attempt.

    ``steps`` has the requests of each phase, by name.
    """

    statuses: tuple[str, ...]
    charges: int
    resolved_by: str
    findings: tuple[str, ...]
    steps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    timeline: tuple[str, ...] = ()

    def __str__(self) -> str:
        charged = {0: "no charge", 1: "1 charge"}.get(self.charges, f"{self.charges} CHARGES")
        bad = " **BAD**" if self.findings else ""
        return f"{', '.join(self.statuses) or 'nothing'}; {charged}; {self.resolved_by}{bad}"


class Stage:
    """One cell that is being run."""

    def __init__(self, world: World, cell: Cell) -> None:
        self.world, self.cell = world, cell
        self.bill = Bill("court", REFERENCE, "PETITION_FILING_FEE", {"docketNumber": "1-26"})
        self.caller = Application(world, self.bill, "caller")
        self.token: str | None = None
        self.phase = "after"
        self.steps: dict[str, list[str]] = {phase: [] for phase in PHASES}
        self._begun: set[str] = set()
        self._start_process()

    def _start_process(self) -> None:
        process = self.world.new_process(0, self._dies_at)
        self.world.processes[:] = [process]
        self.world.portals[:] = [self.world.new_portal(process)]

    @property
    def process(self) -> Process:
        """The process that runs now."""
        return self.world.processes[0]

    def _dies_at(self, where: str) -> bool:
        """Count the phase's requests, and return whether the process dies here.

        The sweep's first query of the index does not count, because it changes nothing.
        """
        if self.phase not in self.steps or where.endswith("the query of due"):
            return False
        when, request = where.split(" ", 1)
        steps = self.steps[self.phase]
        if when == "after":
            steps.append(request)
        elif steps or self.phase in self._begun:
            return False
        self._begun.add(self.phase)
        death = self.cell.death
        return death is not None and (death.phase, death.after) == (self.phase, len(steps))

    async def run(self, phase: str, what: Callable[[], Awaitable[Any]]) -> bool:
        """Run ``what`` as ``phase``; return False if the process died in it (another replaces it)."""
        self.phase = phase
        await what()
        self.phase = "after"
        return await self.replace_dead()

    async def replace_dead(self) -> bool:
        """Replace the process if it is dead; return whether it was alive."""
        if not self.process.dead:
            return True
        self.world.counts["deaths"] += 1
        self.world.note(f"the process died in {self.cell.death}")
        await asyncio.sleep(1.0)
        self._start_process()
        return False

    async def init(self) -> Any:
        """Call init; with a new token, the payer pays."""
        answer = await self.caller.ask("init", self.caller.init)
        if isinstance(answer, StartedPayment) and answer.token != self.token:
            self.token = answer.token
            self.bill.tokens.append(answer.token)
            self.caller.pay_by(answer.token, self.cell.behaviour.method, self.cell.behaviour.outcome)
        return answer

    async def complete(self) -> Any:
        """Call process, and return the payment's final status; None if there is none."""
        return self._receive(await self.caller.ask_process(self.token)) if self.token else None

    async def details(self) -> Any:
        """Ask details, and return the payment's final status; None if there is none."""
        return self._receive(await self.caller.ask("details", self.caller.details))

    async def sweep(self) -> None:
        """Run one sweep in the process."""

        async def once(portal: Portal) -> SweepReport:
            return await sweep(portal)

        try:
            await self.world.ask(once)
        except Gone:
            return

    def _receive(self, answer: Any) -> Any:
        if isinstance(answer, Payment) and answer.status != "pending":
            self.caller.receive(answer.status)
            return answer.status
        return None


# --- what comes next


async def _caller_retries(stage: Stage) -> None:
    for wait_s in RETRIES_AFTER_S:
        await asyncio.sleep(wait_s)
        if not stage.token:
            await stage.init()
        if await stage.complete():
            return


async def _caller_asks_details(stage: Stage) -> None:
    for wait_s in RETRIES_AFTER_S:
        await asyncio.sleep(wait_s)
        if await stage.details():
            return


async def _sweeper_alone(stage: Stage) -> None:
    return


async def _another_init(stage: Stage) -> None:
    for wait_s in RETRIES_AFTER_S:
        await asyncio.sleep(wait_s)
        if isinstance(await stage.init(), StartedPayment) and await stage.complete():
            return


async def _nothing_until_expiry(stage: Stage) -> None:
    await asyncio.sleep(TOKEN_AGE_MAX_S + 60.0)


SEQUELS: Final[Mapping[str, Callable[[Stage], Awaitable[None]]]] = {
    "the caller retries": _caller_retries,
    "the caller asks details": _caller_asks_details,
    "another init": _another_init,
    "the sweeper alone": _sweeper_alone,
    "nothing until the token has expired": _nothing_until_expiry,
}


# --- playing cells


def play(cell: Cell) -> Fate:
    """Run one cell in a separate world."""
    logging.disable(logging.CRITICAL)
    try:
        return run_virtual(lambda loop: _play(loop, cell))
    finally:
        logging.disable(logging.NOTSET)


def cells() -> Iterator[Cell]:
    """Yield every cell; one run without a death for each behaviour finds where the process can die."""
    for query in (True, False):
        for behaviour in BEHAVIOURS:
            for death in (None, *_deaths(query, behaviour)):
                for sequel in SEQUELS:
                    yield Cell(query, behaviour, death, sequel)


def _deaths(query: bool, behaviour: Behaviour) -> Iterator[Death]:
    steps = play(Cell(query, behaviour, None, "the sweeper alone")).steps
    for phase in PHASES:
        if steps[phase]:
            yield Death(phase, 0, steps[phase][0])
        for number, request in enumerate(steps[phase], start=1):
            yield Death(phase, number, f"{_ordinal(steps[phase], number)}{request}")


def _ordinal(steps: tuple[str, ...], number: int) -> str:
    """Return ``2nd `` for the second request of its kind in the phase, nothing for the only one."""
    place = steps[:number].count(steps[number - 1])
    return "" if steps.count(steps[number - 1]) == 1 else ("1st ", "2nd ", "3rd ")[min(place, 3) - 1]


async def _play(loop: VirtualLoop, cell: Cell) -> Fate:
    world = World(loop, "matrix", Weather(lookups=ONLY_QUERY if cell.query else NO_LOOKUP), process_count=0)
    world.paygov.settings = replace(world.paygov.settings, ach_settle_s=ACH_SETTLE_S)
    await world.start()
    stage = Stage(world, cell)
    alive = await stage.run("init", stage.init)
    if cell.behaviour.misbehaviour is not None:
        world.plan.add(cell.behaviour.misbehaviour)
    if cell.behaviour.outage:
        world.plan.outages.append(Outage(loop.clock(), loop.clock() + OUTAGE_S, Misbehaviour(kind="refuse")))
    if alive:
        alive = await stage.run("process", stage.complete)
    if alive and (cell.death is None or cell.death.phase == "sweep"):
        await asyncio.sleep(LEASE_S + 10.0)
        await stage.run("sweep", stage.sweep)
    await SEQUELS[cell.sequel](stage)
    for wait_s in SWEEPS_AFTER_S:
        await asyncio.sleep(wait_s)
        await stage.sweep()
        view = await world.reader.obligation(stage.bill.client, stage.bill.reference)
        if view is None or not any(attempt.live for attempt in view.attempts):
            break
    findings = await take_over(world)
    return await _fate(world, stage, findings)


async def _fate(world: World, stage: Stage, findings: list[str]) -> Fate:
    findings += await judge(world, [stage.bill])
    view = await world.reader.obligation(stage.bill.client, stage.bill.reference)
    attempts = view.attempts if view else ()
    history = [e for e in view.events if e.agency_tracking_id == attempts[-1].agency_tracking_id] if view else []
    return Fate(
        statuses=tuple(attempt.status for attempt in attempts),
        charges=sum(1 for _ in world.books.all_charges()),
        resolved_by=f"{history[-1].name} by the {history[-1].actor}" if history else "no attempt",
        findings=tuple(findings),
        steps={phase: tuple(steps) for phase, steps in stage.steps.items()},
        timeline=tuple(world.timeline_lines()),
    )
