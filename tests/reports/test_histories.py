"""For any history of changes, lake writes, killed writers and restarts, SQL equals a plain fold over the store."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from bursar.payments.records import ZERO, Attempt
from bursar.payments.status import Status
from bursar.reports.lake.iceberg import commit_files
from bursar.reports.lake.rows import attempt_row, deposit_row, event_row, micros, reversal_row
from bursar.reports.lake.schema import TABLES
from bursar.reports.reports import Reports
from bursar.reports.sql.answer import Question
from tests.support.hypothesis_profiles import examples
from tests.support.reports.book import DAY_S, Book
from tests.support.reports.killing import Killed, killing
from tests.support.reports.plain import plain

STATUSES = ("initiated", "processing", "pending", "processed", "failed")
Step = tuple[Any, ...]

steps = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.integers(1, 4)),
        st.tuples(st.just("move"), st.integers(0, 50), st.sampled_from(STATUSES)),
        st.tuples(st.just("reverse"), st.integers(0, 50)),
        st.tuples(st.just("deposit"), st.integers(0, 50)),
        st.tuples(st.just("wait"), st.sampled_from((0.001, 1.0, 299.0, 301.0, 4000.0, DAY_S, 20 * DAY_S))),
        st.tuples(st.just("write")),
        st.tuples(st.just("kill"), st.integers(0, 3), st.sampled_from(("before", "after"))),
        st.tuples(st.just("ask")),
        st.tuples(st.just("skew"), st.sampled_from((-3600.0, -600.0, 0.0, 600.0, 3600.0))),
        st.tuples(st.just("restart")),
    ),
    min_size=4,
    max_size=16,
)


@contextmanager
def small_batches() -> Iterator[None]:
    """Let a few rows be many, so that a history has commits of every kind, and a kill can happen between them."""
    with (
        patch("bursar.reports.tail.lake_build.BATCH_ROWS_MAX", 4),
        patch("bursar.reports.current.TAIL_ROWS_MAX", 6),
        patch("bursar.reports.lake.twin.NEW_ROWS_MIN", 8),
    ):
        yield


class History:
    """A book and reports over it, in one history."""

    def __init__(self, folder: str) -> None:
        self.book = Book()
        self.folder = folder
        self.skewed_s = 0.0
        self.reports = self._opened()

    def _opened(self) -> Reports:
        return Reports(self.book.source, f"file:{self.folder}/lake", self.book.clock)

    async def start(self, count: int) -> None:
        for _ in range(count):
            self.book.start()

    async def move(self, which: int, status: Status) -> None:
        if self.book.attempts:
            known = list(self.book.attempts.values())
            if known[which % len(known)].live:
                self.book.move(known[which % len(known)], status)

    async def reverse(self, which: int) -> None:
        paid = [attempt for attempt in self.book.attempts.values() if attempt.net_amount >= 1]
        if paid:
            self.book.reverse(paid[which % len(paid)], "1.00")

    async def deposit(self, which: int) -> None:
        held = {deposit.agency_tracking_id for deposit in self.book.deposits}
        attempts = self.book.attempts.values()
        paid = [each for each in attempts if each.status == "processed" and each.agency_tracking_id not in held]
        if paid:
            self.book.deposit(paid[which % len(paid)], "000123")

    async def wait(self, seconds: float) -> None:
        self.book.now += seconds

    async def write(self) -> None:
        await self.reports.write_lake()

    async def kill(self, at: int, when: str) -> None:
        with killing(at, when), suppress(Killed):
            await self.reports.write_lake()
        await self.restart()

    async def skew(self, seconds: float) -> None:
        """Set the clock to another machine's, which is ahead by ``seconds``, or behind."""
        self.book.now += seconds - self.skewed_s
        self.skewed_s = seconds

    async def restart(self) -> None:
        await self.reports.close()
        self.reports = self._opened()

    async def ask(self) -> None:
        attempts = sorted(self.book.attempts.values(), key=lambda attempt: attempt.agency_tracking_id)
        expected = {
            "payments": [(*attempt_row(attempt), *derived(attempt)) for attempt in attempts],
            "payment_events": sorted(map(event_row, self.book.events), key=lambda row: row[:2]),
            "reversals": sorted(map(reversal_row, self.book.reversals), key=lambda row: row[:2]),
            "deposits": sorted(map(deposit_row, self.book.deposits)),
        }
        answers = await self.reports.answers(
            [Question(f"SELECT * FROM {schema.name} ORDER BY {', '.join(schema.key)}") for schema in TABLES]
        )
        for schema, answer in zip(TABLES, answers, strict=True):
            assert [plain(row) for row in answer.rows] == expected[schema.name]


def derived(attempt: Attempt) -> tuple[Any, ...]:
    """Return the derived columns of the attempt's row."""
    settled_at = micros(attempt.updated_at) if attempt.status == "processed" else None
    return settled_at, attempt.reversed_amount or ZERO, attempt.net_amount


async def run_history(history: list[Step], folder: str) -> None:
    lived = History(folder)
    try:
        for name, *arguments in history:
            act: Callable[..., Awaitable[None]] = getattr(lived, name)
            await act(*arguments)
        await lived.ask()
        lived.book.now += 4000.0
        await lived.write()
        await lived.ask()
        verification = await lived.reports.verify_lake()
        assert verification.equal, verification.lines()
    finally:
        await lived.reports.close()


@examples(6, suppress_health_check=list(HealthCheck))
@given(steps)
def test_sql_over_lake_and_tail_equals_a_fold_over_the_store(history: list[Step]) -> None:
    # Batches of a few rows, so that a write has several commits and a kill can happen between them.
    with tempfile.TemporaryDirectory() as folder, small_batches():
        asyncio.run(run_history(history, folder))


@pytest.mark.parametrize(("at", "when"), [(0, "before"), (0, "after"), (2, "before"), (3, "after")])
def test_a_writer_killed_around_one_of_its_commits_loses_and_repeats_nothing(
    at: int, when: str, tmp_path: Path
) -> None:
    history: list[Step] = [
        ("start", 3),
        ("wait", 4000.0),
        ("write",),
        ("move", 0, "processing"),
        ("start", 2),
        ("wait", 4000.0),
        ("kill", at, when),
        ("ask",),
    ]
    with small_batches():
        asyncio.run(run_history(history, str(tmp_path)))


MOVED_IN_THE_LAKE: list[Step] = [
    ("start", 4),
    ("wait", DAY_S),
    ("write",),
    ("move", 1, "failed"),
    ("move", 3, "processed"),
    ("wait", DAY_S),
    ("write",),
    ("reverse", 0),
    ("deposit", 0),
    ("restart",),
    ("ask",),
    ("move", 2, "failed"),
    ("write",),
    ("restart",),
    ("ask",),
]
PLANTED: dict[str, AbstractContextManager[object]] = {
    "the live partition is added to, never replaced": patch(
        "bursar.reports.lake.writer.commit_files",
        lambda table, removed, added, summary: commit_files(table, [], added, summary),
    ),
    "the position runs ahead of its batch": patch(
        "bursar.reports.tail.tail_rows.TailRows.below", lambda self, order: []
    ),
    "a row of the lake is taken again": patch("bursar.reports.sql.session.Session.find", lambda *_: {}),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_caught(fault: str, tmp_path: Path) -> None:
    with PLANTED[fault], small_batches(), pytest.raises(AssertionError):
        asyncio.run(run_history(MOVED_IN_THE_LAKE, str(tmp_path)))
