"""POST /init: create an attempt at the obligation, get a token from Pay.gov, return the address for the payer.

    start ──► no live attempt ──► received ──► ask Pay.gov for a token ──► initiated ──► 200
      │                                             └─ no token ──► failed ──► 502 / 504
      └─────► a live attempt blocks the obligation: its status selects the step in BLOCKED_BY

A start charges no payer, so an attempt whose start goes wrong is failed, and init may be called again. If the process
dies or the store is unavailable, the attempt stays ``received``. No payer has its token: init returns a token only
after recording it, and the store records it only while the attempt is as the start left it. So the next init may
abandon the attempt at any time. It waits as long as a start can last, so that two calls at once do not abandon each
other's attempts.

An attempt whose time is over is failed only after asking Pay.gov, if a lookup is configured: the store may be restored
from a backup. While a restore mark is open, Pay.gov is first asked about every attempt that the lost part of the store
may have held (after_restore.py).
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from bursar.paygov.errors import Fault, Nonsense, OutcomeUnknown, PayGovError
from bursar.payments.catalogue.clients import Client
from bursar.payments.errors import AttemptMoved, FeeRetired, IdentifierTaken, LedgerError, ObligationTaken
from bursar.payments.records import Attempt
from bursar.payments.status import TOKEN_EXPIRED_CODE, EventName
from bursar.portal.contract.answers import StartedPayment
from bursar.portal.contract.authorisation import authorise
from bursar.portal.contract.error_catalogue import (
    ALREADY_PAID,
    ALREADY_PROCESSING,
    LOST_RACE,
    NO_TOKEN,
    OTHER_AMOUNT,
    START_REFUSED,
    STILL_SETTLING,
    UNREADABLE_TOKEN,
    VALIDATION_ERROR,
    ErrorCode,
)
from bursar.portal.contract.errors import (
    BadGateway,
    Conflict,
    GatewayTimeout,
    InvalidRequest,
    PortalError,
    portal_error,
)
from bursar.portal.contract.validation import InitRequest, not_a_fee
from bursar.portal.state.portal import TOKEN_EXPIRED_DETAIL, Portal
from bursar.portal.use_cases.after_restore import check_obligation
from bursar.portal.use_cases.resolution import end_uncompleted

INIT_TRIES_MAX: Final = 4
START_RECORD_S: Final = 10.0
"""The time for recording the token after Pay.gov's timeout. A start that takes longer may be abandoned."""
ABANDONED_DETAIL: Final = "Pay.gov was asked for a token and the answer was never recorded"

_log = logging.getLogger(__name__)


async def init_payment(portal: Portal, client: Client, request: InitRequest) -> StartedPayment:
    """Start a payment, or find the one that is already started, and return what the payer needs.

    Raises:
        Forbidden: the client may not charge this fee.
        InvalidRequest: the fee is retired, and no live attempt exists.
        Conflict: paid, settling or being processed; another fee, other metadata or another amount; a race was lost.
        GatewayTimeout, BadGateway: Pay.gov gave no token; the attempt has failed and init may be called again.
        InDoubt: the store was restored, and it is not known yet whether this was paid since.
    """
    authorise(client, request.fee.key)
    if await portal.restores.needs_care():
        await portal.finish(check_obligation(portal, _draft(portal, client, request), actor="portal"))
    for _ in range(INIT_TRIES_MAX):
        try:
            attempt = await portal.ledger.start_attempt(
                client.name,
                request.reference,
                request.fee,
                request.amount,
                request.metadata,
                request.url_success,
                request.url_cancel,
            )
        except ObligationTaken as taken:
            if taken.attempt is None:
                raise
            if await _stops_blocking(portal, taken.attempt, request):
                continue
            return _started(portal, taken.attempt)
        except FeeRetired:
            raise InvalidRequest(VALIDATION_ERROR, [not_a_fee()]) from None
        return _started(portal, await portal.finish(_fetch_token(portal, attempt)))
    raise Conflict(LOST_RACE)


def _draft(portal: Portal, client: Client, request: InitRequest) -> Attempt:
    return portal.ledger.draft(
        client.name,
        request.reference,
        request.fee,
        request.amount,
        request.metadata,
        request.url_success,
        request.url_cancel,
    )


async def _fetch_token(portal: Portal, attempt: Attempt) -> Attempt:
    """Get a token from Pay.gov and move the attempt from received to initiated.

    Any error fails the attempt, so that the next init can start another.
    """
    recorded: Attempt | None = None
    try:
        token = await portal.ask(
            "start",
            portal.paygov.start(
                tcs_app_id=attempt.tcs_app_id,
                agency_tracking_id=attempt.agency_tracking_id,
                amount=attempt.amount,
                url_success=attempt.url_success,
                url_cancel=attempt.url_cancel,
                classification=[(part.classification_id, part.amount) for part in attempt.classification or ()],
            ),
        )
        recorded = await portal.ledger.record_token(attempt, token)
        return recorded
    except (PayGovError, IdentifierTaken) as error:
        await _fail_start(portal, attempt, error)
        raise _no_token(error) from error
    finally:
        if recorded is None:
            portal.remember_lost_start(attempt.agency_tracking_id)
    # AttemptMoved: the sweeper has failed the slow attempt, and the token stays unused. Store errors: the sweeper.


# The error instead of a token → the error and code for the caller. portal_error translates every other error.
INSTEAD_OF_A_TOKEN: Final[tuple[tuple[type[Exception], type[PortalError], ErrorCode], ...]] = (
    (Nonsense, BadGateway, UNREADABLE_TOKEN),
    (OutcomeUnknown, GatewayTimeout, NO_TOKEN),
    (Fault, BadGateway, START_REFUSED),
    (IdentifierTaken, BadGateway, UNREADABLE_TOKEN),
)


def _no_token(error: PayGovError | IdentifierTaken) -> PortalError:
    for raised, portal, code in INSTEAD_OF_A_TOKEN:
        if isinstance(error, raised):
            return portal(code)
    return portal_error(error)


async def _fail_start(portal: Portal, attempt: Attempt, error: PayGovError | IdentifierTaken) -> None:
    code, return_detail = None, f"Pay.gov gave no usable token: {type(error).__name__}"
    if isinstance(error, Fault):
        code, return_detail = error.return_code or None, error.return_detail
    try:
        await portal.ledger.fail(
            attempt, event="start_failed", actor="portal", return_code=code, return_detail=return_detail
        )
    except Exception as failure:  # the caller must get Pay.gov's error, and the sweeper fails the attempt later
        known = portal_error(failure)
        if known.status >= 500 and not isinstance(failure, LedgerError):
            _log.warning("attempt %s stays received for the sweeper: %r", attempt.agency_tracking_id, failure)


async def _stops_blocking(portal: Portal, attempt: Attempt, request: InitRequest) -> bool:
    """Return True if ``attempt`` no longer blocks; False if the caller may use its token. Raises ``Conflict``."""
    return await BLOCKED_BY[attempt.status](portal, attempt, request)


async def _initiated(portal: Portal, attempt: Attempt, request: InitRequest) -> bool:
    if portal.ledger.due_policy.token_expired(attempt, portal.clock()):
        return await _end(portal, attempt, "expired", TOKEN_EXPIRED_CODE, TOKEN_EXPIRED_DETAIL)
    # Only an amount from the caller can conflict. After a change of a fixed fee the payer keeps the token.
    if request.fee.variable and attempt.amount != request.amount:
        raise Conflict(OTHER_AMOUNT)
    return False


async def _received(portal: Portal, attempt: Attempt, request: InitRequest) -> bool:
    lasts_s = portal.settings.paygov_timeout_s + START_RECORD_S
    if portal.clock() - attempt.created_at < lasts_s and not portal.start_was_lost(attempt.agency_tracking_id):
        raise Conflict(ALREADY_PROCESSING)
    return await _end(portal, attempt, "start_abandoned", None, ABANDONED_DETAIL)


async def _end(portal: Portal, attempt: Attempt, event: EventName, code: str | None, detail: str) -> bool:
    """Fail an attempt whose time is over, unless Pay.gov has a collection of it. Return True: start again.

    Raises ``Conflict`` if Pay.gov cannot be asked. While Pay.gov cannot be asked, the outcome is unknown, so the
    attempt blocks.
    """
    try:
        await end_uncompleted(portal, attempt, event=event, actor="portal", return_code=code, return_detail=detail)
    except PayGovError:
        raise Conflict(ALREADY_PROCESSING) from None
    except AttemptMoved:
        pass  # the next start reads the present attempt
    return True


def _conflict(code: ErrorCode) -> Callable[[Portal, Attempt, InitRequest], Awaitable[bool]]:
    async def refuse(portal: Portal, attempt: Attempt, request: InitRequest) -> bool:
        raise Conflict(code)

    return refuse


BLOCKED_BY: Final[Mapping[str, Callable[[Portal, Attempt, InitRequest], Awaitable[bool]]]] = {
    "received": _received,
    "initiated": _initiated,
    "processing": _conflict(ALREADY_PROCESSING),
    "pending": _conflict(STILL_SETTLING),
    "processed": _conflict(ALREADY_PAID),
}


def _started(portal: Portal, attempt: Attempt) -> StartedPayment:
    if attempt.token is None:
        raise BadGateway(NO_TOKEN.saying("Pay.gov gave no token"))
    redirect = portal.paygov.payment_redirect(tcs_app_id=attempt.tcs_app_id, token=attempt.token)
    return StartedPayment(attempt.token, redirect)
