"""A circuit breaker for Pay.gov: after a run of failures it blocks all questions for a while, then lets one through.

    closed ──FAILURES_MAX failures in a row──► open ──cool-down over──► half open ──success──► closed
                                                ▲                           │
                                                └────── failure, cool-down twice as long ──────┘

Only the sweeper uses the breaker. A request for a payer who is waiting always goes to Pay.gov.
"""

import random
from typing import Final

from bursar.clock import Clock

FAILURES_MAX: Final = 5
COOL_DOWN_MIN_S: Final = 10.0
COOL_DOWN_MAX_S: Final = 300.0
JITTER: Final = 0.5  # share by which a cool-down may be longer, so that many processes do not return at once


class Breaker:
    """The breaker of one process. Its state is not stored."""

    def __init__(self, clock: Clock, randomness: random.Random) -> None:
        self._clock = clock
        self._randomness = randomness
        self._failures = 0
        self._cool_down_s = COOL_DOWN_MIN_S
        self._open_until: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether Pay.gov must not be asked now. Reading it does not use up the probe."""
        return self._open_until is not None and (self._probing or self._clock() < self._open_until)

    @property
    def open_for_s(self) -> float:
        """Seconds until a probe may be sent; 0 when closed."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - self._clock())

    def admit(self) -> bool:
        """Return whether the caller may ask now.

        After the cool-down, only one caller may ask until it reports its result.
        """
        if self.is_open:
            return False
        self._probing = self._open_until is not None
        return True

    def report(self, answered: bool | None) -> None:
        """Record whether an admitted question was answered; None: it was not sent, or says nothing about Pay.gov."""
        if answered is None:
            self._probing = False
            return
        if answered:
            self._failures, self._cool_down_s, self._open_until, self._probing = 0, COOL_DOWN_MIN_S, None, False
            return
        if self._open_until is not None and not self._probing:
            return  # asked before the breaker opened: the failures that opened it already count
        self._failures += 1
        if self._probing or self._failures >= FAILURES_MAX:
            spread = 1 + JITTER * self._randomness.random()
            self._open_until = self._clock() + self._cool_down_s * spread
            self._cool_down_s = min(self._cool_down_s * 2, COOL_DOWN_MAX_S)
            self._probing = False
