"""The lake's one writer: puts a batch of rows and the watermark they bring into the lake, as one commit.

A row replaces the lake's row of the same key, so writing a batch twice is writing it once, and a writer that dies
anywhere is made good by the next one, which starts again at the watermark:

    die before the commit     nothing happened; files that belong to no snapshot stay behind for the vacuum
    die between two commits   some months are ahead of the watermark; they are written again, the same
    die after the commit      done

New rows are appended to their month; a month in which a row is replaced, or which has gathered many small files, is
written anew. So a batch costs at most the months that it touches. One process writes at a time (a lock that the
operating system frees when its holder dies); should two meet on S3, Iceberg refuses the commit of the slower one.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bursar.clock import iso_ms
from bursar.reports.errors import LakeBusy
from bursar.reports.lake.lake import WATERMARK, Lake, in_months, watermark_of
from bursar.reports.lake.rows import TableRow, arrow_table
from bursar.reports.lake.schema import TABLES, TableSchema
from bursar.reports.lake.vacuum import vacuum

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

FILES_PER_MONTH_MAX: Final = 8
COMMIT_ROWS_MAX: Final = 500_000  # rows rewritten at once; beyond it a batch is several commits
_LOCK_FILE: Final = "writer.lock"


class LakeWriter:
    """An open lake, held by this process alone; made by :func:`writing`."""

    def __init__(self, catalog: "Catalog", tables: "dict[str, Table]") -> None:
        self._catalog = catalog
        self._tables = tables

    def watermark(self, schema: TableSchema) -> float | None:
        return watermark_of(self._tables[schema.name])

    def write(self, schema: TableSchema, rows: list[TableRow], watermark: float) -> int:
        """Put ``rows`` (one per key) into the lake and move the table's watermark to ``watermark``.

        Gives the number of months written anew. Raises :class:`LakeBusy` when another writer committed meanwhile.
        """
        from pyiceberg.exceptions import CommitFailedException

        try:
            return self._write(schema, rows, watermark)
        except CommitFailedException as error:
            raise LakeBusy("another process wrote the lake at the same time; nothing was changed") from error

    def _write(self, schema: TableSchema, rows: list[TableRow], watermark: float) -> int:
        table = self._tables[schema.name]
        before = watermark_of(table)
        appended_rows: list[pa.Table] = []
        rewritten_rows: list[pa.Table] = []
        months: list[datetime] = []
        rewritten = 0
        for month, arriving in _by_month(schema, arrow_table(schema, rows)):
            kept = _kept_when_rewritten(schema, table, month, arriving)
            if kept is None:
                appended_rows.append(arriving)
                continue
            rewritten += 1
            rewritten_rows += [kept, arriving]
            months.append(month)
            if sum(map(len, rewritten_rows)) > COMMIT_ROWS_MAX:
                _commit(schema, table, rewritten_rows, months, before)
                rewritten_rows, months = [], []
        _commit(schema, table, appended_rows + rewritten_rows, months, watermark)
        return rewritten

    def tidy(self) -> int:
        """Forget old snapshots and delete files that no snapshot needs; gives the number of files deleted."""
        # Iceberg stamps snapshots, and file systems files, with the wall's time whatever our clock says.
        now = time.time()
        return sum(vacuum(self._tables[schema.name], now) for schema in TABLES)


@contextmanager
def writing(lake: Lake) -> Iterator[LakeWriter]:
    """The lake, opened for writing and created where it is missing. Raises :class:`LakeBusy` when it is taken."""
    with _locked(lake), lake.catalog() as catalog:
        yield LakeWriter(catalog, lake.tables(catalog))


@contextmanager
def _locked(lake: Lake) -> Iterator[None]:
    if lake.folder is None:  # on S3, Iceberg's own check at the commit is the guard
        yield
        return
    lake.folder.mkdir(parents=True, exist_ok=True)
    with (lake.folder / _LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LakeBusy(f"another process is writing the lake at {lake.folder}") from None
        yield


def _by_month(schema: TableSchema, rows: "pa.Table") -> "Iterator[tuple[datetime, pa.Table]]":
    """The rows, split by the UTC month of their partition time, oldest month first."""
    import pyarrow.compute as pc

    starts = pc.floor_temporal(rows[schema.partition_time], unit="month")
    for start in sorted(pc.unique(starts).to_pylist()):
        month = datetime(start.year, start.month, 1, tzinfo=UTC)
        yield month, rows.filter(pc.equal(starts, _scalar(start, starts.type)))


def _scalar(value: Any, kind: "pa.DataType") -> Any:
    import pyarrow as pa

    return pa.scalar(value, kind)


def _kept_when_rewritten(
    schema: TableSchema, table: "Table", month: datetime, arriving: "pa.Table"
) -> "pa.Table | None":
    """The month's rows that stay when it is written anew, or None when the arriving rows can simply be appended."""
    import pyarrow.compute as pc

    scan = table.scan(row_filter=in_months(schema, [month]))
    file_count = sum(1 for _ in scan.plan_files())
    if file_count == 0:
        return None
    taken = pc.is_in(_keys(schema, scan.select(*schema.key).to_arrow()), value_set=_keys(schema, arriving))
    if file_count < FILES_PER_MONTH_MAX and not pc.any(taken).as_py():
        return None
    stored = scan.to_arrow()
    return stored.filter(pc.invert(pc.is_in(_keys(schema, stored), value_set=_keys(schema, arriving))))


def _keys(schema: TableSchema, rows: "pa.Table") -> Any:
    """One text per row, equal only where all columns of the key are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = [rows[name].cast(pa.string()) for name in schema.key]
    joined = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "\x1f")
    return joined.combine_chunks()


def _commit(
    schema: TableSchema,
    table: "Table",
    parts: "list[pa.Table]",
    months: list[datetime],
    watermark: float | None,
) -> None:
    """One Iceberg commit: ``months`` are emptied, ``parts`` added, the watermark set."""
    import pyarrow as pa

    from bursar.reports.lake.schema import arrow_schema

    # pyiceberg reads text as large_string; one cast brings all parts to one schema.
    whole = pa.concat_tables([part.cast(arrow_schema(schema)) for part in parts]) if parts else None
    rows = arrow_schema(schema).empty_table() if whole is None else whole.sort_by(schema.partition_time)
    properties = {} if watermark is None else {WATERMARK: iso_ms(watermark)}
    if months:
        table.overwrite(rows, overwrite_filter=in_months(schema, months), snapshot_properties=properties)
    else:
        table.append(rows, snapshot_properties=properties)
