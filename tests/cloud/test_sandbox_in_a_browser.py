"""Pay in a real browser: choose a fee, pay on the simulated Pay.gov, come back and see the payment settle."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.bootstrap.whole_system import Up, running_up
from tests.support.browser import NEEDS_BROWSER, open_browser

SETTLES_WITHIN_MS = 120_000
SANDBOX = "/dashboard/sandbox"

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running_up(tmp_path_factory.mktemp("up") / "data", "--ach-settle-s", "3") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(SETTLES_WITHIN_MS)
    yield context.new_page()
    context.close()


def begin(page: Page, up: Up, fee: str = "PETITION_FILING_FEE") -> None:
    page.goto(f"{up.portal_url}{SANDBOX}?fee={fee}")
    page.click("#pay")
    expect(page.get_by_text("This is a simulator.")).to_be_visible()


def pay(page: Page, payment_type: str, outcome: str = "Success") -> None:
    page.check(f"input[value={payment_type}]")
    page.check(f"input[value={outcome}]")
    page.click("button.pay")


def events(page: Page) -> list[str | None]:
    return [each.get_attribute("data-event") for each in page.locator("[data-event]").all()]


def misbehave(up: Up, **how: object) -> None:
    request = urllib.request.Request(
        f"{up.simulator_url}/misbehave", json.dumps(how).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        assert reply.status == 200


def test_a_card_payment_is_a_success_at_once_and_in_the_transactions(page: Page, up: Up) -> None:
    begin(page, up)
    pay(page, "PLASTIC_CARD")
    expect(page.locator("#status")).to_have_text("Success")
    expect(page.get_by_text("Credit or debit card").first).to_be_visible()
    assert events(page) == ["started", "token_given", "claimed", "completed"]
    page.get_by_role("link", name="The whole payment").click()
    expect(page.get_by_text("The chain of the history is intact: 4 events were verified.")).to_be_visible()
    page.get_by_role("link", name="Transactions").first.click()
    expect(page.locator("[data-row]").first).to_contain_text("Petition filing fee")


def test_an_ach_debit_is_pending_and_then_settles_while_the_payer_watches(page: Page, up: Up) -> None:
    begin(page, up, "NONATTORNEY_EXAM_REGISTRATION_FEE")
    pay(page, "ACH")
    expect(page.locator("#status")).to_have_text("Pending")
    expect(page.locator("#status")).to_have_text("Success")
    assert {"accepted", "settled"} <= set(events(page))


def test_an_ach_debit_that_bounces_is_failed_and_may_be_tried_again(page: Page, up: Up) -> None:
    begin(page, up)
    pay(page, "ACH", "Failed")
    expect(page.locator("#status")).to_have_text("Failed")
    assert "bounced" in events(page)
    expect(page.get_by_role("link", name="Try again")).to_be_visible()


def test_a_declined_card_is_failed(page: Page, up: Up) -> None:
    begin(page, up)
    pay(page, "PLASTIC_CARD", "Failed")
    expect(page.locator("#status")).to_have_text("Failed")
    assert "refused" in events(page)


def test_a_variable_fee_takes_the_amount_that_was_typed(page: Page, up: Up) -> None:
    page.goto(f"{up.portal_url}{SANDBOX}?fee=COPY_FEE")
    page.fill("#amount", "7.25")
    page.click("#pay")
    pay(page, "PAYPAL")
    expect(page.locator("#status")).to_have_text("Success")
    expect(page.get_by_text("$7.25").first).to_be_visible()


def test_a_bad_amount_is_reported_and_the_form_keeps_its_values(page: Page, up: Up) -> None:
    page.goto(f"{up.portal_url}{SANDBOX}?fee=COPY_FEE")
    page.fill("#amount", "7.255")
    page.fill("#m-copyRequestId", "CR-77")
    page.click("#pay")
    expect(page.get_by_role("alert")).to_contain_text("amount must have at most two decimals")
    assert page.input_value("#amount") == "7.255"
    assert page.input_value("#m-copyRequestId") == "CR-77"


def test_an_error_without_a_list_of_fields_has_its_message(page: Page, up: Up) -> None:
    misbehave(up, kind="http", status=503, operations=["start"], times=1)
    page.goto(f"{up.portal_url}{SANDBOX}?fee=PETITION_FILING_FEE")
    page.click("#pay")
    expect(page.get_by_role("alert")).to_contain_text("The payment was refused")
    expect(page.get_by_role("alert").locator("p")).not_to_be_empty()


def test_choosing_a_fee_is_a_link(page: Page, up: Up) -> None:
    page.goto(f"{up.portal_url}{SANDBOX}")
    expect(page.locator("input[type=radio]")).to_have_count(0)
    page.get_by_role("link", name="Copy fee").click()
    expect(page.locator("#amount")).to_be_visible()


@pytest.mark.parametrize("width", [320, 360])
def test_the_sandbox_does_not_scroll_sideways(page: Page, up: Up, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{up.portal_url}{SANDBOX}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_payer_who_cancels_may_go_back_and_pay(page: Page, up: Up) -> None:
    begin(page, up)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("You came back without paying.")).to_be_visible()
    page.get_by_role("link", name="Back to Pay.gov").click()
    pay(page, "PLASTIC_CARD")
    expect(page.locator("#status")).to_have_text("Success")


def test_paying_works_without_scripts(browser: Browser, up: Up) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(f"{up.portal_url}{SANDBOX}")
        page.click("#pay")
        page.click("button.pay")
        assert page.locator("#status").inner_text() == "Success"
    finally:
        context.close()


def test_the_data_is_there_again_after_a_restart(page: Page, tmp_path: Path) -> None:
    with running_up(tmp_path / "data") as first:
        begin(page, first)
        pay(page, "PLASTIC_CARD")
        expect(page.locator("#status")).to_have_text("Success")
        path = page.url.removeprefix(first.portal_url)
        assert first.stop() == 0
    with running_up(tmp_path / "data") as second:
        page.goto(second.portal_url + path)
        expect(page.locator("#status")).to_have_text("Success")
