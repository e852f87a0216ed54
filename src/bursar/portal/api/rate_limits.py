"""How much one client may ask: so many requests at once, and so many a second on average (a token bucket).

    bucket: holds BURST at most, gains RATE_PER_S each second, a request takes one; empty → 429 with Retry-After

The bounds are those of the server: its workers count together, in memory that they share
(:mod:`bursar.portal.api.rate_limits_shared`). A process that is alone, or to which a client comes when no slot of
that memory is
left, counts for itself.
"""

import logging
import math
from typing import Final

from bursar.clock import Clock
from bursar.portal.api.rate_limits_shared import SLOTS_MAX, ClientUse, SharedUse
from bursar.portal.contract.errors import TooMany

AT_ONCE_MAX: Final = 256
RATE_PER_S: Final = 5000.0
BURST: Final = 10_000.0
CLIENTS_REMEMBERED_MAX: Final = 10_000
TOO_MANY_AT_ONCE: Final = "Too many requests at once: retry later"
TOO_MANY_PER_SECOND: Final = "Too many requests: retry later"

_log = logging.getLogger(__name__)


class ClientLimits:
    """The bounds of every client, kept in memory.

    clock: one that is never set back, or clients wait for it to catch up; the same one for all workers that share.
    shared: with the other workers of one server, which have the same bounds; None where this process is alone.
    seat: this worker's among them. It begins with nothing under way, and with the buckets as they are.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        at_once_max: int = AT_ONCE_MAX,
        rate_per_s: float = RATE_PER_S,
        burst: float = BURST,
        shared: SharedUse | None = None,
        seat: int = 0,
    ) -> None:
        if at_once_max < 1 or rate_per_s <= 0 or burst < 1:
            raise ValueError("limits must let at least one request through")
        self._clock = clock
        self._at_once_max = at_once_max
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._shared = shared
        self._seat = seat
        self._told_full = False
        self._uses: dict[str, _OwnUse | ClientUse] = {}
        if shared is not None:
            shared.sit(seat)

    def enter(self, client: str) -> None:
        """Counts a request of ``client`` in. Raises ``TooMany``; then it must not be counted out."""
        now = self._clock()
        use = self._uses.get(client)
        if use is None:
            self._forget_the_idle()
            use = self._uses[client] = self._use(client, now)
        at_once, left = use.look(now)
        if at_once >= self._at_once_max:
            raise TooMany(TOO_MANY_AT_ONCE, retry_after_s=1)
        if left < 1:
            raise TooMany(TOO_MANY_PER_SECOND, retry_after_s=math.ceil((1 - left) / self._rate_per_s))
        use.take()

    def leave(self, client: str) -> None:
        """Counts it out again."""
        self._uses[client].leave()

    def _use(self, client: str, now: float) -> "_OwnUse | ClientUse":
        if self._shared is not None:
            use = self._shared.of(client, self._seat, now, self._rate_per_s, self._burst)
            if use is not None:
                return use
            if not self._told_full:
                self._told_full = True
                _log.error("more than %d clients have come: each worker limits the rest for itself", SLOTS_MAX)
        return _OwnUse(now, self._rate_per_s, self._burst)

    def _forget_the_idle(self) -> None:
        if len(self._uses) >= CLIENTS_REMEMBERED_MAX:
            self._uses = {name: use for name, use in self._uses.items() if use.here}


class _OwnUse:
    """What one client uses of this process alone."""

    __slots__ = ("_burst", "_left", "_rate_per_s", "_seen_at", "here")

    def __init__(self, now: float, rate_per_s: float, burst: float) -> None:
        self.here = 0
        self._left = burst
        self._seen_at = now
        self._rate_per_s = rate_per_s
        self._burst = burst

    def look(self, now: float) -> tuple[int, float]:
        self._left = min(self._burst, self._left + (now - self._seen_at) * self._rate_per_s)
        self._seen_at = now
        return self.here, self._left

    def take(self) -> None:
        self._left -= 1
        self.here += 1

    def leave(self) -> None:
        self.here -= 1
