"""Answer the questions of a client about its own payments: named reports, and statements of SQL.

    POST /sql             one SELECT, by a client with ``sql = true`` in the clients' file
    GET /reports[/NAME]   a named report, by a client with ``reports = true``

The reports process enforces everything that an answer must not do: it reads only the client's rows, writes nothing, and
ends a statement that needs too much time or memory. A caller that disconnects ends its question.
"""

import logging
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from bursar.payments.catalogue.clients import Client
from bursar.portal.contract.authorisation import authorise_reports, authorise_sql
from bursar.portal.contract.error_catalogue import (
    BAD_STATEMENT,
    QUESTION_TOO_LARGE,
    REPORT_NOT_FOUND,
    REPORTS_UNAVAILABLE,
    VALIDATION_ERROR,
)
from bursar.portal.contract.errors import InvalidRequest, NotFound, Unanswerable, Unavailable
from bursar.portal.contract.validation import AS_OF, SqlRequest, problem
from bursar.portal.state.portal import Portal

if TYPE_CHECKING:
    from bursar.reports.named_reports import NamedReport
    from bursar.reports.output.head import Subject
    from bursar.reports.port import StreamedAnswers
    from bursar.reports.sql.answer import AnswerStream, Question, SqlAnswer

ANSWER_ROWS_MAX: Final = 10_000
"""The most rows of an answer over HTTP. An answer that was cut has a mark."""

T = TypeVar("T")
_log = logging.getLogger(__name__)


class ReportRequest(NamedTuple):
    """A request for a named report with the parameters that were ``given``, of the state at ``as_of`` (Unix seconds).

    ``as_of`` is None for the present state.
    """

    name: str
    given: Mapping[str, str]
    as_of: float | None = None


@dataclass(frozen=True, slots=True)
class OwnRows:
    """The reports of one client: each table has only the client's rows."""

    reports: "StreamedAnswers"
    client: str

    def stream(self, question: "Question") -> "AbstractAsyncContextManager[AnswerStream]":
        """Open the answer to a statement, with all its rows, for the length of a ``with``."""
        return self.reports.stream(replace(question, client=self.client))

    async def answers(self, questions: "Sequence[Question]") -> "list[SqlAnswer]":
        """Return the answers, on one state of all payments."""
        return await self.reports.answers([replace(question, client=self.client) for question in questions])


async def ask_sql(reports: "StreamedAnswers", client: Client, request: SqlRequest, request_id: str) -> "SqlAnswer":
    """Return the answer to a statement about the client's payments, cut after ``ANSWER_ROWS_MAX`` rows.

    Raises ``Forbidden``, ``InvalidRequest``, ``Unanswerable`` and ``Unavailable``.
    """
    question = _noted(client, request, request_id)
    [answer] = await answered(OwnRows(reports, client.name).answers([question]))
    return answer


async def stream_sql(
    reports: "StreamedAnswers", client: Client, request: SqlRequest, request_id: str, stack: AsyncExitStack
) -> "tuple[AnswerStream, Subject]":
    """Open the answer to a statement about the client's payments, with all its rows. ``stack`` closes it.

    Raises as :func:`ask_sql`.
    """
    from bursar.reports.output.head import NO_SUBJECT

    question = _noted(client, request, request_id)
    stream = await answered(stack.enter_async_context(OwnRows(reports, client.name).stream(question)))
    return stream, NO_SUBJECT


def _noted(client: Client, request: SqlRequest, request_id: str) -> "Question":
    """Write the question to the access log, then return it. So a statement that is stopped later is logged too."""
    from bursar.reports.sql.answer import Question

    authorise_sql(client)
    _log.info("statement", extra={"requestId": request_id, "client": client.name, "statement": request.statement})
    return Question(request.statement, request.parameters, rows_max=ANSWER_ROWS_MAX, cuts=True, as_of=request.as_of)


async def ask_report(
    portal: Portal, reports: "StreamedAnswers", client: Client, request: ReportRequest
) -> "tuple[NamedReport, SqlAnswer]":
    """Return a named report over the client's payments, cut after ``ANSWER_ROWS_MAX`` rows.

    Raises ``Forbidden``, ``NotFound``, ``InvalidRequest``, ``Unanswerable`` and ``Unavailable``.
    """
    own = OwnRows(reports, client.name)

    async def answer() -> "tuple[NamedReport, SqlAnswer]":
        report, question = await _report_question(portal, own, client, request)
        [found] = await own.answers([replace(question, rows_max=ANSWER_ROWS_MAX, cuts=True)])
        return report, found

    return await answered(answer())


async def stream_report(
    portal: Portal, reports: "StreamedAnswers", client: Client, request: ReportRequest, stack: AsyncExitStack
) -> "tuple[AnswerStream, Subject]":
    """Open a named report over the client's payments, with all its rows. ``stack`` closes it.

    Raises as :func:`ask_report`.
    """
    own = OwnRows(reports, client.name)

    async def opened() -> "tuple[AnswerStream, Subject]":
        report, question = await _report_question(portal, own, client, request)
        return await stack.enter_async_context(own.stream(question)), report.subject(request.given)

    return await answered(opened())


async def _report_question(
    portal: Portal, own: OwnRows, client: Client, request: ReportRequest
) -> "tuple[NamedReport, Question]":
    from bursar.reports.named_reports import named_report
    from bursar.reports.report_questions import KnownNames, report_question

    authorise_reports(client)
    report = named_report(request.name)
    if "client" in request.given:
        raise InvalidRequest(VALIDATION_ERROR, [problem(["client"], "is always the caller", "unknown")])
    whose = {"client": client.name} if "client" in report.parameter_names else {}
    known = KnownNames(portal.fees.keys, (client.name,))
    given = {**request.given, **whose}
    return report, await report_question(own, request.name, given, known=lambda: known, as_of=request.as_of)


def list_reports(client: Client) -> "list[NamedReport]":
    """Return every named report, by name. Raises ``Forbidden``."""
    from bursar.reports.named_reports import named_reports

    authorise_reports(client)
    return list(named_reports().values())


async def answered(question: Awaitable[T]) -> T:
    """Await ``question`` and translate the errors of the reports. Raises as :func:`ask_report`."""
    from bursar.reports.errors import (
        BadInstant,
        BadParameter,
        BadSql,
        NoSuchReport,
        QueryTooLarge,
        QueryTooLong,
        ReportError,
    )

    try:
        return await question
    except BadSql as error:
        raise InvalidRequest(BAD_STATEMENT.saying(str(error))) from error
    except BadParameter as error:
        name, _, rule = str(error).partition(": ")
        path = [AS_OF if isinstance(error, BadInstant) else name]
        raise InvalidRequest(VALIDATION_ERROR, [problem(path, rule or name, "parameter")]) from error
    except NoSuchReport as error:
        raise NotFound(REPORT_NOT_FOUND.saying(str(error))) from error
    except (QueryTooLong, QueryTooLarge) as error:
        raise Unanswerable(QUESTION_TOO_LARGE.saying(str(error))) from error
    except (ReportError, OSError) as error:
        raise Unavailable(REPORTS_UNAVAILABLE) from error
