"""What the portal tells whoever watches it: calls to Pay.gov, lost leases, alerts, sweeps. By default nobody does.

Metrics implement this (``metrics.py``); tests record it. Alerts are logged by the portal itself as well.
"""

from typing import Protocol


class Observer(Protocol):
    """Called from the event loop; must be quick and must not raise."""

    def paygov_answered(self, operation: str, outcome: str, seconds: float) -> None:
        """``operation``: start, complete, details or query; ``outcome``: ``answered`` or the error's class name."""

    def lease_conflict(self) -> None:
        """A caller found an attempt leased to somebody else."""

    def outcome_known(self, row: str) -> None:
        """A completion ended as this row of outcomes.OUTCOMES."""

    def alerted(self, alert: str) -> None:
        """A person should look at something; ``alert`` is one of alerts' names."""

    def swept(self, results: dict[str, int], seconds: float) -> None:
        """One pass of the sweeper: how many attempts ended in each way."""


class Unobserved:
    """Nobody watches."""

    def paygov_answered(self, operation: str, outcome: str, seconds: float) -> None: ...

    def lease_conflict(self) -> None: ...

    def outcome_known(self, row: str) -> None: ...

    def alerted(self, alert: str) -> None: ...

    def swept(self, results: dict[str, int], seconds: float) -> None: ...
