"""Every filter, sort order and export of the pages in a real browser, against the numbers that SQL gives."""

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Page, expect
from pypdf import PdfReader

from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.sign_in.roles import EVERY_ROLE
from bursar.payments.deposits import DepositReport
from bursar.reports.report_parameters import past_instant
from tests.support.browser import NEEDS_BROWSER, open_browser
from tests.support.dashboard.exported_files import READERS
from tests.support.dashboard.office import Office
from tests.support.dashboard.reconciled import keep_planted_run
from tests.support.dashboard.served import Served, open_page, served
from tests.support.dashboard.transaction_choices import CHOICES, GROUPS, LISTS, ORDERS, Choice

pytestmark = NEEDS_BROWSER
EVERYONE = Account("ada", EVERY_ROLE, "x")
TRANSACTIONS = "/dashboard/transactions"
STATEMENT = "SELECT fee, status, count(*) AS attempts, sum(amount) AS amount FROM payments GROUP BY ALL ORDER BY ALL"


async def fill(office: Office) -> None:
    """Add payments so that each choice of the filter has some, on more than one page."""
    await office.fill(90)
    paid = [each for each in office.attempts if each.status == "processed"]
    for attempt in paid[:3]:
        await office.ledger.deposits.record(attempt, DepositReport("012345", "2026-11-20", "operator", "Ada"))
    office.wall.pass_s(-86_400)
    await office.start("COPY_FEE", "7.50", copyRequestId="CR-1", numberOfPages=1)
    lost = await office.ledger.take_lease(
        await office.initiated("PETITION_FILING_FEE", "60.00", docketNumber="1-26"), "w", 30
    )
    await office.ledger.record_unknown(lost, "the reply was lost", actor="portal")
    office.wall.pass_s(86_400)
    await office.start("COPY_FEE", "8.50", copyRequestId="CR-2", numberOfPages=1)
    with TemporaryDirectory() as folder:
        await keep_planted_run(office, Path(folder))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("office"), EVERYONE, fill) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, running: Served) -> Iterator[Page]:
    with open_page(browser, running) as opened:
        yield opened


def rows_of_sql(running: Served, text: str, as_of: str | None = None) -> list[tuple[Any, ...]]:
    """Return the rows of a statement, at the end of the day ``as_of``."""
    instant = None if as_of is None else past_instant(as_of)
    return running.run(running.office.reports.sql(text, as_of=instant)).rows


def choose(page: Page, choice: Choice) -> None:
    """Fill in the filter as a person does, and apply it."""
    for field, value in choice.fields:
        if field in LISTS:
            page.get_by_label(field, exact=True).select_option(label=value)
        elif field in GROUPS:
            page.get_by_role("group", name=field, exact=True).get_by_text(value, exact=True).click()
        else:
            page.get_by_label(field, exact=True).fill(value)
    with page.expect_response(lambda answer: TRANSACTIONS in answer.url and answer.status == 200):
        page.get_by_role("button", name="Apply", exact=True).click()


def dollars(amount: Decimal | None) -> str:
    return f"${amount or 0:,.2f}"


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.name)
def test_a_filter_has_the_numbers_and_the_export_of_sql(page: Page, running: Served, choice: Choice) -> None:
    statuses = ", ".join(
        f"count(*) FILTER (payment_status = '{each}'), sum(amount) FILTER (payment_status = '{each}')"
        for each in ("success", "pending", "failed")
    )
    [[count, amount, back, *by_status]] = rows_of_sql(
        running,
        f"SELECT count(*), sum(amount), sum(reversed_amount), {statuses} FROM payments WHERE {choice.sql}",
        choice.as_of,
    )
    page.goto(TRANSACTIONS)
    choose(page, choice)
    expect(page.locator("#total-count")).to_have_text(f"{count:,} transaction" + ("" if count == 1 else "s"))
    expect(page.locator("#total-amount")).to_have_text(dollars(amount))
    shown = page.locator(".totals dd").all_inner_texts()
    expected = [f"{by_status[place]} · {dollars(by_status[place + 1])}" for place in (0, 2, 4)]
    assert shown == expected + ([f"({dollars(back)})"] if back else [])
    link = page.get_by_role("link", name="Link to this view", exact=True).get_attribute("href")
    page.locator("summary", has_text="Download").click()
    file = page.locator(".menu__panel").get_by_role("link", name="CSV", exact=True).first.get_attribute("href")
    exported = READERS["csv"](page.request.get(f"{running.url}{file}").body())
    assert (len(exported), sum(row[0] for row in exported)) == (count, amount or 0)
    order = f"WHERE {choice.sql} ORDER BY created_at DESC, agency_tracking_id"
    wanted = [row[0] for row in rows_of_sql(running, f"SELECT reference FROM payments {order}", choice.as_of)]
    assert listed(page) == wanted
    page.goto(link or "")  # the address alone shows the same
    assert listed(page) == wanted


def listed(page: Page) -> list[str]:
    """Return the references on this page and those after it."""
    found = page.locator("tr[data-row] td.id").all_inner_texts()
    while page.locator("[rel=next]").count():
        with page.expect_navigation():
            page.locator("[rel=next]").click()
        found += page.locator("tr[data-row] td.id").all_inner_texts()
    return found


@pytest.mark.parametrize("head", ORDERS)
def test_a_column_sorts_every_page_as_sql_does(page: Page, running: Served, head: str) -> None:
    page.goto(TRANSACTIONS)
    first = "ASC" if head == "Started" else "DESC"  # the list is by start already
    for order in (first, "ASC" if first == "DESC" else "DESC"):
        page.get_by_role("columnheader", name=head, exact=True).get_by_role("link").click()
        word = {"ASC": "ascending", "DESC": "descending"}[order]
        expect(page.get_by_role("columnheader", name=head, exact=True)).to_have_attribute("aria-sort", word)
        by = f"{ORDERS[head]} {order} NULLS LAST, agency_tracking_id"
        address = page.url
        assert listed(page) == [row[0] for row in rows_of_sql(running, f"SELECT reference FROM payments ORDER BY {by}")]
        page.goto(address)


@pytest.mark.parametrize("personal", [False, True], ids=["masked", "personal"])
@pytest.mark.parametrize("form", ["CSV", "Excel", "Parquet"])
def test_a_download_has_the_rows_of_sql_in_the_order_of_the_page(
    page: Page, running: Served, form: str, personal: bool
) -> None:
    page.goto(f"{TRANSACTIONS}?status=processed&sort=amount&order=asc")
    page.locator("summary", has_text="Download").click()
    body = downloaded(page, page.locator(".menu__panel").get_by_role("link", name=form, exact=True).nth(int(personal)))
    where = "WHERE status = 'processed' ORDER BY amount, agency_tracking_id"
    expected = rows_of_sql(running, f"SELECT amount, agency_tracking_id FROM payments {where}")
    assert READERS[form.lower().replace("excel", "xlsx")](body) == expected


def downloaded(page: Page, link: Any) -> bytes:
    """Click on a link or a button, and return the file that the browser stores."""
    with page.expect_download() as download:
        link.click()
    return download.value.path().read_bytes()


def test_a_report_is_downloaded_with_the_numbers_of_its_page(page: Page, running: Served) -> None:
    page.goto("/dashboard/reports/monthly_finance?since=2026-09-01&client=dawson")
    where = "status = 'processed' AND client = 'dawson' AND final_on >= DATE '2026-09-01'"
    [[count, amount]] = rows_of_sql(running, f"SELECT count(*), sum(amount) FROM payments WHERE {where}")
    totals = page.locator("#answer tfoot td").all_inner_texts()
    assert {str(count), dollars(amount)} <= set(totals)
    links = {
        name: page.locator(".tools").get_by_role("link", name=name, exact=True) for name in ("CSV", "Parquet", "PDF")
    }
    rows = list(csv.DictReader(io.StringIO(downloaded(page, links["CSV"]).decode())))
    assert sum(Decimal(row["collected"]) for row in rows) == amount
    table = pq.read_table(io.BytesIO(downloaded(page, links["Parquet"]))).to_pylist()
    assert sum(row["collected"] for row in table) == amount
    text = "".join(each.extract_text() for each in PdfReader(io.BytesIO(downloaded(page, links["PDF"]))).pages)
    assert f"{amount:,.2f}" in text
    for name, begin in (("Excel", b"PK"), ("SVG", b"<?xml"), ("PNG", b"\x89PNG")):
        assert downloaded(page, page.locator(".tools").get_by_role("link", name=name, exact=True)).startswith(begin)
    page.wait_for_function("document.querySelector('.report-chart').naturalWidth > 0")


def test_a_statement_is_downloaded_with_the_rows_of_its_page(page: Page, running: Served) -> None:
    page.goto("/dashboard/sql")
    page.get_by_label("Statement", exact=True).fill(STATEMENT)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#answer tbody tr").first).to_be_visible()
    expected = rows_of_sql(running, STATEMENT)
    cells = [row.locator("td").all_inner_texts() for row in page.locator("#answer tbody tr").all()]
    assert cells == [[fee, status, f"{count:,}", dollars(amount)] for fee, status, count, amount in expected]
    [_, *rows] = csv.reader(io.StringIO(downloaded(page, page.get_by_role("button", name="CSV", exact=True)).decode()))
    assert rows == [[fee, status, str(count), f"{amount:.2f}"] for fee, status, count, amount in expected]
    table = pq.read_table(io.BytesIO(downloaded(page, page.get_by_role("button", name="Parquet", exact=True))))
    assert [tuple(row.values()) for row in table.to_pylist()] == expected
    assert downloaded(page, page.get_by_role("button", name="Excel", exact=True)).startswith(b"PK")


def test_the_chart_is_downloaded_with_the_numbers_of_sql(page: Page, running: Served) -> None:
    page.goto("/dashboard/?period=last_quarter")
    quarter = "final_on BETWEEN DATE '2026-07-01' AND DATE '2026-09-30'"
    [[count, amount]] = rows_of_sql(
        running, f"SELECT count(*), sum(amount) FROM payments WHERE status = 'processed' AND {quarter}"
    )
    body = downloaded(page, page.get_by_role("link", name="Data (CSV)", exact=True)).decode()
    shown = [row for row in csv.DictReader(io.StringIO(body)) if row["period"] == "shown"]
    assert sum(int(row["attempts"]) for row in shown) == count > 0
    assert sum(Decimal(row["amount"]) for row in shown) == amount
    for name, begin in (("SVG", b"<?xml"), ("PNG", b"\x89PNG")):
        assert downloaded(page, page.get_by_role("link", name=name, exact=True)).startswith(begin)


def test_the_files_of_other_pages_have_what_their_pages_show(page: Page, running: Served) -> None:
    page.goto("/dashboard/reconciliation")
    page.locator("main table a").first.click()
    differences = page.locator("table").last.locator("tbody tr").count()
    rows = list(
        csv.reader(io.StringIO(downloaded(page, page.locator(".tools").get_by_role("link", name="CSV")).decode()))
    )
    assert len(rows) == differences + 1 > 1
    page.goto("/dashboard/access-log?search=nothing-has-this")
    expect(page.locator("tbody tr")).to_have_count(1)  # the sentence that there is none
    page.goto("/dashboard/access-log")
    entries = page.locator("tbody tr").count()
    log = list(csv.reader(io.StringIO(downloaded(page, page.get_by_role("link", name="CSV")).decode())))
    assert len(log) >= entries + 1
    paid = next(each for each in running.office.attempts if each.status == "processed")
    page.goto(f"/dashboard/payments/{paid.client}/{paid.reference}/receipt")
    [receipt] = PdfReader(io.BytesIO(downloaded(page, page.get_by_role("link", name="PDF")))).pages
    text = receipt.extract_text()
    assert paid.reference in text
    assert dollars(paid.amount) in text
