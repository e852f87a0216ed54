"""The page of transactions: one URL per filter, totals, masked data, and an export that no spreadsheet runs."""

import csv
import io
import re
import zipfile
from decimal import Decimal
from urllib.parse import urlencode

import pytest

from bursar.dashboard.sign_in.accounts import Account
from bursar.reports.report_parameters import past_instant
from bursar.reports.sql.answer import Question
from tests.support.dashboard.exported_files import READERS
from tests.support.dashboard.office import HOSTILE, Office

PATH = "/dashboard/transactions"


async def test_a_filter_has_one_url(busy_office: Office) -> None:
    browser = busy_office.visitor("finance")
    sent = urlencode([("period", "last_month"), ("from", ""), ("code", ""), ("status", "failed"), ("min", "")])
    page = await browser.get(f"{PATH}?{sent}")
    assert page.header("location") == f"{PATH}?from=2026-10-01&to=2026-10-31&status=failed"
    assert (await browser.get(page.header("location"))).status == 200


async def test_the_totals_of_the_page_are_those_of_its_filter(busy_office: Office) -> None:
    page = await busy_office.visitor("viewer").get(f"{PATH}?status=failed")
    failed = [attempt.amount for attempt in busy_office.attempts if attempt.status == "failed"]
    assert f'<b id="total-count">{len(failed)} transactions</b>' in page.text
    assert f'<b id="total-amount">${sum(failed):,.2f}</b>' in page.text


async def test_a_field_that_cannot_be_used_is_named(busy_office: Office) -> None:
    page = await busy_office.visitor("viewer").get(f"{PATH}?min=abc")
    assert page.status == 200
    assert "Least: must be an amount such as 60.00; got abc" in page.text


async def test_the_list_has_no_personal_data(busy_office: Office) -> None:
    page = await busy_office.visitor("finance").get(f"{PATH}?q=p%C3%A9rson")
    assert "metadata: fullName" in page.text
    assert "Pérson" not in page.text


async def test_a_search_is_in_the_access_log(busy_office: Office) -> None:
    await busy_office.visitor("finance").get(f"{PATH}?q=4019")
    [entry] = busy_office.visitor_log("searched")
    assert entry.detail["search"] == "4019"


async def test_the_export_has_exactly_the_filtered_rows(busy_office: Office) -> None:
    page = await busy_office.visitor("finance").get(f"{PATH}.csv?status=processed&sort=amount&order=asc")
    rows = list(csv.DictReader(io.StringIO(page.text)))
    expected = [attempt for attempt in busy_office.attempts if attempt.status == "processed"]
    assert sorted(row["agency_tracking_id"] for row in rows) == sorted(each.agency_tracking_id for each in expected)
    amounts = [Decimal(row["amount"]) for row in rows]
    assert amounts == sorted(amounts)
    assert sum(amounts) == sum(each.amount for each in expected)
    assert "metadata" not in rows[0]
    assert page.header("content-disposition") == 'attachment; filename="transactions-2026-11-22.csv"'


async def test_personal_data_are_exported_on_request_made_harmless_and_logged(busy_office: Office) -> None:
    await busy_office.start(
        "NONATTORNEY_EXAM_REGISTRATION_FEE", "250.00", email="a@example.com", fullName=HOSTILE, accessCode="=cmd|' /C'"
    )
    page = await busy_office.visitor("auditor").get(f"{PATH}.csv?personal=yes")
    assert "fullName" in page.text
    assert "\u202e" not in page.text
    for row in csv.reader(io.StringIO(page.text)):
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)
    [entry] = busy_office.visitor_log("exported")
    assert entry.detail["personal_data"] is True


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
async def test_every_form_has_the_same_rows_in_the_same_order(busy_office: Office, form: str) -> None:
    page = await busy_office.visitor("finance").get(f"{PATH}.{form}?fee=COPY_FEE&sort=amount&order=asc&personal=yes")
    expected = sorted((each.amount, each.agency_tracking_id) for each in busy_office.attempts if each.fee == "COPY_FEE")
    assert READERS[form](page.body) == expected


async def test_a_workbook_has_no_formula_and_no_hidden_character(busy_office: Office) -> None:
    page = await busy_office.visitor("finance").get(f"{PATH}.xlsx?personal=yes")
    with zipfile.ZipFile(io.BytesIO(page.body)) as book:
        parts = {name: book.read(name).decode() for name in book.namelist() if name.endswith(".xml")}
    sheet = parts["xl/worksheets/sheet1.xml"]
    formulas = set(re.findall(r"<f>([^<]*)</f>", sheet))
    assert all(formula.startswith(("SUM(", "SUBTOTAL(")) for formula in formulas)
    assert not any("\u202e" in text for text in parts.values())


async def test_an_unknown_form_does_not_exist(busy_office: Office) -> None:
    assert (await busy_office.visitor("finance").get(f"{PATH}.exe")).status == 404


async def test_an_account_with_limits_exports_no_more_than_it_sees(busy_office: Office) -> None:
    limited = Account("ada", frozenset({"finance"}), clients=frozenset({"exams"}))
    page = await busy_office.visitor(limited).get(f"{PATH}.csv")
    assert {row["client"] for row in csv.DictReader(io.StringIO(page.text))} == {"exams"}


async def test_the_state_of_a_past_day_is_in_the_url_the_head_and_the_export(busy_office: Office) -> None:
    browser = busy_office.visitor("finance")
    page = await browser.get("/dashboard/transactions?as_of=2026-09-30")
    [answer] = await busy_office.reports.answers(
        [Question("SELECT count(*) FROM payments", as_of=past_instant("2026-09-30"))]
    )
    count = answer.rows[0][0]
    assert 0 < count < len(busy_office.attempts)
    assert f"{count:,} transactions" in page.text
    moment = "Sep 30, 2026, 11:59:59 p.m. Eastern time (EDT)"
    assert f"As of {moment}." in page.text[: page.text.index("</title>")]
    assert f"as they were: {moment}" in page.text
    assert "/dashboard/transactions.csv?as_of=2026-09-30" in page.text
    export = await browser.get("/dashboard/transactions.csv?as_of=2026-09-30")
    assert len(list(csv.reader(io.StringIO(export.text)))) == count + 1


async def test_the_link_to_this_state_shows_it_again_after_a_change(busy_office: Office) -> None:
    browser = busy_office.visitor("finance")
    page = await browser.get("/dashboard/transactions")
    [link] = re.findall(r'href="(/dashboard/transactions\?as_of=[^"]+)"', page.text)
    busy_office.wall.pass_s(60)
    await busy_office.start("COPY_FEE", "1.00", copyRequestId="CR-1", numberOfPages=1)
    count = len(busy_office.attempts)
    assert f"{count - 1:,} transactions" in (await browser.get(link)).text
    assert f"{count:,} transactions" in (await browser.get("/dashboard/transactions")).text


async def test_an_instant_that_cannot_be_is_a_message(office: Office) -> None:
    page = await office.visitor("finance").get("/dashboard/transactions?as_of=2030-01-01")
    assert "As of: must be a day until today" in page.text


async def test_a_printed_page_names_its_filter(office: Office) -> None:
    browser = office.visitor("viewer")
    target = (
        "/dashboard/transactions?q=failed&dated=collected&from=2026-10-01&to=2026-10-31&status=unknown&fee=COPY_FEE"
    )
    page = await browser.get(f"{target}&client=dawson&method=ACH&code=40&min=50.00&money=came_back")
    words = re.search(r'id="filter-words">([^<]*)<', (await browser.get(page.header("location") or target)).text)
    assert words is not None
    for part in ("Search: failed", "Collected: Oct 1, 2026 – Oct 31, 2026", "Status: Outcome unknown", "Fee: Copy fee"):
        assert part in words[1]
    assert 'id="filter-words"' not in (await browser.get("/dashboard/transactions")).text


async def test_return_codes_have_their_meaning_in_the_list_the_filter_and_its_words(busy_office: Office) -> None:
    page = (await busy_office.visitor("viewer").get("/dashboard/transactions?code=4019")).text
    meaning = "Pay.gov has no such application of the agency"
    failed = [each for each in busy_office.attempts if each.return_code == "4019"]
    assert page.count(f'<bdi>4019</bdi> <span class="quiet meaning">{meaning}</span>') == len(failed) > 0
    assert f"4019: {meaning}." in page
    assert f"Return code: 4019 ({meaning})" in page
    assert '<option value="R01" label="R01 · Insufficient funds">' in page
    part = (await busy_office.visitor("viewer").get("/dashboard/transactions?code=40")).text
    assert "Return code: 40</p>" in part
