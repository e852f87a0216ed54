"""Answer the questions of a client about its own payments: named reports, and statements of SQL.

    POST /sql             one SELECT, by a client with ``sql = true`` in the clients' file
    GET /reports[/NAME]   a named report, by a client with ``reports = true``

The reports process enforces everything that an answer must not do: it has the rows of the client alone, it writes
nothing, and it ends a statement that needs too much time or memory. A caller that disconnects ends its question.
"""

import logging
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bursar.payments.clients import Client
from bursar.portal.contract.authorisation import authorise_reports, authorise_sql
from bursar.portal.contract.error_catalogue import (
    BAD_STATEMENT,
    QUESTION_TOO_LARGE,
    REPORT_NOT_FOUND,
    REPORTS_UNAVAILABLE,
    VALIDATION_ERROR,
)
from bursar.portal.contract.errors import InvalidRequest, NotFound, Unanswerable, Unavailable
from bursar.portal.contract.validation import problem
from bursar.portal.use_cases.portal import Portal

if TYPE_CHECKING:
    from bursar.reports.named_reports import NamedReport
    from bursar.reports.output.head import Subject
    from bursar.reports.port import StreamedAnswers
    from bursar.reports.sql.answer import AnswerStream, Question, SqlAnswer

ANSWER_ROWS_MAX: Final = 10_000
"""Rows of an answer over HTTP; an answer that has more says so."""

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OwnRows:
    """Reports as one client sees them: each table has the client's rows alone."""

    reports: "StreamedAnswers"
    client: str

    def stream(self, question: "Question") -> "AbstractAsyncContextManager[AnswerStream]":
        """Open the answer to a statement, with all its rows, for the length of a ``with``."""
        return self.reports.stream(replace(question, client=self.client))

    async def answers(self, questions: "Sequence[Question]") -> "list[SqlAnswer]":
        """Return the answers, on one state of all payments."""
        return await self.reports.answers([replace(question, client=self.client) for question in questions])


async def ask_sql(
    reports: "StreamedAnswers", client: Client, statement: str, parameters: Mapping[str, Any], request_id: str
) -> "SqlAnswer":
    """Return the answer to a statement about the client's payments, cut after ``ANSWER_ROWS_MAX`` rows.

    Raises ``Forbidden``, ``InvalidRequest``, ``Unanswerable`` and ``Unavailable``.
    """
    question = _noted(client, statement, parameters, request_id)
    [answer] = await _answered(OwnRows(reports, client.name).answers([question]))
    return answer


async def stream_sql(
    reports: "StreamedAnswers",
    client: Client,
    statement: str,
    parameters: Mapping[str, Any],
    request_id: str,
    stack: AsyncExitStack,
) -> "tuple[AnswerStream, Subject]":
    """Open the answer to a statement about the client's payments, with all its rows. ``stack`` closes it.

    Raises as :func:`ask_sql`.
    """
    from bursar.reports.output.head import NO_SUBJECT

    question = _noted(client, statement, parameters, request_id)
    stream = await _answered(stack.enter_async_context(OwnRows(reports, client.name).stream(question)))
    return stream, NO_SUBJECT


def _noted(client: Client, statement: str, parameters: Mapping[str, Any], request_id: str) -> "Question":
    """Return the question, once it is in the access log: a statement that is stopped is there too."""
    from bursar.reports.sql.answer import Question

    authorise_sql(client)
    _log.info("statement", extra={"requestId": request_id, "client": client.name, "statement": statement})
    return Question(statement, parameters, rows_max=ANSWER_ROWS_MAX, cuts=True)


async def ask_report(
    portal: Portal, reports: "StreamedAnswers", client: Client, name: str, given: Mapping[str, str]
) -> "tuple[NamedReport, SqlAnswer]":
    """Return a named report over the client's payments, cut after ``ANSWER_ROWS_MAX`` rows.

    Raises ``Forbidden``, ``NotFound``, ``InvalidRequest``, ``Unanswerable`` and ``Unavailable``.
    """
    own = OwnRows(reports, client.name)

    async def answer() -> "tuple[NamedReport, SqlAnswer]":
        report, question = await _report_question(portal, own, client, name, given)
        [found] = await own.answers([replace(question, rows_max=ANSWER_ROWS_MAX, cuts=True)])
        return report, found

    return await _answered(answer())


async def stream_report(
    portal: Portal,
    reports: "StreamedAnswers",
    client: Client,
    name: str,
    given: Mapping[str, str],
    stack: AsyncExitStack,
) -> "tuple[AnswerStream, Subject]":
    """Open a named report over the client's payments, with all its rows. ``stack`` closes it.

    Raises as :func:`ask_report`.
    """
    own = OwnRows(reports, client.name)

    async def opened() -> "tuple[AnswerStream, Subject]":
        report, question = await _report_question(portal, own, client, name, given)
        return await stack.enter_async_context(own.stream(question)), report.subject(given)

    return await _answered(opened())


async def _report_question(
    portal: Portal, own: OwnRows, client: Client, name: str, given: Mapping[str, str]
) -> "tuple[NamedReport, Question]":
    from bursar.reports.named_reports import named_report
    from bursar.reports.report_questions import KnownNames, report_question

    authorise_reports(client)
    report = named_report(name)
    if "client" in given:
        raise InvalidRequest(VALIDATION_ERROR, [problem(["client"], "is always the caller", "unknown")])
    whose = {"client": client.name} if "client" in report.parameter_names else {}
    known = KnownNames(portal.fees.keys, (client.name,))
    return report, await report_question(own, name, {**given, **whose}, known=lambda: known)


def list_reports(client: Client) -> "list[NamedReport]":
    """Return every named report, by name. Raises ``Forbidden``."""
    from bursar.reports.named_reports import named_reports

    authorise_reports(client)
    return list(named_reports().values())


async def _answered(question: Awaitable[T]) -> T:
    """Await ``question`` and translate the errors of the reports."""
    from bursar.reports.errors import BadParameter, BadSql, NoSuchReport, QueryTooLarge, QueryTooLong, ReportError

    try:
        return await question
    except BadSql as error:
        raise InvalidRequest(BAD_STATEMENT.saying(str(error))) from error
    except BadParameter as error:
        name, _, rule = str(error).partition(": ")
        raise InvalidRequest(VALIDATION_ERROR, [problem([name], rule or name, "parameter")]) from error
    except NoSuchReport as error:
        raise NotFound(REPORT_NOT_FOUND.saying(str(error))) from error
    except (QueryTooLong, QueryTooLarge) as error:
        raise Unanswerable(QUESTION_TOO_LARGE.saying(str(error))) from error
    except (ReportError, OSError) as error:
        raise Unavailable(REPORTS_UNAVAILABLE) from error
