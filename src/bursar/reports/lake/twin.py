"""The twin: the rows of the lake's data files in one DuckDB file, which is several times faster to read than Parquet.

    lake/twin.duckdb    payments (finals) · payment_events · reversals · deposits · payment_days (sums)
                        twin_files · twin_format

The twin is derived and never changed in place. A reader takes it if its data files are a part of the lake's, and reads
the lake's other files from Parquet. The writer makes a new twin from a copy of the old one and renames it, so a reader
keeps the file that it has opened. A twin that is missing, damaged, or of another format is made again.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bursar.private_files import FILE_MODE
from bursar.reports.lake.lake_state import LakeState
from bursar.reports.lake.schema import PAYMENTS, TABLES, TableSchema

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TWIN_FILE: Final = "twin.duckdb"
_TWIN_LAYOUT: Final = 3
TWIN_FORMAT: Final = _TWIN_LAYOUT * 1000 + sum(len(schema.columns) for schema in TABLES)
"""The version of the twin's layout. A twin with another version, or with fewer columns, is made again."""
NEW_ROWS_MIN: Final = 20_000
"""A new twin is made when this many rows are missing in the old one. Until then they are read from Parquet."""
MEMORY_MAX: Final = "96MB"
ROWS_AT_ONCE_MAX: Final = 100_000
"""The most rows that are sorted at once, unless one file has more: DuckDB sorts them in ``MEMORY_MAX``."""
DAYS: Final = "payment_days"
DAY_COLUMNS: Final = ("created_on", "final_on", "client", "fee", "payment_method", "status", "payment_status")
"""The columns by which ``payment_days`` counts attempts and sums amounts."""

_PLAIN_COLUMNS: Final = frozenset({"agency_tracking_id", "paygov_tracking_id", "reference"})
"""The columns of ``payments`` that the twin does not compress.

Ids have no repetition, so compression saves a third of their size, and reading them takes four times as long: for a
search, and for each join of payments with reversals, deposits or events.
"""

TwinFiles = Mapping[str, frozenset[str]]
"""Table name → the data files of the lake whose rows the twin has."""


def twin_path(folder: Path) -> Path:
    """Return the path of the twin of the lake in ``folder``."""
    return folder / TWIN_FILE


def files_of_twin(connection: "DuckDBPyConnection", catalog: str) -> TwinFiles | None:
    """Return the files of an attached twin; None if it has another format or cannot be read."""
    import duckdb

    try:
        found = connection.execute(f"SELECT format FROM {catalog}.twin_format").fetchall()
        if found != [(TWIN_FORMAT,)]:
            return None
        rows = connection.execute(f"SELECT table_name, path FROM {catalog}.twin_files").fetchall()
    except duckdb.Error:
        return None
    return {schema.name: frozenset(path for name, path in rows if name == schema.name) for schema in TABLES}


def is_part_of(files: TwinFiles, state: LakeState) -> bool:
    """Return whether every file of the twin belongs to the lake's state."""
    return all(files[name] <= set(table.files) for name, table in state.items())


def refresh_twin(folder: Path, written: LakeState, merged: LakeState) -> bool:
    """Make a new twin if the old one lacks many rows, and return whether a new one was made. It blocks.

    ``merged`` has the same rows as ``written`` in other files. Raises ``OSError`` or ``duckdb.Error`` if the disk
    cannot be written; the old twin then stays.
    """
    path = twin_path(folder)
    known = _known_files(path)
    kept = known if known is not None and is_part_of(known, written) else None
    lacking = {
        name: [file for file in table.files if kept is None or file not in kept[name]]
        for name, table in written.items()
    }
    serves = kept is None or is_part_of(kept, merged)
    if kept is None:
        # It serves no reader, and may have personal data that was erased since.
        path.unlink(missing_ok=True)
    if serves and sum(written[name].files[file] for name, files in lacking.items() for file in files) < NEW_ROWS_MIN:
        return False
    part = path.with_suffix(".part")
    try:
        with _new_twin(path if kept is not None else None, part) as connection:
            for schema in TABLES:
                for files in _groups(lacking[schema.name], written[schema.name].files):
                    _add_rows(connection, schema, files)
            _set_days(connection)
            _set_files(connection, merged)
        part.rename(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return True


def _known_files(path: Path) -> TwinFiles | None:
    import duckdb

    if not path.exists():
        return None
    try:
        with duckdb.connect(":memory:") as connection:
            connection.execute(f"ATTACH {quoted(str(path))} AS twin (READ_ONLY)")
            return files_of_twin(connection, "twin")
    except duckdb.Error:
        return None


@contextmanager
def _new_twin(old: Path | None, part: Path) -> "Iterator[DuckDBPyConnection]":
    """Open the file of the next twin: a copy of the old one, or empty tables."""
    import duckdb

    part.unlink(missing_ok=True)
    if old is not None:
        shutil.copyfile(old, part)
    with duckdb.connect(str(part)) as connection:
        connection.execute(f"SET memory_limit = '{MEMORY_MAX}'")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET threads = 1")  # the writer shares the machine with payments
        if old is None:
            for schema in TABLES:
                connection.execute(f"CREATE TABLE {schema.name} ({_columns_of(schema)})")
            connection.execute("CREATE TABLE twin_files (table_name VARCHAR, path VARCHAR)")
            connection.execute(f"CREATE TABLE twin_format AS SELECT {TWIN_FORMAT} AS format")
        yield connection
        connection.execute("CHECKPOINT")
    part.chmod(FILE_MODE)


def _columns_of(schema: TableSchema) -> str:
    """Return the columns of a table of the twin, with their types."""
    plain = _PLAIN_COLUMNS if schema is PAYMENTS else ()
    return ", ".join(
        f"{column.name} {column.sql_type}{' USING COMPRESSION uncompressed' if column.name in plain else ''}"
        for column in schema.columns
    )


def _groups(files: Sequence[str], rows: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield the files in groups of few rows, those of a month side by side: the path of a file has its month."""
    group: list[str] = []
    for file in sorted(files):
        if group and sum(rows[each] for each in group) + rows[file] > ROWS_AT_ONCE_MAX:
            yield group
            group = []
        group.append(file)
    if group:
        yield group


def _add_rows(connection: "DuckDBPyConnection", schema: TableSchema, files: Sequence[str]) -> None:
    columns = ", ".join(schema.column_names)
    connection.execute(
        f"INSERT INTO {schema.name} SELECT {columns} FROM {parquet_source(schema, files)} ORDER BY {schema.change_time}"
    )


def _set_days(connection: "DuckDBPyConnection") -> None:
    connection.execute(f"CREATE OR REPLACE TABLE {DAYS} AS {days_of(PAYMENTS.name)}")


def days_of(source: str) -> str:
    """Return the SELECT that makes the rows of ``payment_days`` from rows of ``payments``."""
    columns = ", ".join(DAY_COLUMNS)
    return (
        f"SELECT {columns}, count(*) AS attempts, CAST(sum(amount) AS DECIMAL(18, 2)) AS amount "
        f"FROM {source} GROUP BY {columns}"
    )


def _set_files(connection: "DuckDBPyConnection", state: LakeState) -> None:
    connection.execute("DELETE FROM twin_files")
    held = [[name, path] for name, table in state.items() for path in table.files]
    connection.executemany("INSERT INTO twin_files VALUES (?, ?)", held)


def parquet_source(schema: TableSchema, files: Sequence[str]) -> str:
    """Return DuckDB's table function over data files of the lake, given by their paths or URLs.

    Columns are found by Iceberg's field ids: a file from before a column was added gives null for it.
    """
    paths = ", ".join(quoted(path.removeprefix("file://")) for path in files)
    fields = ", ".join(
        f"{place}: {{name: '{column.name}', type: '{column.sql_type}', default_value: NULL}}"
        for place, column in enumerate(schema.columns, start=1)
    )
    # DuckDB must not guess partitions from folder names.
    return f"read_parquet([{paths}], schema = MAP {{{fields}}}, hive_partitioning = false)"


def quoted(text: str) -> str:
    """Return ``text`` as a string of SQL."""
    return "'" + text.replace("'", "''") + "'"
