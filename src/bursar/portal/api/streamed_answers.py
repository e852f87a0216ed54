"""Answer a question in another form than JSON, with all its rows, in the memory of one batch.

CSV, JSON lines, Parquet    sent as the rows come; an answer that fails on the way is cut off
Excel, PDF                  made in a private temporary file first, so a failure is an error in JSON
"""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import parse_qs

from bursar.portal.contract.error_catalogue import VALIDATION_ERROR
from bursar.portal.contract.errors import InvalidRequest
from bursar.portal.contract.messages import BodyStream, Call, Reply
from bursar.portal.contract.validation import problem
from bursar.portal.use_cases.questions import answered

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from bursar.reports.output.head import Subject
    from bursar.reports.sql.answer import AnswerStream

FORMAT: Final = "format"
JSON: Final = "json"
WORKBOOK_ROWS_MAX: Final = 100_000
"""The most rows of a workbook over HTTP: making it uses CPU time of the process that serves payments."""
CHUNK_BYTES: Final = 256 * 1024
_TYPES: Final = {
    JSON: "application/json",
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}
_WHOLE: Final = frozenset({"xlsx", "pdf"})
"""The forms that cannot be sent row by row."""
FORMATS: Final = tuple(_TYPES)
STREAMED_TYPES: Final = tuple(kind.partition(";")[0] for form, kind in _TYPES.items() if form != JSON)
_ACCEPTED: Final = {
    **{kind.partition(";")[0]: form for form, kind in _TYPES.items() if form != JSON},
    "application/x-ndjson": "jsonl",
}
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
    """Return the reply whose body is the answer that ``opened`` opens.

    Raises what ``opened`` raises; for a workbook and a PDF also what reading the answer raises.
    """
    async with AsyncExitStack() as stack:
        if form in _WHOLE:
            file = stack.enter_context(TemporaryFile())  # noqa: SIM115 - the stack closes it
            async with AsyncExitStack() as reading:
                answer, subject = await opened(reading)
                await answered(_write_whole(answer, form, file, subject))
            parts = _file_parts(file)
        else:
            answer, subject = await opened(stack)
            parts = _parts(answer, form, subject)
        kept = stack.pop_all()  # open until the body has been sent
    return Reply(200, b"", _TYPES[form], stream=BodyStream(parts, kept.aclose))


async def _parts(answer: "AnswerStream", form: str, subject: "Subject") -> AsyncIterator[bytes]:
    from bursar.reports.output.forms import batch_writer

    sent = _Outbox()
    writer = batch_writer(answer, form, sent, subject)
    async for batch in answer.batches:
        await asyncio.to_thread(writer.write_batch, batch)  # in a thread: this process takes payments
        yield sent.taken()
    writer.end()
    yield sent.taken()


async def _write_whole(answer: "AnswerStream", form: str, file: BinaryIO, subject: "Subject") -> None:
    """Write the answer to ``file``. Raises the errors of reports."""
    from bursar.reports.errors import QueryTooLarge
    from bursar.reports.output.forms import batch_writer

    writer = batch_writer(answer, form, file, subject)
    rows = 0
    try:
        async for batch in answer.batches:
            rows += batch.num_rows
            if rows > WORKBOOK_ROWS_MAX:
                raise QueryTooLarge(f"a workbook: must have at most {WORKBOOK_ROWS_MAX:,} rows; use csv or parquet")
            await asyncio.to_thread(writer.write_batch, batch)
        await asyncio.to_thread(writer.end)
    finally:
        del writer  # an error keeps this frame, and the files of the writer are removed with the writer


async def _file_parts(file: BinaryIO) -> AsyncIterator[bytes]:
    file.seek(0)
    while part := await asyncio.to_thread(file.read, CHUNK_BYTES):
        yield part


class _Outbox(io.BytesIO):
    """A file in memory that a writer fills, and whose bytes :meth:`taken` removes for sending."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[bytes] = []
        self._written_bytes = 0

    def write(self, content: "ReadableBuffer") -> int:
        part = bytes(content)
        self._waiting.append(part)
        self._written_bytes += len(part)
        return len(part)

    def tell(self) -> int:
        """Return the number of bytes written so far.

        Parquet's index has offsets in the whole file, so bytes that were taken count too.
        """
        return self._written_bytes

    def taken(self) -> bytes:
        """Return the bytes that were written since the last call."""
        content = b"".join(self._waiting)
        self._waiting.clear()
        return content
