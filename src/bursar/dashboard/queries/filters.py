"""The filter of the transactions page: read from a URL, written back to one, and turned into SQL.

Two URLs with the same filter show the same transactions: a period that is chosen by name is replaced by its two days.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final, Literal

from bursar.dashboard.queries.as_of import PRESENT, AsOf
from bursar.dashboard.queries.conditions import SqlCondition, one_of
from bursar.dashboard.queries.url_reader import FilterProblem, UrlReader
from bursar.payments.status import STATUSES

Dated = Literal["started", "collected"]

UNKNOWN: Final = "unknown"
"""The choice of attempts whose outcome is unknown, beside the statuses."""
NO_CODE: Final = "none"
"""The choice of attempts without a return code."""
SETTLING: Final = "settling"
IN_TRANSIT: Final = "in_transit"
DEPOSITED: Final = "deposited"
CAME_BACK: Final = "came_back"
_TICKETS: Final = "SELECT agency_tracking_id FROM deposits"
MONEY_CHOICES: Final[Mapping[str, str]] = {
    SETTLING: "status = 'pending'",
    IN_TRANSIT: f"(status = 'pending' OR net_amount > 0) AND agency_tracking_id NOT IN ({_TICKETS})",
    DEPOSITED: f"agency_tracking_id IN ({_TICKETS})",
    CAME_BACK: "reversed_amount > 0",
}
"""Where the money is → the condition. Money is in transit until the deposit ticket that holds it is known."""
STATUS_CHOICES: Final = (*STATUSES, UNKNOWN)
SORTS: Final[Mapping[str, str]] = {
    "started": "created_at",
    "changed": "updated_at",
    "collected": "final_on",
    "amount": "amount",
    "status": "status",
    "fee": "fee",
    "client": "client",
    "method": "payment_method",
    "reference": "reference",
}
"""Name of a sort order in a URL → the column."""
DEFAULT_SORT: Final = "started"


@dataclass(frozen=True, slots=True)
class TransactionFilter:
    """The filter of the transactions page. Days are Eastern time's and inclusive; amounts are dollars and inclusive.

    ``dated``: whether the days are those on which attempts started, or on which money was collected. ``as_of``: the
    instant whose state is shown.
    """

    dated: Dated = "started"
    first: date | None = None
    last: date | None = None
    statuses: tuple[str, ...] = ()
    fees: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    money: tuple[str, ...] = ()
    code: str = ""
    amount_min: Decimal | None = None
    amount_max: Decimal | None = None
    search: str = ""
    sort: str = DEFAULT_SORT
    order: Literal["asc", "desc"] = "desc"
    as_of: AsOf = PRESENT

    @property
    def is_empty(self) -> bool:
        """Whether the filter shows every transaction of its state, in any order."""
        return replace(self, sort=DEFAULT_SORT, order="desc", as_of=PRESENT) == TransactionFilter()

    @property
    def is_by_day(self) -> bool:
        """Whether the conditions read only the columns by which ``payment_days`` is grouped."""
        others = (self.money, self.code, self.amount_min is not None, self.amount_max is not None)
        return not any(others) and UNKNOWN not in self.statuses

    @property
    def is_wide(self) -> bool:
        """Whether the filter usually shows a large part of the transactions."""
        return not self.money or bool({IN_TRANSIT, DEPOSITED} & {*self.money})

    def conditions(self) -> list[SqlCondition]:
        """Return the conditions on a row of ``payments``, without the conditions of the search."""
        found = []
        day = "created_on" if self.dated == "started" else "final_on"
        if self.dated == "collected":
            found.append(SqlCondition("status = 'processed'"))
        if self.first is not None:
            found.append(SqlCondition(f"{day} >= CAST($first AS DATE)", {"first": self.first.isoformat()}))
        if self.last is not None:
            found.append(SqlCondition(f"{day} <= CAST($last AS DATE)", {"last": self.last.isoformat()}))
        if self.statuses:
            found.append(_status_condition(self.statuses))
        for column, values in (("fee", self.fees), ("client", self.clients), ("payment_method", self.methods)):
            if values:
                found.append(one_of(column, column, values))
        if self.money:
            found.append(SqlCondition(" OR ".join(f"({MONEY_CHOICES[each]})" for each in self.money)))
        if self.code == NO_CODE:
            found.append(SqlCondition("return_code IS NULL"))
        elif self.code:
            found.append(SqlCondition("starts_with(return_code, $code)", {"code": self.code}))
        if self.amount_min is not None:
            low = {"amount_min": f"{self.amount_min:f}"}
            found.append(SqlCondition("amount >= CAST($amount_min AS DECIMAL(18,2))", low))
        if self.amount_max is not None:
            high = {"amount_max": f"{self.amount_max:f}"}
            found.append(SqlCondition("amount <= CAST($amount_max AS DECIMAL(18,2))", high))
        return found

    def query(self, **changes: object) -> list[tuple[str, str]]:
        """Return the parameters of the URL that shows this filter with ``changes`` of its fields."""
        shown = replace(self, **changes)  # type: ignore[arg-type]  # names and values are those of the fields
        pairs: list[tuple[str, str]] = []
        for name, value in (("q", shown.search), ("dated", "" if shown.dated == "started" else shown.dated)):
            pairs += [(name, value)] if value else []
        pairs += [("from", shown.first.isoformat())] if shown.first else []
        pairs += [("to", shown.last.isoformat())] if shown.last else []
        for name, values in (
            ("status", shown.statuses), ("fee", shown.fees), ("client", shown.clients), ("method", shown.methods),
            ("money", shown.money),
        ):  # fmt: skip
            pairs += [(name, value) for value in values]
        pairs += [("code", shown.code)] if shown.code else []
        pairs += [("min", f"{shown.amount_min:f}")] if shown.amount_min is not None else []
        pairs += [("max", f"{shown.amount_max:f}")] if shown.amount_max is not None else []
        if (shown.sort, shown.order) != (DEFAULT_SORT, "desc"):
            pairs += [("sort", shown.sort), ("order", shown.order)]
        return pairs + shown.as_of.query


def read_filter(
    pairs: Iterable[tuple[str, str]], today: date, now: float = float("inf")
) -> tuple[TransactionFilter, list[FilterProblem]]:
    """Return the filter of a URL, and the unusable fields, which the filter leaves out.

    An instant after ``now``, Unix seconds, is such a field.
    """
    read = UrlReader(pairs)
    first, last = read.days(today)
    low, high = read.amount("min"), read.amount("max")
    if low is not None and high is not None and low > high:
        read.add_problem("max", "order_of_amounts", f"{high:f}")
        high = None
    found = TransactionFilter(
        dated="collected" if read.choice("dated", ("started", "collected"), "started") == "collected" else "started",
        first=first,
        last=last,
        statuses=read.choices("status", STATUS_CHOICES),
        fees=read.many("fee"),
        clients=read.many("client"),
        methods=read.many("method"),
        money=read.choices("money", tuple(MONEY_CHOICES)),
        code=read.one("code"),
        amount_min=low,
        amount_max=high,
        search=read.one("q"),
        sort=read.choice("sort", tuple(SORTS), DEFAULT_SORT),
        order="asc" if read.choice("order", ("asc", "desc"), "desc") == "asc" else "desc",
        as_of=read.as_of(today, now),
    )
    return found, read.problems


def _status_condition(statuses: tuple[str, ...]) -> SqlCondition:
    plain = [status for status in statuses if status != UNKNOWN]
    found = one_of("status", "status", plain)
    if UNKNOWN not in statuses:
        return found
    return SqlCondition(f"{found.sql} OR outcome_unknown" if plain else "outcome_unknown", found.values)
