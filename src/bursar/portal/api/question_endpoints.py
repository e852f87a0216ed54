"""Define the endpoints for questions, ``POST /sql`` and ``GET /reports[/NAME]``. A door with reports serves them."""

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from bursar.portal.api.endpoints import Endpoint, EndpointParameter
from bursar.portal.api.streamed_answers import FORMAT, FORMATS, JSON, STREAMED_TYPES, read_form, streamed
from bursar.portal.contract.error_catalogue import (
    BAD_STATEMENT,
    INVALID_JSON,
    MISSING_BODY,
    NO_REPORTS,
    NO_SQL,
    QUESTION_TOO_LARGE,
    REPORT_NOT_FOUND,
    REPORTS_UNAVAILABLE,
    VALIDATION_ERROR,
)
from bursar.portal.contract.errors import InvalidRequest
from bursar.portal.contract.messages import Call, Reply, json_reply
from bursar.portal.contract.schemas import AS_OF_MEANING
from bursar.portal.contract.validation import AS_OF, problem, read_instant, read_sql
from bursar.portal.contract.views import answer_json, report_list_json
from bursar.portal.state.portal import Portal
from bursar.portal.use_cases.questions import (
    ReportRequest,
    ask_report,
    ask_sql,
    list_reports,
    stream_report,
    stream_sql,
)

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from bursar.reports.output.head import Subject
    from bursar.reports.port import StreamedAnswers
    from bursar.reports.sql.answer import AnswerStream

PARAMETERS_MAX: Final = 20
_LIMITS: Final = (QUESTION_TOO_LARGE, REPORTS_UNAVAILABLE)
_TEXT: Final = {"type": "string", "maxLength": 256}
_PARAMETERS: Final = (
    EndpointParameter("name", "path", {"type": "string"}, "A name of `GET /reports`."),
    EndpointParameter("since", "query", _TEXT, "The first day in New York: 2026-10-01, or -90 for 90 days ago."),
    EndpointParameter("until", "query", _TEXT, "The last day in New York."),
    EndpointParameter("month", "query", _TEXT, "A whole month, 2026-10, instead of since and until."),
    EndpointParameter("fee", "query", _TEXT, "Only this fee."),
    EndpointParameter(AS_OF, "query", _TEXT, AS_OF_MEANING),
)
_FORMAT: Final = EndpointParameter(
    FORMAT, "query", {"type": "string", "enum": list(FORMATS)}, "The form of the answer, instead of the header Accept."
)


def question_endpoints(reports: "StreamedAnswers") -> tuple[Endpoint, ...]:
    """Return the endpoints over ``reports``."""

    async def _sql(portal: Portal, call: Call) -> Reply:
        request, form = read_sql(call.body), read_form(call)
        if form != JSON:

            async def opened(stack: "AsyncExitStack") -> "tuple[AnswerStream, Subject]":
                return await stream_sql(reports, call.client, request, call.request_id, stack)

            return await streamed(form, opened)
        answer = await ask_sql(reports, call.client, request, call.request_id)
        return json_reply(answer_json(answer))

    async def _reports(portal: Portal, call: Call) -> Reply:
        return json_reply(report_list_json(list_reports(call.client)))

    async def _report(portal: Portal, call: Call) -> Reply:
        given, form = read_parameters(call.query), read_form(call)
        as_of = read_instant(given.pop(AS_OF, None))
        request = ReportRequest(call.values["name"], given, as_of)
        if form != JSON:

            async def opened(stack: "AsyncExitStack") -> "tuple[AnswerStream, Subject]":
                return await stream_report(portal, reports, call.client, request, stack)

            return await streamed(form, opened)
        report, answer = await ask_report(portal, reports, call.client, request)
        return json_reply({"name": report.name, "question": report.question, **answer_json(answer, report)})

    return (
        Endpoint(
            "POST",
            "/sql",
            "askSql",
            "Ask one SELECT about the caller's own payments",
            _sql,
            {200: "Answer"},
            errors=(VALIDATION_ERROR, MISSING_BODY, INVALID_JSON, BAD_STATEMENT, NO_SQL, *_LIMITS),
            request="SqlRequest",
            ends_with_caller=True,
            other_types=STREAMED_TYPES,
            description=(
                "The tables are those of docs/reports.md, with the rows of the caller alone. The answer has at most "
                "10,000 rows, and `cut` says whether there are more. In another format (`format`, or the header "
                "Accept) it has every row. The statement is in the portal's access log."
            ),
            parameters=(_FORMAT,),
        ),
        Endpoint(
            "GET",
            "/reports",
            "getReports",
            "The named reports, with their parameters and columns",
            _reports,
            {200: "Reports"},
            errors=(NO_REPORTS,),
        ),
        Endpoint(
            "GET",
            "/reports/{name}",
            "getReport",
            "A named report over the caller's own payments",
            _report,
            {200: "ReportAnswer"},
            errors=(VALIDATION_ERROR, REPORT_NOT_FOUND, BAD_STATEMENT, NO_REPORTS, *_LIMITS),
            parameters=(*_PARAMETERS, _FORMAT),
            ends_with_caller=True,
            other_types=STREAMED_TYPES,
            description=(
                "Every other parameter of the report may be given in the query too. In another format than JSON "
                "(`format`, or the header Accept) the answer has every row."
            ),
        ),
    )


def read_parameters(query: str) -> dict[str, str]:
    """Return the parameters in ``query``; ``month`` is since and until. Raises ``InvalidRequest``."""
    from bursar.reports.errors import BadParameter
    from bursar.reports.report_parameters import month_days

    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=PARAMETERS_MAX, errors="replace")
    except ValueError:
        raise InvalidRequest(VALIDATION_ERROR, [problem([], "the query cannot be read", "malformed")]) from None
    given: dict[str, str] = {}
    for name, text in pairs:
        values = {name: text}
        if name == "month":
            try:
                values = dict(zip(("since", "until"), month_days(text), strict=True))
            except BadParameter as error:
                raise InvalidRequest(VALIDATION_ERROR, [problem(["month"], str(error), "parameter")]) from None
        for each in values:
            if each == FORMAT:
                continue
            if each in given:
                raise InvalidRequest(VALIDATION_ERROR, [problem([each], "is given twice", "repeated")])
        given |= {each: value for each, value in values.items() if each != FORMAT}
    return given
