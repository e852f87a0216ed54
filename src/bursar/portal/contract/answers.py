"""The answers of the use cases. :mod:`bursar.portal.contract.views` makes the JSON of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeAlias

from bursar.payments.ledger.store_records.restores import RestoreMark
from bursar.payments.records import Attempt
from bursar.payments.reversals import Reversal
from bursar.payments.status import PaymentStatus, payment_status
from bursar.portal.contract.periods import Period, PeriodName

CheckStatus = Literal["ok", "degraded", "failed"]

LogEntry: TypeAlias = Mapping[str, Any]
"""An attempt as the transaction log has it, by the API's names; amounts are ``Decimal``."""


@dataclass(frozen=True, slots=True)
class StartedPayment:
    """A payment that is ready for the payer: Pay.gov's token, and the address to send the payer to."""

    token: str
    payment_redirect: str


@dataclass(frozen=True, slots=True)
class Payment:
    """Every attempt at one obligation and their reversals, oldest first.

    ``stale``: Pay.gov could not be asked just now.
    """

    attempts: Sequence[Attempt]
    stale: bool = False
    reversals: Sequence[Reversal] = ()

    @property
    def status(self) -> PaymentStatus:
        """The status of the obligation."""
        return payment_status(attempt.status for attempt in self.attempts)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How one dependency answered, and in how many milliseconds.

    ``message``: the reason of another status than ok. ``details``: the names of the configured parts, without their
    values.
    """

    status: CheckStatus
    latency_ms: float
    message: str | None = None
    details: Mapping[str, bool] | None = None


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The checks by dependency, made at ``at`` (Unix seconds). ``environment``: the name of the deployment.

    ``development_client``: the portal accepts the development client, whose key is public. ``restored``: the store was
    restored from a backup, and an operator has not cleared the mark.
    """

    at: float
    checks: Mapping[str, HealthCheck]
    environment: str
    development_client: bool
    restored: RestoreMark | None = None

    @property
    def healthy(self) -> bool:
        """Whether the portal can do its work."""
        return self.status != "unhealthy"

    @property
    def status(self) -> Literal["healthy", "degraded", "unhealthy"]:
        """The worst of the checks. ``degraded``: a part needs a person, but payments still work."""
        found = {check.status for check in self.checks.values()}
        if "failed" in found:
            return "unhealthy"
        return "degraded" if "degraded" in found else "healthy"


class StatusCounts(Protocol):
    """How many attempts there are in each payment status."""

    @property
    def success(self) -> int:
        """The attempts that have succeeded."""
        ...

    @property
    def failed(self) -> int:
        """The attempts that have failed."""
        ...

    @property
    def pending(self) -> int:
        """The attempts that have not ended."""
        ...

    @property
    def total(self) -> int:
        """All attempts."""
        ...


@dataclass(frozen=True, slots=True)
class PeriodTotal:
    """The dollars that were collected in a period."""

    period: Period
    total: Decimal


@dataclass(frozen=True, slots=True)
class LogPage:
    """One page of the transaction log.

    ``counts`` is None on later pages of an export; ``totals`` is None unless the caller asked for it.

    ``frame``: the time range in which the entries last changed. ``total``: the entries of the payment status that was
    asked for. ``as_of``: the instant whose state all parts have, Unix seconds.
    """

    entries: Sequence[LogEntry]
    frame: Period
    page: int
    page_size: int
    sort: str
    order: str
    as_of: float
    counts: StatusCounts | None = None
    total: int | None = None
    totals: Mapping[PeriodName, PeriodTotal] | None = None
