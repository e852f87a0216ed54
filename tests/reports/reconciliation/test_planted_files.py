"""The simulator's activity files against the payments of the same collections: every planted difference is found."""

import random
from pathlib import Path

import pytest

from bursar.paygov.protocol import START, TRANSACTION_TYPE
from bursar.paygov.simulator import Simulator
from bursar.paygov.simulator.activity_file import FORMS, PLANTINGS, activity_records, planted
from bursar.payments.records import Outcome
from bursar.payments.status import OutcomeStatus
from bursar.reports.reconciliation.mapping import FileMapping
from bursar.reports.reconciliation.our_payments import ReportedPayments
from bursar.reports.reconciliation.run import FileDays, reconciled
from tests.support.reports.activity import DAY
from tests.support.reports.ledger_payments import Payments

KINDS = tuple(PLANTINGS)


async def collected(payments: Payments, simulator: Simulator, method: str, outcome: str) -> None:
    """Pay by the simulator, and record its answer."""
    started = await payments.started()
    request = {
        "tcs_app_id": started.tcs_app_id,
        "agency_tracking_id": started.agency_tracking_id,
        "transaction_type": TRANSACTION_TYPE,
        "transaction_amount": f"{started.amount:.2f}",
        "language": "en",
        "url_success": started.url_success,
        "url_cancel": started.url_cancel,
    }
    assert set(request) == set(START.request)
    token = simulator.start(request)
    simulator.pay(token, method, outcome)
    entry = simulator.complete(started.tcs_app_id, token)
    attempt = await payments.ledger.record_token(started, token)
    attempt = await payments.ledger.take_lease(attempt, "worker", 30.0)
    status: OutcomeStatus = "processed" if outcome == "Success" else "failed"
    reported = Outcome(status, entry.paygov_tracking_id, outcome, method)
    await payments.ledger.record_outcome(attempt, reported, actor="portal")


@pytest.mark.parametrize("form", FORMS)
async def test_every_planted_difference_is_found_in_the_simulators_file(
    payments: Payments, tmp_path: Path, form: str
) -> None:
    simulator = Simulator(payments.wall, random.Random(5))
    for number in range(len(KINDS) + 6):
        outcome = "Failed" if number % 7 == 6 else "Success"
        await collected(payments, simulator, ("PLASTIC_CARD", "PAYPAL")[number % 2], outcome)
    records = activity_records(simulator, DAY, DAY)
    path = tmp_path / f"activity.{form}"
    ours = ReportedPayments(payments.parts.reports)
    path.write_text(FORMS[form][1](records))
    with await reconciled([path], FileMapping(), ours, period=FileDays(DAY, DAY)) as result:
        assert result.agrees
        assert result.records == len(records)
    lines, places = planted(records, KINDS, random.Random(7))
    path.write_text(FORMS[form][1](lines))
    with await reconciled([path], FileMapping(), ours, period=FileDays(DAY, DAY)) as result:
        found = {each.agency_id: each.line_class for each in result.differences()}
        strangers = [kind for name, kind in found.items() if name not in {at.agency_tracking_id for _, at in places}]
        assert strangers == ["missing_here"]
        assert {kind for kind, at in places if found.get(at.agency_tracking_id) != kind} == {"missing_here"}
        assert len(list(result.differences())) == len(KINDS)
