"""Write Parquet from an answer's Arrow batches, with their types: decimals, timestamps in UTC, days."""

from typing import TYPE_CHECKING, BinaryIO

from bursar.reports.output.head import AnswerHead

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


class ParquetWriter:
    """One file, compressed with Zstandard."""

    def __init__(self, head: AnswerHead, file: BinaryIO) -> None:
        self._head = head
        self._file = file
        self._writer: pq.ParquetWriter | None = None

    def write_batch(self, batch: "pa.RecordBatch") -> None:
        """Write rows. An answer has at least one batch, which may be empty."""
        import pyarrow.parquet as pq

        named = batch.rename_columns(list(self._head.names))
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, named.schema, compression="zstd")
        self._writer.write_batch(named)

    def end(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
