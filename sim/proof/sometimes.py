"""List what must happen in a thousand seeds: every fault that is simulated, and every edge with each of its actors.

A fault that never strikes proves nothing, and a step that no run takes is not simulated.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from bursar.payments.status import EDGES
from sim.proof.transition_check import edge_line

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
    "differences planted in an activity file",
    "lost collections recorded by an operator",
    "metadata erased by an operator",
    "paid again after a return",
    "payment charged back",
    "payment refunded",
    "settled by an operator before a lookup answered",
    "settled by an operator from a report",
    "settled by an operator in between",
    "store away",
    "store conflict",
    "store disk, done",
    "store disk, not done",
    "store not swapped",
    "store restored from a backup",
    "store stale index",
    "store stale read",
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
    dict.fromkeys(
        edge_line(step.source, step.event, step.target, actor)
        for step in EDGES
        if step.event not in NOT_SIMULATED
        for actor in step.actors
    )
)


TAKEN_IN_TESTS: Final[Mapping[str, str]] = {
    edge_line("initiated", "outcome_unknown", "processing", "portal"): (
        "tests/portal/use_cases/test_charged_before.py::test_a_collection_that_failed_is_no_expired_token"
    ),
    edge_line("initiated", "expired", "failed", "portal"): (
        "tests/portal/use_cases/test_init_payment.py::"
        "test_a_token_past_three_hours_fails_with_5009_and_a_new_attempt_starts"
    ),
    edge_line("processing", "expired_unsent", "failed", "portal"): (
        "tests/portal/use_cases/test_process_payment.py::test_not_sent_and_past_its_life_is_expired"
    ),
}
"""Steps that are too rare for the simulation, because the sweeper is nearly always first → the test that takes them."""


def never_happened(faults: Mapping[str, int], edges: Mapping[str, int]) -> list[str]:
    """Return a line for each fault and each edge that never happened."""
    return [
        *(f"fault: {name}" for name in FAULTS if not faults.get(name)),
        *(f"edge: {line}" for line in EDGE_LINES if not edges.get(line) and line not in TAKEN_IN_TESTS),
    ]


def not_listed(faults: Mapping[str, int]) -> list[str]:
    """Return the faults that happened and are not in FAULTS."""
    return sorted(Counter(faults).keys() - set(FAULTS))


SOMETIMES: Final = len(FAULTS) + len(EDGE_LINES) - len(TAKEN_IN_TESTS)
