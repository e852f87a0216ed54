"""Limit each client: how many requests it may have under way, and how many it may begin a second (a token bucket).

    bucket   holds at most BURST requests, gains RATE_PER_S a second, a request takes one; empty: 429 with Retry-After
    memory   │ slot 0 │ slot 1 │ …
    slot     │ digest of the client's name │ requests left │ when that was, seconds │ under way: worker 0, 1 … │

The limits are those of the server: its workers share the memory, and a worker changes a bucket while it holds the lock.
The lock is a record lock on a file without a name, so the kernel releases it if the worker dies. A worker that is
killed inside the lock leaves either the old or the new bucket. Slots are never given back.
"""

import fcntl
import hashlib
import math
import mmap
import os
import struct
from contextlib import AbstractContextManager, nullcontext
from tempfile import TemporaryFile
from typing import BinaryIO, Final, Self

from bursar.clock import Clock
from bursar.portal.contract.error_catalogue import TOO_MANY_AT_ONCE, TOO_MANY_PER_SECOND
from bursar.portal.contract.errors import TooMany

AT_ONCE_MAX: Final = 256
RATE_PER_S: Final = 5000.0
BURST: Final = 10_000.0
SLOTS_MAX: Final = 4096
"""Clients with a slot as long as the server runs, including clients that have been removed from the clients' file."""
PROBES_MAX: Final = 64
"""Slots that a client may have. If others have all of them, which takes thousands of clients, it shares the last."""

_DIGEST_BYTES: Final = 16
_FREE: Final = bytes(_DIGEST_BYTES)
_LEVEL: Final = struct.Struct("=dd")  # requests left, seconds
_WORD: Final = struct.Struct("=q")
_WORDS_BEGIN: Final = _DIGEST_BYTES + _LEVEL.size


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
        shared: "SharedBuckets | None" = None,
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
        self._buckets = BucketMemory(1) if shared is None else shared
        self._worker = worker
        self._own_word = _WORDS_BEGIN + worker * _WORD.size
        self._slots: dict[str, int] = {}
        """The slots that clients have been found to have."""
        if shared is not None:
            shared.clear_words(self._own_word)

    def enter(self, client: str) -> None:
        """Count a request of ``client`` in. Raises ``TooMany``; such a request must not :meth:`leave`."""
        buckets, memory = self._buckets, self._buckets.memory
        with buckets.lock:
            now = self._clock()
            slot = self._slot_of(client)
            holder, left, seen_at, *under_way = buckets.slot.unpack_from(memory, slot)
            if holder == _FREE:
                left, seen_at = self._burst, now
            left = min(self._burst, left + (now - seen_at) * self._rate_per_s)
            if sum(under_way) >= self._at_once_max:
                raise TooMany(TOO_MANY_AT_ONCE, retry_after_s=1)
            if left < 1:
                raise TooMany(TOO_MANY_PER_SECOND, retry_after_s=math.ceil((1 - left) / self._rate_per_s))
            _LEVEL.pack_into(memory, slot + _DIGEST_BYTES, left - 1, now)
            _WORD.pack_into(memory, slot + self._own_word, under_way[self._worker] + 1)
            if holder == _FREE:  # last: a worker that is killed before this has claimed nothing
                memory[slot : slot + _DIGEST_BYTES] = digest_of(client)
        if client not in self._slots and len(self._slots) < SLOTS_MAX:
            self._slots[client] = slot

    def leave(self, client: str) -> None:
        """Count a request of ``client`` out that :meth:`enter` counted in. The word is this worker's: no lock."""
        word = self._slot_of(client) + self._own_word
        _WORD.pack_into(self._buckets.memory, word, _WORD.unpack_from(self._buckets.memory, word)[0] - 1)

    def _slot_of(self, client: str) -> int:
        slot = self._slots.get(client)
        return self._buckets.slot_of(client) if slot is None else slot


class BucketMemory:
    """The buckets of ``workers`` workers in shared memory; a bucket is changed while its worker has the ``lock``."""

    lock: AbstractContextManager[object] = nullcontext()

    def __init__(self, workers: int) -> None:
        self.slot = struct.Struct(f"={_DIGEST_BYTES}sdd{workers}q")
        self.memory = mmap.mmap(-1, SLOTS_MAX * self.slot.size)

    def slot_of(self, client: str) -> int:
        """Return where the slot of ``client`` begins: it has the client's digest, or is the first free one for it."""
        digest = digest_of(client)
        first = int.from_bytes(digest[:4], "big")
        begin = 0
        for probe in range(PROBES_MAX):
            begin = (first + probe) % SLOTS_MAX * self.slot.size
            if self.memory[begin : begin + _DIGEST_BYTES] in (digest, _FREE):
                break
        return begin

    def clear_words(self, word: int) -> None:
        """Count no requests of a new worker: those of the worker that had its number before have ended with it."""
        for begin in range(0, len(self.memory), self.slot.size):
            _WORD.pack_into(self.memory, begin + word, 0)


class SharedBuckets(BucketMemory):
    """The buckets of one server. Create it before forking the workers; the memory goes with the last of them.

    As a context manager it closes the lock's file at the end.
    """

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.file = _nameless_file()
        self.lock = _RecordLock(self.file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.file.close()


class _RecordLock:
    """A lock that one process at a time has, on a file that has no other use."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __enter__(self) -> None:
        # lockf and not flock: a lock of flock belongs to every process that inherited the file.
        fcntl.lockf(self._file, fcntl.LOCK_EX)

    def __exit__(self, *failure: object) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)


def _nameless_file() -> BinaryIO:
    """Return an empty file; where the system can, one that needs no folder to write to."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("bursar-clients"), "r+b")
    return TemporaryFile()


def digest_of(client: str) -> bytes:
    """Return what a slot holds of the name of its client."""
    return hashlib.blake2b(client.encode(), digest_size=_DIGEST_BYTES).digest()
