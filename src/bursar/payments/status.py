"""The status graph: the statuses of an attempt and all moves between them, as one immutable table.

    received ──► initiated ──► processing ──► processed ──► (reversals)
        │            │             │  └─────► pending ──► processed
        │            │             │             └──────► failed
        └──► failed ◄┴─────────────┘

A store that was restored from a backup may hold an attempt as ``received`` or ``initiated`` that was completed later.
Pay.gov then has a collection of it, and the attempt goes directly to ``processing`` with an unknown outcome.

An attempt that an operator imports from another portal begins in the status that it has there. If that portal may have
charged the payer without knowing it, the attempt begins in ``processing`` with an unknown outcome.

Every :class:`Edge` names the event that it writes and the actors that may take it. An edge whose source is its target
is an event without a move: the status stays, but a fact or a lease has changed. Rules, ledger, tests and the diagram in
docs/payments.md are derived from :data:`EDGES`, and no other place defines what may happen.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Status = Literal["received", "initiated", "processing", "pending", "processed", "failed"]
Actor = Literal["portal", "sweeper", "operator"]
PaymentStatus = Literal["success", "failed", "pending"]
OutcomeStatus = Literal["pending", "processed", "failed"]
"""The statuses that Pay.gov's answer about a collection can give an attempt."""
EventName = Literal[
    "started",
    "token_given",
    "start_failed",
    "start_abandoned",
    "claimed",
    "reclaimed",
    "released",
    "lease_taken_over",
    "outcome_unknown",
    "completed",
    "accepted",
    "refused",
    "expired",
    "expired_unsent",
    "never_charged",
    "settled",
    "bounced",
    "noted",
    "resolved_processed",
    "resolved_failed",
    "metadata_erased",
    "returned",
    "charged_back",
    "refund_requested",
    "refund_approved",
    "refund_rejected",
    "imported",
]
"""The names of the steps in :data:`EDGES`, as events store them."""

RECEIVED: Final = "received"  # recorded; Pay.gov is not yet asked for a token
INITIATED: Final = "initiated"  # Pay.gov gave a token; the payer may be on Pay.gov's pages
PROCESSING: Final = "processing"  # a caller holds, or held, a lease to complete it; the outcome may be unknown
PENDING: Final = "pending"  # Pay.gov accepted the collection; it has not settled (ACH)
PROCESSED: Final = "processed"
FAILED: Final = "failed"

STATUSES: Final[tuple[Status, ...]] = (RECEIVED, INITIATED, PROCESSING, PENDING, PROCESSED, FAILED)
FINAL: Final[frozenset[Status]] = frozenset({PROCESSED, FAILED})
# An attempt in one of these blocks its obligation for other attempts. A processed attempt blocks it permanently.
BLOCKING: Final[frozenset[Status]] = frozenset({RECEIVED, INITIATED, PROCESSING, PENDING, PROCESSED})
LIVE: Final[frozenset[Status]] = BLOCKING - FINAL

TOKEN_EXPIRED_CODE: Final = "5009"  # the return code that portals use for "existing token expired"


@dataclass(frozen=True, slots=True)
class Edge:
    """An allowed step: from ``source`` (None: the attempt does not exist yet) to ``target``."""

    source: Status | None
    target: Status
    event: EventName
    actors: tuple[Actor, ...]
    meaning: str

    @property
    def moves(self) -> bool:
        """Whether the step changes the status."""
        return self.source != self.target


_P: Final[tuple[Actor, ...]] = ("portal",)
_S: Final[tuple[Actor, ...]] = ("sweeper",)
_PS: Final[tuple[Actor, ...]] = ("portal", "sweeper")
_O: Final[tuple[Actor, ...]] = ("operator",)
_SO: Final[tuple[Actor, ...]] = ("sweeper", "operator")

# fmt: off
EDGES: Final[tuple[Edge, ...]] = (
    Edge(None,       RECEIVED,   "started",            _P,  "an application asked for the payment"),
    Edge(RECEIVED,   INITIATED,  "token_given",        _P,  "Pay.gov answered start with a token"),
    Edge(RECEIVED,   FAILED,     "start_failed",       _P,  "Pay.gov could not be asked, or refused"),
    Edge(RECEIVED,   FAILED,     "start_abandoned",    _PS, "stuck without a token; Pay.gov is not known to have it"),
    Edge(RECEIVED,   PROCESSING, "outcome_unknown",    _PS, "Pay.gov has a collection of it: the store went back"),
    Edge(INITIATED,  PROCESSING, "claimed",            _P,  "a caller took the lease to complete it"),
    Edge(INITIATED,  PROCESSING, "outcome_unknown",    _PS, "Pay.gov has a collection of it: the store went back"),
    Edge(INITIATED,  FAILED,     "expired",            _PS, "its token expired; Pay.gov is not known to have it"),
    Edge(PROCESSING, PROCESSED,  "completed",          _PS, "Pay.gov completed the collection and it is paid"),
    Edge(PROCESSING, PENDING,    "accepted",           _PS, "Pay.gov completed the collection and it is settling"),
    Edge(PROCESSING, FAILED,     "refused",            _PS, "Pay.gov gave a definite no"),
    Edge(PROCESSING, FAILED,     "expired_unsent",     _PS, "no complete was sent before its token expired"),
    Edge(PROCESSING, FAILED,     "never_charged",      _PS, "Pay.gov has no collection of it, and its token expired"),
    Edge(PROCESSING, PROCESSED,  "resolved_processed", _O,  "an operator found that Pay.gov has charged the payer"),
    Edge(PROCESSING, FAILED,     "resolved_failed",    _O,  "an operator found that Pay.gov did not charge the payer"),
    Edge(PENDING,    PROCESSED,  "settled",            _PS, "Pay.gov reports that it settled"),
    Edge(PENDING,    FAILED,     "bounced",            _PS, "Pay.gov reports that it failed, was cancelled or retired"),
    Edge(PENDING,    PROCESSED,  "resolved_processed", _O,  "an operator found it settled"),
    Edge(PENDING,    FAILED,     "resolved_failed",    _O,  "an operator found it failed"),
    # Events that keep the status.
    Edge(PROCESSING, PROCESSING, "outcome_unknown",    _PS, "Pay.gov's answer was lost or decides nothing"),
    Edge(PROCESSING, PROCESSING, "lease_taken_over",   _PS, "the lease ran out: what its holder did is unknown"),
    Edge(PROCESSING, PROCESSING, "released",           _P,  "the complete was definitely not sent"),
    Edge(PROCESSING, PROCESSING, "reclaimed",          _P,  "a caller took the lease that was released unsent"),
    Edge(PENDING,    PENDING,    "noted",              _PS, "Pay.gov's word for it changed; it is still settling"),
    Edge(PROCESSED,  PROCESSED,  "metadata_erased",    _O,  "an operator erased the metadata, which are personal data"),
    Edge(FAILED,     FAILED,     "metadata_erased",    _O,  "an operator erased the metadata, which are personal data"),
    # After settlement money may go back. The status stays, so the attempt's time of change stays too.
    Edge(PROCESSED,  PROCESSED,  "returned",           _SO, "the payer's bank returned the debit after it had settled"),
    Edge(PROCESSED,  PROCESSED,  "charged_back",       _O,  "the payer disputed the charge, and it was taken back"),
    Edge(PROCESSED,  PROCESSED,  "refund_requested",   _O,  "an operator asked for a refund"),
    Edge(PROCESSED,  PROCESSED,  "refund_approved",    _O,  "another operator approved it: the refund is recorded"),
    Edge(PROCESSED,  PROCESSED,  "refund_rejected",    _O,  "an operator rejected the request for a refund"),
    # Records of another portal, which have no history.
    Edge(None,       PROCESSED,  "imported",           _O,  "an operator imported it from another portal: it is paid"),
    Edge(None,       FAILED,     "imported",           _O,  "an operator imported it from another portal: it failed"),
    Edge(None,       PENDING,    "imported",           _O,  "an operator imported it from another portal: settling"),
    Edge(None,       PROCESSING, "imported",           _O,  "an operator imported it, and it may have been charged"),
)
# fmt: on

# Pay.gov's transaction_status → our status. Source: public material on TCSOnlineService (docs/paygov.md).
PAYGOV_STATUS: Final[dict[str, OutcomeStatus]] = {
    "Success": PROCESSED,
    "Settled": PROCESSED,
    "Pending": PENDING,
    "Received": PENDING,
    "Waiting": PENDING,
    "Submitted": PENDING,
    "Failed": FAILED,
    "Cancelled": FAILED,
    "Retired": FAILED,
}


_LEAVING: Final[dict[tuple[Status | None, EventName], tuple[Edge, ...]]] = {
    (step.source, step.event): tuple(e for e in EDGES if (e.source, e.event) == (step.source, step.event))
    for step in EDGES
}


class NoSuchEdge(ValueError):
    """The graph has no such step: a mistake of the calling code."""


def edge(source: Status | None, event: EventName, target: Status | None = None) -> Edge:
    """Return the edge that leaves ``source`` by ``event`` (and leads to ``target``). Raises :class:`NoSuchEdge`."""
    for candidate in _LEAVING.get((source, event), ()):
        if target is None or candidate.target == target:
            return candidate
    leads_to = f" into {target}" if target else ""
    raise NoSuchEdge(f"event: must leave {source or 'a new attempt'}{leads_to}; got {event!r}")


def edges_from(source: Status | None) -> tuple[Edge, ...]:
    """Return the edges that leave ``source``."""
    return tuple(candidate for candidate in EDGES if candidate.source == source)


def edges_between(source: Status | None, target: Status) -> tuple[Edge, ...]:
    """Return the edges from ``source`` to ``target``."""
    return tuple(candidate for candidate in EDGES if candidate.source == source and candidate.target == target)


def moves() -> tuple[tuple[Status, Status], ...]:
    """Return each status move of the graph once, as (source, target), without the edges that keep the status."""
    found = {(e.source, e.target): None for e in EDGES if e.source is not None and e.moves}
    return tuple((source, target) for source, target in found if source is not None)


def allows(source: Status | None, target: Status) -> bool:
    """Return whether any edge leads from ``source`` to ``target``."""
    return bool(edges_between(source, target))


def event_names() -> tuple[EventName, ...]:
    """Return the name of every event, in the order of the table."""
    return tuple(dict.fromkeys(candidate.event for candidate in EDGES))


def from_paygov(transaction_status: str) -> OutcomeStatus | None:
    """Return our status for a status of Pay.gov; None for an unknown one, which does not show the outcome."""
    return PAYGOV_STATUS.get(transaction_status)


def payment_status(attempt_statuses: Iterable[str]) -> PaymentStatus:
    """Return the payment's status over all attempts at one obligation.

    Any processed → success; all failed → failed; otherwise pending.
    """
    seen = set(attempt_statuses)
    if PROCESSED in seen:
        return "success"
    return "failed" if seen == {FAILED} else "pending"
