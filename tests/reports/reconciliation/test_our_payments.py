"""Our side, read from the reports over a real ledger."""

import pytest

from bursar.payments.reversals import ReversalReport
from bursar.reports.reconciliation import our_payments
from bursar.reports.reconciliation.our_payments import PaymentRow, ReportedPayments, ReversalRow
from tests.support.reports.activity import DAY
from tests.support.reports.ledger_payments import Payments


async def test_payments_are_rows_with_days_in_new_york(payments: Payments) -> None:
    paid, unknown, failed = await payments.paid(), await payments.unknown(), await payments.failed()
    ours = ReportedPayments(payments.parts.reports)
    ended = [row async for rows in ours.ended_between(DAY, DAY) for row in rows]
    assert {row.agency_id for row in ended} == {paid.agency_tracking_id, failed.agency_tracking_id}
    assert next(row for row in ended if row.paygov_id) == PaymentRow(
        paid.agency_tracking_id, "P1", "dawson", paid.reference, 6000, "processed", False, DAY, DAY
    )
    live = [row async for rows in ours.live_between(DAY, DAY) for row in rows]
    assert [(row.agency_id, row.unknown, row.final_on) for row in live] == [(unknown.agency_tracking_id, True, None)]
    assert [row async for rows in ours.ended_between("2026-11-28", "2026-12-31") for row in rows] == []
    by_id = await ours.with_ids([unknown.agency_tracking_id, "absent"], ["P1"])
    assert {row.agency_id for row in by_id} == {unknown.agency_tracking_id, paid.agency_tracking_id}


async def test_recorded_reversals_have_their_kind_amount_and_day(payments: Payments) -> None:
    paid = await payments.paid("ACH")
    report = ReversalReport(
        "charged_back", paid.amount / 2, "operator", by="Ada", reason="x", effective_on="2026-12-01"
    )
    changed, _ = await payments.ledger.reversals.record(paid, report, actor="operator")
    changed, request = await payments.ledger.reversals.request_refund(changed, paid.amount / 4, by="Ada", reason="x")
    await payments.ledger.reversals.approve(changed, request.seq, by="Bob", reason="y")
    found = await ReportedPayments(payments.parts.reports).reversals([paid.agency_tracking_id, "absent"])
    assert sorted(found) == [
        ReversalRow(paid.agency_tracking_id, "charged_back", 3000, "2026-12-01"),
        ReversalRow(paid.agency_tracking_id, "refunded", 1500, None),
    ]


async def test_many_rows_are_read_in_parts_of_whole_days(payments: Payments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(our_payments, "ROWS_AT_ONCE", 3)
    for _ in range(2):
        for _ in range(2):
            await payments.paid()
        payments.wall.pass_s(86_400)
    ours = ReportedPayments(payments.parts.reports)
    assert [len(rows) async for rows in ours.ended_between(DAY, "2026-12-31")] == [2, 2]
