"""Send an answer of any length as a file, in bounded memory: CSV, a workbook, or Parquet.

    reports ── batch by batch ──► writer, in a thread ──► CSV: at once
                                                      └─► others: a private temporary file, then its bytes

The work of a batch is done in a thread, so this process continues to serve payments. Text is made harmless in CSV and
in workbooks; Parquet is for programs and has the stored values.
"""

import asyncio
import io
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, BinaryIO, Final

from starlette.responses import Response, StreamingResponse

from bursar.dashboard.exports.progress import ExportResponse, ExportRun
from bursar.reports.output.forms import ROW_WRITERS, RowWriter, write_answer
from bursar.reports.output.head import AnswerHead, Subject
from bursar.reports.port import PaymentReports
from bursar.reports.sql.answer import AnswerStream, Question, SqlAnswer
from bursar.reports.sql.values import rows_of
from bursar.web.pages.harmless_text import cell_text, harmless

CHUNK_BYTES: Final = 256 * 1024
MEDIA_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
}
"""Form of an export → its media type."""
EXPORT_FORMS: Final = tuple(MEDIA_TYPES)
PDF: Final = "pdf"
"""The form of a document for people, which has a limit of rows."""


def download_headers(name: str) -> dict[str, str]:
    """Return the headers of a download that the browser stores as ``name`` and no cache keeps."""
    return {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}


def export(
    reports: PaymentReports, question: Question, form: str, name: str, subject: Subject, run: ExportRun | None = None
) -> StreamingResponse:
    """Return the answer to ``question`` as a download ``name.form``, one of :data:`EXPORT_FORMS`.

    ``run`` gets its progress, and may stop it.
    """
    chunks, headers = _chunks(reports, question, form, subject, run), download_headers(f"{name}.{form}")
    return ExportResponse(chunks, media_type=MEDIA_TYPES[form], headers=headers)


async def document(reports: PaymentReports, question: Question, name: str, subject: Subject) -> Response:
    """Return the answer to ``question`` as a PDF download. Raises ``QueryTooLarge`` if it has too many rows."""
    from bursar.reports.output.pdf import PDF_ROWS_MAX

    [answer] = await reports.answers([replace(question, rows_max=PDF_ROWS_MAX + 1, cuts=True)])
    content = await asyncio.to_thread(_pdf, answer, subject)
    return Response(content, headers=download_headers(f"{name}.{PDF}"), media_type="application/pdf")


def _pdf(answer: SqlAnswer, subject: Subject) -> bytes:
    file = io.BytesIO()
    rows = [tuple(harmless(value) if isinstance(value, str) else value for value in row) for row in answer.rows]
    write_answer(replace(answer, rows=rows), PDF, file, subject)
    return file.getvalue()


async def _chunks(
    reports: PaymentReports, question: Question, form: str, subject: Subject, run: ExportRun | None
) -> AsyncIterator[bytes]:
    async with nullcontext() if run is None else run.recorded(), reports.stream(question) as opened:
        answer = opened if run is None else replace(opened, batches=run.counted(opened.batches))
        if form == "csv":
            async for chunk in _csv(answer, subject):
                yield chunk
            return
        with tempfile.TemporaryFile() as file:
            await (_parquet if form == "parquet" else _workbook)(answer, file, subject)
            file.seek(0)
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk


async def _csv(answer: AnswerStream, subject: Subject) -> AsyncIterator[bytes]:
    buffer = io.BytesIO()
    writer = ROW_WRITERS["csv"](AnswerHead.of(answer, subject), buffer)
    async for batch in answer.batches:
        await asyncio.to_thread(_write, writer, batch, answer, cell_text)
        yield _taken(buffer)
    writer.end()
    yield _taken(buffer)


async def _workbook(answer: AnswerStream, file: BinaryIO, subject: Subject) -> None:
    from bursar.reports.output.xlsx import XlsxWriter

    writer = XlsxWriter(AnswerHead.of(answer, subject), file)
    try:
        async for batch in answer.batches:
            await asyncio.to_thread(_write, writer, batch, answer, harmless)
    except BaseException:
        writer.abandon()
        raise
    await asyncio.to_thread(writer.end)


async def _parquet(answer: AnswerStream, file: BinaryIO, subject: Subject) -> None:
    from bursar.reports.output.parquet import ParquetWriter

    writer = ParquetWriter(AnswerHead.of(answer, subject), file)
    try:
        async for batch in answer.batches:
            await asyncio.to_thread(writer.write_batch, batch)
    except BaseException:
        writer.end()  # ended here, because pyarrow ends it only when the file is closed
        raise
    await asyncio.to_thread(writer.end)


def _write(writer: RowWriter, batch: Any, answer: AnswerStream, made: Callable[[Any], str]) -> None:
    """Write the rows of a batch, with ``made`` applied to each text."""
    writer.write(
        [
            tuple(made(value) if isinstance(value, str) else value for value in row)
            for row in rows_of(batch, answer.types)
        ]
    )


def _taken(buffer: io.BytesIO) -> bytes:
    content = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return content
