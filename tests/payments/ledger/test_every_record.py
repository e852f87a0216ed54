"""Each record beside an attempt has the value of each of its fields, and is read as it was written."""

from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest

from bursar.payments import Attempt, Ledger, Outcome, OutcomeContradicts
from bursar.payments.deposits import Deposit, DepositReport
from bursar.payments.ledger.contradictions import Contradiction
from bursar.payments.ledger.store_records.reconciliations import ReconciledFile, ReconciliationRun, SignOff
from bursar.payments.reversals import RefundRequest, Reversal, ReversalReport
from tests.support.payments.stage import REFERENCE, Start, Wall, settled

FULL = Decimal("60.00")


async def later_settled(ledger: Ledger, start: Start, wall: Wall) -> Attempt:
    """Return a settled attempt whose times of creation and of change differ from each other and from now."""
    attempt = await start()
    wall.pass_s(60)
    attempt = await ledger.record_token(attempt, "t" * 32)
    attempt = await ledger.take_lease(attempt, "worker", 30)
    outcome = Outcome("processed", "3FPAID", "Success", "ACH")
    attempt = await ledger.record_outcome(attempt, outcome, actor="portal")
    wall.pass_s(60)
    return attempt


async def test_a_deposit(ledger: Ledger, start: Start, wall: Wall) -> None:
    attempt = await later_settled(ledger, start, wall)
    expected = Deposit(
        client="dawson",
        reference=REFERENCE,
        agency_tracking_id=attempt.agency_tracking_id,
        attempt_created_at=wall.now - 120,
        ticket="000123",
        deposited_on="2026-11-24",
        amount=FULL,
        at=wall.now,
        source="activity_file",
        by="Ada",
    )
    report = DepositReport("000123", "2026-11-24", "activity_file", "Ada")
    assert await ledger.deposits.record(attempt, report) == expected
    assert await ledger.deposits.of(attempt) == expected


async def test_a_reversal(ledger: Ledger, start: Start, wall: Wall) -> None:
    attempt = await later_settled(ledger, start, wall)
    report = ReversalReport(
        kind="charged_back",
        amount=Decimal("20.00"),
        source="activity_file",
        by="Ada",
        reason="disputed",
        reason_code="4837",
        effective_on="2026-12-01",
        deposit_ticket="ticket",
        debit_voucher="voucher",
        report_id="case 1",
    )
    expected = Reversal(
        client="dawson",
        reference=REFERENCE,
        agency_tracking_id=attempt.agency_tracking_id,
        attempt_created_at=wall.now - 120,
        seq=1,
        reversal_id=f"{attempt.agency_tracking_id}#charged_back#activity_file#case 1",
        kind="charged_back",
        amount=Decimal("20.00"),
        at=wall.now,
        source="activity_file",
        by="Ada",
        reason="disputed",
        reason_code="4837",
        effective_on="2026-12-01",
        deposit_ticket="ticket",
        debit_voucher="voucher",
    )
    assert (await ledger.reversals.record(attempt, report, actor="operator"))[1] == expected
    assert await ledger.reversals.of(attempt) == [expected]


async def test_a_reported_refund_and_its_approval(ledger: Ledger, start: Start, wall: Wall) -> None:
    attempt = await later_settled(ledger, start, wall)
    report = ReversalReport(
        "refunded", Decimal("20.00"), "activity_file", "Ada", "the file", "RF1", "2026-12-01", "ticket", "voucher"
    )
    identity: dict[str, Any] = {
        "client": "dawson",
        "reference": REFERENCE,
        "agency_tracking_id": attempt.agency_tracking_id,
        "attempt_created_at": wall.now - 120,
    }
    codes: dict[str, Any] = {
        "reason_code": "RF1",
        "effective_on": "2026-12-01",
        "deposit_ticket": "ticket",
        "debit_voucher": "voucher",
    }
    request = RefundRequest(
        **identity,
        seq=1,
        amount=Decimal("20.00"),
        reason="the file",
        requested_by="Ada",
        requested_at=wall.now,
        source="activity_file",
        **codes,
    )
    attempt, found = await ledger.reversals.request_reported_refund(attempt, report)
    assert found == request
    assert await ledger.open_refunds(10) == [request]
    wall.pass_s(60)
    assert (await ledger.reversals.approve(attempt, 1, by="Grace", reason="checked"))[1] == Reversal(
        **identity,
        seq=1,
        reversal_id=f"{attempt.agency_tracking_id}#refunded#activity_file#1",
        kind="refunded",
        amount=Decimal("20.00"),
        at=wall.now,
        source="activity_file",
        by="Grace",
        reason="the file",
        requested_by="Ada",
        approved_by="Grace",
        **codes,
    )


async def test_a_rejected_refund(ledger: Ledger, start: Start, wall: Wall) -> None:
    attempt = await later_settled(ledger, start, wall)
    attempt, asked = await ledger.reversals.request_refund(attempt, Decimal("20.00"), by="Ada", reason="paid twice")
    wall.pass_s(60)
    _, rejected = await ledger.reversals.reject(attempt, 1, by="Grace", reason="not so")
    changed = {each.name for each in fields(asked) if getattr(asked, each.name) != getattr(rejected, each.name)}
    assert changed == {"status", "rejected_by", "decided_at", "decision_reason"}
    assert (rejected.status, rejected.rejected_by, rejected.decision_reason) == ("rejected", "Grace", "not so")
    assert (asked.requested_at, rejected.decided_at) == (wall.now - 60, wall.now)


async def test_a_contradiction_and_its_acknowledgement(ledger: Ledger, start: Start, wall: Wall) -> None:
    attempt = await settled(ledger, start)
    wall.pass_s(60)
    with pytest.raises(OutcomeContradicts):
        await ledger.record_outcome(attempt, Outcome("failed", "3FPAID", "Failed", "ACH"), actor="sweeper")
    expected = Contradiction(
        agency_tracking_id=attempt.agency_tracking_id,
        client="dawson",
        reference=REFERENCE,
        recorded_status="processed",
        recorded_paygov_id="3FPAID",
        reported_status="failed",
        reported_paygov_id="3FPAID",
        reported_transaction_status="Failed",
        created_at=wall.now,
    )
    assert await ledger.contradictions.of(attempt.agency_tracking_id) == [expected]
    assert expected.summary == "Pay.gov says failed as 3FPAID, recorded is processed as 3FPAID"
    wall.pass_s(60)
    await ledger.contradictions.acknowledge(attempt.agency_tracking_id, by="Ada", reason="seen")
    [known] = await ledger.contradictions.of(attempt.agency_tracking_id)
    assert (known.acknowledged_by, known.acknowledged_reason, known.acknowledged_at) == ("Ada", "seen", wall.now)


async def test_a_reconciliation_and_its_sign_off(ledger: Ledger, wall: Wall) -> None:
    records = ledger.reconciliations
    run = ReconciliationRun(
        run_id=records.new_id(),
        at=wall.now,
        by="Ada",
        files=(ReconciledFile("a.csv", "sha", 10, 2, 6000, "broken"),),
        totals={"matched": (2, 6000), "missing": (1, 100)},
        differences=7,
        kept=5,
        first_day="2026-11-20",
        last_day="2026-11-22",
        checked_missing=True,
        applied={"deposits": 3},
    )
    await records.keep(run, [])
    assert await records.runs() == [(run, None)]
    wall.pass_s(60)
    await records.sign_off(run.run_id, by="Grace", reason="settled")
    assert await records.runs() == [(run, SignOff(run.run_id, "Grace", "settled", wall.now))]
