"""Histories of (write acknowledged, question asked, answer), with kills and clocks that step, and their judge.

A round writes several payments at once. Each writer, as soon as its write is acknowledged, asks one question or several
for the rows, the counts and the totals of one state. The judge keeps every acknowledged write:

    stale       an answer lacks a write that was acknowledged before the question was asked
    doubled     an answer has an attempt twice
    disagreeing the rows, the counts and the totals of an answer are not of one state

Between rounds: the lake is written by this process or by another one, its writer is killed at a commit, the reports
process or the portal is killed and starts again, the lake is verified, and a clock steps by an hour. Two machines write
to one store, with clocks up to an hour apart. Questions go the way of `GET /transaction-log` (over the socket of the
reports process), the way of `bursar sql` (the same socket), and to reports of another process.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

from bursar.dynamo import AsyncEngine
from bursar.payments import Attempt, FeeCatalogue, Ledger, Outcome
from bursar.payments.ledger.table import TABLE_NAME
from bursar.payments.reversals import ReversalReport
from bursar.reports.errors import LakeBusy, QueryTooLong
from bursar.reports.reports import Reports
from bursar.reports.server.client import RemoteReports
from bursar.reports.server.server import served
from bursar.reports.sql.answer import Question
from bursar.reports.sql.session import _SETTINGS
from bursar.reports.tail.index_source import IndexSource
from bursar.reports.tail.sources import ChangeSource
from bursar.reports.tail.stream_source import StreamSource
from bursar.reports.transaction_log import SqlTransactionLog
from tests.support.payments.stage import Wall
from tests.support.reports.killing import Killed, killing
from tests.support.write_paths import SWAP

WRITERS = 10
HOUR_S = 3600.0
YEAR_S = 366 * 24 * HOUR_S
LOG_ROWS = 5_000
RAISED_SHARDS_MAX = 4
FEES = FeeCatalogue.default()
EVENTFUL = 0.7
RANKS = ("received", "initiated", "processing", "pending", "processed", "failed")
ROWS = "SELECT agency_tracking_id, status, net_amount FROM payments"
TOTALS = (
    "SELECT 'payments', status, count(*), sum(net_amount) FROM payments GROUP BY status UNION ALL "
    "SELECT 'payment_days', status, CAST(sum(attempts) AS BIGINT), NULL FROM payment_days GROUP BY status"
)


@dataclass
class Figures:
    """The totals of some histories."""

    pairs: int = 0
    kills: int = 0
    refused: int = 0
    stale: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    disagreeing: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Return the totals in one line."""
        bad = f"{len(self.stale)} stale, {len(self.doubled)} doubled, {len(self.disagreeing)} disagreeing"
        return f"{self.pairs} pairs, {self.kills} kills, {self.refused} refused, {bad}"


@dataclass
class Machine:
    """One machine: its clock is ``ahead_s`` ahead of the wall, or behind."""

    wall: Wall
    ahead_s: float = 0.0

    def __call__(self) -> float:
        return self.wall.now + self.ahead_s


class Visibility:
    """One history over one store. ``follows_index``: as on Amazon, by the index of changes."""

    def __init__(self, folder: Path, seed: int, figures: Figures, *, follows_index: bool, questions: int = 1) -> None:
        """Begin nothing yet. ``questions``: the questions that a writer asks at once after each of its writes."""
        self.draw = random.Random(seed)
        self.questions = questions
        self.wall = Wall()
        self.stepped_s = 0.0
        # The index of changes is read again for two hours, so all clocks together must stay within them.
        self.differences = (-3000.0, -300.0, 0.0) if follows_index else (-HOUR_S, -300.0, 300.0, HOUR_S)
        self.machines = [Machine(self.wall), Machine(self.wall, self.draw.choice(self.differences))]
        self.folder = folder
        self.figures = figures
        self.follows_index = follows_index
        self.known: dict[str, tuple[str, Decimal]] = {}  # id → status and net amount, as acknowledged last
        self.paid: list[Attempt] = []
        self.started = 0
        self.stores: list[AsyncEngine] = []
        self.ledgers: list[Ledger] = []
        self.stack = AsyncExitStack()
        self.another: Reports | None = None

    async def open(self) -> None:
        """Start the portals and the reports process, on the store that is there."""
        self.stores = [
            SWAP.open(str(self.folder / "portal.db"), clock=machine, randomness=self.draw) for machine in self.machines
        ]
        await SWAP.create_table(self.stores[0])
        self.ledgers = [
            SWAP.ledger(store, clock=machine, randomness=self.draw)
            for store, machine in zip(self.stores, self.machines, strict=True)
        ]
        for ledger in self.ledgers:
            await ledger.change_shards.learn()
        await self.start_reports()

    def reports(self, machine: int) -> Reports:
        """Return the reports of a process on this machine."""
        store, clock = self.stores[machine], self.machines[machine]
        source: ChangeSource = StreamSource(store, TABLE_NAME)
        if self.follows_index:
            source = IndexSource(self.ledgers[machine], store, TABLE_NAME, clock)
        return Reports(source, f"file:{self.folder}/lake", clock)

    async def start_reports(self) -> None:
        """Start the reports process on a socket, and reports of another process."""
        self.stack = AsyncExitStack()
        self.server = self.reports(0)
        self.stack.push_async_callback(self.server.close)
        socket = self.folder / "r.sock"
        await self.stack.enter_async_context(served(self.server, socket, lambda: None))
        self.remote = RemoteReports(socket)
        self.another = self.reports(1)
        self.stack.push_async_callback(self.another.close)

    async def close(self) -> None:
        """End every process."""
        await self.stack.aclose()
        for store in self.stores:
            await store.close()

    # Writes ---------------------------------------------------------------------------------------------------

    async def write(self, ledger: Ledger, number: int) -> None:
        """Write one payment, or a step or a reversal of one; return once it is acknowledged."""
        if self.paid and self.draw.random() < 0.2:
            attempt = self.paid.pop(self.draw.randrange(len(self.paid)))
            report = ReversalReport("charged_back", Decimal("10.00"), "operator", reason_code="1")
            attempt, _ = await ledger.reversals.record(attempt, report, actor="operator")
        else:
            attempt = await self.pay(ledger, number)
        self.known[attempt.agency_tracking_id] = (attempt.status, attempt.net_amount)

    async def pay(self, ledger: Ledger, number: int) -> Attempt:
        """Take one payment as far as luck has it."""
        fee = FEES.fee("PETITION_FILING_FEE", self.wall())
        assert fee is not None
        urls = ("https://client.example/ok", "https://client.example/no")
        reference = str(UUID(int=number, version=4))
        attempt = await ledger.start_attempt("dawson", reference, fee, Decimal("60.00"), {"docketNumber": "1"}, *urls)
        far = self.draw.random()
        if far < 0.2:
            return attempt
        attempt = await ledger.record_token(attempt, f"{number:032d}")
        if far < 0.3:
            return attempt
        attempt = await ledger.take_lease(attempt, "worker", 30.0)
        if far < 0.4:
            return attempt
        outcome = Outcome("failed", None, "Failed", "PLASTIC_CARD", "1", "no")
        if far < 0.8:
            outcome = Outcome("processed", f"P{number}", "Success", "PLASTIC_CARD")
        attempt = await ledger.record_outcome(attempt, outcome, actor="portal")
        if attempt.status == "processed":
            self.paid.append(attempt)
        return attempt

    # Questions and their judge --------------------------------------------------------------------------------

    async def pair(self, number: int) -> None:
        """Write a payment, and ask once it is acknowledged. Each question makes a pair with the write."""
        await self.write(self.ledgers[number % 2], number)
        before = dict(self.known)
        await asyncio.gather(*(self.question(before) for _ in range(self.questions)))

    async def question(self, before: dict[str, tuple[str, Decimal]]) -> None:
        """Ask one question. One that is refused, because the lake or the machine is busy, is no pair."""
        try:
            await self._question(before)
        except (LakeBusy, QueryTooLong):
            self.figures.refused += 1

    async def _question(self, before: dict[str, tuple[str, Decimal]]) -> None:
        """Ask a question, and judge its answer by the writes ``before`` it."""
        way = self.draw.choice(("log", "socket", "socket", "another"))
        if way == "log":
            await self.ask_log(before)
            return
        asked: RemoteReports | Reports = self.remote
        if way == "another":
            assert self.another is not None
            asked = self.another
        # Half of the answers have totals beside the rows, like all those of the log: they cost more than the rows.
        texts = (ROWS, TOTALS)[: self.draw.choice((1, 2))]
        rows, *others = [answer.rows for answer in await asked.answers([Question(text) for text in texts])]
        for totals in others:
            self._compare(way, rows, totals)
        self.judge(way, before, [(key, status, net) for key, status, net in rows])

    def _compare(self, way: str, rows: list[tuple[Any, ...]], totals: list[tuple[Any, ...]]) -> None:
        """Note a disagreement of rows, counts and sums of one answer."""
        found = Counter(status for _, status, _ in rows)
        counts, days = (
            {status: count for table, status, count, _ in totals if table == name}
            for name in ("payments", "payment_days")
        )
        if not found == counts == days or sum(row[2] for row in rows) != sum(row[3] or 0 for row in totals):
            self.figures.disagreeing.append(f"{way}: {found}, {totals}")

    async def ask_log(self, before: dict[str, tuple[str, Decimal]]) -> None:
        """Ask as `GET /transaction-log` does."""
        log, now = SqlTransactionLog(self.remote, dict), self.wall.now
        frame = (now - YEAR_S, now + YEAR_S)
        page = await log.page(*frame, limit=LOG_ROWS, offset=0, periods={"all": frame})
        assert page.counts is not None
        statuses = Counter(entry["paymentStatus"] for entry in page.entries)
        paid = sum(entry["transactionAmount"] for entry in page.entries if entry["paymentStatus"] == "success")
        counts = page.counts
        if (statuses["success"], statuses["failed"], statuses["pending"]) != (
            counts.success,
            counts.failed,
            counts.pending,
        ) or paid != page.totals["all"]:
            self.figures.disagreeing.append(f"log: {statuses}, {counts}, {paid}, {page.totals}")
        rows = [(entry["agencyTrackingId"], entry["transactionStatus"], None) for entry in page.entries]
        self.judge("log", before, rows)

    def judge(
        self, way: str, before: dict[str, tuple[str, Decimal]], rows: Sequence[tuple[str, str, Decimal | None]]
    ) -> None:
        """Compare an answer with the writes that were acknowledged before its question."""
        self.figures.pairs += 1
        seen = Counter(key for key, *_ in rows)
        self.figures.doubled += [f"{way}: {key}" for key, times in seen.items() if times > 1]
        answered = {key: (status, net) for key, status, net in rows}
        for key, (status, net) in before.items():
            got = answered.get(key)
            is_older = got is None or RANKS.index(got[0]) < RANKS.index(status)
            if is_older or (got is not None and got[1] is not None and got[1] > net and status == "processed"):
                self.figures.stale.append(f"{way}: {key} is {got}, was acknowledged as {status}, {net}")

    # Between two rounds ---------------------------------------------------------------------------------------

    async def lake_written(self) -> None:
        """Write the lake, by the reports process or by another process."""
        reports = self.draw.choice((self.server, self.another))
        assert reports is not None
        with suppress(LakeBusy):
            await reports.write_lake()

    async def writer_killed(self) -> None:
        """Kill the reports process at a commit of its write, and start it again."""
        self.figures.kills += 1
        with killing(self.draw.randrange(5), self.draw.choice(("before", "after"))), suppress(Killed, LakeBusy):
            await self.server.write_lake()
        await self.stack.aclose()
        await self.start_reports()

    async def reports_killed(self) -> None:
        """End the reports process, and start it again."""
        self.figures.kills += 1
        await self.stack.aclose()
        await self.start_reports()

    async def portal_killed(self) -> None:
        """Kill the portals and the reports process; only the files are left."""
        self.figures.kills += 1
        await self.stack.aclose()
        old = self.stores
        await self.open()
        for store in old:
            await store.close()

    async def verified(self) -> None:
        """Verify the lake, which must equal the table."""
        with suppress(LakeBusy):
            verification = await self.server.verify_lake()
            if not verification.equal:
                self.figures.disagreeing.append("\n".join(verification.lines()))

    async def clock_stepped(self) -> None:
        """Step the clock of all machines by an hour, or set the other machine's clock to another difference."""
        if self.draw.random() < 0.5:
            stepped_s = self.draw.choice((0.0, HOUR_S) if self.follows_index else (-HOUR_S, 0.0, HOUR_S))
            self.wall.now += stepped_s - self.stepped_s
            self.stepped_s = stepped_s
        else:
            self.machines[1].ahead_s = self.draw.choice(self.differences)

    async def shards_raised(self) -> None:
        """Raise the shards of the index of changes. One portal uses them at once, the other from its next start."""
        shards = self.ledgers[0].change_shards
        present = (await shards.counts())[-1]
        if present < RAISED_SHARDS_MAX:
            await shards.raise_to(4 * present, by="Ada")
        await shards.learn()

    async def time_passed(self) -> None:
        """Let hours pass, so that margins end and commits are due."""
        self.wall.now += self.draw.choice((60.0, 2 * HOUR_S, 3 * HOUR_S))

    async def run(self, pairs: int) -> None:
        """Run one history of about this many pairs."""
        happenings: list[Callable[[], Awaitable[None]]] = [
            *(self.lake_written, self.lake_written, self.lake_written, self.writer_killed, self.reports_killed),
            *(self.portal_killed, self.verified, self.clock_stepped, self.clock_stepped, self.time_passed),
        ]
        happenings += [self.shards_raised] * self.follows_index
        await self.open()
        try:
            for first in range(0, pairs // self.questions, WRITERS):
                if self.draw.random() < EVENTFUL:
                    await self.draw.choice(happenings)()
                self.wall.now += self.draw.choice((0.0, 0.001, 1.0, 60.0))
                await asyncio.gather(*(self.pair(first + number + 1) for number in range(WRITERS)))
        finally:
            await self.close()


def small_lake() -> AsyncExitStack:
    """Return a context in which few rows are many, so that a short history has commits of every kind."""
    stack = AsyncExitStack()
    for name, value in (
        ("bursar.reports.tail.lake_build.BATCH_ROWS_MAX", 60),
        ("bursar.reports.current.TAIL_ROWS_MAX", 200),
        ("bursar.reports.current.LAKE_RECHECK_S", 5.0),
        ("bursar.reports.lake.twin.NEW_ROWS_MIN", 100),
        ("bursar.reports.current.OTHER_WRITER_WAIT_S", 0.5),
        # Tables of some hundred rows: a second thread would cost more than it saves.
        ("bursar.reports.sql.session._SETTINGS", (*_SETTINGS, "SET threads = 1")),
    ):
        stack.enter_context(patch(name, value))
    return stack
