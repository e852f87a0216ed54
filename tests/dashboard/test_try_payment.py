"""Pay in a real browser: choose a fee, pay on the simulated Pay.gov, come back and see the payment settle."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.bootstrap.whole_system import Up, running_up

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMIUM_FLAGS = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SETTLES_WITHIN_MS = 120_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"), reason="no Chromium here: install the package 'chromium'"
    ),
]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running_up(tmp_path_factory.mktemp("up") / "data", "--ach-settle-s", "3") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=SETTLES_WITHIN_MS)
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(SETTLES_WITHIN_MS)
    yield context.new_page()
    context.close()


def begin(page: Page, up: Up, fee: str = "PETITION_FILING_FEE") -> None:
    page.goto(f"{up.portal_url}/?fee={fee}")
    page.click("#pay")
    expect(page.get_by_text("This is a simulator.")).to_be_visible()


def pay(page: Page, payment_type: str, outcome: str = "Success") -> None:
    page.check(f"input[value={payment_type}]")
    page.check(f"input[value={outcome}]")
    page.click("button.pay")


def history(page: Page) -> str:
    return page.locator("#history").inner_text()


def test_a_card_payment_is_a_success_at_once_and_in_the_report(page: Page, up: Up) -> None:
    begin(page, up)
    pay(page, "PLASTIC_CARD")
    expect(page.locator("#status")).to_have_text("success")
    expect(page.get_by_text("Credit/Debit Card")).to_be_visible()
    for event in ("started", "token given", "claimed", "completed"):
        assert event in history(page)
    expect(page.locator("#report")).to_contain_text("PETITION_FILING_FEE")


def test_an_ach_debit_is_pending_and_then_settles_while_the_payer_watches(page: Page, up: Up) -> None:
    begin(page, up, "NONATTORNEY_EXAM_REGISTRATION_FEE")
    pay(page, "ACH")
    expect(page.locator("#status")).to_have_text("pending")
    expect(page.locator("#status")).to_have_text("success", timeout=SETTLES_WITHIN_MS)
    assert "accepted" in history(page)
    assert "settled" in history(page)


def test_an_ach_debit_that_bounces_is_failed_and_may_be_tried_again(page: Page, up: Up) -> None:
    begin(page, up)
    pay(page, "ACH", "Failed")
    expect(page.locator("#status")).to_have_text("failed", timeout=SETTLES_WITHIN_MS)
    assert "bounced" in history(page)
    expect(page.get_by_role("link", name="Try again")).to_be_visible()


def test_a_declined_card_is_failed(page: Page, up: Up) -> None:
    begin(page, up)
    pay(page, "PLASTIC_CARD", "Failed")
    expect(page.locator("#status")).to_have_text("failed")
    assert "refused" in history(page)


def test_a_variable_fee_takes_the_amount_that_was_typed(page: Page, up: Up) -> None:
    page.goto(f"{up.portal_url}/?fee=COPY_FEE")
    page.fill("#amount", "7.25")
    page.click("#pay")
    pay(page, "PAYPAL")
    expect(page.locator("#status")).to_have_text("success")
    expect(page.get_by_text("$7.25")).to_be_visible()


def test_a_bad_amount_is_reported_and_the_form_keeps_its_values(page: Page, up: Up) -> None:
    page.goto(f"{up.portal_url}/?fee=COPY_FEE")
    page.fill("#amount", "7.255")
    page.fill("#m-copyRequestId", "CR-77")
    page.click("#pay")
    expect(page.get_by_role("alert")).to_contain_text("amount must have at most two decimals")
    assert page.input_value("#amount") == "7.255"
    assert page.input_value("#m-copyRequestId") == "CR-77"


def test_a_payer_who_cancels_may_go_back_and_pay(page: Page, up: Up) -> None:
    begin(page, up)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("You came back without paying.")).to_be_visible()
    page.get_by_role("link", name="Back to Pay.gov").click()
    pay(page, "PLASTIC_CARD")
    expect(page.locator("#status")).to_have_text("success")


def test_paying_works_without_scripts(browser: Browser, up: Up) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(up.portal_url)
        page.click("#pay")
        page.click("button.pay")
        assert page.locator("#status").inner_text() == "success"
    finally:
        context.close()


def test_the_data_is_there_again_after_a_restart(page: Page, tmp_path: Path) -> None:
    with running_up(tmp_path / "data") as first:
        begin(page, first)
        pay(page, "PLASTIC_CARD")
        expect(page.locator("#status")).to_have_text("success")
        path = page.url.removeprefix(first.portal_url)
        assert first.stop() == 0
    with running_up(tmp_path / "data") as second:
        page.goto(second.portal_url + path)
        expect(page.locator("#status")).to_have_text("success")
