"""The engine for asyncio: concurrent writes share one commit.

    event loop iteration                  │ two iterations later
    put A ─┐                              │
    put B ─┼─ pending ── call_soon ───────┼─► BEGIN · A · B · C · D · COMMIT (one fsync) ─► A, B, C, D answered
    upd C ─┘      put D, in between ──────┤

A read sees only committed writes, and every acknowledged one. While another process writes, the loop continues, and new
writes join the group. Reads that a server submits in one iteration run together in the next, under one SQLite read
lock: taking and releasing it costs as much as reading an item. There are no threads and no clock, so a loop with
virtual time can run this code.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import orjson

from bursar.dynamo.engine.compare_and_swap import EngineCompareAndSwap
from bursar.dynamo.engine.engine import HOUSEKEEPING_EVERY_S, Engine, RequestOutcome, operation_named
from bursar.dynamo.operations.dispatch import Operation

GROUP_REQUESTS_MAX = 1_000
"""The most writes of one commit; further ones wait for the next."""

TURNS_BEFORE_COMMIT = 2
"""Iterations of the event loop before a commit. Each iteration reads input, and the resulting writes share the commit.
An idle loop iterates in microseconds. With two iterations, eight callers of a portal make a third more payments."""

TURNS_UNTIL_FREE_MAX = 50
"""Iterations of the event loop while another process writes, before it blocks until that process has ended. Without
blocking, other processes could always take the write lock first."""
TURN_WAIT_S = 0.0001
"""The sleep in such an iteration if the previous one brought no write."""

GROUPED_READS = frozenset({"GetItem", "Query"})
"""The operations that are short reads. Those that are submitted together share one SQLite read lock."""

_EMPTY = b"{}"

PendingRequest = tuple[Operation, Mapping[str, Any], Callable[[RequestOutcome], None]]


class AsyncEngine:
    """An engine whose writes of one event loop iteration become durable together. Used from one event loop."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._pending_writes: list[PendingRequest] = []
        self._pending_reads: list[PendingRequest] = []
        self._housekeeping_timer: asyncio.TimerHandle | None = None

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of this engine, looked up once: each lookup is a system call before Python 3.12."""
        return asyncio.get_running_loop()

    @cached_property
    def compare_and_swap(self) -> EngineCompareAndSwap:
        """The port for swaps of whole items."""
        return EngineCompareAndSwap(self.engine, self.write)

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request. Raises ``DynamoError``. Cancelling the caller does not cancel a write."""
        body = await self.call_bytes(operation, request)
        response: dict[str, Any] = {} if body == _EMPTY else orjson.loads(body)
        return response

    async def call_bytes(self, operation: str, request: Mapping[str, Any]) -> bytes:
        """Carry out one request and return the serialised response. Raises ``DynamoError``."""
        known = operation_named(operation)
        if not known.writes or (known.reads is not None and known.reads(request)):
            return self.engine.read(known, request)
        return await self.write(known, request)

    def write(self, known: Operation, request: Mapping[str, Any]) -> "asyncio.Future[bytes]":
        """Carry out one writing request together with the others of this iteration."""
        answer: asyncio.Future[bytes] = self._loop.create_future()

        def settle(outcome: RequestOutcome) -> None:
            if answer.done():
                return
            if isinstance(outcome, bytes):
                answer.set_result(outcome)
            else:
                answer.set_exception(outcome)

        self._add_write((known, request, settle))
        return answer

    def submit(self, operation: str, request: Mapping[str, Any], settle: Callable[[RequestOutcome], None]) -> None:
        """Carry out one request without a future: ``settle`` gets the outcome, now or later in the event loop."""
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
        if turns > 1:
            self._loop.call_soon(self._commit_after, turns - 1)
        else:
            self._loop.call_soon(self._commit_when_free, TURNS_UNTIL_FREE_MAX, 0)

    def _commit_when_free(self, turns: int, pending_before: int) -> None:
        if turns and self._pending_writes and not self.engine.begin_if_free():
            if len(self._pending_writes) == pending_before:
                time.sleep(TURN_WAIT_S)  # the loop's timers are too coarse
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
        """Return why the last write failed, or None. See :meth:`Engine.write_error`."""
        return self.engine.write_error()

    def start_housekeeping(self) -> None:
        """Start to run the housekeeping every second. Call it in the engine's event loop."""
        self.engine.run_housekeeping_if_due()
        self._housekeeping_timer = self._loop.call_later(HOUSEKEEPING_EVERY_S, self.start_housekeeping)

    async def close(self) -> None:
        """Carry out the pending reads and writes, then close the engine."""
        if self._housekeeping_timer is not None:
            self._housekeeping_timer.cancel()
        while self._pending_writes or self._pending_reads:
            self._read()
            self._commit()
        self.engine.close()
