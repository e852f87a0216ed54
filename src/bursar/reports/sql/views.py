"""The columns and views that queries see and the lake does not store, as SQL over its tables.

Each is one SELECT over the tables of :data:`bursar.reports.lake.schema.TABLES`, in SQL that also runs on Athena once it
is translated. DuckDB leaves out a join whose columns a statement does not read, so a derived column costs only the
statements that read it.
"""

from collections.abc import Iterator
from typing import Final

from bursar.reports.lake.schema import PAYMENT_EVENTS, PAYMENTS, TABLES, Column
from bursar.reports.lake.twin import DAY_COLUMNS, DAYS
from bursar.reports.sql.postings import PAYMENT_POSTINGS
from bursar.reports.sql.view import View

_MONEY: Final = "DECIMAL(18, 2)"

DERIVED_COLUMNS: Final[tuple[Column, ...]] = (
    Column("settled_at", "time", "", "when Bursar learned that it is paid; null unless processed", required=False),
    Column("reversed_amount", "money", "", "US dollars of it that went back: the sum of its reversals"),
    Column("net_amount", "money", "", "US dollars that were collected and have not gone back; 0 unless processed"),
)
"""The columns that ``payments`` has in queries and not in the lake."""


def with_derived_columns(payments: str, reversals: str) -> str:
    """Return the SELECT of ``payments`` with its derived columns, from the names of two tables."""
    columns = ", ".join(f"attempts.{name}" for name in PAYMENTS.column_names)
    return (
        f"SELECT {columns}, "
        "CASE WHEN status = 'processed' THEN updated_at END AS settled_at, "
        f"CAST(coalesce(back.amount, 0) AS {_MONEY}) AS reversed_amount, "
        f"CAST(CASE WHEN status = 'processed' THEN attempts.amount ELSE 0 END - coalesce(back.amount, 0) AS {_MONEY}) "
        f"AS net_amount FROM {payments} AS attempts LEFT JOIN "
        f"(SELECT agency_tracking_id, sum(amount) AS amount FROM {reversals} GROUP BY agency_tracking_id) AS back "
        "ON attempts.agency_tracking_id = back.agency_tracking_id"
    )


REFUND_REQUESTS: Final = View(
    "refund_requests",
    "one row per request for a refund, from the events of its request and its decision",
    (
        Column("agency_tracking_id", "text", "", "the attempt whose money should go back"),
        Column("refund", "whole", "", "the request's number among those of the attempt"),
        Column("client", "text", "", "the application that requested the payment"),
        Column("reference", "text", "", "the client's name for what was owed, lower case"),
        Column("amount", "money", "", "US dollars to refund"),
        Column("status", "text", "", "open, approved (then the refund is a row of reversals) or rejected"),
        Column("requested_at", "time", "", "when it was requested"),
        Column("requested_by", "text", "", "the operator who requested it"),
        Column("reason", "text", "", "the reason of the request"),
        Column("decided_at", "time", "", "when it was approved or rejected", required=False),
        Column("decided_by", "text", "", "the operator who decided", required=False),
        Column("decision_reason", "text", "", "the reason of the decision", required=False),
    ),
    f"""
WITH steps AS (
    SELECT
        agency_tracking_id,
        CAST(json_extract_string(detail, '$.refund') AS BIGINT) AS refund,
        client,
        reference,
        CAST(json_extract_string(detail, '$.refund_amount') AS {_MONEY}) AS amount,
        event,
        occurred_at,
        json_extract_string(detail, '$.by') AS operator,
        json_extract_string(detail, '$.reason') AS reason
    FROM {PAYMENT_EVENTS.name}
    WHERE event IN ('refund_requested', 'refund_approved', 'refund_rejected')
)
SELECT
    asked.agency_tracking_id,
    asked.refund,
    asked.client,
    asked.reference,
    asked.amount,
    CASE decided.event WHEN 'refund_approved' THEN 'approved' WHEN 'refund_rejected' THEN 'rejected' ELSE 'open' END
        AS status,
    asked.occurred_at AS requested_at,
    asked.operator AS requested_by,
    asked.reason,
    decided.occurred_at AS decided_at,
    decided.operator AS decided_by,
    decided.reason AS decision_reason
FROM steps AS asked
LEFT JOIN steps AS decided
    ON asked.agency_tracking_id = decided.agency_tracking_id
    AND asked.refund = decided.refund
    AND decided.event <> 'refund_requested'
WHERE asked.event = 'refund_requested'
""".strip(),
    (PAYMENT_EVENTS.name,),
)

VIEWS: Final[tuple[View, ...]] = (REFUND_REQUESTS, PAYMENT_POSTINGS)
READABLE: Final = (*(schema.name for schema in TABLES), DAYS, *(view.name for view in VIEWS))
"""The names that a statement may read."""


def readable_columns() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each name that a statement may read, with its columns as a query sees them."""
    for schema in TABLES:
        derived = tuple(column.name for column in DERIVED_COLUMNS) if schema is PAYMENTS else ()
        yield schema.name, (*schema.column_names, *derived)
    yield DAYS, (*DAY_COLUMNS, "attempts", "amount")
    for view in VIEWS:
        yield view.name, tuple(column.name for column in view.columns)
