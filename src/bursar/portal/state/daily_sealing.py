"""Store the root of each day once the day is over, and copy the roots to a place outside of the table.

The sweeper calls this after each pass. Many processes may seal one day at once: the table keeps the first root. A
process does so at a random moment of an hour, so that usually only one of them reads the whole day.
"""

import logging
import random
from datetime import date, timedelta
from typing import Final

from bursar.clock import Clock
from bursar.payments.audit.root_copies import RootCopies
from bursar.payments.ledger.store_records.daily_roots import DailyRoot, DailyRoots, day_of, start_of

MARGIN_S: Final = 3600.0
"""The time after midnight UTC until the root is computed: clocks differ, and an index of Amazon's may be behind."""
SPREAD_S: Final = 3600.0
"""The time over which several processes spread their work."""
RETRY_S: Final = 300.0
DAYS_AT_ONCE_MAX: Final = 7
"""The most days that one call seals, after a time without a sweeper."""

_log = logging.getLogger(__name__)


class DailySealing:
    """Seals the days of one payments table. ``copies`` None: the roots are in the table and the log only."""

    def __init__(
        self, roots: DailyRoots, copies: RootCopies | None, *, clock: Clock, randomness: random.Random
    ) -> None:
        self._roots = roots
        self._copies = copies
        self._clock = clock
        self._randomness = randomness
        self._next_at = 0.0

    async def run_if_due(self) -> None:
        """Seal the days that are over, if it is time. An error is logged, and the next try follows in minutes."""
        now = self._clock()
        if now < self._next_at:
            return
        self._next_at = now + RETRY_S
        try:
            if await self._seal(now):
                self._next_at = self._next_day(now)
        except Exception as error:  # the sweeper must continue
            _log.error("sealing the days failed: %r", error)

    async def _seal(self, now: float) -> bool:
        """Seal the days that are over; return whether all are sealed."""
        stored = await self._roots.stored()
        last = day_of(now - MARGIN_S) - timedelta(days=1)
        day = date.fromisoformat(stored[-1].date) + timedelta(days=1) if stored else last
        for _ in range(DAYS_AT_ONCE_MAX):
            if day > last:
                break
            root = await self._roots.seal(day, stored[-1].root if stored else None)
            _log_root(root)
            stored.append(root)
            day += timedelta(days=1)
        if self._copies is not None:
            await self._copies.add(stored)
        return day > last

    def _next_day(self, now: float) -> float:
        begin = start_of(day_of(now - MARGIN_S) + timedelta(days=1))
        return begin + MARGIN_S + SPREAD_S * self._randomness.random()


def _log_root(root: DailyRoot) -> None:
    _log.info("daily root", extra={"date": root.date, "root": root.root, "events": root.events})
