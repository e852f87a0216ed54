"""The rows of the page: the same question for both sides, in SQL, or as a path of the API that both portals have."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from bursar.clock import iso_ms
from bursar.payments.catalogue.fees import COURT_ZONE

_ZONE: Final = ZoneInfo(COURT_ZONE)
_DAY: Final = f"AT TIME ZONE '{COURT_ZONE}'"
Kind = Literal["aggregate", "endpoint", "page"]
GOALS: Final[dict[Kind, float]] = {"aggregate": 10.0, "endpoint": 8.0, "page": 1.0}
"""How many times as fast as PostgreSQL, or as the closest portal's endpoint, each kind of row must be."""


@dataclass(frozen=True)
class Row:
    """A question. ``ours`` and ``theirs`` are SQL with the same answer, or None for a row that is only an endpoint.

    ``path``: of the API. Without the closest portal, ``portal_sql`` are the statements that its endpoint runs.
    """

    name: str
    kind: Kind
    ours: str | None = None
    theirs: str | None = None
    path: str | None = None
    portal_sql: tuple[str, ...] = ()


def rows(now: float) -> list[Row]:
    """Return the rows of the page; ``now`` is the time up to which payments were generated."""
    return [*_aggregates(), *_pages(), *_endpoints(now)]


def _aggregates() -> list[Row]:
    def by_fee_and_month(ours: str, theirs: str) -> tuple[str, str]:
        return (
            f"SELECT date_trunc('month', created_on) AS month, fee, count(*), sum(amount) FROM payments {ours}"
            "GROUP BY 1, 2 ORDER BY 1, 2",
            f"SELECT date_trunc('month', created_at {_DAY}) AS month, fee, count(*), sum(transaction_amount) "
            f"FROM transactions {theirs}GROUP BY 1, 2 ORDER BY 1, 2",
        )

    success = "WHERE payment_status = 'success' "
    return [
        Row("count and sum by fee and month", "aggregate", *by_fee_and_month("", "")),
        Row("the same, successes only", "aggregate", *by_fee_and_month(success, success)),
        Row(
            "failed over $100: count and sum",
            "aggregate",
            "SELECT count(*), sum(amount) FROM payments WHERE payment_status = 'failed' AND amount > 100",
            "SELECT count(*), sum(transaction_amount) FROM transactions "
            "WHERE payment_status = 'failed' AND transaction_amount > 100",
        ),
        Row(
            "by status and client",
            "aggregate",
            "SELECT status, client, count(*), sum(amount) FROM payments GROUP BY 1, 2 ORDER BY 1, 2",
            "SELECT transaction_status, client_name, count(*), sum(transaction_amount) FROM transactions "
            "GROUP BY 1, 2 ORDER BY 1, 2",
        ),
        Row(
            "return codes 4000 to 4999",
            "aggregate",
            "SELECT return_code, count(*), sum(amount) FROM payments WHERE return_code BETWEEN '4000' AND '4999' "
            "GROUP BY 1 ORDER BY 1",
            "SELECT return_code, count(*), sum(transaction_amount) FROM transactions "
            "WHERE return_code BETWEEN 4000 AND 4999 GROUP BY 1 ORDER BY 1",
        ),
        Row(
            "average settlement of ACH, in seconds",
            "aggregate",
            "SELECT CAST(avg(epoch(updated_at) - epoch(created_at)) AS BIGINT) FROM payments "
            "WHERE payment_method = 'ACH' AND status = 'processed'",
            "SELECT CAST(extract(epoch FROM avg(last_updated_at - created_at)) AS bigint) FROM transactions "
            "WHERE payment_method = 'ach' AND transaction_status = 'processed'",
        ),
    ]


def _pages() -> list[Row]:
    return [
        Row(
            "failed over $100: the newest 100, all columns",
            "page",
            "SELECT * FROM payments WHERE payment_status = 'failed' AND amount > 100 "
            "ORDER BY updated_at DESC, agency_tracking_id LIMIT 100",
            "SELECT * FROM transactions WHERE payment_status = 'failed' AND transaction_amount > 100 "
            "ORDER BY last_updated_at DESC, agency_tracking_id LIMIT 100",
        ),
        Row(
            "the newest 100, all columns",
            "page",
            "SELECT * FROM payments ORDER BY created_at DESC LIMIT 100",
            "SELECT * FROM transactions ORDER BY created_at DESC LIMIT 100",
            path="/transactions",
            portal_sql=("SELECT * FROM transactions ORDER BY created_at DESC LIMIT 100",),
        ),
    ]


def _endpoints(now: float) -> list[Row]:
    month_ends = datetime.fromtimestamp(now, _ZONE).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    month_begins = (month_ends - timedelta(days=1)).replace(day=1)
    since, until = iso_ms(month_begins.timestamp()), iso_ms(month_ends.timestamp())
    frame = f"last_updated_at >= '{since}' AND last_updated_at < '{until}'"
    counts = f"SELECT payment_status, count(*) FROM transactions WHERE {frame} GROUP BY payment_status"

    def path(**parameters: str) -> str:
        return f"/transaction-log?{urlencode({'from': since, 'to': until, **parameters})}"

    def statements(where: str, by: str, limit: int) -> tuple[str, ...]:
        return (
            f"SELECT * FROM transactions WHERE {where} ORDER BY {by} LIMIT {limit}",
            f"SELECT count(*) FROM transactions WHERE {where}",
            counts,
        )

    newest = "last_updated_at DESC, agency_tracking_id"
    totals = (
        "SELECT coalesce(sum(transaction_amount), 0) FROM transactions WHERE payment_status = 'success' "
        f"AND last_updated_at >= '{iso_ms(_fiscal_year_begins(now))}'"
    )
    return [
        Row(
            "a month of the transaction log, with totals",
            "endpoint",
            path=path(pageSize="50", includeTotals="true"),
            portal_sql=(*statements(frame, newest, 50), totals),
        ),
        Row(
            "the failed ones of a month, by creation",
            "endpoint",
            path=path(pageSize="50", status="failed", sort="createdAt"),
            portal_sql=statements(f"{frame} AND payment_status = 'failed'", "created_at DESC, agency_tracking_id", 50),
        ),
        Row(
            "an export page of 5,000 rows",
            "endpoint",
            path=path(pageSize="5000", export="true"),
            portal_sql=statements(frame, newest, 5_000),
        ),
    ]


def _fiscal_year_begins(now: float) -> float:
    today = datetime.fromtimestamp(now, _ZONE)
    return datetime(today.year - (today.month < 10), 10, 1, tzinfo=_ZONE).timestamp()


OVERVIEW: Final = "SELECT status, sum(attempts), sum(amount) FROM payment_days GROUP BY status"
"""The question of the dashboard's overview, from the roll-up by day."""
OVERVIEW_GOAL_MS: Final = 20.0
