"""Run the sweeper in a loop: a random pause, then a pass, until the task is cancelled."""

import asyncio
import logging
from typing import Final

from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.sweep import SWEEP_LIMIT, sweep

SWEEP_INTERVAL_S: Final = 5.0
ERROR_PAUSE_MAX_S: Final = 300.0
FULL_PASS_PAUSE_S: Final = 0.05

_log = logging.getLogger(__name__)


async def run_sweeper(portal: Portal, interval_s: float = SWEEP_INTERVAL_S, limit: int = SWEEP_LIMIT) -> None:
    """Sweep until the task is cancelled. A pass that fails is logged, and makes the next pause longer."""
    failures = 0
    while True:
        # The random pause comes first, so that processes that started together do not sweep together.
        await asyncio.sleep(pause_s(portal, interval_s, failures))
        try:
            report = await sweep(portal, limit)
            failures = 0
        except Exception as error:  # the loop must continue, for example after the store was unreachable
            failures += 1
            _log.error("a sweep failed (%d in a row): %r", failures, error)
            continue
        if report.swept >= limit and not report.breaker_open:
            await asyncio.sleep(FULL_PASS_PAUSE_S)
            await _catch_up(portal, limit)


async def _catch_up(portal: Portal, limit: int) -> None:
    """Make one more pass at once, because the last one was full. The next regular pass counts its errors."""
    try:
        await sweep(portal, limit)
    except Exception as error:
        _log.error("a sweep failed: %r", error)


def pause_s(portal: Portal, interval_s: float, failures: int) -> float:
    """Return a pause of 0.5 to 1.5 times the interval, doubled for each failure in a row up to a bound."""
    longest = max(ERROR_PAUSE_MAX_S, interval_s)
    base = min(interval_s * float(1 << min(failures, 10)), longest)
    return base * (0.5 + portal.randomness.random())
