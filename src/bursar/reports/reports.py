"""The main object of the reports room: run SQL over all payments and named reports, write and verify the lake.

    reports = Reports(store, "file:data/lake", system_clock)
    answer = await reports.sql("SELECT fee, sum(amount) FROM payments WHERE status = 'processed' GROUP BY fee")

Every answer covers the lake up to its watermark and every later change, so a payment that was acknowledged before the
query is in the answer. DuckDB and the lake use separate threads and do not block the event loop.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bursar.clock import Clock
from bursar.reports.errors import BadParameter, LakeBroken, LakeBusy
from bursar.reports.lake.lake import Lake, LakeState
from bursar.reports.lake.lake_loader import LakeLoader
from bursar.reports.lake.schema import TABLES
from bursar.reports.lake.tail import SAFETY_MARGIN_S, ChangesSource, Tail, TailTooLong
from bursar.reports.lake.verify import Verification, compare, pin, tally_table
from bursar.reports.lake.writer import writing
from bursar.reports.named_reports import named_report
from bursar.reports.paygov_activity_file import ACTIVITY_TABLE, read_activity_file
from bursar.reports.sql.current_session import CurrentSession
from bursar.reports.sql.session import Session, SqlAnswer

if TYPE_CHECKING:
    import pyarrow as pa

    from bursar.dynamo import Store

    Tables = Mapping[str, pa.Table]

QUERY_TIMEOUT_S: Final = 30.0
QUERY_THREADS: Final = 2
TAIL_AGE_MAX_S: Final = 6 * 3600.0  # a longer tail is moved to the lake first
TAIL_ROWS_MAX: Final = 200_000  # a tail with more rows is moved to the lake first
_ORIGIN_SLACK_S: Final = 3600.0  # clocks of the store and its writers differ by less

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Written:
    """The result of :meth:`Reports.write_lake`: rows written to each table, and the new watermark (epoch s)."""

    rows: dict[str, int]
    watermark: float


@dataclass(frozen=True, slots=True)
class _Question:
    """A statement, the values of its parameters, and tables that only this statement may read."""

    text: str
    parameters: Mapping[str, Any]
    extra_tables: "Tables"


class Reports:
    """SQL over every payment. Make one per process and store; :meth:`close` ends its threads."""

    def __init__(
        self,
        store: "Store",
        lake_url: str,
        clock: Clock,
        *,
        table: str = "bursar-payments",
        source: ChangesSource | None = None,
    ) -> None:
        """Open nothing yet. Changes are read from ``source``, by default the ledger over ``store``.

        Raises ``ValueError`` if ``lake_url`` is not the URL of a lake.
        """
        self._store = store
        self._table = table
        self._clock = clock
        self._lake = Lake.at(lake_url)
        self._source = source if source is not None else _ledger(store, clock, table)
        self._tail = Tail(self._source, self._origin, clock)
        self._origin_at: float | None = None
        self._query_threads = ThreadPoolExecutor(QUERY_THREADS, "bursar-sql")
        self._lake_thread = ThreadPoolExecutor(1, "bursar-lake")
        self._session = CurrentSession(self._lake, clock, self._lake_thread)
        self._writing = asyncio.Lock()

    async def sql(self, text: str, parameters: Mapping[str, Any] | None = None) -> SqlAnswer:
        """Return the answer to one SELECT over ``payments`` and ``payment_events``; ``$name`` is a parameter.

        Raises a :class:`bursar.reports.errors.ReportError`, whose text is meant for the author of the statement.
        """
        return await self._answer(text, parameters or {}, {})

    async def report(
        self, name: str, parameters: Mapping[str, Any] | None = None, *, activity_file: bytes | None = None
    ) -> SqlAnswer:
        """Return the answer of a named report. ``activity_file`` is a Pay.gov activity file, for reports that need one.

        Raises :class:`bursar.reports.errors.NoSuchReport`, ``BadParameter`` and the errors of :meth:`sql`.
        """
        found = named_report(name)
        bound = found.bind(parameters or {}, self._clock())
        if found.needs_activity_file != (activity_file is not None):
            rule = "needs a" if found.needs_activity_file else "takes no"
            raise BadParameter(f"report {name} {rule} Pay.gov activity file")
        extra_tables: Tables = {}
        if activity_file is not None:
            extra_tables = {ACTIVITY_TABLE: await asyncio.to_thread(read_activity_file, activity_file)}
        return await self._answer(found.sql, bound, extra_tables)

    async def write_lake(self) -> Written:
        """Move every change older than the safety margin into the lake.

        The process may be killed at any point; the next call continues (:mod:`bursar.reports.lake.writer`). Raises
        :class:`bursar.reports.errors.LakeBusy` if another process is writing the lake.
        """
        async with self._writing:
            until = self._clock() - SAFETY_MARGIN_S
            with ExitStack() as stack:
                writer = await self._in_lake(lambda: stack.enter_context(writing(self._lake)))
                starts = {schema.name: await self._tail.start(writer.watermark(schema)) for schema in TABLES}
                loader = LakeLoader(self._source, writer, self._lake_thread, starts)
                await loader.run(until)
                await self._in_lake(writer.tidy)
            self._session.recheck_lake()
            return Written(loader.loaded, until)

    async def verify_lake(self) -> Verification:
        """Compare the lake with the table at the lake's watermark. Both are read completely."""
        pinned = await self._in_lake(lambda: pin(self._lake))
        sides = await tally_table(self._store, self._table, pinned.watermarks)
        return await self._in_lake(lambda: compare(self._lake, pinned, sides))

    async def lake_state(self) -> LakeState:
        """Return the present state of the lake."""
        return await self._in_lake(self._lake.state)

    async def close(self) -> None:
        """Wait for running work, close the lake and end the threads."""
        async with self._writing:
            self._session.close()
            await asyncio.to_thread(self._query_threads.shutdown)
            await asyncio.to_thread(self._lake_thread.shutdown)

    async def _answer(self, text: str, parameters: Mapping[str, Any], extra_tables: "Tables") -> SqlAnswer:
        question = _Question(text, parameters, extra_tables)
        try:
            return await self._ask(question, TAIL_AGE_MAX_S, TAIL_ROWS_MAX)
        except TailTooLong:
            await self._write_if_free()
        except LakeBroken:
            # A newer state may have replaced this one and its files may be deleted: read the lake's state again.
            self._session.recheck_lake()
        return await self._ask(question, None, None)

    async def _ask(self, question: "_Question", tail_age_max_s: float | None, tail_rows_max: int | None) -> SqlAnswer:
        as_of = self._clock()
        async with self._session.opened() as session:
            watermarks = {name: table.watermark for name, table in session.state.items()}
            if tail_age_max_s is not None:
                oldest = min([await self._tail.start(watermark) for watermark in watermarks.values()])
                if as_of - oldest > tail_age_max_s:
                    raise TailTooLong
            tail = await self._tail.read(watermarks, tail_rows_max)
            return await self._run(session, question, tail, as_of)

    async def _run(self, session: Session, question: "_Question", tail: "Tables", as_of: float) -> SqlAnswer:
        loop = asyncio.get_running_loop()
        cursor = session.cursor()
        expired = asyncio.Event()

        def expire() -> None:
            expired.set()
            cursor.interrupt()

        timer = loop.call_later(QUERY_TIMEOUT_S, expire)
        work = partial(
            session.ask, cursor, question.text, question.parameters, tail, as_of, expired.is_set, question.extra_tables
        )
        running = loop.run_in_executor(self._query_threads, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            cursor.interrupt()
            await asyncio.wait([running])  # the thread uses the cursor until then
            raise
        finally:
            timer.cancel()
            cursor.close()

    async def _write_if_free(self) -> None:
        try:
            await self.write_lake()
        except LakeBusy:
            return  # another process is writing; the query continues with its long tail

    async def _origin(self) -> float:
        """Return a time before the first change: the creation of the table, as DescribeTable reports it."""
        if self._origin_at is None:
            described = await self._store.call("DescribeTable", {"TableName": self._table})
            created = described["Table"]["CreationDateTime"]
            seconds = created.timestamp() if isinstance(created, datetime) else float(created)
            self._origin_at = seconds - _ORIGIN_SLACK_S
        return self._origin_at

    async def _in_lake(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._lake_thread, work)


def _ledger(store: "Store", clock: Clock, table: str) -> ChangesSource:
    import random

    from bursar.payments.ledger.ledger import Ledger

    return Ledger(store, clock=clock, randomness=random.SystemRandom(), table=table)
