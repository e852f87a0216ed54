"""GET /details/{transactionReferenceId} and …/events: how a payment stands, asked of Pay.gov where only it knows."""

from typing import Any, Final

from bursar.payments.clients import Client
from bursar.payments.records import ObligationView
from bursar.portal.contract.authorisation import authorise
from bursar.portal.contract.errors import NotFound
from bursar.portal.contract.validation import read_reference
from bursar.portal.contract.views import history_summary, payment_summary
from bursar.portal.use_cases.portal import Portal
from bursar.portal.use_cases.resolution import refresh, wants_asking

REFERENCE_NOT_FOUND: Final = "Transaction Reference Id was not found"


async def details(portal: Portal, client: Client, reference: str) -> dict[str, Any]:
    """The payment ``reference`` of ``client``: ``{"paymentStatus", "transactions"}``, with ``"stale": true`` when
    Pay.gov could not be asked about an attempt that only it can tell of.

    Raises:
        NotFound: not a UUID v4, or this client has no such reference.
        Forbidden: the client may not charge the payment's fee.
    """
    view = await _own(portal, client, reference, events=False)
    attempt = view.blocking
    if attempt is None or not wants_asking(attempt, portal.clock()):
        return payment_summary(view.attempts)
    found = await refresh(portal, attempt, actor="portal", may_complete=False)
    attempts = [
        found.attempt if each.agency_tracking_id == attempt.agency_tracking_id else each for each in view.attempts
    ]
    return payment_summary(attempts, stale=not found.heard)


async def events(portal: Portal, client: Client, reference: str) -> dict[str, Any]:
    """Every event of every attempt at ``reference``, oldest first. Raises as :func:`details`."""
    return history_summary(await _own(portal, client, reference, events=True))


async def _own(portal: Portal, client: Client, reference: str, *, events: bool) -> ObligationView:
    normal = read_reference(reference)
    view = None if normal is None else await portal.ledger.obligation(client.name, normal, events=events)
    if view is None:
        raise NotFound(REFERENCE_NOT_FOUND)
    authorise(client, view.obligation.fee)
    return view
