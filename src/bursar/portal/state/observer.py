"""The interface to which the portal reports calls to Pay.gov, lease conflicts, outcomes, alerts and sweeps.

:class:`~bursar.portal.metrics.metrics.Metrics` implements it, and tests record it. The portal itself also logs alerts.
Each name that is reported is a ``Literal``, so that mypy finds a misspelt one.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

PayGovOperation = Literal["start", "complete", "details", "query"]

OutcomeName = Literal[
    "paid",
    "settling",
    "refused",
    "fault",
    "charged twice",
    "not sent",
    "timed out",
    "lost",
    "nonsense",
    "fault, no code",
    "token unusable",
    "fault after doubt",
    "unidentified",
    "another id",
    "another amount",
    "unknown status",
    "id taken",
    "contradiction",
    "unforeseen",
]
"""The rows of :data:`bursar.portal.use_cases.completion_outcomes.OUTCOMES`."""

AlertName = OutcomeName | Literal["attention", "found lost", "found uncompleted", "not recorded"]

SweepResult = Literal[
    "settled",
    "failed",
    "expired",
    "abandoned",
    "still_open",
    "returned",
    "watched",
    "unanswered",
    "postponed",
    "lost_race",
    "not_due",
    "error",
]
"""The result of one attempt in a pass of the sweeper."""


class Observer(Protocol):
    """The portal calls it from the event loop. Implementations must be quick and must not raise."""

    def paygov_answered(self, operation: PayGovOperation, outcome: str, seconds: float) -> None:
        """Report a call to Pay.gov. ``outcome``: ``answered``, ``cancelled``, or the error's class name."""

    def lease_conflict(self) -> None:
        """Report a caller that found another caller's lease on an attempt."""

    def outcome_known(self, outcome: OutcomeName) -> None:
        """Report how a completion ended."""

    def alerted(self, alert: AlertName) -> None:
        """Report an alert: an attempt needs a person."""

    def swept(self, results: Mapping[SweepResult, int], seconds: float) -> None:
        """Report one pass of the sweeper: how many attempts ended in each way."""


class NoObserver:
    """An observer that ignores every report."""

    def paygov_answered(self, operation: PayGovOperation, outcome: str, seconds: float) -> None:
        """Ignore the report."""

    def lease_conflict(self) -> None:
        """Ignore the report."""

    def outcome_known(self, outcome: OutcomeName) -> None:
        """Ignore the report."""

    def alerted(self, alert: AlertName) -> None:
        """Ignore the report."""

    def swept(self, results: Mapping[SweepResult, int], seconds: float) -> None:
        """Ignore the report."""
