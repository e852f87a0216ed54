"""A transaction log in memory, with given entries, that records each call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

ENTRY: Mapping[str, Any] = {
    "agencyTrackingId": "b0000000000000000001",
    "paygovTrackingId": "3FOR8CGH",
    "feeName": "Petition filing fee",
    "fee": "PETITION_FILING_FEE",
    "transactionAmount": Decimal("60.00"),
    "clientName": "dawson",
    "transactionReferenceId": "550e8400-e29b-41d4-a716-446655440000",
    "paymentStatus": "success",
    "transactionStatus": "processed",
    "paymentMethod": "PLASTIC_CARD",
    "metadata": {"docketNumber": "123-26"},
    "createdAt": "2026-11-22T19:30:00.000Z",
    "lastUpdatedAt": "2026-11-22T19:31:00.000Z",
    "returnCode": None,
    "returnDetail": None,
}


@dataclass(frozen=True)
class Counts:
    """Fixed counts of attempts by payment status."""

    success: int
    failed: int
    pending: int

    @property
    def total(self) -> int:
        return self.success + self.failed + self.pending


@dataclass
class FakeLog:
    """A :class:`~bursar.portal.use_cases.transaction_log.TransactionLog` that records its calls in ``asked``."""

    entries: list[Mapping[str, Any]] = field(default_factory=lambda: [ENTRY])
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def recent(self, payment_status: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        self.asked.append(("recent", {"status": payment_status, "limit": limit}))
        return [dict(each) for each in self.entries]

    async def page(self, since: float, until: float, **asked: Any) -> "FakeAnswer":
        self.asked.append(("page", {"since": since, "until": until, **asked}))
        counts = Counts(3, 2, 1) if asked["counted"] else None
        totals = dict.fromkeys(asked["periods"], Decimal("60"))
        return FakeAnswer([dict(each) for each in self.entries], counts, totals, asked["as_of"] or asked["asked_at"])

    async def counts(self) -> Counts:
        self.asked.append(("counts", {}))
        return Counts(3, 2, 1)


@dataclass(frozen=True)
class FakeAnswer:
    """A page of the log."""

    entries: list[dict[str, Any]]
    counts: Counts | None
    totals: Mapping[str, Decimal]
    as_of: float
