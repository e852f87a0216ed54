"""One page of transactions with the counts and totals of the whole filter, all of one state of the payments."""

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
FEW_ROWS_MAX: Final = 500
"""The most rows of a search that are read together with their totals, without a second scan of all payments."""
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
    where = where_of(found, account, search)
    if cursor is None and not search.is_wide:
        page = await _page_of_few(reports, found, account, search)
        if page is not None:
            return page
    backwards = cursor is not None and cursor.side == "before"
    totals = _totals(found, account, search)
    near = _near(found, search, cursor, backwards)
    rows: SqlAnswer | None = None
    summed: list[SqlAnswer] = []
    for window in [near, None] if near is not None else [None]:
        beside = all_of([where, _beyond_cursor(found, cursor), *([] if window is None else [window])])
        listed = _listed(found, beside, PAGE_ROWS + 1, backwards=backwards)
        rows, *summed = await reports.answers([listed, *totals])
        if len(rows.rows) > PAGE_ROWS:
            break  # rows outside of the window come after these
    assert rows is not None
    shown = rows.dicts()
    has_more = len(shown) > PAGE_ROWS
    shown = shown[:PAGE_ROWS]
    if backwards:
        shown.reverse()
    has_next = bool(shown) and (has_more or backwards)
    has_previous = bool(shown) and (has_more if backwards else cursor is not None)
    return TransactionPage(
        shown,
        _sums(summed),
        rows.as_of,
        _cursor(found, shown[-1], "after") if has_next else None,
        _cursor(found, shown[0], "before") if has_previous else None,
    )


def _listed(found: TransactionFilter, where: SqlCondition, rows_max: int, *, backwards: bool = False) -> Question:
    listed = f"SELECT {', '.join(COLUMNS)} FROM payments WHERE {where.sql} ORDER BY {_order(found, backwards)}"
    return Question(f"{listed} LIMIT {rows_max}", where.values, as_of=found.as_of.instant)


async def _page_of_few(
    reports: PaymentReports, found: TransactionFilter, account: Account, search: Search
) -> TransactionPage | None:
    """Return the first page with the totals of all its rows; None if there are more than ``FEW_ROWS_MAX``."""
    condition = search.condition_by_ids if found.as_of.instant is None else search.condition
    where = all_of([*found.conditions(), condition, visible_to(account)])
    [answer] = await reports.answers([_listed(found, where, FEW_ROWS_MAX + 1)])
    rows = answer.dicts()
    if len(rows) > FEW_ROWS_MAX:
        return None
    totals: dict[str, Total] = {}
    for row in rows:
        known = totals.get(row["payment_status"], Total())
        totals[row["payment_status"]] = known + Total(1, row["amount"], row["reversed_amount"])
    shown = rows[:PAGE_ROWS]
    following = _cursor(found, shown[-1], "after") if len(rows) > PAGE_ROWS else None
    return TransactionPage(shown, totals, answer.as_of, following, None)


def _totals(found: TransactionFilter, account: Account, search: Search) -> list[Question]:
    """Return the questions for the totals by payment status.

    The sums by day have few rows, so they are used for a filter with only days, statuses, fees, clients and methods.
    """
    where, at = where_of(found, account, search), found.as_of.instant
    if search.terms or not found.is_by_day or at is not None:
        text = (
            "SELECT payment_status, count(*), sum(amount), sum(reversed_amount) FROM payments "
            f"WHERE {where.sql} GROUP BY payment_status"
        )
        return [Question(text, where.values, as_of=at)]
    counted = (
        "SELECT payment_status, CAST(sum(attempts) AS BIGINT), sum(amount), NULL FROM payment_days "
        f"WHERE {where.sql} GROUP BY payment_status"
    )
    reversed_ = (
        "SELECT payment_status, 0, 0, sum(reversed_amount) FROM payments WHERE agency_tracking_id IN "
        f"(SELECT agency_tracking_id FROM reversals) AND {where.sql} GROUP BY payment_status"
    )
    if found.is_empty and not account.is_limited:
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
    answers = await reports.answers(
        [
            Question(
                f"SELECT DISTINCT {column} FROM payment_days WHERE {where.sql} ORDER BY 1 NULLS LAST", where.values
            )
            for column in columns
        ]
    )
    return {
        column: [value for (value,) in answer.rows if value is not None]
        for column, answer in zip(columns, answers, strict=True)
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
