"""A client that asks for what it may not have, at the end of a run: it must get a refusal and nothing else."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from bursar.portal.contract.errors import Forbidden
from bursar.portal.use_cases.payment_details import details, events
from sim.actors import Application, Bill
from sim.operators import operators_portal
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
