"""Deliver the changes of every table with a Kinesis destination, in the event loop of a server.

    ENABLING ──► is the data stream usable? ──► ACTIVE ──► page of its capture ──► PutRecords ──► removed from the store
                            └──► ENABLE_FAILED

A capture that was closed (by Disable, or with its table) is delivered to its end. Captures of one table's name for one
data stream follow one another. Only one process delivers a file's changes: it locks a file beside the store.
"""

import asyncio
import fcntl
import logging
import os
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from bursar.clock import Clock
from bursar.dynamo.engine.captured_changes import CapturedChanges
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.operations.control_plane.kinesis import ENABLING
from bursar.dynamo.storage.change_streams import Stream
from bursar.dynamo.tools.delivering.delivery import (
    FIRST_PAUSE_S,
    PAUSE_S_MAX,
    POLL_S,
    Delivery,
    DeliveryPause,
    DeliveryReport,
    Rejected,
)
from bursar.dynamo.tools.delivering.kinesis_records import KinesisRecord, kinesis_record
from bursar.dynamo.tools.delivering.kinesis_target import RECORDS_MAX, KinesisTarget
from bursar.private_files import FILE_MODE

ENABLING_S_MAX = 60.0
"""How long the check that a data stream exists is repeated while its server does not answer."""
LOCK_SUFFIX = "-kinesis"

NOT_USABLE = "User does not have a permission to use kinesis stream"
OTHER_REGION = (
    "The kinesis Arn used to enable kinesis replication belongs to a stream which is not in the current region"
)
"""Amazon's descriptions of a destination that cannot be enabled; a stream that does not exist has the first one."""

_log = logging.getLogger(__name__)


class KinesisDestinations:
    """The deliveries of one store."""

    def __init__(
        self,
        changes: CapturedChanges,
        target: KinesisTarget,
        *,
        clock: Clock,
        sleep: DeliveryPause = asyncio.sleep,
        report: DeliveryReport = _log.warning,
        lock: str | None = None,
    ) -> None:
        """Set up the deliveries; ``lock`` is the path of the file that the delivering process locks, if others may."""
        self._changes = changes
        self._target = target
        self._clock = clock
        self._sleep = sleep
        self._report = report
        self._lock = lock
        self._deliveries: dict[int, asyncio.Task[None]] = {}
        self._turns: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        """(table name, data stream) → the lock that the delivery of one of its captures holds."""

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            descriptor = await self._locked()
        except OSError as error:
            self._report(f"nothing is delivered to Kinesis: {self._lock} cannot be locked: {error.strerror}")
            return
        try:
            while True:
                try:
                    self._follow(self._changes.all())
                except DynamoError as error:
                    self._report(f"the destinations of Kinesis cannot be read: {error}")
                    await self._sleep(PAUSE_S_MAX)
                await self._sleep(POLL_S)
        finally:
            for delivery in self._deliveries.values():
                delivery.cancel()
            await asyncio.gather(*self._deliveries.values(), return_exceptions=True)
            if descriptor is not None:
                os.close(descriptor)

    def _follow(self, captures: Sequence[Stream]) -> None:
        """Begin the deliveries of new captures, and end those of removed captures."""
        names = {capture.id: capture.arn for capture in captures}
        for gone in self._deliveries.keys() - names.keys():
            self._deliveries.pop(gone).cancel()
        for capture_id, name in names.items():
            if capture_id not in self._deliveries:
                self._deliveries[capture_id] = asyncio.create_task(self._deliver(capture_id, name))

    async def _locked(self) -> int | None:
        """Wait until no other process delivers; return the descriptor that holds the lock, None without a file."""
        if self._lock is None:
            return None
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    await self._sleep(POLL_S)
                else:
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise

    async def _deliver(self, capture_id: int, name: str) -> None:
        """Deliver one capture to its end, and start again after any error."""
        while True:
            try:
                await self._deliver_once(capture_id)
                return
            except DynamoError as error:
                self._report(f"{name}: {error}")
            except Exception:  # a bug must not end the deliveries of other tables
                _log.exception("the delivery of %s failed", name)
            await self._sleep(PAUSE_S_MAX)

    async def _deliver_once(self, capture_id: int) -> None:
        capture = self._changes.find(capture_id)
        if capture is None or capture.destination is None:
            return
        arn, status = capture.destination["StreamArn"], capture.destination["Status"]
        if status == ENABLING:
            problem = await self._problem(capture, arn)
            if problem is None:
                await self._changes.enabled(capture_id)
            else:
                await self._changes.failed(capture_id, problem)
        async with self._turns[capture.document["TableName"], arn]:
            source = CaptureSource(self._changes, capture_id, self._report)
            await Delivery(source, partial(self._send, arn), sleep=self._sleep, report=self._report).run(once=False)

    async def _problem(self, capture: Stream, arn: str) -> str | None:
        parts = arn.split(":")
        if len(parts) == 6 and parts[2] == "kinesis" and parts[3] != capture.region:
            return OTHER_REGION
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return None if await self._target.is_usable(arn) else NOT_USABLE
            except Rejected as error:
                if self._clock() > capture.document["CreatedAt"] + ENABLING_S_MAX:
                    return NOT_USABLE
                self._report(f"{capture.arn}: {error}")
            await self._sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)

    async def _send(self, arn: str, records: Sequence[KinesisRecord]) -> None:
        await self._target.put(arn, records, lambda record: self._report(f"{arn}: skipped {_size(record)}"))


class CaptureSource:
    """The records of one capture; it ends when the capture is closed and empty."""

    def __init__(self, changes: CapturedChanges, capture_id: int, report: DeliveryReport) -> None:
        self._changes = changes
        self._capture_id = capture_id
        self._report = report
        self._next: int | None = None
        """The number of the record after the last accepted one; None before the first."""

    async def page(self) -> list[KinesisRecord] | None:
        """Return the next records; None at the end of the capture."""
        found = self._changes.page(self._capture_id, RECORDS_MAX)
        if found is None:
            return None
        capture, records = found
        if not records:
            return None if capture.disabled_at is not None else []
        if self._next is not None and records[0].sequence > self._next:
            self._report(f"{capture.arn}: {records[0].sequence - self._next} changes are older than 24 hours, and lost")
        return [kinesis_record(capture, record) for record in records]

    async def keep_accepted(self, record: KinesisRecord) -> None:
        """Remove the records up to one from the store."""
        await self._changes.remove_up_to(self._capture_id, record.sequence)
        self._next = record.sequence + 1


def _size(record: KinesisRecord) -> str:
    return f"change {record.sequence}, whose record would have {record.size:,} bytes"
