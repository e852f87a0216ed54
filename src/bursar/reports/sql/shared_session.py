"""The current session: DuckDB over the lake's last known state, shared by the queries that run now."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from bursar.clock import Clock
from bursar.reports.lake.lake import Lake
from bursar.reports.sql.local_files import LocalFiles
from bursar.reports.sql.session import Session

LAKE_RECHECK_S: Final = 30.0  # an older state of the lake gives the same answers with a longer tail

T = TypeVar("T")


class CurrentSession:
    """Opens a session on first use, and another when the lake has a newer state. The last query closes the old one."""

    def __init__(self, lake: Lake, clock: Clock, thread: Executor) -> None:
        self._lake = lake
        self._local_files = LocalFiles(lake)
        self._clock = clock
        self._thread = thread
        self._lock = asyncio.Lock()
        self._current: _SharedSession | None = None
        self._checked_at = float("-inf")

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Session]:
        """Share the session over the lake's state. Raise :class:`bursar.reports.errors.LakeBroken`."""
        async with self._lock:
            now = self._clock()
            shared = self._current
            if shared is None or now - self._checked_at > LAKE_RECHECK_S:
                shared = await self._refreshed(shared)
                self._checked_at = now
            shared.users += 1
        try:
            yield shared.session
        finally:
            shared.leave()

    def recheck_lake(self) -> None:
        """Make the next query read the lake's state: the lake was written, or a file of the old state is missing."""
        self._checked_at = float("-inf")

    def close(self) -> None:
        """Close the session and remove its local files."""
        if self._current is not None:
            self._current.retire()
            self._current = None
        self._local_files.close()

    async def _refreshed(self, known: "_SharedSession | None") -> "_SharedSession":
        state = await self._blocking(self._lake.state)
        if known is not None and known.session.state == state:
            return known
        fresh = _SharedSession(await self._blocking(lambda: Session(state, self._local_files.paths(state))))
        if known is not None:
            known.retire()
        self._current = fresh
        return fresh

    async def _blocking(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


class _SharedSession:
    """A session and the number of queries that use it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.users = 0
        self._retired = False

    def leave(self) -> None:
        self.users -= 1
        self._close_if_done()

    def retire(self) -> None:
        self._retired = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._retired and self.users == 0:
            self.session.close()
