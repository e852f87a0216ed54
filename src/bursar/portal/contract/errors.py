"""The errors of the portal: one tree, one JSON shape, and one table that translates the errors of the rooms below.

    PortalError               status
    ├── InvalidRequest        400   the request cannot be read or breaks a schema; ``errors`` lists every problem
    ├── Forbidden             403   not registered, not signed, or not allowed this fee
    ├── NotFound              404   no such route, token or reference (of this client)
    ├── MethodNotAllowed      405   with Allow
    ├── TooSlow               408   the body did not arrive in ``BODY_TIMEOUT_S``
    ├── Conflict              409   another call or attempt is under way: ask ``details``, retry later
    ├── Gone                  410   this token can never be processed again
    ├── TooLarge              413   the body is over ``BODY_BYTES_MAX``
    ├── Unanswerable          422   a question to the reports that needs more time or memory than it may
    ├── TooMany               429   over the client's limits, with Retry-After
    ├── HeadTooLarge          431   the request line and the headers are too large
    ├── Unexpected            500   a bug of the portal; the log has the trace, the caller does not
    ├── BadGateway            502   Pay.gov's answer decides nothing
    ├── Unavailable           503   the store cannot be reached, is busy or did not answer, with Retry-After
    └── GatewayTimeout        504   Pay.gov could not be reached, or its answer was lost
        └── InDoubt           504   the store was restored, and it is not known yet whether this was paid since

The JSON of each is ``{"message": str, "code": str, "errors": [...]}``; the codes are in
:mod:`bursar.portal.contract.error_catalogue`. :func:`portal_error` translates any exception of the rooms below by
:data:`LOWER_LAYERS`; the first row that matches wins, so a subclass is above its base class.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from bursar.dynamo.errors import EXPLICIT_DENY, DynamoError, StoreOutcomeUnknown, StoreUnreachable
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
    AttemptsExhausted,
    FeeRetired,
    IdentifierTaken,
    LeaseHeld,
    LedgerBusy,
    LedgerError,
    MetadataDiffers,
    MetadataErased,
    ObligationTaken,
    OutcomeContradicts,
)
from bursar.portal.contract.answers import Payment
from bursar.portal.contract.error_catalogue import (
    DIFFERS,
    IN_DOUBT_SINCE_RESTORE,
    LOST_RACE,
    METADATA_ERASED,
    NOT_ACCEPTED_BY_PAYGOV,
    NOTHING_SENT,
    OUTCOME_UNKNOWN,
    PAYGOV_REFUSED,
    REQUEST_TOO_SLOW,
    RULE_REFUSED,
    STORE_CLOSED,
    STORE_OUTCOME_UNKNOWN,
    STORE_UNAVAILABLE,
    TOKEN_IN_USE,
    TOO_MANY_ATTEMPTS,
    UNEXPECTED,
    UNREADABLE_ANSWER,
    VALIDATION_ERROR,
    WRONG_METHOD,
    ErrorCode,
)
from bursar.portal.contract.views import payment_json
from bursar.rules.errors import Contention, RuleRefused, RulesError

Problem = Mapping[str, Any]
"""One entry of ``errors``: ``path`` (keys and indexes), ``message``, ``code`` (the schema keyword that is broken)."""

RETRY_AFTER_S: Final = 1
NOTHING_DONE: Final = "Nothing was started or charged: ask details, and retry later"


class PortalError(Exception):
    """The root. ``status``: the HTTP status. ``code``: the row of the catalogue. ``errors``: every problem."""

    status: ClassVar[int] = 500

    def __init__(
        self, code: ErrorCode, errors: Sequence[Problem] = (), *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(code.message)
        if self.status not in code.statuses:
            raise ValueError(f"status of {code.code}: must be one of {code.statuses}; got {self.status}")
        self.code = code
        self.errors = tuple(errors)
        self.headers: Mapping[str, str] = headers or {}

    @property
    def message(self) -> str:
        """The message for the caller."""
        return self.code.message

    def body(self) -> dict[str, Any]:
        """Return the JSON body, whose shape is the same for every error."""
        return {"message": self.message, "code": self.code.code, "errors": list(self.errors)}


class InvalidRequest(PortalError):
    """The request cannot be read or breaks a schema: 400."""

    status = 400


class Forbidden(PortalError):
    """The caller is not registered, did not sign, or may not do this: 403."""

    status = 403


class NotFound(PortalError):
    """There is no such route, token or reference of this client: 404."""

    status = 404


class MethodNotAllowed(PortalError):
    """The path does not accept this method: 405, with Allow."""

    status = 405

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(WRONG_METHOD, headers={"allow": ", ".join(sorted(allowed))})


class TooSlow(PortalError):
    """The body did not arrive in time: 408."""

    status = 408

    def __init__(self) -> None:
        super().__init__(REQUEST_TOO_SLOW)


class Conflict(PortalError):
    """Another call or attempt is in progress: 409."""

    status = 409


class Gone(PortalError):
    """The token can never be processed again: 410. ``payment``: the payment, which the body describes too."""

    status = 410

    def __init__(self, code: ErrorCode, payment: Payment | None = None) -> None:
        super().__init__(code)
        self.payment = payment

    def body(self) -> dict[str, Any]:
        """Return the body of every error, and beside it ``paymentStatus`` and ``transactions``."""
        return super().body() | ({} if self.payment is None else payment_json(self.payment))


class TooLarge(PortalError):
    """The body is over ``BODY_BYTES_MAX``: 413."""

    status = 413


class Unanswerable(PortalError):
    """A question to the reports needs more time or memory than it may: 422."""

    status = 422


class TooMany(PortalError):
    """The client is over its limits: 429, with Retry-After."""

    status = 429

    def __init__(self, code: ErrorCode, retry_after_s: int) -> None:
        super().__init__(code, headers={"retry-after": str(max(1, retry_after_s))})


class HeadTooLarge(PortalError):
    """The request line and the headers are too large: 431."""

    status = 431


class Unexpected(PortalError):
    """A bug of the portal: 500."""

    status = 500

    def __init__(self) -> None:
        super().__init__(UNEXPECTED)


class BadGateway(PortalError):
    """Pay.gov's answer does not show the outcome: 502."""

    status = 502


class Unavailable(PortalError):
    """The store cannot be used now: 503, with Retry-After."""

    status = 503

    def __init__(self, code: ErrorCode = STORE_UNAVAILABLE) -> None:
        super().__init__(code, headers={"retry-after": str(RETRY_AFTER_S)})


class GatewayTimeout(PortalError):
    """Pay.gov could not be reached, or its answer was lost: 504."""

    status = 504


class InDoubt(GatewayTimeout):
    """It is not known whether the obligation was paid after the backup from which the store was restored: 504.

    ``until``: the earliest time at which the answer can be known, Unix seconds; None if time alone decides nothing.
    ``reached``: whether Pay.gov could be reached; None if it was not asked.
    """

    def __init__(self, why: str, until: float | None = None, *, reached: bool | None = None) -> None:
        message = f"The payment store was restored from a backup, and {why}. {NOTHING_DONE}"
        super().__init__(IN_DOUBT_SINCE_RESTORE.saying(message))
        self.until = until
        self.reached = reached


# The exception of a room below → the portal's error and its code. A use case that knows a better error raises a
# PortalError itself. The message of a room below never reaches a caller: it may name tables, keys or other payments.
LOWER_LAYERS: Final[tuple[tuple[type[BaseException], type[PortalError], ErrorCode], ...]] = (
    (ObligationTaken, Conflict, LOST_RACE),
    (MetadataDiffers, Conflict, DIFFERS),
    (MetadataErased, Conflict, METADATA_ERASED),
    (AttemptsExhausted, Conflict, TOO_MANY_ATTEMPTS),
    (FeeRetired, InvalidRequest, VALIDATION_ERROR.saying("This fee is no longer available")),
    (LeaseHeld, Conflict, TOKEN_IN_USE),
    (OutcomeContradicts, BadGateway, OUTCOME_UNKNOWN),
    (AttemptMoved, Conflict, LOST_RACE),
    (IdentifierTaken, BadGateway, UNREADABLE_ANSWER),
    (LedgerBusy, Unavailable, STORE_UNAVAILABLE),
    (LedgerError, Unexpected, UNEXPECTED),
    (RuleRefused, Conflict, RULE_REFUSED),
    (Contention, Unavailable, STORE_UNAVAILABLE),
    (RulesError, Unexpected, UNEXPECTED),
    (StoreUnreachable, Unavailable, STORE_UNAVAILABLE),
    (StoreOutcomeUnknown, Unavailable, STORE_OUTCOME_UNKNOWN),
    (ArgumentRefused, InvalidRequest, NOT_ACCEPTED_BY_PAYGOV),
    (NotSent, GatewayTimeout, NOTHING_SENT),
    (Nonsense, BadGateway, UNREADABLE_ANSWER),
    (OutcomeUnknown, GatewayTimeout, OUTCOME_UNKNOWN),
    (Fault, BadGateway, PAYGOV_REFUSED),
    (QueryUnavailable, BadGateway, PAYGOV_REFUSED.saying("Pay.gov's query service is not available here")),
    (PayGovError, BadGateway, UNREADABLE_ANSWER),
)

# DynamoDB's codes for "retry later". Source: AWS DynamoDB developer guide, "Error handling with DynamoDB".
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
    """Return the portal's error for any exception. An exception without a row is a bug of the portal (500)."""
    if isinstance(error, PortalError):
        return error
    if isinstance(error, DynamoError):
        if EXPLICIT_DENY in error.message:  # the table is closed
            return Unavailable(STORE_CLOSED)
        return Unavailable() if error.code in STORE_BUSY_CODES else Unexpected()
    for lower, portal, code in LOWER_LAYERS:
        if isinstance(error, lower):
            return portal(code) if portal is not Unexpected else Unexpected()
    return Unexpected()
