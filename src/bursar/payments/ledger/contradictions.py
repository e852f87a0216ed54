"""Contradictions: reports by Pay.gov that contradict the record of an attempt, and second collections of one attempt.

They stay in the payments table, also after a person has acknowledged them (:mod:`bursar.payments.rules`):

    kind           pk               sk
    contradiction  contradictions   <agencyTrackingId>#<reported status>#<reported Pay.gov tracking id>

A final attempt never changes, so a contradiction is a separate item and changes nothing else. Storing the same report
again changes nothing.
"""

from dataclasses import dataclass, replace
from typing import Final

from bursar.clock import Clock
from bursar.dynamo.items.attribute_values import Item
from bursar.payments.errors import LedgerBusy
from bursar.payments.item_layout import TEXT, TIME, Codec, Layout
from bursar.payments.records import Attempt, Outcome, whole_ms
from bursar.rules import Contention, Put, RuledTable, RuleRefused, Update

PARTITION: Final = "contradictions"
KIND: Final = "contradiction"


@dataclass(frozen=True, slots=True)
class Contradiction:
    """The record of an attempt, and Pay.gov's report that contradicts it. Times are Unix seconds.

    The three fields of the acknowledgement are None until a person has acknowledged it.
    """

    agency_tracking_id: str
    client: str
    reference: str
    recorded_status: str
    recorded_paygov_id: str | None
    reported_status: str
    reported_paygov_id: str | None
    reported_transaction_status: str | None
    created_at: float
    acknowledged_by: str | None = None
    acknowledged_reason: str | None = None
    acknowledged_at: float | None = None

    @property
    def summary(self) -> str:
        """The contradiction in one line for a person."""
        reported = _with_id(self.reported_status, self.reported_paygov_id)
        return f"Pay.gov says {reported}, recorded is {_with_id(self.recorded_status, self.recorded_paygov_id)}"


_REPORT: Final[dict[str, tuple[str, Codec]]] = {
    "agency_tracking_id": ("agencyTrackingId", TEXT),
    "client": ("client", TEXT),
    "reference": ("reference", TEXT),
    "recorded_status": ("recordedStatus", TEXT),
    "recorded_paygov_id": ("recordedPayGovTrackingId", TEXT),
    "reported_status": ("saidStatus", TEXT),
    "reported_paygov_id": ("saidPayGovTrackingId", TEXT),
    "reported_transaction_status": ("saidTransactionStatus", TEXT),
    "created_at": ("createdAt", TIME),
}
_ACKNOWLEDGEMENT: Final[dict[str, tuple[str, Codec]]] = {
    "acknowledged_by": ("acknowledgedBy", TEXT),
    "acknowledged_reason": ("acknowledgedReason", TEXT),
    "acknowledged_at": ("acknowledgedAt", TIME),
}
_LAYOUT: Final = Layout(
    Contradiction,
    _REPORT | _ACKNOWLEDGEMENT,
    nullable=("recorded_paygov_id", "reported_paygov_id", "reported_transaction_status"),
)
REPORT_ATTRIBUTES: Final = tuple(attribute for attribute, _ in _REPORT.values())
"""The attributes that describe the contradiction; they never change."""
ACKNOWLEDGEMENT_ATTRIBUTES: Final = tuple(attribute for attribute, _ in _ACKNOWLEDGEMENT.values())
"""The attributes that a person adds, once."""


class Contradictions:
    """All contradictions in one payments table. Many processes may use one table at once."""

    def __init__(self, ruled: RuledTable, *, clock: Clock) -> None:
        self._ruled = ruled
        self._clock = clock

    async def keep(self, attempt: Attempt, reported: Outcome) -> None:
        """Store what Pay.gov ``reported`` about ``attempt``. Raises ``LedgerBusy``, and the store's errors."""
        found = Contradiction(
            agency_tracking_id=attempt.agency_tracking_id,
            client=attempt.client,
            reference=attempt.reference,
            recorded_status=attempt.status,
            recorded_paygov_id=attempt.paygov_tracking_id,
            reported_status=reported.status,
            reported_paygov_id=reported.paygov_tracking_id,
            reported_transaction_status=reported.transaction_status,
            created_at=whole_ms(self._clock()),
        )
        item = _to_item(found)
        try:
            await self._ruled.write([Put(item)])
        except (Contention, RuleRefused) as refusal:
            if await self._items(item["sk"]["S"]):
                return  # stored before
            if isinstance(refusal, RuleRefused):
                raise
            raise LedgerBusy(str(refusal)) from refusal

    async def unacknowledged(self) -> list[Contradiction]:
        """Return the contradictions without an acknowledgement, oldest first. The read is strongly consistent."""
        found = [_LAYOUT.decode(item) for item in await self._items("") if "acknowledgedAt" not in item]
        return sorted(found, key=lambda each: (each.created_at, each.agency_tracking_id))

    async def of(self, agency_tracking_id: str) -> list[Contradiction]:
        """Return every contradiction of one attempt, acknowledged or not. The read is strongly consistent."""
        return [_LAYOUT.decode(item) for item in await self._items(f"{agency_tracking_id}#")]

    async def acknowledge(self, agency_tracking_id: str, *, by: str, reason: str) -> list[Contradiction]:
        """Acknowledge the open contradictions of one attempt and return them. Raises ``LedgerBusy``."""
        items = [item for item in await self._items(f"{agency_tracking_id}#") if "acknowledgedAt" not in item]
        now = whole_ms(self._clock())
        acknowledged = [
            replace(_LAYOUT.decode(item), acknowledged_by=by, acknowledged_reason=reason, acknowledged_at=now)
            for item in items
        ]
        try:
            if items:
                pairs = zip(items, acknowledged, strict=True)
                await self._ruled.write([Update(item, item | _to_item(each)) for item, each in pairs])
        except Contention as contention:  # another caller is acknowledging it, or the store is too contended to write
            raise LedgerBusy(str(contention)) from contention
        return acknowledged

    async def _items(self, starts_with: str) -> list[Item]:
        """Return the items whose sort key begins with ``starts_with``, by a strongly consistent read."""
        return await self._ruled.partition({"S": PARTITION}, starts_with)


def _to_item(found: Contradiction) -> Item:
    sk = f"{found.agency_tracking_id}#{found.reported_status}#{found.reported_paygov_id or ''}"
    return {"pk": {"S": PARTITION}, "sk": {"S": sk}, "kind": {"S": KIND}, **_LAYOUT.encode(found)}


def _with_id(status: str, paygov_tracking_id: str | None) -> str:
    return f"{status} as {paygov_tracking_id}" if paygov_tracking_id else status
