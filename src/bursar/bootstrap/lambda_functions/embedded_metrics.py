"""Metrics of functions, which nothing can scrape: lines in the log that CloudWatch turns into metrics.

Source: CloudWatch user guide, "Embedded metric format specification". Each metric costs money for each hour in which it
is written, so there are few, they are written only when they say something, and their only dimension is the deployment.

| metric | unit | what it measures |
|---|---|---|
| UnknownOutcomes | Count | completions after which Pay.gov may have charged the payer |
| PayGovFailures | Count | calls to Pay.gov without a usable answer |
| WatermarkAge | Seconds | how long the oldest change waited for the lake: in an hour of each day, and when it is late |

Lambda's own metrics, which cost nothing, show that a function ran, and that it failed.
"""

import json
from collections.abc import Callable, Mapping
from typing import Final

from bursar.clock import Clock, system_clock
from bursar.portal.state.observer import NoObserver, OutcomeName
from bursar.portal.use_cases.completion_outcomes import OUTCOMES

NAMESPACE: Final = "Bursar"
UNITS: Final[Mapping[str, str]] = {
    "UnknownOutcomes": "Count",
    "PayGovFailures": "Count",
    "WatermarkAge": "Seconds",
}
"""Name of a metric → its unit."""


class EmbeddedMetrics(NoObserver):
    """An observer of the portal that writes metrics into the log."""

    def __init__(self, deployment: str, *, write: Callable[[str], object] = print, clock: Clock = system_clock) -> None:
        """Create the observer without writing.

        ``deployment`` is the dimension. ``write`` gets each line; Lambda logs standard output.
        """
        self._deployment = deployment
        self._write = write
        self._clock = clock

    def add(self, name: str, value: float) -> None:
        """Write one data point of a metric of :data:`UNITS`."""
        directive = {
            "Namespace": NAMESPACE,
            "Dimensions": [["Deployment"]],
            "Metrics": [{"Name": name, "Unit": UNITS[name]}],
        }
        line = {
            "_aws": {"Timestamp": int(self._clock() * 1000), "CloudWatchMetrics": [directive]},
            "Deployment": self._deployment,
            name: value,
        }
        self._write(json.dumps(line))

    def paygov_answered(self, operation: str, outcome: str, seconds: float) -> None:
        """Count a call without a usable answer."""
        if outcome not in ("answered", "Fault"):
            self.add("PayGovFailures", 1)

    def outcome_known(self, outcome: OutcomeName) -> None:
        """Count a completion whose outcome is unknown."""
        if OUTCOMES[outcome].known == "unknown":
            self.add("UnknownOutcomes", 1)
