"""The switch of a run's faults: each drawn fault asks it, so that a failing run can be repeated with fewer faults.

A fault is addressed by its kind and its number among the drawn faults of that kind. Draws are made in any case, so a
fault that is switched off changes the run only by its absence.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Occurrence = tuple[str, int]
"""A fault's kind, and its number among the drawn faults of that kind, from 1 on."""


@dataclass(frozen=True)
class FaultPlan:
    """The faults that may strike: all by default.

    ``off`` are kinds that never strike. ``only`` are the occurrences that may strike; None: every one. From
    ``reseeded_at_s`` on (seconds of virtual time) all later draws come from the future ``future``; None: from the seed.
    """

    off: frozenset[str] = frozenset()
    only: frozenset[Occurrence] | None = None
    reseeded_at_s: float | None = None
    future: int = 0

    def allows(self, occurrence: Occurrence) -> bool:
        """Return whether the fault may strike."""
        return occurrence[0] not in self.off and (self.only is None or occurrence in self.only)


ALL_FAULTS: Final = FaultPlan()


@dataclass(frozen=True)
class Strike:
    """A fault that struck, at ``at_s`` seconds of virtual time."""

    at_s: float
    occurrence: Occurrence


class FaultSwitch:
    """Counts the drawn faults of one run and decides which of them strike."""

    def __init__(self, plan: FaultPlan, time: Callable[[], float]) -> None:
        self._plan = plan
        self._time = time
        self._drawn: Counter[str] = Counter()
        self.struck: list[Strike] = []

    def strikes(self, kind: str) -> bool:
        """Return whether the fault of this kind that was just drawn strikes."""
        self._drawn[kind] += 1
        occurrence = (kind, self._drawn[kind])
        if not self._plan.allows(occurrence):
            return False
        self.struck.append(Strike(self._time(), occurrence))
        return True
