"""The final rows that a scan found, month by month, until the lake that is being built has them.

    add ─► memory, up to BUFFER_BYTES_MAX ─► a file without a name: one piece for each table and month
                                         parts ─► the pieces of one month, up to PART_BYTES_MAX at a time

So each row is sorted and stored in the lake once, in large files, and the memory does not depend on the number of rows
or on the size of a month. The operating system frees the file when the process ends, however it ends.
"""

import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Final, NamedTuple, Self

from bursar.reports.errors import LakeBroken
from bursar.reports.lake.merging import MERGE_ROWS_MAX
from bursar.reports.lake.monthly_files import by_month
from bursar.reports.lake.schema import TABLES, TableSchema, table_named

if TYPE_CHECKING:
    import pyarrow as pa

BUFFER_BYTES_MAX: Final = 24 << 20
"""The bytes of rows in memory before they are moved to the file."""
PART_BYTES_MAX: Final = 24 << 20
"""The most bytes of a part, unless one piece has more."""
UNWRITTEN_ROWS_MAX: Final = 400_000
"""The most rows in memory if the file cannot be written."""

_log = logging.getLogger(__name__)


class _Piece(NamedTuple):
    """The place of some rows in the file, in bytes."""

    at: int
    size: int


class FoundRows:
    """The rows of one build; use it in a ``with``. Its methods block.

    ``folder``: where to make the file; the folder for temporary files if it is None.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._waiting: dict[str, list[pa.Table]] = {schema.name: [] for schema in TABLES}
        self._waiting_bytes = 0
        self._pieces: dict[tuple[str, int], list[_Piece]] = {}
        self._is_unwritable = False
        self.row_count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, finals: "Mapping[str, pa.Table]") -> None:
        """Add final rows by table name. Raise :class:`LakeBroken` if they are too many and cannot be stored."""
        for name, rows in finals.items():
            self._waiting[name].append(rows)
            self._waiting_bytes += rows.nbytes
            self.row_count += rows.num_rows
        if self._waiting_bytes <= BUFFER_BYTES_MAX:
            return
        if not self._is_unwritable:
            try:
                self._store()
            except OSError as error:
                self._is_unwritable = True
                _log.warning("the rows of a lake that is being built cannot be stored: %s", error)
        if self._is_unwritable and self.row_count > UNWRITTEN_ROWS_MAX:
            raise LakeBroken("the rows of a lake that is being built cannot be stored: the disk cannot be written")

    def parts(self, schema: TableSchema) -> "Iterator[pa.Table]":
        """Yield all rows of a table in parts of one month each, in the order in which they were found."""
        import pyarrow as pa

        waiting = dict(self._by_month(schema.name))
        months = sorted({*waiting, *(month for name, month in self._pieces if name == schema.name)})
        for month in months:
            part: list[pa.Table] = []
            for rows in self._found(schema.name, month, waiting):
                if part and not _is_part([*part, rows]):
                    yield pa.concat_tables(part)
                    part = []
                part.append(rows)
            yield pa.concat_tables(part)

    def tables(self) -> "Iterator[tuple[TableSchema, pa.Table]]":
        """Yield all rows, in no particular order. This loads no compute functions of Arrow, unlike :meth:`parts`."""
        for (name, _), pieces in self._pieces.items():
            for piece in pieces:
                yield table_named(name), self._read(piece)
        for name, waiting in self._waiting.items():
            for rows in waiting:
                yield table_named(name), rows

    def _found(self, name: str, month: int, waiting: "Mapping[int, pa.Table]") -> "Iterator[pa.Table]":
        for piece in self._pieces.get((name, month), ()):
            yield self._read(piece)
        if month in waiting:
            yield waiting[month]

    def _by_month(self, name: str) -> "Iterator[tuple[int, pa.Table]]":
        """Yield the rows in memory by month. A final row has a month."""
        import pyarrow as pa

        if found := self._waiting[name]:
            for month, rows in by_month(pa.concat_tables(found), table_named(name).partition_day):
                assert month is not None
                yield month, rows

    def _store(self) -> None:
        """Move the rows in memory to the file. The rows of a table stay in memory if that fails."""
        if self._file is None:
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # closed at the end of the ``with``
        for name, found in self._waiting.items():
            stored = [(month, self._write(rows)) for month, rows in self._by_month(name)]
            for month, piece in stored:
                self._pieces.setdefault((name, month), []).append(piece)
            self._waiting_bytes -= _bytes_of(found)
            self._waiting[name] = []

    def _write(self, rows: "pa.Table") -> _Piece:
        import pyarrow as pa

        assert self._file is not None
        options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        at = self._file.seek(0, 2)
        with pa.ipc.new_stream(self._file, rows.schema, options=options) as stream:
            stream.write_table(rows)
        self._file.flush()
        return _Piece(at, self._file.tell() - at)

    def _read(self, piece: _Piece) -> "pa.Table":
        import pyarrow as pa

        assert self._file is not None
        self._file.seek(piece.at)
        with pa.ipc.open_stream(self._file.read(piece.size)) as stream:
            return stream.read_all()


def _is_part(tables: "Sequence[pa.Table]") -> bool:
    return sum(rows.num_rows for rows in tables) <= MERGE_ROWS_MAX and _bytes_of(tables) <= PART_BYTES_MAX


def _bytes_of(tables: "Iterable[pa.Table]") -> int:
    return sum(rows.nbytes for rows in tables)
