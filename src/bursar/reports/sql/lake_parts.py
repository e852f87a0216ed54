"""The lake's tables in a session: the twin, and the files that the twin lacks.

    twin.payments ─┐
    newer files ───┴─ UNION ALL ─► lake_payments

Reading a small Parquet file costs each statement several milliseconds. So a session that is asked again copies the
rows of the newer files into its memory, if they are few. A process that answers once does not copy them.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from bursar.reports.lake.schema import PAYMENTS, TABLES, TableSchema
from bursar.reports.lake.twin import DAYS, days_of, parquet_source

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

HELD_ROWS_MAX: Final = 60_000
"""The most rows of all tables that a session copies. The writer makes a new twin long before."""


class LakeParts:
    """Creates the views ``lake_…`` of a session. Its methods raise DuckDB's errors."""

    def __init__(
        self,
        connection: "DuckDBPyConnection",
        newer: Mapping[str, Sequence[str]],
        rows: int,
        *,
        has_twin: bool,
    ) -> None:
        """Create the views. ``newer``: table name → the paths of the files that the twin lacks; ``rows``: of them all.

        ``has_twin``: a twin is attached as ``twin``.
        """
        self._connection = connection
        self._has_twin = has_twin
        self._sources = {
            schema.name: parquet_source(schema, newer[schema.name]) for schema in TABLES if newer[schema.name]
        }
        self._can_hold = rows <= HELD_ROWS_MAX
        self._questions = 0
        self._lock = threading.Lock()
        for schema in TABLES:
            parts = self._parts(schema.name)
            if parts:
                _show(connection, schema.name, ", ".join(schema.column_names), parts)
            else:
                _show_nothing(connection, schema)
        if PAYMENTS.name in self._sources or not has_twin:
            self._sources[DAYS] = f"({days_of(self._sources.get(PAYMENTS.name, f'lake_{PAYMENTS.name}'))})"
        _show(connection, DAYS, "*", self._parts(DAYS))

    @property
    def payments(self) -> tuple[str, ...]:
        """The tables that together are the lake's payments."""
        return tuple(self._parts(PAYMENTS.name))

    def note_question(self) -> None:
        """Count a question. At the second one, copy the rows of the newer files into memory, if they are few."""
        with self._lock:
            self._questions += 1
            if self._questions == 2 and self._can_hold:
                with self._connection.cursor() as cursor:
                    self._hold(cursor)

    def _hold(self, cursor: "DuckDBPyConnection") -> None:
        for schema in TABLES:
            if schema.name in self._sources:
                columns, held = ", ".join(schema.column_names), f"newer_{schema.name}"
                cursor.execute(f"CREATE TABLE {held} AS SELECT {columns} FROM {self._sources[schema.name]}")
                self._sources[schema.name] = held
                _show(cursor, schema.name, columns, self._parts(schema.name))
        if PAYMENTS.name in self._sources:
            cursor.execute(f"CREATE TABLE newer_{DAYS} AS {days_of(self._sources[PAYMENTS.name])}")
            self._sources[DAYS] = f"newer_{DAYS}"
            _show(cursor, DAYS, "*", self._parts(DAYS))

    def _parts(self, name: str) -> list[str]:
        """Return the tables that together are one table of the lake."""
        newer = [self._sources[name]] if name in self._sources else []
        return [f"twin.{name}", *newer] if self._has_twin else newer


def _show(connection: "DuckDBPyConnection", name: str, columns: str, parts: Sequence[str]) -> None:
    select = " UNION ALL ".join(f"SELECT {columns} FROM {part}" for part in parts)
    connection.execute(f"CREATE OR REPLACE VIEW lake_{name} AS {select}")


def _show_nothing(connection: "DuckDBPyConnection", schema: TableSchema) -> None:
    typed = ", ".join(f"{column.name} {column.sql_type}" for column in schema.columns)
    connection.execute(f"CREATE TABLE lake_{schema.name} ({typed})")
