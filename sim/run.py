"""One seed: storm, calm, quiet period, operators, in some seeds the weeks after settlement, verdict."""

import asyncio
import gc
import logging
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bursar.dynamo import Store
from sim.actors.applications import Application, bills, late_bill
from sim.actors.moves import move_store
from sim.actors.operators import (
    compare_after_restore,
    erase_ended,
    live_attempts,
    settle_charged,
    settle_reported,
    take_over,
)
from sim.actors.trespass import ask_for_another_amount, trespass
from sim.actors.weeks_after import LONG_SHARE, weeks_after
from sim.faults.fault_switch import ALL_FAULTS, FaultPlan, Strike
from sim.loop import Deadlock, VirtualLoop, run_virtual
from sim.proof.activity_files import judge_activity_file
from sim.proof.judge import judge
from sim.proof.resolution_times import Cause
from sim.world import BILLS_MAX, BILLS_MIN, QUIET_SWEEP_INTERVAL_S, STORM_S, World

CROWD = 500
"""The obligations of one run in volume: enough for the sweeps, the restarts and the audit to cost little of it."""
COMPARED_AFTER_S = (1200.0, 4 * 3600.0)
"""How long after a restore an operator compares the store with Pay.gov's activity file."""
LATE_AFTER_S = 1.0
OTHER_AMOUNTS_SHARE = 0.3
READING_DAYS_SHARE = 0.2
READINGS = 6
ERASING_DAYS_SHARE = 0.2
QUIET_STEP_S = 3600.0
QUIET_STEPS_MAX = 14
"""Longer than a token's life and its grace period, and than refused lookups with the wait for the next question about a
settling payment, so that every attempt can end; fewer when none is left."""


@dataclass
class Verdict:
    """The result of one seed. ``findings`` is empty for a good run; ``timeline`` explains a bad one.

    ``left``: reason → the attempts that were left to a person. ``resolutions``: cause and time of each lost reply that
    was resolved. ``shown_s``: how much of it came after a lookup could show the charge, for lost replies of a charge.
    ``can_rule_out``: a lookup could say that Pay.gov has no collection.
    """

    seed: int
    findings: list[str]
    payments: int = 0
    charges: int = 0
    can_rule_out: bool = True
    left: Counter[str] = field(default_factory=Counter)
    resolutions: list[tuple[Cause, float]] = field(default_factory=list)
    shown_s: list[float] = field(default_factory=list)
    returns: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)
    edges: Counter[str] = field(default_factory=Counter)
    struck: list[Strike] = field(default_factory=list)
    ended_at_s: float = 0.0
    timeline: list[str] = field(default_factory=list)


def simulate(
    seed: int,
    faults: FaultPlan = ALL_FAULTS,
    *,
    crowd: int | None = None,
    moved_after_s: float | None = None,
    other_store: Store | None = None,
    keeps_timeline: bool = True,
) -> Verdict:
    """Run ``seed`` with the faults that the plan allows. The same seed and plan give the same run, event by event.

    ``crowd``: the number of obligations; None: a few, as drawn. ``moved_after_s``: when the store is moved to another
    one, as `bursar move` does; None: never. ``other_store``: another implementation of DynamoDB, without a table, that
    has the payments; None: Bursar's own engine. ``keeps_timeline``: whether the verdict has a timeline.
    """
    logging.disable(logging.CRITICAL)
    collecting = gc.isenabled()
    gc.disable()  # a run is short, and its process frees the garbage
    try:
        return run_virtual(
            lambda loop: _simulate(
                World(loop, seed, faults=faults, crowd=crowd, other_store=other_store, keeps_timeline=keeps_timeline),
                seed,
                moved_after_s,
            )
        )
    except Deadlock as deadlock:
        return Verdict(seed, [f"deadlock: {deadlock}"])
    finally:
        logging.disable(logging.NOTSET)
        if collecting:
            gc.enable()


def simulate_crowd(seed: int) -> Verdict:
    """Run ``seed`` with CROWD obligations. The timeline is left out: it is long, and the seed gives it again."""
    return simulate(seed, crowd=CROWD, keeps_timeline=False)


async def _simulate(world: World, seed: int, moved_after_s: float | None) -> Verdict:
    loop, faults, crowd = world.loop, world.faults, world.crowd
    if faults.reseeded_at_s is not None:
        loop.call_at(faults.reseeded_at_s, world.reseed)
    await world.start()
    moving = None if moved_after_s is None else loop.create_task(move_store(world, moved_after_s))
    made = bills(world, crowd or world.randomness.randint(BILLS_MIN, BILLS_MAX))
    work = []
    for number, bill in enumerate(made):
        for tab in range(world.randomness.choice((1, 1, 2))):
            application = Application(world, bill, f"bill {number}{'ab'[tab]}")
            work.append(loop.create_task(application.run(world.randomness.uniform(0, 900))))
        again = Application(world, bill, f"bill {number} again")
        world.when_restored.append(partial(_also, loop, work, again.check_again))
    late = late_bill(world)
    made.append(late)
    collects_late = Application(world, late, "late bill", act="pays")
    world.when_backed_up.append(partial(_also, loop, work, partial(collects_late.run, LATE_AFTER_S)))
    other_amounts = world.branch("other amounts")
    for bill in made:
        if other_amounts.random() < OTHER_AMOUNTS_SHARE:
            after_s, factor = other_amounts.uniform(0, STORM_S / 3), other_amounts.choice((0.5, 2))
            loop.create_task(ask_for_another_amount(world, bill, after_s, factor))
    loop.create_task(_reading_operator(world, world.branch("reading operator")))
    for _ in range(world.randomness.randint(0, 4)):
        loop.create_task(_sweep_at_once(world, world.randomness.uniform(0, STORM_S)))
    await asyncio.sleep(world.storm_s)
    world.calm()
    world.note("calm")
    if world.randomness.random() < 0.3:
        loop.create_task(_early_operator(world, world.randomness.uniform(0, 3 * 3600)))
    operators = loop.create_task(_compare_after_restore(world, world.branch("comparison").uniform(*COMPARED_AFTER_S)))
    await asyncio.wait(work)
    for _ in range(QUIET_STEPS_MAX):
        await asyncio.sleep(QUIET_STEP_S)
        if not await live_attempts(world):
            break
    findings = [f"an application broke: {task.exception()!r}" for task in work if task.exception()]
    findings += await take_over(world)
    await operators
    if moving is not None:
        await moving
    weeks = world.branch("weeks").random() < LONG_SHARE
    if weeks:
        await weeks_after(world, made)
    await asyncio.sleep(2 * QUIET_SWEEP_INTERVAL_S)
    findings += world.broken_parts()
    if world.branch("erasure").random() < ERASING_DAYS_SHARE:
        world.counts["metadata erased by an operator"] += await erase_ended(world)
    findings += await judge(world, made)
    findings += await judge_activity_file(world, made)
    findings += await trespass(world, made)
    return Verdict(
        seed,
        findings,
        payments=len(made),
        charges=sum(1 for _ in world.books.all_charges()),
        can_rule_out=world.sky.can_rule_out,
        left=world.left,
        resolutions=world.resolutions,
        shown_s=world.shown_s,
        returns=sum(charge.returned_at is not None for charge in world.books.all_charges()),
        faults=world.counts,
        alerts=world.alerts,
        edges=world.edges,
        struck=world.switch.struck,
        ended_at_s=loop.time(),
        timeline=world.timeline_lines(),
    )


def _also(loop: VirtualLoop, work: list[asyncio.Task[None]], more: Callable[[], Coroutine[Any, Any, None]]) -> None:
    work.append(loop.create_task(more()))


async def _sweep_at_once(world: World, after_s: float) -> None:
    await asyncio.sleep(after_s)
    await world.sweep_together()


async def _compare_after_restore(world: World, after_s: float) -> None:
    if world.restored_at is not None:
        await asyncio.sleep(max(0.0, world.restored_at + after_s - world.loop.clock()))
        await compare_after_restore(world)


async def _reading_operator(world: World, chance: random.Random) -> None:
    """Compare Pay.gov's reports with the store several times, on some days."""
    if chance.random() < READING_DAYS_SHARE:
        for _ in range(READINGS):
            await asyncio.sleep(chance.uniform(0, STORM_S / READINGS))
            world.counts["settled by an operator from a report"] += await settle_reported(world)


async def _early_operator(world: World, after_s: float) -> None:
    await asyncio.sleep(after_s)
    world.counts["settled by an operator in between"] += await settle_charged(world)
