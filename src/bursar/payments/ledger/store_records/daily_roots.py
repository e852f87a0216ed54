"""Daily roots: one hash over all events of a day (UTC) and the root of the day before.

    root of 28 November ─┐
    events of 29 November ├─► SHA-256 ─► root of 29 November ─┐
    (in order of time)   ─┘              events of 30 November ├─► …

A person who alters an event and rewrites the rest of its chain still changes the root of its day. The roots are stored
in the payments table, append-only, and copied to a place outside of it (:mod:`bursar.payments.audit.root_copies`):

    kind         pk            sk
    daily-root   daily-roots   2026-11-29
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Final

from bursar.clock import Clock
from bursar.dynamo.items.attribute_values import Item
from bursar.payments.errors import LedgerBusy
from bursar.payments.event_chain import CHAIN_BEGINS, event_hash, text_of_digest
from bursar.payments.item_layout import TEXT, TIME, WHOLE_NUMBER, Layout
from bursar.payments.records import whole_ms
from bursar.rules import Contention, Put, RuledTable, RuleRefused

PARTITION: Final = "daily-roots"
KIND: Final = "daily-root"
EVENTS_BEFORE_OTHERS_RUN: Final = 200
"""The number of events that are hashed before the event loop runs other work."""

EventItems = Callable[[float, float], AsyncIterator[Item]]
"""Yields the items of the events in since ≤ t < until (Unix seconds), by time, attempt and number."""


@dataclass(frozen=True, slots=True)
class DailyRoot:
    """The root of ``date`` (``2026-11-29``, UTC) over ``events`` events, computed at ``created_at``."""

    date: str
    root: str
    events: int
    created_at: float


_LAYOUT: Final = Layout(
    DailyRoot,
    {
        "date": ("date", TEXT),
        "root": ("root", TEXT),
        "events": ("events", WHOLE_NUMBER),
        "created_at": ("createdAt", TIME),
    },
)


class DailyRoots:
    """All daily roots in one payments table. Many processes may use one table at once."""

    def __init__(self, ruled: RuledTable, event_items: EventItems, *, clock: Clock) -> None:
        self._ruled = ruled
        self._event_items = event_items
        self._clock = clock

    async def stored(self) -> list[DailyRoot]:
        """Return all stored roots, oldest first, by a strongly consistent read."""
        return [_LAYOUT.decode(item) for item in await self._ruled.partition({"S": PARTITION})]

    async def compute(self, day: date, previous: str | None) -> DailyRoot:
        """Return the root of ``day`` from the events in the table. ``previous`` is the root of the day before, if any.

        The root is SHA-256 of a text of lines: the date, the previous root (or :data:`CHAIN_BEGINS`), and the hash of
        each event in order of its time, attempt and number.
        """
        lines = sha256(f"{day.isoformat()}\n{previous or CHAIN_BEGINS}\n".encode())
        events = 0
        begin = start_of(day)
        async for item in self._event_items(begin, start_of(day + timedelta(days=1))):
            lines.update(f"{event_hash(item)}\n".encode())
            events += 1
            if events % EVENTS_BEFORE_OTHERS_RUN == 0:
                await asyncio.sleep(0)
        return DailyRoot(day.isoformat(), text_of_digest(lines.digest()), events, whole_ms(self._clock()))

    async def seal(self, day: date, previous: str | None) -> DailyRoot:
        """Compute and store the root of ``day``, or return the stored one. Raises ``LedgerBusy``."""
        computed = await self.compute(day, previous)
        key: Item = {"pk": {"S": PARTITION}, "sk": {"S": computed.date}}
        try:
            await self._ruled.write([Put({**key, "kind": {"S": KIND}, **_LAYOUT.encode(computed)})])
            return computed
        except (Contention, RuleRefused) as refusal:
            stored = await self._ruled.get(key)
            if stored is not None:
                return _LAYOUT.decode(stored)  # another process has stored it first
            if isinstance(refusal, RuleRefused):
                raise
            raise LedgerBusy(str(refusal)) from refusal


def start_of(day: date) -> float:
    """Return the first instant of ``day`` in UTC, Unix seconds."""
    return datetime.combine(day, time.min, tzinfo=UTC).timestamp()


def day_of(seconds: float) -> date:
    """Return the day in UTC of an instant."""
    return datetime.fromtimestamp(seconds, UTC).date()
