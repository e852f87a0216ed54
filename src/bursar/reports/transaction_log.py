"""The transaction log, which a dashboard lists, counts and totals, as SQL over the lake and the tail.

An entry is an attempt. A time frame selects by the last change: ``since`` ≤ t < ``until``, epoch seconds. Entries have
the API's names, times as ISO text, amounts as ``Decimal`` and Pay.gov's word for the payment method. They have no
token, because no table has one.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from bursar.clock import iso_ms
from bursar.payments.records import whole_ms
from bursar.payments.status import FAILED, PENDING
from bursar.reports.errors import InstantToCome
from bursar.reports.log_sorts import LOG_SORTS
from bursar.reports.port import Answers
from bursar.reports.sql.answer import Question, SqlAnswer
from bursar.reports.sql.fast_top_rows import TOP_ROWS_MAX

RECENT_MAX: Final = 100
PAGE_ROWS_MAX: Final = 5_000

# Name of a field in the API → its column. It contains every name in LOG_SORTS. A fee's name is not in the table.
_FIELDS: Final[dict[str, str]] = {
    "agencyTrackingId": "agency_tracking_id",
    "paygovTrackingId": "paygov_tracking_id",
    "feeName": "fee",
    "fee": "fee",
    "transactionAmount": "amount",
    "clientName": "client",
    "transactionReferenceId": "reference",
    "paymentStatus": "payment_status",
    "transactionStatus": "status",
    "paymentMethod": "payment_method",
    "metadata": "metadata",
    "createdAt": "created_at",
    "lastUpdatedAt": "updated_at",
    "returnCode": "return_code",
    "returnDetail": "return_detail",
}


def _time_text(column: str) -> str:
    return f"strftime({column}, '%Y-%m-%dT%H:%M:%S.%gZ')"


# DuckDB writes the times of a page in a fraction of the time that Python needs to make them from datetimes.
_AS_TEXT: Final = {name: _time_text(name) for name in ("created_at", "updated_at")}
NO_LABELS: Final[Mapping[str, str]] = {}
_ORDERS: Final = {"asc": "ASC", "desc": "DESC"}
_IN_FRAME: Final = (
    "updated_at >= CAST($since AS TIMESTAMP WITH TIME ZONE) AND updated_at < CAST($until AS TIMESTAMP WITH TIME ZONE)"
)
_COUNTS: Final = "SELECT payment_status, count(*)"
NO_PERIODS: Final[Mapping[str, tuple[float, float]]] = {}


@dataclass(frozen=True, slots=True)
class LogCounts:
    """Attempts by payment status."""

    success: int
    failed: int
    pending: int

    @property
    def total(self) -> int:
        """The number of all attempts."""
        return self.success + self.failed + self.pending


@dataclass(frozen=True, slots=True)
class LogAnswer:
    """One page of the log, of one state: entries, counts of the frame, and the amount of each period in dollars.

    ``as_of``: the instant of the state, Unix seconds, in whole milliseconds. The state has no later change.
    """

    entries: list[dict[str, Any]]
    counts: LogCounts | None
    totals: Mapping[str, Decimal]
    as_of: float


class SqlTransactionLog:
    """The log over ``reports``.

    ``fee_names`` returns fee key → name in the present catalogue. A fee that the catalogue no longer has is shown by
    its key. ``method_labels``: Pay.gov's word → its label; the log is sorted by the label.
    """

    def __init__(
        self,
        reports: Answers,
        fee_names: Callable[[], Mapping[str, str]],
        method_labels: Mapping[str, str] = NO_LABELS,
    ) -> None:
        self._reports = reports
        self._fee_names = fee_names
        self._method_labels = method_labels

    async def recent(self, payment_status: str | None = None, limit: int = RECENT_MAX) -> list[dict[str, Any]]:
        """Return the newest attempts by start, at most ``limit``, of one payment status or of all."""
        limit = _bounded(limit, RECENT_MAX)
        question = _entries((), {}, payment_status, "created_at DESC, agency_tracking_id", limit, 0)
        [answer] = await self._reports.answers([question])
        return self._shown(answer)

    async def page(
        self,
        since: float,
        until: float,
        *,
        status: str | None = None,
        sort: str = "lastUpdatedAt",
        order: str = "desc",
        limit: int,
        offset: int,
        counted: bool = True,
        periods: Mapping[str, tuple[float, float]] = NO_PERIODS,
        as_of: float | None = None,
        asked_at: float = 0.0,
    ) -> LogAnswer:
        """Return entries that last changed in the frame, from ``offset`` on; nulls last, ties by agencyTrackingId.

        With ``counted``, the answer has the counts of the frame, and with ``periods`` the successful amount of each.
        All parts are of one state: that of ``as_of``, Unix seconds, or the present one. Pages with the ``as_of`` of
        the first one do not shift. If ``as_of`` is still to come by the clock of the reports, its state is the present
        one so far. ``asked_at``: an instant before the call, which makes the present state's instant cheap to find.

        Raises ``ValueError`` for a ``sort`` not in :data:`LOG_SORTS` or another ``order`` than asc and desc.
        """
        if sort not in LOG_SORTS or order not in _ORDERS:
            raise ValueError(f"sort: must be one of {', '.join(LOG_SORTS)}, and order asc or desc; got {sort} {order}")
        frame = _frame(since, until)
        value, labels = _labelled(_FIELDS[sort], self._labels(sort))
        by = f"{value} {_ORDERS[order]} NULLS LAST, agency_tracking_id"
        limit, offset = _bounded(limit, PAGE_ROWS_MAX), max(offset, 0)
        questions = [_entries((_IN_FRAME,), {**frame, **labels}, status, by, limit, offset)]
        if counted:
            questions.append(Question(f"{_COUNTS} FROM payments WHERE {_IN_FRAME} GROUP BY payment_status", frame))
        if periods:
            questions.append(_totals(periods))
        if as_of is None:
            *answers, newest = await self._reports.answers([*questions, _newest(asked_at)])
            as_of = _instant_of(newest, asked_at)
        else:
            try:
                answers = await self._reports.answers([replace(each, as_of=as_of) for each in questions])
            except InstantToCome:
                answers = await self._reports.answers(questions)
        return LogAnswer(
            self._shown(answers[0]),
            _counts(answers[1]) if counted else None,
            _amounts(periods, answers[-1]) if periods else {},
            as_of,
        )

    async def counts(self) -> LogCounts:
        """Return the number of all attempts, by payment status."""
        text = "SELECT payment_status, CAST(sum(attempts) AS BIGINT) FROM payment_days GROUP BY payment_status"
        [answer] = await self._reports.answers([Question(text)])
        return _counts(answer)

    def _labels(self, field: str) -> Mapping[str, str]:
        """Return value → label for a field that has labels; the log is sorted by the labels."""
        if field == "feeName":
            return self._fee_names()
        return self._method_labels if field == "paymentMethod" else NO_LABELS

    def _shown(self, answer: SqlAnswer) -> list[dict[str, Any]]:
        names = self._fee_names()
        return [_entry(row, names) for row in answer.dicts()]


def _entries(
    conditions: Sequence[str], parameters: Mapping[str, Any], status: str | None, by: str, limit: int, offset: int
) -> Question:
    parameters = dict(parameters)
    if status is not None:
        conditions = (*conditions, "payment_status = $status")
        parameters["status"] = status
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    rest = f"FROM payments{where} ORDER BY {by} LIMIT {limit:d} OFFSET {offset:d}"
    if limit + offset <= TOP_ROWS_MAX:
        # Only the first rows of each part of the table are read: bursar.reports.sql.fast_top_rows.
        return Question(f"SELECT {_fields(_AS_TEXT)} {rest}", parameters)
    # DuckDB would write the times of all rows of the frame, and then choose those of the page.
    shown = ", ".join(
        f'{_time_text(f"page.{name}")} AS "{name}"' if column in _AS_TEXT else f'"{name}"'
        for name, column in _FIELDS.items()
    )
    return Question(f"SELECT {shown} FROM (SELECT {_fields({})} {rest}) AS page", parameters)


def _fields(texts: Mapping[str, str]) -> str:
    """Return the columns of an entry under the API's names; ``texts``: column → what to select instead of it."""
    return ", ".join(f'{texts.get(column, column)} AS "{name}"' for name, column in _FIELDS.items())


def _newest(asked_at: float) -> Question:
    """Return the question for the newest change after ``asked_at`` in the present state."""
    return Question(
        "SELECT max(updated_at) FROM payments WHERE updated_at > CAST($asked_at AS TIMESTAMP WITH TIME ZONE)",
        {"asked_at": iso_ms(asked_at)},
    )


def _instant_of(newest: SqlAnswer, asked_at: float) -> float:
    """Return the instant of the present state. The state has no later change.

    The instant of an answer is the time when reading the store began, by the clock of the reports, which may be behind
    the caller's. The answer may have newer changes: they were made during the reading, or by a machine whose clock is
    ahead.
    """
    [(changed_at,)] = newest.rows
    began = max(whole_ms(newest.as_of), whole_ms(asked_at))
    return began if changed_at is None else max(began, whole_ms(changed_at.timestamp()))


def _totals(periods: Mapping[str, tuple[float, float]]) -> Question:
    """Return the question for the successful amount of each period, in the order of the periods."""
    sums: list[str] = []
    parameters: dict[str, str] = {}
    for place, (since, until) in enumerate(periods.values()):
        frame = _IN_FRAME.replace("$since", f"$since{place}").replace("$until", f"$until{place}")
        sums.append(f"sum(CASE WHEN {frame} THEN amount END)")
        parameters |= {f"since{place}": iso_ms(since), f"until{place}": iso_ms(until)}
    # The frame around all periods lets DuckDB skip the rows of other months.
    parameters |= _frame(min(since for since, _ in periods.values()), max(until for _, until in periods.values()))
    return Question(
        f"SELECT {', '.join(sums)} FROM payments WHERE payment_status = 'success' AND {_IN_FRAME}", parameters
    )


def _amounts(periods: Mapping[str, tuple[float, float]], answer: SqlAnswer) -> dict[str, Decimal]:
    return {
        name: Decimal("0.00") if total is None else total for name, total in zip(periods, answer.rows[0], strict=True)
    }


def _counts(answer: SqlAnswer) -> LogCounts:
    found = dict(answer.rows)
    return LogCounts(found.get("success", 0), found.get(FAILED, 0), found.get(PENDING, 0))


def _labelled(column: str, labels: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the expression for the label of a column's value, or the value itself, and its parameters."""
    if not labels:
        return column, {}
    cases = " ".join(f"WHEN ${column}_key{place} THEN ${column}_label{place}" for place in range(len(labels)))
    parameters = {f"{column}_key{place}": key for place, key in enumerate(labels)}
    parameters |= {f"{column}_label{place}": label for place, label in enumerate(labels.values())}
    return f"CASE {column} {cases} ELSE {column} END", parameters


def _bounded(limit: int, limit_max: int) -> int:
    return max(0, min(limit, limit_max))


def _frame(since: float, until: float) -> dict[str, str]:
    return {"since": iso_ms(since), "until": iso_ms(until)}


def _entry(row: dict[str, Any], fee_names: Mapping[str, str]) -> dict[str, Any]:
    return row | {"feeName": fee_names.get(row["fee"], row["fee"]), "metadata": json.loads(row["metadata"])}
