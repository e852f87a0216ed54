"""The dashboard's questions over all payments: the port that the reports room answers in SQL, and what is made of it.

    GET /transactions[/{status}]          the newest attempts
    GET /transaction-payment-status       how many there are in each payment status
    GET /transaction-log                  a time frame, page by page, with counts and the totals of the current periods

An entry is an attempt, found by when it last changed. Entries hold personal data, so only a client that may see every
payment may ask (``access.authorise_overview``); none holds a token.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Protocol

from bursar.clock import iso_ms
from bursar.payments.clients import Client
from bursar.portal.contract.authorisation import authorise_overview
from bursar.portal.contract.messages import any_json
from bursar.portal.contract.periods import PERIODS, begin_of
from bursar.portal.contract.views import payment_method_label
from bursar.portal.use_cases.log_query import LogQuery
from bursar.portal.use_cases.portal import Portal

NEWEST_MAX: Final = 100
RETURN_CODE_DIGITS_MAX: Final = 9
"""A longer return code is no number of Pay.gov's, and stays text."""


class StatusCounts(Protocol):
    """Attempts by payment status."""

    @property
    def success(self) -> int: ...

    @property
    def failed(self) -> int: ...

    @property
    def pending(self) -> int: ...

    @property
    def total(self) -> int: ...


class TransactionLog(Protocol):
    """The interface of :class:`bursar.reports.transaction_log.SqlTransactionLog`.

    Frames are since ≤ last change < until, Unix seconds. Entries have the API's names, amounts as ``Decimal``, and
    Pay.gov's word for the payment method.
    """

    async def recent(self, payment_status: str | None = None, limit: int = NEWEST_MAX) -> list[dict[str, Any]]:
        """The newest attempts by start, of one payment status or of all."""
        ...

    async def page(
        self, since: float, until: float, *, status: str | None, sort: str, order: str, limit: int, offset: int
    ) -> list[dict[str, Any]]:
        """One page of a frame; nulls last in both directions, ties by agencyTrackingId."""
        ...

    async def counts(self, since: float | None = None, until: float | None = None) -> StatusCounts:
        """Attempts that last changed in the frame, by payment status; of all time without one."""
        ...

    async def totals(self, periods: Mapping[str, tuple[float, float]]) -> Mapping[str, Decimal]:
        """The successful amounts of each period, by its name."""
        ...


async def newest_transactions(log: TransactionLog, client: Client, status: str | None) -> dict[str, Any]:
    """``{"data", "total"}``: the newest attempts, at most ``NEWEST_MAX``. Raises ``Forbidden``."""
    authorise_overview(client)
    entries = [_entry(each) for each in await log.recent(status, NEWEST_MAX)]
    return {"data": entries, "total": len(entries)}


async def status_counts(log: TransactionLog, client: Client) -> dict[str, int]:
    """``{"pending", "success", "failed", "total"}`` over all attempts. Raises ``Forbidden``."""
    authorise_overview(client)
    counts = await log.counts()
    return {"pending": counts.pending, "success": counts.success, "failed": counts.failed, "total": counts.total}


async def transaction_log(portal: Portal, log: TransactionLog, client: Client, query: LogQuery) -> dict[str, Any]:
    """One page of the log, shaped as shared by every caller of the API. Raises ``Forbidden``.

    Counts ignore the status asked for. Export pages after the first leave out counts, total and totals: the caller has
    them from the first. Pages are no snapshot: an attempt that changes meanwhile moves.
    """
    authorise_overview(client)
    rows = await log.page(
        query.since,
        query.until,
        status=query.status,
        sort=query.sort,
        order=query.order,
        limit=query.page_size,
        offset=(query.page - 1) * query.page_size,
    )
    reply: dict[str, Any] = {
        "data": [_entry(row) for row in rows],
        "from": iso_ms(query.since),
        "to": iso_ms(query.until),
        "page": query.page,
        "pageSize": query.page_size,
        "sort": query.sort,
        "order": query.order,
    }
    if query.export and query.page > 1:
        return reply
    counts = await log.counts(query.since, query.until)
    by_status = {"success": counts.success, "failed": counts.failed, "pending": counts.pending}
    reply["counts"] = {"all": counts.total, **by_status}
    reply["total"] = counts.total if query.status is None else by_status[query.status]
    if query.include_totals:
        reply["totals"] = await _totals(log, portal.clock())
    return reply


async def _totals(log: TransactionLog, now: float) -> dict[str, Any]:
    """Each current period from its beginning to now, with what was collected in it."""
    periods: dict[str, tuple[float, float]] = {name: (begin_of(name, now), now) for name in PERIODS}
    totals = await log.totals(periods)
    return {
        name: {"from": iso_ms(begin), "to": iso_ms(end), "total": totals[name]}
        for name, (begin, end) in periods.items()
    }


def _entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with the labels that callers know; a return code that is a number as a number."""
    code = row["returnCode"]
    number = isinstance(code, str) and code.isascii() and code.isdigit() and len(code) <= RETURN_CODE_DIGITS_MAX
    return {
        **row,
        "paymentMethod": payment_method_label(row["paymentMethod"]),
        "metadata": any_json(row["metadata"]),
        "returnCode": int(code) if number else code,
    }
