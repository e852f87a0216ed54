"""The pages in a real browser: keys, filters without a reload, narrow screens, both themes and languages, print."""

import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, expect
from pypdf import PdfReader
from starlette.routing import compile_path

from bursar.dashboard.route_table import ROUTES
from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.sign_in.roles import EVERY_ROLE
from bursar.dashboard.site import PREFIX
from bursar.dashboard.upkeep_notes import UpkeepNotes
from bursar.payments import Attempt
from tests.support.browser import AXE_VIOLATIONS, NEEDS_BROWSER, WCAG_TAGS, open_browser
from tests.support.dashboard.office import CLIENTS, HOSTILE, Office
from tests.support.dashboard.provider import FakeProvider, provider_of
from tests.support.dashboard.receiver import FakeReceiver, with_dead_letter
from tests.support.dashboard.reconciled import keep_planted_run
from tests.support.dashboard.served import Served, open_page, served

pytestmark = NEEDS_BROWSER
EVERYONE = Account("ada", EVERY_ROLE, "x")
WIDTHS = (320, 768, 1280)
NARROW_TEXTS = """() => [...document.querySelectorAll("main dd, main td, main th, main p, main li")]
  .filter((each) => each.checkVisibility() && each.innerText.trim().length > 20 && each.clientHeight > 0)
  .filter((each) => getComputedStyle(each).display !== "inline" && each.clientWidth < 60)
  .concat([...document.querySelectorAll(".figures > *")].filter((each) => each.scrollWidth > each.clientWidth + 1))
  .map((each) => each.innerText.slice(0, 60))"""
"""The texts that are so narrow that their words are broken, and the figures that leave their box."""


async def fill(office: Office) -> dict[str, Any]:
    await office.fill(56)
    webhooks, _ = await with_dead_letter(office, FakeReceiver())
    refunded = paid_by_sandbox(office)
    await office.ledger.reversals.request_refund(refunded, Decimal("1.00"), by="bob", reason="twice")
    await office.initiated(
        "NONATTORNEY_EXAM_REGISTRATION_FEE", "250.00", email="a@example.com", fullName=HOSTILE, accessCode="x"
    )
    with TemporaryDirectory() as folder:
        await keep_planted_run(office, Path(folder))
    upkeep = UpkeepNotes(office.folder)
    upkeep.keep("audit", office.wall(), findings=1, lines=[f"unique: {HOSTILE}"])
    upkeep.keep("backup", office.wall(), target="backup.db")
    provider = provider_of(FakeProvider(office.wall))
    more = {"webhooks": webhooks, "upkeep": upkeep, "provider": provider}
    return {"portal": office.portal(), "sandbox": office.sandbox(), **more}


def paid_by_sandbox(office: Office) -> Attempt:
    """Return an attempt of the sandbox's client that Pay.gov collected."""
    return next(each for each in office.attempts if (each.status, each.client) == ("processed", CLIENTS[0]))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("office"), EVERYONE, fill) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


def all_paths(running: Served) -> list[str]:
    last = running.office.attempts[-1]
    [(run, _)] = running.run(running.office.ledger.reconciliations.runs())
    paid = paid_by_sandbox(running.office)
    own, actions = f"/dashboard/sandbox/{paid.reference}", f"/dashboard/attempts/{paid.agency_tracking_id}"
    confirmed = ("refresh", "resolve", "acknowledge", "reversal", "refund", "refunds/1/approve", "refunds/1/reject")
    return [
        "/dashboard/",
        "/dashboard/?period=last_quarter&by=status&measure=number",
        "/dashboard/transactions",
        "/dashboard/transactions?status=failed&q=4019",
        "/dashboard/transactions?min=abc",
        "/dashboard/attention",
        "/dashboard/exports/none",
        "/dashboard/?as_of=2026-10-05",
        "/dashboard/reports",
        "/dashboard/reports/monthly_finance",
        "/dashboard/reports/payments_of_fee?fee=x",
        "/dashboard/sql",
        "/dashboard/reconciliation",
        "/dashboard/reconciliation/upload",
        f"/dashboard/reconciliation/{run.run_id}",
        f"/dashboard/reconciliation/{run.run_id}?class=missing_here",
        f"/dashboard/reconciliation/{run.run_id}/sign-off",
        "/dashboard/operations",
        "/dashboard/operations/webhooks/test?name=status",
        "/dashboard/operations/webhooks/retry?letter=none",
        "/dashboard/operations/webhooks/replay",
        "/dashboard/access-log",
        "/dashboard/sandbox",
        "/dashboard/sign-in",
        "/dashboard/sign-in/callback?error=access_denied",
        *(f"{actions}/{action}" for action in confirmed),
        own,
        f"{own}/cancelled",
        f"/dashboard/payments/{paid.client}/{paid.reference}/receipt",
        f"/dashboard/payments/{last.client}/{last.reference}",
    ]


FILES_AND_REDIRECTS = {
    "download_chart", "export_transactions", "receipt_pdf", "export_report", "export_reconciliation",
    "export_access_log", "go_to_provider", "sandbox_return",
}  # fmt: skip


def test_every_page_of_the_route_table_is_checked(running: Served) -> None:
    """Check that each page has a path among the checked ones, or is a file."""
    pages = [route for route in ROUTES if route.method == "GET" and route.name not in FILES_AND_REDIRECTS]
    checked = [path.partition("?")[0] for path in all_paths(running)]
    found = {route.name for route in pages if any(compile_path(PREFIX + route.path)[0].match(path) for path in checked)}
    assert sorted(route.name for route in pages if route.name not in found) == []


def test_a_filter_changes_the_totals_and_the_url_without_a_reload(browser: Browser, running: Served) -> None:
    with open_page(browser, running) as page:
        page.goto("/dashboard/transactions")
        page.evaluate("window.notReloaded = true")
        page.get_by_role("group", name="Status").get_by_text("Failed", exact=True).click()
        page.get_by_role("button", name="Apply").click()
        failed = [each for each in running.office.attempts if each.status == "failed"]
        expect(page.locator("#total-count")).to_have_text(f"{len(failed)} transactions")
        expect(page).to_have_url(f"{running.url}/dashboard/transactions?status=failed")
        assert page.evaluate("window.notReloaded") is True
        page.reload()
        expect(page.locator("#total-count")).to_have_text(f"{len(failed)} transactions")
        expect(page.get_by_label("Failed", exact=True)).to_be_checked()


def test_a_column_sorts_and_its_header_says_so(browser: Browser, running: Served) -> None:
    with open_page(browser, running) as page:
        page.goto("/dashboard/transactions")
        page.get_by_role("columnheader", name="Amount").get_by_role("link").click()
        expect(page.get_by_role("columnheader", name="Amount")).to_have_attribute("aria-sort", "descending")
        texts = [text.splitlines()[0] for text in page.locator("td.number").all_inner_texts()]
        shown = [float(text.replace("$", "").replace(",", "")) for text in texts]
        assert shown == sorted(shown, reverse=True)


def test_an_export_shows_its_progress_beside_the_table(browser: Browser, running: Served) -> None:
    with open_page(browser, running) as page:
        page.goto("/dashboard/transactions?status=processed")
        page.locator("summary", has_text="Download").click()
        with page.expect_download() as download:
            page.locator(".menu__panel").get_by_role("link", name="CSV").first.click()
        paid = sum(each.status == "processed" for each in running.office.attempts)
        lines = download.value.path().read_text().splitlines()
        assert len(lines) == paid + 1
        expect(page.get_by_text("The file is complete.")).to_be_visible()
        expect(page.locator("#export")).to_contain_text(f"{paid} rows.")
        expect(page.locator("#total-count")).to_have_text(f"{paid} transactions")


def test_keys_search_move_and_open(browser: Browser, running: Served) -> None:
    with open_page(browser, running) as page:
        page.goto("/dashboard/transactions")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        page.keyboard.press("/")
        expect(page.get_by_role("searchbox")).to_be_focused()
        page.keyboard.type("j/k?")
        expect(page.get_by_role("searchbox")).to_have_value("j/k?")
        page.keyboard.press("Tab")
        for _ in range(2):
            page.keyboard.press("j")
        page.keyboard.press("k")
        expect(page.locator("[data-row] a").first).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Payment")


def test_keys_can_be_turned_off(browser: Browser, running: Served) -> None:
    with open_page(browser, running) as page:
        page.goto("/dashboard/transactions")
        page.locator("header details.menu summary").click()
        page.get_by_role("group", name="Keys").get_by_role("button", name="Off").click()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_hidden()


def test_the_whole_page_is_reached_with_the_keyboard_alone(browser: Browser, running: Served) -> None:
    with open_page(browser, running) as page:
        page.goto("/dashboard/transactions?status=failed")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


@pytest.mark.parametrize("language", ["en", "es"])
def test_every_page_fits_its_screen_and_axe_finds_no_violation(
    browser: Browser, running: Served, language: str
) -> None:
    """Load each page once, and check it at every width, then by axe with menus open, light and dark.

    Only the contrast of colors depends on the theme, and no color depends on the language. The longer texts of Spanish
    are checked on the narrowest screen.
    """
    widths = WIDTHS if language == "en" else WIDTHS[:1]
    found: dict[str, object] = {}
    with open_page(browser, running, language=language) as page:
        for path in all_paths(running):
            page.goto(path)
            for width in widths:
                page.set_viewport_size({"width": width, "height": 900})
                found[f"{path} at {width}"] = max(page.evaluate("document.documentElement.scrollWidth") - width, 0)
                found[f"{path}, narrow texts at {width}"] = page.evaluate(NARROW_TEXTS)
            page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
            page.evaluate(AXE_SCRIPT)
            found[path] = page.evaluate(AXE_VIOLATIONS, {"type": "tag", "values": WCAG_TAGS})
            if language == "en":
                page.evaluate("document.documentElement.dataset.theme = 'dark'")
                found[f"{path} dark"] = page.evaluate(AXE_VIOLATIONS, {"type": "rule", "values": ["color-contrast"]})
    assert {place: problems for place, problems in found.items() if problems} == {}


def test_a_statement_is_completed_colored_and_run_with_the_keyboard(browser: Browser, running: Served) -> None:
    with open_page(browser, running) as page:
        page.goto("/dashboard/sql")
        field = page.get_by_label("Statement", exact=True)
        field.fill("SELECT 'a' AS name, count(*) AS n FROM paym")
        page.keyboard.press("Control+Space")
        words = page.locator("#editor-words")
        expect(words.get_by_role("option", selected=True)).to_contain_text("payment_")
        page.evaluate(AXE_SCRIPT)
        assert page.evaluate(AXE_VIOLATIONS, {"type": "tag", "values": WCAG_TAGS}) == []
        page.keyboard.press("Escape")
        expect(words).to_be_hidden()
        page.keyboard.type("ents")
        page.keyboard.type(" GROUP BY 1 UNION SELECT 'b', 7 -- note")
        expect(page.locator(".editor__colors .sql-comment")).to_have_text("-- note")
        expect(page.locator(".editor__colors .sql-name", has_text="payments")).to_have_count(1)
        page.keyboard.press("Tab")
        expect(page.get_by_label("As of", exact=True)).to_be_focused()
        expect(page.get_by_role("button", name="Stop", exact=True)).to_be_hidden()
        field.press("Control+Enter")
        expect(page.locator("#answer tbody tr")).to_have_count(2)
        page.evaluate(AXE_SCRIPT)
        assert page.evaluate(AXE_VIOLATIONS, {"type": "tag", "values": WCAG_TAGS}) == []


def test_a_statement_that_runs_has_a_button_that_stops_it(browser: Browser, running: Served) -> None:
    with open_page(browser, running) as page:
        page.goto("/dashboard/sql")
        page.get_by_label("Statement", exact=True).fill("SELECT 42")
        # The form is held back: Playwright waits for the end of every navigation.
        page.evaluate("document.forms.statement.addEventListener('submit', (e) => e.preventDefault(), {once: true})")
        page.get_by_role("button", name="Run", exact=True).click()
        page.get_by_role("button", name="Stop", exact=True).click()
        expect(page.get_by_text("The statement was stopped, if it was still running.")).to_be_visible()
        expect(page.get_by_label("Statement", exact=True)).to_have_value("SELECT 42")


def test_axe_sees_a_missing_text_and_a_pale_color(browser: Browser, running: Served) -> None:
    with open_page(browser, running) as page:
        page.goto("/dashboard/sign-in")
        page.evaluate("document.querySelector('main').append(new Image())")
        page.evaluate("document.querySelector('h1').style.color = '#ccc'")
        page.evaluate(AXE_SCRIPT)
        found = page.evaluate(AXE_VIOLATIONS, {"type": "tag", "values": WCAG_TAGS})
        assert sorted(each.partition(":")[0] for each in found) == ["color-contrast", "image-alt"]


def test_print_has_the_content_and_not_the_frame(browser: Browser, running: Served) -> None:
    with open_page(browser, running) as page:
        page.goto("/dashboard/transactions?status=failed")
        page.emulate_media(media="print")
        expect(page.locator("header.top")).to_be_hidden()
        expect(page.locator(".filters")).to_be_hidden()
        expect(page.locator("#total-amount")).to_be_visible()


def test_a_printed_chart_has_its_numbers(browser: Browser, running: Served) -> None:
    with open_page(browser, running) as page:
        page.goto("/dashboard/?period=last_quarter")
        expect(page.locator("#chart-sum")).to_be_hidden()
        page.emulate_media(media="print")
        assert page.locator("#chart-sum").evaluate("(row) => row.checkVisibility({contentVisibilityAuto: true})")
        page.emulate_media(media="screen")
        printed = "".join(each.extract_text() for each in PdfReader(io.BytesIO(page.pdf())).pages)
        total = page.locator("#chart-sum td").last.text_content() or ""
        assert "$" in total
        assert total.strip() in printed
        expect(page.locator("#chart-sum")).to_be_hidden()


def test_a_long_table_is_printed_from_the_first_page_on(browser: Browser, running: Served) -> None:
    with open_page(browser, running) as page:
        for _ in range(30):
            page.goto("/dashboard/transactions?q=nothing")  # each search is an entry
        page.goto("/dashboard/access-log")
        pages = [each.extract_text() for each in PdfReader(io.BytesIO(page.pdf())).pages]
        assert len(pages) > 1
        assert pages[0].count("nothing") > 5


def test_dark_and_light_are_the_persons_choice(browser: Browser, running: Served) -> None:
    shades = {}
    for theme in ("light", "dark"):
        with open_page(browser, running, theme=theme) as page:
            page.goto("/dashboard/transactions")
            shades[theme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert shades == {"light": "rgb(247, 249, 250)", "dark": "rgb(15, 17, 20)"}


def test_hostile_personal_data_do_nothing(browser: Browser, running: Served) -> None:
    with open_page(browser, running) as page:
        page.goto(all_paths(running)[-1])
        page.get_by_role("button", name="Show personal data").click()
        expect(page.locator("#personal-data")).to_contain_text("\\u202egnp.exe")
        expect(page.locator("#personal-data script")).to_have_count(0)


def test_pages_work_without_scripts(browser: Browser, running: Served) -> None:
    with open_page(browser, running) as page:
        context = browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
        plain = context.new_page()
        plain.goto(f"{running.url}/dashboard/transactions?status=failed")
        plain.get_by_label("Status").first.is_visible()
        plain.locator("[data-row] a").first.click()
        expect(plain.get_by_role("heading", level=1)).to_contain_text("Payment")
        context.close()


@pytest.mark.parametrize("name", ["", "transactions", "sql", "reports/monthly_finance"])
def test_a_first_visit_loads_little(browser: Browser, running: Served, name: str) -> None:
    with open_page(browser, running) as page:
        sizes: list[int] = []
        page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
        page.goto(f"/dashboard/{name}", wait_until="networkidle")
        assert 50_000 < sum(sizes) < 250_000
