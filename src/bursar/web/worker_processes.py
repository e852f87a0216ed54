"""Fork worker processes, replace those that crash, and stop all together.

    parent ──fork──► worker 0 … n-1       each worker holds the reading end of the lifeline; only the parent holds the
       │                                  writing end, so the workers also stop if the parent is killed
       └── waits; replaces a worker that crashes (:mod:`bursar.web.restart_policy`); passes SIGINT and SIGTERM on, then
           waits for all to end

Each has a share of the connections (:mod:`bursar.web.connection_balancing`).

Nothing that does not survive a fork (a store, a loop, a thread) may exist in the parent.
"""

import contextlib
import logging
import os
import select
import signal
import struct
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

from bursar.clock import Clock, steady_clock
from bursar.web.connection_balancing import ConnectionBalancer, WorkerShare
from bursar.web.restart_policy import GivesUp, RestartPolicy

POLL_S = 0.1
"""The time between two checks for workers that have ended."""
_PROCESS_ID = struct.Struct("=i")
_log = logging.getLogger(__name__)

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Work = Callable[[int, Callable[[], None], WorkerShare], None]
"""The function that a worker runs. Its arguments are the lifeline (a descriptor that becomes readable when the parent
ends), a callback for when the worker is ready, and the worker's share of the connections."""


@dataclass
class _Child:
    """A running worker: its number, the time of its start, and whether it has reported that it is ready."""

    worker: int
    started_at: float
    ready: bool = False


class WorkerProcesses:
    """Run ``work`` in ``count`` processes."""

    def __init__(self, count: int, work: Work, *, clock: Clock = steady_clock) -> None:
        self._count = count
        self._work = work
        self._clock = clock
        self._policy = RestartPolicy(clock)
        self._children: dict[int, _Child] = {}
        """Process id → the worker."""
        self._pausing: dict[int, float] = {}
        """Worker number → the time at which it is started again."""
        self._stopping = False
        self._failure: str | None = None

    def run(self, when_ready: Callable[[], None]) -> str | None:
        """Run the workers until a signal, and return why the parent gave up, or None.

        ``when_ready`` is called once all workers are ready.
        """
        previous = {number: signal.signal(number, self._stop) for number in _STOP_SIGNALS}
        self._lifeline = os.pipe()
        self._ready_reader, self._ready_writer = os.pipe()
        self._balancer = ConnectionBalancer(self._count)
        all_were_ready = False
        try:
            for worker in range(self._count):
                self._fork(worker)
            while self._children or (self._pausing and not self._stopping):
                self._note_ready_workers()
                if not all_were_ready and not self._stopping and self._all_ready():
                    all_were_ready = True
                    when_ready()
                self._replace_ended_workers()
            return self._failure
        finally:
            for descriptor in (*self._lifeline, self._ready_reader, self._ready_writer):
                os.close(descriptor)
            self._balancer.close()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _note_ready_workers(self) -> None:
        """Read which workers have become ready; wait for :data:`POLL_S` if none has."""
        if not select.select([self._ready_reader], [], [], POLL_S)[0]:
            return
        # A read returns whole process ids, because a pipe does not split such short writes.
        reported = os.read(self._ready_reader, _PROCESS_ID.size * self._count)
        for (process,) in _PROCESS_ID.iter_unpack(reported):
            if process in self._children:
                self._children[process].ready = True
                self._policy.became_ready()

    def _all_ready(self) -> bool:
        return not self._pausing and all(child.ready for child in self._children.values())

    def _replace_ended_workers(self) -> None:
        """Note the workers that have ended, and start those again whose pause is over."""
        while self._children:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                break
            self._note_death(self._children.pop(process), os.waitstatus_to_exitcode(status))
        now = self._clock()
        for worker in [worker for worker, at in self._pausing.items() if at <= now]:
            del self._pausing[worker]
            self._fork(worker)

    def _note_death(self, child: _Child, code: int) -> None:
        """Plan the replacement of a worker that has ended, unless all are stopping or the policy gives up."""
        self._balancer.vacate(child.worker)
        if self._stopping:
            return
        others_ready = any(other.ready for other in self._children.values())
        try:
            pause_s = self._policy.pause_after(
                child.worker, started_at=child.started_at, was_ready=child.ready, others_ready=others_ready
            )
        except GivesUp as reason:
            self._failure = f"a worker died (exit {code}), and {reason}"
            self._stop(signal.SIGTERM, None)
            return
        _log.warning("worker %d died (exit %d) and is started again in %.1f s", child.worker, code, pause_s)
        self._pausing[child.worker] = self._clock() + pause_s

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)

    def _fork(self, worker: int) -> None:
        # Signals are blocked: one between the fork and the record of the child would leave a worker that is never
        # stopped.
        with _signals_held():
            if self._stopping:
                return
            child = os.fork()
            if child:
                self._children[child] = _Child(worker, self._clock())
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
        except BaseException:  # no caller could report it
            traceback.print_exc()
        finally:
            os._exit(code)

    def _report_ready(self) -> None:
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
