"""The only writer of the lake: writes a batch of rows and the new watermark as one commit.

A row replaces the lake's row of the same key, so writing a batch twice has the same result as writing it once. After a
writer that died at any point, the next writer starts again at the watermark:

    die before the commit     nothing changed; the vacuum deletes files that belong to no snapshot
    die between two commits   some months are ahead of the watermark; they are written again, the same
    die after the commit      done

New rows are appended to their month. A month in which a row is replaced, or that has many small files, is rewritten. So
a batch costs at most the months that it touches. One process writes at a time, under a lock that the operating system
frees when the process dies. If two writers meet on S3, Iceberg refuses the commit of the slower one.
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
COMMIT_ROWS_MAX: Final = 500_000  # rows in one commit that rewrites months; a larger batch is several commits
_LOCK_FILE: Final = "writer.lock"


class LakeWriter:
    """An open lake that only this process may write. :func:`writing` makes it."""

    def __init__(self, catalog: "Catalog", tables: "dict[str, Table]") -> None:
        self._catalog = catalog
        self._tables = tables

    def watermark(self, schema: TableSchema) -> float | None:
        """Return the table's watermark, epoch seconds; None before the first write."""
        return watermark_of(self._tables[schema.name])

    def write(self, schema: TableSchema, rows: list[TableRow], watermark: float) -> int:
        """Write ``rows`` (one per key) to the lake and move the table's watermark to ``watermark``.

        Returns the number of rewritten months. Raises :class:`LakeBusy` if another writer committed in between.
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
        """Expire old snapshots and delete files that no snapshot needs. Return the number of files deleted."""
        # Iceberg and file systems use the system clock for their timestamps, so ours does not apply here.
        now = time.time()
        return sum(vacuum(self._tables[schema.name], now) for schema in TABLES)


@contextmanager
def writing(lake: Lake) -> Iterator[LakeWriter]:
    """Open the lake for writing; create it if it is missing. Raise :class:`LakeBusy` if another process has it."""
    with _locked(lake), lake.catalog() as catalog:
        yield LakeWriter(catalog, lake.tables(catalog))


@contextmanager
def _locked(lake: Lake) -> Iterator[None]:
    if lake.folder is None:  # on S3, Iceberg's check at the commit replaces the lock
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
    """Yield the rows of each UTC month of their partition time, oldest month first."""
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
    """Return the month's rows that stay when it is rewritten, or None if the arriving rows can be appended."""
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
    """Return one text per row. Two texts are equal only if all columns of the key are equal."""
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
    """Make one Iceberg commit: empty ``months``, add ``parts`` and set the watermark."""
    import pyarrow as pa

    from bursar.reports.lake.schema import arrow_schema

    # pyiceberg reads text as large_string, so all parts are cast to one schema.
    whole = pa.concat_tables([part.cast(arrow_schema(schema)) for part in parts]) if parts else None
    rows = arrow_schema(schema).empty_table() if whole is None else whole.sort_by(schema.partition_time)
    properties = {} if watermark is None else {WATERMARK: iso_ms(watermark)}
    if months:
        table.overwrite(rows, overwrite_filter=in_months(schema, months), snapshot_properties=properties)
    else:
        table.append(rows, snapshot_properties=properties)
