"""The pages of reports and of SQL: the same numbers as SQL gives, problems as messages, exports, and the access log."""

import csv
import io
import re
from decimal import Decimal
from html import unescape
from xml.etree import ElementTree

import pytest
from pypdf import PdfReader

from bursar.dashboard.pages.reports.reports import hint
from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.text.catalogue import text_in
from bursar.dashboard.visit import LANGUAGE_COOKIE
from bursar.reports.named_reports import named_reports
from bursar.reports.output import pdf
from bursar.reports.report_parameters import past_instant
from tests.support.dashboard.office import Office

LIMITED = Account("ada", frozenset({"finance"}), clients=frozenset({"dawson"}))


def cells(text: str) -> list[str]:
    """Return the texts of the cells of the answer."""
    table = text[text.index('id="answer"') :]
    found = re.findall(r"<td[^>]*>(.*?)</td>", table, re.DOTALL)
    return [re.sub(r"<[^>]*>", "", cell).strip() for cell in found]


async def test_every_report_is_listed_with_its_question(office: Office) -> None:
    page = await office.visitor("finance").get("/dashboard/reports")
    for report in named_reports().values():
        assert f"/dashboard/reports/{report.name}" in page.text


def test_the_questions_of_the_catalogue_are_those_of_the_reports() -> None:
    english, spanish = text_in("en"), text_in("es")
    for report in named_reports().values():
        assert english(f"report_questions.{report.name}") == report.question
        assert english(f"report_titles.{report.name}") == report.subject({}).title
        assert spanish(f"report_questions.{report.name}").startswith("¿")
        for each in report.parameters:
            assert f"report_parameters.{each.name}" in english.texts
            assert hint(english, report, each.name) == each.meaning
            assert hint(spanish, report, each.name) != each.meaning


async def test_a_report_is_in_the_language_of_the_person(office: Office) -> None:
    browser = office.visitor("finance")
    browser.cookies[LANGUAGE_COOKIE] = "es"
    assert "¿Qué pagos de una tasa se iniciaron?" in (await browser.get("/dashboard/reports")).text
    page = (await browser.get("/dashboard/reports/payments_of_fee")).text
    assert "<h1>Pagos de una tasa</h1>" in page
    assert '<label class="usa-label" for="p-since">Desde</label>' in page
    assert "primer día en que se iniciaron los intentos" in page


async def test_a_report_is_drawn_in_the_language_of_the_person(busy_office: Office) -> None:
    browser = busy_office.visitor("finance")
    browser.cookies[LANGUAGE_COOKIE] = "es"
    picture = ElementTree.fromstring(
        (await browser.get("/dashboard/reports/monthly_finance/svg?since=2026-10-01")).text
    )
    shown = {found.text for found in picture.iter() if found.text}
    assert {"Neto por tasa (dólares de EE. UU.)", "Mes", "oct de 2026", "Copy fee"} <= shown
    [described] = [found.text for found in picture.iter() if found.tag.endswith("}desc")]
    assert re.search(r"por Mes, de oct de 2026 a nov de 2026: .*Copy fee de \$[\d,.]+ a \$", described or "")


@pytest.mark.parametrize("name", named_reports())
async def test_every_report_has_a_page(busy_office: Office, name: str) -> None:
    query = "?client=dawson&month=2026-10&fee=COPY_FEE"
    page = await busy_office.visitor("auditor").get(f"/dashboard/reports/{name}{query}")
    assert page.status == 200
    assert 'id="answer"' in page.text


async def test_a_report_has_the_numbers_of_sql_and_its_totals(busy_office: Office) -> None:
    page = await busy_office.visitor("finance").get(
        "/dashboard/reports/monthly_finance?since=2026-09-01&until=2026-09-30"
    )
    answer = await busy_office.reports.report("monthly_finance", {"since": "2026-09-01", "until": "2026-09-30"})
    total = sum((row["collected"] for row in answer.dicts()), Decimal(0))
    assert f"${total:,.2f}" in cells(page.text)[-len(answer.columns) :]
    assert len(cells(page.text)) == len(answer.columns) * (len(answer.rows) + 1)


async def test_a_bad_parameter_is_a_message_and_keeps_the_others(office: Office) -> None:
    page = await office.visitor("finance").get("/dashboard/reports/failed_above?above=abc&since=2026-01-01")
    assert page.status == 400
    assert "above: must be an amount such as 60.00" in page.text
    assert 'value="2026-01-01"' in page.text


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet", "pdf", "svg", "png"])
async def test_a_report_is_exported_in_every_form(busy_office: Office, form: str) -> None:
    browser = busy_office.visitor("finance")
    page = await browser.get(f"/dashboard/reports/trend/{form}?since=2026-09-01")
    assert (page.status, len(page.body) > 100) == (200, True)
    [entry] = busy_office.visitor_log("exported")
    assert (entry.target, entry.detail["form"]) == ("report trend", form)
    assert (await browser.get("/dashboard/reports/trend/exe")).status == 404


async def test_the_monthly_finance_report_as_pdf_has_the_numbers_of_its_page(busy_office: Office) -> None:
    browser, query = busy_office.visitor("finance"), "?since=2026-09-01&until=2026-09-30"
    page = await browser.get(f"/dashboard/reports/monthly_finance{query}")
    document = await browser.get(unescape(re.findall(r'href="([^"]*/monthly_finance/pdf[^"]*)"', page.text)[0]))
    assert (document.header("content-type"), document.status) == ("application/pdf", 200)
    assert 'filename="monthly_finance.pdf"' in document.header("content-disposition")
    text = "".join(each.extract_text() for each in PdfReader(io.BytesIO(document.body)).pages)
    amounts = {cell.strip("$()") for cell in cells(page.text) if "$" in cell}
    assert len(amounts) > 3
    assert {amount for amount in amounts if amount not in text} == set()


async def test_a_pdf_with_too_many_rows_is_a_page_that_says_so(
    busy_office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "PDF_ROWS_MAX", 3)
    page = await busy_office.visitor("finance").get("/dashboard/reports/payments_of_fee/pdf?fee=COPY_FEE")
    assert (page.status, page.header("content-disposition")) == (400, "")
    assert "at most 3 rows" in page.text


async def test_reports_and_sql_are_not_for_accounts_with_limits(office: Office) -> None:
    browser = office.visitor(LIMITED)
    for path in ("/dashboard/reports", "/dashboard/reports/trend", "/dashboard/reports/trend/csv", "/dashboard/sql"):
        assert (await browser.get(path)).status == 403, path
    for path in ("/dashboard/sql", "/dashboard/sql/export"):
        assert (await browser.post(path, {"text": "SELECT 1", "form": "csv"})).status == 403, path


async def test_an_unknown_report_does_not_exist(office: Office) -> None:
    assert (await office.visitor("finance").get("/dashboard/reports/nonsense")).status == 404


async def test_a_statement_is_answered_exported_and_logged(busy_office: Office) -> None:
    browser = busy_office.visitor("auditor")
    await browser.get("/dashboard/sql")
    text = "SELECT status, count(*) AS n FROM payments GROUP BY status ORDER BY status -- by status"
    page = await browser.post("/dashboard/sql", {"text": text})
    counts = {attempt.status: 0 for attempt in busy_office.attempts}
    for attempt in busy_office.attempts:
        counts[attempt.status] += 1
    expected = [value for status in sorted(counts) for value in (status, str(counts[status]))]
    assert cells(page.text) == expected
    export = await browser.post("/dashboard/sql/export", {"text": text, "form": "csv"})
    rows = list(csv.reader(io.StringIO(export.text)))
    assert [value for row in rows[1:] for value in row] == expected
    assert [entry.detail["text"] for entry in busy_office.visitor_log() if entry.target == "sql"] == [text, text]


@pytest.mark.parametrize(
    "text", ["", "DROP TABLE payments", "SELECT * FROM read_csv('/etc/passwd')", "SELECT 1; SELECT 2"]
)
async def test_a_statement_that_is_refused_is_a_message(office: Office, text: str) -> None:
    browser = office.visitor("finance")
    await browser.get("/dashboard/sql")
    for path in ("/dashboard/sql", "/dashboard/sql/export"):
        page = await browser.post(path, {"text": text, "form": "csv"})
        assert (page.status, page.header("content-disposition")) == (400, ""), path


async def test_a_report_of_a_past_day_says_so_and_keeps_it(busy_office: Office) -> None:
    browser = busy_office.visitor("finance")
    assert "/dashboard/reports/sla?as_of=2026-09-30" in (await browser.get("/dashboard/reports?as_of=2026-09-30")).text
    page = await browser.get("/dashboard/reports/status_by_client?as_of=2026-09-30")
    answer = await busy_office.reports.report("status_by_client", as_of=past_instant("2026-09-30"))
    assert len(cells(page.text)) == len(answer.columns) * (len(answer.rows) + 1)
    assert "As of Sep 30, 2026" in page.text[: page.text.index("</title>")]
    assert "/dashboard/reports/status_by_client/csv?as_of=2026-09-30" in page.text
    assert (await browser.get("/dashboard/reports/status_by_client/csv?as_of=2026-09-30")).status == 200
    for path in ("status_by_client", "status_by_client/csv"):
        assert (await browser.get(f"/dashboard/reports/{path}?as_of=2030-01-01")).status == 400, path
