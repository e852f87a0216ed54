"""The numbers of the overview. Each number is the sum of the transactions that its link shows; a test checks this.

All numbers are of one state of the payments. *Started* counts by the day on which attempts began, *collected* by the
day on which they became processed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from bursar.dashboard.queries.as_of import PRESENT, AsOf
from bursar.dashboard.queries.conditions import SqlCondition, all_of, visible_to
from bursar.dashboard.queries.filters import (
    CAME_BACK,
    DEPOSITED,
    IN_TRANSIT,
    MONEY_CHOICES,
    NO_CODE,
    SETTLING,
    UNKNOWN,
    TransactionFilter,
)
from bursar.dashboard.queries.overview_chart import ChartChoice, OverviewChart, chart_of, chart_questions
from bursar.dashboard.queries.periods import days_of_period, period_before
from bursar.dashboard.queries.transactions import Total, where_of
from bursar.dashboard.sign_in.accounts import Account
from bursar.payments.records import ZERO
from bursar.reports.port import PaymentReports
from bursar.reports.sql.answer import Question, SqlAnswer

TO_DATE: Final = ("today", "this_week", "this_month", "this_quarter", "this_fiscal_year")
REASONS_MAX: Final = 10
STARTED: Final = TransactionFilter()
COLLECTED: Final = TransactionFilter(dated="collected")
_UNCHOSEN: Final = ChartChoice()


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of the overview: attempts and dollars, and the filter that shows them.

    ``before``: the number of the period before.
    """

    name: str
    total: Total
    filter: TransactionFilter
    before: Total | None = None


@dataclass(frozen=True, slots=True)
class SettlementTime:
    """How long ACH debits of the period took to settle, in seconds, and the filter that shows them."""

    count: int
    average_s: float
    median_s: float
    p95_s: float
    filter: TransactionFilter


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that the overview shows of one period and the period before."""

    first: date
    last: date
    before: tuple[date, date]
    as_of: float
    to_date: Sequence[Figure]
    started: Figure
    by_status: Sequence[Figure]
    by_fee: Sequence[Figure]
    collected: Figure
    reasons: Sequence[Figure]
    money: Sequence[Figure]
    unknown: Figure
    settlement: SettlementTime | None
    chart: OverviewChart


async def overview_of(
    reports: PaymentReports,
    account: Account,
    first: date,
    last: date,
    today: date,
    as_of: AsOf = PRESENT,
    choice: ChartChoice = _UNCHOSEN,
) -> Overview:
    """Return the overview of the days from ``first`` to ``last``, for what the account may see.

    ``as_of``: the instant whose state is shown; ``today`` is its day.
    """
    before = period_before(first, last)
    money = {name: where_of(_money_filter(name, first, last), account) for name in (SETTLING, *_IN_PERIOD)}
    questions = [
        _sums_to_date(today, account),
        _two_periods("status", "created_on", "TRUE", first, last, before, account),
        _two_periods("fee", "final_on", "status = 'processed'", first, last, before, account),
        _reasons(first, last, account),
        _settlement(first, last, account),
        *chart_questions(choice, first, last, before, account),
        *[_sum_payments(where) for where in money.values()],
        _sum_payments(where_of(TransactionFilter(statuses=(UNKNOWN,)), account)),
        *_in_transit(account),
    ]
    answers = await reports.answers([replace(each, as_of=as_of.instant) for each in questions])
    to_date, rest = answers[0].rows[0], answers[1:]
    of_status, of_fee = _periods(rest[0]), _periods(rest[1])
    statuses = list(of_status.values())
    frame = replace(STARTED, first=first, last=last)
    collected = replace(COLLECTED, first=first, last=last)
    *sums, unknown, taken, elsewhere = (_total(answer.rows[0]) for answer in rest[6:])
    totals = dict(zip(money, sums, strict=True)) | {IN_TRANSIT: taken + elsewhere}

    def figure(name: str, total: Total, found: TransactionFilter, old: Total | None = None) -> Figure:
        return Figure(name, total, replace(found, as_of=as_of), old)

    return Overview(
        first,
        last,
        before,
        answers[0].as_of,
        [
            figure(name, Total(count, amount or ZERO), _to_date(name, today))
            for name, (count, amount) in zip(TO_DATE, zip(to_date[::2], to_date[1::2], strict=True), strict=True)
        ],
        figure("started", _sum([now for now, _ in statuses]), frame, _sum([old for _, old in statuses])),
        [figure(name, now, replace(frame, statuses=(name,)), old) for name, (now, old) in of_status.items()],
        [figure(name, now, replace(collected, fees=(name,)), old) for name, (now, old) in of_fee.items()],
        figure(
            "collected", _sum([now for now, _ in of_fee.values()]), collected, _sum([old for _, old in of_fee.values()])
        ),
        [
            figure(code or NO_CODE, Total(count, amount), replace(frame, statuses=("failed",), code=code or NO_CODE))
            for code, count, amount in rest[2].rows
        ],
        [figure(name, totals[name], _money_filter(name, first, last)) for name in (SETTLING, IN_TRANSIT, *_IN_PERIOD)],
        figure("unknown", unknown, TransactionFilter(statuses=(UNKNOWN,))),
        _settlement_time(rest[3], replace(collected, methods=("ACH",), as_of=as_of)),
        chart_of(choice, first, last, before, rest[4:6]),
    )


_IN_PERIOD: Final = (DEPOSITED, CAME_BACK)


def _money_filter(name: str, first: date, last: date) -> TransactionFilter:
    if name in _IN_PERIOD:
        return replace(COLLECTED, money=(name,), first=first, last=last)
    return TransactionFilter(money=(name,))


def _to_date(name: str, today: date) -> TransactionFilter:
    return replace(COLLECTED, first=days_of_period(name, today)[0], last=today)


def _sums_to_date(today: date, account: Account) -> Question:
    """Return the question for the count and the sum of each period to date, in one row."""
    firsts = {name: days_of_period(name, today)[0] for name in TO_DATE}
    within = [f"FILTER (WHERE final_on >= CAST(${name} AS DATE))" for name in TO_DATE]
    sums = [f"CAST(coalesce(sum(attempts) {each}, 0) AS BIGINT), sum(amount) {each}" for each in within]
    where = where_of(replace(COLLECTED, first=min(firsts.values()), last=today), account)
    text = f"SELECT {', '.join(sums)} FROM payment_days WHERE {where.sql}"
    return Question(text, {**where.values, **_texts(firsts)})


def _sum_payments(where: SqlCondition) -> Question:
    return Question(f"SELECT count(*), sum(amount), sum(reversed_amount) FROM payments WHERE {where.sql}", where.values)


def _in_transit(account: Account) -> list[Question]:
    """Return two questions whose answers add up to what is in transit.

    Most of it is in ``payment_days``: every attempt that is pending or processed. Only attempts with a deposit or a
    reversal may be elsewhere, so the second answer corrects the first one by these, and joins no others.
    """
    where = all_of([SqlCondition("status IN ('pending', 'processed')"), visible_to(account)])
    recorded = "SELECT agency_tracking_id FROM deposits UNION ALL SELECT agency_tracking_id FROM reversals"
    condition = MONEY_CHOICES[IN_TRANSIT]
    return [
        Question(
            f"SELECT CAST(sum(attempts) AS BIGINT), sum(amount), NULL FROM payment_days WHERE {where.sql}", where.values
        ),
        Question(
            f"SELECT -count(*) FILTER (WHERE NOT moves), -sum(amount) FILTER (WHERE NOT moves), "
            "sum(reversed_amount) FILTER (WHERE moves) FROM "
            f"(SELECT amount, reversed_amount, ({condition}) AS moves FROM payments "
            f"WHERE agency_tracking_id IN ({recorded}) AND {where.sql})",
            where.values,
        ),
    ]


def _two_periods(
    column: str, day: str, also: str, first: date, last: date, before: tuple[date, date], account: Account
) -> Question:
    days = {"first": first, "last": last, "before_first": before[0], "before_last": before[1]}
    within = "{day} BETWEEN CAST(${a} AS DATE) AND CAST(${b} AS DATE)"
    now = within.format(day=day, a="first", b="last")
    old = within.format(day=day, a="before_first", b="before_last")
    where = all_of([SqlCondition(f"({now}) OR ({old})", _texts(days)), SqlCondition(also), visible_to(account)])
    return Question(
        f"SELECT {column}, CAST(coalesce(sum(attempts) FILTER (WHERE {now}), 0) AS BIGINT), "
        f"sum(amount) FILTER (WHERE {now}), CAST(coalesce(sum(attempts) FILTER (WHERE {old}), 0) AS BIGINT), "
        f"sum(amount) FILTER (WHERE {old}) FROM payment_days WHERE {where.sql} GROUP BY {column} ORDER BY {column}",
        where.values,
    )


def _periods(answer: SqlAnswer) -> Mapping[str, tuple[Total, Total]]:
    return {
        name: (Total(count, amount or ZERO), Total(old_count, old_amount or ZERO))
        for name, count, amount, old_count, old_amount in answer.rows
    }


def _reasons(first: date, last: date, account: Account) -> Question:
    where = where_of(replace(STARTED, first=first, last=last, statuses=("failed",)), account)
    return Question(
        f"SELECT return_code, count(*), sum(amount) FROM payments WHERE {where.sql} "
        f"GROUP BY return_code ORDER BY count(*) DESC, return_code LIMIT {REASONS_MAX}",
        where.values,
    )


def _settlement(first: date, last: date, account: Account) -> Question:
    where = where_of(replace(COLLECTED, first=first, last=last, methods=("ACH",)), account)
    return Question(
        "WITH settled AS MATERIALIZED (SELECT agency_tracking_id, created_at, settled_at FROM payments "
        f"WHERE {where.sql}), "
        "accepted AS (SELECT agency_tracking_id, min(occurred_at) AS accepted_at FROM payment_events "
        "WHERE to_status = 'pending' AND occurred_at >= (SELECT min(created_at) FROM settled) "
        "AND occurred_at <= (SELECT max(settled_at) FROM settled) GROUP BY agency_tracking_id), "
        "taken AS (SELECT CAST(date_diff('second', accepted_at, settled_at) AS DOUBLE) AS seconds FROM settled "
        "LEFT JOIN accepted ON settled.agency_tracking_id = accepted.agency_tracking_id) "
        "SELECT count(*), avg(seconds), quantile_cont(seconds, 0.5), quantile_cont(seconds, 0.95) FROM taken",
        where.values,
    )


def _settlement_time(answer: SqlAnswer, found: TransactionFilter) -> SettlementTime | None:
    count, average, median, p95 = answer.rows[0]
    return None if average is None else SettlementTime(count, average, median, p95, found)


def _total(row: Sequence[Any]) -> Total:
    count, amount, reversed_amount = row
    return Total(count or 0, amount or ZERO, reversed_amount or ZERO)


def _sum(totals: Sequence[Total]) -> Total:
    return sum(totals, Total())


def _texts(days: Mapping[str, date]) -> Mapping[str, str]:
    return {name: day.isoformat() for name, day in days.items()}


def change_of(now: Decimal | int, before: Decimal | int) -> Decimal | None:
    """Return the change of a number as a share of the number before; None if that was 0."""
    return None if not before else (Decimal(now) - Decimal(before)) / Decimal(before)
