"""Actions of people: what is offered to whom, the confirmation, the trace in the history, and refusals."""

from dataclasses import replace
from decimal import Decimal

import pytest

from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.sign_in.roles import Role
from bursar.payments import Attempt, Outcome
from tests.support.dashboard.office import Office, Visitor

PAID = Outcome("processed", "3FPAID00001", "Success", "PLASTIC_CARD")
SETTLING = Outcome("pending", "3FPAID00002", "Received", "ACH")


@pytest.fixture
async def paid(office: Office) -> Attempt:
    return await office.completed(PAID, "PETITION_FILING_FEE", "60.00", docketNumber="1-26")


def visitor(office: Office, role: Role | Account) -> Visitor:
    return office.visitor(role, portal=office.portal())


def path(attempt: Attempt, action: str) -> str:
    return f"/dashboard/attempts/{attempt.agency_tracking_id}/{action}"


async def act(browser: Visitor, target: str, **fields: str) -> tuple[int, str]:
    """Open the confirmation, send it, and return the status and the text of the answer."""
    confirmation = await browser.get(target)
    assert confirmation.status == 200
    page = await browser.post(target, fields)
    if page.status == 303:
        return 303, (await browser.get(page.header("location"))).text
    return page.status, page.text


async def offered(office: Office, role: Role, attempt: Attempt) -> set[str]:
    page = await visitor(office, role).get(f"/dashboard/payments/{attempt.client}/{attempt.reference}")
    names = ("refresh", "resolve", "acknowledge", "reversal", "refund")
    return {name for name in names if f'href="{path(attempt, name)}"' in page.text}


async def test_a_refund_is_requested_by_one_person_and_approved_by_another(office: Office, paid: Attempt) -> None:
    both = Account("bob", frozenset({"operator", "approver"}))
    status, text = await act(visitor(office, both), path(paid, "refund"), amount="20.00", reason="Paid too much")
    assert (status, "A refund waits for a decision" in text) == (303, True)
    approve = path(paid, "refunds/1/approve")
    status, text = await act(visitor(office, both), approve, reason="I say so")
    assert status == 409
    assert "another person" in text
    asked = (await visitor(office, "approver").get(approve)).text
    assert ('id="refund-amount">($20.00)<' in asked, "Paid too much" in asked) == (True, True)
    status, text = await act(visitor(office, "approver"), approve, reason="Checked")
    assert status == 303
    assert '<b id="net">$40.00</b>' in text
    assert "($20.00)" in text
    view = await office.ledger.obligation(paid.client, paid.reference)
    assert view is not None
    assert [event.name for event in view.events[-2:]] == ["refund_requested", "refund_approved"]
    [reversal] = view.reversals
    assert (reversal.amount, reversal.requested_by, reversal.approved_by) == (Decimal("20.00"), "bob", "approver")
    assert [entry.detail["change"] for entry in office.visitor_log("changed")] == ["request_refund", "approve_refund"]


async def test_a_refund_is_rejected(office: Office, paid: Attempt) -> None:
    await act(visitor(office, "finance"), path(paid, "refund"), amount="60.00", reason="Asked for")
    status, text = await act(visitor(office, "approver"), path(paid, "refunds/1/reject"), reason="No ground")
    assert status == 303
    assert "The refund is rejected." in text
    assert '<b id="net">$60.00</b>' in text


async def test_a_chargeback_is_recorded_once(office: Office, paid: Attempt) -> None:
    fields = {"kind": "charged_back", "amount": "60.00", "reason": "disputed", "reason_code": "4853"}
    browser = visitor(office, "operator")
    assert (await act(browser, path(paid, "reversal"), **fields))[0] == 303
    assert (await act(browser, path(paid, "reversal"), **fields))[0] == 303
    view = await office.ledger.obligation(paid.client, paid.reference)
    assert view is not None
    assert [(each.kind, each.by) for each in view.reversals] == [("charged_back", "operator")]


async def test_an_unknown_outcome_is_settled_by_hand(office: Office) -> None:
    attempt = await office.initiated("PETITION_FILING_FEE", "60.00", docketNumber="1-26")
    leased = await office.ledger.take_lease(attempt, "worker-1", 30)
    attempt = await office.ledger.record_unknown(leased, "the reply was lost", actor="portal")
    target = path(attempt, "resolve")
    status, text = await act(visitor(office, "operator"), target, settled_as="", reason="found it")
    assert (status, "Settle it as: must be chosen" in text) == (400, True)
    assert "found it" in text
    status, text = await act(visitor(office, "operator"), target, settled_as="processed", reason="found it")
    assert (status, "Settled by hand as processed" in text) == (303, True)
    view = await office.ledger.obligation(attempt.client, attempt.reference)
    assert view is not None
    assert (view.events[-1].actor, view.events[-1].detail["by"]) == ("operator", "operator")
    assert (await act(visitor(office, "operator"), target, settled_as="failed", reason="x"))[0] == 409


async def test_a_contradiction_is_acknowledged(office: Office, paid: Attempt) -> None:
    await office.ledger.contradictions.keep(paid, replace(PAID, status="failed", transaction_status="Failed"))
    assert "acknowledge" in await offered(office, "operator", paid)
    status, _ = await act(visitor(office, "operator"), path(paid, "acknowledge"), reason="corrected at Pay.gov")
    assert status == 303
    assert "acknowledge" not in await offered(office, "operator", paid)
    assert (await act(visitor(office, "operator"), path(paid, "acknowledge"), reason="again"))[0] == 409


async def test_refresh_asks_paygov_and_changes_nothing_if_it_does_not_answer(office: Office) -> None:
    attempt = await office.completed(SETTLING, "PETITION_FILING_FEE", "60.00", docketNumber="1-26")
    status, text = await act(visitor(office, "operator"), path(attempt, "refresh"))
    assert (status, "Pay.gov was asked." in text) == (303, True)


async def test_each_role_is_offered_what_it_may_do_in_this_state(office: Office, paid: Attempt) -> None:
    settling = await office.completed(SETTLING, "PETITION_FILING_FEE", "60.00", docketNumber="1-26")
    assert await offered(office, "operator", paid) == {"reversal", "refund"}
    assert await offered(office, "operator", settling) == {"refresh", "resolve"}
    assert await offered(office, "finance", paid) == {"refund"}
    for role in ("viewer", "approver", "auditor"):
        assert await offered(office, role, paid) == set()


async def test_without_a_portal_there_are_no_actions(office: Office, paid: Attempt) -> None:
    browser = office.visitor("operator")
    assert (await browser.get(path(paid, "refund"))).status == 404
    page = await browser.get(f"/dashboard/payments/{paid.client}/{paid.reference}")
    assert "/attempts/" not in page.text


async def test_a_person_acts_only_within_the_limits_of_the_account(office: Office, paid: Attempt) -> None:
    limited = Account("ada", frozenset({"operator"}), clients=frozenset({"exams"}))
    browser = visitor(office, limited)
    assert (await browser.get(path(paid, "refund"))).status == 404
    await browser.get("/dashboard/transactions")
    assert (await browser.post(path(paid, "refund"), {"amount": "60.00", "reason": "x"})).status == 404


@pytest.mark.parametrize("amount", ["", "0", "-1", "60.001", "60.01", "abc"])
async def test_a_refund_of_a_wrong_amount_is_refused_and_keeps_the_reason(
    office: Office, paid: Attempt, amount: str
) -> None:
    status, text = await act(visitor(office, "operator"), path(paid, "refund"), amount=amount, reason="Kept words")
    assert status in (400, 409)
    assert "Kept words" in text
