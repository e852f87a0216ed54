"""A circuit breaker for Pay.gov: after a run of failures nothing is asked for a while, then one question tries again.

    closed ──FAILURES_MAX failures in a row──► open ──cool-down over──► half open ──success──► closed
                                                ▲                           │
                                                └────── failure, cool-down twice as long ──────┘

Only the sweeper's own questions go through it: a payer who waits is always asked for.
"""

import random
from typing import Final

from bursar.clock import Clock

FAILURES_MAX: Final = 5
COOL_DOWN_MIN_S: Final = 10.0
COOL_DOWN_MAX_S: Final = 300.0
JITTER: Final = 0.5  # a cool-down lasts up to this share longer: many processes do not come back at once


class Breaker:
    """One process's; nothing about it must outlive the process."""

    def __init__(self, clock: Clock, randomness: random.Random) -> None:
        self._clock = clock
        self._randomness = randomness
        self._failures = 0
        self._cool_down_s = COOL_DOWN_MIN_S
        self._open_until: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether Pay.gov should not be asked now; does not take the probe."""
        return self._open_until is not None and (self._probing or self._clock() < self._open_until)

    @property
    def open_for_s(self) -> float:
        """Seconds until a probe may be sent; 0 when closed."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - self._clock())

    def admit(self) -> bool:
        """Whether the caller may ask now. Once the cool-down is over only one caller may, until it reports back."""
        if self.is_open:
            return False
        self._probing = self._open_until is not None
        return True

    def report(self, answered: bool | None) -> None:
        """What came of a question that was admitted; None: nothing was asked after all, or it tells nothing."""
        if answered is None:
            self._probing = False
            return
        if answered:
            self._failures, self._cool_down_s, self._open_until, self._probing = 0, COOL_DOWN_MIN_S, None, False
            return
        if self._open_until is not None and not self._probing:
            return  # asked before it opened: that failure is counted by those that opened it
        self._failures += 1
        if self._probing or self._failures >= FAILURES_MAX:
            spread = 1 + JITTER * self._randomness.random()
            self._open_until = self._clock() + self._cool_down_s * spread
            self._cool_down_s = min(self._cool_down_s * 2, COOL_DOWN_MAX_S)
            self._probing = False
