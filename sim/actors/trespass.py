"""Clients that ask for what they may not have: they must get a refusal and nothing else.

At the end of a run, a client without the fee asks for each bill. In the middle of it, an application asks for a token
of another amount.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from bursar.portal.contract.answers import StartedPayment
from bursar.portal.contract.errors import Forbidden
from bursar.portal.use_cases.payment_details import details, events
from sim.actors.applications import Application, Bill
from sim.actors.operators import operators_portal
from sim.world import World


async def trespass(world: World, made: Iterable[Bill]) -> list[str]:
    """Return a line for each bill of which a client without its fee gets anything but a refusal.

    The client may charge a fee whose key is the beginning of the bill's, and one whose key begins with it.
    """
    portal, findings = operators_portal(world), []
    for bill in made:
        if await world.reader.obligation(bill.client, bill.reference, events=False) is None:
            continue
        client = replace(world.client(bill.client), fees=frozenset({bill.fee[:4], f"{bill.fee}_2"}))
        application = Application(world, bill, "trespasser")
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "init": partial(application.init, portal, client),
            "details": partial(details, portal, client, bill.reference),
            "events": partial(events, portal, client, bill.reference),
        }
        for name, call in calls.items():
            try:
                await call()
                answer = "served"
            except Forbidden:
                continue
            except Exception as error:
                answer = f"answered with {error!r}"
            findings.append(f"{bill.reference}: {name} of a client that may not charge its fee is {answer}")
    return findings


async def ask_for_another_amount(world: World, bill: Bill, after_s: float, factor: float) -> None:
    """Call init for ``factor`` times the amount of ``bill`` while it is collected, and note a token that is given.

    A payer with that token would pay the bill's amount, and the application would expect the other one.
    """
    await asyncio.sleep(after_s)
    if bill.amount is None or not bill.tokens:
        return
    other = replace(bill, amount=round(bill.amount * factor, 2), tokens=[], received=[], findings=[])
    answer = await (application := Application(world, other, "another amount")).ask("init", application.init)
    bill.findings += other.findings
    if isinstance(answer, StartedPayment) and answer.token in bill.tokens:
        bill.findings.append(f"{bill.reference}: an init of {other.amount} got the token of {bill.amount}")
