"""The chart of the overview: amounts collected by fee, or payments started by status, beside the period before.

    place              0            1            2            3
    this period        Feb 26       Feb 27       Feb 28                    split by fee or by status
    period before      Jan 29       Jan 30       Jan 31       (rest)       its total alone

All numbers are sums of whole days, which the reports keep as ``payment_days``. The numbers of all places add up to the
numbers of both periods, also if one period is longer than the other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, Literal

from bursar.dashboard.drawing import SERIES_MAX
from bursar.dashboard.queries.filters import TransactionFilter
from bursar.dashboard.queries.periods import STEPS, Days, buckets_between, days_compared
from bursar.dashboard.queries.transactions import Total, where_of
from bursar.dashboard.sign_in.accounts import Account
from bursar.reports.sql.answer import Question, SqlAnswer

Split = Literal["fee", "status"]
Measure = Literal["amount", "number"]
SPLITS: Final[tuple[Split, ...]] = ("fee", "status")
MEASURES: Final[tuple[Measure, ...]] = ("amount", "number")

BY_DAY_MAX: Final = 45
BY_WEEK_MAX: Final = 200
"""The most days of a chart by day, and of a chart by week. A longer chart is by month."""
OTHERS: Final = ""
"""The name of the series that has the smallest fees, if there are more than a chart has colors for."""


@dataclass(frozen=True, slots=True)
class ChartChoice:
    """The choice of a chart: by fee (collected) or by status (started), as dollars or as a number of attempts."""

    by: Split = "fee"
    measure: Measure = "amount"

    @property
    def query(self) -> list[tuple[str, str]]:
        """The choice as parameters of a URL; no parameters for the default choice."""
        chosen = {"by": self.by, "measure": self.measure}
        return [(name, value) for name, value in chosen.items() if value != getattr(_UNCHOSEN, name)]

    def value(self, total: Total) -> Decimal:
        """Return the number of ``total`` that the chart shows."""
        return total.amount if self.measure == "amount" else Decimal(total.count)

    def filter(self, days: Days, names: Sequence[str] = ()) -> TransactionFilter:
        """Return the filter of the attempts of these days, of the named fees or statuses or of all."""
        first, last = days
        if self.by == "fee":
            return TransactionFilter(dated="collected", first=first, last=last, fees=tuple(names))
        return TransactionFilter(first=first, last=last, statuses=tuple(names))


_UNCHOSEN: Final = ChartChoice()


def read_choice(pairs: Iterable[tuple[str, str]]) -> ChartChoice:
    """Return the choice of a URL. An unknown value counts as missing."""
    given = dict(pairs)
    return ChartChoice(
        "status" if given.get("by") == "status" else "fee",
        "number" if given.get("measure") == "number" else "amount",
    )


@dataclass(frozen=True, slots=True)
class OverviewChart:
    """The numbers of the chart. ``buckets``, ``before``: the days of each place, in this period and the one before.

    ``totals``: (place, series) → total; ``series``: name of a series → its fees or statuses, largest series first.
    ``before_totals`` has the total of each place of the period before.
    """

    choice: ChartChoice
    step: str
    buckets: Sequence[Days]
    before: Sequence[Days]
    totals: Mapping[tuple[int, str], Total]
    series: Mapping[str, Sequence[str]]
    before_totals: Sequence[Total]

    @property
    def places(self) -> range:
        """The places of the chart: as many as the longer period has."""
        return range(max(len(self.buckets), len(self.before)))

    @property
    def values(self) -> Mapping[tuple[int, str], Decimal]:
        """The heights of the bars: (place, series) → dollars or number."""
        return {key: self.choice.value(total) for key, total in self.totals.items()}

    def total(self, *, place: int | None = None, name: str | None = None) -> Total:
        """Return the total of a place, of a series, of a series at a place, or of the whole period."""
        found = (total for (at, series), total in self.totals.items() if place in (None, at) and name in (None, series))
        return sum(found, Total())


def step_of(first: date, last: date) -> str:
    """Return the step of a chart over these days: ``day``, ``week`` or ``month``."""
    days = (last - first).days + 1
    return "day" if days <= BY_DAY_MAX else "week" if days <= BY_WEEK_MAX else "month"


def chart_questions(choice: ChartChoice, first: date, last: date, before: Days, account: Account) -> list[Question]:
    """Return the two questions whose answers :func:`chart_of` needs."""
    day = "final_on" if choice.by == "fee" else "created_on"
    # Weeks begin on Sunday, as everywhere in the court; DuckDB's begin on Monday.
    bucket = {
        "day": day,
        "week": f"CAST(date_trunc('week', {day} + INTERVAL 1 DAY) - INTERVAL 1 DAY AS DATE)",
        "month": f"CAST(date_trunc('month', {day}) AS DATE)",
    }[step_of(first, last)]
    now, old = (where_of(choice.filter(days), account) for days in ((first, last), before))
    sums = "CAST(sum(attempts) AS BIGINT), sum(amount) FROM payment_days"
    return [
        Question(
            f"SELECT {bucket} AS bucket, {choice.by}, {sums} WHERE {now.sql} GROUP BY bucket, {choice.by} ORDER BY ALL",
            now.values,
        ),
        Question(f"SELECT {day} AS day, {sums} WHERE {old.sql} GROUP BY day ORDER BY day", old.values),
    ]


def chart_of(choice: ChartChoice, first: date, last: date, before: Days, answers: Sequence[SqlAnswer]) -> OverviewChart:
    """Return the chart of the answers to :func:`chart_questions`."""
    step = step_of(first, last)
    starts = buckets_between(first, last, step)
    buckets = [_clipped(STEPS[step](start), (first, last)) for start in starts]
    compared = days_compared(buckets, before, step)
    place_of = {start: place for place, start in enumerate(starts)}
    found = [(place_of[start], name, Total(count, amount)) for start, name, count, amount in answers[0].rows]
    series = _series(choice, [(name, total) for _, name, total in found])
    series_of = {name: each for each, names in series.items() for name in names}
    totals: dict[tuple[int, str], Total] = {}
    for place, name, total in found:
        key = place, series_of[name]
        totals[key] = totals.get(key, Total()) + total
    old = {day: Total(count, amount) for day, count, amount in answers[1].rows}
    before_totals = [sum((old[day] for day in old if begin <= day <= end), Total()) for begin, end in compared]
    return OverviewChart(choice, step, buckets, compared, totals, series, before_totals)


def _series(choice: ChartChoice, found: Sequence[tuple[str, Total]]) -> Mapping[str, Sequence[str]]:
    """Return the largest names, each as a series, and the others together."""
    sizes: dict[str, Total] = {}
    for name, total in found:
        sizes[name] = sizes.get(name, Total()) + total
    names = sorted(sizes, key=lambda name: (-choice.value(sizes[name]), name))
    if len(names) <= SERIES_MAX:
        return {name: (name,) for name in names}
    own = SERIES_MAX - 1
    return {**{name: (name,) for name in names[:own]}, OTHERS: names[own:]}


def _clipped(days: Days, within: Days) -> Days:
    return max(days[0], within[0]), min(days[1], within[1])
