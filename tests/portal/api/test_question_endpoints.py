"""POST /sql and GET /reports over the real reports: a client sees its own payments, and only if it may."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bursar.bootstrap.composition import Composition
from bursar.payments.catalogue.clients import Client
from bursar.portal.api.authentication import without_signatures
from bursar.portal.api.json_logs import JsonFormatter
from bursar.portal.doors.asgi import PortalApp, portal_app
from bursar.portal.state.portal import Portal
from bursar.portal.use_cases import questions
from bursar.reports import errors
from bursar.reports.port import StreamedAnswers
from bursar.reports.reports import Reports
from bursar.reports.sql.answer import Question, SqlAnswer
from bursar.settings import Settings
from tests.support.portal.asgi import ask
from tests.support.portal.fake_reports import EmptyReports, FailingReports
from tests.support.portal.stage import EXAMS
from tests.support.reports.book import Book

ASKS = replace(EXAMS, sql=True, reports=True)


@pytest.fixture
async def reports(tmp_path: Path) -> AsyncIterator[Reports]:
    book = Book()
    book.pay(40)
    made = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock)
    yield made
    await made.close()


@pytest.fixture
async def portal() -> AsyncIterator[Portal]:
    async with Composition(Settings(store="file::memory:")) as parts:
        yield await parts.portal(asks_paygov=False)


def app_of(portal: Portal, reports: StreamedAnswers, client: Client = ASKS) -> PortalApp:
    return portal_app(portal, without_signatures(client, listens_on=["127.0.0.1"]), reports=reports)


async def test_a_statement_sees_the_callers_payments_alone(portal: Portal, reports: Reports) -> None:
    statement = (
        "SELECT client, count(*) AS n, sum(amount) AS total, max(created_at) AS last FROM payments GROUP BY client"
    )
    answer = await ask(app_of(portal, reports), "POST", "/sql", {"statement": statement})
    assert answer.status == 200
    [row] = answer.json["rows"]
    assert (row["client"], row["total"]) == ("exams", f"{row['n'] * 60}.00")
    assert row["last"].endswith("Z")
    assert answer.json["types"] == ["VARCHAR", "BIGINT", "DECIMAL(38,2)", "TIMESTAMP WITH TIME ZONE"]
    assert answer.json["cut"] is False


async def test_parameters_are_bound_and_never_text(portal: Portal, reports: Reports) -> None:
    body = {"statement": "SELECT $a AS a, $b AS b, $c AS c", "parameters": {"a": "'; DROP", "b": 7, "c": 0.5}}
    answer = await ask(app_of(portal, reports), "POST", "/sql", body)
    assert answer.json["rows"] == [{"a": "'; DROP", "b": 7, "c": "0.5"}]


async def test_a_long_answer_is_cut_and_a_large_number_is_text(
    portal: Portal, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "ANSWER_ROWS_MAX", 3)
    app = app_of(portal, reports)
    answer = await ask(app, "POST", "/sql", {"statement": "SELECT range AS n FROM range(10)"})
    assert (answer.json["rows"], answer.json["cut"]) == ([{"n": 0}, {"n": 1}, {"n": 2}], True)
    large = await ask(app, "POST", "/sql", {"statement": "SELECT CAST('99999999999999999999' AS HUGEINT) AS n"})
    assert large.json["rows"] == [{"n": "99999999999999999999"}]


async def test_a_named_report_is_the_callers_with_totals_and_new_york_time(portal: Portal, reports: Reports) -> None:
    app = app_of(portal, reports)
    listed = (await ask(app, "GET", "/reports")).json["reports"]
    assert "client" not in {one["name"] for each in listed for one in each["parameters"]}
    answer = await ask(app, "GET", "/reports/status_by_client?month=2026-04")
    assert answer.status == 200
    assert {row["client"] for row in answer.json["rows"]} == {"exams"}
    assert answer.json["totals"]["attempts"] == sum(row["attempts"] for row in answer.json["rows"])
    assert all(row["first_started"].endswith("-04:00") for row in answer.json["rows"])
    statement = await ask(app, "GET", "/reports/statement?fee=COPY_FEE")
    assert statement.status == 200
    assert {row["fee"] for row in statement.json["rows"]} == {"COPY_FEE"}


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "code"),
    [
        ("POST", "/sql", {"statement": "SELECT nothing FROM payments"}, 400, "bad_statement"),
        ("POST", "/sql", {"statement": "DELETE FROM payments"}, 400, "bad_statement"),
        ("POST", "/sql", {"statement": "EXPLAIN SELECT 1"}, 400, "bad_statement"),
        ("POST", "/sql", {"statement": "SELECT * FROM all_payments"}, 400, "bad_statement"),
        ("POST", "/sql", {"statement": ""}, 400, "invalid_request"),
        ("POST", "/sql", {"statement": "SELECT 1", "parameters": {"a": [1]}}, 400, "invalid_request"),
        ("POST", "/sql", {"query": "SELECT 1"}, 400, "invalid_request"),
        ("POST", "/sql", None, 400, "missing_body"),
        ("GET", "/reports/weather", None, 404, "report_not_found"),
        ("GET", "/reports/trend?since=yesterday", None, 400, "invalid_request"),
        ("GET", "/reports/trend?fee=NO_FEE", None, 400, "invalid_request"),
        ("GET", "/reports/trend?client=dawson", None, 400, "invalid_request"),
        ("GET", "/reports/trend?month=2026-13", None, 400, "invalid_request"),
        ("GET", "/reports/trend?month=2026-12&until=2026-12-01", None, 400, "invalid_request"),
        ("GET", "/reports/trend?color=red", None, 400, "invalid_request"),
        ("GET", "/reports/trend?asOf=2026-02-30", None, 400, "invalid_request"),
        ("GET", "/reports/trend?asOf=2026-04-01&asOf=2026-04-02", None, 400, "invalid_request"),
        ("POST", "/sql", {"statement": "SELECT 1", "asOf": "2026-04-01T12:00:00"}, 400, "invalid_request"),
        ("POST", "/sql", {"statement": "SELECT 1", "asOf": 1775000000}, 400, "invalid_request"),
    ],
)
async def test_a_mistake_is_named(
    portal: Portal, reports: Reports, method: str, target: str, body: Any, status: int, code: str
) -> None:
    answer = await ask(app_of(portal, reports), method, target, body)
    assert (answer.status, answer.json["code"]) == (status, code), answer.json


async def test_a_question_about_the_past_has_the_state_of_that_instant(
    portal: Portal, reports: Reports, tmp_path: Path
) -> None:
    app, count = app_of(portal, reports), "SELECT count(*) AS n, min(created_at) AS first FROM payments"
    now = (await ask(app, "POST", "/sql", {"statement": count})).json
    [first] = now["rows"]
    for moment, expected in ((first["first"], 1), (now["asOf"], first["n"]), ("2026-03-29", 0)):
        past = (await ask(app, "POST", "/sql", {"statement": count, "asOf": moment})).json
        assert past["rows"][0]["n"] == expected
    assert past["asOf"] == "2026-03-30T03:59:59.999Z"  # the end of that day in New York
    report = (await ask(app, "GET", f"/reports/status_by_client?asOf={first['first']}")).json
    assert (report["totals"]["attempts"], report["asOf"]) == (1, first["first"])
    lines = await ask(app, "GET", f"/reports/status_by_client?asOf={first['first']}&format=csv")
    assert len(lines.body.splitlines()) == 2


@pytest.mark.parametrize("instant", ["2999-01-01", "2026-02-30", "yesterday"])
async def test_an_instant_that_has_no_state_is_named(portal: Portal, reports: Reports, instant: str) -> None:
    app = app_of(portal, reports)
    for answer in (
        await ask(app, "GET", f"/reports/trend?asOf={instant}"),
        await ask(app, "POST", "/sql", {"statement": "SELECT count(*) FROM payments", "asOf": instant}),
        await ask(app, "POST", "/sql?format=xlsx", {"statement": "SELECT count(*) FROM payments", "asOf": instant}),
    ):
        assert (answer.status, answer.json["code"]) == (400, "invalid_request")
        [problem] = answer.json["errors"]
        assert problem["path"] == ["asOf"]
        assert problem["message"].startswith("must ")


async def test_an_unknown_fee_lists_no_fee_that_only_others_have(portal: Portal, reports: Reports) -> None:
    nobody = replace(ASKS, name="newcomer")
    answer = await ask(app_of(portal, reports, nobody), "GET", "/reports/trend?fee=NO_FEE")
    [problem] = answer.json["errors"]
    assert problem["path"] == ["fee"]
    assert problem["message"].startswith(f"must be one of {', '.join(portal.fees.keys)}; got")


@pytest.mark.parametrize(
    ("client", "method", "target", "code"),
    [
        (EXAMS, "POST", "/sql", "not_authorized_for_sql"),
        (replace(EXAMS, reports=True), "POST", "/sql", "not_authorized_for_sql"),
        (EXAMS, "GET", "/reports", "not_authorized_for_reports"),
        (replace(EXAMS, sql=True), "GET", "/reports/trend", "not_authorized_for_reports"),
    ],
)
async def test_each_permission_is_given_on_its_own(
    portal: Portal, reports: Reports, client: Client, method: str, target: str, code: str
) -> None:
    answer = await ask(app_of(portal, reports, client), method, target, {"statement": "SELECT 1"})
    assert (answer.status, answer.json["code"]) == (403, code)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.QueryTooLong("the query reached its time limit"), 422, "question_too_large"),
        (errors.QueryTooLarge("the query needs more than 1GB of memory"), 422, "question_too_large"),
        (errors.LakeBusy("another process"), 503, "reports_unavailable"),
        (errors.LakeBroken("/secret/path cannot be read"), 503, "reports_unavailable"),
        (ConnectionRefusedError(), 503, "reports_unavailable"),
    ],
)
async def test_a_limit_and_a_failure_have_their_codes(portal: Portal, error: Exception, status: int, code: str) -> None:
    for method, target in (("POST", "/sql"), ("GET", "/reports/trend")):
        answer = await ask(app_of(portal, FailingReports(error)), method, target, {"statement": "SELECT 1"})
        assert (answer.status, answer.json["code"]) == (status, code)
        assert "/secret" not in answer.body.decode()


async def test_a_caller_that_disconnects_ends_its_question(portal: Portal) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    class Slow(EmptyReports):
        async def answers(self, questions: Sequence[Question]) -> list[SqlAnswer]:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return []

    body = json.dumps({"statement": "SELECT 1"}).encode()
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])
    sent: list[Any] = []

    async def receive() -> Any:
        message = next(messages, None)
        if message is None:
            await began.wait()
            return {"type": "http.disconnect"}
        return message

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/sql", "query_string": b"", "headers": []}
    await asyncio.wait_for(app_of(portal, Slow())(scope, receive, send), 60)
    assert ended.is_set()
    assert sent == []


async def test_every_statement_is_in_the_access_log(
    portal: Portal, reports: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bursar.portal")
    await ask(app_of(portal, reports), "POST", "/sql", {"statement": "SELECT 42"}, headers={"x-request-id": "abc"})
    [line] = [record for record in caplog.records if record.getMessage() == "statement"]
    logged = json.loads(JsonFormatter().format(line))
    assert (logged["requestId"], logged["client"], logged["statement"]) == ("abc", "exams", "SELECT 42")


async def test_a_door_without_reports_has_no_such_endpoint(portal: Portal) -> None:
    app = portal_app(portal, without_signatures(ASKS, listens_on=["127.0.0.1"]))
    assert (await ask(app, "POST", "/sql", {"statement": "SELECT 1"})).status == 404
