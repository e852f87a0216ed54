"""The catalogue of errors: every code that a caller can get, its HTTP statuses and meaning, and what to do about it.

A code is stable, and programs branch on it. The message is for people; its text does not change either, because clients
of the portal that Bursar replaces compare it. docs/errors.md and OpenAPI are generated from :data:`CATALOGUE`.

    raise Conflict(ALREADY_PAID)                          # a row of the catalogue
    raise Conflict(ALREADY_PAID.saying("another text"))   # the same code with another message
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

from bursar.payments.attempt_ids import ATTEMPTS_MAX
from bursar.portal.contract.schemas import BODY_BYTES_MAX


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row: a code, the HTTP statuses that it comes with, and its usual message.

    ``meaning`` and ``action`` are sentences without a period, for the documentation: what happened, and what the caller
    should do.
    """

    code: str
    statuses: tuple[int, ...]
    message: str
    meaning: str
    action: str

    def saying(self, message: str) -> Self:
        """Return the same code with another message."""
        return replace(self, message=message)


CORRECT: Final = "Correct the request"
REPEAT_LATER: Final = "Wait `Retry-After` seconds, then repeat the request"
ASK_DETAILS: Final = "Call `details`; do not start another payment"

# 400: the request is wrong, and the same request will be wrong again.
VALIDATION_ERROR: Final = ErrorCode(
    "invalid_request",
    (400,),
    "Validation error",
    "The request breaks its schema; `errors` names every problem",
    CORRECT,
)
MISSING_BODY: Final = ErrorCode("missing_body", (400,), "missing body", "The request has no body", CORRECT)
INVALID_JSON: Final = ErrorCode(
    "invalid_json",
    (400,),
    "invalid JSON in request body",
    "The body is not JSON, or an object in it has a key twice",
    CORRECT,
)
AMOUNT_NOT_ALLOWED: Final = ErrorCode(
    "amount_not_allowed",
    (400,),
    "This fee does not allow variable amounts",
    "The request has an amount, and the fee has a fixed one",
    "Leave `amount` out",
)
AMOUNT_REQUIRED: Final = ErrorCode(
    "amount_required", (400,), "This fee requires an amount", "The fee is variable", "Send `amount`"
)
NOT_ACCEPTED_BY_PAYGOV: Final = ErrorCode(
    "not_accepted_by_paygov",
    (400,),
    "Pay.gov cannot take what was sent",
    "Pay.gov could never accept a value of the request, so nothing was sent",
    CORRECT,
)
UNREADABLE_REQUEST: Final = ErrorCode(
    "unreadable_request",
    (400,),
    "This is not an HTTP request",
    "The bytes are not an HTTP request, or the event is not API Gateway's",
    CORRECT,
)

# 403: the caller is not known, or may not do this.
NOT_REGISTERED: Final = ErrorCode(
    "not_registered",
    (403,),
    "Client not registered",
    "The access key or the role belongs to no client",
    "Ask the operator of the portal to register the client",
)
NOT_SIGNED: Final = ErrorCode(
    "signature_refused",
    (403,),
    "Missing Authentication Token",
    "The signature is missing, wrong or too old; the message names the reason",
    "Sign the request with Signature Version 4 for the service `execute-api`, and check the clock",
)
MISSING_PRINCIPAL: Final = ErrorCode(
    "missing_principal",
    (403,),
    "Missing IAM principal",
    "API Gateway passed no caller",
    "Ask the operator of the portal to require IAM authorization at API Gateway",
)
NOT_THIS_MACHINE: Final = ErrorCode(
    "not_this_machine",
    (403,),
    "Signatures are not verified here, so only this machine's own addresses are answered",
    "Signatures are off, and a page of another site sent the request",
    "Call from this machine, or switch signatures on",
)
NOT_AUTHORIZED: Final = ErrorCode(
    "not_authorized_for_fee",
    (403,),
    "Client not authorized for fee",
    "The client may not charge this fee",
    "Ask the operator of the portal to allow the fee",
)
NO_OVERVIEW: Final = ErrorCode(
    "not_authorized_for_overview",
    (403,),
    "Client not authorized to see every payment",
    'Only a client with `fees = "*"` may see the payments of all clients',
    "Use the dashboard's client",
)
NO_REPORTS: Final = ErrorCode(
    "not_authorized_for_reports",
    (403,),
    "Client not authorized to run reports",
    "The client's entry in the clients' file lacks `reports = true`",
    "Ask the operator of the portal to allow reports",
)
NO_SQL: Final = ErrorCode(
    "not_authorized_for_sql",
    (403,),
    "Client not authorized to ask in SQL",
    "The client's entry in the clients' file lacks `sql = true`",
    "Ask the operator of the portal to allow SQL",
)

ORIGIN_NOT_ALLOWED: Final = ErrorCode(
    "origin_not_allowed",
    (403,),
    "This origin, method or header is not allowed",
    "A browser asked whether a page of another origin may send a request, and it may not",
    "Ask the operator of the portal to add the page's origin to `BURSAR_CORS_ORIGINS`",
)

# 404 and 405: there is no such address.
ROUTE_NOT_FOUND: Final = ErrorCode("route_not_found", (404,), "Not found", "There is no such path", CORRECT)
TOKEN_NOT_FOUND: Final = ErrorCode(
    "token_not_found",
    (404,),
    "Transaction could not be found",
    "No attempt of this client has this token",
    "Use the token that `init` returned to this client",
)
TOKEN_LOST: Final = TOKEN_NOT_FOUND.saying(
    f"{TOKEN_NOT_FOUND.message}. The payment store was restored from a backup: call init with the same reference, "
    "which finds a payment that was made since"
)
REFERENCE_NOT_FOUND: Final = ErrorCode(
    "reference_not_found",
    (404,),
    "Transaction Reference Id was not found",
    "This client has no payment with this reference",
    "Call `init` first",
)
ATTEMPT_NOT_FOUND: Final = ErrorCode(
    "attempt_not_found", (404,), "There is no such attempt", "An operator named an attempt that does not exist", CORRECT
)
WRONG_METHOD: Final = ErrorCode(
    "method_not_allowed", (405,), "Method not allowed", "The path has other methods; see `Allow`", CORRECT
)

# 408, 413, 431: the request is too slow or too large.
REQUEST_TOO_SLOW: Final = ErrorCode(
    "request_too_slow",
    (408,),
    "The request body did not arrive in time",
    "The head or the body of the request did not arrive in time",
    "Send the request again",
)
TOO_LARGE: Final = ErrorCode(
    "body_too_large",
    (413,),
    f"The request body is larger than {BODY_BYTES_MAX} bytes",
    f"The body is larger than {BODY_BYTES_MAX // 1024} KiB",
    CORRECT,
)
HEAD_TOO_LARGE: Final = ErrorCode(
    "head_too_large",
    (431,),
    "The request's head is too large",
    "The request line and the headers are larger than 64 KiB, or more than 100 headers",
    CORRECT,
)

# 409: the payment does not allow this now.
ALREADY_PAID: Final = ErrorCode(
    "already_paid",
    (409,),
    "This transaction reference has already been paid",
    "The obligation is paid",
    "Treat it as paid; `details` has the payment. Use a new reference for another payment",
)
STILL_SETTLING: Final = ErrorCode(
    "settling",
    (409,),
    "A payment for this transaction reference is still settling",
    "Pay.gov accepted a payment, and it settles within days",
    "Call `details` periodically until the payment is `success` or `failed`",
)
ALREADY_PROCESSING: Final = ErrorCode(
    "in_process",
    (409,),
    "A payment is already being processed for this transaction reference",
    "Another call is completing the payment, or its outcome is unknown",
    "Call `details` until the payment is not `pending`; do not start another payment",
)
TOKEN_IN_USE: Final = ALREADY_PROCESSING.saying("A payment is already being processed for this token")
DIFFERS: Final = ErrorCode(
    "differs",
    (409,),
    "This transactionReferenceId was used with another fee or other metadata; use a new one for another payment",
    "The reference was used with another fee, other metadata or another amount",
    "Repeat the first request unchanged, or use a new reference for another payment",
)
OTHER_AMOUNT: Final = DIFFERS.saying("A payment of another amount is already under way for this transaction reference")
METADATA_ERASED: Final = ErrorCode(
    "metadata_erased",
    (409,),
    "The data of this transactionReferenceId were erased after its payments had failed; "
    "use a new one for another payment",
    "The earlier payments failed long ago, and their personal data were erased",
    "Use a new reference for another payment",
)
TOO_MANY_ATTEMPTS: Final = ErrorCode(
    "too_many_attempts",
    (409,),
    f"This transactionReferenceId has had {ATTEMPTS_MAX} attempts, and each of them failed; "
    "use a new one for another attempt",
    f"The reference has had {ATTEMPTS_MAX} attempts, and all of them failed",
    "Use a new reference",
)
LOST_RACE: Final = ErrorCode(
    "lost_race",
    (409,),
    ALREADY_PROCESSING.message,
    "Other calls for the same payment changed it at the same moment",
    "Repeat the request after a short pause",
)
RULE_REFUSED: Final = ErrorCode(
    "rule_refused",
    (409,),
    "This change is not allowed as the payment stands; ask details",
    "The change would break a rule of the payments; the portal's log has the rule",
    "Call `details`, and report it to the operator of the portal",
)
NOT_RESOLVABLE: Final = ErrorCode(
    "not_resolvable",
    (409,),
    "There is nothing to resolve",
    "The state of the attempt does not allow what an operator asked for",
    "List the attempts that need a person with `bursar attention`",
)
NOT_REVERSIBLE: Final = ErrorCode(
    "not_reversible",
    (409,),
    "This money cannot go back",
    "The state of the attempt, or its reversals so far, do not allow the reversal or refund that an operator recorded",
    "Read the message, and compare the attempt's reversals with Pay.gov",
)

# 410: this token can never be processed again. The body has the state of the payment.
TOKEN_USED: Final = ErrorCode(
    "token_used",
    (410,),
    "This token is no longer valid.",
    "The attempt with this token is finished; `paymentStatus` is the state of the payment",
    "Go by `paymentStatus`; after `failed`, call `init` again with the same reference",
)
TOKEN_EXPIRED: Final = ErrorCode(
    "token_expired",
    (410,),
    "This token has expired: initialize the payment again with the same reference",
    "The payer came back more than 3 hours after `init`, or Pay.gov stayed out of reach; the attempt has failed",
    "Call `init` again with the same reference",
)
SIBLING_LIVE: Final = ErrorCode(
    "sibling",
    (410,),
    "This token is no longer valid. Another transaction is already fulfilling this obligation: ask details",
    "The attempt with this token has failed, and another attempt pays the same obligation",
    "Go by `paymentStatus`; process the token of the other attempt",
)

# 429: the client sends too much.
TOO_MANY_AT_ONCE: Final = ErrorCode(
    "too_many_at_once",
    (429,),
    "Too many requests at once: retry later",
    "The client has more requests under way than it may have",
    REPEAT_LATER,
)
TOO_MANY_PER_SECOND: Final = ErrorCode(
    "too_many_per_second",
    (429,),
    "Too many requests: retry later",
    "The client sends more requests per second than it may send",
    REPEAT_LATER,
)

# 5xx: the portal, its store or Pay.gov.
UNEXPECTED: Final = ErrorCode(
    "unexpected",
    (500,),
    "An unexpected error occurred while processing the request",
    "The portal has a bug; its log has the trace",
    "Call `details` before you repeat a `process`, and report it to the operator of the portal",
)
NOTHING_SENT: Final = ErrorCode(
    "nothing_sent",
    (504,),
    "Pay.gov could not be reached. Nothing was charged: retry",
    "Nothing reached Pay.gov, so nothing was charged",
    "Repeat the request",
)
NO_TOKEN: Final = ErrorCode(
    "no_token",
    (502, 504),
    "Pay.gov did not answer in time. Nothing was charged: retry",
    "`init` got no usable token from Pay.gov; a start charges no payer",
    "Call `init` again with the same reference",
)
UNREADABLE_TOKEN: Final = NO_TOKEN.saying(
    "Pay.gov answered with something that cannot be understood. Nothing was charged: retry"
)
PAYGOV_REFUSED: Final = ErrorCode(
    "paygov_refused",
    (502,),
    "Pay.gov refused the request",
    "Pay.gov refused with a return code, and nothing was charged by this call",
    "Report it to the operator of the portal: Pay.gov may not know the fee's application",
)
START_REFUSED: Final = PAYGOV_REFUSED.saying("Pay.gov refused to begin the payment. Nothing was charged")
OUTCOME_UNKNOWN: Final = ErrorCode(
    "outcome_unknown",
    (502, 504),
    "Pay.gov's answer was lost, so the payment may or may not have been made. "
    "Do not start another: ask details until it is resolved",
    "Pay.gov may have charged the payer: its answer was lost (504) or decides nothing (502). "
    "504 also for a payer who came back without paying: the message says so",
    "Call `details` until the payment is not `pending`; do not start another payment",
)
IN_DOUBT_SINCE_RESTORE: Final = ErrorCode(
    "in_doubt_since_restore",
    (504,),
    "The payment store was restored from a backup, and it is not known yet whether this was paid since. "
    "Nothing was started or charged: ask details, and retry later",
    "The payment store was restored from a backup, and Pay.gov has not said yet whether the payment was made since",
    "Repeat the request later; do not start another payment under another reference",
)
TOKEN_REFUSED: Final = OUTCOME_UNKNOWN.saying(
    "Pay.gov refuses this token: the payer may not have paid yet, or may have paid already. "
    "Do not start another payment: ask details until it is resolved"
)
UNDECIDED: Final = OUTCOME_UNKNOWN.saying(
    "Pay.gov's answer does not say whether the payment was made. Do not start another: ask details until it is resolved"
)
UNREADABLE_ANSWER: Final = OUTCOME_UNKNOWN.saying("Pay.gov answered with something that cannot be understood")
STORE_UNAVAILABLE: Final = ErrorCode(
    "store_unavailable",
    (503,),
    "The payment store is not available: retry",
    "The payment store is busy or cannot be reached",
    REPEAT_LATER,
)
STORE_OUTCOME_UNKNOWN: Final = ErrorCode(
    "store_outcome_unknown",
    (503,),
    "The payment store did not answer: ask details before you retry",
    "The payment store did not answer, so the change may or may not have been made",
    "Call `details`, then repeat the request",
)
STORE_CLOSED: Final = ErrorCode(
    "store_closed",
    (503,),
    "The payment store takes no changes now: retry",
    "The payment store is closed to writes: it is being moved, and the portal does not use the new place yet",
    "Repeat the request later; after a `process`, call `details` first",
)
BAD_STATEMENT: Final = ErrorCode(
    "bad_statement",
    (400,),
    "The statement cannot run",
    "The statement is not one SELECT over the tables, or it fails; the message has the place",
    "Correct the statement",
)
REPORT_NOT_FOUND: Final = ErrorCode(
    "report_not_found", (404,), "There is no such report", "No report has this name", "Choose one of `GET /reports`"
)
QUESTION_TOO_LARGE: Final = ErrorCode(
    "question_too_large",
    (422,),
    "The question reaches a limit",
    "The statement or report needs more time or memory than a question may",
    "Narrow the question: a shorter time frame, fewer columns, a sum instead of rows",
)
REPORTS_UNAVAILABLE: Final = ErrorCode(
    "reports_unavailable",
    (503,),
    "Reports are not available: retry",
    "The reports process is starting, busy, or cannot read the lake",
    REPEAT_LATER,
)
LOG_UNAVAILABLE: Final = ErrorCode(
    "log_unavailable",
    (503,),
    "The transaction log is not available: retry",
    "The query of the log is too large, or the log is busy",
    REPEAT_LATER,
)
TOO_BUSY: Final = ErrorCode(
    "too_busy",
    (503,),
    "The portal cannot take more connections: retry",
    "The portal has as many connections as it takes",
    REPEAT_LATER,
)

CATALOGUE: Final[Mapping[str, ErrorCode]] = {
    each.code: each
    for each in (
        *(VALIDATION_ERROR, MISSING_BODY, INVALID_JSON, AMOUNT_NOT_ALLOWED, AMOUNT_REQUIRED, NOT_ACCEPTED_BY_PAYGOV),
        BAD_STATEMENT,
        *(UNREADABLE_REQUEST, NOT_REGISTERED, NOT_SIGNED, MISSING_PRINCIPAL, NOT_THIS_MACHINE, NOT_AUTHORIZED),
        *(
            NO_OVERVIEW,
            NO_REPORTS,
            NO_SQL,
            ORIGIN_NOT_ALLOWED,
            ROUTE_NOT_FOUND,
            TOKEN_NOT_FOUND,
            REFERENCE_NOT_FOUND,
            ATTEMPT_NOT_FOUND,
            REPORT_NOT_FOUND,
            WRONG_METHOD,
        ),
        *(REQUEST_TOO_SLOW, ALREADY_PAID, STILL_SETTLING, ALREADY_PROCESSING, DIFFERS, LOST_RACE, RULE_REFUSED),
        *(TOO_MANY_ATTEMPTS, METADATA_ERASED, NOT_RESOLVABLE, NOT_REVERSIBLE),
        *(
            TOKEN_USED,
            TOKEN_EXPIRED,
            SIBLING_LIVE,
            TOO_LARGE,
            QUESTION_TOO_LARGE,
            TOO_MANY_AT_ONCE,
            TOO_MANY_PER_SECOND,
        ),
        *(HEAD_TOO_LARGE, UNEXPECTED, NO_TOKEN, PAYGOV_REFUSED, OUTCOME_UNKNOWN, STORE_UNAVAILABLE),
        *(
            STORE_OUTCOME_UNKNOWN,
            STORE_CLOSED,
            LOG_UNAVAILABLE,
            REPORTS_UNAVAILABLE,
            TOO_BUSY,
            NOTHING_SENT,
            IN_DOUBT_SINCE_RESTORE,
        ),
    )
}
"""Every code → its row, by HTTP status."""
