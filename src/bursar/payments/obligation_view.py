"""An obligation as one read returns it: with everything in its partition."""

from dataclasses import dataclass

from bursar.payments.records import Attempt, Event, Obligation
from bursar.payments.reversals import Reversal
from bursar.payments.status import FAILED


@dataclass(frozen=True, slots=True)
class ObligationView:
    """An obligation with all its attempts, all their events and reversals, each oldest first."""

    obligation: Obligation
    attempts: tuple[Attempt, ...]
    events: tuple[Event, ...]
    reversals: tuple[Reversal, ...] = ()

    @property
    def blocking(self) -> Attempt | None:
        """The attempt that blocks others: the live one, otherwise the processed one, otherwise None."""
        return next((a for a in reversed(self.attempts) if a.status != FAILED and not a.reopened), None)
