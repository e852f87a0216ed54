"""A past payment, derived from its events, equals the answer of SQL for the same instant; refund requests are kept."""

from decimal import Decimal

from bursar.dashboard.queries.past_payment import open_refunds_of, view_at
from bursar.payments.obligation_view import ObligationView
from bursar.payments.records import Attempt
from bursar.reports.sql.answer import Question
from tests.support.dashboard.office import Office

FACTS = (
    "status", "payment_method", "transaction_status", "paygov_tracking_id", "return_code", "return_detail",
    "outcome_unknown", "unknown_reason",
)  # fmt: skip
INSTANTS = 8


async def view_of(office: Office, attempt: Attempt) -> ObligationView:
    found = await office.ledger.obligation(attempt.client, attempt.reference)
    assert found is not None
    return found


async def test_each_attempt_was_what_sql_says_of_the_instant(busy_office: Office) -> None:
    doubtful = await busy_office.ledger.take_lease(await busy_office.initiated("COPY_FEE", "9.00"), "worker-1", 30)
    busy_office.wall.pass_s(1)
    doubtful = await busy_office.ledger.record_unknown(doubtful, "no answer in time")
    views = [await view_of(busy_office, attempt) for attempt in busy_office.attempts]
    times = sorted({event.at for view in views for event in view.events})
    busy_office.wall.now = times[-1] + 1
    live = 0
    for instant in [*times[3 :: len(times) // INSTANTS], times[-2], times[-1]]:
        [answer] = await busy_office.reports.answers([Question("SELECT * FROM payments", as_of=instant)])
        expected = {row["agency_tracking_id"]: row for row in answer.dicts()}
        past = [found for view in views if (found := view_at(view, instant)) is not None]
        attempts = {each.agency_tracking_id: each for found in past for each in found.attempts}
        assert attempts.keys() == expected.keys()
        for name, attempt in attempts.items():
            row = expected[name]
            assert {fact: getattr(attempt, fact) for fact in FACTS} == {fact: row[fact] for fact in FACTS}, name
            assert round(attempt.updated_at, 3) == round(row["updated_at"].timestamp(), 3)
            assert (attempt.reversed_amount or Decimal(0)) == row["reversed_amount"]
            live += attempt.status in ("initiated", "processing", "pending")
    assert live


async def test_a_request_for_a_refund_is_open_until_its_decision(busy_office: Office) -> None:
    attempt = next(each for each in busy_office.attempts if each.status == "processed" and not each.reversed_amount)
    busy_office.wall.pass_s(60)
    _, asked = await busy_office.ledger.reversals.request_refund(attempt, Decimal("5.00"), by="ada", reason="twice")
    asked_at = busy_office.wall.now
    view = await view_of(busy_office, attempt)
    before, since = view_at(view, asked_at - 1), view_at(view, asked_at)
    assert before is not None
    assert since is not None
    assert (open_refunds_of(before), view_at(view, attempt.created_at - 1)) == ([], None)
    assert open_refunds_of(since) == [asked]
    busy_office.wall.pass_s(60)
    await busy_office.ledger.reversals.reject(since.attempts[-1], asked.seq, by="bob", reason="paid once")
    decided = await view_of(busy_office, attempt)
    assert (open_refunds_of(decided), open_refunds_of(view_at(decided, asked_at) or decided)) == ([], [asked])
