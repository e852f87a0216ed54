"""What each worker of one server has counted, in memory that they share, so that any of them can tell it for all.

    worker ──── time and again, before it tells, at its end ────► its seat ──┬──► whichever worker is asked
                                                                             └──► the one that takes its place

A seat's memory has two sides. A snapshot is written to the one that is not read now, and then the seat is turned:

    │ which side │ side 0: length, checksum, snapshot │ side 1: length, checksum, snapshot │

So a worker killed while it writes leaves its last whole snapshot; the memory is nobody's file, and goes with the last
process. The checksum is for a reader who is held up until the side that it reads is written to again.
"""

import logging
import mmap
import struct
from typing import Final
from zlib import crc32

SNAPSHOT_BYTES_MAX: Final = 1 << 20
"""A portal that has seen every operation end in several ways writes some 15 kB. Only what was written takes memory."""
READS_MAX: Final = 3

_HEADER: Final = struct.Struct("=II")
_SIDE_BYTES: Final = _HEADER.size + SNAPSHOT_BYTES_MAX
_SEAT_BYTES: Final = 1 + 2 * _SIDE_BYTES

_log = logging.getLogger(__name__)


class Snapshots:
    """The latest snapshot of each of ``seats`` workers; made before they are forked. Each writes to its own seat."""

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self._memory = mmap.mmap(-1, seats * _SEAT_BYTES)

    def keep(self, seat: int, snapshot: bytes) -> None:
        """Replaces the snapshot of ``seat``, from 0. One that is too large is logged and not kept."""
        if len(snapshot) > SNAPSHOT_BYTES_MAX:
            _log.error("a snapshot of the metrics has %d bytes, which is too large to keep", len(snapshot))
            return
        side = 1 - self._memory[seat * _SEAT_BYTES]
        header = _header(seat, side)
        begin = header + _HEADER.size
        self._memory[begin : begin + len(snapshot)] = snapshot
        _HEADER.pack_into(self._memory, header, len(snapshot), crc32(snapshot))
        self._memory[seat * _SEAT_BYTES] = side

    def latest(self, seat: int) -> bytes:
        """The snapshot of ``seat``; empty before the first, and for a damaged one, which is logged."""
        for _ in range(READS_MAX):
            header = _header(seat, self._memory[seat * _SEAT_BYTES])
            length, checksum = _HEADER.unpack_from(self._memory, header)
            begin = header + _HEADER.size
            snapshot = self._memory[begin : begin + length]
            if crc32(snapshot) == checksum:
                return snapshot
        _log.error("the snapshot of worker %d's metrics is damaged and left out", seat)
        return b""


def _header(seat: int, side: int) -> int:
    """Where that side of that seat begins."""
    return seat * _SEAT_BYTES + 1 + side * _SIDE_BYTES
