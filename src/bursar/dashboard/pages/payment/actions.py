"""The actions of people on an attempt: refresh, resolve, acknowledge, record money that went back, and refunds.

    page of the payment ─► confirmation, which states the consequence ─► the use case ─► page of the payment

Each action runs the portal's use case with the name of the person, so the history is the same as after a command. A
refund needs two people: one requests it and another one decides.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from starlette.responses import Response

from bursar.dashboard.pages.payment.evidence import contradictions_of
from bursar.dashboard.queries.url_reader import read_dollars
from bursar.dashboard.site import PageHandler
from bursar.dashboard.text.reason_codes import REVERSAL_CODES, codes_of
from bursar.dashboard.visit import PageError, Visit
from bursar.payments.records import ZERO, Attempt
from bursar.payments.reversals import CHARGED_BACK, RETURNED, ReversalReport
from bursar.payments.status import FAILED, PENDING, PROCESSED, PROCESSING
from bursar.portal.contract.error_catalogue import VALIDATION_ERROR
from bursar.portal.contract.errors import InvalidRequest, PortalError
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.attention import acknowledge, known_attempt, resolve
from bursar.portal.upkeep.reversals import (
    approve_refund,
    ask_about_return,
    reject_refund,
    request_refund,
    reverse,
)
from bursar.portal.use_cases.resolution import needs_lookup, refresh

ACH: Final = "ACH"
REFUNDS_READ_MAX: Final = 1_000

Perform = Callable[[Visit, Portal, Attempt], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PaymentAction:
    """One action. ``fields``: the inputs of its confirmation, beside the reason."""

    name: str
    perform: Perform
    fields: tuple[str, ...] = ()
    needs_reason: bool = True


@dataclass(frozen=True, slots=True)
class OfferedAction:
    """An action that a person may take now: the names of its route and of its texts, and its path."""

    name: str
    path: str


async def _refresh(visit: Visit, portal: Portal, attempt: Attempt) -> None:
    if attempt.status == PROCESSED:
        await portal.finish(ask_about_return(portal, attempt, actor="sweeper"))
    else:
        await portal.finish(refresh(portal, attempt, actor="portal", may_complete=False))


async def _resolve(visit: Visit, portal: Portal, attempt: Attempt) -> None:
    settled_as = visit.field("settled_as")
    if settled_as not in (PROCESSED, FAILED):
        raise _invalid(visit, "settled_as")
    await resolve(
        portal,
        attempt.agency_tracking_id,
        settled_as="processed" if settled_as == PROCESSED else "failed",
        by=visit.account.name,
        reason=visit.field("reason"),
        paygov_tracking_id=visit.field("paygov_tracking_id") or None,
    )


async def _acknowledge(visit: Visit, portal: Portal, attempt: Attempt) -> None:
    await acknowledge(portal, attempt.agency_tracking_id, by=visit.account.name, reason=visit.field("reason"))


async def _record_reversal(visit: Visit, portal: Portal, attempt: Attempt) -> None:
    kind = visit.field("kind")
    if kind not in (RETURNED, CHARGED_BACK):
        raise _invalid(visit, "kind")
    report = ReversalReport(
        RETURNED if kind == RETURNED else CHARGED_BACK,
        _amount(visit),
        "operator",
        by=visit.account.name,
        reason=visit.field("reason"),
        reason_code=visit.field("reason_code") or None,
        effective_on=visit.field("effective_on") or None,
    )
    await reverse(portal, attempt.agency_tracking_id, report)


async def _request_refund(visit: Visit, portal: Portal, attempt: Attempt) -> None:
    await request_refund(
        portal, attempt.agency_tracking_id, _amount(visit), by=visit.account.name, reason=visit.field("reason")
    )


async def _approve_refund(visit: Visit, portal: Portal, attempt: Attempt) -> None:
    await approve_refund(portal, _request_id(visit, attempt), by=visit.account.name, reason=visit.field("reason"))


async def _reject_refund(visit: Visit, portal: Portal, attempt: Attempt) -> None:
    await reject_refund(portal, _request_id(visit, attempt), by=visit.account.name, reason=visit.field("reason"))


ACTIONS: Final[Mapping[str, PaymentAction]] = {
    each.name: each
    for each in (
        PaymentAction("refresh", _refresh, needs_reason=False),
        PaymentAction("resolve", _resolve, ("settled_as", "paygov_tracking_id")),
        PaymentAction("acknowledge", _acknowledge),
        PaymentAction("record_reversal", _record_reversal, ("kind", "amount", "reason_code", "effective_on")),
        PaymentAction("request_refund", _request_refund, ("amount",)),
        PaymentAction("approve_refund", _approve_refund),
        PaymentAction("reject_refund", _reject_refund),
    )
}
"""Name of an action → the action. The route table has ``confirm_<name>`` and ``send_<name>``."""


def confirm(name: str) -> PageHandler:
    """Return the page that states the consequence of an action and asks for its inputs."""

    async def show(visit: Visit) -> Response:
        _, attempt = await _attempt(visit)
        return await _confirmation(visit, ACTIONS[name], attempt, None)

    return show


def send(name: str) -> PageHandler:
    """Return the handler that runs an action and redirects to the payment; a refusal is shown on the form."""

    async def act(visit: Visit) -> Response:
        portal, attempt = await _attempt(visit)
        action = ACTIONS[name]
        try:
            await action.perform(visit, portal, attempt)
        except PortalError as error:
            return await _confirmation(visit, action, attempt, error)
        facts = {field: visit.field(field) for field in (*action.fields, "reason") if visit.field(field)}
        await visit.log("changed", attempt.agency_tracking_id, change=name, **facts)
        done = [("done", name)]
        return visit.redirect(visit.path("payment", done, client=attempt.client, reference=attempt.reference))

    return act


async def offered_actions(visit: Visit, attempt: Attempt, open_requests: int) -> list[OfferedAction]:
    """Return the actions that the person may run on an attempt in its present state."""
    portal = visit.parts.portal
    if portal is None:
        return []
    left = attempt.status == PROCESSED and attempt.net_amount > ZERO
    contradicted = visit.may("confirm_acknowledge") and any(
        each.acknowledged_at is None for each in await portal.ledger.contradictions.of(attempt.agency_tracking_id)
    )
    possible = {
        "refresh": needs_lookup(portal, attempt) or (attempt.status == PROCESSED and attempt.payment_method == ACH),
        "resolve": attempt.status in (PROCESSING, PENDING) and not attempt.leased(portal.clock()),
        "acknowledge": contradicted,
        "record_reversal": left,
        "request_refund": left and not open_requests,
    }
    return [
        OfferedAction(name, visit.path(f"confirm_{name}", attempt=attempt.agency_tracking_id))
        for name, may in possible.items()
        if may and visit.may(f"confirm_{name}")
    ]


async def _confirmation(visit: Visit, action: PaymentAction, attempt: Attempt, refusal: PortalError | None) -> Response:
    number = visit.request.path_params.get("number", "")
    refunds = await visit.parts.ledger.open_refunds(REFUNDS_READ_MAX) if number else []
    asked = [
        each for each in refunds if (each.agency_tracking_id, str(each.seq)) == (attempt.agency_tracking_id, number)
    ]
    contradictions = await contradictions_of(visit, [attempt]) if action.name == "acknowledge" else []
    return visit.page(
        "confirm_action.html",
        http_status=refusal.status if refusal else 200,
        action=action,
        attempt=attempt,
        number=number,
        refund=asked[0] if asked else None,
        contradictions=[each for each in contradictions if each.acknowledged_at is None],
        refusal=refusal.message if refusal else "",
        target=visit.path(f"send_{action.name}", attempt=attempt.agency_tracking_id, number=number),
        left=attempt.net_amount,
        reason_codes=codes_of(REVERSAL_CODES, visit.text.language),
        section="transactions",
    )


async def _attempt(visit: Visit) -> tuple[Portal, Attempt]:
    """Return the portal and the attempt of the URL. Raises :class:`PageError` if the person may not see it."""
    portal = visit.parts.portal
    assert portal is not None, "the route needs a portal"
    attempt = await known_attempt(portal, visit.request.path_params["attempt"])
    if not visit.account.may_see(attempt.client, attempt.fee):
        raise PageError(404, "errors.no_payment")
    return portal, attempt


def _request_id(visit: Visit, attempt: Attempt) -> str:
    return f"{attempt.agency_tracking_id}/{visit.request.path_params['number']}"


def _amount(visit: Visit) -> Decimal:
    amount = read_dollars(visit.field("amount"))
    if not amount:
        raise _invalid(visit, "amount")
    return amount


def _invalid(visit: Visit, field: str) -> InvalidRequest:
    problem: Any = visit.text(f"actions.problems.{field}", value=visit.field(field))
    return InvalidRequest(VALIDATION_ERROR.saying(problem))
