"""List what must happen in a thousand seeds: every fault that is simulated, and every edge of the graph.

A fault that never strikes proves nothing, and a step that no run takes is not simulated.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from bursar.payments.status import EDGES
from sim.transition_check import edge_line

ENOUGH_SEEDS: Final = 1000
"""With this many seeds, a fault or an edge that never happened fails the run; with fewer it is only reported."""

FAULTS: Final = (
    "Pay.gov charged another amount",
    "Pay.gov complete held back",
    "Pay.gov crossed reply, done",
    "Pay.gov crossed reply, not done",
    "Pay.gov cut, done",
    "Pay.gov delay, done",
    "Pay.gov drip, done",
    "Pay.gov drop, done",
    "Pay.gov drop, not done",
    "Pay.gov duplicated, done",
    "Pay.gov garbage, done",
    "Pay.gov http, done",
    "Pay.gov http, not done",
    "Pay.gov lookup blind to a collection",
    "Pay.gov outage",
    "Pay.gov refuse, not done",
    "Pay.gov request delivered twice",
    "Pay.gov reset, done",
    "Pay.gov reset, not done",
    "Pay.gov truncated, done",
    "Pay.gov twice, done",
    "Pay.gov wrong_agency, done",
    "Pay.gov wrong_amount, done",
    "Pay.gov wrong_shape, done",
    "callers hung up",
    "deaths",
    "debit returned after settlement",
    "lost collections recorded by an operator",
    "metadata erased by an operator",
    "paid again after a return",
    "payment charged back",
    "payment refunded",
    "settled by an operator from a report",
    "settled by an operator in between",
    "store away",
    "store conflict",
    "store disk, done",
    "store disk, not done",
    "store not swapped",
    "store restored from a backup",
    "store stale index",
    "store throttled",
    "store twice",
    "store unanswered, done",
    "store unanswered, late",
    "store unanswered, not done",
    "store unreachable",
)

NOT_SIMULATED: Final = frozenset({"imported"})
"""Events that no run takes: an import happens once, before a portal serves (tests/portal/upkeep/imports)."""
EDGE_LINES: Final = tuple(
    dict.fromkeys(edge_line(step.source, step.event, step.target) for step in EDGES if step.event not in NOT_SIMULATED)
)


def never_happened(faults: Mapping[str, int], edges: Mapping[str, int]) -> list[str]:
    """Return a line for each fault and each edge that never happened."""
    return [
        *(f"fault: {name}" for name in FAULTS if not faults.get(name)),
        *(f"edge: {line}" for line in EDGE_LINES if not edges.get(line)),
    ]


def not_listed(faults: Mapping[str, int]) -> list[str]:
    """Return the faults that happened and are not in FAULTS."""
    return sorted(Counter(faults).keys() - set(FAULTS))


SOMETIMES: Final = len(FAULTS) + len(EDGE_LINES)
