"""SQL over every payment, up to the last second: the lake, its writer, the tail of changes since, named reports.

A query reads Iceberg tables in a folder or on S3 up to their watermark, and the store's changes since; an acknowledged
payment is in the next query's answer. Start at :class:`Reports`. DuckDB, Arrow and pyiceberg load on first use.
"""

from bursar.reports.errors import (
    BadParameter,
    BadSql,
    LakeBroken,
    LakeBusy,
    NoSuchReport,
    QueryTooLarge,
    QueryTooLong,
    ReportError,
)
from bursar.reports.reports import Reports, Written
from bursar.reports.sql.session import Answer

__all__ = [
    "Answer",
    "BadParameter",
    "BadSql",
    "LakeBroken",
    "LakeBusy",
    "NoSuchReport",
    "QueryTooLarge",
    "QueryTooLong",
    "ReportError",
    "Reports",
    "Written",
]
