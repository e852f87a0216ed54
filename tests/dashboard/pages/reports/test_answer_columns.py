"""The columns of answers on pages: each has a name in both languages and its unit, and files keep the plain names."""

import csv
import io
import re
from html import unescape
from itertools import chain
from typing import Any

import pytest

from bursar.dashboard.pages.reports.answer_columns import CODE, MONTH, number_text, shown_columns
from bursar.dashboard.text.catalogue import LANGUAGES, text_in
from bursar.dashboard.visit import LANGUAGE_COOKIE
from bursar.reports.lake.twin import DAY_COLUMNS
from bursar.reports.named_reports import named_report, named_reports
from bursar.reports.output.head import COUNTED_UNITS, DURATION, SHARE, USD
from bursar.reports.schema_text import readable_tables
from bursar.reports.sql.answer import SqlAnswer
from tests.support.dashboard.office import Office


def heads(page: str) -> list[str]:
    """Return the heads of the answer's columns."""
    table = page[page.index('id="answer"') :]
    return [unescape(head) for head in re.findall(r"<th[^>]*><bdi>(.*?)</bdi></th>", table)]


def answer_of(*columns: tuple[str, str]) -> SqlAnswer:
    """Return an answer without rows, of (name, SQL type)."""
    names, types = zip(*columns, strict=True)
    return SqlAnswer(names, types, [], as_of=0.0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_column_of_the_schema_has_a_name(language: Any) -> None:
    names = {column.name for _, _, columns in readable_tables() for column in columns} | {*DAY_COLUMNS}
    assert {name for name in names if f"answer_columns.{name}" not in text_in(language).texts} == set()


def test_the_catalogue_explains_the_schema_as_sql_does() -> None:
    english, spanish = text_in("en"), text_in("es")
    for table, meaning, columns in readable_tables():
        assert english(f"sql_tables.{table}") == meaning
        for each in columns:
            key = f"sql_columns.{table}.{each.name}"
            assert english(key) == each.meaning, key
            assert spanish(key) != each.meaning or each.name == "account", key


async def test_the_tables_and_the_completion_are_in_the_language_of_the_person(office: Office) -> None:
    browser = office.visitor("finance")
    browser.cookies[LANGUAGE_COOKIE] = "es"
    page = (await browser.get("/dashboard/sql")).text
    assert "<dd>VARCHAR: la aplicación que pidió el pago</dd>" in page
    assert re.search('<option value="seq" label="[A-Z]+  el número del evento en ese historial">', page)


def test_every_unit_of_a_report_is_shown() -> None:
    units = {column.unit for report in named_reports().values() for column in report.columns}
    named = {USD, SHARE, "hours"}
    assert units - named <= COUNTED_UNITS | {DURATION}
    assert {unit for unit in named if f"answer_units.{unit}" not in text_in("en").texts} == set()


def test_heads_have_units_and_names_of_a_statement_stay() -> None:
    answer = answer_of(
        ("amount", "DECIMAL(38,2)"), ("n", "BIGINT"), ("settled_at", "TIMESTAMP WITH TIME ZONE"), ("fee", "VARCHAR"),
        ("return_code", "VARCHAR"), ("net_amount", "DOUBLE"), ("month", "DATE"),
    )  # fmt: skip
    shown = shown_columns(text_in("es"), answer)
    assert [(each.head, each.unit, each.is_number) for each in shown] == [
        ("Importe (dólares de EE. UU.)", USD, True), ("n", "", True), ("Liquidado (hora del Este)", "", False),
        ("Tasa", "", False), ("Código de devolución", CODE, False), ("Importe neto", "", True), ("Mes", MONTH, False),
    ]  # fmt: skip


def test_a_report_names_the_unit_of_its_column() -> None:
    report = named_report("sla")
    answer = answer_of(("measure", "VARCHAR"), ("met", "DOUBLE"), ("p95_s", "DOUBLE"), ("attempts", "BIGINT"))
    shown = shown_columns(text_in("en"), answer, report)
    assert [each.head for each in shown] == ["Step", "Target met (%)", "95th percentile", "Attempts"]
    assert [number_text(*each) for each in ((0.03125, SHARE), (3700.0, DURATION), (1234, "attempts"))] == [
        "3.12%", "1 h 01 min", "1,234",
    ]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
async def test_no_report_shows_a_plain_name(busy_office: Office, language: Any) -> None:
    browser = busy_office.visitor("auditor")
    browser.cookies[LANGUAGE_COOKIE] = language
    pages = [
        (await browser.get(f"/dashboard/reports/{name}?client=dawson&fee=COPY_FEE")).text for name in named_reports()
    ]
    shown = [heads(page) for page in pages]
    assert min(map(len, shown)) > 2
    assert [head for head in chain(*shown) if "_" in head or head[0].islower()] == []


async def test_a_report_has_the_words_of_the_language_and_a_statement_the_stored_ones(busy_office: Office) -> None:
    browser = busy_office.visitor("finance")
    browser.cookies[LANGUAGE_COOKIE] = "es"
    page = (await browser.get("/dashboard/reports/payments_of_fee?fee=COPY_FEE")).text
    assert {"Procesado", "Tarjeta de crédito o débito"} <= set(re.findall(r"<td [^>]*><bdi>([^<]*)</bdi>", page))
    monthly = (await browser.get("/dashboard/reports/monthly_finance")).text
    assert "<bdi>Copy fee</bdi>" in monthly
    assert "septiembre 2026" in monthly.replace(" de ", " ")
    await browser.get("/dashboard/sql")
    answer = (await browser.post("/dashboard/sql", {"text": "SELECT DISTINCT fee, status FROM payments"})).text
    assert "<bdi>COPY_FEE</bdi>" in answer
    assert "<bdi>processed</bdi>" in answer


async def test_a_file_has_the_plain_names(busy_office: Office) -> None:
    browser = busy_office.visitor("finance")
    page = (await browser.get("/dashboard/reports/monthly_finance")).text
    assert "Collected (US dollars)" in heads(page)
    exported = (await browser.get("/dashboard/reports/monthly_finance/csv")).text
    answer = await busy_office.reports.report("monthly_finance")
    assert tuple(next(csv.reader(io.StringIO(exported)))) == answer.columns
    assert re.findall(r'data-column="([^"]*)"', page) == list(answer.columns)


async def test_a_statement_has_names_money_and_the_meaning_of_codes(busy_office: Office) -> None:
    browser = busy_office.visitor("finance")
    await browser.get("/dashboard/sql")
    text = "SELECT return_code, amount, count(*) AS n FROM payments WHERE return_code IS NOT NULL GROUP BY ALL"
    page = (await browser.post("/dashboard/sql", {"text": text})).text
    assert heads(page) == ["Return code", "Amount (US dollars)", "n"]
    assert '<bdi>4019</bdi> <span class="quiet meaning">Pay.gov has no such application of the agency</span>' in page
    assert '<td class="number">$60.00</td>' in page
