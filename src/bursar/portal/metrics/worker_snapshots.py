"""Share the counts of each worker of one server in memory, so that any worker can export them all.

    worker ──── regularly, before a scrape, at its end ────► its memory ──┬──► the worker that is scraped
                                                                          └──► the worker that replaces it

The memory of a worker has two sides. A snapshot is written to the side that is not in use, and then that side becomes
the one in use:

    │ which side │ side 0: length, checksum, snapshot │ side 1: length, checksum, snapshot │

So a worker that is killed while it writes leaves its last whole snapshot. The memory belongs to no file and is freed
with the last process. The checksum is for a slow reader whose side is overwritten while it reads.
"""

import logging
import mmap
import struct
from typing import Final
from zlib import crc32

SNAPSHOT_BYTES_MAX: Final = 1 << 20
"""A snapshot with several outcomes of every operation has about 15 kB. Only pages that are written use memory."""
READS_MAX: Final = 3

_HEADER: Final = struct.Struct("=II")
_SIDE_BYTES: Final = _HEADER.size + SNAPSHOT_BYTES_MAX
_WORKER_BYTES: Final = 1 + 2 * _SIDE_BYTES

_log = logging.getLogger(__name__)


class Snapshots:
    """The last snapshot of each of ``workers`` workers. Create it before forking them."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._memory = mmap.mmap(-1, workers * _WORKER_BYTES)

    def keep(self, worker: int, snapshot: bytes) -> None:
        """Replace the snapshot of ``worker``, a number from 0. A snapshot that is too large is logged and dropped."""
        if len(snapshot) > SNAPSHOT_BYTES_MAX:
            _log.error(
                "snapshot of the metrics dropped: must have at most %d bytes; got %d", SNAPSHOT_BYTES_MAX, len(snapshot)
            )
            return
        side = 1 - self._memory[worker * _WORKER_BYTES]
        header = _header(worker, side)
        begin = header + _HEADER.size
        self._memory[begin : begin + len(snapshot)] = snapshot
        _HEADER.pack_into(self._memory, header, len(snapshot), crc32(snapshot))
        self._memory[worker * _WORKER_BYTES] = side

    def latest(self, worker: int) -> bytes:
        """Return the snapshot of ``worker``; empty before the first, and for a damaged snapshot, which is logged."""
        for _ in range(READS_MAX):
            header = _header(worker, self._memory[worker * _WORKER_BYTES])
            length, checksum = _HEADER.unpack_from(self._memory, header)
            begin = header + _HEADER.size
            snapshot = self._memory[begin : begin + length]
            if crc32(snapshot) == checksum:
                return snapshot
        _log.error("snapshot of the metrics of worker %d left out: it is damaged", worker)
        return b""


def _header(worker: int, side: int) -> int:
    """Return the offset of the header of ``side`` of ``worker``."""
    return worker * _WORKER_BYTES + 1 + side * _SIDE_BYTES
