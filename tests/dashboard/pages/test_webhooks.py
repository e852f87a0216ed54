"""Webhooks on the page Operations: what failed, and sending again, testing and replaying by operators."""

from typing import Any

import pytest

from bursar.portal.webhooks.dispatcher import Dispatcher
from tests.support.dashboard.office import Office, Visitor
from tests.support.dashboard.receiver import FakeReceiver, with_dead_letter

PAGE = "/dashboard/operations"


@pytest.fixture
def receiver() -> FakeReceiver:
    return FakeReceiver()


def operator(office: Office, webhooks: Dispatcher) -> Visitor:
    return office.visitor("operator", portal=office.portal(), webhooks=webhooks)


async def test_a_dead_letter_is_shown_and_sent_again(office: Office, receiver: FakeReceiver) -> None:
    webhooks, letter = await with_dead_letter(office, receiver)
    browser = operator(office, webhooks)
    page = await browser.get(PAGE)
    assert '<dd id="webhooks-dead">1</dd>' in page.text
    assert page.text.count("data-dead-row") == 1
    assert letter in page.text
    confirmation = f"{PAGE}/webhooks/retry?letter={letter}"
    assert "recognizes it by its id" in (await browser.get(confirmation)).text
    assert receiver.bodies == []
    failed = await browser.post(f"{PAGE}/webhooks/retry", {"letter": letter})
    assert (failed.status, "It was not delivered" in failed.text) == (400, True)
    receiver.down = False
    await browser.get(confirmation)
    done = await browser.post(f"{PAGE}/webhooks/retry", {"letter": letter})
    assert (done.status, "It is delivered" in done.text) == (200, True)
    assert [body["type"] for body in receiver.bodies] == ["payment.started"]
    assert '<dd id="webhooks-dead">0</dd>' in (await browser.get(PAGE)).text
    entries = [(entry.target, entry.detail["done"]) for entry in office.visitor_log("changed")]
    assert entries == [(f"webhooks retry {letter}", False), (f"webhooks retry {letter}", True)]


async def test_a_test_shows_the_receivers_answer_as_text(office: Office, receiver: FakeReceiver) -> None:
    browser = operator(office, await office.webhooks(receiver))
    assert 'test?name=status"' in (await browser.get(PAGE)).text
    await browser.get(f"{PAGE}/webhooks/test?name=status")
    page = await browser.post(f"{PAGE}/webhooks/test", {"name": "status"})
    assert "The receiver answered with HTTP 200. thanks" in page.text
    receiver.down = True
    page = await browser.post(f"{PAGE}/webhooks/test", {"name": "status"})
    assert (page.status, "HTTP 503. &lt;b&gt;busy&lt;/b&gt;" in page.text) == (400, True)
    assert (await browser.post(f"{PAGE}/webhooks/test", {"name": "nothing"})).status == 404


async def test_the_events_of_some_days_are_replayed(office: Office, receiver: FakeReceiver) -> None:
    webhooks = await office.webhooks(receiver)
    await office.start("PETITION_FILING_FEE", "60.00", docketNumber="1-26")
    office.wall.pass_s(60)
    await webhooks.run_once()
    assert len(receiver.bodies) == 1
    browser = operator(office, webhooks)
    await browser.get(f"{PAGE}/webhooks/replay")
    days = {"from": "2026-08-03", "to": "2026-08-03", "client": ""}
    page = await browser.post(f"{PAGE}/webhooks/replay", days)
    assert "1 events are queued again, for 1 attempts" in page.text
    await webhooks.run_once()
    assert len(receiver.bodies) == 2
    for wrong in ({"from": ""}, {"from": "2026-08-04"}, {"from": "2026-01-01"}, {"to": "x"}):
        assert (await browser.post(f"{PAGE}/webhooks/replay", days | wrong)).status == 400
    assert (await browser.post(f"{PAGE}/webhooks/replay", days | {"client": "nobody"})).status == 404


async def test_an_auditor_and_a_page_that_only_reads_see_and_change_nothing(
    office: Office, receiver: FakeReceiver
) -> None:
    webhooks, letter = await with_dead_letter(office, receiver)
    auditor = office.visitor("auditor", portal=office.portal(), webhooks=webhooks)
    page = await auditor.get(PAGE)
    assert letter in page.text
    assert "webhooks/retry" not in page.text
    reader = office.visitor("operator", webhooks=webhooks)
    assert "webhooks/retry" not in (await reader.get(PAGE)).text
    assert (await reader.get(f"{PAGE}/webhooks/retry?letter={letter}")).status == 404


@pytest.mark.parametrize("sent", [{"csrf": "0" * 64}, {"csrf": ""}])
async def test_a_form_of_another_session_sends_nothing(
    office: Office, receiver: FakeReceiver, sent: dict[str, Any]
) -> None:
    browser = operator(office, await office.webhooks(receiver))
    await browser.get(f"{PAGE}/webhooks/test?name=status")
    assert (await browser.post(f"{PAGE}/webhooks/test", {"name": "status", **sent})).status == 403
    assert receiver.bodies == []
