"""The engine for asyncio: concurrent writes share one commit.

    turn of the event loop                │ two turns later
    put A ─┐                              │
    put B ─┼─ waiting ── call_soon ───────┼─► BEGIN · A · B · C · D · COMMIT (one fsync) ─► A, B, C, D answered
    upd C ─┘      put D, in between ──────┤

A read sees what is committed: nothing that is not yet acknowledged can be observed, and nothing acknowledged can be
missed. While another process writes, the loop goes on turning, and what comes meanwhile joins the group. Reads that a
server submits in one turn run together in the next, on one look at the file: taking and giving back SQLite's read lock
costs as much as reading an item. No threads and no clock are involved, so a loop of virtual time runs it as it is.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import orjson

from bursar.dynamo.engine.compare_and_swap import EngineCompareAndSwap
from bursar.dynamo.engine.engine import HOUSEKEEPING_EVERY_S, Engine, RequestOutcome, operation_named
from bursar.dynamo.operations import Operation

GROUP_REQUESTS_MAX = 1_000
"""Writes of one commit; more wait for the next."""

TURNS_BEFORE_COMMIT = 2
"""How often the loop turns before it commits. Each turn looks for input, and the writes that come of it share the
commit; a loop with nothing else to do turns in microseconds. Two turns let eight callers of a portal do a third more.
"""

TURNS_UNTIL_FREE_MAX = 50
"""How often the loop turns while another process writes, before it stands still until that one has ended: whoever only
looks in now and then could be overtaken for ever."""
TURN_WAIT_S = 0.0001
"""Slept in such a turn if the one before brought no write."""

GROUPED_READS = frozenset({"GetItem", "Query"})
"""Short reads, which share a look at the file when they are submitted."""

_EMPTY = b"{}"

PendingRequest = tuple[Operation, Mapping[str, Any], Callable[[RequestOutcome], None]]


class AsyncEngine:
    """An engine whose writes of one event-loop turn become durable together. Used from one event loop."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._pending_writes: list[PendingRequest] = []
        self._pending_reads: list[PendingRequest] = []
        self._housekeeping_timer: asyncio.TimerHandle | None = None

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    @cached_property
    def compare_and_swap(self) -> EngineCompareAndSwap:
        """The door for whole items."""
        return EngineCompareAndSwap(self.engine, self.write)

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carries out one request. Raises ``DynamoError``. A cancelled caller's write takes place all the same."""
        body = await self.call_bytes(operation, request)
        response: dict[str, Any] = {} if body == _EMPTY else orjson.loads(body)
        return response

    async def call_bytes(self, operation: str, request: Mapping[str, Any]) -> bytes:
        """As :meth:`call`, the response serialised."""
        known = operation_named(operation)
        if not known.writes or (known.reads is not None and known.reads(request)):
            return self.engine.read(known, request)
        return await self.write(known, request)

    async def write(self, known: Operation, request: Mapping[str, Any]) -> bytes:
        """Carries out one writing request together with the others of this turn."""
        answer: asyncio.Future[bytes] = self._loop.create_future()

        def settle(outcome: RequestOutcome) -> None:
            if answer.done():
                return
            if isinstance(outcome, bytes):
                answer.set_result(outcome)
            else:
                answer.set_exception(outcome)

        self._add_write((known, request, settle))
        return await answer

    def submit(self, operation: str, request: Mapping[str, Any], settle: Callable[[RequestOutcome], None]) -> None:
        """As :meth:`call_bytes` without a future: ``settle`` gets the outcome, now or in the loop's next turn."""
        try:
            known = operation_named(operation)
            if known.writes and not (known.reads is not None and known.reads(request)):
                self._add_write((known, request, settle))
                return
            if operation in GROUPED_READS:
                self._add_read((known, request, settle))
                return
            outcome: RequestOutcome = self.engine.read(known, request)
        except Exception as error:
            outcome = error
        settle(outcome)

    def _add_write(self, waiting: PendingRequest) -> None:
        if not self._pending_writes:
            self._loop.call_soon(self._commit_after, TURNS_BEFORE_COMMIT)
        self._pending_writes.append(waiting)

    def _add_read(self, reading: PendingRequest) -> None:
        if not self._pending_reads:
            self._loop.call_soon(self._read)
        self._pending_reads.append(reading)

    def _read(self) -> None:
        group, self._pending_reads = self._pending_reads, []
        outcomes = self.engine.read_group([(operation, request) for operation, request, _ in group])
        for (_, _, settle), outcome in zip(group, outcomes, strict=True):
            settle(outcome)

    def _commit_after(self, turns: int) -> None:
        if turns:
            self._loop.call_soon(self._commit_after, turns - 1)
        else:
            self._commit_when_free(TURNS_UNTIL_FREE_MAX, 0)

    def _commit_when_free(self, turns: int, pending_before: int) -> None:
        if turns and self._pending_writes and not self.engine.begin_if_free():
            if len(self._pending_writes) == pending_before:
                time.sleep(TURN_WAIT_S)  # the loop's own timers are too coarse
            self._loop.call_soon(self._commit_when_free, turns - 1, len(self._pending_writes))
        else:
            self._commit()

    def _commit(self) -> None:
        group = self._pending_writes[:GROUP_REQUESTS_MAX]
        self._pending_writes = self._pending_writes[GROUP_REQUESTS_MAX:]
        if self._pending_writes:
            self._loop.call_soon(self._commit_when_free, TURNS_UNTIL_FREE_MAX, 0)
        if not group:
            return
        outcomes = self.engine.run_group([(operation, request) for operation, request, _ in group])
        for (_, _, settle), outcome in zip(group, outcomes, strict=True):
            settle(outcome)
        self.engine.run_housekeeping_if_due()

    def write_error(self) -> str | None:
        """Why the last write failed; None when it went well. See :meth:`Engine.write_error`."""
        return self.engine.write_error()

    def start_housekeeping(self) -> None:
        """Sweeps expired items every second from now on, not only after writes; called in the engine's event loop."""
        self.engine.run_housekeeping_if_due()
        self._housekeeping_timer = self._loop.call_later(HOUSEKEEPING_EVERY_S, self.start_housekeeping)

    async def close(self) -> None:
        """Reads and commits what waits, then closes the engine."""
        if self._housekeeping_timer is not None:
            self._housekeeping_timer.cancel()
        while self._pending_writes or self._pending_reads:
            self._read()
            self._commit()
        self.engine.close()
