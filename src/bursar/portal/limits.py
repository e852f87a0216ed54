"""How much one client may ask: so many requests at once, and so many a second on average (a token bucket).

    bucket: holds BURST at most, gains RATE_PER_S each second, a request takes one; empty → 429 with Retry-After

Per process: with several workers a client's true bounds are these times their number.
"""

import math
from dataclasses import dataclass
from typing import Final

from bursar.clock import Clock
from bursar.portal.errors import TooMany

AT_ONCE_MAX: Final = 256
RATE_PER_S: Final = 5000.0
BURST: Final = 10_000.0
CLIENTS_REMEMBERED_MAX: Final = 10_000
TOO_MANY_AT_ONCE: Final = "Too many requests at once: retry later"
TOO_MANY_PER_SECOND: Final = "Too many requests: retry later"


@dataclass(slots=True)
class _Use:
    at_once: int
    left: float
    seen_at: float


class ClientLimits:
    """The bounds of every client, kept in memory."""

    def __init__(
        self,
        clock: Clock,
        *,
        at_once_max: int = AT_ONCE_MAX,
        rate_per_s: float = RATE_PER_S,
        burst: float = BURST,
    ) -> None:
        if at_once_max < 1 or rate_per_s <= 0 or burst < 1:
            raise ValueError("limits must let at least one request through")
        self._clock = clock
        self._at_once_max = at_once_max
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._uses: dict[str, _Use] = {}

    def enter(self, client: str) -> None:
        """Counts a request of ``client`` in. Raises ``TooMany``; then it must not be counted out."""
        now = self._clock()
        use = self._uses.get(client)
        if use is None:
            self._forget_the_idle()
            use = self._uses[client] = _Use(0, self._burst, now)
        use.left = min(self._burst, use.left + (now - use.seen_at) * self._rate_per_s)
        use.seen_at = now
        if use.at_once >= self._at_once_max:
            raise TooMany(TOO_MANY_AT_ONCE, retry_after_s=1)
        if use.left < 1:
            raise TooMany(TOO_MANY_PER_SECOND, retry_after_s=math.ceil((1 - use.left) / self._rate_per_s))
        use.left -= 1
        use.at_once += 1

    def leave(self, client: str) -> None:
        """Counts it out again."""
        self._uses[client].at_once -= 1

    def _forget_the_idle(self) -> None:
        if len(self._uses) >= CLIENTS_REMEMBERED_MAX:
            self._uses = {name: use for name, use in self._uses.items() if use.at_once}
