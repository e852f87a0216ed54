"""Store the buckets of all clients in memory that the workers of one server share, under one lock.

    memory │ number of claimed slots │ digest of each slot's client │ slot 0 │ slot 1 │ …
    slot   │ requests left in the bucket │ when that was, seconds │ under way: worker 0, 1 … │

A worker reads and changes a bucket while it holds the lock. The lock is a record lock on a file without a name, so the
kernel releases it if the worker dies. A worker that is killed inside the lock leaves either the old or the new bucket.
Slots are never given back.
"""

import fcntl
import hashlib
import mmap
import os
import struct
from tempfile import TemporaryFile
from typing import BinaryIO, Final, Self

SLOTS_MAX: Final = 4096
"""Clients with a slot as long as the server runs, including clients that have been removed from the clients' file."""

_WORD_BYTES: Final = 8
_DIGEST_BYTES: Final = 16
_SLOTS_BEGIN: Final = _WORD_BYTES + SLOTS_MAX * _DIGEST_BYTES
_LEVEL: Final = struct.Struct("=dd")  # requests left, Unix seconds


class SharedBuckets:
    """The buckets of one server's clients. Create it before forking the workers; ``seats`` is their number.

    As a context manager it closes the lock's file at the end. The memory goes with the last process.
    """

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self._slot_bytes = _LEVEL.size + seats * _WORD_BYTES
        self.memory = mmap.mmap(-1, _SLOTS_BEGIN + SLOTS_MAX * self._slot_bytes)
        self._words = memoryview(self.memory).cast("q")
        self.lock_file = _nameless_file()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.lock_file.close()

    def take_seat(self, seat: int) -> None:
        """Set the requests under way on ``seat`` to 0: those of the worker that had it before ended with it."""
        for slot in range(self._words[0]):
            self._under_way(slot)[seat] = 0

    def bucket(self, client: str, seat: int, now: float, burst: float) -> "SharedBucket | None":
        """Return the bucket of ``client`` for the worker on ``seat``; None if other clients have all slots.

        A new client's bucket is full: ``burst`` requests at ``now``, in seconds.
        """
        digest = hashlib.blake2b(client.encode(), digest_size=_DIGEST_BYTES).digest()
        # lockf and not flock: a lock of flock belongs to every process that inherited the file.
        fcntl.lockf(self.lock_file, fcntl.LOCK_EX)
        try:
            slot = self._find_or_claim(digest, now, burst)
        finally:
            fcntl.lockf(self.lock_file, fcntl.LOCK_UN)
        return None if slot is None else SharedBucket(self, self._begin(slot), self._under_way(slot), seat)

    def _find_or_claim(self, digest: bytes, now: float, burst: float) -> int | None:
        claimed = self._words[0]
        at = self.memory.find(digest, _WORD_BYTES, _WORD_BYTES + claimed * _DIGEST_BYTES)
        if at >= 0:
            return (at - _WORD_BYTES) // _DIGEST_BYTES
        if claimed == SLOTS_MAX:
            return None
        at = _WORD_BYTES + claimed * _DIGEST_BYTES
        self.memory[at : at + _DIGEST_BYTES] = digest
        _LEVEL.pack_into(self.memory, self._begin(claimed), burst, now)
        self._words[0] = claimed + 1  # last: a worker that is killed before this has claimed nothing
        return claimed

    def _begin(self, slot: int) -> int:
        return _SLOTS_BEGIN + slot * self._slot_bytes

    def _under_way(self, slot: int) -> "memoryview[int]":
        end = self._begin(slot + 1) // _WORD_BYTES
        return self._words[end - self.seats : end]


class SharedBucket:
    """One client's bucket, as one worker uses it. As a context manager it holds the lock of all buckets."""

    __slots__ = ("_begin", "_lock_file", "_memory", "_seat", "_under_way")

    def __init__(self, buckets: SharedBuckets, begin: int, under_way: "memoryview[int]", seat: int) -> None:
        self._memory = buckets.memory
        self._lock_file = buckets.lock_file
        self._begin = begin
        self._under_way = under_way
        self._seat = seat

    def __enter__(self) -> None:
        fcntl.lockf(self._lock_file, fcntl.LOCK_EX)

    def __exit__(self, *failure: object) -> None:
        fcntl.lockf(self._lock_file, fcntl.LOCK_UN)

    @property
    def in_use(self) -> bool:
        """Whether this worker has requests of the client under way."""
        return self._under_way[self._seat] > 0

    def read(self) -> tuple[int, float, float]:
        """Return the requests under way at all workers, the requests left, and when they were left (seconds)."""
        return sum(self._under_way), *_LEVEL.unpack_from(self._memory, self._begin)

    def begin_request(self, left: float, now: float) -> None:
        """Store the requests left at ``now``, and count one more request of this worker under way."""
        _LEVEL.pack_into(self._memory, self._begin, left, now)
        self._under_way[self._seat] += 1

    def end_request(self) -> None:
        """Count one request of this worker less. It needs no lock: no other worker writes this word."""
        self._under_way[self._seat] -= 1


def _nameless_file() -> BinaryIO:
    """Return a file to lock and for nothing else; where the system can, one that needs no folder to write to."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("bursar-clients"), "r+b")
    return TemporaryFile()
