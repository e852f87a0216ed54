"""--apply records what a file proves, once, within the rules, and leaves everything else to a person."""

from decimal import Decimal
from pathlib import Path

import pytest

from bursar.payments.deposits import DepositReport
from bursar.payments.records import Attempt
from bursar.payments.reversals import ReversalReport
from bursar.reports.reconciliation.applying import Applied, apply
from bursar.reports.reconciliation.mapping import FileMapping
from bursar.reports.reconciliation.our_payments import ReportedPayments
from bursar.reports.reconciliation.run import reconciled
from tests.support.reports.activity import DAY, Line, write_csv
from tests.support.reports.ledger_payments import Payments

MAPPING = FileMapping(kinds={"sale": "charge", "": "charge", "refund": "refunded", "chargeback": "charged_back"})


async def applied(payments: Payments, folder: Path, *lines: Line) -> tuple[Applied, list[str]]:
    """Apply a file; return what was recorded, and the classes of the differences that a second run finds."""
    path = write_csv(folder / "activity.csv", lines)
    ours = ReportedPayments(payments.parts.reports)
    with await reconciled([path], MAPPING, ours) as result:
        done = await apply(result, payments.ledger, payments.parts.clients, by="Ada")
    with await reconciled([path], MAPPING, ours) as result:
        again = await apply(result, payments.ledger, payments.parts.clients, by="Ada")
        assert again.counts == {}, "the second time nothing is recorded"
        return done, [each.line_class for each in result.differences()]


def line(attempt: Attempt, paygov_id: str | None = None, **values: str) -> Line:
    return Line(attempt.agency_tracking_id, paygov_id or attempt.paygov_tracking_id or "", **values)


async def test_a_returned_debit_is_recorded_as_a_reversal(payments: Payments, tmp_path: Path) -> None:
    attempt = await payments.paid("ACH")
    charge, returned = line(attempt), line(attempt, status="Retired", date="2026-12-03")
    done, left = await applied(payments, tmp_path, charge, returned)
    assert (done.counts, done.refused, left) == ({"reversals recorded": 1}, [], [])
    (reversal,) = await payments.ledger.reversals.of(attempt)
    assert (reversal.kind, reversal.amount) == ("returned", attempt.amount)
    assert (reversal.source, reversal.by) == ("activity_file", "Ada")
    assert (reversal.effective_on, reversal.reason) == ("2026-12-03", "activity.csv, line 3")
    assert (await payments.now(attempt)).net_amount == 0
    assert not (await payments.now(attempt)).reopened


async def test_the_clients_policy_reopens_a_returned_obligation(payments: Payments, tmp_path: Path) -> None:
    attempt = await payments.paid("ACH", client="registry")
    await applied(payments, tmp_path, line(attempt, status="Retired"))
    assert (await payments.now(attempt)).reopened


async def test_a_return_that_is_recorded_already_is_not_recorded_again(payments: Payments, tmp_path: Path) -> None:
    attempt = await payments.paid("ACH")
    await payments.ledger.reversals.record(
        attempt, ReversalReport("returned", attempt.amount, "paygov"), actor="sweeper"
    )
    done, left = await applied(payments, tmp_path, line(attempt), line(attempt, status="Retired"))
    assert (done.counts, left) == ({}, [])


async def test_more_than_was_collected_never_goes_back(payments: Payments, tmp_path: Path) -> None:
    attempt = await payments.paid()
    first = line(attempt, kind="Chargeback", amount="-40.00", date="2026-11-29")
    second = line(attempt, kind="Chargeback", amount="-40.00", date="2026-12-09")
    done, left = await applied(payments, tmp_path, line(attempt), first, second)
    assert done.counts == {"reversals recorded": 1}
    assert len(done.refused) == 1
    assert "reversals must be at most its amount, 60.00; 40.00 has gone back, got 40.00 more" in done.refused[0]
    assert left == ["reversal_not_recorded"]
    assert (await payments.now(attempt)).net_amount == 20


async def test_a_refund_in_the_file_is_requested_and_another_person_approves_it(
    payments: Payments, tmp_path: Path
) -> None:
    attempt = await payments.paid()
    refund = line(attempt, kind="Refund", amount="-15.00", date="2026-12-01")
    done, left = await applied(payments, tmp_path, line(attempt), refund)
    assert (done.counts, left) == ({"refunds requested": 1}, ["reversal_not_recorded"])
    (request,) = await payments.ledger.open_refunds(10)
    assert (request.amount, request.requested_by) == (Decimal(15), "Ada")
    assert request.effective_on == "2026-12-01"
    attempt = await payments.now(attempt)
    with pytest.raises(Exception, match="must be approved by another person than Ada"):
        await payments.ledger.reversals.approve(attempt, request.seq, by="ada", reason="mine")
    _, reversal = await payments.ledger.reversals.approve(attempt, request.seq, by="Bob", reason="seen")
    assert (reversal.source, reversal.effective_on, reversal.kind) == ("activity_file", "2026-12-01", "refunded")
    assert (await applied(payments, tmp_path, line(attempt), refund))[1] == []


async def test_an_open_request_of_the_same_amount_is_the_refund_in_the_file(payments: Payments, tmp_path: Path) -> None:
    attempt = await payments.paid()
    await payments.ledger.reversals.request_refund(attempt, Decimal("15.00"), by="Bob", reason="paid twice")
    done, left = await applied(payments, tmp_path, line(attempt), line(attempt, kind="Refund", amount="-15.00"))
    assert (done.counts, left) == ({}, ["reversal_not_recorded"])
    assert len(await payments.ledger.open_refunds(10)) == 1


async def test_a_charge_resolves_an_unknown_outcome(payments: Payments, tmp_path: Path) -> None:
    attempt = await payments.unknown()
    done, left = await applied(payments, tmp_path, line(attempt, "3FPA"))
    assert (done.counts, left) == ({"unknown outcomes resolved": 1}, [])
    resolved = await payments.now(attempt)
    assert (resolved.status, resolved.paygov_tracking_id) == ("processed", "3FPA")
    view = await payments.ledger.obligation(attempt.client, attempt.reference)
    assert view is not None
    event = view.events[-1]
    assert (event.name, event.actor, event.detail["by"]) == ("resolved_processed", "operator", "Ada")
    assert event.detail["reason"] == "activity.csv, line 2"


@pytest.mark.parametrize(
    "values",
    [{"amount": "61.00"}, {"status": "Failed"}, {"status": "Received"}],
    ids=["another amount", "failed there", "settling there"],
)
async def test_other_lines_leave_an_unknown_outcome_unknown(
    payments: Payments, tmp_path: Path, values: dict[str, str]
) -> None:
    attempt = await payments.unknown()
    done, left = await applied(payments, tmp_path, line(attempt, "3FPA", **values))
    assert (done.counts, left) == ({}, ["status_differs"])
    assert (await payments.now(attempt)).outcome_unknown


async def test_a_line_that_only_a_rule_matches_resolves_nothing(payments: Payments, tmp_path: Path) -> None:
    attempt = await payments.unknown()
    done, left = await applied(payments, tmp_path, Line("", "3FPA"))
    assert (done.counts, left) == ({}, ["status_differs"])
    assert (await payments.now(attempt)).outcome_unknown


async def test_a_lease_that_is_held_is_respected(payments: Payments, tmp_path: Path) -> None:
    attempt = await payments.leased()
    done, left = await applied(payments, tmp_path, line(attempt, "3FPA"))
    assert (done.counts, left) == ({}, ["status_differs"])


async def test_an_attempt_from_before_a_restore_is_resolved_only_while_the_mark_is_open(
    payments: Payments, tmp_path: Path
) -> None:
    attempt = await payments.initiated()
    done, left = await applied(payments, tmp_path, line(attempt, "3FPA"))
    assert (done.counts, left) == ({}, ["status_differs"])
    await payments.ledger.mark_restored("a test")
    done, left = await applied(payments, tmp_path, line(attempt, "3FPA"))
    assert (done.counts, left) == ({"unknown outcomes resolved": 1}, [])
    assert (await payments.now(attempt)).status == "processed"


async def test_a_charge_of_a_failed_attempt_is_kept_as_a_contradiction(payments: Payments, tmp_path: Path) -> None:
    attempt = await payments.failed()
    done, left = await applied(payments, tmp_path, line(attempt, "3FPA"))
    assert (done.counts, left) == ({"contradictions kept": 1}, ["status_differs"])
    (kept,) = await payments.ledger.contradictions.unacknowledged()
    assert (kept.agency_tracking_id, kept.reported_paygov_id) == (attempt.agency_tracking_id, "3FPA")
    assert (await payments.now(attempt)).status == "failed"


async def test_a_second_charge_is_kept_as_a_contradiction(payments: Payments, tmp_path: Path) -> None:
    attempt = await payments.paid()
    done, left = await applied(payments, tmp_path, line(attempt), line(attempt, "PX"))
    assert (done.counts, left) == ({"contradictions kept": 1}, ["charged_twice"])
    (kept,) = await payments.ledger.contradictions.unacknowledged()
    assert kept.reported_paygov_id == "PX"


async def test_an_id_that_belongs_to_another_attempt_is_refused(payments: Payments, tmp_path: Path) -> None:
    other, attempt = await payments.paid(), await payments.unknown()
    done, _ = await applied(payments, tmp_path, line(attempt, other.paygov_tracking_id, date=DAY))
    assert done.counts == {}
    assert "payGovTrackingId given to" in done.refused[0]


async def test_a_matched_line_with_a_ticket_records_the_deposit(payments: Payments, tmp_path: Path) -> None:
    attempt, other = await payments.paid(), await payments.paid()
    await payments.ledger.deposits.record(other, DepositReport("000001", DAY, "operator", "Bob"))
    lines = [line(attempt, ticket="123456"), line(other, ticket="123456")]
    done, left = await applied(payments, tmp_path, *lines)
    assert (done.counts, left) == ({"deposits recorded": 1}, [])
    assert len(done.refused) == 1
    assert "its deposit is recorded as ticket 000001" in done.refused[0]
    deposit = await payments.ledger.deposits.of(attempt)
    assert deposit is not None
    assert (deposit.ticket, deposit.deposited_on, deposit.by) == ("123456", DAY, "Ada")
    assert deposit.source == "activity_file"
