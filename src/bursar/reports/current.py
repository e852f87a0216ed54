"""The present state of all payments: the lake's last state, a session over it, and the tail, kept together.

Session and tail are read and changed under one lock, so they always belong to the same state of the lake:

    look    follow the changes of the store to their end ─► (session, tail tables) for the answers
    write   follow ─► without the lock: commit the tail, merge and vacuum, make the twin ─► a session over the new state

A look may serve every request that arrived before it began, so requests that arrive together share one look. A write
takes seconds, and looks go on meanwhile: they have the old session, and the tail keeps its rows until the write's end.
If the source does not follow the order of commits, a look could add rows before the position that is being written, so
such a write has the lock.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from bursar.clock import Clock
from bursar.reports.errors import LakeBroken, LakeBusy
from bursar.reports.lake.lake import Lake
from bursar.reports.lake.lake_state import (
    LakeState,
    earliest_of,
    is_empty,
    no_state,
    positions_of,
    snapshots_of,
)
from bursar.reports.lake.position import Position
from bursar.reports.lake.retention import FirstDays, has_older_months
from bursar.reports.lake.rows import TableRow, arrow_table
from bursar.reports.lake.schema import PAYMENTS, TABLES
from bursar.reports.lake.twin import refresh_twin
from bursar.reports.lake.writer import Batch, LakeWriter, writing
from bursar.reports.sql.shared_session import Sessions, SharedSession
from bursar.reports.tail.found_rows import FoundRows
from bursar.reports.tail.lake_build import build
from bursar.reports.tail.sources import FOUND_ORDER, SAFETY_MARGIN_S, ChangeSource, RowChange, SourceLost
from bursar.reports.tail.tail import Tail, TailTables

LAKE_RECHECK_S: Final = 30.0
"""The lake is read again after this time. An older state of it gives the same answers, with a longer tail."""
TAIL_ROWS_MAX: Final = 50_000
"""A longer tail is moved to the lake first."""
TAIL_ROWS_LIMIT: Final = 400_000
"""The longest tail while the lake cannot be written."""
OTHER_WRITER_WAIT_S: Final = 30.0
OTHER_WRITER_POLL_S: Final = 0.25
COMMIT_ROWS_MIN: Final = 5_000
COMMIT_AGE_MAX_S: Final = 3600.0
"""A commit is due at this many rows or this age: each commit is a file that must be merged later."""

T = TypeVar("T")
_log = logging.getLogger(__name__)


class _TailReplaced(Exception):
    """The lake is ahead of the tail, so the tail must begin again at the lake's position."""


@dataclass(frozen=True, slots=True)
class Look:
    """One state of everything: a session over the lake, the tail, and the time as of which they are current."""

    number: int
    shared: SharedSession
    tail: TailTables
    as_of: float


@dataclass(frozen=True, slots=True)
class _Commit:
    """The final rows before a position, which ``work`` writes to the lake; it returns the lake's new state.

    ``moved``: the rows of each table.
    """

    position: Position
    moved: dict[str, int]
    work: Callable[[], LakeState]


class Current:
    """The state of one process. ``thread`` reads the lake, and ``write_thread`` writes it."""

    def __init__(
        self,
        lake: Lake,
        source: ChangeSource,
        clock: Clock,
        thread: Executor,
        write_thread: Executor,
        sessions: Sessions | None = None,
    ) -> None:
        """Create the state without opening anything.

        ``sessions`` opens a session for each state of the lake (default: DuckDB).
        """
        self._lake = lake
        self._source = source
        self._clock = clock
        self._thread = thread
        self._write_thread = write_thread
        self._sessions = sessions or Sessions(lake)
        self._lock = asyncio.Lock()
        self._write_lock = asyncio.Lock()  # entered before the other one
        self._writes_beside_looks = False
        self._state: LakeState = no_state()
        self._shared: SharedSession | None = None
        self._tail: Tail | None = None
        self._build_began_at: float | None = None  # when a build began that the lake does not have yet
        self._built_over: list[int | None] = []  # the lake's snapshots at that time
        self._must_build = False  # the lake on disk cannot be continued
        self._checked_at = float("-inf")
        self._committed_at = clock()
        self._adoptions = 0  # states of the lake that were taken from other processes
        self._looks_begun = 0
        self.complete_at: float | None = None
        """The lake has every change before this time, as of the last :meth:`write`; None before the first."""
        self.oldest_moved: float | None = None
        """When the oldest change that the last :meth:`write` moved took place; None without one, and for a build."""
        self._last_look: Look | None = None

    async def look(self) -> Look:
        """Return the present state, with every change that was acknowledged before this call. ``shared`` is entered.

        Raises the store's errors, :class:`LakeBroken` and :class:`LakeBusy`.
        """
        begun_before = self._looks_begun
        async with self._lock:
            known = self._last_look
            if known is None or known.number <= begun_before:
                self._looks_begun += 1
                number, as_of = self._looks_begun, self._clock()
                tail = await self._follow()
                known = self._last_look = Look(number, self._session(), tail.tables(), as_of)
            known.shared.enter()
            return known

    async def write(self, *, only_if_due: bool = False) -> dict[str, int]:
        """Move the tail to the lake. Return the rows of each table that were moved.

        ``only_if_due``: only if the tail is long or old. Raises as :meth:`look`.
        """
        async with self._write_lock:
            for _ in range(2):
                try:
                    return await self._write(only_if_due)
                except _TailReplaced:
                    self._tail = None  # the known state is old, even if it was read recently
            raise LakeBusy("another process is writing the lake")

    async def _write(self, only_if_due: bool) -> dict[str, int]:
        async with self._lock:
            followed_at, tail = self._clock(), await self._follow()
            commit = None if only_if_due and not self._is_due(tail) else self._commit_of(tail)
            self.oldest_moved = None
            if commit is None:
                self._note_complete(tail, followed_at)
                return {} if only_if_due else dict.fromkeys(tail.finals, 0)
            oldest = None if self._build_began_at is not None else tail.oldest_final()
            if oldest is not None and any(commit.moved.values()):
                self.oldest_moved = oldest / 1e6
            if not self._source.is_ordered:
                await self._take(commit, tail, await self._written(commit.work))
                self._note_complete(tail, followed_at)
                return commit.moved
            self._writes_beside_looks = True
        try:
            state = await self._written(commit.work)
        finally:
            self._writes_beside_looks = False
        async with self._lock:
            if self._tail is tail:
                await self._take(commit, tail, state)
                self._note_complete(tail, followed_at)
            else:  # a look that met a missing file has begun again
                self._checked_at = float("-inf")
            return commit.moved

    async def state(self) -> LakeState:
        """Return the present state of the lake on disk."""
        return await self._blocking(self._lake.state)

    async def with_tail(self, work: "Callable[[Tail, LakeState], T]") -> T:
        """Read all changes of the store, and return the result of ``work`` on the tail and on its state of the lake."""
        async with self._lock:
            return work(await self._follow(), self._state)

    async def rewrite(self, before: LakeState, work: "Callable[[LakeWriter, Tail], LakeState]") -> bool:
        """Run ``work`` on the open lake and the present tail; it may rewrite months, but not move a position.

        Return False, and do nothing, if the lake is not in the state ``before`` any more. Raises
        :class:`bursar.reports.errors.LakeBusy` if another process is writing the lake.
        """
        async with self._write_lock, self._lock:
            tail = await self._follow()

            def written() -> LakeState | None:
                with writing(self._lake) as writer:
                    if not snapshots_of(writer.state()) == snapshots_of(self._state) == snapshots_of(before):
                        return None
                    state = work(writer, tail)
                    self._make_twin(state, state)
                    return state

            state = await self._written(written)
            if state is not None:
                await self._set_state(state)
            return state is not None

    async def expire(self, first: FirstDays) -> None:
        """Remove the months of each table before the day ``first`` from the lake, if it has any.

        Raises as :meth:`look`. Do nothing while another process writes the lake: the next call removes them.
        """
        state = self._state

        def work(writer: LakeWriter, tail: Tail) -> LakeState:
            left = writer.remove_before(first)
            writer.tidy()
            return left

        if has_older_months(state, first):
            with suppress(LakeBusy):
                await self.rewrite(state, work)

    def forget(self, *, rebuild: bool = False) -> None:
        """Begin again at the next look: a file of the lake is missing. ``rebuild``: by a build, not from the lake."""
        self._tail = None
        self._checked_at = float("-inf")
        self._must_build = self._must_build or rebuild

    async def close(self) -> None:
        """Close the session and remove local files."""
        async with self._lock:
            if self._shared is not None:
                self._shared.retire()
                self._shared = None
            self._sessions.close()

    # Following the store --------------------------------------------------------------------------------------

    async def _follow(self) -> Tail:
        """Return the tail with every change that is committed now."""
        for _ in range(3):
            try:
                if self._tail is None:
                    self._tail = await self._opened()
                elif not (self._writes_beside_looks or 0 <= self._clock() - self._checked_at <= LAKE_RECHECK_S):
                    await self._adopt(await self._blocking(self._lake.state))
                return await self._caught_up(self._tail)
            except _TailReplaced:
                self._tail = None
            except SourceLost as error:
                _log.warning("the lake is built again: %s", error)
                self._tail, self._must_build = None, True
        raise LakeBusy("another process is writing the lake faster than this one can follow")

    async def _caught_up(self, tail: Tail) -> Tail:
        while not await self._read_changes(tail):
            pass
        return tail

    async def _read_changes(self, tail: Tail) -> bool:
        """Read the store's changes to their end. Return False if they must be read again.

        That is so if this process took a newer state of the lake meanwhile: it may hold the end of an attempt that is
        live in this tail, and that became visible in a part of the index that was read already.
        """
        adopted_before = self._adoptions
        async for page in self._source.changes(tail.position):
            tail.apply(page.changes)
            await self._resolve(tail)
            tail.position = page.position
            if tail.final_rows > (TAIL_ROWS_LIMIT if self._writes_beside_looks else TAIL_ROWS_MAX):
                await self._relieve(tail)
        return self._source.is_ordered or self._adoptions == adopted_before

    async def _resolve(self, tail: Tail) -> None:
        if tail.has_suspects:
            session = self._session().session
            await self._blocking(lambda: tail.resolve(session.find))

    async def _opened(self) -> Tail:
        """Return a tail at the lake's position; build the lake if it has no position at which the source continues."""
        state = await self._blocking(self._lake.state)
        self._checked_at = self._clock()
        positions = positions_of(state)
        if not self._must_build and positions is not None and self._source.accepts(earliest_of(positions)):
            await self._set_state(state)
            self._build_began_at = None
            tail = Tail(earliest_of(positions), positions)
            rows = await self._blocking(lambda: self._sessions.live_rows(state))
            tail.put_found(RowChange(PAYMENTS, row[:1], row, FOUND_ORDER) for row in rows)
            return tail
        return await self._built(state)

    async def _built(self, state: LakeState) -> Tail:
        await self._set_state(no_state())
        self._build_began_at, self._built_over = self._clock(), snapshots_of(state)
        _log.debug("building the lake by a scan of the table")
        return await build(self._source, self._lake.folder, self._fill, self._relieve_build, self._resolve)

    async def _fill(self, found: FoundRows) -> bool:
        """Write the rows that a scan found. Return False if the lake cannot have them, and they fit in memory."""
        assert self._build_began_at is not None
        watermark = self._build_began_at - SAFETY_MARGIN_S

        def work() -> LakeState:
            with writing(self._lake) as writer:
                if snapshots_of(writer.state()) != self._built_over:
                    raise LakeBusy("another process is building the lake")
                writer.clear()
                return writer.fill(found.parts, watermark)

        try:
            await self._set_state(await self._blocking(work))
        except LakeBusy:
            await self._wait_for_other_build(found.row_count)
        except LakeBroken:
            if found.row_count > TAIL_ROWS_LIMIT:
                raise
        else:
            return True
        return False

    async def _relieve_build(self, tail: Tail) -> None:
        try:
            await self._commit_build(tail)
        except LakeBusy:
            await self._wait_for_other_build(len(tail))
        except LakeBroken:
            if len(tail) > TAIL_ROWS_LIMIT:
                raise

    async def _relieve(self, tail: Tail) -> None:
        """Move the tail to the lake.

        If another process is writing the lake, wait until its commits shorten the tail.
        """
        try:
            await self._commit(tail)
        except LakeBusy:
            await self._wait_for_other_writer(tail)
        except LakeBroken:
            if tail.final_rows > TAIL_ROWS_LIMIT:
                raise

    async def _wait_for_other_writer(self, tail: Tail) -> None:
        waited_s = 0.0
        while waited_s < OTHER_WRITER_WAIT_S:
            await asyncio.sleep(OTHER_WRITER_POLL_S)
            waited_s += OTHER_WRITER_POLL_S
            await self._adopt(await self._blocking(self._lake.state))
            if tail.final_rows <= TAIL_ROWS_MAX:
                return
        if tail.final_rows > TAIL_ROWS_LIMIT:
            raise LakeBusy("another process is writing the lake; try again")

    async def _wait_for_other_build(self, rows: int) -> None:
        """Wait for another process that builds the lake; then raise :class:`_TailReplaced`, to use its lake."""
        waited_s = 0.0
        while waited_s < OTHER_WRITER_WAIT_S:
            state = await self._blocking(self._lake.state)
            if positions_of(state) is not None and snapshots_of(state) != self._built_over:
                raise _TailReplaced
            await asyncio.sleep(OTHER_WRITER_POLL_S)
            waited_s += OTHER_WRITER_POLL_S
        if rows > TAIL_ROWS_LIMIT:
            raise LakeBusy("another process is building the lake; try again")

    # States of the lake ---------------------------------------------------------------------------------------

    async def _adopt(self, state: LakeState) -> None:
        """Take a newer state of the lake that another process wrote. Raise :class:`_TailReplaced` if it is ahead."""
        self._checked_at = self._clock()
        tail, positions = self._tail, positions_of(state)
        if tail is None or positions is None or self._build_began_at is not None or state == self._state:
            return  # a lake that another process is building does not concern this tail yet
        if any(at.source != tail.position.source or at.order > tail.position.order for at in positions.values()):
            raise _TailReplaced
        self._adoptions += 1
        await self._set_state(state)
        tail.rebase(positions, by_another=True, is_ordered=self._source.is_ordered)
        await self._resolve(tail)

    async def _set_state(self, state: LakeState) -> None:
        fresh = await self._blocking(lambda: self._sessions.open(state))
        if self._shared is not None:
            self._shared.retire()
        self._shared, self._state, self._last_look = fresh, state, None

    def _session(self) -> SharedSession:
        assert self._shared is not None
        return self._shared

    # Writing --------------------------------------------------------------------------------------------------

    def _note_complete(self, tail: Tail, followed_at: float) -> None:
        oldest = tail.oldest_final()
        self.complete_at = followed_at if oldest is None else min(followed_at, oldest / 1e6)

    def _is_due(self, tail: Tail) -> bool:
        age_s = self._clock() - self._committed_at
        return tail.final_rows >= COMMIT_ROWS_MIN or (tail.final_rows > 0 and not 0 <= age_s < COMMIT_AGE_MAX_S)

    async def _commit(self, tail: Tail) -> None:
        """Commit the rows before the tail's position, under the lock."""
        commit = self._commit_of(tail)
        if commit is not None:
            await self._take(commit, tail, await self._written(commit.work))

    def _commit_of(self, tail: Tail) -> _Commit | None:
        """Return the commit of the rows before the tail's position; None if the lake has them all, and the position."""
        moved = {name: rows.below(tail.position.order) for name, rows in tail.finals.items()}
        if not any(moved.values()) and positions_of(self._state) == {schema.name: tail.position for schema in TABLES}:
            return None
        work = self._work(tail, tail.position, moved)
        return _Commit(tail.position, {name: len(rows) for name, rows in moved.items()}, work)

    async def _take(self, commit: _Commit, tail: Tail, state: LakeState) -> None:
        """Continue over the state that a commit made. The tail may have grown since the commit began."""
        await self._set_committed(state)
        self._build_began_at, self._must_build = None, False
        tail.rebase(dict.fromkeys(commit.moved, commit.position))

    async def _commit_build(self, tail: Tail) -> None:
        """Commit all rows of a tail that is being built, without a position."""
        moved = {name: rows.below(tail.position.order) for name, rows in tail.finals.items()}
        await self._set_committed(await self._written(self._work(tail, None, moved)))
        for rows in tail.finals.values():
            rows.drop_below(tail.position.order)
        tail.replaced.clear()

    def _work(self, tail: Tail, position: Position | None, moved: dict[str, list[TableRow]]) -> Callable[[], LakeState]:
        """Return the work that writes rows to the lake. It uses nothing that a look may change."""
        is_building = self._build_began_at is not None
        is_first = is_building and is_empty(self._state)
        before = self._built_over if is_first else snapshots_of(self._state)
        live = None if position is None else tail.live.arrow()
        replaced, watermark = tuple(tail.replaced), self._watermark(moved)

        def work() -> LakeState:
            batch = Batch({schema.name: arrow_table(schema, moved[schema.name]) for schema in TABLES}, live, replaced)
            with writing(self._lake) as writer:
                if snapshots_of(writer.state()) != before:
                    if is_building and not is_first:
                        raise LakeBusy("another process is building the lake")
                    raise _TailReplaced
                if is_first:
                    writer.clear()
                written = writer.commit(batch, position, watermark)
                is_build = position is None
                merged = writer.merge(building=is_build) if writer.needs_merge(building=is_build) else written
                if not is_build:  # once per build is enough
                    self._make_twin(written, merged)
                writer.tidy()
                return merged

        return work

    async def _set_committed(self, state: LakeState) -> None:
        self._committed_at = self._checked_at = self._clock()
        await self._set_state(state)

    def _watermark(self, moved: dict[str, list[TableRow]]) -> float | None:
        """Return the newest change time in the lake after this commit: the store's time, not this process's clock.

        A built lake is complete up to the start of the scan less the margin.
        """
        if self._build_began_at is not None:
            return self._build_began_at - SAFETY_MARGIN_S
        known = [table.watermark for table in self._state.values() if table.watermark is not None]
        newest = [
            max(row[schema.position(schema.change_time)] for row in rows) / 1e6
            for schema in TABLES
            if (rows := moved[schema.name])
        ]
        return max([*known, *newest], default=None)

    def _make_twin(self, written: LakeState, merged: LakeState) -> None:
        if self._lake.folder is None:
            return
        import duckdb

        try:
            refresh_twin(self._lake.folder, written, merged)
        except (OSError, duckdb.Error) as error:
            _log.warning("the twin of the lake was not made; queries read the Parquet files: %s", error)

    async def _blocking(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _written(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._write_thread, work)
