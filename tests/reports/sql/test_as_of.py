"""As of an instant: the state that a replay of the events gives, for random histories and instants."""

import asyncio
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from bursar.clock import iso_ms
from bursar.payments.ledger.table import TABLE_NAME
from bursar.reports.errors import BadParameter
from bursar.reports.report_parameters import past_instant
from bursar.reports.reports import Reports
from bursar.reports.sql.answer import Question
from bursar.reports.tail.stream_source import StreamSource
from tests.support.hypothesis_profiles import examples
from tests.support.payments.stage import Wall
from tests.support.reports.book import DAY_S, Book
from tests.support.reports.ledger_history import LedgerHistory, Step, steps
from tests.support.reports.plain import plain
from tests.support.write_paths import SWAP

PAYMENTS = "SELECT * FROM payments ORDER BY agency_tracking_id"
SUMS = (
    "SELECT (SELECT count(*) FROM deposits), (SELECT count(*) FROM reversals), (SELECT sum(attempts) FROM payment_days)"
)

EVERY_FACT: list[Step] = [
    *(("start", 0), ("wait", 1.0), ("token", 0), ("wait", 1.0), ("lease", 0), ("wait", 1.0), ("release", 0)),
    *(("wait", 1.0), ("lease", 0), ("wait", 1.0), ("refused_unknown", 0), ("wait", 1.0), ("unknown", 0)),
    *(("wait", 40.0), ("take_over", 0), ("wait", 1.0), ("settling", 0), ("wait", 1.0), ("noted", 0), ("wait", 1.0)),
    *(("paid", 0), ("wait", 1.0), ("reversed", 0), ("step", -3600.0), ("deposited", 0), ("reversed", 0)),
    *(("start", 0), ("token", 1), ("lease", 1), ("wait", 40.0), ("take_over", 1), ("wait", 40.0), ("paid", 1)),
]
"""A history in which every column of an attempt changes, and a clock that goes back after its settlement."""


async def run(history: list[Step], seed: int, folder: str, instants: int = 4) -> None:
    wall, draw = Wall(), random.Random(seed)
    store = SWAP.open(":memory:", clock=wall, randomness=draw)
    await SWAP.create_table(store)
    lived = LedgerHistory(SWAP.ledger(store, clock=wall, randomness=draw), wall)
    reports = Reports(StreamSource(store, TABLE_NAME), f"file:{folder}/lake", wall)
    try:
        for place, step in enumerate(history):
            await lived.take(step)
            if place == len(history) // 2:
                await reports.write_lake()
        wall.now += 2 * 3600
        for instant in (*lived.instants(draw, instants), wall.now):
            answers = await reports.answers([Question(text, as_of=instant) for text in (PAYMENTS, SUMS)])
            expected = lived.payments(instant)
            assert [plain(row) for row in answers[0].rows] == expected, iso_ms(instant)
            deposits = sum(at <= instant for at, _ in lived.deposits)
            reversals = sum(at <= instant for at, *_ in lived.reversals)
            assert answers[1].rows == [(deposits, reversals, len(expected) or None)]
            assert answers[0].as_of == instant
    finally:
        await reports.close()
        await store.close()


@examples(8, suppress_health_check=list(HealthCheck))
@given(steps, st.integers(0, 99))
def test_the_state_at_an_instant_is_what_its_events_made(history: list[Step], seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run([("start", 0), *history], seed, folder))


async def test_every_fact_of_an_attempt_is_what_it_was(tmp_path: Path) -> None:
    await run(EVERY_FACT, 1, str(tmp_path), instants=14)


async def test_a_month_that_was_reported_is_reproduced_to_the_cent(book: Book, reports: Reports) -> None:
    book.pay(100)
    reported, at = (await reports.report("monthly_finance")).rows, book.now
    for attempt in list(book.attempts.values())[::2]:
        if attempt.status == "processed":
            book.now += 60
            book.reverse(attempt, "1.00")
    book.pay(100, seed=2)
    await reports.write_lake()
    book.now += 200 * DAY_S
    assert (await reports.report("monthly_finance")).rows != reported
    assert (await reports.report("monthly_finance", as_of=at)).rows == reported
    net = "SELECT sum(amount), sum(net_amount), sum(reversed_amount) FROM payments WHERE status = 'processed'"
    [(amount, left, back)] = (await reports.sql(net, as_of=at)).rows
    assert (left, back) == (amount, 0)


async def test_questions_about_now_and_then_are_answered_together(book: Book, reports: Reports) -> None:
    book.start()
    then = book.now
    book.now += 60
    book.start()
    count = "SELECT count(*) FROM payments"
    answers = await reports.answers([Question(count, as_of=then), Question(count), Question(count, as_of=then - 1)])
    assert [answer.rows for answer in answers] == [[(1,)], [(2,)], [(0,)]]
    assert [answer.as_of for answer in answers] == [then, book.now, then - 1]


async def test_an_instant_that_is_still_to_come_is_refused(book: Book, reports: Reports) -> None:
    with pytest.raises(BadParameter, match=r"as of: must not be after 2026-03-30T12:00:00\.000Z"):
        await reports.sql("SELECT 1", as_of=book.now + 1)


async def test_a_stream_has_the_state_of_its_instant(book: Book, reports: Reports) -> None:
    book.start()
    then = book.now
    book.now += 60
    book.start()
    async with reports.stream(Question("SELECT * FROM payments", as_of=then)) as stream:
        assert sum([batch.num_rows async for batch in stream.batches]) == 1
        assert stream.as_of == then


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-10-31", "2026-11-01T03:59:59.999Z"),
        ("2026-11-01", "2026-11-02T04:59:59.999Z"),
        ("2026-10-31T17:00:00-04:00", "2026-10-31T21:00:00.000Z"),
        ("2026-10-31T17:00:00.125Z", "2026-10-31T17:00:00.125Z"),
    ],
)
def test_an_instant_is_a_date_time_or_the_end_of_a_day_in_new_york(text: str, instant: str) -> None:
    assert iso_ms(past_instant(text)) == instant


BEYOND = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")
"""In UTC, these are in the years 0 and 10000."""


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-10-31T17:00:00", "2026-13-01", "9999-12-31", "0001-01-01", *BEYOND]
)
def test_other_texts_are_no_instants(text: str) -> None:
    with pytest.raises(BadParameter, match="as of: must be an ISO date-time with its offset"):
        past_instant(text)


async def test_a_client_sees_its_own_past_alone(book: Book, reports: Reports) -> None:
    attempt = book.start(client="dawson")
    book.start(client="exams")
    then = book.now
    book.now += 60
    book.move(attempt, "failed")
    for table, rows in (("payments", 1), ("payment_events", 1), ("payment_days", 1)):
        counted = Question(f"SELECT count(*) FROM {table}", as_of=then, client="dawson")
        assert (await reports.answers([counted]))[0].rows == [(rows,)]
    status = Question("SELECT client, status FROM payments", as_of=then, client="dawson")
    assert (await reports.answers([status]))[0].rows == [("dawson", "received")]
