"""The progress of exports: a row of the state file for each, so that any process can show and stop it.

    GET /transactions.csv?run=x ──► the row x: total ── after a batch of rows ──► rows written so far ──► its end
    GET /exports/x              ──► the row x, as a bar
    POST /exports/x/stop        ──► the row x is marked, and no further batch is written

A page gives each of its links a new run id. If a file ends early, the connection is cut, so the browser does not take
the file as complete.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from bursar.clock import Clock
from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.state_file import StateFile

if TYPE_CHECKING:
    import pyarrow as pa

NOTE_INTERVAL_S: Final = 0.25
EXPORTS_KEPT_S: Final = 24 * 3600.0
"""The progress of an export is removed after this time, whether it has ended or its process was killed."""
RUN_ID_CHARS_MAX: Final = 40
_log = logging.getLogger(__name__)

ExportState = Literal["running", "stopping", "finished", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """The progress of an export: ``rows`` written of ``total``, which is None while it is not known."""

    rows: int
    total: int | None
    state: ExportState

    @property
    def share(self) -> float | None:
        """The share of the rows that is written, from 0 to 1; None if it is not known.

        It stays at 1 if more rows arrive.
        """
        return None if self.total is None else min(1.0, self.rows / max(self.total, 1))


class ExportStopped(Exception):
    """The person stopped the export."""


class ExportRuns:
    """The exports of every process that shares the state file."""

    def __init__(self, state: StateFile, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def begin(self, account: Account, run: str, total: int | None) -> "ExportRun":
        """Record that an export of this person begins. ``total``: its rows, if their number is known."""
        now, key = self._clock(), (account.name, run[:RUN_ID_CHARS_MAX])
        with self._state.writing() as connection:
            connection.execute("DELETE FROM exports WHERE at < ?", (now - EXPORTS_KEPT_S,))
            connection.execute(
                "INSERT OR REPLACE INTO exports (name, run, rows, total, state, at) VALUES (?, ?, 0, ?, 'running', ?)",
                (*key, total, now),
            )
        return ExportRun(self._state, key)

    def progress(self, account: Account, run: str) -> ExportProgress | None:
        """Return the progress of an export of this person; None if there is none with this run id."""
        with self._state.writing() as connection:
            found = connection.execute(
                "SELECT rows, total, state FROM exports WHERE name = ? AND run = ?",
                (account.name, run[:RUN_ID_CHARS_MAX]),
            ).fetchone()
        return None if found is None else ExportProgress(found["rows"], found["total"], found["state"])

    def stop(self, account: Account, run: str) -> bool:
        """Ask the process that writes an export of this person to stop. Return False if it has ended."""
        with self._state.writing() as connection:
            marked = connection.execute(
                "UPDATE exports SET state = 'stopping' WHERE name = ? AND run = ? AND state = 'running'",
                (account.name, run[:RUN_ID_CHARS_MAX]),
            )
            return marked.rowcount > 0


class ExportRun:
    """One export that this process writes."""

    def __init__(self, state: StateFile, key: tuple[str, str]) -> None:
        self._state = state
        self._key = key
        self._rows = 0

    async def counted(self, batches: "AsyncIterator[pa.RecordBatch]") -> "AsyncIterator[pa.RecordBatch]":
        """Yield each batch, and record the rows of the batches before. Raises :class:`ExportStopped`."""
        noted_at = float("-inf")
        async for batch in batches:
            if time.monotonic() - noted_at >= NOTE_INTERVAL_S:
                noted_at = time.monotonic()
                if not await asyncio.to_thread(self._note):
                    raise ExportStopped
            yield batch
            self._rows += batch.num_rows

    @asynccontextmanager
    async def recorded(self) -> AsyncIterator[None]:
        """Record how the body of the ``with`` ends."""
        state: ExportState = "failed"
        try:
            yield
            state = "finished"
        except (ExportStopped, asyncio.CancelledError, GeneratorExit):
            state = "stopped"  # the person stopped it here, or in the browser, which closes the connection
            raise
        finally:
            self._end(state)  # without a thread, because a cancelled task cannot wait

    def _note(self) -> bool:
        with self._state.writing() as connection:
            noted = connection.execute(
                "UPDATE exports SET rows = ? WHERE name = ? AND run = ? AND state = 'running'", (self._rows, *self._key)
            )
            return noted.rowcount > 0

    def _end(self, state: ExportState) -> None:
        with self._state.writing() as connection:
            connection.execute(
                "UPDATE exports SET rows = ?, state = ? WHERE name = ? AND run = ?", (self._rows, state, *self._key)
            )


class ExportResponse(StreamingResponse):
    """A download that may be stopped: then its connection ends, and the browser discards the file."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        try:
            await super().__call__(scope, receive, send)
        except ExportStopped:
            _log.info("an export was stopped by the person who began it")
