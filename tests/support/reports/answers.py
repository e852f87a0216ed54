"""Answers with every type of value, for the tests of their forms."""

from datetime import UTC, date, datetime
from decimal import Decimal

from bursar.reports.output.head import ReportColumn, Subject
from bursar.reports.sql.answer import SqlAnswer

ANSWER = SqlAnswer(
    columns=("fee", "collected", "at", "day", "n", "note"),
    types=("VARCHAR", "DECIMAL(38,2)", "TIMESTAMP WITH TIME ZONE", "DATE", "BIGINT", "VARCHAR"),
    rows=[
        ("COPY_FEE", Decimal("0.10"), datetime(2026, 11, 22, 19, 30, 0, 5000, UTC), date(2026, 11, 22), 1, None),
        ('a, "b"\nc', Decimal("1000000.00"), None, None, 20, "=HYPERLINK(1)"),
    ],
    as_of=1795375800.0,
)
SUBJECT = Subject(
    "Fees",
    ("What came in?", "month 2026-11"),
    {"collected": ReportColumn("collected", "USD", True, "money"), "n": ReportColumn("n", "attempts", True, "number")},
)
