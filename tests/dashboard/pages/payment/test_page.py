"""The page of a payment: its facts, its personal data on request, its chain, and who may see it."""

import re

from bursar.dashboard.formatting import eastern
from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.text.catalogue import text_in
from bursar.dashboard.visit import LANGUAGE_COOKIE
from bursar.payments import Attempt, Outcome
from bursar.payments.reversals import ReversalReport
from bursar.payments.status import edges_from, moves
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


async def test_a_contradiction_is_shown_before_and_after_it_is_acknowledged(office: Office) -> None:
    paid = Outcome("processed", "3FPAID00001", "Success", "PLASTIC_CARD")
    attempt = await office.completed(paid, "PETITION_FILING_FEE", "60.00", docketNumber="1")
    begun = office.wall()
    office.wall.pass_s(86_400)
    await office.ledger.contradictions.keep(attempt, Outcome("failed", "3FPAID00001", "Failed", "PLASTIC_CARD"))
    browser = office.visitor("operator", portal=office.portal())
    said = "Pay.gov says failed as 3FPAID00001, recorded is processed as 3FPAID00001"
    shown = await browser.get(path(attempt))
    assert (said in shown.text, "Not acknowledged yet." in shown.text) == (True, True)
    target = f"/dashboard/attempts/{attempt.agency_tracking_id}/acknowledge"
    assert said in (await browser.get(target)).text
    office.wall.pass_s(86_400)
    browser = office.visitor("operator", portal=office.portal())
    await browser.get(target)
    assert (await browser.post(target, {"reason": "Pay.gov corrected it"})).status == 303
    after = (await browser.get(path(attempt))).text
    assert "Acknowledged by operator" in after
    assert "Pay.gov corrected it" in after
    days = [eastern(begun + days * 86_400).date() for days in (0, 1)]
    before, between = [(await browser.get(f"{path(attempt)}?as_of={day}")).text for day in days]
    assert (said in before, said in between, "Not acknowledged yet." in between) == (False, True, True)


async def test_the_page_says_why_an_attempt_needs_a_person_and_writes_facts_as_finance_reads_them(
    office: Office,
) -> None:
    attempt = await office.initiated("PETITION_FILING_FEE", "60.00", docketNumber="1")
    browser = office.visitor("viewer")
    assert "This attempt needs a person" not in (await browser.get(path(attempt))).text
    office.wall.pass_s(3 * 86_400)
    page = (await office.visitor("viewer").get(path(attempt))).text
    assert "This attempt needs a person" in page
    assert "overdue: no sweeper runs" in page
    history = page[page.index('id="history"') :]
    assert ("Petition filing fee" in history, "PETITION_FILING_FEE" in history) == (True, False)


async def test_codes_have_their_meaning_in_the_language_of_the_person(office: Office) -> None:
    declined = Outcome("failed", "P1", "Failed", "ACH", "R02", "Returned")
    unknown = Outcome("failed", "P2", "Failed", "PLASTIC_CARD", "4902", "Declined")
    first, second = [
        await office.completed(outcome, "PETITION_FILING_FEE", "60.00", docketNumber="1-26")
        for outcome in (declined, unknown)
    ]
    browser = office.visitor("viewer")
    page = (await browser.get(path(first))).text
    assert page.count('<bdi>R02</bdi> <span class="quiet meaning">Account closed</span>') == 2, (
        "the attempt and its event"
    )
    assert page.count("<bdi>4902</bdi>") == 0
    assert "<bdi>4902</bdi></dd>" in (await browser.get(path(second))).text
    browser.cookies[LANGUAGE_COOKIE] = "es"
    assert "Cuenta cerrada" in (await browser.get(path(first))).text


async def test_a_chargeback_has_its_code_its_meaning_and_names_for_each_fact(office: Office) -> None:
    paid = Outcome("processed", "P1", "Success", "PLASTIC_CARD")
    attempt = await office.completed(paid, "PETITION_FILING_FEE", "60.00", docketNumber="1-26")
    report = ReversalReport("charged_back", attempt.amount, "operator", by="ada", reason="disputed", reason_code="10.4")
    await office.ledger.reversals.record(attempt, report, actor="operator")
    page = (await office.visitor("viewer").get(path(attempt))).text
    assert page.count('<bdi>10.4</bdi> <span class="quiet meaning">Visa: other fraud, card not present</span>') == 2
    assert "<dt>Amount that went back</dt><dd>$60.00</dd>" in page
    names = set(re.findall(r"<dt>([^<]*)</dt>", page))
    assert {name for name in names if "_" in name} == set(), "no raw name of a fact"


async def test_a_fact_that_is_yes_or_no_is_written_as_a_word(office: Office) -> None:
    leased = await office.ledger.take_lease(await office.initiated("PETITION_FILING_FEE", "60.00"), "worker-1", 30)
    attempt = await office.ledger.record_unknown(leased, "the reply was lost", actor="portal", repeat_used=True)
    page = (await office.visitor("viewer").get(path(attempt))).text
    assert "<dt>Complete sent again</dt><dd>yes</dd>" in page


async def test_the_diagram_marks_the_present_state_and_what_may_happen_next(office: Office) -> None:
    attempt = await registered(office)
    page = (await office.visitor("viewer").get(path(attempt))).text
    marked = re.findall(r'<g class="diagram__now">.*?<text[^>]*>([^<]*)</text>', page, re.DOTALL)
    assert [label.strip() for label in marked] == ["Initiated"]
    assert page.count('class="diagram__next"') == len({target for source, target in moves() if source == "initiated"})
    offered = page[page.index('class="next"') :].partition("</ul>")[0]
    for edge in edges_from("initiated"):
        assert text_in("en").label("events", edge.event) in offered
    assert text_in("en").label("events", "settled") not in offered
