"""Answer the dashboard's questions about all payments, through a port that the reports room implements in SQL.

    GET /transactions[/{status}]          the newest attempts
    GET /transaction-payment-status       how many there are in each payment status
    GET /transaction-log                  a time frame, page by page, with counts and the totals of the current periods

An entry is an attempt. Frames select entries by the time of their last change. Entries hold personal data, so only a
client that may see every payment may ask (:func:`~bursar.portal.contract.authorisation.authorise_overview`). No entry
holds a token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, Protocol

from bursar.payments.catalogue.clients import Client
from bursar.portal.contract.answers import LogEntry, LogPage, PeriodTotal, StatusCounts
from bursar.portal.contract.authorisation import authorise_overview
from bursar.portal.contract.periods import PERIODS, Period, PeriodName, begin_of, court_day, day_of
from bursar.portal.state.portal import Portal
from bursar.portal.use_cases.log_query import LogQuery

NEWEST_MAX: Final = 100


class TransactionLog(Protocol):
    """The interface of :class:`bursar.reports.transaction_log.SqlTransactionLog`.

    Frames are since ≤ last change < until, Unix seconds. Entries have the API's names, amounts as ``Decimal``, and
    Pay.gov's word for the payment method.
    """

    async def recent(self, payment_status: str | None = None, limit: int = NEWEST_MAX) -> list[dict[str, Any]]:
        """Return the attempts that started last, of one payment status or of all."""
        ...

    async def page(
        self,
        since: float,
        until: float,
        *,
        status: str | None,
        sort: str,
        order: str,
        limit: int,
        offset: int,
        counted: bool,
        periods: Mapping[str, tuple[float, float]],
        as_of: float | None,
        asked_at: float,
    ) -> "LoggedPage":
        """Return one page of a frame, from one state.

        Nulls are last in both directions; ties are ordered by agencyTrackingId.

        The state is that of ``as_of``, or the present one of a request that arrived at ``asked_at``. An ``as_of`` in
        the future comes from another machine's clock, and means the present state.
        """
        ...

    async def counts(self) -> StatusCounts:
        """Return how many attempts there are, by payment status."""
        ...


class LoggedPage(Protocol):
    """One page of the log: entries, the counts of the frame if they were asked for, the amount of each period."""

    @property
    def entries(self) -> Sequence[LogEntry]:
        """The attempts."""
        ...

    @property
    def counts(self) -> StatusCounts | None:
        """How many attempts last changed in the frame, by payment status."""
        ...

    @property
    def totals(self) -> Mapping[str, Decimal]:
        """The successful amount of each period, by its name, in dollars."""
        ...

    @property
    def as_of(self) -> float:
        """The instant of the state, Unix seconds. The state has no later change."""
        ...


async def newest_transactions(log: TransactionLog, client: Client, status: str | None) -> list[LogEntry]:
    """Return the newest attempts, at most ``NEWEST_MAX``, of one payment status or of all. Raises ``Forbidden``."""
    authorise_overview(client)
    return list(await log.recent(status, NEWEST_MAX))


async def status_counts(log: TransactionLog, client: Client) -> StatusCounts:
    """Return how many attempts there are in each payment status. Raises ``Forbidden``."""
    authorise_overview(client)
    return await log.counts()


async def transaction_log(portal: Portal, log: TransactionLog, client: Client, query: LogQuery) -> LogPage:
    """Return one page of the log. Raises ``Forbidden``.

    Counts ignore the payment status of the query. Pages of an export after the first have no counts and no totals: the
    caller has them from the first page. Rows, counts and totals of one answer are of one state. So are several pages
    with the same ``as_of``. Without it each page is of the present state, and an attempt that changes meanwhile moves.
    """
    authorise_overview(client)
    counted = not (query.export and query.page > 1)
    now = portal.clock()
    periods = _periods(now if query.as_of is None else query.as_of) if counted and query.include_totals else {}
    found = await log.page(
        query.since,
        query.until,
        status=query.status,
        sort=query.sort,
        order=query.order,
        limit=query.page_size,
        offset=(query.page - 1) * query.page_size,
        counted=counted,
        periods={name: (period.begin, period.end) for name, period in periods.items()},
        as_of=query.as_of,
        asked_at=now,
    )
    frame = Period(query.since, query.until)
    page = LogPage(list(found.entries), frame, query.page, query.page_size, query.sort, query.order, found.as_of)
    if found.counts is None:
        return page
    counts = found.counts
    by_status = {None: counts.total, "success": counts.success, "failed": counts.failed, "pending": counts.pending}
    totals = {
        name: PeriodTotal(Period(period.begin, min(found.as_of, period.end)), found.totals[name])
        for name, period in periods.items()
    }
    return replace(page, counts=counts, total=by_status[query.status], totals=totals or None)


def _periods(at: float) -> dict[PeriodName, Period]:
    """Return each period that holds ``at``, from its beginning to the end of the day of ``at``.

    The state has no change after ``at``, so these totals are to date.
    """
    end = day_of(court_day(at)).end
    return {name: Period(begin_of(name, at), end) for name in PERIODS}
