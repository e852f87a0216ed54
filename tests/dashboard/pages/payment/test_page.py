"""The page of a payment: its facts, its personal data on request, its chain, and who may see it."""

from bursar.dashboard.formatting import eastern
from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.visit import LANGUAGE_COOKIE
from bursar.payments import Attempt, Outcome
from tests.support.dashboard.office import HOSTILE, Office


def path(attempt: Attempt) -> str:
    return f"/dashboard/payments/{attempt.client}/{attempt.reference}"


async def registered(office: Office, name: str = "Ada Lovelace") -> Attempt:
    fee = "NONATTORNEY_EXAM_REGISTRATION_FEE"
    return await office.initiated(fee, "250.00", email="a@example.com", fullName=name, accessCode="x")


async def test_the_page_has_the_history_and_its_verified_chain(office: Office) -> None:
    page = await office.visitor("viewer").get(path(await registered(office)))
    assert page.status == 200
    assert "The chain of the history is intact: 2 events were verified." in page.text
    assert "Token given by Pay.gov" in page.text


async def test_personal_data_are_masked_until_they_are_requested_and_that_is_logged(office: Office) -> None:
    attempt = await registered(office)
    browser = office.visitor("finance")
    assert "Ada Lovelace" not in (await browser.get(path(attempt))).text
    page = await browser.post(f"{path(attempt)}/personal-data")
    assert "Ada Lovelace" in page.text
    [entry] = office.visitor_log("showed_personal_data")
    assert (entry.name, entry.target) == ("finance", path(attempt))


async def test_a_viewer_is_not_offered_personal_data(office: Office) -> None:
    page = await office.visitor("viewer").get(path(await registered(office)))
    assert "Show personal data" not in page.text


async def test_hostile_metadata_are_text(office: Office) -> None:
    attempt = await registered(office, HOSTILE)
    browser = office.visitor("finance")
    await browser.get(path(attempt))
    page = await browser.post(f"{path(attempt)}/personal-data")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text
    assert "\\u202egnp.exe" in page.text


async def test_a_payment_outside_of_the_limits_does_not_exist(office: Office) -> None:
    attempt = await registered(office)
    for limited in (
        Account("ada", frozenset({"finance"}), clients=frozenset({"exams"})),
        Account("ada", frozenset({"finance"}), fees=frozenset({"COPY_FEE"})),
    ):
        browser = office.visitor(limited)
        assert (await browser.get(path(attempt))).status == 404
        await browser.get("/dashboard/transactions")
        assert (await browser.post(f"{path(attempt)}/personal-data")).status == 404


async def test_an_unknown_payment_and_a_mistyped_one_do_not_exist(office: Office) -> None:
    browser = office.visitor("viewer")
    for reference in ("0b5c6f6e-0000-4000-8000-00000000ffff", "nonsense", "%2e%2e"):
        assert (await browser.get(f"/dashboard/payments/dawson/{reference}")).status == 404


async def test_a_look_at_a_payment_is_in_the_access_log(office: Office) -> None:
    attempt = await registered(office)
    await office.visitor("viewer").get(path(attempt))
    assert [entry.target for entry in office.visitor_log("viewed")] == [path(attempt)]


async def test_the_page_shows_a_past_state_without_actions(office: Office) -> None:
    begun = await registered(office)
    office.wall.pass_s(86_400)
    leased = await office.ledger.take_lease(begun, "worker-1", 30)
    await office.ledger.record_outcome(leased, Outcome("processed", "P1", "Success", "PLASTIC_CARD"), actor="portal")
    browser = office.visitor("operator", portal=office.portal())
    day = eastern(begun.created_at).date()
    now = await browser.get(path(begun))
    then = await browser.get(f"{path(begun)}?as_of={day}")
    assert (then.status, now.text.count("data-event="), then.text.count("data-event=")) == (200, 4, 2)
    assert 'id="net">$250.00<' in now.text
    assert 'id="net">$0.00<' in then.text
    assert "Request a refund" in now.text
    for gone in ("Request a refund", "Show personal data", "Receipt", "Ask Pay.gov again"):
        assert gone not in then.text
    assert "Show the present" in then.text
    assert office.visitor_log("viewed")[-1].detail == {"as_of": str(day)}
    listed = await browser.get(f"/dashboard/transactions?as_of={day}")
    assert f"{path(begun)}?as_of={day}" in listed.text


async def test_a_payment_before_its_first_attempt_and_a_wrong_instant_are_refused(office: Office) -> None:
    attempt = await registered(office)
    office.wall.pass_s(86_400)
    browser = office.visitor("viewer")
    browser.cookies[LANGUAGE_COOKIE] = "es"
    before = await browser.get(f"{path(attempt)}?as_of=2026-01-02")
    assert (before.status, "Este pago no existía todavía" in before.text) == (404, True)
    for wrong in ("nonsense", "2031-01-01"):
        page = await browser.get(f"{path(attempt)}?as_of={wrong}")
        assert (page.status, "as of: must" in page.text) == (400, True)
