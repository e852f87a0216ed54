"""Logical writes → swaps of whole items, for a store in this process that keeps the same rules.

The compiled form (:mod:`bursar.rules.transactions.compile`) expresses as conditions what must hold at the instant of
the write. On the swap path the engine's guard judges the same rules at that instant and adds the sentinels, so the
caller passes only the items. A swap that does not go through is sent in the compiled form, whose error gives the
reason.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bursar.rules.language.writes import Delete, LogicalWrite, Put

if TYPE_CHECKING:
    from bursar.dynamo.engine.compare_and_swap import Swap


def swaps_of(writes: Sequence[LogicalWrite]) -> "list[Swap]":
    """Return (old, new) of each item that ``writes`` change; an empty list without changes.

    The swap judges everything else: two writes at one key, an item that is not as its caller read it, and every rule.
    """
    swaps: list[Swap] = []
    for write in writes:
        old = None if isinstance(write, Put) else write.old
        new = None if isinstance(write, Delete) else write.item if isinstance(write, Put) else write.new
        if old != new:
            swaps.append((old, new))
    return swaps
