"""Replay the events of an attempt through the transition table: each must be an edge, taken by one of its actors.

The ledger checks a step before it writes it. This check reads what was written, and shares no code with the ledger.
"""

from collections.abc import Iterable
from typing import Final

from bursar.payments.records import Event
from bursar.payments.status import EDGES, Actor, Status

STEPS: Final = frozenset((edge.source, edge.event, edge.target, actor) for edge in EDGES for actor in edge.actors)
"""Every step that the table allows. Made when this module is loaded, so a run cannot change it."""


def edge_line(source: Status | None, event: str, target: Status, actor: Actor) -> str:
    """Return an edge, as one of its actors takes it, in one line."""
    return f"{source or 'new'} → {target}: {event} by the {actor}"


def steps_outside_the_table(events: Iterable[Event]) -> list[str]:
    """Return a line for each event of one attempt, in order, that the table does not allow after the one before."""
    status = None
    findings = []
    for event in events:
        if (status, event.name, event.to_status, event.actor) not in STEPS:
            findings.append(
                f"{event.agency_tracking_id}: {event.name} by the {event.actor} "
                f"from {status or 'nothing'} to {event.to_status} is not in the table"
            )
        status = event.to_status
    return findings
