"""Each edge of the graph writes its fields and its event, and no other field of the attempt or value of the event.

The table has a row for every edge, so a new edge needs one. Imports have no attempt before them: test_imports.py.
"""

from collections.abc import Awaitable, Callable
from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest

from bursar.payments import Attempt, Ledger, Outcome
from bursar.payments.event_chain import event_hash
from bursar.payments.ledger.ledger import LEASE_RAN_OUT
from bursar.payments.records import event_to_item
from bursar.payments.reversals import ReversalReport
from bursar.payments.status import EDGES
from tests.support.payments.stage import REFERENCE, STARTED, TOKEN, Start, Wall

Step = Callable[[Ledger, Attempt], Awaitable[Attempt]]
DAY_S = 24 * 3600.0
PAST_S = 40.0
"""The time between the steps of an attempt: three are longer than a lease of 90 s."""
ON_CARD = Outcome("processed", "3FPAID", "Success", "PLASTIC_CARD", "0000", "approved")
BY_DEBIT = Outcome("pending", "3FPAID", "Received", "ACH", "0001", "accepted")
WAITING = Outcome("pending", "3FPAID", "Waiting", "ACH", "0003", "on its way")
SETTLED = Outcome("processed", "3FPAID", "Settled", "ACH", "0002", "credited")
BOUNCED = Outcome("failed", "3FPAID", "Retired", "ACH", "R01", "no funds")
CHARGEBACK = ReversalReport("charged_back", Decimal("20.00"), "operator", "Ada", "disputed", "4837", "2026-12-01")
ERASED_BEFORE = STARTED + 10 * DAY_S

# --- ways from one state to the next ---------------------------------------------------------------------------------


async def give_token(ledger: Ledger, attempt: Attempt) -> Attempt:
    return await ledger.record_token(attempt, TOKEN)


async def claim(ledger: Ledger, attempt: Attempt) -> Attempt:
    return await ledger.take_lease(attempt, "worker", 90)


async def release(ledger: Ledger, attempt: Attempt) -> Attempt:
    return await ledger.release_lease(attempt, "worker", "nothing was sent")


async def wait(ledger: Ledger, attempt: Attempt) -> Attempt:
    return attempt


async def take_over(ledger: Ledger, attempt: Attempt) -> Attempt:
    return await ledger.take_over_lease(attempt, "sweeper", 90)


async def doubt(ledger: Ledger, attempt: Attempt) -> Attempt:
    return await ledger.record_unknown(
        attempt, "timed out", actor="sweeper", repeat_used=True, return_code="4117", return_detail="used"
    )


async def put_in_doubt(ledger: Ledger, attempt: Attempt) -> Attempt:
    return await ledger.put_in_doubt(attempt, "the store went back", actor="portal")


def found(outcome: Outcome) -> Step:
    return lambda ledger, attempt: ledger.record_outcome(attempt, outcome, actor="sweeper")


def failed_by(event: Any) -> Step:
    return lambda ledger, attempt: ledger.fail(
        attempt, event=event, actor="portal", return_code="5009", return_detail="too late"
    )


def resolved(settled_as: Any) -> Step:
    return lambda ledger, attempt: ledger.resolve(
        attempt, settled_as=settled_as, by="Ada", reason="seen at Pay.gov", paygov_tracking_id="3FPAID"
    )


async def erase(ledger: Ledger, attempt: Attempt) -> Attempt:
    await ledger.erasure.erase("dawson", REFERENCE, ended_before=ERASED_BEFORE, by="Ada", reason="retention")
    return await ledger.reread(attempt)


async def give_back(ledger: Ledger, attempt: Attempt) -> Attempt:
    report = ReversalReport("returned", Decimal("60.00"), "paygov", reason_code="R01", effective_on="2026-12-01")
    return (await ledger.reversals.record(attempt, report, actor="sweeper", reopens=True))[0]


async def charge_back(ledger: Ledger, attempt: Attempt) -> Attempt:
    return (await ledger.reversals.record(attempt, CHARGEBACK, actor="operator", reopens=True))[0]


async def ask_refund(ledger: Ledger, attempt: Attempt) -> Attempt:
    return (await ledger.reversals.request_refund(attempt, Decimal("5.00"), by="Ada", reason="paid twice"))[0]


async def approve(ledger: Ledger, attempt: Attempt) -> Attempt:
    return (await ledger.reversals.approve(attempt, 1, by="Grace", reason="checked"))[0]


async def reject(ledger: Ledger, attempt: Attempt) -> Attempt:
    return (await ledger.reversals.reject(attempt, 1, by="Grace", reason="not so"))[0]


RECEIVED: tuple[Step, ...] = ()
INITIATED = (give_token,)
LEASED = (*INITIATED, claim)
UNKNOWN = (*LEASED, doubt)
PENDING = (*LEASED, found(BY_DEBIT))
PROCESSED = (*PENDING, found(SETTLED))
FAILED = (failed_by("start_failed"),)

RELEASED = (*LEASED, release)
TIMES = {"updated_at", "token_at", "lease_until", "due_at", "unsettled_since", "settled_at", "metadata_erased_at"}
"""The fields that are times: rows have them as seconds after the step."""


async def walk(ledger: Ledger, attempt: Attempt, steps: tuple[Step, ...], wall: Wall) -> Attempt:
    """Take ``steps`` one after the other, ``PAST_S`` apart."""
    for step in steps:
        attempt = await step(ledger, attempt)
        wall.pass_s(PAST_S)
    return attempt


def difference(before: Attempt, after: Attempt) -> dict[str, Any]:
    """Return field → value after, of each field that differs."""
    names = [each.name for each in fields(Attempt) if each.name != "stored_item"]
    return {name: getattr(after, name) for name in names if getattr(before, name) != getattr(after, name)}


TOO_LATE = {"return_code": "5009", "return_detail": "too late"}
CARD = {
    "paygov_tracking_id": "3FPAID",
    "payment_method": "PLASTIC_CARD",
    "transaction_status": "Success",
    "return_code": "0000",
    "return_detail": "approved",
}
PAID_BY_DEBIT = {"paygov_tracking_id": "3FPAID", "payment_method": "ACH"}
DEBIT = {**PAID_BY_DEBIT, "transaction_status": "Received", "return_code": "0001", "return_detail": "accepted"}
CREDITED = {"transaction_status": "Settled", "return_code": "0002", "return_detail": "credited"}
ON_ITS_WAY = {"transaction_status": "Waiting", "return_code": "0003", "return_detail": "on its way"}
NO_FUNDS = {"transaction_status": "Retired", "return_code": "R01", "return_detail": "no funds"}
NO_LEASE = {"lease_owner": None, "lease_until": None}
UNSURE = {"outcome_unknown": True}
CERTAIN = {"outcome_unknown": False, "unknown_reason": None, "unsettled_since": None}
SEEN_BY_ADA = {"by": "Ada", "paygov_tracking_id": "3FPAID", "reason": "seen at Pay.gov"}
RETENTION = {"by": "Ada", "reason": "retention"}
Row = tuple[tuple[str | None, str, str], tuple[Step, ...], Step, dict[str, Any], str, dict[str, Any]]
# An edge; the steps before it and the step; the fields that it changes besides status and version; actor and detail.
# fmt: off
ROWS: tuple[Row, ...] = (
    (("received", "token_given", "initiated"), RECEIVED, give_token,
     {"token": TOKEN, "token_at": 0}, "portal", {}),
    (("received", "start_failed", "failed"), RECEIVED, failed_by("start_failed"),
     {**TOO_LATE, "due_at": None}, "portal", TOO_LATE),
    (("received", "start_abandoned", "failed"), RECEIVED, failed_by("start_abandoned"),
     {**TOO_LATE, "due_at": None}, "portal", TOO_LATE),
    (("received", "outcome_unknown", "processing"), RECEIVED, put_in_doubt,
     {**UNSURE, "unknown_reason": "the store went back", "unsettled_since": 0, "due_at": 5},
     "portal", {"reason": "the store went back"}),
    (("initiated", "claimed", "processing"), INITIATED, claim,
     {"updated_at": 0, "lease_owner": "worker", "lease_until": 90, "due_at": 30}, "portal", {"owner": "worker"}),
    (("initiated", "outcome_unknown", "processing"), INITIATED, put_in_doubt,
     {"updated_at": 0, **UNSURE, "unknown_reason": "the store went back", "unsettled_since": 0, "due_at": 5},
     "portal", {"reason": "the store went back"}),
    (("initiated", "expired", "failed"), INITIATED, failed_by("expired"),
     {"updated_at": 0, **TOO_LATE, "due_at": None}, "portal", TOO_LATE),
    (("processing", "completed", "processed"), LEASED, found(ON_CARD),
     {"updated_at": 0, **CARD, **NO_LEASE, "due_at": None, "settled_at": 0}, "sweeper", CARD),
    (("processing", "completed", "processed"), UNKNOWN, found(ON_CARD),
     {"updated_at": 0, **CARD, **CERTAIN, "due_at": None, "settled_at": 0}, "sweeper", CARD),
    (("processing", "accepted", "pending"), LEASED, found(BY_DEBIT),
     {"updated_at": 0, **DEBIT, **NO_LEASE, "unsettled_since": 0, "due_at": 5}, "sweeper", DEBIT),
    (("processing", "accepted", "pending"), UNKNOWN, found(BY_DEBIT),
     {"updated_at": 0, **DEBIT, "outcome_unknown": False, "unknown_reason": None, "unsettled_since": 0, "due_at": 5},
     "sweeper", DEBIT),
    (("processing", "refused", "failed"), LEASED, found(BOUNCED),
     {"updated_at": 0, **PAID_BY_DEBIT, **NO_FUNDS, **NO_LEASE, "due_at": None},
     "sweeper", {**PAID_BY_DEBIT, **NO_FUNDS}),
    (("processing", "refused", "failed"), UNKNOWN, found(BOUNCED),
     {"updated_at": 0, **PAID_BY_DEBIT, **NO_FUNDS, **CERTAIN, "due_at": None},
     "sweeper", {**PAID_BY_DEBIT, **NO_FUNDS}),
    (("processing", "expired_unsent", "failed"), RELEASED, failed_by("expired_unsent"),
     {"updated_at": 0, **TOO_LATE, "due_at": None}, "portal", TOO_LATE),
    (("processing", "never_charged", "failed"), UNKNOWN, failed_by("never_charged"),
     {"updated_at": 0, **TOO_LATE, **CERTAIN, "due_at": None}, "portal", TOO_LATE),
    (("processing", "resolved_processed", "processed"), UNKNOWN, resolved("processed"),
     {"updated_at": 0, "paygov_tracking_id": "3FPAID", "return_code": None, "return_detail": "seen at Pay.gov",
      **CERTAIN, "due_at": DAY_S, "settled_at": 0},
     "operator", SEEN_BY_ADA),
    (("processing", "resolved_failed", "failed"), UNKNOWN, resolved("failed"),
     {"updated_at": 0, "paygov_tracking_id": "3FPAID", "return_detail": "seen at Pay.gov", **CERTAIN, "due_at": None},
     "operator", SEEN_BY_ADA),
    (("pending", "settled", "processed"), PENDING, found(SETTLED),
     {"updated_at": 0, **CREDITED, "unsettled_since": None, "due_at": DAY_S, "settled_at": 0},
     "sweeper", {**PAID_BY_DEBIT, **CREDITED}),
    (("pending", "bounced", "failed"), PENDING, found(BOUNCED),
     {"updated_at": 0, **NO_FUNDS, "unsettled_since": None, "due_at": None}, "sweeper", {**PAID_BY_DEBIT, **NO_FUNDS}),
    (("pending", "resolved_processed", "processed"), PENDING, resolved("processed"),
     {"updated_at": 0, "return_code": None, "return_detail": "seen at Pay.gov", "unsettled_since": None,
      "due_at": DAY_S, "settled_at": 0},
     "operator", SEEN_BY_ADA),
    (("pending", "resolved_failed", "failed"), PENDING, resolved("failed"),
     {"updated_at": 0, "return_detail": "seen at Pay.gov", "unsettled_since": None, "due_at": None},
     "operator", SEEN_BY_ADA),
    (("processing", "outcome_unknown", "processing"), LEASED, doubt,
     {"updated_at": 0, "return_code": "4117", "return_detail": "used", **NO_LEASE, **UNSURE,
      "unknown_reason": "timed out", "repeat_used": True, "unsettled_since": 0, "due_at": 5},
     "sweeper", {"reason": "timed out", "repeat_used": True, "return_code": "4117", "return_detail": "used"}),
    (("processing", "outcome_unknown", "processing"), UNKNOWN, put_in_doubt,
     {"updated_at": 0, "unknown_reason": "the store went back", "due_at": 5},
     "portal", {"reason": "the store went back", "repeat_used": True}),
    (("processing", "lease_taken_over", "processing"), UNKNOWN, take_over,
     {"updated_at": 0, "lease_owner": "sweeper", "lease_until": 90, "due_at": 30},
     "sweeper", {"owner": "sweeper", "reason": "timed out"}),
    (("processing", "lease_taken_over", "processing"), (*LEASED, wait, wait), take_over,
     {"updated_at": 0, "lease_owner": "sweeper", "lease_until": 90, **UNSURE, "unknown_reason": LEASE_RAN_OUT,
      "unsettled_since": 0, "due_at": 30},
     "sweeper", {"from": "worker", "owner": "sweeper", "reason": LEASE_RAN_OUT}),
    (("processing", "released", "processing"), LEASED, release,
     {"updated_at": 0, **NO_LEASE, "due_at": 10840}, "portal", {"reason": "nothing was sent"}),
    (("processing", "reclaimed", "processing"), RELEASED, claim,
     {"updated_at": 0, "lease_owner": "worker", "lease_until": 90, "due_at": 30}, "portal", {"owner": "worker"}),
    (("pending", "noted", "pending"), PENDING, found(WAITING),
     {"updated_at": 0, **ON_ITS_WAY, "due_at": 120}, "sweeper", {**PAID_BY_DEBIT, **ON_ITS_WAY}),
    (("processed", "metadata_erased", "processed"), PROCESSED, erase,
     {"metadata": {}, "metadata_erased_at": 0}, "operator", RETENTION),
    (("failed", "metadata_erased", "failed"), FAILED, erase,
     {"metadata": {}, "metadata_erased_at": 0}, "operator", RETENTION),
    (("processed", "returned", "processed"), PROCESSED, give_back,
     {"due_at": None, "reversed_amount": Decimal("60.00"), "reopened": True},
     "sweeper", {"effective_on": "2026-12-01", "reason_code": "R01", "reversal": 1, "reversal_amount": "60.00",
      "reversed_amount": "60.00", "source": "paygov"}),
    (("processed", "charged_back", "processed"), PROCESSED, charge_back,
     {"reversed_amount": Decimal("20.00")},
     "operator", {"by": "Ada", "effective_on": "2026-12-01", "reason": "disputed", "reason_code": "4837",
      "reversal": 1, "reversal_amount": "20.00", "reversed_amount": "20.00", "source": "operator"}),
    (("processed", "refund_requested", "processed"), PROCESSED, ask_refund,
     {}, "operator", {"by": "Ada", "reason": "paid twice", "refund": 1, "refund_amount": "5.00"}),
    (("processed", "refund_approved", "processed"), (*PROCESSED, ask_refund), approve,
     {"reversed_amount": Decimal("5.00")},
     "operator", {"by": "Grace", "reason": "checked", "refund": 1, "reversal": 1, "reversal_amount": "5.00",
      "reversed_amount": "5.00", "source": "operator"}),
    (("processed", "refund_approved", "processed"), (*PROCESSED, charge_back, ask_refund), approve,
     {"reversed_amount": Decimal("25.00")},
     "operator", {"by": "Grace", "reason": "checked", "refund": 1, "reversal": 2, "reversal_amount": "5.00",
      "reversed_amount": "25.00", "source": "operator"}),
    (("processed", "refund_rejected", "processed"), (*PROCESSED, ask_refund), reject,
     {}, "operator", {"by": "Grace", "reason": "not so", "refund": 1, "refund_amount": "5.00"}),
)
# fmt: on


@pytest.mark.parametrize(("step", "before", "take", "changed", "actor", "detail"), ROWS, ids=[r[0][1] for r in ROWS])
async def test_a_step_changes_its_fields_and_writes_its_event(
    ledger: Ledger,
    start: Start,
    wall: Wall,
    step: tuple[str | None, str, str],
    before: tuple[Step, ...],
    take: Step,
    changed: dict[str, Any],
    actor: str,
    detail: dict[str, Any],
) -> None:
    attempt = await walk(ledger, await start(), before, wall)
    after = await take(ledger, attempt)
    view = await ledger.obligation(attempt.client, attempt.reference)
    assert view is not None
    event = view.events[-1]
    known: dict[str, Any] = {"status": after.status, "version": attempt.version + 1, "event_seq": attempt.event_seq + 1}
    known["event_hash"] = event_hash(event_to_item(event))
    times = {name: wall.now + value for name, value in changed.items() if name in TIMES and value is not None}
    same = {"status"} if attempt.status == after.status else set()
    assert difference(attempt, after) == {n: v for n, v in (known | changed | times).items() if n not in same}
    assert (event.from_status, event.name, event.to_status) == step
    assert (event.actor, event.at, event.seq, event.detail) == (actor, wall.now, after.event_seq, detail)
    assert event.previous_hash == attempt.event_hash
    assert view.attempts == (after,)


def test_every_edge_has_a_row() -> None:
    edges = {(each.source, each.event, each.target) for each in EDGES if each.source is not None}
    assert {row[0] for row in ROWS} == edges
