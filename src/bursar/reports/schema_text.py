"""The tables and columns of queries, as text for people and for completion."""

from collections.abc import Iterator

from bursar.reports.lake.schema import PAYMENTS, TABLES, Column
from bursar.reports.lake.twin import DAY_COLUMNS, DAYS
from bursar.reports.sql.views import DERIVED_COLUMNS, VIEWS

DAYS_MEANING = "the attempts of payments, counted and summed; the fastest way to counts and sums by day"


def readable_tables() -> Iterator[tuple[str, str, tuple[Column, ...]]]:
    """Yield (name, meaning, columns) of each table and view of queries but ``payment_days``."""
    for table in TABLES:
        yield table.name, table.meaning, table.columns + (DERIVED_COLUMNS if table is PAYMENTS else ())
    for view in VIEWS:
        yield view.name, view.meaning, view.columns


def schema_text() -> str:
    """Return each table with its columns: name, type, meaning."""
    lines: list[str] = []
    for name, meaning, columns in readable_tables():
        longest = max(len(column.name) for column in columns)
        types = max(len(column.sql_type) for column in columns)
        lines += ["", f"{name}: {meaning}"]
        for column in columns:
            null = "" if column.required else " (may be null)"
            lines.append(f"  {column.name:{longest}}  {column.sql_type:{types}}  {column.meaning}{null}")
    lines += ["", f"{DAYS}: {DAYS_MEANING}", f"  {', '.join(DAY_COLUMNS)}, attempts, amount"]
    return "\n".join(lines[1:]) + "\n"


def words() -> dict[str, str]:
    """Return every name that a statement may use → its description: tables, and columns with type and meaning."""
    found = {name: "table" for name, _, _ in readable_tables()} | {DAYS: "table"}
    for _, _, columns in readable_tables():
        for column in columns:
            found.setdefault(column.name, f"{column.sql_type}  {column.meaning}")
    return found | {"attempts": "number of attempts"}
