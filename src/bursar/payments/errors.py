"""What the ledger raises.

    LedgerError
    ├── ObligationTaken        another attempt is live or processed; carries it (None: lost a race to one that is gone)
    ├── FeeRetired             nothing new is started with this fee
    ├── MetadataDiffers        fee or metadata are not those of the obligation's first attempt
    ├── IdentifierTaken        Pay.gov gave a token or tracking id that already belongs to another attempt
    ├── LedgerBusy             the store is too contended to write now; nothing was written
    └── AttemptMoved           the attempt is not as the caller holds it; carries it as it is now
        ├── LeaseHeld          somebody else holds its lease
        └── OutcomeContradicts Pay.gov's answer contradicts what is recorded: alert, a person must look

Beside these: ``NoSuchEdge`` (the graph has no such step: the caller's mistake), ``RuleRefused`` (a rule said no to what
the graph would allow: a mistake of this room's) and what the store itself raises (``StoreOutcomeUnknown``,
``StoreUnreachable``, ``DynamoError``).
"""

from bursar.payments.records import Attempt, Obligation


class LedgerError(Exception):
    """The root of what the ledger itself raises."""


class ObligationTaken(LedgerError):
    """``attempt`` keeps others away: it is live, or processed. None: an attempt won a race and is gone already."""

    def __init__(self, attempt: Attempt | None) -> None:
        held_by = f"{attempt.agency_tracking_id} ({attempt.status})" if attempt else "an attempt that won a race"
        super().__init__(f"the obligation is taken by {held_by}")
        self.attempt = attempt


class FeeRetired(LedgerError):
    """A new attempt would be at a fee that is charged no more."""

    def __init__(self, fee: str) -> None:
        super().__init__(f"{fee} is retired")


class MetadataDiffers(LedgerError):
    """Fee or metadata are not the obligation's; ``attributes`` names which. The values stay out of the message."""

    def __init__(self, obligation: Obligation, attributes: tuple[str, ...]) -> None:
        super().__init__(f"not as in the obligation's first attempt: {', '.join(attributes)}")
        self.obligation = obligation
        self.attributes = attributes


class IdentifierTaken(LedgerError):
    """``attribute`` (token or payGovTrackingId) of ``attempt`` already belongs to another attempt."""

    def __init__(self, attempt: Attempt, attribute: str) -> None:
        super().__init__(f"{attribute} given to {attempt.agency_tracking_id} belongs to another attempt")
        self.attempt = attempt
        self.attribute = attribute


class LedgerBusy(LedgerError):
    """Conflicts or throttling outlasted every retry; nothing was written, the caller may try again later."""


class AttemptMoved(LedgerError):
    """The caller lost a race: ``attempt`` is the attempt as it is now."""

    def __init__(self, attempt: Attempt, problem: str = "has moved on") -> None:
        super().__init__(f"{attempt.agency_tracking_id} {problem}: it is {attempt.status}, version {attempt.version}")
        self.attempt = attempt


class LeaseHeld(AttemptMoved):
    """Somebody else may be completing it right now."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__(attempt, "is leased to somebody else")


class OutcomeContradicts(AttemptMoved):
    """What Pay.gov said cannot be true together with what is recorded. The attempt stays; what was said is kept."""

    def __init__(self, attempt: Attempt, said: str) -> None:
        super().__init__(attempt, f"contradicts Pay.gov's answer ({said})")
