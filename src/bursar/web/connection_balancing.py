"""Connections spread evenly over worker processes.

The kernel gives a new connection to any worker that listens, by a hash of its addresses: eight callers that keep
theirs open may all sit at one worker. So a worker that holds more than another passes a new one on:

    kernel ──► worker A, holds 5 ── the connection itself (SCM_RIGHTS) ──► worker B, holds 3

The workers see one another's numbers in shared memory. They are hints: a stale one costs balance, never a connection.
"""

import asyncio
import contextlib
import mmap
import socket
from collections.abc import Callable
from typing import Final

VACANT: Final = 2**31 - 1
"""Count of a worker that does not run: more than any other, so that nothing is passed there."""
_HELD_BYTES: Final = 4


class ConnectionBalancer:
    """What the workers of one server share; made before they are forked, one share for each."""

    def __init__(self, workers: int) -> None:
        self._held = memoryview(mmap.mmap(-1, workers * _HELD_BYTES)).cast("i")
        self._inboxes = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(workers)]
        for worker, (inbox, outbox) in enumerate(self._inboxes):
            self.vacate(worker)
            inbox.setblocking(False)
            outbox.setblocking(False)

    def share(self, worker: int) -> "WorkerShare":
        """Return the share of ``worker``, counted from 0."""
        return WorkerShare(worker, self._held, self._inboxes[worker][0], [outbox for _, outbox in self._inboxes])

    def vacate(self, worker: int) -> None:
        """That worker is gone: what was passed to it and not taken waits for the one that takes its place."""
        self._held[worker] = VACANT

    def close(self) -> None:
        """Closes this process's ends; connections that nobody took are closed with the last of them."""
        for inbox, outbox in self._inboxes:
            inbox.close()
            outbox.close()


class WorkerShare:
    """One worker's place, ``number`` from 0. ``open`` and what follows run in the worker's loop."""

    def __init__(
        self, worker: int, held: "memoryview[int]", inbox: socket.socket, outboxes: list[socket.socket]
    ) -> None:
        self.worker = worker
        self._held = held
        self._inbox = inbox
        self._outboxes = outboxes

    def open(self, adopt: Callable[[socket.socket], None]) -> None:
        """Takes part from now on; ``adopt`` gets each connection that another worker passes on."""
        self._held[self.worker] = 0
        asyncio.get_running_loop().add_reader(self._inbox, self._take, adopt)

    def report(self, connections: int) -> None:
        """Tells the others how many connections this worker has."""
        if self._held[self.worker] != VACANT:
            self._held[self.worker] = connections

    def pass_on(self, descriptor: int) -> bool:
        """Gives a connection that just came to the worker with the fewest, if it has fewer than this one.

        True: it is that worker's; the caller closes its own descriptor and says nothing to the client.
        """
        held = self._held
        fewest = min(range(len(held)), key=held.__getitem__)
        if held[fewest] >= held[self.worker]:
            return False
        try:
            socket.send_fds(self._outboxes[fewest], [b"c"], [descriptor])
        except OSError:  # it has not taken what it got before, or there are too many descriptors: kept
            return False
        held[fewest] += 1  # until it tells its number itself: several may come in one turn
        return True

    def close(self) -> None:
        """Takes no more; a connection passed meanwhile is closed before its first request was read."""
        self._held[self.worker] = VACANT
        asyncio.get_running_loop().remove_reader(self._inbox)
        self._take(socket.socket.close)

    def _take(self, adopt: Callable[[socket.socket], None]) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                for descriptor in socket.recv_fds(self._inbox, 1, 1)[1]:
                    connection = socket.socket(fileno=descriptor)
                    connection.setblocking(False)
                    adopt(connection)
