"""Our side of a reconciliation: payments and their recorded reversals, as rows of the reports' SQL.

payments that ended between two days ──► expected in the files
payments with the ids of lines       ──► found by the files, whenever they ended
payments that started between days   ──► candidates for lines without an id
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from bursar.reports.port import PaymentReports

ROWS_AT_ONCE: Final = 50_000
"""The approximate number of rows that are read at once. A day is never split, so it may have more."""


class PaymentRow(NamedTuple):
    """One attempt: its ids, its obligation, its cents, its state, and its dates in New York (``2026-11-29``).

    ``final_on`` is None while it is live.
    """

    agency_id: str
    paygov_id: str | None
    client: str
    reference: str
    cents: int
    status: str
    unknown: bool
    created_on: str
    final_on: str | None


class ReversalRow(NamedTuple):
    """One recorded reversal of an attempt. ``day`` is when the money went back, None if that is not recorded."""

    agency_id: str
    kind: str
    cents: int
    day: str | None


class OurPayments(Protocol):
    """The port through which a reconciliation reads the payments."""

    def ended_between(self, first: str, last: str) -> AsyncIterator[Sequence[PaymentRow]]:
        """Yield the final attempts whose final day is in ``first`` to ``last``, in several parts."""
        ...

    def live_between(self, first: str, last: str) -> AsyncIterator[Sequence[PaymentRow]]:
        """Yield the live attempts that started on a day in ``first`` to ``last``, in parts."""
        ...

    async def with_ids(self, agency_ids: Sequence[str], paygov_ids: Sequence[str]) -> Sequence[PaymentRow]:
        """Return the attempts with one of these ids."""
        ...

    async def reversals(self, agency_ids: Sequence[str]) -> Sequence[ReversalRow]:
        """Return the recorded reversals of these attempts."""
        ...


_COLUMNS: Final = (
    "agency_tracking_id, paygov_tracking_id, client, reference, CAST(amount * 100 AS BIGINT), status, outcome_unknown, "
    "CAST(created_on AS VARCHAR), CAST(final_on AS VARCHAR)"
)
_DAYS: Final = "{day} BETWEEN CAST($first AS DATE) AND CAST($last AS DATE)"
_WITH_IDS: Final = (
    f"SELECT {_COLUMNS} FROM payments WHERE agency_tracking_id IN (SELECT unnest(CAST($agency AS VARCHAR[]))) "
    "OR paygov_tracking_id IN (SELECT unnest(CAST($paygov AS VARCHAR[])))"
)
_REVERSALS: Final = """
SELECT agency_tracking_id, kind, CAST(amount * 100 AS BIGINT), CAST(effective_on AS VARCHAR) FROM reversals
WHERE agency_tracking_id IN (SELECT unnest(CAST($agency AS VARCHAR[])))
"""


class ReportedPayments:
    """The payments from the reports: the lake and every later change."""

    def __init__(self, reports: PaymentReports) -> None:
        self._reports = reports

    def ended_between(self, first: str, last: str) -> AsyncIterator[Sequence[PaymentRow]]:
        """Yield the final attempts whose final day is in ``first`` to ``last``, in parts."""
        return self._by_days("final_on", "final_on IS NOT NULL", first, last)

    def live_between(self, first: str, last: str) -> AsyncIterator[Sequence[PaymentRow]]:
        """Yield the live attempts that started on a day in ``first`` to ``last``, in parts."""
        return self._by_days("created_on", "final_on IS NULL", first, last)

    async def with_ids(self, agency_ids: Sequence[str], paygov_ids: Sequence[str]) -> Sequence[PaymentRow]:
        """Return the attempts with one of these ids."""
        return await self._payments(_WITH_IDS, {"agency": list(agency_ids), "paygov": list(paygov_ids)})

    async def reversals(self, agency_ids: Sequence[str]) -> Sequence[ReversalRow]:
        """Return the recorded reversals of these attempts."""
        answer = await self._reports.sql(_REVERSALS, {"agency": list(agency_ids)}, rows_max=None)
        return [ReversalRow(*row) for row in answer.rows]

    async def _by_days(self, column: str, where: str, first: str, last: str) -> AsyncIterator[Sequence[PaymentRow]]:
        days = _DAYS.format(day=column)
        counted = f"SELECT CAST({column} AS VARCHAR), count(*) FROM payments WHERE {where} AND {days} GROUP BY 1"
        answer = await self._reports.sql(counted, {"first": first, "last": last}, rows_max=None)
        selected = f"SELECT {_COLUMNS} FROM payments WHERE {where} AND {days}"
        for part_first, part_last in _parts({day: int(count) for day, count in answer.rows}):
            yield await self._payments(selected, {"first": part_first, "last": part_last})

    async def _payments(self, sql: str, parameters: Mapping[str, Any]) -> list[PaymentRow]:
        answer = await self._reports.sql(sql, parameters, rows_max=None)
        return [PaymentRow(*row) for row in answer.rows]


def _parts(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return ranges of days with about ``ROWS_AT_ONCE`` rows each, at least one day."""
    parts: list[tuple[str, str]] = []
    rows = 0
    for day in sorted(counts):
        if parts and rows + counts[day] <= ROWS_AT_ONCE:
            parts[-1] = (parts[-1][0], day)
            rows += counts[day]
        else:
            parts.append((day, day))
            rows = counts[day]
    return parts
