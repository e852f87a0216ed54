"""The tables and columns of queries, as text for people."""

from bursar.reports.lake.schema import TABLES
from bursar.reports.lake.twin import DAY_COLUMNS, DAYS

DAYS_MEANING = "the attempts of payments, counted and summed; the fastest way to counts and sums by day"


def schema_text() -> str:
    """Return each table with its columns: name, type, meaning."""
    lines: list[str] = []
    for table in TABLES:
        longest = max(len(column.name) for column in table.columns)
        types = max(len(column.sql_type) for column in table.columns)
        lines += ["", f"{table.name}: {table.meaning}"]
        for column in table.columns:
            meaning = column.meaning if column.required else f"{column.meaning} (may be null)"
            lines.append(f"  {column.name:{longest}}  {column.sql_type:{types}}  {meaning}")
    lines += ["", f"{DAYS}: {DAYS_MEANING}", f"  {', '.join(DAY_COLUMNS)}, attempts, amount"]
    return "\n".join(lines[1:]) + "\n"


def words() -> dict[str, str]:
    """Return every name that a statement may use → what it is: tables, and columns with their type and meaning."""
    found = {table.name: "table" for table in TABLES} | {DAYS: "table"}
    for table in TABLES:
        for column in table.columns:
            found.setdefault(column.name, f"{column.sql_type}  {column.meaning}")
    return found | {"attempts": "number of attempts"}
