"""One DuckDB over one state of the lake. It runs many queries and is closed when the lake has a newer state.

    twin.duckdb (most rows) ┐
    newer Parquet files     ├─ UNION ALL ─► the tables, payment_days ─► derived columns and views
    the tail, as Arrow      ┘

The parts are disjoint and do not change while a query runs, so all statements of one answer see one state. Before the
first statement DuckDB is restricted: it may read exactly these files, and its settings are locked.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bursar.clock import iso_ms
from bursar.reports.errors import BadSql, InstantToCome, LakeBroken, QueryTooLarge, QueryTooLong, ReportError
from bursar.reports.lake.lake_state import LakeState
from bursar.reports.lake.rows import RowKey, TableRow, plain_rows
from bursar.reports.lake.schema import table_named
from bursar.reports.lake.twin import TwinFiles, files_of_twin, is_part_of, quoted
from bursar.reports.sql.answer import Question, SqlAnswer
from bursar.reports.sql.lake_parts import LakeParts
from bursar.reports.sql.query_views import REVERSALS_OF_NOW, CommonViews, QueryViews
from bursar.reports.sql.statement import check_statement
from bursar.reports.sql.values import rows_of
from bursar.reports.tail.tail import TailTables

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

MEMORY_MAX: Final = "1GB"
ANSWER_BYTES_MAX: Final = 256 * 1024 * 1024
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


class Session:
    """DuckDB over one state of the lake. Its methods block, so call them in a worker thread."""

    def __init__(self, state: LakeState, paths: Mapping[str, str], twin: Path | None = None) -> None:
        """Open DuckDB and restrict it.

        ``paths``: each data file of the lake → its path on this machine. ``twin``: the twin's path, if it exists.
        Raises :class:`LakeBroken`.
        """
        import duckdb

        self.state = state
        self._connection = duckdb.connect(":memory:")
        try:
            self._restrict(paths, twin)
        except duckdb.Error as error:
            self._connection.close()
            raise _report_error(error, expired=False) from error

    def _restrict(self, paths: Mapping[str, str], twin: Path | None) -> None:
        state = self.state
        for setting in _SETTINGS:
            self._connection.execute(setting)
        held = self._attached(twin, state)
        rest = {
            name: [paths[file] for file in table.files if file not in held.get(name, ())]
            for name, table in state.items()
        }
        allowed = ", ".join(quoted(path) for each in rest.values() for path in each)
        self._connection.execute(f"SET allowed_paths = [{allowed}]")
        rows = sum(
            table.files[file] for name, table in state.items() for file in table.files if file not in held.get(name, ())
        )
        self._lake_parts = LakeParts(self._connection, rest, rows, has_twin=bool(held))
        self._common_views = CommonViews(self._connection, self._lake_parts)
        for setting in _CLOSING:
            self._connection.execute(setting)

    def _attached(self, twin: Path | None, state: LakeState) -> TwinFiles:
        """Attach the twin and return its files; an empty mapping if it does not fit this state of the lake."""
        import duckdb

        if twin is None or not twin.exists():
            return {}
        try:
            self._connection.execute(f"ATTACH {quoted(str(twin))} AS twin (READ_ONLY)")
        except duckdb.Error:
            return {}  # damaged, or another program's: the Parquet files have all its rows
        held = files_of_twin(self._connection, "twin")
        return held if held is not None and is_part_of(held, state) else {}

    def cursor(self) -> "DuckDBPyConnection":
        """Return a connection for one answer. Another thread may interrupt it."""
        return self._connection.cursor()

    def ask(
        self,
        cursor: "DuckDBPyConnection",
        questions: Sequence[Question],
        tail: TailTables,
        as_of: float,
        expired: Callable[[], bool],
    ) -> list[SqlAnswer]:
        """Run SELECTs on one state. Raise a :class:`ReportError`.

        ``expired`` returns whether the time limit caused an interrupt.
        """
        import duckdb

        try:
            _check_instants(questions, as_of)
            self._lake_parts.note_question()
            views = self._views(cursor, tail, _client_of(questions))
            # The past replaces the present, so the questions about the present come first.
            order = sorted(range(len(questions)), key=lambda place: questions[place].as_of is not None)
            answers = {place: self._answer(cursor, questions[place], views, as_of) for place in order}
            return [answers[place] for place in range(len(questions))]
        except duckdb.Error as error:
            raise _report_error(error, expired()) from error
        except MemoryError as error:
            raise QueryTooLarge(f"the query needs more than {MEMORY_MAX} of memory") from error

    def begin(
        self,
        cursor: "DuckDBPyConnection",
        question: Question,
        tail: TailTables,
        as_of: float,
        expired: Callable[[], bool],
    ) -> "OpenAnswer":
        """Begin one SELECT whose answer is read batch by batch; its ``rows_max`` is ignored. Raises as :meth:`ask`."""
        import duckdb

        try:
            _check_instants([question], as_of)
            relation = _relation(cursor, question, self._views(cursor, tail, question.client))
            columns, types = _described(relation)
            return OpenAnswer(columns, types, relation.to_arrow_reader(_BATCH_ROWS), expired)
        except duckdb.Error as error:
            raise _report_error(error, expired()) from error
        except MemoryError as error:
            raise QueryTooLarge(f"the query needs more than {MEMORY_MAX} of memory") from error

    def _views(self, cursor: "DuckDBPyConnection", tail: TailTables, client: str | None) -> QueryViews:
        return QueryViews(cursor, tail, self._common_views, client)

    def _answer(self, cursor: "DuckDBPyConnection", question: Question, views: QueryViews, as_of: float) -> SqlAnswer:
        relation = _relation(cursor, question, views)
        columns, types = _described(relation)
        rows, cut = _rows(relation, types, question)
        return SqlAnswer(columns, types, rows, as_of if question.as_of is None else question.as_of, cut)

    def find(self, name: str, rows: list[TableRow]) -> dict[RowKey, TableRow]:
        """Return the lake's rows with the keys of ``rows``, by key. Raises :class:`LakeBroken`."""
        import duckdb

        from bursar.reports.lake.rows import arrow_table

        schema = table_named(name)
        cursor = self.cursor()
        same = " AND ".join(f"lake.{column} = wanted.{column}" for column in schema.key)
        columns = ", ".join(f"lake.{column}" for column in schema.column_names)
        started = schema.start_time  # the earliest start time lets DuckDB skip older rows
        try:
            cursor.register("wanted", arrow_table(schema, rows))
            found = cursor.sql(
                f"SELECT {columns} FROM lake_{name} AS lake INNER JOIN wanted ON {same} "
                f"WHERE lake.{started} >= (SELECT min({started}) FROM wanted)"
            ).to_arrow_table()
        except duckdb.Error as error:
            raise _report_error(error, expired=False) from error
        finally:
            cursor.close()
        return {schema.key_of(row): row for row in plain_rows(schema, found)}

    def close(self) -> None:
        """Close DuckDB, unless a statement that could not be stopped still uses it."""
        import duckdb

        with suppress(duckdb.Error):
            self._connection.close()


class OpenAnswer:
    """An answer that DuckDB is still computing. :meth:`next_batch` blocks."""

    def __init__(
        self, columns: tuple[str, ...], types: tuple[str, ...], reader: Any, expired: Callable[[], bool]
    ) -> None:
        self.columns = columns
        self.types = types
        self._reader = reader
        self._expired = expired
        self._has_begun = False

    def next_batch(self) -> "pa.RecordBatch | None":
        """Return the next rows; None after the last ones. An answer without rows has one empty batch.

        Raises a :class:`ReportError`.
        """
        import duckdb
        import pyarrow as pa

        has_begun, self._has_begun = self._has_begun, True
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            return None if has_begun else pa.RecordBatch.from_pylist([], self._reader.schema)
        except duckdb.Error as error:
            raise _report_error(error, self._expired()) from error
        except (pa.ArrowException, OSError) as error:
            raise _arrow_error(error, self._expired()) from error


def _relation(cursor: "DuckDBPyConnection", question: Question, views: QueryViews) -> "DuckDBPyRelation":
    statement = check_statement(cursor, question.text)
    if statement.is_explain and question.client is not None:
        raise BadSql("EXPLAIN: must be asked by an operator, because a plan estimates the rows of every client")
    views.show(statement.reads, question.as_of)
    parts = views.payment_parts() if statement.top is not None and question.as_of is None else ()
    text = statement.top.over(parts, REVERSALS_OF_NOW) if statement.top is not None and parts else statement.text
    return cursor.sql(text, params=dict(question.parameters) or None)


def _described(relation: "DuckDBPyRelation") -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(relation.columns), tuple(str(kind) for kind in relation.types)


def _client_of(questions: Sequence[Question]) -> str | None:
    """Return the client whose rows the questions may see. Raise ``ValueError`` if they differ in it."""
    clients = {question.client for question in questions}
    if len(clients) > 1:
        raise ValueError("questions that are asked together: must have the same client")
    return clients.pop() if clients else None


def _check_instants(questions: Sequence[Question], now: float) -> None:
    for question in questions:
        if question.as_of is not None and question.as_of > now:
            given = iso_ms(question.as_of)
            raise InstantToCome(f"as of: must not be after {iso_ms(now)}, the present state; got {given}")


def _rows(relation: Any, types: tuple[str, ...], question: Question) -> tuple[list[tuple[Any, ...]], bool]:
    """Return the rows as Python values, and whether some were cut off.

    They are read through Arrow, because DuckDB's own Python values need another time zone library.
    """
    rows: list[tuple[Any, ...]] = []
    size_bytes = 0
    for batch in relation.to_arrow_reader(_BATCH_ROWS):
        size_bytes += batch.nbytes
        if size_bytes > ANSWER_BYTES_MAX:
            raise QueryTooLarge(f"the answer: must have at most {ANSWER_BYTES_MAX >> 20} MB; got more; add a LIMIT")
        rows.extend(rows_of(batch, types))
        if question.rows_max is not None and len(rows) > question.rows_max:
            if question.cuts:
                return rows[: question.rows_max], True
            raise QueryTooLarge(
                f"the answer: must have at most {question.rows_max} rows; add a LIMIT, a WHERE or a GROUP BY"
            )
    return rows, False


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


def _arrow_error(error: Exception, expired: bool) -> ReportError:
    """Convert an error of DuckDB's that arrives through Arrow, where only its text is left."""
    text = str(error).strip()
    if "INTERRUPT" in text.upper():
        return QueryTooLong("the query reached its time limit" if expired else "the query was stopped")
    if "Out of Memory" in text:
        return QueryTooLarge(f"the query needs more than {MEMORY_MAX} of memory")
    if text.startswith(("IO Error", "Serialization Error", "Permission Error")):
        return LakeBroken(f"a file of the lake cannot be read: {text}")
    return BadSql(text)
