"""Decide when a worker that has ended is replaced, and when the server gives up.

    the worker lived long                         replace it now
    it died soon after its start                  replace it after a pause, which doubles with each such death
    too many restarts within the window           give up
    none is ready, and starts fail in a row       give up: no restart will help

A limit over the server's whole life would end a server that crashes once a month.
"""

from collections import Counter, deque
from typing import Final

from bursar.clock import Clock

RESTARTS_MAX: Final = 120
RESTARTS_WINDOW_S: Final = 300.0
"""At most ``RESTARTS_MAX`` restarts of all workers together within this time."""
FAILED_STARTS_MAX: Final = 6
"""Deaths in a row of workers that were not ready yet, while no worker is ready, before the server gives up."""
EARLY_DEATH_S: Final = 5.0
"""A worker that dies sooner after its start is replaced after a pause."""
PAUSE_FIRST_S: Final = 0.1
PAUSE_MAX_S: Final = 10.0


class GivesUp(Exception):
    """No further worker is started. The text gives the reason."""


class RestartPolicy:
    """The restarts of one server's workers, named by their numbers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._restarts: deque[float] = deque()
        self._early_deaths: Counter[int] = Counter()
        self._failed_starts = 0

    def became_ready(self) -> None:
        """Note that a worker is ready."""
        self._failed_starts = 0

    def pause_after(self, worker: int, *, started_at: float, was_ready: bool, others_ready: bool) -> float:
        """Return the pause in seconds before ``worker``, which has died, is started again. Raises :class:`GivesUp`.

        ``started_at`` is by the policy's clock. ``others_ready``: at least one other worker is ready.
        """
        now = self._clock()
        self._failed_starts = 0 if was_ready else self._failed_starts + 1
        if self._failed_starts >= FAILED_STARTS_MAX and not others_ready:
            raise GivesUp(f"no worker became ready in {self._failed_starts} starts in a row")
        while self._restarts and self._restarts[0] <= now - RESTARTS_WINDOW_S:
            self._restarts.popleft()
        if len(self._restarts) >= RESTARTS_MAX:
            raise GivesUp(f"workers were restarted {RESTARTS_MAX} times within {RESTARTS_WINDOW_S:.0f} s")
        self._restarts.append(now)
        if now - started_at >= EARLY_DEATH_S:
            self._early_deaths[worker] = 0
            return 0.0
        self._early_deaths[worker] += 1
        doublings = min(self._early_deaths[worker] - 1, 30)
        return min(PAUSE_MAX_S, PAUSE_FIRST_S * float(1 << doublings))
