"""Fork worker processes, replace those that crash, and stop all together.

    parent ──fork──► worker 0 … n-1       each worker holds the reading end of the lifeline; only the parent holds the
       │                                  writing end, so the workers also stop if the parent is killed
       └── waits; replaces a worker that crashes; passes SIGINT and SIGTERM on, then waits for all to end

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
"""Total restarts of crashed workers before the parent gives up."""

READY_POLL_S = 0.1
"""Time between two checks for crashed workers, while the parent waits for all to be ready."""
_PROCESS_ID = struct.Struct("=i")

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Work = Callable[[int, Callable[[], None], WorkerShare], None]
"""The work of a worker: a function of the lifeline (a descriptor that is readable once the parent has ended), of a
callback for when the worker is ready, and of its share of the connections."""


class WorkerProcesses:
    """Run ``work`` in ``count`` processes."""

    def __init__(self, count: int, work: Work) -> None:
        self._count = count
        self._work = work
        self._children: dict[int, int] = {}
        """Process id → worker number."""
        self._stopping = False
        self._deaths = 0
        self._failure: str | None = None

    def run(self, when_ready: Callable[[], None]) -> str | None:
        """Run the workers until a signal, and return why the parent gave up, or None.

        ``when_ready`` is called once all workers are ready.
        """
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
        """Wait until every running worker, replacements included, is ready. Return False if a signal comes first."""
        ready: set[int] = set()
        while self._children and not self._stopping:
            if select.select([ready_reader], [], [], READY_POLL_S)[0]:
                reported = os.read(
                    ready_reader, _PROCESS_ID.size * self._count
                )  # whole ids: a pipe does not split such short writes
                ready.update(process for (process,) in _PROCESS_ID.iter_unpack(reported))
                if self._children.keys() <= ready:
                    return True
            else:
                child, status = os.waitpid(-1, os.WNOHANG)
                if child:
                    self._replace(child, status)
        return False

    def _replace(self, child: int, status: int) -> None:
        """Replace a worker that has ended, unless all are stopping or too many have crashed."""
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
        # Blocked: a signal between the fork and the note of the child would leave a worker that is never stopped.
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
        """Do the work in the forked process, and end it without the parent's exit handlers."""
        code = 1
        try:
            os.close(self._lifeline[1])
            self._work(self._lifeline[0], self._report_ready, self._balancer.share(worker))
            code = 0
        except BaseException:  # nothing above could report it
            traceback.print_exc()
        finally:
            os._exit(code)

    def _report_ready(self) -> None:
        if self._ready_writer >= 0:  # the parent no longer waits once all were ready
            os.write(self._ready_writer, _PROCESS_ID.pack(os.getpid()))
            os.close(self._ready_writer)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Delay signals that stop a server until the block ends."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
