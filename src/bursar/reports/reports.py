"""The main object of the reports room: run SQL over all payments and named reports, write and verify the lake.

    reports = Reports(StreamSource(store, "bursar-payments"), "file:data/lake", system_clock)
    answer = await reports.sql("SELECT fee, sum(amount) FROM payments WHERE status = 'processed' GROUP BY fee")

Every answer covers the lake and every later change, so a payment that was acknowledged before the query is in the
answer. DuckDB and the lake use separate threads and do not block the event loop.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from bursar.clock import Clock
from bursar.reports.current import Current, Look
from bursar.reports.errors import LakeBroken
from bursar.reports.fast_arrow import use_system_memory
from bursar.reports.lake.lake import Lake
from bursar.reports.lake.lake_state import LakeState
from bursar.reports.lake.retention import Retention
from bursar.reports.lake.upkeep import UpkeepFile
from bursar.reports.query_threads import QueryThreads
from bursar.reports.report_questions import KnownNames, no_names, report_question
from bursar.reports.sql.answer import ROWS_MAX, AnswerStream, Question, SqlAnswer
from bursar.reports.sql.lake_lookup import LookupSessions
from bursar.reports.sql.shared_session import Sessions
from bursar.reports.tail.retained_source import RetainedSource
from bursar.reports.tail.sources import ChangeSource
from bursar.reports.verification import Verification, verified

if TYPE_CHECKING:
    import pyarrow as pa


HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Written:
    """The result of :meth:`Reports.write_lake`: rows written to each table, and the lake's watermark (epoch s).

    ``oldest``: when the oldest change that this write moved took place (epoch s); None without one, and for a build.
    """

    rows: dict[str, int]
    watermark: float | None
    oldest: float | None = None


class Reports:
    """SQL over every payment. Make one per process and store; :meth:`close` ends its threads."""

    def __init__(
        self,
        source: ChangeSource,
        lake_url: str,
        clock: Clock,
        *,
        known_names: Callable[[], KnownNames] = no_names,
        answers: bool = True,
        upkeep: UpkeepFile | None = None,
        retention: Retention | None = None,
    ) -> None:
        """Create the object without opening anything. Changes of the store are read from ``source``.

        ``known_names``: fees and clients that a report accepts although no payment has them.
        ``answers``: False for a process that only writes and verifies the lake, and loads no SQL engine.
        ``upkeep``: the file that gets the results of writes and verifications.
        ``retention``: how long the lake keeps rows; 7 years if it is not given.

        Raises ``ValueError`` if ``lake_url`` is not the URL of a lake.
        """
        use_system_memory()
        self.clock = clock
        self._known_names = known_names
        self._lake = Lake.at(lake_url)
        self._retention = retention or Retention()
        self._source = RetainedSource(source, self._retention, clock)
        self._query_threads = QueryThreads()
        self._upkeep = upkeep
        self._lake_thread = ThreadPoolExecutor(1, "bursar-lake")
        self._write_thread = ThreadPoolExecutor(1, "bursar-write")
        self._verify_thread = ThreadPoolExecutor(1, "bursar-verify")
        sessions = Sessions(self._lake) if answers else LookupSessions(self._lake)
        self._current = Current(self._lake, self._source, clock, self._lake_thread, self._write_thread, sessions)

    @property
    def has_runaway(self) -> bool:
        """Whether a statement could not be stopped, so that a thread of this process still runs it."""
        return self._query_threads.has_runaway

    async def sql(
        self,
        text: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        rows_max: int | None = ROWS_MAX,
        cuts: bool = False,
        as_of: float | None = None,
    ) -> SqlAnswer:
        """Return the answer to one SELECT over the tables; ``$name`` is a parameter.

        ``as_of``: an instant of the past, Unix seconds, whose state the answer shows. More rows than ``rows_max`` are
        an error, or cut off if ``cuts``. Raises a :class:`bursar.reports.errors.ReportError`, whose text is meant for
        the author of the statement.
        """
        return (await self.answers([Question(text, parameters or {}, rows_max, cuts, as_of=as_of)]))[0]

    async def answers(self, questions: Sequence[Question]) -> list[SqlAnswer]:
        """Return the answers to several statements on one state of all payments. Raises as :meth:`sql`."""
        for question in questions:
            self._retention.check_instant(question.as_of, self.clock())
        try:
            return await self._ask(questions)
        except LakeBroken:
            # A newer state may have replaced this one and its files may be deleted: read the lake's state again.
            self._current.forget()
        try:
            return await self._ask(questions)
        except LakeBroken:
            # A file is missing or damaged. The store has everything: build the lake again.
            self._current.forget(rebuild=True)
        return await self._ask(questions)

    @asynccontextmanager
    async def stream(self, question: Question) -> AsyncIterator[AnswerStream]:
        """Open the answer to a statement for the length of a ``with``: all its rows, batch by batch.

        The ``rows_max`` of the question is ignored. Opening it and reading a batch raise as :meth:`sql`.
        """
        self._retention.check_instant(question.as_of, self.clock())
        async with AsyncExitStack() as stack:
            yield await self._opened(stack, question)

    async def _opened(self, stack: AsyncExitStack, question: Question) -> AnswerStream:
        for rebuild in (False, True):
            try:
                return await stack.enter_async_context(self._stream(question))
            except LakeBroken:  # as in :meth:`answers`
                self._current.forget(rebuild=rebuild)
        return await stack.enter_async_context(self._stream(question))

    @asynccontextmanager
    async def _stream(self, question: Question) -> AsyncIterator[AnswerStream]:
        look = await self._current.look()
        try:
            session = look.shared.session
            cursor = session.cursor()
            async with self._query_threads.statement(cursor) as steps:
                opened = await steps.run(partial(session.begin, cursor, question, look.tail, look.as_of, steps.expired))

                async def batches() -> "AsyncIterator[pa.RecordBatch]":
                    while (batch := await steps.run(opened.next_batch)) is not None:
                        yield batch

                as_of = look.as_of if question.as_of is None else question.as_of
                yield AnswerStream(opened.columns, opened.types, as_of, batches())
        finally:
            look.shared.leave()

    async def report(
        self,
        name: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        rows_max: int | None = ROWS_MAX,
        cuts: bool = False,
        as_of: float | None = None,
    ) -> SqlAnswer:
        """Return the answer of a named report, of the state at ``as_of`` (Unix seconds), or of the present one.

        Raises :class:`bursar.reports.errors.NoSuchReport`, ``BadParameter`` and the errors of :meth:`sql`.
        """
        question = await report_question(self, name, parameters or {}, known=self._known_names, as_of=as_of)
        return (await self.answers([replace(question, rows_max=rows_max, cuts=cuts)]))[0]

    async def write_lake(self, *, only_if_due: bool = False) -> Written:
        """Move the changes since the lake's position into the lake; ``only_if_due``: only if these are many or old.

        The months that are older than the retention leave the lake.
        The process may be killed at any point; the next call continues (:mod:`bursar.reports.lake.writer`). Raises
        :class:`bursar.reports.errors.LakeBusy` if another process is writing the lake.
        """
        rows = await self._current.write(only_if_due=only_if_due)
        await self._current.expire(self._retention.first_days(self.clock()))
        if self._upkeep is not None and self._current.complete_at is not None:
            self._upkeep.note_complete(self._current.complete_at)
        return Written(rows, await self.lake_watermark(), self._current.oldest_moved)

    async def lake_watermark(self) -> float | None:
        """Return the lake's watermark (epoch s), None if it is empty."""
        watermarks = [table.watermark for table in (await self._current.state()).values()]
        return min((watermark for watermark in watermarks if watermark is not None), default=None)

    async def verify_lake(self, *, repairs: bool = True, recent_s: float | None = None) -> Verification:
        """Compare the lake with the table. Both are read completely. Months that differ are rebuilt, if ``repairs``.

        ``recent_s``: compare first the changes of this many seconds, and the rest only if they differ.
        Answers and writes continue meanwhile. Raises :class:`bursar.reports.errors.LakeBusy` if another process writes
        the lake again and again.
        """
        thread = self._verify_thread  # on the other thread, answers would wait until the lake has been read
        since = None if recent_s is None else (self.clock() - recent_s) // HOUR_S * HOUR_S
        found = await verified(
            self._current, self._source, self._lake, self.clock, thread, self._retention, repairs=repairs, since=since
        )
        if self._upkeep is not None and found.since is None:
            self._upkeep.note_verified(self.clock(), found.differences)
        return found

    async def lake_state(self) -> LakeState:
        """Return the present state of the lake."""
        return await self._current.state()

    async def close(self) -> None:
        """Wait for running work, close the lake and end the threads.

        Do not wait for a statement that cannot be stopped.
        """
        await self._current.close()
        await self._query_threads.close()
        for thread in (self._lake_thread, self._write_thread, self._verify_thread):
            await asyncio.to_thread(thread.shutdown)

    async def _ask(self, questions: Sequence[Question]) -> list[SqlAnswer]:
        look = await self._current.look()
        try:
            return await self._run(look, questions)
        finally:
            look.shared.leave()

    async def _run(self, look: Look, questions: Sequence[Question]) -> list[SqlAnswer]:
        session = look.shared.session
        cursor = session.cursor()
        async with self._query_threads.statement(cursor) as steps:
            return await steps.run(partial(session.ask, cursor, questions, look.tail, look.as_of, steps.expired))
