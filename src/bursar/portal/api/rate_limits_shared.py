"""What clients have under way and have taken at all workers of one server, in memory that those share.

A client has a slot, and in it each worker a seat of its own to write to; everybody reads all of them:

    slot │ whose, since when │ taken: seat 0, 1 … │ spilled: seat 0, 1 … │ under way: seat 0, 1 … │

So a request takes no lock, and no two processes ever write one cell; a cell is one aligned word, which is whole
whenever its writer is killed. What a bucket holds is told by numbers that only grow, whoever reads them and however
seldom:

    level = burst + rate x seconds since the slot was claimed - taken - spilled

``taken`` is the sum over the seats. What is ``spilled`` is what came in while the bucket was full: the most by which
the level without it was ever above the burst. It is highest just before a request takes its own, so who takes one
notes it first, and the highest of the seats is the server's.

Workers that look before either has noted what it takes do not see each other: all but one may let a request too many
through, at once or in the bucket's debt. What was taken too much is owed like anything taken.

A slot is claimed under a lock that the system takes from a process that dies, and is never given back.
"""

import fcntl
import hashlib
import mmap
import os
from tempfile import TemporaryFile
from typing import BinaryIO, Final

SLOTS_MAX: Final = 4096
"""Clients that are told apart while the server runs, those that have left the clients' file included."""

_WORD_BYTES: Final = 8
_DIGEST_BYTES: Final = 16
_DIGEST_WORDS: Final = _DIGEST_BYTES // _WORD_BYTES
_SINCE: Final = _DIGEST_WORDS
_CELLS: Final = _DIGEST_WORDS + 1
_CELLS_PER_SEAT: Final = 3


class SharedUse:
    """The slots of one server's clients for ``seats`` workers; made before they are forked.

    As a context it closes its lock at the end; the memory goes with the last process.
    """

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self._slot_words = _CELLS + _CELLS_PER_SEAT * seats
        memory = memoryview(mmap.mmap(-1, (1 + SLOTS_MAX * self._slot_words) * _WORD_BYTES))
        # One memory, two ways to read a word. A cast view reads and writes whole words; struct goes byte by byte.
        self._counts = memory.cast("q")
        self._amounts = memory.cast("d")
        self._bytes = memory
        self._lock = _lock_file()
        self._known: dict[bytes, int] = {}
        """Digest → its slot, as far as this process has seen them claimed."""

    def __enter__(self) -> "SharedUse":
        return self

    def __exit__(self, *failure: object) -> None:
        self._lock.close()

    def sit(self, seat: int) -> None:
        """A worker begins on ``seat``, from 0: what its predecessor had under way has ended with it."""
        for slot in range(self._counts[0]):
            self._under_way(slot)[seat] = 0

    def of(self, client: str, seat: int, now: float, rate_per_s: float, burst: float) -> "ClientUse | None":
        """What ``client`` uses, as the worker on ``seat`` counts it; None when all slots are other clients'.

        ``now``, in seconds, is from a clock that all workers share, as are ``rate_per_s`` and ``burst``.
        """
        slot = self._slot(hashlib.blake2b(client.encode(), digest_size=_DIGEST_BYTES).digest(), now)
        if slot is None:
            return None
        cells, seats = self._begin(slot) + _CELLS, self.seats
        return ClientUse(
            seat,
            self._counts[cells : cells + seats],
            self._amounts[cells + seats : cells + 2 * seats],
            self._under_way(slot),
            since=self._amounts[self._begin(slot) + _SINCE],
            rate_per_s=rate_per_s,
            burst=burst,
        )

    def _slot(self, digest: bytes, now: float) -> int | None:
        """The slot of that digest, claimed if need be; None when there is none left."""
        if digest not in self._known:
            # A record lock, not flock: that one would belong to all processes that inherited the file, held by any.
            fcntl.lockf(self._lock, fcntl.LOCK_EX)
            try:
                self._look_and_claim(digest, now)
            finally:
                fcntl.lockf(self._lock, fcntl.LOCK_UN)
        return self._known.get(digest)

    def _look_and_claim(self, digest: bytes, now: float) -> None:
        claimed = self._counts[0]
        for slot in range(len(self._known), claimed):
            begin = self._begin(slot) * _WORD_BYTES
            self._known[bytes(self._bytes[begin : begin + _DIGEST_BYTES])] = slot
        if digest in self._known or claimed == SLOTS_MAX:
            return
        begin = self._begin(claimed)
        self._bytes[begin * _WORD_BYTES : begin * _WORD_BYTES + _DIGEST_BYTES] = digest
        self._amounts[begin + _SINCE] = now
        self._counts[0] = claimed + 1  # last: who is killed before has claimed nothing
        self._known[digest] = claimed

    def _begin(self, slot: int) -> int:
        """The word where that slot begins; the first of all says how many are claimed."""
        return 1 + slot * self._slot_words

    def _under_way(self, slot: int) -> "memoryview[int]":
        end = self._begin(slot + 1)
        return self._counts[end - self.seats : end]


class ClientUse:
    """What one client uses of the whole server, as one worker counts it."""

    __slots__ = ("_burst", "_found_spilled", "_rate_per_s", "_seat", "_since", "_spilled", "_taken", "_under_way")

    def __init__(
        self,
        seat: int,
        taken: "memoryview[int]",
        spilled: "memoryview[float]",
        under_way: "memoryview[int]",
        *,
        since: float,
        rate_per_s: float,
        burst: float,
    ) -> None:
        self._seat = seat
        self._taken = taken
        self._spilled = spilled
        self._under_way = under_way
        self._since = since
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._found_spilled = 0.0

    @property
    def here(self) -> int:
        """How many requests this worker has under way."""
        return self._under_way[self._seat]

    def look(self, now: float) -> tuple[int, float]:
        """How many requests all workers have under way, and what the bucket holds at ``now``."""
        above = (now - self._since) * self._rate_per_s - sum(self._taken)
        spilled = max(self._spilled)
        if above > spilled:
            spilled = above
        self._found_spilled = spilled
        return sum(self._under_way), self._burst + above - spilled

    def take(self) -> None:
        """One request begins, as of the last look."""
        seat = self._seat
        self._spilled[seat] = self._found_spilled
        self._taken[seat] += 1
        self._under_way[seat] += 1

    def leave(self) -> None:
        """One of this worker's requests has ended."""
        self._under_way[self._seat] -= 1


def _lock_file() -> BinaryIO:
    """Nobody's file, to lock and for nothing else; where the system can, one that needs no folder to write to."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("bursar-clients"), "r+b")
    return TemporaryFile()
