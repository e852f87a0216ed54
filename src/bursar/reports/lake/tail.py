"""The tail: every change since the lake's watermark, read from the store anew for each query, as Arrow tables.

A change is stamped by its writer before it is committed, so a change may become visible behind one that is already
read, by as much as a write may take and clocks may differ. :data:`SAFETY_MARGIN_S` bounds both: whatever is older than
now − margin is complete. So

    ────────┬────────────────────────────┬──────────────────┬──────►
        watermark                  read up to − margin     now
            │  kept from earlier queries │  read every time │

the lake never moves its watermark into the margin, and what lies before the margin is read once and kept.

The reading has no upper end: an attempt that changes while it is read moves forward in the index, so a reader that
goes on to the end meets it; one that stopped at "now" could pass its old place and never reach its new one.
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
READ_AHEAD_S: Final = 3600.0  # "no upper end" in the index's terms: also the bucket of the hour to come


class ChangesSource(Protocol):
    """Where changes come from: the ledger. Attempts and events that changed in ``since`` ≤ t < ``until``, oldest first,
    over at most ``CHANGES_SPAN_MAX_S``."""

    def changes(self, since: float, until: float) -> AsyncIterator[Attempt | Event]: ...


class TailTooLong(Exception):
    """The tail has more rows than its reader wanted to hold; they belong in the lake first."""


async def changes_between(source: ChangesSource, since: float, until: float) -> AsyncIterator[Attempt | Event]:
    """The source's changes in ``since`` ≤ t < ``until``, oldest first, over any span."""
    while since < until:
        step = min(since + CHANGES_SPAN_MAX_S, until)
        async for record in source.changes(since, step):
            yield record
        since = step


Watermarks = Mapping[str, float | None]
"""Table name → the time from which the tail must hold every change; None: from the first change that there is."""


@dataclass(slots=True)
class _Kept:
    """One table's tail: its rows by key, complete from ``start`` on, and their Arrow form while they stay the same."""

    start: float
    rows: dict[RowKey, TableRow] = field(default_factory=dict)
    arrow: "pa.Table | None" = None


class Tail:
    """The changes since the watermarks, current at each :meth:`read`."""

    def __init__(self, source: ChangesSource, origin: Callable[[], Awaitable[float]], clock: Clock) -> None:
        """``origin`` gives a time before the first change that the store can have."""
        self._source = source
        self._origin = origin
        self._clock = clock
        self._lock = asyncio.Lock()
        self._kept: dict[str, _Kept] = {}
        self._complete_to = 0.0  # what changed before is in the kept rows

    async def read(self, watermarks: Watermarks, rows_max: int | None = None) -> "dict[str, pa.Table]":
        """Every row changed since its table's watermark, up to now: table name → Arrow table.

        Raises :class:`TailTooLong` as soon as there are more than ``rows_max``.
        """
        async with self._lock:
            starts = {name: await self.start(watermark) for name, watermark in watermarks.items()}
            await self._catch_up(starts, rows_max)
            return {schema.name: self._since(schema, starts[schema.name]) for schema in TABLES}

    async def start(self, watermark: float | None) -> float:
        """Where reading begins for a watermark."""
        return await self._origin() if watermark is None else watermark

    async def _catch_up(self, starts: Mapping[str, float], rows_max: int | None) -> None:
        now = self._clock()
        if any(name not in self._kept or start < self._kept[name].start for name, start in starts.items()):
            # The first read, or a lake that was deleted and written anew: what is kept does not reach back so far.
            self._kept = {name: _Kept(start) for name, start in starts.items()}
            self._complete_to = min(starts.values())
        since = max(self._complete_to, min(starts.values()))
        async for record in changes_between(self._source, since, now + READ_AHEAD_S):
            schema, key, row = record_row(record)
            self._keep(schema, key, row)
            if rows_max is not None and sum(len(kept.rows) for kept in self._kept.values()) > rows_max:
                self._kept = {}  # frees the memory; whatever is read next begins anew
                raise TailTooLong
        self._complete_to = max(self._complete_to, now - SAFETY_MARGIN_S)

    def _keep(self, schema: TableSchema, key: RowKey, row: TableRow) -> None:
        kept = self._kept[schema.name]
        changed = schema.position(schema.change_time)
        known = kept.rows.get(key)
        # On Amazon an index may answer with an older state than it did before: the newer one stays.
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
