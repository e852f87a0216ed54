"""Answers in other forms than JSON over HTTP: every row, in bounded memory, and cut off where they fail or are left."""

import asyncio
import gc
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook
from pypdf import PdfReader

from bursar.bootstrap.composition import Composition
from bursar.portal.api import streamed_answers
from bursar.portal.api.authentication import without_signatures
from bursar.portal.doors.asgi import PortalApp, portal_app
from bursar.portal.state.portal import Portal
from bursar.reports.errors import ReportError
from bursar.reports.output import pdf
from bursar.reports.port import StreamedAnswers
from bursar.reports.reports import Reports
from bursar.reports.sql.answer import AnswerStream, Question
from bursar.settings import Settings
from tests.support.portal.asgi import ask
from tests.support.portal.fake_reports import EmptyReports
from tests.support.portal.stage import EXAMS
from tests.support.reports.book import Book

ASKS = replace(EXAMS, sql=True, reports=True)


@pytest.fixture
async def portal() -> AsyncIterator[Portal]:
    async with Composition(Settings(store="file::memory:")) as parts:
        yield await parts.portal(asks_paygov=False)


class Counted:
    """Limits that count the requests which are counted in."""

    def __init__(self) -> None:
        self.inside = 0

    def enter(self, client: str) -> None:
        self.inside += 1

    def leave(self, client: str) -> None:
        self.inside -= 1


class Endless(EmptyReports):
    """Answers with batches until its reader stops, or until the second one if it ``fails``."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.is_open = False

    @asynccontextmanager
    async def stream(self, question: Question) -> AsyncIterator[AnswerStream]:
        async def batches() -> AsyncIterator[pa.RecordBatch]:
            while True:
                yield pa.RecordBatch.from_pylist([{"n": 1}])
                await asyncio.sleep(0)
                if self.fails:
                    raise ReportError("the reports process ended before the answer was complete")

        self.is_open = True
        try:
            yield AnswerStream(("n",), ("BIGINT",), 0.0, batches())
        finally:
            self.is_open = False


def app_of(portal: Portal, reports: StreamedAnswers, limits: Counted | None = None) -> PortalApp:
    authenticate = without_signatures(ASKS, listens_on=["127.0.0.1"])
    return portal_app(portal, authenticate, reports=reports, limits=limits)


async def test_csv_and_json_lines_have_every_row_of_the_caller(portal: Portal, tmp_path: Path) -> None:
    book = Book()
    book.pay(40)
    reports = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock)
    limits = Counted()
    app = app_of(portal, reports, limits)
    long = {"statement": "SELECT range AS n, 'a,b' AS t FROM range(25000)"}
    answer = await ask(app, "POST", "/sql?format=csv", long)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "content-length" not in answer.headers
    lines = answer.body.split(b"\n")
    assert (lines[0], lines[25_000], len(lines)) == (b"n,t", b'24999,"a,b"', 25_002)
    own = {"statement": "SELECT client, created_at FROM payments"}
    lines = (await ask(app, "POST", "/sql", own, {"Accept": "application/jsonl"})).body.splitlines()
    assert {json.loads(line)["client"] for line in lines} == {"exams"}
    assert json.loads(lines[0])["created_at"].endswith("Z")
    report = await ask(app, "GET", "/reports/status_by_client?month=2026-04&format=jsonl")
    rows = [json.loads(line) for line in report.body.splitlines()]
    assert {row["client"] for row in rows} == {"exams"}
    assert all(row["first_started"].endswith("-04:00") for row in rows)
    preferred = await ask(app, "GET", "/reports/status_by_client?format=json", headers={"Accept": "text/csv"})
    assert preferred.json["name"] == "status_by_client"
    assert limits.inside == 0
    await reports.close()


async def test_parquet_a_workbook_and_a_pdf_have_every_row_of_the_caller(portal: Portal, tmp_path: Path) -> None:
    book = Book()
    book.pay(40)
    reports = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock)
    limits = Counted()
    app = app_of(portal, reports, limits)
    long = {"statement": "SELECT range AS n, CAST('0.10' AS DECIMAL(18, 2)) AS amount FROM range(25000)"}
    answer = await ask(app, "POST", "/sql?format=parquet", long)
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    table = pq.read_table(io.BytesIO(answer.body))
    assert (table["n"].to_pylist(), str(table.schema.field("amount").type)) == (
        list(range(25_000)),
        "decimal128(18, 2)",
    )
    accepted = {"Accept": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
    own = await ask(app, "POST", "/sql", {"statement": "SELECT client, amount FROM payments"}, accepted)
    assert own.headers["content-type"] == accepted["Accept"]
    names, *rows = load_workbook(io.BytesIO(own.body)).active.iter_rows(values_only=True)
    assert names == ("client", "amount")
    assert {name for name, _ in rows} == {"exams"}
    assert all(isinstance(amount, int | float) for _, amount in rows)
    document = await ask(app, "GET", "/reports/status_by_client?month=2026-04&format=pdf")
    assert document.headers["content-type"] == "application/pdf"
    text = PdfReader(io.BytesIO(document.body)).pages[0].extract_text()
    assert "exams" in text
    assert "dawson" not in text
    assert limits.inside == 0
    await reports.close()


@pytest.mark.parametrize(("form", "rows_max"), [("xlsx", "WORKBOOK_ROWS_MAX"), ("pdf", "PDF_ROWS_MAX")])
async def test_a_form_with_a_limit_of_rows_is_refused_before_it_is_sent(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, form: str, rows_max: str
) -> None:
    monkeypatch.setattr(streamed_answers if form == "xlsx" else pdf, rows_max, 3)
    reports, limits = Endless(), Counted()
    answer = await ask(app_of(portal, reports, limits), "POST", f"/sql?format={form}", {"statement": "SELECT 1"})
    assert (answer.status, answer.json["code"], limits.inside) == (422, "question_too_large", 0)
    assert "must have at most 3 rows" in answer.json["message"]
    assert not reports.is_open


async def test_a_workbook_that_fails_on_the_way_is_an_error_and_leaves_no_file(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    reports = Endless(fails=True)
    answer = await ask(app_of(portal, reports), "POST", "/sql?format=xlsx", {"statement": "SELECT 1"})
    assert (answer.status, answer.json["code"]) == (503, "reports_unavailable")
    gc.collect()
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []


async def test_parquet_is_sent_as_the_rows_come(portal: Portal) -> None:
    reports = Endless()
    sent = await sent_until(app_of(portal, reports), 20, b"format=parquet")
    assert sent[1]["body"].startswith(b"PAR1")
    assert all(message["more_body"] for message in sent[1:])
    assert max(len(message["body"]) for message in sent[1:]) < 2_000
    assert not reports.is_open


@pytest.mark.parametrize(
    ("target", "body", "code"),
    [
        ("/sql?format=yaml", {"statement": "SELECT 1"}, "invalid_request"),
        ("/sql?format=csv&format=csv", {"statement": "SELECT 1"}, "invalid_request"),
        ("/sql?format=csv", {"statement": "SELECT nothing"}, "bad_statement"),
        ("/sql?format=csv", {"statement": "EXPLAIN SELECT 1"}, "bad_statement"),
    ],
)
async def test_a_mistake_is_json_in_every_form(
    portal: Portal, tmp_path: Path, target: str, body: Any, code: str
) -> None:
    book, limits = Book(), Counted()
    reports = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock)
    answer = await ask(app_of(portal, reports, limits), "POST", target, body)
    assert (answer.status, answer.json["code"], limits.inside) == (400, code, 0)
    await reports.close()


async def sent_until(app: PortalApp, parts: int, query: bytes = b"format=csv") -> list[Any]:
    """Ask a question, and leave after ``parts`` parts of the body. Return the messages."""
    sent: list[Any] = []
    left, asked = asyncio.Event(), [{"type": "http.request", "body": b'{"statement": "SELECT 1"}'}]

    async def receive() -> Any:
        if asked:
            return asked.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) > parts:
            left.set()

    scope = {"type": "http", "method": "POST", "path": "/sql", "query_string": query, "headers": []}
    await app(scope, receive, send)
    return sent


async def test_an_answer_ends_when_its_caller_leaves(portal: Portal) -> None:
    reports, limits = Endless(), Counted()
    sent = await sent_until(app_of(portal, reports, limits), 20)
    assert all(message["more_body"] for message in sent[1:])
    assert not reports.is_open
    assert limits.inside == 0


async def test_an_answer_that_fails_is_cut_off(portal: Portal, caplog: pytest.LogCaptureFixture) -> None:
    reports, limits = Endless(fails=True), Counted()
    sent = await sent_until(app_of(portal, reports, limits), 1_000)
    assert [message.get("more_body") for message in sent] == [None, True]
    assert "was cut off" in caplog.text
    assert not reports.is_open
    assert limits.inside == 0
