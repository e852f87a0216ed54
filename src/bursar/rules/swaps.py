"""Logical writes → swaps of whole items, for a store in this process that stands under the same rules.

The compiled form (:mod:`bursar.rules.compile`) says in conditions what must be so at the instant of the write. Here the
engine's own guard judges the same rules at that instant, so all that is left to say is which items there are and which
are to be: the items themselves and the sentinels of the unique values. What does not go through this way is sent in
the compiled form, whose answer tells why: a swap is a short cut for what is fine, never a second opinion.
"""

from collections.abc import Sequence

from bursar.dynamo.direct import Swap
from bursar.rules.compile import net_changes
from bursar.rules.holdings import Holdings
from bursar.rules.plan import Plan
from bursar.rules.writes import Write


def swaps_of(plan: Plan, table: str, writes: Sequence[Write]) -> list[Swap]:
    """(old, new) of each item that ``writes`` change and of each sentinel; empty when nothing changes.

    Raises ``RuleRefused`` and ``Contention`` as ``compile_writes`` does, and ``ValueError`` for what that refuses in
    words of its own; local rules are the guard's.
    """
    holds = Holdings(plan, table)
    swaps: list[Swap] = []
    for change in net_changes(plan, writes).values():
        swaps.append((change.old, change.new))
        holds.follow(change)
    return swaps + holds.swaps()
