"""GET /details/{transactionReferenceId} and …/events: return a payment, after asking Pay.gov if only Pay.gov knows."""

from collections.abc import Sequence

from bursar.payments.catalogue.clients import Client
from bursar.payments.obligation_view import ObligationView
from bursar.payments.records import Attempt
from bursar.portal.contract.answers import Payment
from bursar.portal.contract.authorisation import authorise
from bursar.portal.contract.error_catalogue import REFERENCE_NOT_FOUND, STORE_CLOSED, VALIDATION_ERROR
from bursar.portal.contract.errors import InvalidRequest, NotFound, Unavailable
from bursar.portal.contract.validation import not_a_reference, read_reference
from bursar.portal.state.portal import Portal
from bursar.portal.use_cases.after_restore import check_obligation
from bursar.portal.use_cases.resolution import needs_lookup, refresh


async def details(portal: Portal, client: Client, reference: str) -> Payment:
    """Return the payment ``reference`` of ``client``, after asking Pay.gov if only Pay.gov knows its state.

    It is stale if Pay.gov could not be asked.

    Raises:
        InvalidRequest: ``reference`` is not a UUID v4.
        NotFound: this client has no such reference.
        Forbidden: the client may not charge the payment's fee.
        Unavailable: the store is closed, because it was moved or is being moved.
        InDoubt: it has failed, the store was restored, and it is not known yet whether it was paid since.
    """
    view = await _own(portal, client, reference, events=False)
    if view.blocking is None and await portal.restores.needs_care():
        view = await _with_lost_attempts(portal, view)
    attempt = view.blocking
    if attempt is None or not needs_lookup(portal, attempt):
        return await payment_of(portal, view.attempts)
    found = await refresh(portal, attempt, actor="portal", may_complete=False)
    attempts = [
        found.attempt if each.agency_tracking_id == attempt.agency_tracking_id else each for each in view.attempts
    ]
    return await payment_of(portal, attempts, stale=not found.answered)


async def payment_of(portal: Portal, attempts: Sequence[Attempt], *, stale: bool = False) -> Payment:
    """Return the payment with these attempts, and with their reversals, which are read if there are any."""
    if not any(attempt.reversed_amount for attempt in attempts):
        return Payment(attempts, stale)
    return Payment(attempts, stale, await portal.ledger.reversals_of(attempts[0].client, attempts[0].reference))


async def _with_lost_attempts(portal: Portal, view: ObligationView) -> ObligationView:
    """Return a failed payment, updated with the collections that Pay.gov has since a restore.

    Raises as :func:`check_obligation`.
    """
    first = view.attempts[0]
    checked = await portal.finish(check_obligation(portal, first, actor="portal"))
    if not checked.changed:
        return view
    return await portal.ledger.obligation(first.client, first.reference, events=False) or view


async def events(portal: Portal, client: Client, reference: str) -> ObligationView:
    """Return ``reference`` with every event of every attempt, oldest first. Raises as :func:`details`."""
    return await _own(portal, client, reference, events=True)


async def _own(portal: Portal, client: Client, reference: str, *, events: bool) -> ObligationView:
    normal = read_reference(reference)
    if normal is None:
        raise InvalidRequest(VALIDATION_ERROR, [not_a_reference()])
    if portal.is_closed():  # the payment may have changed in the store that replaced this one
        raise Unavailable(STORE_CLOSED)
    view = await portal.ledger.obligation(client.name, normal, events=events)
    if view is None:
        raise NotFound(REFERENCE_NOT_FOUND)
    authorise(client, view.obligation.fee)
    return view
