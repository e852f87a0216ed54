"""The ledger's errors.

    LedgerError
    ├── ObligationTaken        another attempt is live or processed; has that attempt (None: it won a race and ended)
    ├── FeeRetired             no new attempt can start with this fee
    ├── MetadataDiffers        fee or metadata differ from those of the obligation's first attempt
    ├── MetadataErased         the obligation's metadata are erased: it can have no further attempt
    ├── IdentifierTaken        Pay.gov gave a token or tracking id that already belongs to another attempt
    ├── ReversalTooLarge       more would go back than was collected
    ├── ReversalDiffers        the same reversal is recorded with another amount
    ├── DepositDiffers         the deposit of the attempt is recorded with another ticket or day
    ├── RefundDecided          the request for a refund is already approved or rejected
    ├── RefundNeedsSecondPerson  the person who asked for a refund may not approve it
    ├── ImportRefused          a record of another portal contradicts what is stored, or a rule refuses it
    ├── LedgerBusy             the store is too contended to write now; nothing was written
    └── AttemptMoved           the attempt has changed since the caller read it; has the attempt as it is now
        ├── LeaseHeld          another caller holds its lease
        └── OutcomeContradicts Pay.gov's answer contradicts the record: raise an alert, a person must decide

The ledger also raises ``NoSuchEdge`` (the graph has no such step: a mistake of the caller), ``RuleRefused`` (a rule
refuses a step that the graph allows: a mistake in this package) and the store's errors (``StoreOutcomeUnknown``,
``StoreUnreachable``, ``DynamoError``).
"""

from decimal import Decimal

from bursar.payments.attempt_ids import ATTEMPTS_MAX
from bursar.payments.deposits import Deposit
from bursar.payments.records import ZERO, Attempt, Obligation
from bursar.payments.reversals import RefundRequest, Reversal


class LedgerError(Exception):
    """The root of the ledger's errors."""


class ObligationTaken(LedgerError):
    """``attempt`` blocks its obligation: it is live or processed.

    None: that attempt won a race and has ended already.
    """

    def __init__(self, attempt: Attempt | None) -> None:
        blocking = f"{attempt.agency_tracking_id} ({attempt.status})" if attempt else "an attempt that won a race"
        super().__init__(f"the obligation is taken by {blocking}")
        self.attempt = attempt


class FeeRetired(LedgerError):
    """A new attempt would have a fee that is no longer available."""

    def __init__(self, fee: str) -> None:
        super().__init__(f"{fee} is retired")


class AttemptsExhausted(LedgerError):
    """The obligation has had ``ATTEMPTS_MAX`` attempts, and all have failed: it can have no further one."""

    def __init__(self, client: str, reference: str) -> None:
        super().__init__(f"{client}, {reference}: must have at most {ATTEMPTS_MAX} attempts")


class MetadataDiffers(LedgerError):
    """Fee or metadata differ from the obligation's; ``attributes`` lists which. The message has no values."""

    def __init__(self, obligation: Obligation, attributes: tuple[str, ...]) -> None:
        super().__init__(f"{', '.join(attributes)}: must be as in the obligation's first attempt")
        self.obligation = obligation
        self.attributes = attributes


class MetadataErased(LedgerError):
    """The obligation's metadata are erased, so no further attempt can be compared with its first one."""

    def __init__(self, obligation: Obligation) -> None:
        super().__init__(f"{obligation.client}, {obligation.reference}: the metadata are erased")
        self.obligation = obligation


class IdentifierTaken(LedgerError):
    """``attribute`` (token or payGovTrackingId) of ``attempt`` already belongs to another attempt."""

    def __init__(self, attempt: Attempt, attribute: str) -> None:
        super().__init__(f"{attribute} given to {attempt.agency_tracking_id} belongs to another attempt")
        self.attempt = attempt
        self.attribute = attribute


class ReversalTooLarge(LedgerError):
    """The reversals of ``attempt`` would add up to more than its amount."""

    def __init__(self, attempt: Attempt, amount: Decimal) -> None:
        super().__init__(
            f"{attempt.agency_tracking_id}: reversals must be at most its amount, {attempt.amount}; "
            f"{attempt.reversed_amount or ZERO} has gone back, got {amount} more"
        )
        self.attempt = attempt


class ReversalDiffers(LedgerError):
    """The reversal is recorded already, as ``recorded``, with another amount."""

    def __init__(self, recorded: Reversal) -> None:
        super().__init__(
            f"{recorded.agency_tracking_id}: reversal {recorded.seq} ({recorded.kind}) is recorded as {recorded.amount}"
        )
        self.recorded = recorded


class DepositDiffers(LedgerError):
    """The deposit of the attempt is recorded already, as ``recorded``, with another ticket or day."""

    def __init__(self, recorded: Deposit) -> None:
        super().__init__(
            f"{recorded.agency_tracking_id}: its deposit is recorded as ticket {recorded.ticket} "
            f"of {recorded.deposited_on}"
        )
        self.recorded = recorded


class RefundDecided(LedgerError):
    """The request for a refund is no longer open."""

    def __init__(self, request: RefundRequest) -> None:
        super().__init__(f"{request.request_id} is {request.status}")


class RefundNeedsSecondPerson(LedgerError):
    """The person who asked for a refund tried to approve it."""

    def __init__(self, request: RefundRequest) -> None:
        super().__init__(f"{request.request_id}: must be approved by another person than {request.requested_by}")


class ImportRefused(LedgerError):
    """A record of another portal cannot be imported; the message is for the operator."""


class LedgerBusy(LedgerError):
    """Conflicts or throttling outlasted every retry; nothing was written, the caller may try again later."""


class AttemptMoved(LedgerError):
    """The attempt has changed since the caller read it: ``attempt`` is its current state."""

    def __init__(self, attempt: Attempt, problem: str = "has changed") -> None:
        super().__init__(f"{attempt.agency_tracking_id} {problem}: it is {attempt.status}, version {attempt.version}")
        self.attempt = attempt


class LeaseHeld(AttemptMoved):
    """Another caller may be completing the attempt now."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__(attempt, "is leased to another caller")


class OutcomeContradicts(AttemptMoved):
    """Pay.gov's report contradicts the record. The attempt does not change, and the report is stored."""

    def __init__(self, attempt: Attempt, reported: str) -> None:
        super().__init__(attempt, f"contradicts Pay.gov's answer ({reported})")
