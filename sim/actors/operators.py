"""Operators: they settle what is left to them by Pay.gov's books, with `bursar attention`, `resolve` and `restored`."""

import asyncio
from typing import Final, Literal

from bursar.paygov.simulator.books import OUTCOMES
from bursar.payments.due import TOKEN_AGE_MAX_S
from bursar.payments.records import Attempt
from bursar.portal.contract.errors import Conflict, PortalError
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.attention import attention, resolve
from bursar.portal.upkeep.erasure import erase_metadata
from bursar.portal.upkeep.restored import clear, lost_collections
from bursar.portal.use_cases.completion_outcomes import CONTRADICTIONS
from sim.world import FAR_S, World

LIVE_MAX: Final = 1000
COMPARE_AGAIN_S: Final = 900.0
BY: Final = "Ada of finance"
SETTLED_EARLY: Final = "settled by an operator before a lookup answered"


async def live_attempts(world: World) -> list[Attempt]:
    """Return every attempt that is not final, from the index (which is never behind in the engine)."""
    return await world.reader.due(world.loop.clock() + FAR_S, LIVE_MAX)


def operators_portal(world: World) -> Portal:
    """Return a portal as `bursar resolve` opens it: directly on the store, for one command."""
    return world.portal(world.ledger(world.noticed), world.transport, f"operator {world.loop.time()}")


async def settle_charged(world: World) -> int:
    """Settle listed attempts with a charge in the books as processed, during the run, and return their number."""
    portal, settled = operators_portal(world), 0
    for listed in await attention(portal):
        charged = world.books.charges(listed.attempt.agency_tracking_id)
        needs_person = _only_a_person_can(world, listed.attempt)
        if charged and await _settle(world, portal, listed.attempt):
            settled += 1
            if needs_person:
                world.left[_without_details(listed.reason)] += 1
            else:
                world.counts[SETTLED_EARLY] += 1
    return settled


async def compare_after_restore(world: World) -> None:
    """Compare a restored store with Pay.gov's books and clear its mark, as soon as that is possible."""
    portal = operators_portal(world)
    while (await portal.ledger.restores.read()).open_mark is not None:
        charged = [(charge.agency_tracking_id, charge.paygov_tracking_id) for charge in world.books.all_charges()]
        lost = await lost_collections(portal, charged)
        try:
            await clear(portal, by=BY, reason="compared with Pay.gov's activity file", lost=lost)
        except Conflict as early:
            world.note(f"operator: {early.message}")
            await asyncio.sleep(COMPARE_AGAIN_S)
        else:
            world.cleared_at = world.loop.clock()
            world.counts["lost collections recorded by an operator"] += len(lost)
            world.note(f"operator: the restore mark is cleared; {len(lost)} lost collections")


async def settle_reported(world: World) -> int:
    """Settle pending attempts that have settled or bounced at Pay.gov, and return their number.

    An operator who reads Pay.gov's reports may do so at any time.
    """
    portal, settled = operators_portal(world), 0
    for attempt in await live_attempts(world):
        entry = next(iter(world.books.entries(attempt.agency_tracking_id)), None)
        if attempt.status == "pending" and entry is not None and world.paygov.status(entry) in OUTCOMES:
            settled += await _settle(world, portal, attempt)
    return settled


async def erase_ended(world: World) -> int:
    """Erase the metadata of obligations that have ended, and return the number of attempts that lost theirs."""
    report = await erase_metadata(operators_portal(world), ended_before_days=0, by=BY, reason="retention")
    return report.attempts


async def take_over(world: World) -> list[str]:
    """Settle every live attempt at the end. Return a line for each that should not be left, or is not listed."""
    findings: list[str] = []
    left = await live_attempts(world)
    if not left:
        return findings
    portal = operators_portal(world)
    listed = {listed.attempt.agency_tracking_id: listed.reason for listed in await attention(portal)}
    for attempt in left:
        name = attempt.agency_tracking_id
        world.left[_without_details(listed.get(name, "not listed"))] += 1
        if name not in listed:
            findings.append(f"{name} is still {attempt.status} after the quiet period, and not listed for an operator")
        elif not _only_a_person_can(world, attempt):
            findings.append(f"{name} is still {attempt.status} after the quiet period: {attempt.unknown_reason}")
        if not await _settle(world, portal, attempt):
            findings.append(f"{name} is {attempt.status} and an operator cannot settle it")
    return findings


def _without_details(reason: str) -> str:
    """Return ``reason`` without what Pay.gov has instead, so that equal reasons are counted together."""
    return next((row for row in CONTRADICTIONS if reason.startswith(row)), reason)


def _only_a_person_can(world: World, attempt: Attempt) -> bool:
    """Return whether only an operator can settle it: Pay.gov cannot be asked, or it charged another amount."""
    if attempt.status == "pending":
        return _another_amount(world, attempt)
    if attempt.status != "processing" or not attempt.outcome_unknown or not attempt.unknown_reason:
        return False
    return not world.sky.can_rule_out or _another_amount(world, attempt)


def _another_amount(world: World, attempt: Attempt) -> bool:
    return any(entry.amount != attempt.amount for entry in world.books.entries(attempt.agency_tracking_id))


async def _settle(world: World, portal: Portal, attempt: Attempt) -> bool:
    charges = world.books.charges(attempt.agency_tracking_id)
    settled_as: Literal["processed", "failed"] = "processed" if charges else "failed"
    token_lives = world.loop.clock() < (attempt.token_at or attempt.created_at) + TOKEN_AGE_MAX_S
    if not charges and attempt.status != "pending" and token_lives:
        return False  # a complete may still be on its way
    try:
        await resolve(
            portal,
            attempt.agency_tracking_id,
            settled_as=settled_as,
            by=BY,
            reason="Pay.gov's activity report",
            paygov_tracking_id=charges[0].paygov_tracking_id if charges else None,
        )
    except PortalError as refused:
        world.note(f"operator: {attempt.agency_tracking_id}: {refused.message}")
        return False
    world.note(f"operator: {attempt.agency_tracking_id} settled as {settled_as}")
    return True
