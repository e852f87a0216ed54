"""Token buckets in memory that the workers of one server share, under one lock.

    memory │ slot 0 │ slot 1 │ …
    slot   │ digest of the client's name │ requests left │ when that was, seconds │ under way: worker 0, 1 … │

A worker reads and changes a bucket while it holds the lock. The lock is a record lock on a file without a name, so the
kernel releases it if the worker dies. A worker that is killed inside the lock leaves either the old or the new bucket.
Slots are never given back.
"""

import fcntl
import hashlib
import mmap
import os
import struct
from contextlib import AbstractContextManager, nullcontext
from tempfile import TemporaryFile
from typing import BinaryIO, Final, Self

SLOTS_MAX: Final = 4096
"""Clients with a slot as long as the server runs, including clients that have been removed from the clients' file."""

_DIGEST_BYTES: Final = 16
_FREE: Final = bytes(_DIGEST_BYTES)
_LEVEL: Final = struct.Struct("=dd")  # requests left, Unix seconds
_WORD_BYTES: Final = 8


class Bucket:
    """One client's bucket, as one worker uses it; :meth:`end_request` alone needs no ``lock``."""

    __slots__ = ("_slot", "_under_way", "_worker", "lock")

    def __init__(self, slot: memoryview, worker: int, lock: AbstractContextManager[object]) -> None:
        self.lock = lock
        self._slot = slot
        self._under_way = slot[_DIGEST_BYTES + _LEVEL.size :].cast("q")
        self._worker = worker

    @property
    def in_use(self) -> bool:
        """Whether this worker has requests of the client under way."""
        return self._under_way[self._worker] > 0

    def read(self) -> tuple[int, float, float]:
        """Return the requests under way at all workers, the requests left, and when they were left (seconds)."""
        return sum(self._under_way), *_LEVEL.unpack_from(self._slot, _DIGEST_BYTES)

    def fill(self, left: float, now: float) -> None:
        """Store the requests left at ``now`` in a new bucket."""
        _LEVEL.pack_into(self._slot, _DIGEST_BYTES, left, now)

    def begin_request(self, left: float, now: float) -> None:
        """Store the requests left at ``now``, and count one more request of this worker under way."""
        _LEVEL.pack_into(self._slot, _DIGEST_BYTES, left, now)
        self._under_way[self._worker] += 1

    def end_request(self) -> None:
        """Count one request of this worker less: no other worker writes this word."""
        self._under_way[self._worker] -= 1

    def end_all_requests(self) -> None:
        """Count no requests of this worker: its predecessor's ended with it."""
        self._under_way[self._worker] = 0


class PrivateBucket(Bucket):
    """A bucket in this process alone, full at first. It needs no lock."""

    def __init__(self, left: float, now: float) -> None:
        super().__init__(memoryview(bytearray(_slot_bytes(1))), 0, nullcontext())
        self.fill(left, now)


class SharedBuckets:
    """The buckets of one server's clients, for ``workers`` workers. Create it before forking them.

    As a context manager it closes the lock's file at the end. The memory goes with the last process.
    """

    def __init__(self, workers: int) -> None:
        size = _slot_bytes(workers)
        memory = memoryview(mmap.mmap(-1, SLOTS_MAX * size))
        self.slots = [memory[begin : begin + size] for begin in range(0, len(memory), size)]
        self.lock = _RecordLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.lock.file.close()

    def start_worker(self, worker: int) -> None:
        """Count no requests of a new worker, which has the number of one that has ended."""
        for slot in self.slots:
            if slot[:_DIGEST_BYTES] == _FREE:
                return
            Bucket(slot, worker, self.lock).end_all_requests()

    def bucket(self, client: str, worker: int, now: float, burst: float) -> Bucket | None:
        """Return the bucket of ``client`` for ``worker``; None if other clients have all slots.

        A new client's bucket is full: ``burst`` requests at ``now``, in seconds.
        """
        digest = hashlib.blake2b(client.encode(), digest_size=_DIGEST_BYTES).digest()
        with self.lock:
            for slot in self.slots:
                if slot[:_DIGEST_BYTES] == digest:
                    return Bucket(slot, worker, self.lock)
                if slot[:_DIGEST_BYTES] == _FREE:
                    bucket = Bucket(slot, worker, self.lock)
                    bucket.fill(burst, now)
                    slot[:_DIGEST_BYTES] = digest  # last: a worker that is killed before this has claimed nothing
                    return bucket
        return None


class _RecordLock:
    """A lock that one process at a time has, on a file that has no other use."""

    def __init__(self) -> None:
        self.file = _nameless_file()

    def __enter__(self) -> None:
        # lockf and not flock: a lock of flock belongs to every process that inherited the file.
        fcntl.lockf(self.file, fcntl.LOCK_EX)

    def __exit__(self, *failure: object) -> None:
        fcntl.lockf(self.file, fcntl.LOCK_UN)


def _slot_bytes(workers: int) -> int:
    return _DIGEST_BYTES + _LEVEL.size + workers * _WORD_BYTES


def _nameless_file() -> BinaryIO:
    """Return an empty file; where the system can, one that needs no folder to write to."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("bursar-clients"), "r+b")
    return TemporaryFile()
