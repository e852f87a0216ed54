"""The forms in which an answer can be written, by name."""

from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Final, Protocol

from bursar.reports.output.head import NO_SUBJECT, AnswerHead, Subject
from bursar.reports.output.text import CsvWriter, JsonLinesWriter, JsonWriter
from bursar.reports.sql.answer import AnswerStream, SqlAnswer
from bursar.reports.sql.values import rows_of

TABLE: Final = "table"
BINARY: Final = frozenset({"parquet", "xlsx", "pdf"})
"""Forms that a terminal cannot show."""


class RowWriter(Protocol):
    """A writer of rows; it has written the head when it is made."""

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows."""
        ...

    def end(self) -> None:
        """Write what follows the last row."""
        ...


def _xlsx(head: AnswerHead, file: BinaryIO) -> RowWriter:
    from bursar.reports.output.xlsx import XlsxWriter

    return XlsxWriter(head, file)


def _pdf(head: AnswerHead, file: BinaryIO) -> RowWriter:
    from bursar.reports.output.pdf import PdfWriter

    return PdfWriter(head, file)


ROW_WRITERS: Final[dict[str, Callable[[AnswerHead, BinaryIO], RowWriter]]] = {
    "csv": CsvWriter,
    "json": JsonWriter,
    "jsonl": JsonLinesWriter,
    "xlsx": _xlsx,
    "pdf": _pdf,
}
FORMS: Final = (TABLE, *ROW_WRITERS, "parquet")


def write_answer(answer: SqlAnswer, form: str, file: BinaryIO, subject: Subject = NO_SUBJECT) -> None:
    """Write a whole answer to ``file`` in one of the forms of :data:`ROW_WRITERS`."""
    writer = ROW_WRITERS[form](AnswerHead.of(answer, subject), file)
    writer.write(answer.rows)
    writer.end()


async def write_stream(answer: AnswerStream, form: str, file: BinaryIO, subject: Subject = NO_SUBJECT) -> None:
    """Write an answer to ``file`` batch by batch, in any form but a table. Raises a ``ReportError`` and ``OSError``."""
    head = AnswerHead.of(answer, subject)
    if form == "parquet":
        await _write_parquet(answer, head, file)
        return
    writer = ROW_WRITERS[form](head, file)
    async for batch in answer.batches:
        writer.write(list(rows_of(batch, answer.types)))
    writer.end()


async def _write_parquet(answer: AnswerStream, head: AnswerHead, file: BinaryIO) -> None:
    from bursar.reports.output.parquet import ParquetWriter

    writer = ParquetWriter(head, file)
    async for batch in answer.batches:
        writer.write_batch(batch)
    writer.end()
