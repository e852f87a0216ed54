"""The threads that run statements, with time limits.

A statement that reaches its limit is interrupted. DuckDB cannot interrupt a scalar function, so a statement may
continue. Such a statement is a *runaway*, and only the end of its process can stop it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from bursar.reports.errors import QueryTooLong

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

QUERY_TIMEOUT_S: Final = 30.0
"""The time limit of a statement, and of each batch of a streamed answer."""
STREAM_TIMEOUT_S: Final = 1_800.0
"""The time limit of a streamed answer with all its batches, and with the waits for its reader."""
QUERY_THREADS: Final = 2
STOP_GRACE_S: Final = 3.0
"""How long a statement may take to stop. After this, the statement is a runaway, and its process should end."""

T = TypeVar("T")
_log = logging.getLogger(__name__)


class QueryThreads:
    """The threads of one process."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(QUERY_THREADS, "bursar-sql")
        self.has_runaway = False
        """Whether a statement could not be stopped, so that a thread of this process still runs it."""

    @asynccontextmanager
    async def statement(self, cursor: "DuckDBPyConnection") -> "AsyncIterator[StatementSteps]":
        """Run a statement in steps with ``cursor`` for the length of a ``with``, then close the cursor.

        No thread is occupied between two steps.
        """
        try:
            yield StatementSteps(self, cursor)
        finally:
            if not self.has_runaway:
                cursor.close()

    async def close(self) -> None:
        """Wait for running statements and end the threads; a runaway is not waited for."""
        if self.has_runaway:
            self.pool.shutdown(wait=False)
        else:
            await asyncio.to_thread(self.pool.shutdown)

    def note_runaway(self, running: "asyncio.Future[T]") -> None:
        """Record that a thread of this process cannot be stopped: a scalar function ignores interrupts."""
        self.has_runaway = True
        running.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        _log.error("a statement does not stop at its time limit; this process should end")


class StatementSteps:
    """The steps of one statement, one after the other."""

    def __init__(self, threads: QueryThreads, cursor: "DuckDBPyConnection") -> None:
        self._threads = threads
        self._cursor = cursor
        self._is_expired = False
        self._ends_at = asyncio.get_running_loop().time() + STREAM_TIMEOUT_S

    def expired(self) -> bool:
        """Return whether the time limit interrupted a step."""
        return self._is_expired

    async def run(self, work: Callable[[], T]) -> T:
        """Return the result of ``work``, which blocks and uses the cursor.

        Raises :class:`QueryTooLong` if it cannot be stopped at its limit, and what ``work`` raises.
        """
        loop = asyncio.get_running_loop()
        if loop.time() >= self._ends_at:
            raise QueryTooLong(f"the answer was not read within {STREAM_TIMEOUT_S:.0f} s")
        timer = loop.call_later(QUERY_TIMEOUT_S, self._expire)
        running = loop.run_in_executor(self._threads.pool, work)
        try:
            await asyncio.wait([running], timeout=QUERY_TIMEOUT_S + STOP_GRACE_S)
        except asyncio.CancelledError:
            self._cursor.interrupt()
            await asyncio.wait([running], timeout=STOP_GRACE_S)  # the thread uses the cursor until then
            raise
        finally:
            timer.cancel()
            if not running.done():
                self._threads.note_runaway(running)
        if not running.done():
            raise QueryTooLong("the query reached its time limit and could not be stopped")
        return running.result()

    def _expire(self) -> None:
        self._is_expired = True
        self._cursor.interrupt()
