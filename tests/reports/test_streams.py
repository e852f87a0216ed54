"""Streamed answers: every row, in any number, from this process and from the reports process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bursar.reports import query_threads
from bursar.reports.errors import BadSql, QueryTooLong, ReportError
from bursar.reports.port import PaymentReports
from bursar.reports.reports import Reports
from bursar.reports.server.client import RemoteReports
from bursar.reports.server.server import served
from bursar.reports.sql.answer import Question
from bursar.reports.sql.values import rows_of
from tests.support.reports.book import Book


@pytest.fixture(params=["here", "served"])
async def asked(request: pytest.FixtureRequest, reports: Reports, tmp_path: Path) -> AsyncIterator[PaymentReports]:
    if request.param == "here":
        yield reports
        return
    path = tmp_path / "reports.sock"
    async with served(reports, path, lambda: None):
        yield RemoteReports(path)


async def read(asked: PaymentReports, text: str) -> int:
    """Read a whole stream and return its number of rows."""
    async with asked.stream(Question(text)) as stream:
        return sum([batch.num_rows async for batch in stream.batches])


async def test_a_stream_has_every_row_of_the_answer_and_its_types(book: Book, asked: PaymentReports) -> None:
    book.pay(50)
    text = "SELECT *, INTERVAL 1 DAY AS pause FROM payments ORDER BY agency_tracking_id"
    whole = await asked.sql(text)
    async with asked.stream(Question(text)) as stream:
        rows = [row async for batch in stream.batches for row in rows_of(batch, stream.types)]
    assert (stream.columns, stream.types) == (whole.columns, whole.types)
    assert rows == whole.rows


async def test_a_stream_has_no_limit_of_rows(asked: PaymentReports) -> None:
    async with asked.stream(Question("SELECT * FROM range(250000)", rows_max=10)) as stream:
        sizes = [batch.num_rows async for batch in stream.batches]
    assert sum(sizes) == 250_000
    assert max(sizes) <= 10_000


async def test_an_answer_without_rows_is_one_empty_batch(asked: PaymentReports) -> None:
    async with asked.stream(Question("SELECT client, amount FROM payments")) as stream:
        batches = [batch async for batch in stream.batches]
    assert [batch.num_rows for batch in batches] == [0]
    assert batches[0].schema.names == ["client", "amount"]


async def test_bad_sql_is_an_error_when_the_stream_is_opened(asked: PaymentReports) -> None:
    with pytest.raises(BadSql, match="nothing"):
        await read(asked, "SELECT nothing FROM payments")


async def test_an_error_in_the_middle_ends_the_stream(asked: PaymentReports) -> None:
    text = "SELECT CASE WHEN range = 200000 THEN error('too many') ELSE range END AS n FROM range(300000)"
    with pytest.raises(ReportError, match="too many"):
        await read(asked, text)
    assert (await asked.sql("SELECT 1")).rows == [(1,)]


async def test_a_reader_that_leaves_stops_the_statement(asked: PaymentReports) -> None:
    async with asked.stream(Question("SELECT * FROM range(100000000)")) as stream:
        async for batch in stream.batches:
            assert batch.num_rows
            break
    assert (await asked.sql("SELECT 1")).rows == [(1,)]


async def test_a_batch_that_takes_too_long_is_stopped(asked: PaymentReports, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3"
    monkeypatch.setattr(query_threads, "QUERY_TIMEOUT_S", 0.3)
    with pytest.raises(QueryTooLong, match="time limit"):
        await read(asked, slow)


async def test_a_stream_that_is_not_read_in_time_ends(asked: PaymentReports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_threads, "STREAM_TIMEOUT_S", 0.0)
    with pytest.raises(QueryTooLong, match="not read within"):
        await read(asked, "SELECT 1")
