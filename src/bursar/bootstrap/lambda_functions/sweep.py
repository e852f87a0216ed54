"""The function of a schedule: one pass of the sweeper, then one of the webhooks if there are any."""

from typing import Any

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.lambda_functions.embedded_metrics import EmbeddedMetrics
from bursar.bootstrap.lambda_functions.environment import FunctionParts, require_clients
from bursar.portal.doors.aws_lambda import DRAIN_TIMEOUT_S
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.sweep import sweep
from bursar.portal.webhooks.dispatcher import Dispatcher

Parts = tuple[Portal, Dispatcher | None]


class ScheduledSweep:
    """The handler of a schedule. Its reply reports the results of one pass."""

    def __init__(self) -> None:
        """Create a handler with a new instance."""
        self.instance = FunctionParts(_parts, require_clients).instance

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Run one pass; ``event`` is not read. Errors of the store are raised; the schedule runs a later pass."""
        return self.instance.run(_pass)


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
