"""Limit each client: how many requests it may have in progress, and how many it may begin a second (a token bucket).

    bucket    holds at most BURST requests, gains RATE_PER_S a second, a request takes one; empty: 429 with Retry-After
    digests   │ of client 0 │ of client 1 │ …    who has which slot; a new client gets the first free one, permanently
    taken     │ number      │ number      │ …    a bucket: ``clock × rate`` at which it is full again
    in_progress of worker 0, of worker 1, …      requests, by slot

The limits are those of the server: its workers share this memory, and a worker changes a bucket while it holds the
lock. The lock is a record lock on a file without a name, so the kernel releases it if the worker dies. A bucket is one
number, so a worker that is killed inside the lock leaves either the old or the new bucket.
"""

import fcntl
import hashlib
import math
import mmap
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from tempfile import TemporaryFile
from typing import BinaryIO, Final

from bursar.clock import Clock
from bursar.portal.contract.error_catalogue import TOO_MANY_AT_ONCE, TOO_MANY_PER_SECOND
from bursar.portal.contract.errors import TooMany

AT_ONCE_MAX: Final = 256
RATE_PER_S: Final = 5000.0
BURST: Final = 10_000.0
SLOTS_MAX: Final = 4096
"""Registered clients with a slot; a client that has been removed keeps its slot. Later clients share the last slot."""

_DIGEST_BYTES: Final = 16


class TokenBuckets:
    """The buckets of ``workers`` workers. A worker changes a bucket while it has the ``lock``."""

    def __init__(self, workers: int, lock: AbstractContextManager[object]) -> None:
        self.lock = lock
        self._digests = mmap.mmap(-1, SLOTS_MAX * _DIGEST_BYTES)
        self.taken = memoryview(mmap.mmap(-1, SLOTS_MAX * 8)).cast("d")
        self.in_progress = [memoryview(mmap.mmap(-1, SLOTS_MAX * 8)).cast("q") for _ in range(workers)]

    def slot_of(self, client: str) -> int:
        """Return the slot of ``client``. If the client may be new, call this under the lock."""
        digest = hashlib.blake2b(client.encode(), digest_size=_DIGEST_BYTES).digest()
        for slot in range(SLOTS_MAX):
            place = slice(slot * _DIGEST_BYTES, (slot + 1) * _DIGEST_BYTES)
            if self._digests[place] == bytes(_DIGEST_BYTES):
                self._digests[place] = digest
            if self._digests[place] == digest:
                return slot
        return SLOTS_MAX - 1


@contextmanager
def shared_buckets(workers: int) -> Iterator[TokenBuckets]:
    """Yield the buckets that the workers of one server share. Create them before forking the workers."""
    with _nameless_file() as file:
        yield TokenBuckets(workers, _RecordLock(file))


class ClientLimits:
    """The limits of every client.

    clock: seconds, the same clock for all workers that share. If it is set back by ``d`` seconds, a client gains
    nothing for ``d`` seconds. shared: the buckets that this worker shares with the others of one server, which have the
    same limits; None for a process without others. worker: this worker's number among them. A worker begins without
    requests in progress: those of the worker that had its number before have ended with it.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        at_once_max: int = AT_ONCE_MAX,
        rate_per_s: float = RATE_PER_S,
        burst: float = BURST,
        shared: TokenBuckets | None = None,
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
        self._buckets = TokenBuckets(1, nullcontext()) if shared is None else shared
        self._own = self._buckets.in_progress[worker]
        self._slot_of = lru_cache(SLOTS_MAX)(self._buckets.slot_of)
        for slot in range(SLOTS_MAX):
            self._own[slot] = 0

    def enter(self, client: str) -> None:
        """Count a request of ``client`` in. Raises ``TooMany``; such a request must not :meth:`leave`."""
        buckets = self._buckets
        with buckets.lock:
            slot = self._slot_of(client)
            if sum([requests[slot] for requests in buckets.in_progress]) >= self._at_once_max:
                raise TooMany(TOO_MANY_AT_ONCE, retry_after_s=1)
            gained = self._clock() * self._rate_per_s
            taken = max(buckets.taken[slot], gained) + 1
            missing = taken - gained - self._burst
            if missing > 0:
                raise TooMany(TOO_MANY_PER_SECOND, retry_after_s=math.ceil(missing / self._rate_per_s))
            buckets.taken[slot] = taken
            self._own[slot] += 1

    def leave(self, client: str) -> None:
        """Count a request of ``client`` out that :meth:`enter` counted in.

        Only this worker writes the count, so no lock is needed.
        """
        self._own[self._slot_of(client)] -= 1


class _RecordLock:
    """A lock that one process at a time has, on a file that has no other use."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def __enter__(self) -> None:
        # lockf and not flock: a lock of flock belongs to every process that inherited the file.
        fcntl.lockf(self.file, fcntl.LOCK_EX)

    def __exit__(self, *failure: object) -> None:
        fcntl.lockf(self.file, fcntl.LOCK_UN)


def _nameless_file() -> BinaryIO:
    """Return an empty file; where the system can, one that needs no folder to write to."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("bursar-clients"), "r+b")
    return TemporaryFile()
