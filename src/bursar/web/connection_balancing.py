"""Spread connections evenly over worker processes.

The kernel gives a new connection to any worker that listens, by a hash of the addresses. Eight callers that keep their
connections open could all get the same worker. So a worker that has more connections than another passes a new one on:

    kernel ──► worker A, holds 5 ── the connection itself (SCM_RIGHTS) ──► worker B, holds 3

The workers see one another's counts in shared memory. The counts are hints: a stale count makes the balance worse but
never loses a connection.
"""

import asyncio
import contextlib
import mmap
import socket
from collections.abc import Callable
from typing import Final

VACANT: Final = 2**31 - 1
"""The count of a worker that does not run. It is larger than any other, so nothing is passed to that worker."""
_HELD_BYTES: Final = 4


class ConnectionBalancer:
    """The counts and the sockets that the workers of one server share. Create it before forking the workers."""

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
        """Note that ``worker`` has ended.

        Connections that were passed to it, and that it did not take, wait for its replacement.
        """
        self._held[worker] = VACANT

    def close(self) -> None:
        """Close this process's sockets. Connections that no worker took are closed with the last process."""
        for inbox, outbox in self._inboxes:
            inbox.close()
            outbox.close()


class WorkerShare:
    """The connections of one worker, numbered from 0. Call :meth:`open` and the others in the worker's event loop."""

    def __init__(
        self, worker: int, held: "memoryview[int]", inbox: socket.socket, outboxes: list[socket.socket]
    ) -> None:
        self.worker = worker
        self._held = held
        self._inbox = inbox
        self._outboxes = outboxes

    def open(self, adopt: Callable[[socket.socket], None]) -> None:
        """Take part from now on. ``adopt`` is called with each connection that another worker passes on."""
        self._held[self.worker] = 0
        asyncio.get_running_loop().add_reader(self._inbox, self._take, adopt)

    def report(self, connections: int) -> None:
        """Report to the other workers how many connections this worker holds."""
        if self._held[self.worker] != VACANT:
            self._held[self.worker] = connections

    def pass_on(self, descriptor: int) -> bool:
        """Pass a new connection to the worker with the fewest, and return whether it was passed.

        It is kept if no worker holds fewer than this one. The caller closes its descriptor of a passed connection and
        sends nothing to the client.
        """
        held = self._held
        fewest = min(range(len(held)), key=held.__getitem__)
        if held[fewest] >= held[self.worker]:
            return False
        try:
            socket.send_fds(self._outboxes[fewest], [b"c"], [descriptor])
        except OSError:  # the worker's socket is full, or there are too many descriptors
            return False
        held[fewest] += 1  # counted until that worker reports, because more may arrive in this loop iteration
        return True

    def close(self) -> None:
        """Take no more connections. One that was passed meanwhile is closed before its first request is read."""
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
