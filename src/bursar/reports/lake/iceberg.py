"""One Iceberg commit: remove some data files, add rows, and set values of the snapshot's summary.

pyiceberg's public ``overwrite`` takes a predicate and rewrites what matches it. The lake knows the files to remove, so
it uses pyiceberg's snapshot producer directly, and merges manifests at each commit: otherwise their number would grow
by one per commit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bursar.reports.lake.encodings import register_encodings
from bursar.reports.lake.monthly_files import written_files
from bursar.reports.lake.schema import TableSchema, arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

_MANIFEST_TARGET_BYTES: Final = 8 * 1024 * 1024
_MANIFESTS_MERGED_MIN: Final = 8


def data_files(table: "Table") -> "list[DataFile]":
    """Return the data files of the table's current snapshot."""
    return [] if table.current_snapshot() is None else [task.file for task in table.scan().plan_files()]


def commit_files(
    table: "Table", removed: "Sequence[DataFile]", added: "Iterable[pa.Table]", summary: Mapping[str, str]
) -> None:
    """Commit one snapshot. Each table of ``added`` becomes one file per partition before the next one is asked for."""
    import pyarrow as pa
    from pyiceberg.table.snapshots import Operation

    register_encodings()
    with table.transaction() as transaction:
        producer = _producer_class()(
            operation=Operation.OVERWRITE if removed else Operation.APPEND,
            transaction=transaction,
            io=table.io,
            snapshot_properties=dict(summary),
        )
        with producer as snapshot:
            for file in removed:
                snapshot.delete_data_file(file)
            for rows in added:
                if rows.num_rows:
                    for file in written_files(table, rows):
                        snapshot.append_data_file(file)
                    # Sorting leaves holes, and without this each table would make the process a little larger.
                    pa.default_memory_pool().release_unused()


def read_files(schema: TableSchema, table: "Table", files: "Iterable[DataFile]") -> "pa.Table":
    """Return the rows of these files in the present schema: a column that a file lacks is null."""
    import pyarrow as pa

    parts = [rows_of_file(schema, table.io, file.file_path) for file in files]
    return pa.concat_tables(parts) if parts else arrow_schema(schema).empty_table()


def rows_of_file(schema: TableSchema, io: Any, path: str) -> "pa.Table":
    """Return the rows of one data file in the present schema."""
    import pyarrow.parquet as pq

    with io.new_input(path).open() as source:
        stored = pq.ParquetFile(source).read()
    return in_schema(schema, stored)


def in_schema(schema: TableSchema, rows: "pa.Table") -> "pa.Table":
    """Return ``rows`` with the columns of the schema, in its order and types."""
    import pyarrow as pa

    wanted = arrow_schema(schema)
    columns = [
        _as_type(rows[field.name], field.type)
        if field.name in rows.column_names
        else pa.nulls(rows.num_rows, field.type)
        for field in wanted
    ]
    return pa.Table.from_arrays(columns, schema=wanted)


def _as_type(column: "pa.ChunkedArray", wanted: "pa.DataType") -> "pa.ChunkedArray":
    # Even a cast to the same type loads Arrow's compute functions.
    return column if column.type == wanted else column.cast(wanted)


def months_of(files: "Iterable[DataFile]") -> "Iterator[tuple[int, list[DataFile]]]":
    """Yield each month, as its number since 1970-01, with its files; files of the live partition are left out."""
    months: dict[int, list[DataFile]] = {}
    for file in files:
        if file.partition[0] is not None:
            months.setdefault(file.partition[0], []).append(file)
    yield from sorted(months.items())


def _producer_class() -> Any:
    from pyiceberg.table.update.snapshot import _ManifestMergeManager, _OverwriteFiles

    class MergingOverwrite(_OverwriteFiles):
        def _build_manifest_evaluator(self, spec_id: int) -> Any:
            # pyiceberg's evaluator has state and is shared by threads, so it sometimes skips a manifest that has a
            # file to remove. There are few manifests, so all of them are read.
            return lambda manifest: True

        def _process_manifests(self, manifests: list[Any]) -> list[Any]:
            manager: Any = _ManifestMergeManager(_MANIFEST_TARGET_BYTES, _MANIFESTS_MERGED_MIN, True, self)
            merged: list[Any] = manager.merge_manifests(manifests)
            return merged

    return MergingOverwrite
