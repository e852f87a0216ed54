"""Limit each client: how many requests it may have under way, and how many it may begin a second (a token bucket).

    bucket: holds at most BURST requests, gains RATE_PER_S each second, a request takes one; empty: 429 with Retry-After

The limits are those of the server: its workers share the buckets (:mod:`bursar.portal.api.rate_limits_shared`).
A process without other workers keeps its buckets itself, and so does each worker for clients that came after all
shared slots were claimed.
"""

import logging
import math
from typing import Final

from bursar.clock import Clock
from bursar.portal.api.rate_limits_shared import SLOTS_MAX, Bucket, PrivateBucket, SharedBuckets
from bursar.portal.contract.error_catalogue import TOO_MANY_AT_ONCE, TOO_MANY_PER_SECOND
from bursar.portal.contract.errors import TooMany

AT_ONCE_MAX: Final = 256
RATE_PER_S: Final = 5000.0
BURST: Final = 10_000.0
CLIENTS_REMEMBERED_MAX: Final = 10_000

_log = logging.getLogger(__name__)


class ClientLimits:
    """The limits of every client.

    clock: seconds, the same clock for all workers that share. If it is set back by ``d`` seconds, a client gains
    nothing for ``d`` seconds. shared: the buckets that this worker shares with the others of one server, which have the
    same limits; None for a process without others. worker: this worker's number among them. A worker begins without
    requests under way.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        at_once_max: int = AT_ONCE_MAX,
        rate_per_s: float = RATE_PER_S,
        burst: float = BURST,
        shared: SharedBuckets | None = None,
        worker: int = 0,
    ) -> None:
        if at_once_max < 1 or rate_per_s <= 0 or burst < 1:
            raise ValueError(
                "limits: must let at least one request through; "
                f"got at_once_max={at_once_max}, rate_per_s={rate_per_s}, burst={burst}"
            )
        self._clock = clock
        self._at_once_max = at_once_max
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._shared = shared
        self._worker = worker
        self._logged_full = False
        self._buckets: dict[str, Bucket] = {}
        if shared is not None:
            shared.start_worker(worker)

    def enter(self, client: str) -> None:
        """Count a request of ``client`` in. Raises ``TooMany``; such a request must not :meth:`leave`."""
        bucket = self._buckets.get(client)
        if bucket is None:
            self._forget_idle_clients()
            bucket = self._buckets[client] = self._new_bucket(client)
        with bucket.lock:
            now = self._clock()
            under_way, left, seen_at = bucket.read()
            left = min(self._burst, left + (now - seen_at) * self._rate_per_s)
            if under_way >= self._at_once_max:
                raise TooMany(TOO_MANY_AT_ONCE, retry_after_s=1)
            if left < 1:
                raise TooMany(TOO_MANY_PER_SECOND, retry_after_s=math.ceil((1 - left) / self._rate_per_s))
            bucket.begin_request(left - 1, now)

    def leave(self, client: str) -> None:
        """Count a request of ``client`` out that :meth:`enter` counted in."""
        self._buckets[client].end_request()

    def _new_bucket(self, client: str) -> Bucket:
        now = self._clock()
        if self._shared is not None:
            bucket = self._shared.bucket(client, self._worker, now, self._burst)
            if bucket is not None:
                return bucket
            if not self._logged_full:
                self._logged_full = True
                _log.error("more than %d clients: this worker limits the others without the other workers", SLOTS_MAX)
        return PrivateBucket(self._burst, now)

    def _forget_idle_clients(self) -> None:
        if len(self._buckets) >= CLIENTS_REMEMBERED_MAX:
            self._buckets = {name: bucket for name, bucket in self._buckets.items() if bucket.in_use}
