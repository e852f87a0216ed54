"""The tail: every change since the lake's watermark, read from the store for each query, as Arrow tables.

A writer stamps a change before it commits it. So a change may become visible after a later change was already read, by
the duration of a write plus the difference of clocks. :data:`SAFETY_MARGIN_S` is larger than both together, so the
changes before now − margin are complete.

    ────────┬────────────────────────────┬──────────────────┬──────►
        watermark                  read up to − margin     now
            │  kept from earlier queries │  read every time │

The lake never moves its watermark into the margin. Changes before the margin are read once and kept.

Reading has no upper end. An attempt that changes during the read moves forward in the index, and a reader that goes on
to the end reads it there. A reader that stopped at "now" could miss it at both places.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from bursar.clock import Clock
from bursar.payments.ledger.lookups import CHANGES_SPAN_MAX_S
from bursar.payments.records import Attempt, Event
from bursar.reports.lake.rows import RowKey, TableRow, arrow_table, micros, record_row
from bursar.reports.lake.schema import TABLES, TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

SAFETY_MARGIN_S: Final = 300.0
READ_AHEAD_S: Final = 3600.0  # "no upper end": the index has a bucket per hour, so the next bucket is read too


class ChangesSource(Protocol):
    """The source of changes: the ledger."""

    def changes(self, since: float, until: float) -> AsyncIterator[Attempt | Event]:
        """Yield attempts and events that changed in ``since`` ≤ t < ``until``, oldest first.

        The span is at most ``CHANGES_SPAN_MAX_S``.
        """
        ...


class TailTooLong(Exception):
    """The tail has more rows than its reader allows. The lake must be written first."""


async def changes_between(source: ChangesSource, since: float, until: float) -> AsyncIterator[Attempt | Event]:
    """Yield the source's changes in ``since`` ≤ t < ``until``, oldest first, over a span of any length."""
    while since < until:
        step = min(since + CHANGES_SPAN_MAX_S, until)
        async for record in source.changes(since, step):
            yield record
        since = step


Watermarks = Mapping[str, float | None]
"""Table name → the time from which the tail must hold every change. None: from the first change."""


@dataclass(slots=True)
class _Kept:
    """The tail of one table: its rows by key, complete from ``start`` on, and their Arrow form until they change."""

    start: float
    rows: dict[RowKey, TableRow] = field(default_factory=dict)
    arrow: "pa.Table | None" = None


class Tail:
    """The changes since the watermarks, current at each :meth:`read`."""

    def __init__(self, source: ChangesSource, origin: Callable[[], Awaitable[float]], clock: Clock) -> None:
        """Read nothing yet. ``origin`` returns a time before the first change of the store."""
        self._source = source
        self._origin = origin
        self._clock = clock
        self._lock = asyncio.Lock()
        self._kept: dict[str, _Kept] = {}
        self._complete_to = 0.0  # the kept rows have every change before this time

    async def read(self, watermarks: Watermarks, rows_max: int | None = None) -> "dict[str, pa.Table]":
        """Return every row that changed since its table's watermark, up to now: table name → Arrow table.

        Raises :class:`TailTooLong` if there are more than ``rows_max``.
        """
        async with self._lock:
            starts = {name: await self.start(watermark) for name, watermark in watermarks.items()}
            await self._catch_up(starts, rows_max)
            return {schema.name: self._since(schema, starts[schema.name]) for schema in TABLES}

    async def start(self, watermark: float | None) -> float:
        """Return the time at which reading begins for a watermark."""
        return await self._origin() if watermark is None else watermark

    async def _catch_up(self, starts: Mapping[str, float], rows_max: int | None) -> None:
        now = self._clock()
        if any(name not in self._kept or start < self._kept[name].start for name, start in starts.items()):
            # The first read, or a lake that was deleted and written again: the kept rows begin too late.
            self._kept = {name: _Kept(start) for name, start in starts.items()}
            self._complete_to = min(starts.values())
        since = max(self._complete_to, min(starts.values()))
        async for record in changes_between(self._source, since, now + READ_AHEAD_S):
            schema, key, row = record_row(record)
            self._keep(schema, key, row)
            if rows_max is not None and sum(len(kept.rows) for kept in self._kept.values()) > rows_max:
                self._kept = {}  # frees the memory; the next read begins again
                raise TailTooLong
        self._complete_to = max(self._complete_to, now - SAFETY_MARGIN_S)

    def _keep(self, schema: TableSchema, key: RowKey, row: TableRow) -> None:
        kept = self._kept[schema.name]
        changed = schema.position(schema.change_time)
        known = kept.rows.get(key)
        # An index of Amazon's may return an older state than in the read before. Keep the newer state.
        if known is None or (known != row and known[changed] <= row[changed]):
            kept.rows[key] = row
            kept.arrow = None

    def _since(self, schema: TableSchema, start: float) -> "pa.Table":
        kept = self._kept[schema.name]
        if start > kept.start:
            changed, oldest = schema.position(schema.change_time), micros(start)
            kept.rows = {key: row for key, row in kept.rows.items() if row[changed] >= oldest}
            kept.start, kept.arrow = start, None
        if kept.arrow is None:
            kept.arrow = arrow_table(schema, kept.rows.values())
        return kept.arrow
