"""The forms in which an answer can be written, by name."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol

from bursar.reports.output.head import NO_SUBJECT, AnswerHead, Subject
from bursar.reports.output.text import CsvWriter, JsonLinesWriter, JsonWriter
from bursar.reports.sql.answer import AnswerStream, SqlAnswer
from bursar.reports.sql.values import rows_of

if TYPE_CHECKING:
    import pyarrow as pa

TABLE: Final = "table"
BINARY: Final = frozenset({"parquet", "xlsx", "pdf"})
"""Forms that a terminal cannot show."""


class RowWriter(Protocol):
    """A writer of rows. Creating it writes the head."""

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows."""
        ...

    def end(self) -> None:
        """Write the end of the file, after the last row."""
        ...


class BatchWriter(Protocol):
    """A writer of Arrow batches."""

    def write_batch(self, batch: "pa.RecordBatch") -> None:
        """Write rows. Raises :class:`bursar.reports.errors.QueryTooLarge` if the form cannot have so many rows."""
        ...

    def end(self) -> None:
        """Write the end of the file, after the last row."""
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


def batch_writer(answer: AnswerStream, form: str, file: BinaryIO, subject: Subject = NO_SUBJECT) -> BatchWriter:
    """Return a writer of ``answer`` to ``file`` in any form but a table; only a workbook and a PDF are made at the end.

    ``file`` needs ``write`` and ``tell``, and no ``seek``.
    """
    head = AnswerHead.of(answer, subject)
    if form == "parquet":
        from bursar.reports.output.parquet import ParquetWriter

        return ParquetWriter(head, file)
    return _BatchesOfRows(ROW_WRITERS[form](head, file), answer.types)


async def write_stream(answer: AnswerStream, form: str, file: BinaryIO, subject: Subject = NO_SUBJECT) -> None:
    """Write an answer to ``file`` batch by batch, in any form but a table. Raises a ``ReportError`` and ``OSError``."""
    writer = batch_writer(answer, form, file, subject)
    async for batch in answer.batches:
        writer.write_batch(batch)
    writer.end()


class _BatchesOfRows:
    """A writer of batches over a writer of rows."""

    def __init__(self, rows: RowWriter, types: tuple[str, ...]) -> None:
        self._rows = rows
        self._types = types

    def write_batch(self, batch: "pa.RecordBatch") -> None:
        self._rows.write(list(rows_of(batch, self._types)))

    def end(self) -> None:
        self._rows.end()
