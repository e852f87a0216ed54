"""The function of a schedule: one pass of the sweeper, then one of the webhooks if there are any.

The next pass, a minute later, repairs a pass that fails. So an error is raised, and counted by Lambda, only when
several of the last passes have failed. A pass that is killed (time, memory) is counted at once.
"""

import logging
from collections import deque
from typing import Any, Final

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.lambda_functions.embedded_metrics import EmbeddedMetrics
from bursar.bootstrap.lambda_functions.environment import FunctionParts, require_clients
from bursar.portal.doors.aws_lambda import DRAIN_TIMEOUT_S
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.sweep import sweep
from bursar.portal.webhooks.dispatcher import Dispatcher

Parts = tuple[Portal, Dispatcher | None]

LAST_PASSES: Final = 5
FAILED_PASSES_MAX: Final = 2
"""If more of the last passes have failed, a failure is raised."""

_log = logging.getLogger(__name__)


class ScheduledSweep:
    """The handler of a schedule. Its reply reports the results of one pass."""

    def __init__(self) -> None:
        """Create a handler with a new instance."""
        self.instance = FunctionParts(_parts, require_clients).instance
        self._failed: deque[bool] = deque(maxlen=LAST_PASSES)

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Run one pass; ``event`` is not read. The schedule runs the next one.

        An error is logged, and also raised if more than ``FAILED_PASSES_MAX`` of the last passes have failed.
        """
        try:
            report = self.instance.run(_pass)
        except Exception as error:
            self._failed.append(True)
            if sum(self._failed) > FAILED_PASSES_MAX:
                raise
            _log.exception("a pass of the sweeper failed; the next one repeats it")
            return {"failed": type(error).__name__}
        self._failed.append(False)
        return report


async def _parts(parts: Composition, metrics: EmbeddedMetrics) -> Parts:
    return await parts.portal(), await parts.webhooks()


async def _pass(parts: Parts) -> dict[str, Any]:
    portal, webhooks = parts
    portal.renew_name()  # Lambda restores several instances from one snapshot
    report = await sweep(portal)
    await portal.drain(DRAIN_TIMEOUT_S)
    deliveries = None if webhooks is None else await webhooks.run_once()
    return {
        "swept": report.swept,
        "results": report.results,
        "attention": list(report.attention),
        "breakerOpen": report.breaker_open,
        "webhooks": deliveries
        and {
            "queued": deliveries.queued,
            "delivered": deliveries.delivered,
            "postponed": deliveries.postponed,
            "died": deliveries.died,
        },
    }


handler = ScheduledSweep()
