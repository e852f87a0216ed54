"""Deliver the records of a source to a target, in order and at least once.

    source ──► page of records ──► target ──► accepted: the source moves on │ rejected: the same records again

A page is sent until all of it is accepted. So each record arrives at least once, and none is skipped.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

FIRST_PAUSE_S, PAUSE_S_MAX = 1.0, 60.0
POLL_S = 0.5

Delivered = TypeVar("Delivered")
"""A record, in the form that the target needs."""


class Rejected(Exception):
    """The target did not accept records; ``accepted`` is the number of records at the beginning that it accepted."""

    def __init__(self, reason: str, accepted: int = 0) -> None:
        super().__init__(reason)
        self.accepted = accepted


SendBatch = Callable[[Sequence[Delivered]], Awaitable[None]]
"""Sends records. Raises :class:`Rejected`."""
DeliveryPause = Callable[[float], Awaitable[None]]
"""Waits for a number of seconds."""
DeliveryReport = Callable[[str], None]
"""Shows an operator one line."""


class RecordSource(Protocol[Delivered]):
    """The source of records, which also stores which of them were accepted."""

    async def page(self) -> Sequence[Delivered] | None:
        """Return the next records: an empty sequence if there are none now, None if there will never be any."""

    async def keep_accepted(self, record: Delivered) -> None:
        """Store durably that the records up to this one were accepted."""


class Delivery(Generic[Delivered]):
    """The delivery of one source to one target."""

    def __init__(
        self,
        source: RecordSource[Delivered],
        send: SendBatch[Delivered],
        *,
        sleep: DeliveryPause,
        report: DeliveryReport,
    ) -> None:
        """Set up a delivery; ``report`` gets a line for each attempt that the target did not accept."""
        self._source = source
        self._send = send
        self._sleep = sleep
        self._report = report

    async def run(self, *, once: bool) -> int:
        """Deliver until the source ends or, with ``once``, until no record is left. Return the number of records.

        Raises what the source raises.
        """
        delivered = 0
        while True:
            records = await self._source.page()
            if records is None:
                return delivered
            async for done in self._accepted(records):
                await self._source.keep_accepted(records[done - 1])
            delivered += len(records)
            if not records and once:
                return delivered
            if not records:
                await self._sleep(POLL_S)

    async def _accepted(self, records: Sequence[Delivered]) -> AsyncIterator[int]:
        """Send records until all are accepted. Yield the number accepted so far, each time that it grows."""
        done, pause_s = 0, FIRST_PAUSE_S
        while done < len(records):
            try:
                await self._send(records[done:])
                done = len(records)
                yield done
            except Rejected as error:
                self._report(f"not accepted, again in {pause_s:.0f} s: {error}")
                if error.accepted:
                    done += error.accepted
                    yield done
                await self._sleep(pause_s)
                pause_s = min(2 * pause_s, PAUSE_S_MAX)
