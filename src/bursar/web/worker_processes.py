"""Worker processes: forked, kept alive, told to stop together.

    parent ──fork──► worker 1 … n         each holds the reading end of the lifeline; the parent alone holds the writing
       │                                  end, so that a parent killed outright takes its workers with it
       └── waits; replaces a worker that dies unasked; passes SIGINT and SIGTERM on and then waits for all to end

Each has a share of the connections (:mod:`bursar.web.connection_balancing`).

Nothing that does not survive a fork (a store, a loop, a thread) may exist in the parent.
"""

import contextlib
import os
import select
import signal
import struct
import traceback
from collections.abc import Callable, Iterator
from types import FrameType

from bursar.web.connection_balancing import ConnectionBalancer, WorkerShare

RESTARTS_MAX = 5
"""Workers that die unasked are replaced so many times, all together; then the parent gives up."""

READY_POLL_S = 0.1
"""How often the parent looks for workers that have died, while it waits for all to be ready."""
_PROCESS_ID = struct.Struct("=i")

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Work = Callable[[int, Callable[[], None], WorkerShare], None]
"""A worker's life: takes the lifeline (a descriptor, readable when the parent is gone), what to call when ready, and
its share of the connections."""


class WorkerProcesses:
    """``count`` processes that each do ``work``."""

    def __init__(self, count: int, work: Work) -> None:
        self._count = count
        self._work = work
        self._children: dict[int, int] = {}
        """Process id → worker number."""
        self._stopping = False
        self._deaths = 0
        self._failure: str | None = None

    def run(self, when_ready: Callable[[], None]) -> str | None:
        """Runs them until told to stop; ``when_ready`` is called once all are. Returns why it gave up, or None."""
        previous = {number: signal.signal(number, self._stop) for number in _STOP_SIGNALS}
        self._lifeline = os.pipe()
        ready_reader, self._ready_writer = os.pipe()
        self._balancer = ConnectionBalancer(self._count)
        try:
            for worker in range(self._count):
                self._fork(worker)
            if self._all_ready(ready_reader):
                when_ready()
            os.close(self._ready_writer)
            self._ready_writer = -1
            while self._children:
                self._replace(*os.wait())
            return self._failure
        finally:
            for descriptor in (*self._lifeline, ready_reader):
                os.close(descriptor)
            self._balancer.close()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _all_ready(self, ready_reader: int) -> bool:
        """Waits until each worker there is, also one that replaces another, has told so. False: told to stop first."""
        ready: set[int] = set()
        while self._children and not self._stopping:
            if select.select([ready_reader], [], [], READY_POLL_S)[0]:
                reported = os.read(
                    ready_reader, _PROCESS_ID.size * self._count
                )  # whole ones: a pipe keeps them together
                ready.update(process for (process,) in _PROCESS_ID.iter_unpack(reported))
                if self._children.keys() <= ready:
                    return True
            else:
                child, status = os.waitpid(-1, os.WNOHANG)
                if child:
                    self._replace(child, status)
        return False

    def _replace(self, child: int, status: int) -> None:
        """A worker has ended: replaces it, unless it was told to end or too many have."""
        worker = self._children.pop(child)
        self._balancer.vacate(worker)
        if self._stopping:
            return
        self._deaths += 1
        if self._deaths <= RESTARTS_MAX:
            self._fork(worker)
            return
        code = os.waitstatus_to_exitcode(status)
        self._failure = f"a worker died (exit {code}) after {RESTARTS_MAX} restarts"
        self._stop(signal.SIGTERM, None)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)

    def _fork(self, worker: int) -> None:
        # Held: a signal that came between the fork and the note of it would leave a worker that nobody tells to stop.
        with _signals_held():
            if self._stopping:
                return
            child = os.fork()
            if child:
                self._children[child] = worker
                return
            for number in _STOP_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
        self._run_worker(worker)

    def _run_worker(self, worker: int) -> None:
        """The worker's side of the fork: does the work and ends the process without the parent's exit handlers."""
        code = 1
        try:
            os.close(self._lifeline[1])
            self._work(self._lifeline[0], self._report_ready, self._balancer.share(worker))
            code = 0
        except BaseException:  # whatever it was: a worker has nobody above it to tell
            traceback.print_exc()
        finally:
            os._exit(code)

    def _report_ready(self) -> None:
        if self._ready_writer >= 0:  # once all were ready, a worker that replaces another has nobody waiting for it
            os.write(self._ready_writer, _PROCESS_ID.pack(os.getpid()))
            os.close(self._ready_writer)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Signals that stop a server wait until the block ends."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
