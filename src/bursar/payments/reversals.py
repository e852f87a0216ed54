"""Money that goes back after settlement: reversals, and the requests for refunds that a second person decides.

Both share the partition of their attempt's obligation:

    kind            sk                                          indexes
    reversal        reversal#<agencyTrackingId>#<n, 4 digits>   changes
    refund_request  refund#<agencyTrackingId>#<n, 4 digits>     due (partition "refunds"), while it is open

A reversal is never changed. The sum of an attempt's reversals is at most its amount (:mod:`bursar.payments.rules`).
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from bursar.clock import iso_ms
from bursar.dynamo.items.attribute_values import Item
from bursar.payments.item_layout import TEXT, TIME, WHOLE_NUMBER, Codec, Layout
from bursar.payments.records import AMOUNT_CODEC, Attempt, change_keys, item_key, partition_key

REVERSAL: Final = "reversal"
REFUND_REQUEST: Final = "refund_request"
"""The ``kind`` of each item."""
REVERSALS_BEGIN: Final = "reversal#"
REFUNDS_BEGIN: Final = "refund#"
"""The beginning of the sort key of every reversal, and of every request for a refund."""
REFUNDS_SHARD: Final = "refunds"
"""The partition of open requests in the ``due`` index."""

ReversalKind = Literal["returned", "charged_back", "refunded"]
ReversalSource = Literal["paygov", "activity_file", "operator"]
RefundStatus = Literal["open", "approved", "rejected"]

RETURNED: Final[ReversalKind] = "returned"
CHARGED_BACK: Final[ReversalKind] = "charged_back"
REFUNDED: Final[ReversalKind] = "refunded"
REVERSAL_KINDS: Final[tuple[ReversalKind, ...]] = (RETURNED, CHARGED_BACK, REFUNDED)
REVERSAL_SOURCES: Final[tuple[ReversalSource, ...]] = ("paygov", "activity_file", "operator")
OPEN: Final[RefundStatus] = "open"
APPROVED: Final[RefundStatus] = "approved"
REJECTED: Final[RefundStatus] = "rejected"


@dataclass(frozen=True, slots=True)
class ReversalReport:
    """A report about money that went back, before it is recorded. ``amount`` is in dollars.

    ``report_id`` is the reporter's id of the reversal, if it has one. Reports with the same id are about the same
    reversal. ``effective_on`` is a date, ``2026-11-29``.
    """

    kind: ReversalKind
    amount: Decimal
    source: ReversalSource
    by: str | None = None  # the operator
    reason: str | None = None
    reason_code: str | None = None
    effective_on: str | None = None
    deposit_ticket: str | None = None
    debit_voucher: str | None = None
    report_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reversal:
    """Money of an attempt that went back. ``amount`` is in dollars, ``at`` is when it was recorded, Unix seconds.

    ``reversal_id`` is equal for reports of the same reversal. ``requested_by`` and ``approved_by`` are the two people
    of a refund.
    """

    client: str
    reference: str
    agency_tracking_id: str
    attempt_created_at: float
    seq: int
    reversal_id: str
    kind: ReversalKind
    amount: Decimal
    at: float
    source: ReversalSource
    by: str | None = None
    reason: str | None = None
    reason_code: str | None = None
    effective_on: str | None = None
    deposit_ticket: str | None = None
    debit_voucher: str | None = None
    requested_by: str | None = None
    approved_by: str | None = None


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """A request to refund ``amount`` dollars of an attempt. Another person than ``requested_by`` may approve it.

    ``source`` and the fields after it describe a refund that an activity file reports; None for an operator's request.
    """

    client: str
    reference: str
    agency_tracking_id: str
    attempt_created_at: float
    seq: int
    amount: Decimal
    reason: str
    requested_by: str
    requested_at: float
    status: RefundStatus = OPEN
    approved_by: str | None = None
    rejected_by: str | None = None
    decided_at: float | None = None
    decision_reason: str | None = None
    source: ReversalSource | None = None
    reason_code: str | None = None
    effective_on: str | None = None
    deposit_ticket: str | None = None
    debit_voucher: str | None = None

    @property
    def request_id(self) -> str:
        """The id by which operators name the request: ``<agencyTrackingId>/<n>``."""
        return f"{self.agency_tracking_id}/{self.seq}"


_OF_ATTEMPT: Final[dict[str, tuple[str, Codec]]] = {
    "client": ("client", TEXT),
    "reference": ("reference", TEXT),
    "agency_tracking_id": ("agencyTrackingId", TEXT),
    "attempt_created_at": ("attemptCreatedAt", TIME),
    "seq": ("seq", WHOLE_NUMBER),
}
_REPORTED: Final[dict[str, tuple[str, Codec]]] = {
    "reason_code": ("reasonCode", TEXT),
    "effective_on": ("effectiveOn", TEXT),
    "deposit_ticket": ("depositTicket", TEXT),
    "debit_voucher": ("debitVoucher", TEXT),
}
_REVERSAL_LAYOUT: Final = Layout(
    Reversal,
    _OF_ATTEMPT
    | {
        "reversal_id": ("reversalId", TEXT),
        "kind": ("reversalKind", TEXT),
        "amount": ("amount", AMOUNT_CODEC),
        "at": ("at", TIME),
        "source": ("source", TEXT),
        "by": ("by", TEXT),
        "reason": ("reason", TEXT),
        **_REPORTED,
        "requested_by": ("requestedBy", TEXT),
        "approved_by": ("approvedBy", TEXT),
    },
)
_REQUEST: Final[dict[str, tuple[str, Codec]]] = _OF_ATTEMPT | {
    "amount": ("amount", AMOUNT_CODEC),
    "reason": ("reason", TEXT),
    "requested_by": ("requestedBy", TEXT),
    "requested_at": ("requestedAt", TIME),
    "source": ("source", TEXT),
    **_REPORTED,
}
_DECISION: Final[dict[str, tuple[str, Codec]]] = {
    "rejected_by": ("rejectedBy", TEXT),
    "decided_at": ("decidedAt", TIME),
    "decision_reason": ("decisionReason", TEXT),
}
_REFUND_LAYOUT: Final = Layout(
    RefundRequest, _REQUEST | {"status": ("status", TEXT), "approved_by": ("approvedBy", TEXT)} | _DECISION
)
REVERSAL_ATTRIBUTES: Final = _REVERSAL_LAYOUT.attribute_of
"""Field of a reversal → the attribute that holds it."""
REQUEST_ATTRIBUTES: Final = tuple(attribute for attribute, _ in _REQUEST.values())
"""The attributes of a request for a refund that never change."""
DECISION_ATTRIBUTES: Final = tuple(attribute for attribute, _ in _DECISION.values())
"""The attributes that a decision adds, once. The rule about two people writes the approver's name."""


def refund_key(attempt: Attempt, seq: int) -> Item:
    """Return the key of an attempt's request for a refund number ``seq``."""
    return item_key(partition_key(attempt.client, attempt.reference), f"{refunds_begin(attempt)}{seq:04d}")


def reversals_begin(attempt: Attempt) -> str:
    """Return the beginning of the sort keys of an attempt's reversals."""
    return f"{REVERSALS_BEGIN}{attempt.agency_tracking_id}#"


def refunds_begin(attempt: Attempt) -> str:
    """Return the beginning of the sort keys of an attempt's requests for refunds."""
    return f"{REFUNDS_BEGIN}{attempt.agency_tracking_id}#"


def reversal_to_item(reversal: Reversal) -> Item:
    """Return the item that stores ``reversal``."""
    name = f"{REVERSALS_BEGIN}{reversal.agency_tracking_id}#{reversal.seq:04d}"
    return {
        **item_key(partition_key(reversal.client, reversal.reference), name),
        "kind": {"S": REVERSAL},
        **_REVERSAL_LAYOUT.encode(reversal),
        **change_keys(reversal.at, name),
    }


def reversal_from_item(item: Item) -> Reversal:
    """Return the reversal in ``item``. Raises ``TypeError`` when an attribute is missing."""
    return _REVERSAL_LAYOUT.decode(item)


def refund_to_item(request: RefundRequest) -> Item:
    """Return the item that stores ``request``; while it is open, it is in the ``due`` index."""
    name = f"{REFUNDS_BEGIN}{request.agency_tracking_id}#{request.seq:04d}"
    item: Item = {
        **item_key(partition_key(request.client, request.reference), name),
        "kind": {"S": REFUND_REQUEST},
        **_REFUND_LAYOUT.encode(request),
    }
    if request.status == OPEN:
        item |= {"dueShard": {"S": REFUNDS_SHARD}, "dueAt": {"S": iso_ms(request.requested_at)}}
    return item


def refund_from_item(item: Item) -> RefundRequest:
    """Return the request in ``item``. Raises ``TypeError`` when an attribute is missing."""
    return _REFUND_LAYOUT.decode(item)


def reversal_id(attempt: Attempt, report: ReversalReport) -> str:
    """Return the id of a reported reversal: equal for reports of the same one, no matter who reports it.

    A debit is returned once, and in full, so the id of a return depends on its attempt only. Other reports are about
    one reversal if their reporters' ids are equal or, without such an id, if amount, reason code and date are equal.
    """
    if report.kind == RETURNED:
        return f"{attempt.agency_tracking_id}#{RETURNED}"
    if report.report_id is not None:
        return f"{attempt.agency_tracking_id}#{report.kind}#{report.source}#{report.report_id}"
    facts = (f"{report.amount:f}", report.reason_code or "", report.effective_on or "")
    return "#".join((attempt.agency_tracking_id, report.kind, *facts))
