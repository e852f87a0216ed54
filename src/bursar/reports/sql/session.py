"""One DuckDB over one state of the lake. It runs many queries and is closed when the lake has a newer state.

A query sees ``payments`` and ``payment_events`` as views: the rows of the tail, and the rows of the lake that the tail
does not replace. The lake is read in place from its Parquet files. DuckDB keeps their metadata between queries, so only
the tail is new for each query. Before the first statement DuckDB is restricted: it may read exactly these files, and
its settings are locked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from bursar.reports.errors import BadSql, LakeBroken, QueryTooLarge, QueryTooLong, ReportError
from bursar.reports.lake.lake import LakeState, TableState
from bursar.reports.lake.schema import TABLES, TableSchema
from bursar.reports.sql.statement import check_statement

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

MEMORY_MAX: Final = "1GB"
ROWS_MAX: Final = 100_000
_BATCH_ROWS: Final = 10_000

_SETTINGS: Final = (
    "SET TimeZone = 'UTC'",
    f"SET memory_limit = '{MEMORY_MAX}'",
    "SET temp_directory = ''",
    "SET parquet_metadata_cache = true",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    # A name in a query is a table, never a Python variable.
    "SET python_enable_replacements = false",
)
_CLOSING: Final = ("SET enable_external_access = false", "SET lock_configuration = true")


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    """The answer to a statement: columns, their SQL types, rows, and the time as of which it holds (epoch s)."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    as_of: float

    def dicts(self) -> list[dict[str, Any]]:
        """Return each row as column name → value."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Session:
    """DuckDB over one state of the lake. Its methods block, so call them in a worker thread."""

    def __init__(self, state: LakeState, paths: Mapping[str, str]) -> None:
        """Open DuckDB and restrict it. ``paths``: each data file of the lake → its path on this machine."""
        import duckdb

        self.state = state
        self._connection = duckdb.connect(":memory:")
        for setting in _SETTINGS:
            self._connection.execute(setting)
        allowed = ", ".join(_quoted(path) for path in paths.values())
        self._connection.execute(f"SET allowed_paths = [{allowed}]")
        for table in state.values():
            self._connection.execute(_lake_source(table, paths))
        for setting in _CLOSING:
            self._connection.execute(setting)

    def cursor(self) -> "DuckDBPyConnection":
        """Return a connection for one query. Another thread may interrupt it."""
        return self._connection.cursor()

    def ask(
        self,
        cursor: "DuckDBPyConnection",
        text: str,
        parameters: Mapping[str, Any],
        tail: "Mapping[str, pa.Table]",
        as_of: float,
        expired: Callable[[], bool],
        extra_tables: "Mapping[str, pa.Table]" = MappingProxyType({}),
    ) -> SqlAnswer:
        """Run one SELECT. Raise a :class:`ReportError`.

        ``expired`` returns whether the time limit caused an interrupt. ``extra_tables``: name → table, for this query
        only.
        """
        import duckdb

        try:
            statement = check_statement(cursor, text, extra_tables)
            for schema in TABLES:
                if schema.name in statement.tables:
                    _make_view(cursor, schema, tail[schema.name])
            for name, table in extra_tables.items():
                cursor.register(name, table)
            relation = cursor.sql(statement.text, params=dict(parameters) or None)
            columns, types = tuple(relation.columns), tuple(str(kind) for kind in relation.types)
            return SqlAnswer(columns, types, _rows(relation, types), as_of)
        except duckdb.Error as error:
            raise _report_error(error, expired()) from error

    def close(self) -> None:
        """Close DuckDB."""
        self._connection.close()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _lake_source(table: TableState, paths: Mapping[str, str]) -> str:
    schema = table.schema
    if not table.files:
        columns = ", ".join(f"{column.name} {column.sql_type}" for column in schema.columns)
        return f"CREATE TABLE lake_{schema.name} ({columns})"
    files = ", ".join(_quoted(paths[name]) for name in table.files)
    # By Iceberg's field ids: a file from before a column was added gives null for it, and no file has to be opened for
    # its columns. DuckDB must not guess partitions from folder names.
    fields = ", ".join(
        f"{place}: {{name: '{column.name}', type: '{column.sql_type}', default_value: NULL}}"
        for place, column in enumerate(schema.columns, start=1)
    )
    return (
        f"CREATE VIEW lake_{schema.name} AS SELECT {', '.join(schema.column_names)} "
        f"FROM read_parquet([{files}], schema = MAP {{{fields}}}, hive_partitioning = false)"
    )


def _make_view(cursor: "DuckDBPyConnection", schema: TableSchema, tail: "pa.Table") -> None:
    """Create the table as the query sees it: rows of the tail replace rows of the lake with the same key."""
    columns = ", ".join(schema.column_names)
    lake = f"SELECT {columns} FROM lake_{schema.name}"
    if tail.num_rows:
        cursor.register(f"tail_{schema.name}", tail)
        same = " AND ".join(f"tail.{name} = lake.{name}" for name in schema.key)
        lake = (
            f"SELECT {columns} FROM tail_{schema.name} UNION ALL "
            f"SELECT {columns} FROM lake_{schema.name} AS lake "
            f"WHERE NOT EXISTS (SELECT 1 FROM tail_{schema.name} AS tail WHERE {same})"
        )
    cursor.execute(f"CREATE TEMP VIEW {schema.name} AS {lake}")


def _rows(relation: Any, types: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Return all rows as Python values, through Arrow: DuckDB's Python values need another time zone library."""
    whole = [kind == "HUGEINT" for kind in types]
    rows: list[tuple[Any, ...]] = []
    reader = relation.to_arrow_reader(_BATCH_ROWS)
    for batch in reader:
        if len(rows) + batch.num_rows > ROWS_MAX:
            raise QueryTooLarge(f"the answer: must have at most {ROWS_MAX} rows; add a LIMIT, a WHERE or a GROUP BY")
        columns = [
            _integers(column.to_pylist()) if is_whole else column.to_pylist()
            for column, is_whole in zip(batch.columns, whole, strict=True)
        ]
        rows.extend(zip(*columns, strict=True))
    return rows


def _integers(values: list[Decimal | None]) -> list[int | None]:
    """Convert sums of whole numbers, which Arrow returns as decimals of scale 0, to integers."""
    return [None if value is None else int(value) for value in values]


def _report_error(error: Exception, expired: bool) -> ReportError:
    """Convert an error of DuckDB's, whose text has the reason and the place, to a report error."""
    import duckdb

    text = str(error).strip()
    if isinstance(error, duckdb.InterruptException):
        return QueryTooLong("the query reached its time limit") if expired else QueryTooLong("the query was stopped")
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryTooLarge(f"the query needs more than {MEMORY_MAX} of memory")
    # A checked statement names no file, so a file that is missing or unreadable belongs to the lake.
    if isinstance(error, duckdb.IOException | duckdb.SerializationException | duckdb.PermissionException):
        return LakeBroken(f"a file of the lake cannot be read: {text}")
    return BadSql(text)
