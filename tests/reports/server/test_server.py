"""The reports process answers over a socket that only its owner may use, as reports in the same process do."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from bursar.reports import query_threads
from bursar.reports.errors import BadParameter, BadSql, LakeBusy, QueryTooLarge, QueryTooLong, ReportError
from bursar.reports.reports import Reports
from bursar.reports.server.client import RemoteReports
from bursar.reports.server.messages import answer_from_json, answer_to_json, message_bytes
from bursar.reports.server.server import AlreadyServed, served
from bursar.reports.sql.answer import Question, SqlAnswer
from tests.support.reports.book import Book

RUNAWAY = "SELECT levenshtein(repeat('ab', 20000), repeat('ba', 20000))"


class Server:
    """Reports on a socket, and the number of times that the process would have ended."""

    def __init__(self, reports: Reports, path: Path) -> None:
        self.path = path
        self.remote = RemoteReports(path)
        self.ended = 0
        self.has_ended = asyncio.Event()

    def end(self) -> None:
        self.ended += 1
        self.has_ended.set()


@pytest.fixture
async def server(reports: Reports, tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(reports, tmp_path / "reports.sock")
    async with served(reports, made.path, made.end):
        yield made


async def test_answers_are_the_same_as_in_this_process(book: Book, reports: Reports, server: Server) -> None:
    book.pay(30)
    for text in (
        "SELECT * FROM payments ORDER BY 1",
        "SELECT * FROM payment_events ORDER BY 1, 2",
        "SELECT 1 WHERE false",
    ):
        assert await server.remote.sql(text) == await reports.sql(text)
    report = await server.remote.report("failed_above", {"above": "1"})
    assert report == await reports.report("failed_above", {"above": "1"})
    parts = await server.remote.answers([Question("SELECT count(*) FROM payments"), Question("FROM range(3)")])
    assert [len(part.rows) for part in parts] == [1, 3]


async def test_the_lake_is_written_and_verified(book: Book, server: Server) -> None:
    book.pay(10)
    assert await server.remote.lake_watermark() is None
    written = await server.remote.write_lake()
    assert await server.remote.lake_watermark() == written.watermark
    assert written.rows["payments"] > 0
    verified = await server.remote.verify_lake()
    assert verified.equal
    assert "equal" in "\n".join(verified.lines())


async def test_errors_keep_their_kind_and_their_text(server: Server) -> None:
    with pytest.raises(BadSql, match="amonut"):
        await server.remote.sql("SELECT amonut FROM payments")
    with pytest.raises(BadParameter, match="above: must be"):
        await server.remote.report("failed_above", {"above": "lots"})
    with pytest.raises(ReportError, match="does not know"):
        await server.remote._request({"ask": "the weather"})


def test_values_survive_the_way() -> None:
    answer = SqlAnswer(
        ("a", "b", "c", "d", "e", "f"),
        ("DECIMAL(18,2)", "TIMESTAMP WITH TIME ZONE", "DATE", "VARCHAR", "BIGINT[]", "BOOLEAN"),
        [
            (None, None, None, "x", [1, 2], True),
            (Decimal("0.10"), datetime(2026, 1, 2, 3, 4, 5, 6000, UTC), date(2026, 1, 2), None, None, None),
        ],
        1.5,
        True,
    )

    assert answer_from_json(json.loads(message_bytes(answer_to_json(answer))[4:])) == answer


async def test_only_the_owner_may_use_the_socket(server: Server) -> None:
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o600


async def test_a_second_server_of_the_socket_is_refused(reports: Reports, server: Server) -> None:
    with pytest.raises(AlreadyServed):
        async with served(reports, server.path, server.end):
            pass
    assert (await server.remote.sql("SELECT 1")).rows == [(1,)]


async def test_a_caller_that_leaves_stops_its_query(server: Server) -> None:
    slow = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3"
    asking = [asyncio.create_task(server.remote.sql(slow)) for _ in range(2)]
    await asyncio.wait(asking, timeout=0.3)
    for each in asking:
        each.cancel()
    await asyncio.wait(asking)
    assert (await server.remote.sql("SELECT 1")).rows == [(1,)]


async def test_a_statement_that_cannot_be_stopped_is_an_error_and_ends_the_process(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_threads, "QUERY_TIMEOUT_S", 0.2)
    monkeypatch.setattr(query_threads, "STOP_GRACE_S", 0.2)
    monkeypatch.setattr("bursar.reports.server.server.REPLY_GRACE_S", 0.0)
    with pytest.raises(QueryTooLong, match="could not be stopped"):
        await server.remote.sql(RUNAWAY)
    async with asyncio.timeout(120):
        await server.has_ended.wait()
    assert server.ended == 1


async def test_a_process_that_does_not_answer_is_an_error_in_time(tmp_path: Path) -> None:
    with pytest.raises(LakeBusy, match="does not answer"):
        await RemoteReports(tmp_path / "nobody.sock", start_wait_s=0.1).sql("SELECT 1")


async def test_a_request_waits_for_a_process_that_is_starting(reports: Reports, tmp_path: Path) -> None:
    path = tmp_path / "late.sock"
    asking = asyncio.create_task(RemoteReports(path).sql("SELECT 1"))
    await asyncio.sleep(0.1)
    async with served(reports, path, lambda: None):
        assert (await asking).rows == [(1,)]


async def test_a_request_that_ends_the_process_each_time_is_an_error(tmp_path: Path) -> None:
    requests = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        writer.close()

    path = tmp_path / "reports.sock"
    async with await asyncio.start_unix_server(hang_up, str(path)):
        with pytest.raises(QueryTooLarge, match="ended while it ran"):
            await RemoteReports(path).sql("SELECT 1")
    assert requests == 2
