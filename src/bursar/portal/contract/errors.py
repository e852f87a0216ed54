"""What the portal says when it does not do what was asked: one tree, one JSON shape, one table for the rooms below.

    PortalError               status
    ├── InvalidRequest        400   what was sent cannot be read or breaks a schema; ``errors`` lists every problem
    ├── Forbidden             403   not registered, not signed, or not allowed this fee
    ├── NotFound              404   no such route, token or reference (of this client)
    ├── MethodNotAllowed      405   with Allow
    ├── TooSlow               408   the body was not here in ``BODY_TIMEOUT_S``
    ├── Conflict              409   something else is under way: ask ``details``, retry later
    ├── Gone                  410   this token can never be processed again
    ├── TooLarge              413   the body is over ``BODY_BYTES_MAX``
    ├── TooMany               429   over this client's rate or concurrency, with Retry-After
    ├── HeadTooLarge          431   the request line and the headers are over the door's bounds
    ├── Unexpected            500   a fault of ours; the log has it, the caller gets no trace
    ├── BadGateway            502   Pay.gov answered with something that decides nothing
    ├── Unavailable           503   the store cannot be reached, is busy or did not say, with Retry-After
    └── GatewayTimeout        504   Pay.gov could not be reached, or its answer was lost

Each becomes ``{"message": str, "errors": [...]}``. :func:`portal_error` turns any exception of the rooms below into one
of these by :data:`LOWER_LAYERS`; the first row that matches wins, so a leaf stands above its branch.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown, StoreUnreachable
from bursar.paygov.errors import (
    ArgumentRefused,
    Fault,
    Nonsense,
    NotSent,
    OutcomeUnknown,
    PayGovError,
    QueryUnavailable,
)
from bursar.payments.errors import (
    AttemptMoved,
    FeeRetired,
    IdentifierTaken,
    LeaseHeld,
    LedgerBusy,
    LedgerError,
    MetadataDiffers,
    ObligationTaken,
    OutcomeContradicts,
)
from bursar.rules.errors import Contention, RuleRefused, RulesError

Problem = Mapping[str, Any]
"""One entry of ``errors``: ``path`` (list of keys and indexes), ``message``, ``code`` (the schema keyword broken)."""

RETRY_AFTER_S: Final = 1
UNEXPECTED_MESSAGE: Final = "An unexpected error occurred while processing the request"
ALREADY_PROCESSING: Final = "A payment is already being processed for this transaction reference"
TOKEN_IN_USE: Final = "A payment is already being processed for this token"
FEE_OR_METADATA_DIFFERS: Final = (
    "This transactionReferenceId was used with another fee or other metadata; use a new one for another payment"
)
OUTCOME_UNKNOWN: Final = (
    "Pay.gov's answer was lost, so the payment may or may not have been made. "
    "Do not start another: ask details until it is resolved"
)
NO_ANSWER_IN_TIME: Final = "Pay.gov could not be reached. Nothing was charged: retry"
NO_ANSWER_TO_START: Final = "Pay.gov did not answer in time. Nothing was charged: retry"
NONSENSE_TO_START: Final = "Pay.gov answered with something that cannot be understood. Nothing was charged: retry"
START_REFUSED: Final = "Pay.gov refused to begin the payment. Nothing was charged"
NONSENSE_FROM_PAYGOV: Final = "Pay.gov answered with something that cannot be understood"
STORE_UNAVAILABLE: Final = "The payment store is not available: retry"


class PortalError(Exception):
    """The root: ``status`` for the wire, ``message`` for the caller, ``errors`` for the problems one by one."""

    status: ClassVar[int] = 500

    def __init__(
        self, message: str, errors: Sequence[Problem] = (), *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.errors = tuple(errors)
        self.headers: Mapping[str, str] = headers or {}

    def body(self) -> dict[str, Any]:
        """The one JSON shape of every error."""
        return {"message": self.message, "errors": list(self.errors)}


class InvalidRequest(PortalError):
    status = 400


class Forbidden(PortalError):
    status = 403


class NotFound(PortalError):
    status = 404


class MethodNotAllowed(PortalError):
    status = 405

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__("Method not allowed", headers={"allow": ", ".join(sorted(allowed))})


class TooSlow(PortalError):
    status = 408

    def __init__(self) -> None:
        super().__init__("The request body did not arrive in time")


class Conflict(PortalError):
    status = 409


class Gone(PortalError):
    status = 410


class TooLarge(PortalError):
    status = 413


class TooMany(PortalError):
    status = 429

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message, headers={"retry-after": str(max(1, retry_after_s))})


class HeadTooLarge(PortalError):
    status = 431


class Unexpected(PortalError):
    status = 500

    def __init__(self) -> None:
        super().__init__(UNEXPECTED_MESSAGE)


class BadGateway(PortalError):
    status = 502


class Unavailable(PortalError):
    status = 503

    def __init__(self, message: str = STORE_UNAVAILABLE) -> None:
        super().__init__(message, headers={"retry-after": str(RETRY_AFTER_S)})


class GatewayTimeout(PortalError):
    status = 504


# What a room below raised → the portal's error and its message. A use case that knows better says so itself before
# an exception gets here. A message of a room below is never passed on: it may name tables, keys or other payments.
LOWER_LAYERS: Final[tuple[tuple[type[BaseException], type[PortalError], str], ...]] = (
    (ObligationTaken, Conflict, ALREADY_PROCESSING),
    (MetadataDiffers, Conflict, FEE_OR_METADATA_DIFFERS),
    (FeeRetired, InvalidRequest, "The fee is charged no more"),
    (LeaseHeld, Conflict, TOKEN_IN_USE),
    (OutcomeContradicts, BadGateway, OUTCOME_UNKNOWN),
    (AttemptMoved, Conflict, ALREADY_PROCESSING),
    (IdentifierTaken, BadGateway, NONSENSE_FROM_PAYGOV),
    (LedgerBusy, Unavailable, STORE_UNAVAILABLE),
    (LedgerError, Unexpected, UNEXPECTED_MESSAGE),
    (RuleRefused, Conflict, "This change is not allowed as the payment stands; ask details"),
    (Contention, Unavailable, STORE_UNAVAILABLE),
    (RulesError, Unexpected, UNEXPECTED_MESSAGE),
    (StoreUnreachable, Unavailable, STORE_UNAVAILABLE),
    (StoreOutcomeUnknown, Unavailable, "The payment store did not answer: ask details before you retry"),
    (ArgumentRefused, InvalidRequest, "Pay.gov cannot take what was sent"),
    (NotSent, GatewayTimeout, NO_ANSWER_IN_TIME),
    (Nonsense, BadGateway, NONSENSE_FROM_PAYGOV),
    (OutcomeUnknown, GatewayTimeout, OUTCOME_UNKNOWN),
    (Fault, BadGateway, "Pay.gov refused the request"),
    (QueryUnavailable, BadGateway, "Pay.gov's query service is not available here"),
    (PayGovError, BadGateway, NONSENSE_FROM_PAYGOV),
)

# DynamoDB's codes that mean "not now". Source: AWS DynamoDB developer guide, "Error handling with DynamoDB".
STORE_BUSY_CODES: Final = frozenset(
    {
        "InternalServerError",
        "ItemCollectionSizeLimitExceededException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


def portal_error(error: BaseException) -> PortalError:
    """The portal's error for ``error``, whatever it is; what no row knows is a fault of ours (500)."""
    if isinstance(error, PortalError):
        return error
    if isinstance(error, DynamoError):
        return Unavailable() if error.code in STORE_BUSY_CODES else Unexpected()
    for lower, portal, message in LOWER_LAYERS:
        if isinstance(error, lower):
            return portal(message) if portal is not Unexpected else Unexpected()
    return Unexpected()
