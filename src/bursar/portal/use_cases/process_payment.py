"""POST /process: the payer has returned; complete the collection and return the payment.

    token ──► attempt ──► the step of its status in STEPS ──► every attempt at the obligation

A completion begins with taking the lease: of several callers with one token one completes, and the others get 409.
``completion.py`` asks Pay.gov and judges the answer.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from bursar.paygov.errors import PayGovError
from bursar.payments.catalogue.clients import Client
from bursar.payments.errors import AttemptMoved, LeaseHeld
from bursar.payments.history_bounds import RECLAIMS_MAX, taken_too_often
from bursar.payments.records import Attempt
from bursar.payments.status import FAILED, PENDING, PROCESSED, PROCESSING, TOKEN_EXPIRED_CODE, EventName
from bursar.portal.contract.answers import Payment
from bursar.portal.contract.authorisation import authorise
from bursar.portal.contract.error_catalogue import (
    LOST_RACE,
    OUTCOME_UNKNOWN,
    SIBLING_LIVE,
    TOKEN_EXPIRED,
    TOKEN_IN_USE,
    TOKEN_LOST,
    TOKEN_NOT_FOUND,
    TOKEN_USED,
)
from bursar.portal.contract.errors import Conflict, GatewayTimeout, Gone, NotFound
from bursar.portal.state.portal import TOKEN_EXPIRED_DETAIL, Portal
from bursar.portal.use_cases.after_restore import check_obligation
from bursar.portal.use_cases.completion import complete
from bursar.portal.use_cases.completion_outcomes import doubt_about
from bursar.portal.use_cases.payment_details import payment_of
from bursar.portal.use_cases.resolution import end_uncompleted, lease_is_late, refresh, returned_unsent

NEVER_SENT_DETAIL: Final = (
    f"Pay.gov could not be reached in {RECLAIMS_MAX + 1} tries to complete the payment: nothing was charged"
)
PROCESS_TRIES_MAX: Final = 4


async def process_payment(portal: Portal, client: Client, token: str) -> Payment:
    """Complete the attempt that has ``token``, and return the payment in its new state.

    Raises:
        NotFound: no attempt of this client has the token.
        Forbidden: the client may not charge its fee.
        Conflict: another call is completing it.
        Gone: the attempt is finished, its token has expired, or Pay.gov could not be reached too often. The error holds
            the payment.
        GatewayTimeout, BadGateway: nothing was sent, or the outcome is unknown; the message says which.
        InDoubt: the store was restored, and it is not known yet whether the obligation was paid since.
    """
    attempt = await portal.ledger.attempt_by_token(token)
    if attempt is None or attempt.client != client.name:
        raise NotFound(TOKEN_NOT_FOUND if await portal.restores.open_mark() is None else TOKEN_LOST)
    authorise(client, attempt.fee)
    gone: Gone | None = None
    try:
        await portal.finish(_process(portal, attempt))
    except Gone as refused:
        gone = refused
    view = await portal.ledger.obligation(client.name, attempt.reference, events=False)
    if view is None:
        raise NotFound(TOKEN_NOT_FOUND)
    payment = await payment_of(portal, view.attempts)
    if gone is not None:
        raise Gone(gone.code, payment)
    return payment


async def _process(portal: Portal, attempt: Attempt) -> None:
    for _ in range(PROCESS_TRIES_MAX):
        try:
            if attempt.live and await portal.restores.needs_care():
                before, attempt = attempt, await _checked_since_restore(portal, attempt)
                if attempt.status != before.status and attempt.status in (PENDING, PROCESSED):
                    return  # this call has found what the store had lost
            await STEPS[attempt.status](portal, attempt)
            return
        except LeaseHeld:
            portal.observer.lease_conflict()
            raise Conflict(TOKEN_IN_USE) from None
        except AttemptMoved as moved:
            attempt = moved.attempt
    raise Conflict(LOST_RACE)


async def _checked_since_restore(portal: Portal, attempt: Attempt) -> Attempt:
    """Ask Pay.gov about attempts that a restore may have lost, and return the attempt as stored after that."""
    checked = await check_obligation(portal, attempt, actor="portal")
    return await portal.ledger.reread(attempt) if checked.changed else attempt


def _initiated(portal: Portal, attempt: Attempt) -> Awaitable[None]:
    if portal.ledger.due_policy.token_expired(attempt, portal.clock()):
        return _expire(portal, attempt, "expired")
    return _complete_first(portal, attempt)


async def _processing(portal: Portal, attempt: Attempt) -> None:
    if attempt.leased(portal.clock()) and not lease_is_late(portal, attempt):
        raise LeaseHeld(attempt)
    if returned_unsent(attempt):
        if portal.ledger.due_policy.token_expired(attempt, portal.clock()):
            return await _expire(portal, attempt, "expired_unsent")
        if taken_too_often(attempt, "reclaimed"):
            return await _expire(portal, attempt, "expired_unsent", NEVER_SENT_DETAIL)
        return await _complete_first(portal, attempt)
    found = await refresh(portal, attempt, actor="portal", may_complete=True)
    if found.attempt.status == PROCESSING:
        if found.attempt.leased(portal.clock()):
            raise LeaseHeld(found.attempt)
        raise GatewayTimeout(doubt_about(found.attempt))
    return None


async def _complete_first(portal: Portal, attempt: Attempt) -> None:
    owner = portal.new_lease_owner()
    claimed = await portal.ledger.take_lease(attempt, owner, portal.settings.lease_s)
    await complete(portal, claimed, owner, first=True, actor="portal")


async def _expire(portal: Portal, attempt: Attempt, event: EventName, detail: str = TOKEN_EXPIRED_DETAIL) -> None:
    """Fail an attempt that was never completed, unless Pay.gov has a collection of it: then record the collection.

    Raises ``Gone`` if the attempt failed, ``GatewayTimeout`` if Pay.gov cannot be asked or its answer does not show the
    outcome.
    """
    try:
        asked = await end_uncompleted(
            portal, attempt, event=event, actor="portal", return_code=TOKEN_EXPIRED_CODE, return_detail=detail
        )
    except PayGovError:
        raise GatewayTimeout(OUTCOME_UNKNOWN) from None
    ended = asked.attempt
    if ended.status == PROCESSING:
        raise GatewayTimeout(OUTCOME_UNKNOWN)
    if ended.status == FAILED and ended.paygov_tracking_id is None:
        raise Gone(TOKEN_EXPIRED)


async def _finished(portal: Portal, attempt: Attempt) -> None:
    code = TOKEN_EXPIRED if attempt.return_code == TOKEN_EXPIRED_CODE else TOKEN_USED
    view = await portal.ledger.obligation(attempt.client, attempt.reference, events=False)
    blocking = view.blocking if view else None
    if blocking is not None and blocking.agency_tracking_id != attempt.agency_tracking_id:
        code = SIBLING_LIVE
    raise Gone(code)


async def _not_begun(portal: Portal, attempt: Attempt) -> None:
    raise NotFound(TOKEN_NOT_FOUND)


STEPS: Final[Mapping[str, Callable[[Portal, Attempt], Awaitable[None]]]] = {
    "received": _not_begun,  # has no token yet, so no token leads here
    "initiated": _initiated,
    "processing": _processing,
    "pending": _finished,
    "processed": _finished,
    "failed": _finished,
}
