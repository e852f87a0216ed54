"""Answer the questions of a client about its own payments: named reports, and statements of SQL.

    POST /sql             one SELECT, by a client with ``sql = true`` in the clients' file
    GET /reports[/NAME]   a named report, by a client with ``reports = true``

The reports process enforces everything that an answer must not do: it has the rows of the client alone, it writes
nothing, and it ends a statement that needs too much time or memory. A caller that disconnects ends its question.
"""

import logging
from collections.abc import Awaitable, Mapping, Sequence
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
    from bursar.reports.port import Answers
    from bursar.reports.sql.answer import Question, SqlAnswer

ANSWER_ROWS_MAX: Final = 10_000
"""Rows of an answer over HTTP; an answer that has more says so."""

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OwnRows:
    """Reports as one client sees them: each table has the client's rows alone."""

    reports: "Answers"
    client: str

    async def answers(self, questions: "Sequence[Question]") -> "list[SqlAnswer]":
        """Return the answers, on one state of all payments."""
        return await self.reports.answers([replace(question, client=self.client) for question in questions])


async def ask_sql(
    reports: "Answers", client: Client, statement: str, parameters: Mapping[str, Any], request_id: str
) -> "SqlAnswer":
    """Return the answer to a statement about the client's payments, cut after ``ANSWER_ROWS_MAX`` rows.

    Raises ``Forbidden``, ``InvalidRequest``, ``Unanswerable`` and ``Unavailable``.
    """
    from bursar.reports.sql.answer import Question

    authorise_sql(client)
    fields = {"requestId": request_id, "client": client.name, "statement": statement}
    _log.info("statement", extra=fields)  # before it runs: a statement that is stopped is in the log too
    question = Question(statement, parameters, rows_max=ANSWER_ROWS_MAX, cuts=True)
    [answer] = await _answered(OwnRows(reports, client.name).answers([question]))
    return answer


async def ask_report(
    portal: Portal, reports: "Answers", client: Client, name: str, given: Mapping[str, str]
) -> "tuple[NamedReport, SqlAnswer]":
    """Return a named report over the client's payments, cut after ``ANSWER_ROWS_MAX`` rows.

    Raises ``Forbidden``, ``NotFound``, ``InvalidRequest``, ``Unanswerable`` and ``Unavailable``.
    """
    from bursar.reports.named_reports import named_report
    from bursar.reports.report_questions import KnownNames, report_question

    authorise_reports(client)
    own = OwnRows(reports, client.name)

    async def answer() -> "tuple[NamedReport, SqlAnswer]":
        report = named_report(name)
        if "client" in given:
            raise InvalidRequest(VALIDATION_ERROR, [problem(["client"], "is always the caller", "unknown")])
        whose = {"client": client.name} if "client" in report.parameter_names else {}
        known = KnownNames(portal.fees.keys, (client.name,))
        question = await report_question(own, name, {**given, **whose}, known=lambda: known)
        [found] = await own.answers([replace(question, rows_max=ANSWER_ROWS_MAX, cuts=True)])
        return report, found

    return await _answered(answer())


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
