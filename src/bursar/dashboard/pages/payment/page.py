"""The page of one payment: its obligation, attempts, reversals, net amount, and history with its chain checked."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from starlette.responses import Response

from bursar.dashboard.formatting import zoned_time_text
from bursar.dashboard.pages.payment.actions import ACTIONS, REFUNDS_READ_MAX, offered_actions
from bursar.dashboard.pages.payment.evidence import contradictions_of, needs_person
from bursar.dashboard.pages.reports.reports import asked_as_of
from bursar.dashboard.queries.as_of import AS_OF, PRESENT, AsOf
from bursar.dashboard.queries.past_payment import open_refunds_of, view_at
from bursar.dashboard.visit import PageError, Visit
from bursar.payments.audit.chain_check import ChainFinding, check_obligation
from bursar.payments.obligation_view import ObligationView
from bursar.payments.records import ZERO, Attempt
from bursar.payments.reversals import RefundRequest
from bursar.payments.status import STATUSES, edges_from, moves, payment_status
from bursar.portal.contract.periods import court_day
from bursar.portal.contract.validation import read_reference

BOX_WIDTH: Final = 118
BOX_HEIGHT: Final = 36
DIAGRAM_WIDTH: Final = 700
DIAGRAM_HEIGHT: Final = 190
_PLACES: Final = {
    "received": (0, 20),
    "initiated": (160, 20),
    "processing": (320, 20),
    "processed": (560, 20),
    "pending": (440, 90),
    "failed": (240, 150),
}
"""Status → the upper left corner of its box in the diagram."""


@dataclass(frozen=True, slots=True)
class Line:
    """An arrow of the state diagram, in the units of its drawing."""

    x1: int
    y1: int
    x2: int
    y2: int
    is_next: bool


@dataclass(frozen=True, slots=True)
class PaymentOnPage:
    """A payment as its page shows it."""

    view: ObligationView
    status: str
    net: Decimal
    collected: Decimal
    reversed: Decimal
    findings: list[ChainFinding]
    events_checked: int
    refunds: list[RefundRequest]

    @property
    def client(self) -> str:
        """The client that the payment belongs to."""
        return self.view.obligation.client

    @property
    def reference(self) -> str:
        """The client's name for what is owed."""
        return self.view.obligation.reference

    @property
    def latest(self) -> Attempt:
        """The newest attempt."""
        return self.view.attempts[-1]


async def show_payment(visit: Visit) -> Response:
    """Show the payment, now or as of a past instant, with its personal data masked."""
    payment = await read_payment(visit)
    as_of, problem = asked_as_of(visit, visit.request.query_params.get(AS_OF, ""))
    if as_of.instant is not None:
        payment = _at(visit, payment, as_of.instant)
    await visit.log("viewed", visit.request.url.path, **dict(as_of.query))
    return await payment_page(visit, payment, as_of=as_of, problem=problem)


async def show_personal_data(visit: Visit) -> Response:
    """Show the payment with its personal data. Each time is an entry of the access log."""
    payment = await read_payment(visit)
    await visit.log("showed_personal_data", visit.path("payment", client=payment.client, reference=payment.reference))
    return await payment_page(visit, payment, with_personal_data=True)


async def read_payment(visit: Visit) -> PaymentOnPage:
    """Return the payment of the URL. Raises :class:`PageError` if there is none, or the person may not see it."""
    ledger = visit.parts.ledger
    client = visit.request.path_params["client"]
    reference = read_reference(visit.request.path_params["reference"])
    view = None if reference is None else await ledger.obligation(client, reference)
    if view is None or not view.attempts or not visit.account.may_see(client, view.obligation.fee):
        raise PageError(404, "errors.no_payment")
    items = await ledger.items_of(client, view.obligation.reference)
    findings, counts = check_obligation(items, await ledger.change_shards.counts())
    ids = {attempt.agency_tracking_id for attempt in view.attempts}
    refunds = [each for each in await ledger.open_refunds(REFUNDS_READ_MAX) if each.agency_tracking_id in ids]
    return _on_page(view, findings, counts.events - counts.unchained, refunds)


def _at(visit: Visit, payment: PaymentOnPage, instant: float) -> PaymentOnPage:
    """Return the payment at an instant, with the check of its present chain. Raises :class:`PageError`."""
    view = view_at(payment.view, instant)
    if view is None:
        raise PageError(404, "errors.no_payment_then", time=zoned_time_text(visit.text, instant))
    return _on_page(view, payment.findings, payment.events_checked, open_refunds_of(view))


def _on_page(
    view: ObligationView, findings: list[ChainFinding], events_checked: int, refunds: list[RefundRequest]
) -> PaymentOnPage:
    collected = sum((each.amount for each in view.attempts if each.status == "processed"), ZERO)
    reversed_ = sum((each.reversed_amount or ZERO for each in view.attempts), ZERO)
    return PaymentOnPage(
        view,
        payment_status(attempt.status for attempt in view.attempts),
        collected - reversed_,
        collected,
        reversed_,
        findings,
        events_checked,
        refunds,
    )


async def payment_page(
    visit: Visit,
    payment: PaymentOnPage,
    *,
    with_personal_data: bool = False,
    as_of: AsOf = PRESENT,
    problem: str = "",
) -> Response:
    """Return the page of a payment. A past state offers no actions. ``problem``: an error in the requested instant."""
    latest, attempts = payment.latest, payment.view.attempts
    fee = visit.parts.fees.fee(latest.fee, visit.parts.clock())
    properties = {} if fee is None else fee.metadata_schema.get("properties", {})
    metadata = {
        str(properties.get(name, {}).get("title", name)): value
        for name, value in payment.view.obligation.metadata.items()
    }
    return visit.page(
        "payment.html",
        http_status=400 if problem else 200,
        as_of=as_of,
        problem=problem,
        today=court_day(visit.parts.clock()),
        payment=payment,
        view=payment.view,
        latest=latest,
        metadata=metadata,
        with_personal_data=with_personal_data,
        boxes=[(status, *_PLACES[status]) for status in STATUSES],
        lines=[_line(source, target, latest.status) for source, target in moves()],
        diagram=(DIAGRAM_WIDTH, DIAGRAM_HEIGHT, BOX_WIDTH, BOX_HEIGHT),
        next_edges=list({edge.event: edge for edge in edges_from(latest.status)}.values()),
        contradictions=await contradictions_of(visit, attempts, as_of.instant),
        needs_person={} if as_of.text else needs_person(visit, attempts),
        names={"client": payment.client, "reference": payment.reference},
        actions={
            each.agency_tracking_id: await offered_actions(visit, each, len(payment.refunds))
            for each in attempts
            if as_of.instant is None
        },
        done=done if (done := visit.request.query_params.get("done", "")) in ACTIONS else "",
        section="transactions",
    )


def _line(source: str, target: str, current: str) -> Line:
    """Return the arrow between two boxes, from edge to edge."""
    (x1, y1), (x2, y2) = _PLACES[source], _PLACES[target]
    if y1 == y2:
        return Line(x1 + BOX_WIDTH, y1 + BOX_HEIGHT // 2, x2, y2 + BOX_HEIGHT // 2, source == current)
    middle1, middle2 = x1 + BOX_WIDTH // 2, x2 + BOX_WIDTH // 2
    if y1 < y2:
        return Line(middle1, y1 + BOX_HEIGHT, middle2, y2, source == current)
    return Line(middle1, y1, middle2, y2 + BOX_HEIGHT, source == current)
