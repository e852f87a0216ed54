"""Answer the dashboard's questions about all payments, through a port that the reports room implements in SQL.

    GET /transactions[/{status}]          the newest attempts
    GET /transaction-payment-status       how many there are in each payment status
    GET /transaction-log                  a time frame, page by page, with counts and the totals of the current periods

An entry is an attempt, found by the time of its last change. Entries hold personal data, so only a client that may see
every payment may ask (:func:`~bursar.portal.contract.authorisation.authorise_overview`). No entry holds a token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, Protocol

from bursar.payments.clients import Client
from bursar.portal.contract.answers import LogEntry, LogPage, PeriodTotal, StatusCounts
from bursar.portal.contract.authorisation import authorise_overview
from bursar.portal.contract.periods import PERIODS, Period, PeriodName, begin_of
from bursar.portal.use_cases.log_query import LogQuery
from bursar.portal.use_cases.portal import Portal

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
    ) -> "LoggedPage":
        """Return one page of a frame, of one state; nulls last in both directions, ties by agencyTrackingId."""
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
    caller has them from the first page. Rows, counts and totals of one answer are of one state. Several pages are no
    snapshot: an attempt that changes meanwhile moves.
    """
    authorise_overview(client)
    counted = not (query.export and query.page > 1)
    periods = _periods(portal.clock()) if counted and query.include_totals else {}
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
    )
    frame = Period(query.since, query.until)
    page = LogPage(list(found.entries), frame, query.page, query.page_size, query.sort, query.order)
    if found.counts is None:
        return page
    counts = found.counts
    by_status = {None: counts.total, "success": counts.success, "failed": counts.failed, "pending": counts.pending}
    totals = {name: PeriodTotal(period, found.totals[name]) for name, period in periods.items()} or None
    return replace(page, counts=counts, total=by_status[query.status], totals=totals)


def _periods(now: float) -> dict[PeriodName, Period]:
    """Return each current period from its beginning to ``now``."""
    return {name: Period(begin_of(name, now), now) for name in PERIODS}
