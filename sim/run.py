"""One seed from start to judgement: storm, calm, quiet period, verdict."""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field

from sim.actors import Application, bills
from sim.judge import judge
from sim.loop import Deadlock, VirtualLoop, run_virtual
from sim.world import World

BILLS_MIN, BILLS_MAX = 2, 6
STORM_S = 5_000.0
QUIET_S = 6 * 3600.0
"""Longer than a token's life and its grace together, so that everything has had its chance to be resolved."""


@dataclass
class Verdict:
    """What one seed showed. ``findings`` is empty for a good run; ``timeline`` is for reading a bad one."""

    seed: int
    findings: list[str]
    payments: int = 0
    charges: int = 0
    given_up: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    timeline: list[str] = field(default_factory=list)


def simulate(seed: int) -> Verdict:
    """Runs ``seed``. The same seed gives the same run, to the last event."""
    logging.disable(logging.CRITICAL)
    try:
        return run_virtual(lambda loop: _simulate(loop, seed))
    except Deadlock as deadlock:
        return Verdict(seed, [f"deadlock: {deadlock}"])
    finally:
        logging.disable(logging.NOTSET)


async def _simulate(loop: VirtualLoop, seed: int) -> Verdict:
    world = World(loop, seed)
    await world.start()
    made = bills(world, world.randomness.randint(BILLS_MIN, BILLS_MAX))
    work = []
    for number, bill in enumerate(made):
        for tab in range(world.randomness.choice((1, 1, 2))):
            application = Application(world, bill, f"bill {number}{'ab'[tab]}")
            work.append(loop.create_task(application.run(world.randomness.uniform(0, 900))))
    await asyncio.sleep(STORM_S)
    world.calm()
    world.note("calm")
    await asyncio.wait(work)
    await asyncio.sleep(QUIET_S)
    findings = await judge(world, made)
    ledger = world.ledger(world.engine)
    live = await ledger.due(loop.clock() + 10 * QUIET_S, 1000)
    return Verdict(
        seed,
        findings,
        payments=len(made),
        charges=sum(1 for _ in world.books.all_charges()),
        given_up=len(live),
        faults=world.counts,
        timeline=world.timeline,
    )
