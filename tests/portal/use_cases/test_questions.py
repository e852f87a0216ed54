"""A client's questions about its own payments: its rows alone, its permissions, and the errors of the reports."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bursar.portal.contract.errors import Forbidden, InvalidRequest, NotFound, PortalError, Unanswerable, Unavailable
from bursar.portal.contract.validation import SqlRequest
from bursar.portal.use_cases.questions import ANSWER_ROWS_MAX, ReportRequest, ask_report, ask_sql, list_reports
from bursar.reports import errors
from bursar.reports.sql.answer import Question, SqlAnswer
from tests.support.portal.fake_reports import EmptyReports, FailingReports
from tests.support.portal.stage import DAWSON, Stage, on_stage

ASKS = replace(DAWSON, sql=True, reports=True)
REQUEST_ID = str(uuid.UUID(int=1))


class KeptQuestions(EmptyReports):
    """Keeps each question, and answers it without rows."""

    def __init__(self) -> None:
        self.questions: list[Question] = []

    async def answers(self, questions: Sequence[Question]) -> list[SqlAnswer]:
        self.questions += questions
        return await super().answers(questions)


async def test_a_statement_is_limited_to_the_callers_rows_and_in_length() -> None:
    reports = KeptQuestions()
    await ask_sql(reports, ASKS, SqlRequest("SELECT $a", {"a": 1}), REQUEST_ID)
    assert reports.questions == [Question("SELECT $a", {"a": 1}, rows_max=ANSWER_ROWS_MAX, cuts=True, client="dawson")]


@on_stage
async def test_a_report_is_limited_to_the_callers_rows_and_names_the_caller(stage: Stage) -> None:
    reports = KeptQuestions()
    report, _ = await ask_report(stage.portal, reports, ASKS, ReportRequest("statement", {}))
    assert report.name == "statement"
    assert {question.client for question in reports.questions} == {"dawson"}
    assert reports.questions[-1].parameters["client"] == "dawson"


@on_stage
async def test_the_client_of_a_report_is_never_chosen(stage: Stage) -> None:
    with pytest.raises(InvalidRequest):
        await ask_report(stage.portal, KeptQuestions(), ASKS, ReportRequest("statement", {"client": "exams"}))


@on_stage
async def test_each_permission_is_needed(stage: Stage) -> None:
    with pytest.raises(Forbidden):
        await ask_sql(KeptQuestions(), replace(ASKS, sql=False), SqlRequest("SELECT 1", {}), REQUEST_ID)
    without = replace(ASKS, reports=False)
    with pytest.raises(Forbidden):
        await ask_report(stage.portal, KeptQuestions(), without, ReportRequest("trend", {}))
    with pytest.raises(Forbidden):
        list_reports(without)
    assert "trend" in {report.name for report in list_reports(ASKS)}


@pytest.mark.parametrize(
    ("error", "answered", "code"),
    [
        (errors.BadSql("no such column"), InvalidRequest, "bad_statement"),
        (errors.QueryTooLong("30 s"), Unanswerable, "question_too_large"),
        (errors.QueryTooLarge("1 GB"), Unanswerable, "question_too_large"),
        (errors.LakeBroken("a file is missing"), Unavailable, "reports_unavailable"),
        (ConnectionRefusedError(), Unavailable, "reports_unavailable"),
    ],
)
async def test_an_error_of_the_reports_has_an_answer(error: Exception, answered: type[PortalError], code: str) -> None:
    with pytest.raises(answered) as raised:
        await ask_sql(FailingReports(error), ASKS, SqlRequest("SELECT 1", {}), REQUEST_ID)
    assert raised.value.code.code == code


@on_stage
async def test_an_unknown_report_and_a_wrong_parameter_are_named(stage: Stage) -> None:
    with pytest.raises(NotFound):
        await ask_report(stage.portal, KeptQuestions(), ASKS, ReportRequest("weather", {}))
    given: dict[str, Any] = {"since": "yesterday"}
    with pytest.raises(InvalidRequest) as raised:
        await ask_report(stage.portal, KeptQuestions(), ASKS, ReportRequest("trend", given))
    assert "since" in str(raised.value.body())
