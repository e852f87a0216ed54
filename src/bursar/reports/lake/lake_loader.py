"""Load changes from the store into the lake, oldest first, in batches of bounded size.

After each batch the tables' watermarks are at the first change that is not in it. The next batch, or the next process,
begins there.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Final, TypeVar

from bursar.reports.lake.rows import RowKey, TableRow, changed_at, record_row
from bursar.reports.lake.schema import TABLES
from bursar.reports.lake.tail import ChangesSource, changes_between
from bursar.reports.lake.writer import LakeWriter

BATCH_ROWS_MAX: Final = 50_000
IDLE_ADVANCE_S: Final = 3600.0  # the watermark of an idle table moves this rarely: each move is a commit

T = TypeVar("T")


class LakeLoader:
    """One load, from the watermarks of the tables to ``until``. ``loaded``: table name → rows written."""

    def __init__(
        self, source: ChangesSource, writer: LakeWriter, thread: Executor, starts: Mapping[str, float]
    ) -> None:
        """Load nothing yet. ``starts``: table → time of the first change to load. ``thread`` runs blocking work."""
        self._source = source
        self._writer = writer
        self._thread = thread
        self._starts = starts
        self._batch: dict[str, dict[RowKey, TableRow]] = {name: {} for name in starts}
        self.loaded = dict.fromkeys(starts, 0)

    async def run(self, until: float) -> None:
        """Move every change before ``until``. Raises :class:`bursar.reports.errors.LakeBusy`."""
        async for record in changes_between(self._source, min(self._starts.values()), until):
            changed = changed_at(record)
            schema, key, row = record_row(record)
            if changed < self._starts[schema.name]:
                continue
            if sum(map(len, self._batch.values())) >= BATCH_ROWS_MAX:
                # The batch has every change before this millisecond, but may lack changes of this millisecond.
                await self._write_batch(changed)
            self._batch[schema.name][key] = row
        await self._write_batch(until, last=True)

    async def _write_batch(self, watermark: float, *, last: bool = False) -> None:
        for schema in TABLES:
            rows = list(self._batch[schema.name].values())
            known = self._writer.watermark(schema)
            overdue = known is None or watermark - known >= IDLE_ADVANCE_S
            if rows or (last and overdue):
                await self._blocking(self._writer.write, schema, rows, watermark)
            self.loaded[schema.name] += len(rows)
            self._batch[schema.name].clear()

    async def _blocking(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
