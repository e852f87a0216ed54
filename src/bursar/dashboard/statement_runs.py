"""Stop a statement that runs, from any process of the dashboard: the request to stop is a row of the state file.

    POST /sql, run=x ──► the statement runs ── every STOP_POLL_S: is there a row x? ──► cancelled
    POST /sql/stop, run=x ──► a row x, of this person

Each page of the editor has a new run id, so a browser without scripts can stop its statement: the second form ends the
request of the first one.
"""

import asyncio
import secrets
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from bursar.clock import Clock
from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.state_file import StateFile

STOP_POLL_S: Final = 0.25
STOPS_KEPT_S: Final = 600.0
"""A request to stop a run that has ended is removed after this time."""
RUN_ID_CHARS_MAX: Final = 32

T = TypeVar("T")


class Stopped(Exception):
    """The person stopped the statement."""


def new_run_id() -> str:
    """Return the id of a run that begins with the next form."""
    return secrets.token_hex(8)


class StatementRuns:
    """The statements of one process, and the requests to stop them."""

    def __init__(self, state: StateFile, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    async def result(self, account: Account, run: str, since: float, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of ``work``. Raises :class:`Stopped` if the person stops it, and what ``work`` raises.

        A request to stop that is older than ``since``, Unix seconds, belongs to an earlier run of the same form.
        """
        running = asyncio.ensure_future(work)
        try:
            while not running.done():
                await asyncio.wait([running], timeout=STOP_POLL_S)
                if not running.done() and await asyncio.to_thread(self._is_stopped, account, run, since):
                    raise Stopped
            return running.result()
        finally:
            if not running.done():
                running.cancel()
                await asyncio.wait([running])

    def stop(self, account: Account, run: str) -> None:
        """Ask the process that runs ``run`` of this person to stop it."""
        now = self._clock()
        with self._state.writing() as connection:
            connection.execute("DELETE FROM stops WHERE at < ?", (now - STOPS_KEPT_S,))
            connection.execute(
                "INSERT OR REPLACE INTO stops (name, run, at) VALUES (?, ?, ?)",
                (account.name, run[:RUN_ID_CHARS_MAX], now),
            )

    def _is_stopped(self, account: Account, run: str, since: float) -> bool:
        key = (account.name, run[:RUN_ID_CHARS_MAX], since)
        with self._state.writing() as connection:
            found = connection.execute("SELECT 1 FROM stops WHERE name = ? AND run = ? AND at >= ?", key)
            return found.fetchone() is not None
