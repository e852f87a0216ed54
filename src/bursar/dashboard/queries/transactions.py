"""One page of transactions with the counts and totals of the whole filter, all of one state of the payments."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

from bursar.dashboard.formatting import eastern
from bursar.dashboard.queries.conditions import SqlCondition, all_of, visible_to
from bursar.dashboard.queries.filters import SORTS, TransactionFilter
from bursar.dashboard.queries.search import Search
from bursar.dashboard.sign_in.accounts import Account
from bursar.payments.records import ZERO
from bursar.reports.port import PaymentReports
from bursar.reports.sql.answer import Question, SqlAnswer

PAGE_ROWS: Final = 50
COLUMNS: Final = (
    "agency_tracking_id", "client", "reference", "fee", "amount", "status", "payment_status", "payment_method",
    "transaction_status", "paygov_tracking_id", "return_code", "return_detail", "outcome_unknown", "metadata",
    "created_at", "updated_at", "created_on", "final_on", "reversed_amount", "net_amount",
)  # fmt: skip
_CASTS: Final[Mapping[str, str]] = {
    "created_at": "TIMESTAMP WITH TIME ZONE",
    "updated_at": "TIMESTAMP WITH TIME ZONE",
    "final_on": "DATE",
    "amount": "DECIMAL(18,2)",
}
NO_SEARCH: Final = Search()
NEAR_DAYS: Final = 14
DAY_SORTS: Final[Mapping[str, str]] = {"started": "created_on", "collected": "final_on"}
"""Sort order by time, which is also a choice for the days of a filter → the column."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in a sorted list: next to the row with this id and this value of the sort column."""

    agency_tracking_id: str
    value: str | None
    side: Literal["after", "before"]


@dataclass(frozen=True, slots=True)
class Total:
    """How many attempts, their amount in dollars, and the dollars that went back."""

    count: int = 0
    amount: Decimal = ZERO
    reversed: Decimal = ZERO

    def __add__(self, other: "Total") -> "Total":
        return Total(self.count + other.count, self.amount + other.amount, self.reversed + other.reversed)


@dataclass(frozen=True, slots=True)
class TransactionPage:
    """Rows (column → value), the totals of the filter by payment status, and the cursors of the pages beside it."""

    rows: list[dict[str, Any]]
    totals: Mapping[str, Total]
    as_of: float
    next: Cursor | None
    previous: Cursor | None

    @property
    def total(self) -> Total:
        """The total over all payment statuses."""
        return sum(self.totals.values(), Total())


def where_of(found: TransactionFilter, account: Account, search: Search = NO_SEARCH) -> SqlCondition:
    """Return the condition for all rows that a filter shows to an account."""
    return all_of([*found.conditions(), *([search.condition] if search.terms else []), visible_to(account)])


async def transactions_page(
    reports: PaymentReports, found: TransactionFilter, account: Account, search: Search, cursor: Cursor | None
) -> TransactionPage:
    """Return one page and the totals of the whole filter, of one state."""
    if search.is_wide or found.as_of.instant is not None:
        shown, totals, as_of = await _by_scans(reports, found, account, search, cursor)
    else:
        shown, totals, as_of = await _by_alternatives(reports, found, account, search, cursor)
    backwards = cursor is not None and cursor.side == "before"
    has_more = len(shown) > PAGE_ROWS
    shown = shown[:PAGE_ROWS]
    if backwards:
        shown.reverse()
    has_next = bool(shown) and (has_more or backwards)
    has_previous = bool(shown) and (has_more if backwards else cursor is not None)
    return TransactionPage(
        shown,
        totals,
        as_of,
        _cursor(found, shown[-1], "after") if has_next else None,
        _cursor(found, shown[0], "before") if has_previous else None,
    )


def _listed(found: TransactionFilter, where: SqlCondition, rows_max: int, *, backwards: bool = False) -> Question:
    listed = f"SELECT {', '.join(COLUMNS)} FROM payments WHERE {where.sql} ORDER BY {_order(found, backwards)}"
    return Question(f"{listed} LIMIT {rows_max}", where.values, as_of=found.as_of.instant)


_RowsAndTotals = tuple[list[dict[str, Any]], dict[str, Total], float]
"""The rows of a page, and one more if there are more; the totals by payment status; the time of their state."""


async def _by_scans(
    reports: PaymentReports, found: TransactionFilter, account: Account, search: Search, cursor: Cursor | None
) -> _RowsAndTotals:
    """Read a page and totals by one scan of payments for each, the page first only near the place where it begins."""
    where = where_of(found, account, search)
    backwards = cursor is not None and cursor.side == "before"
    near = _near(found, search, cursor, backwards)
    totals = _totals(found, account, search)
    for window in [near, None] if near is not None else [None]:
        beside = all_of([where, _beyond_cursor(found, cursor), *([] if window is None else [window])])
        rows, *summed = await reports.answers([_listed(found, beside, PAGE_ROWS + 1, backwards=backwards), *totals])
        sums = _sums(summed)
        is_all = cursor is None and sum(total.count for total in sums.values()) == len(rows.rows)
        if len(rows.rows) > PAGE_ROWS or is_all:
            break  # rows outside of the window come after these
    return rows.dicts(), sums, rows.as_of


async def _by_alternatives(
    reports: PaymentReports, found: TransactionFilter, account: Account, search: Search, cursor: Cursor | None
) -> _RowsAndTotals:
    """Read a page and totals by one narrow scan for each alternative of a search, then the whole rows of the page.

    ``created_at`` is nearly in the order of the stored rows, so few of them are read for the page.
    """
    rest = all_of([*found.conditions(), visible_to(account)])
    alternatives = search.alternatives()
    backwards = cursor is not None and cursor.side == "before"
    beyond, order = _beyond_cursor(found, cursor), _order(found, backwards)
    narrow = ", ".join(
        dict.fromkeys(("agency_tracking_id", "created_at", "payment_status", "amount", SORTS[found.sort]))
    )
    matches = " UNION ".join(f"SELECT {narrow} FROM payments WHERE {all_of([each, rest]).sql}" for each in alternatives)
    text = (
        f"WITH found AS MATERIALIZED ({matches}), "
        f"shown AS MATERIALIZED (SELECT * FROM found WHERE {beyond.sql} ORDER BY {order} LIMIT {PAGE_ROWS + 1}), "
        "back AS (SELECT agency_tracking_id, sum(amount) AS reversed FROM reversals "
        "WHERE agency_tracking_id IN (SELECT agency_tracking_id FROM found) GROUP BY agency_tracking_id), "
        "sums AS (SELECT payment_status, count(*) AS attempts, CAST(sum(amount) AS VARCHAR) AS amount, "
        "CAST(coalesce(sum(reversed), 0) AS VARCHAR) AS reversed FROM found LEFT JOIN back "
        "ON found.agency_tracking_id = back.agency_tracking_id GROUP BY payment_status) "
        f"SELECT {', '.join(COLUMNS)}, (SELECT CAST(to_json(list(sums)) AS VARCHAR) FROM sums) AS totals FROM payments "
        "WHERE created_at IN (SELECT created_at FROM shown) "
        f"AND agency_tracking_id IN (SELECT agency_tracking_id FROM shown) ORDER BY {order}"
    )
    values = {**rest.values, **beyond.values}
    for each in alternatives:
        values |= each.values
    [answer] = await reports.answers([Question(text, values)])
    rows = answer.dicts()
    if not rows and cursor is not None:  # the rows of this page are gone, and with them the totals
        return await _by_scans(reports, found, account, search, cursor)
    sums = json.loads(rows[0]["totals"]) if rows else []
    totals = {
        each["payment_status"]: Total(each["attempts"], Decimal(each["amount"]), Decimal(each["reversed"]))
        for each in sums
    }
    return rows, totals, answer.as_of


def _totals(found: TransactionFilter, account: Account, search: Search) -> list[Question]:
    """Return the questions for the totals by payment status.

    The sums by day have few rows, so they are used for a filter with only days, statuses, fees, clients and methods.
    The sum of what went back needs a join, so it is asked only of the attempts that have reversals, unless a condition
    needs the join too.
    """
    where, at = where_of(found, account, search), found.as_of.instant
    if at is not None or found.money:
        sums = "SELECT payment_status, count(*), sum(amount), sum(reversed_amount) FROM payments"
        return [Question(f"{sums} WHERE {where.sql} GROUP BY payment_status", where.values, as_of=at)]
    counted = f"SELECT payment_status, count(*), sum(amount), NULL FROM payments WHERE {where.sql} GROUP BY ALL"
    if search.is_by_day and found.is_by_day:
        counted = (
            "SELECT payment_status, CAST(sum(attempts) AS BIGINT), sum(amount), NULL FROM payment_days "
            f"WHERE {where.sql} GROUP BY ALL"
        )
    reversed_ = (
        "SELECT payment_status, 0, 0, sum(reversed_amount) FROM payments WHERE agency_tracking_id IN "
        f"(SELECT agency_tracking_id FROM reversals) AND {where.sql} GROUP BY payment_status"
    )
    if found.is_empty and not search.terms and not account.is_limited:
        reversed_ = "SELECT 'success', 0, 0, sum(amount) FROM reversals"  # only collected money goes back
    return [Question(counted, where.values), Question(reversed_, where.values if "WHERE" in reversed_ else {})]


def _sums(answers: Sequence[SqlAnswer]) -> dict[str, Total]:
    found: dict[str, Total] = {}
    for answer in answers:
        for name, count, amount, back in answer.rows:
            found[name] = found.get(name, Total()) + Total(count, amount or ZERO, back or ZERO)
    return {name: total for name, total in found.items() if total.count}


def _near(found: TransactionFilter, search: Search, cursor: Cursor | None, backwards: bool) -> SqlCondition | None:
    """Return the condition for the days near the place where a page begins; None if the order is not by days.

    A page is usually within these days, which are a small part of the table.
    """
    column = DAY_SORTS.get(found.sort)
    if column is None or not (search.is_wide and found.is_wide) or (cursor is not None and cursor.value is None):
        return None
    descends = (found.order == "desc") != backwards
    edge = _day_of(cursor) if cursor is not None else None
    if cursor is None and found.dated == found.sort:
        edge = found.last if descends else found.first
    if cursor is None and found.sort == "started" and search.days is not None:
        edge = search.days[1] if descends else search.days[0]
    sign, step = (">=", -NEAR_DAYS) if descends else ("<=", NEAR_DAYS)
    if edge is None and cursor is None and found.as_of.instant is not None and descends:
        edge = eastern(found.as_of.instant).date()  # nothing had started, or was collected, after it
    if edge is not None:
        return SqlCondition(f"{column} {sign} CAST($near AS DATE) + {step}", {"near": edge.isoformat()})
    if cursor is not None or found.as_of.instant is not None:
        return None
    end = "max" if descends else "min"
    return SqlCondition(f"{column} {sign} (SELECT {end}({column}) FROM payment_days) + {step}")


def _day_of(cursor: Cursor) -> date | None:
    """Return the day of a cursor's value, an instant or a day; None if it is neither."""
    try:
        moment = datetime.fromisoformat(cursor.value or "")
    except ValueError:
        return None
    return eastern(moment).date() if moment.tzinfo else moment.date()


def every_transaction(
    found: TransactionFilter, account: Account, search: Search, columns: tuple[str, ...] = COLUMNS
) -> Question:
    """Return the question for all rows of a filter in its order."""
    where = where_of(found, account, search)
    text = f"SELECT {', '.join(columns)} FROM payments WHERE {where.sql} ORDER BY {_order(found, backwards=False)}"
    return Question(text, where.values, rows_max=None, as_of=found.as_of.instant)


async def count_of(reports: PaymentReports, found: TransactionFilter, account: Account, search: Search) -> int:
    """Return the number of rows of a filter."""
    where = where_of(found, account, search)
    text = f"SELECT count(*) FROM payments WHERE {where.sql}"
    [answer] = await reports.answers([Question(text, where.values, as_of=found.as_of.instant)])
    return int(answer.rows[0][0])


async def choices_of(reports: PaymentReports, account: Account) -> Mapping[str, list[str]]:
    """Return the clients, fees and payment methods that occur in what the account may see."""
    where = visible_to(account)
    columns = ("client", "fee", "payment_method")
    text = f"SELECT DISTINCT {', '.join(columns)} FROM payment_days WHERE {where.sql}"
    [answer] = await reports.answers([Question(text, where.values, rows_max=None)])
    return {
        column: sorted({row[place] for row in answer.rows if row[place] is not None})
        for place, column in enumerate(columns)
    }


def _order(found: TransactionFilter, backwards: bool) -> str:
    column = SORTS[found.sort]
    descends = (found.order == "desc") != backwards
    nulls, direction = ("FIRST" if backwards else "LAST"), ("DESC" if descends else "ASC")
    return f"{column} {direction} NULLS {nulls}, agency_tracking_id {'DESC' if backwards else 'ASC'}"


def _beyond_cursor(found: TransactionFilter, cursor: Cursor | None) -> SqlCondition:
    """Return the condition for the rows after, or before, a cursor. Nulls are last in the list."""
    if cursor is None:
        return SqlCondition("TRUE")
    column, after = SORTS[found.sort], cursor.side == "after"
    id_side = f"agency_tracking_id {'>' if after else '<'} $cursor_id"
    values: dict[str, Any] = {"cursor_id": cursor.agency_tracking_id}
    if cursor.value is None:
        same = f"({column} IS NULL AND {id_side})"
        return SqlCondition(same if after else f"{column} IS NOT NULL OR {same}", values)
    values["cursor_value"] = cursor.value
    value = f"CAST($cursor_value AS {_CASTS.get(column, 'VARCHAR')})"
    further = ">" if (found.order == "asc") == after else "<"
    sql = f"{column} {further} {value} OR ({column} = {value} AND {id_side})"
    return SqlCondition(f"{sql} OR {column} IS NULL" if after else sql, values)


def _cursor(found: TransactionFilter, row: Mapping[str, Any], side: Literal["after", "before"]) -> Cursor:
    value = row[SORTS[found.sort]]
    text = None if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)
    return Cursor(row["agency_tracking_id"], text, side)
