"""The sweeper's loop: a pass, a pause with jitter, and so on until it is cancelled or told to stop."""

import asyncio
import logging
from typing import Final

from bursar.portal.use_cases.portal import Portal
from bursar.portal.use_cases.sweep import SWEEP_LIMIT, sweep

SWEEP_INTERVAL_S: Final = 5.0
ERROR_PAUSE_MAX_S: Final = 300.0
FULL_PASS_PAUSE_S: Final = 0.05

_log = logging.getLogger(__name__)


async def run_sweeper(portal: Portal, interval_s: float = SWEEP_INTERVAL_S, limit: int = SWEEP_LIMIT) -> None:
    """Sweeps for ever; run it as a task, cancel it to stop. A pass that fails is logged and makes the pause longer."""
    failures = 0
    while True:
        # The pause comes first and is random, so that processes started together do not sweep together.
        await asyncio.sleep(pause_s(portal, interval_s, failures))
        try:
            report = await sweep(portal, limit)
            failures = 0
        except Exception as error:  # the store is away, say: the loop must outlive it
            failures += 1
            _log.error("a sweep failed (%d in a row): %r", failures, error)
            continue
        if report.looked_at >= limit and not report.breaker_open:
            await asyncio.sleep(FULL_PASS_PAUSE_S)
            await _catch_up(portal, limit)


async def _catch_up(portal: Portal, limit: int) -> None:
    """One more pass at once when the last one was full; errors are left to the next regular pass."""
    try:
        await sweep(portal, limit)
    except Exception as error:
        _log.error("a sweep failed: %r", error)


def pause_s(portal: Portal, interval_s: float, failures: int) -> float:
    """Between half and one and a half times the interval, doubled for each failure in a row up to a bound."""
    longest = max(ERROR_PAUSE_MAX_S, interval_s)
    base = min(interval_s * float(1 << min(failures, 10)), longest)
    return base * (0.5 + portal.randomness.random())
