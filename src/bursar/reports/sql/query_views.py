"""The tables and views as the statements of one answer see them.

    lake_payments (twin, Parquet) ┐
    tail_payments (Arrow)         ┴─ all_payments ─┬────────────────► payments, of now or of one client
                                                   └─ past_payments ─► payments, as they were at an instant

Each is made only if a statement reads it, because each costs DuckDB a millisecond or more. Views of the present over
all clients are made once for all answers of a session. They read ``tail_payments``, and DuckDB resolves this name to
the cursor's own table.
"""

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from bursar.reports.lake.schema import PAYMENT_EVENTS, PAYMENTS, REVERSALS, TABLES, TableSchema
from bursar.reports.lake.twin import DAYS, days_of, quoted
from bursar.reports.sql.as_of import select_as_of
from bursar.reports.sql.lake_parts import LakeParts
from bursar.reports.sql.views import READABLE, VIEWS, with_derived_columns
from bursar.reports.tail.tail import TailTables

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_EVERY_ROW: Final = (1 << 62) - 1
_ALL: Final = "all_"
_PAST: Final = "past_"
"""The prefixes of the names of the present tables and of those at an instant. Statements cannot use them."""
_TAIL_DAYS: Final = f"tail_{DAYS}"
REVERSALS_OF_NOW: Final = f"{_ALL}{REVERSALS.name}"
_TABLES: Final = {schema.name: schema for schema in TABLES}
_VIEWS: Final = {view.name: view for view in VIEWS}


class CommonViews:
    """The views that all cursors of a connection share. They read the tables ``tail_…`` of the cursor that asks."""

    def __init__(self, connection: "DuckDBPyConnection", lake: LakeParts) -> None:
        """Create the empty tables that each cursor replaces by its tail. Raises DuckDB's errors."""
        self._connection = connection
        self._lake = lake
        self._names: set[str] = set()
        self._lock = threading.Lock()
        for schema in TABLES:
            columns = ", ".join(f"{column.name} {column.sql_type}" for column in schema.columns)
            connection.execute(f"CREATE TABLE tail_{schema.name} ({columns})")
        connection.execute(f"CREATE TABLE {_TAIL_DAYS} AS {days_of(f'tail_{PAYMENTS.name}')}")

    @property
    def payment_parts(self) -> tuple[str, ...]:
        """The tables that together are ``payments``, without its derived columns."""
        return (*self._lake.payments, f"tail_{PAYMENTS.name}")

    def create(self, name: str, select: str) -> None:
        """Create a view unless it exists. Raises DuckDB's errors."""
        with self._lock:
            if name not in self._names:
                with self._connection.cursor() as cursor:
                    cursor.execute(f"CREATE VIEW {name} AS {select}")
                self._names.add(name)


class QueryViews:
    """Makes the tables and views that the statements of one answer read; with ``client``, only with its rows."""

    def __init__(
        self, cursor: "DuckDBPyConnection", tail: TailTables, common: CommonViews, client: str | None = None
    ) -> None:
        self._common = common if client is None and not tail.replaced else None
        self._cursor = cursor
        self._tail = tail
        self._client = client
        self._made: set[str] = set()  # the present tables, under names that statements cannot use
        self._shown: set[str] = set()

    def show(self, names: Iterable[str], instant: float | None = None) -> None:
        """Create all that a statement over ``names`` needs, of the present or of an instant (Unix seconds).

        The tables of the past replace those of the present, so create the present ones first. Raises DuckDB's errors.
        """
        needed = set(names)
        needed |= {read for name in needed & _VIEWS.keys() for read in _VIEWS[name].reads}
        lower = _tables_below(needed, is_past=instant is not None)
        for name in lower - self._made:
            self._make(_TABLES[name])
        self._made |= lower
        if DAYS in needed and instant is None and DAYS not in self._shown and not self._tail.replaced:
            # Once for all statements of an answer: the tail may have many rows.
            self._cursor.execute(f"CREATE OR REPLACE TEMP TABLE {_TAIL_DAYS} AS {days_of(f'tail_{PAYMENTS.name}')}")
        prefix = _ALL
        if instant is not None:
            prefix = _PAST
            for name in lower:
                self._create_own(_PAST + name, select_as_of(_TABLES[name], instant, _ALL))
            self._shown -= _TABLES.keys() | {DAYS}
        for name in READABLE:  # tables come before the views that read them
            if name not in needed or name in self._shown:
                continue
            if instant is None:
                self._create(name, self._select(name, prefix))
            else:
                self._create_own(name, self._select(name, prefix))
        self._shown |= needed

    def payment_parts(self) -> tuple[str, ...]:
        """Return the disjoint tables that together are ``payments`` now; none if they cannot be read separately."""
        return () if self._common is None else self._common.payment_parts

    def _select(self, name: str, prefix: str) -> str:
        if name in _VIEWS:
            return _VIEWS[name].select
        if name == DAYS:
            return self._of_client(self._days(prefix))
        if name == PAYMENTS.name:
            return self._of_client(with_derived_columns(f"{prefix}{PAYMENTS.name}", f"{prefix}{REVERSALS.name}"))
        return self._of_client(f"SELECT * FROM {prefix}{name}")

    def _days(self, prefix: str) -> str:
        if prefix == _ALL and not self._tail.replaced:
            return f"SELECT * FROM lake_{DAYS} UNION ALL SELECT * FROM {_TAIL_DAYS}"
        return days_of(f"{prefix}{PAYMENTS.name}")

    def _make(self, schema: TableSchema) -> None:
        columns, kept = ", ".join(schema.column_names), ""
        if schema is PAYMENTS and self._tail.replaced:
            keys = ", ".join(map(quoted, self._tail.replaced))
            kept = f" WHERE {PAYMENTS.key[0]} NOT IN ({keys})"
        self._cursor.register(f"tail_{schema.name}", self._tail.tables[schema.name])
        lake, tail = f"SELECT {columns} FROM lake_{schema.name}{kept}", f"SELECT {columns} FROM tail_{schema.name}"
        self._create(f"{_ALL}{schema.name}", f"{lake} UNION ALL {tail}")

    def _create(self, name: str, select: str) -> None:
        """Create a view of the present; a view that is equal for all answers is created once."""
        if self._common is not None:
            self._common.create(name, select)
        else:
            self._create_own(name, select)

    def _create_own(self, name: str, select: str) -> None:
        self._cursor.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {select}")

    def _of_client(self, select: str) -> str:
        """Return the SELECT with only the client's rows.

        DuckDB moves conditions of the statement towards the tables, where they would run on rows of other clients, and
        an error there would show that such rows exist. It moves no condition past a LIMIT.
        """
        if self._client is None:
            return select
        return f"SELECT * FROM ({select}) WHERE client = {quoted(self._client)} LIMIT {_EVERY_ROW}"


def _tables_below(names: set[str], *, is_past: bool) -> set[str]:
    """Return the tables that ``names`` are made from.

    Payments have columns from reversals, and their past is made from events.
    """
    found = names & _TABLES.keys()
    if PAYMENTS.name in names:
        found.add(REVERSALS.name)
    if DAYS in names:
        found.add(PAYMENTS.name)
    if is_past and PAYMENTS.name in found:
        found.add(PAYMENT_EVENTS.name)
    return found
