"""Answer a question as CSV or JSON lines, with all its rows, in the memory of one batch."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from bursar.portal.contract.error_catalogue import VALIDATION_ERROR
from bursar.portal.contract.errors import InvalidRequest
from bursar.portal.contract.messages import BodyStream, Call, Reply
from bursar.portal.contract.validation import problem

if TYPE_CHECKING:
    import pyarrow as pa

    from bursar.reports.output.head import Subject
    from bursar.reports.sql.answer import AnswerStream

FORMAT: Final = "format"
JSON: Final = "json"
_TYPES: Final = {
    JSON: "application/json",
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl; charset=utf-8",
}
FORMATS: Final = tuple(_TYPES)
STREAMED_TYPES: Final = ("text/csv", "application/jsonl")
_ACCEPTED: Final = {"text/csv": "csv", "application/jsonl": "jsonl", "application/x-ndjson": "jsonl"}
"""Media type in the header Accept → form. Any other header means JSON."""


def read_form(call: Call) -> str:
    """Return the form that the caller asks for: its parameter ``format``, or else its header Accept.

    Raises ``InvalidRequest``.
    """
    given = parse_qs(call.query, keep_blank_values=True, errors="replace").get(FORMAT)
    if given is None:
        accepted = (each.partition(";")[0].strip().lower() for each in call.headers.get("accept", "").split(","))
        return next((_ACCEPTED[each] for each in accepted if each in _ACCEPTED), JSON)
    if len(given) > 1 or given[0] not in FORMATS:
        raise InvalidRequest(VALIDATION_ERROR, [problem([FORMAT], f"must be one of {', '.join(FORMATS)}", "enum")])
    return given[0]


async def streamed(form: str, opened: "Callable[[AsyncExitStack], Awaitable[tuple[AnswerStream, Subject]]]") -> Reply:
    """Return the reply whose body is the answer that ``opened`` opens. Raises what ``opened`` raises."""
    async with AsyncExitStack() as stack:
        answer, subject = await opened(stack)
        kept = stack.pop_all()  # open until the body has been sent
    return Reply(200, b"", _TYPES[form], stream=BodyStream(_parts(answer, form, subject), kept.aclose))


async def _parts(answer: "AnswerStream", form: str, subject: "Subject") -> AsyncIterator[bytes]:
    from bursar.reports.output.forms import ROW_WRITERS
    from bursar.reports.output.head import AnswerHead
    from bursar.reports.sql.values import rows_of

    def write(batch: "pa.RecordBatch") -> bytes:
        writer.write(list(rows_of(batch, answer.types)))
        return _taken(buffer)

    buffer = io.BytesIO()
    writer = ROW_WRITERS[form](AnswerHead.of(answer, subject), buffer)
    async for batch in answer.batches:
        yield await asyncio.to_thread(write, batch)  # in a thread: this process takes payments
    writer.end()
    yield _taken(buffer)


def _taken(buffer: io.BytesIO) -> bytes:
    content = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return content
