"""One way to each kind of event: an attempt whose last event has that name.

A kind of event that is added to payments/status.py needs a line in :data:`WAYS`; the tests of the webhooks fail without
one.
"""

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Final

from bursar.payments import Attempt, Outcome
from bursar.payments.ledger.imports import ImportRecord
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.reversals import CHARGED_BACK, RETURNED, ReversalReport
from bursar.payments.status import EventName
from tests.support.portal.stage import Stage

ONE, OTHER = "A. Clerk", "B. Clerk"
REASON: Final = "read in the report"
LEASE_S: Final = 30.0
ACCEPTED: Final = Outcome("pending", "P1", "Received", "ACH")
SETTLED: Final = Outcome("processed", "P1", "Settled", "ACH")

Way = Callable[[Stage], Awaitable[Attempt]]


async def received(stage: Stage) -> Attempt:
    request = stage.request()
    return await stage.ledger.start_attempt(
        "dawson",
        request.reference,
        request.fee,
        request.amount,
        request.metadata,
        request.url_success,
        request.url_cancel,
    )


async def initiated(stage: Stage) -> Attempt:
    return await stage.ledger.record_token(await received(stage), "t" * 32)


async def claimed(stage: Stage) -> Attempt:
    return await stage.ledger.take_lease(await initiated(stage), "one", LEASE_S)


async def released(stage: Stage) -> Attempt:
    return await stage.ledger.release_lease(await claimed(stage), "one", "nothing was sent")


async def reclaimed(stage: Stage) -> Attempt:
    return await stage.ledger.take_lease(await released(stage), "two", LEASE_S)


async def unknown(stage: Stage) -> Attempt:
    return await stage.ledger.record_unknown(await claimed(stage), "the reply was lost")


async def taken_over(stage: Stage) -> Attempt:
    return await stage.ledger.take_over_lease(await unknown(stage), "two", LEASE_S)


async def accepted(stage: Stage) -> Attempt:
    return await stage.ledger.record_outcome(await claimed(stage), ACCEPTED, actor="portal")


async def settled(stage: Stage) -> Attempt:
    return await stage.ledger.record_outcome(await accepted(stage), SETTLED, actor="sweeper")


async def refund_requested(stage: Stage) -> Attempt:
    paid = await settled(stage)
    requested, _ = await stage.ledger.reversals.request_refund(paid, Decimal("10.00"), by=ONE, reason=REASON)
    return requested


async def refund_approved(stage: Stage) -> Attempt:
    requested = await refund_requested(stage)
    approved, _ = await stage.ledger.reversals.approve(requested, 1, by=OTHER, reason=REASON)
    return approved


async def refund_rejected(stage: Stage) -> Attempt:
    requested = await refund_requested(stage)
    rejected, _ = await stage.ledger.reversals.reject(requested, 1, by=OTHER, reason=REASON)
    return rejected


async def metadata_erased(stage: Stage) -> Attempt:
    paid = await settled(stage)
    later = stage.loop.clock() + 1
    await stage.ledger.erasure.erase(paid.client, paid.reference, ended_before=later, by=ONE, reason=REASON)
    return await stage.ledger.reread(paid)


async def imported(stage: Stage) -> Attempt:
    request, now = stage.request(), stage.loop.clock()
    record = ImportRecord(
        agency_tracking_id="old-1",
        client="dawson",
        reference=request.reference,
        fee=request.fee,
        amount=request.amount,
        metadata=request.metadata,
        status="processed",
        created_at=now - 3600,
        updated_at=now - 60,
        paygov_tracking_id="P1",
        payment_method="PLASTIC_CARD",
    )
    attempt, _ = await stage.ledger.imports.record(record, by=ONE, source="old.csv:2")
    return attempt


def _failed(way: Way, event: EventName) -> Way:
    async def fail(stage: Stage) -> Attempt:
        attempt = await way(stage)
        actor: Final = "portal" if event == "start_failed" else "sweeper"
        return await stage.ledger.fail(attempt, event=event, actor=actor, return_code="1", return_detail="no")

    return fail


def _said(way: Way, outcome: Outcome) -> Way:
    async def record(stage: Stage) -> Attempt:
        return await stage.ledger.record_outcome(await way(stage), outcome, actor="portal")

    return record


def _resolved(settled_as: str) -> Way:
    async def resolve(stage: Stage) -> Attempt:
        attempt, ledger = await unknown(stage), stage.ledger
        if settled_as == "processed":
            return await ledger.resolve(attempt, settled_as="processed", by=ONE, reason=REASON)
        return await ledger.resolve(attempt, settled_as="failed", by=ONE, reason=REASON)

    return resolve


def _reversed(report: ReversalReport) -> Way:
    async def reverse(stage: Stage) -> Attempt:
        ledger: Ledger = stage.ledger
        changed, _ = await ledger.reversals.record(await settled(stage), report, actor="operator")
        return changed

    return reverse


WAYS: Final[Mapping[EventName, Way]] = {
    "imported": imported,
    "started": received,
    "token_given": initiated,
    "start_failed": _failed(received, "start_failed"),
    "start_abandoned": _failed(received, "start_abandoned"),
    "claimed": claimed,
    "reclaimed": reclaimed,
    "released": released,
    "lease_taken_over": taken_over,
    "outcome_unknown": unknown,
    "completed": _said(claimed, Outcome("processed", "P1", "Success", "PLASTIC_CARD")),
    "accepted": accepted,
    "refused": _said(claimed, Outcome("failed", return_code="3001", return_detail="Declined")),
    "expired": _failed(initiated, "expired"),
    "expired_unsent": _failed(released, "expired_unsent"),
    "never_charged": _failed(unknown, "never_charged"),
    "settled": settled,
    "bounced": _said(accepted, Outcome("failed", "P1", "Failed", "ACH")),
    "noted": _said(accepted, Outcome("pending", "P1", "Submitted", "ACH")),
    "resolved_processed": _resolved("processed"),
    "resolved_failed": _resolved("failed"),
    "metadata_erased": metadata_erased,
    "returned": _reversed(ReversalReport(RETURNED, Decimal("60.00"), "activity_file")),
    "charged_back": _reversed(ReversalReport(CHARGED_BACK, Decimal("25.00"), "operator", by=ONE, reason=REASON)),
    "refund_requested": refund_requested,
    "refund_approved": refund_approved,
    "refund_rejected": refund_rejected,
}
