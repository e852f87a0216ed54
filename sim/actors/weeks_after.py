"""The weeks after settlement, in some seeds: banks return debits, operators record what went back, sweepers follow.

The faults of these weeks are lost answers to the sweepers' questions and dying processes. Everything that goes back is
noted in Pay.gov's books (returned debits) or in ``World.went_back`` (chargebacks and refunds): the judge compares the
records with both.
"""

import asyncio
import random
from collections.abc import Awaitable, Iterable
from decimal import Decimal
from typing import Final

from bursar.paygov.simulator import Misbehaviour, PayerRefused
from bursar.paygov.simulator.books import Charge
from bursar.payments.due import DAY_S, RETURN_WATCH_S
from bursar.payments.records import CENT
from bursar.payments.reversals import ReversalReport
from bursar.portal.contract.errors import PortalError
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.reversals import approve_refund, reject_refund, request_refund, reverse
from sim.actors.applications import Application, Bill
from sim.actors.operators import BY, operators_portal
from sim.world import World

LONG_SHARE: Final = 0.25
"""The share of seeds that live through these weeks: they take several times as long as others."""
SWEEP_INTERVAL_S: Final = 43_200.0
RETURNED_SHARE: Final = 0.6
REVERSED_SHARE: Final = 0.4
LOST_ANSWERS: Final = 0.2
DEATHS: Final = 0.02
LAST_DAY: Final = 58.0
"""The last day on which a bank returns a debit: some days before the watch ends."""
OTHER: Final = "Grace of audit"


async def weeks_after(world: World, made: Iterable[Bill]) -> None:
    """Let the weeks after settlement pass."""
    chance = world.branch("weeks after")
    world.go_slow(SWEEP_INTERVAL_S, DEATHS)
    world.plan.add(Misbehaviour(kind="drop", operations=("details",), probability=LOST_ANSWERS))
    bills = {bill.client + bill.reference: bill for bill in made}
    work = []
    for charge in list(world.books.all_charges()):
        after_s = chance.uniform(0.1, LAST_DAY) * DAY_S
        mine = random.Random(chance.random())
        if charge.payment_type == "ACH" and chance.random() < RETURNED_SHARE:
            work.append(_bank_returns(world, charge, after_s, bills, mine))
        elif charge.payment_type != "ACH" and chance.random() < REVERSED_SHARE:
            work.append(_operators_reverse(world, charge, after_s, mine))
    tasks = [world.loop.create_task(each) for each in work]
    await asyncio.sleep(RETURN_WATCH_S - 3 * DAY_S)
    world.plan.clear()
    await asyncio.sleep(10 * DAY_S)
    world.calm()
    for task in tasks:
        await task


async def _bank_returns(
    world: World, charge: Charge, after_s: float, bills: dict[str, Bill], chance: random.Random
) -> None:
    """Return a debit; sometimes an operator reports it too, and sometimes the payer pays again."""
    await asyncio.sleep(after_s)
    try:
        world.paygov.return_debit(charge.paygov_tracking_id)
    except PayerRefused as refused:  # an oddity of Pay.gov: not a debit that has settled
        world.note(f"bank: {charge.agency_tracking_id}: {refused}")
        return
    world.counts["debit returned after settlement"] += 1
    world.note(f"bank: {charge.agency_tracking_id}: the debit is returned")
    if chance.random() < 0.3:
        await asyncio.sleep(chance.uniform(0, 3) * DAY_S)
        report = ReversalReport("returned", charge.amount, "operator", by=BY, reason="the voucher")
        await _reported(world, charge, reverse(operators_portal(world), charge.agency_tracking_id, report))
    await asyncio.sleep(20 * DAY_S if chance.random() < 0.5 else DAY_S)
    attempt = await world.reader.attempt_by_agency_id(charge.agency_tracking_id)
    if attempt is not None and attempt.reopened and chance.random() < 0.7:
        bill = bills[attempt.client + attempt.reference]
        application = Application(world, bill, f"again {charge.agency_tracking_id}")
        token = await application.begin()
        if token is not None:
            world.counts["paid again after a return"] += 1
            application.pay_by(token, "PLASTIC_CARD", "Success")
            await application.process(token)


async def _operators_reverse(world: World, charge: Charge, after_s: float, chance: random.Random) -> None:
    """Record a chargeback that two people report at once, or a refund that one asks for and another one decides."""
    await asyncio.sleep(after_s)
    portal, name = operators_portal(world), charge.agency_tracking_id
    thirds = chance.choice((1, 1, 2, 3))
    amount = (charge.amount * thirds / 3).quantize(CENT)
    if chance.random() < 0.5:
        report = ReversalReport("charged_back", amount, "operator", by=BY, reason="the report", reason_code="13.1")
        reports = [reverse(operators_portal(world), name, report) for _ in range(2)]
        if any(await asyncio.gather(*(_reported(world, charge, each) for each in reports))):
            _note_gone(world, charge, amount, "charged back")
        return
    for _ in range(3 if thirds == 1 else 1):
        await _refund(world, portal, charge, amount, chance)


async def _refund(world: World, portal: Portal, charge: Charge, amount: Decimal, chance: random.Random) -> None:
    """Request a refund; the same person cannot approve it, and another one rejects or approves it."""
    name = charge.agency_tracking_id
    try:
        request = await request_refund(portal, name, amount, by=BY, reason="paid twice")
    except PortalError as refused:
        world.note(f"operator: {name}: {refused.message}")
        return
    if await _reported(world, charge, approve_refund(portal, request.request_id, by=f" {BY.upper()}", reason="mine")):
        world.findings.append(f"{name}: a refund was approved by the person who requested it")
    if chance.random() < 0.3:
        await reject_refund(portal, request.request_id, by=OTHER, reason="no")
    elif await _reported(world, charge, approve_refund(portal, request.request_id, by=OTHER, reason="checked")):
        _note_gone(world, charge, amount, "refunded")


async def _reported(world: World, charge: Charge, change: Awaitable[object]) -> bool:
    """Return whether the portal accepted the report."""
    try:
        await change
    except PortalError as refused:
        world.note(f"operator: {charge.agency_tracking_id}: {refused.message}")
        return False
    except Exception as error:
        world.findings.append(f"{charge.agency_tracking_id}: a report ended with {error!r}")
        return False
    return True


def _note_gone(world: World, charge: Charge, amount: Decimal, how: str) -> None:
    world.counts[f"payment {how}"] += 1
    world.note(f"operator: {charge.agency_tracking_id}: {amount} {how}")
    world.went_back[charge.agency_tracking_id] += amount
