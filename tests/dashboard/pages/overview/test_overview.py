"""The overview: the sum of the transactions behind every number is the number, for every period and account."""

import csv
import io
import re
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from bursar.clock import from_iso_ms
from bursar.dashboard.queries.periods import PERIODS
from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.upkeep_notes import UpkeepNotes
from bursar.dashboard.visit import LANGUAGE_COOKIE
from bursar.payments import Attempt, Outcome
from bursar.reports.errors import ReportError
from tests.support.dashboard.office import Office, Visitor
from tests.support.dashboard.receiver import FakeReceiver, with_dead_letter
from tests.support.portal.fake_reports import FailingReports

CHART_LINKS_STEP = 5
"""One of so many links of the chart's table is followed: another test adds up all its numbers."""
LINK = re.compile(r"<a [^>]*\bdata-(?:count|amount|reversed)=[^>]*>")
SETTLING = Outcome("pending", "3FPAID00002", "Received", "ACH")


def attributes(tag: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}


def shown_total(text: str, name: str) -> str:
    found = re.search(rf'id="total-{name}">([^<]*)<', text)
    return found[1] if found else "$0.00"


def dollars(text: str) -> Decimal:
    return Decimal(re.sub(r"[^\d.]", "", text))


async def assert_every_number_is_its_sum(browser: Visitor, target: str) -> int:
    page = await browser.get(target)
    assert page.status == 200
    table = re.search(r'id="chart-table">.*?</table>', page.text, re.DOTALL)
    assert table is not None
    of_chart = list(dict.fromkeys(LINK.findall(table[0])))
    beside = list(dict.fromkeys(LINK.findall(page.text.replace(table[0], ""))))
    links = [*beside, *of_chart[::CHART_LINKS_STEP]]
    for tag in links:
        link = attributes(tag)
        rows = await browser.get(link["href"])
        assert rows.status == 200, link
        if "data-count" in link:
            assert dollars(shown_total(rows.text, "count")) == Decimal(link["data-count"]), link
        if "data-amount" in link:
            assert dollars(shown_total(rows.text, "amount")) == Decimal(link["data-amount"]), link
        if "data-reversed" in link:
            assert dollars(shown_total(rows.text, "reversed")) == Decimal(link["data-reversed"]), link
    return len(links)


@pytest.mark.parametrize("period", ["last_30_days", "last_quarter", "this_fiscal_year", "yesterday"])
async def test_every_number_is_the_sum_of_its_transactions(busy_office: Office, period: str) -> None:
    leased = await busy_office.ledger.take_lease(
        await busy_office.initiated("PETITION_FILING_FEE", "60.00", docketNumber="1-26"), "worker-1", 30
    )
    await busy_office.ledger.record_unknown(leased, "the reply was lost", actor="portal")
    await busy_office.completed(SETTLING, "PETITION_FILING_FEE", "60.00", docketNumber="2-26")
    browser = busy_office.visitor("viewer")
    links = await assert_every_number_is_its_sum(browser, f"/dashboard/?period={period}")
    assert links > (8 if period == "yesterday" else 20)


async def test_every_number_of_a_past_day_is_the_sum_of_the_transactions_of_then(busy_office: Office) -> None:
    browser = busy_office.visitor("viewer")
    assert await assert_every_number_is_its_sum(browser, "/dashboard/?period=last_30_days&as_of=2026-10-05") > 12
    page = await browser.get("/dashboard/?period=last_30_days&as_of=2026-10-05")
    assert "<title>Overview · As of Oct 5, 2026" in page.text
    assert 'name="from" type="date" value="2026-09-06"' in page.text  # 30 days until then, not until now
    links = [attributes(tag) for tag in LINK.findall(page.text)]
    assert {link["href"].rpartition("&")[2] for link in links} == {"as_of=2026-10-05"}
    assert "data-attention" not in page.text
    until_then = (each for each in busy_office.attempts if each.created_at < from_iso_ms("2026-10-06T04:00:00.000Z"))
    since = from_iso_ms("2026-09-06T04:00:00.000Z")
    started = sum(each.created_at >= since for each in until_then)
    assert f'data-count="{started}"' in page.text
    assert "as_of=2026-10-05" in page.text[page.text.index("/charts/collected.csv") :][:90]
    chart = "/dashboard/charts/collected.csv?period=last_30_days&as_of="
    assert (await browser.get(f"{chart}2026-10-05")).text != (await browser.get(chart)).text
    for path in ("/dashboard/?as_of=2030-01-01", f"{chart}never"):
        assert (await browser.get(path)).status == 400, path


async def test_an_account_with_limits_has_its_own_sums(busy_office: Office) -> None:
    limited = Account("ada", frozenset({"viewer"}), clients=frozenset({"dawson"}), fees=frozenset({"COPY_FEE"}))
    browser = busy_office.visitor(limited)
    await assert_every_number_is_its_sum(browser, "/dashboard/?period=last_quarter")
    page = await browser.get("/dashboard/?period=last_quarter")
    assert "Petition filing fee" not in page.text


@pytest.mark.parametrize("period", PERIODS)
async def test_every_period_has_a_page_also_without_payments(office: Office, period: str) -> None:
    assert (await office.visitor("viewer").get(f"/dashboard/?period={period}")).status == 200


QUARTER = "/dashboard/?period=last_quarter"


def chart_table(text: str) -> list[list[str]]:
    """Return the cells of the table behind the chart, row by row."""
    table = re.search(r'id="chart-table">.*?</table>', text, re.DOTALL)
    assert table is not None
    rows = re.findall(r"<tr.*?</tr>", table[0], re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[unescape(re.sub(r"<[^>]*>", "", cell)).strip() for cell in row] for row in cells]


def number_in(cell: str) -> Decimal:
    return dollars(cell.rpartition(": ")[2] or "0") if cell else Decimal(0)


@pytest.mark.parametrize("measure", ["amount", "number"])
@pytest.mark.parametrize("by", ["fee", "status"])
async def test_the_chart_and_its_table_have_what_was_collected(busy_office: Office, by: str, measure: str) -> None:
    """Compare the sums of the chart with the numbers of the transactions, in the table and in the file."""
    browser = busy_office.visitor("viewer")
    shown = f"from=2026-10-01&to=2026-11-20&by={by}&measure={measure}"
    page = await browser.get(f"/dashboard/?{shown}")
    _, *places, sums = chart_table(page.text)
    dated = "dated=collected&" if by == "fee" else ""
    totals = {}
    for name, days in {"shown": "from=2026-10-01&to=2026-11-20", "before": "from=2026-08-11&to=2026-09-30"}.items():
        found = await browser.get(f"/dashboard/transactions?{dated}{days}")
        totals[name] = dollars(shown_total(found.text, "amount" if measure == "amount" else "count"))
    assert min(totals.values()) > 0
    assert [number_in(cell) for cell in sums[-2:]] == [totals["shown"], totals["before"]]
    assert sum(number_in(cell) for cell in sums[1:-2]) == totals["shown"]
    for place in range(1, len(sums)):
        assert sum(number_in(row[place]) for row in places) == number_in(sums[place])
    sent = await browser.get(f"/dashboard/charts/collected.csv?{shown}")
    rows = list(csv.DictReader(io.StringIO(sent.text)))
    column = "amount" if measure == "amount" else "attempts"
    for name, total in totals.items():
        assert sum(Decimal(row[column]) for row in rows if row["period"] == name) == total
    assert all(row[by] for row in rows if row["period"] == "shown")


async def test_the_period_before_is_a_line_in_the_chart_and_in_its_files(busy_office: Office) -> None:
    browser = busy_office.visitor("viewer")
    page = await browser.get("/dashboard/?period=last_month&by=status&measure=number")
    name = "Total of the period before, Sep 1, 2026 to Sep 30, 2026"
    assert page.text.count(name) == 2  # in the legend and above its column
    assert re.search(r'<polyline class="chart__before" points="[\d., ]+"', page.text)
    header, first, *_, last_day, sums = chart_table(page.text)
    assert header[-1] == name
    assert (first[0], first[-1].partition(":")[0]) == ("Oct 1, 2026", "Sep 1, 2026")
    assert (last_day[0], last_day[-1]) == ("Oct 31, 2026", "")  # September has no day in its place
    before = await browser.get("/dashboard/transactions?from=2026-09-01&to=2026-09-30")
    assert number_in(sums[-1]) == dollars(shown_total(before.text, "count")) > 0
    for form, begin in (("svg", b"<?xml"), ("png", b"\x89PNG")):
        picture = await browser.get(f"/dashboard/charts/collected.{form}?period=last_month&by=status")
        assert picture.body.startswith(begin)
        assert form == "png" or name in picture.text
    assert (await browser.get("/dashboard/charts/collected.pdf")).status == 404
    browser.cookies[LANGUAGE_COOKIE] = "es"
    spanish = (await browser.get("/dashboard/charts/collected.svg?period=last_month&by=status")).text
    assert all(
        text in spanish for text in ('lang="es"', ">1 oct 2026<", "Procesado de $", ", por Día, de 1 oct 2026 a ")
    )


async def test_the_choice_of_the_chart_is_in_its_url_and_stays(busy_office: Office) -> None:
    browser = busy_office.visitor("viewer")
    page = await browser.get(f"{QUARTER}&by=status&measure=number")
    assert "Started, by status (number of attempts)" in page.text
    offered = [attributes(tag) for tag in re.findall(r'<a href="[^"]*#chart-heading"[^>]*>', page.text)]
    days = "/dashboard/?from=2026-07-01&to=2026-09-30"
    kept = f"{days}&by=status&measure=number#chart-heading"
    assert [each["href"] for each in offered] == [
        f"{days}&measure=number#chart-heading", kept, f"{days}&by=status#chart-heading", kept,
    ]  # fmt: skip
    assert [each.get("aria-current") for each in offered] == [None, "true", None, "true"]
    assert '<input type="hidden" name="by" value="status">' in page.text
    assert 'charts/collected.png?from=2026-07-01&amp;to=2026-09-30&amp;by=status&amp;measure=number"' in page.text
    unknown = await browser.get(f"{QUARTER}&by=payer&measure=weight")
    assert "Collected by fee (US dollars)" in unknown.text
    spanish = await browser.get(f"{QUARTER}&by=status", accept_language="es")
    assert "Total del periodo anterior" in spanish.text
    assert "Iniciado, por estado (dólares)" in spanish.text


async def test_dead_letters_and_audit_findings_are_links_to_their_rows(office: Office, tmp_path: Path) -> None:
    webhooks, _ = await with_dead_letter(office, FakeReceiver())
    upkeep = UpkeepNotes(tmp_path)
    upkeep.keep("audit", office.wall(), findings=2, lines=["unique: one", "unique: two"])
    upkeep.keep("chain_audit", office.wall())
    parts: dict[str, Any] = {"webhooks": webhooks, "upkeep": upkeep}
    page = await office.visitor("operator", **parts).get("/dashboard/")
    assert 'href="/dashboard/operations#dead-letters" data-dead="1">1 webhook delivery was given up' in page.text
    assert 'href="/dashboard/operations#audit" data-findings="2">2 findings in the last audit' in page.text
    assert page.text.count("data-findings") == 1
    shown = await office.visitor("operator", **parts).get("/dashboard/operations")
    assert shown.text.count("data-dead-row") == 1
    assert re.findall(r"unique: \w+", shown.text) == ["unique: one", "unique: two"]
    limited = Account("eve", frozenset({"operator"}), clients=frozenset({"exams"}))
    for other in (office.visitor("viewer", **parts), office.visitor(limited, **parts)):
        page = await other.get("/dashboard/")
        assert not re.search("data-dead|data-findings", page.text)
    assert "data-dead-row" not in (await office.visitor(limited, **parts).get("/dashboard/operations")).text


async def test_what_needs_attention_is_counted_and_listed(office: Office) -> None:
    paid = await office.completed(
        Outcome("processed", "3FPAID00001", "Success", "PLASTIC_CARD"), "PETITION_FILING_FEE", "60.00", docketNumber="1"
    )
    await office.ledger.contradictions.keep(paid, Outcome("failed", "3FPAID00001", "Failed", "PLASTIC_CARD"))
    changed, _ = await office.ledger.reversals.request_refund(paid, Decimal("20.00"), by="bob", reason="twice")
    browser = office.visitor("viewer")
    page = await browser.get("/dashboard/")
    assert "/dashboard/attention#contradicted" in page.text
    assert 'data-attention="contradicted 1">1 attempt contradicts' in page.text
    assert 'data-refunds="1">1 refund waits' in page.text
    listed = await browser.get("/dashboard/attention")
    assert listed.text.count("data-row") == 2
    assert f"/payments/{changed.client}/{changed.reference}" in listed.text
    other = office.visitor(Account("eve", frozenset({"viewer"}), clients=frozenset({"exams"})))
    assert "data-attention" not in (await other.get("/dashboard/")).text
    assert (await other.get("/dashboard/attention")).text.count("data-row") == 0


SECTION = re.compile(r'<section class="panel" id="(\w+)".*?</section>', re.DOTALL)


async def unknown_attempt(office: Office, number: int) -> Attempt:
    """Return an attempt whose outcome became unknown now."""
    started = await office.initiated("PETITION_FILING_FEE", "60.00", docketNumber=f"{number}")
    leased = await office.ledger.take_lease(started, "worker-1", 30)
    return await office.ledger.record_unknown(leased, "the reply was lost", actor="portal")


async def test_no_attempt_is_counted_twice_and_each_count_has_its_rows(office: Office) -> None:
    """Make two unknown outcomes (a person must settle one, which also contradicts), a contradiction, a stuck one."""
    old = await unknown_attempt(office, 1)
    await office.ledger.contradictions.keep(old, Outcome("failed", "3FPAID00009", "Failed", "PLASTIC_CARD"))
    await office.initiated("PETITION_FILING_FEE", "60.00", docketNumber="2")
    office.wall.pass_s(3 * 86_400)
    await unknown_attempt(office, 3)
    paid = await office.completed(
        Outcome("processed", "3FPAID00001", "Success", "PLASTIC_CARD"), "PETITION_FILING_FEE", "60.00", docketNumber="4"
    )
    await office.ledger.contradictions.keep(paid, Outcome("failed", "3FPAID00001", "Failed", "PLASTIC_CARD"))
    browser = office.visitor("viewer")
    page = await browser.get("/dashboard/?period=this_fiscal_year")
    links = re.findall(r'href="/dashboard/attention#(\w+)" data-attention="(\w+) (\d+)"', page.text)
    assert links == [("unknown", "unknown", "1"), ("contradicted", "contradicted", "1"), ("stuck", "stuck", "1")]
    unknown = re.search(r"Outcome unknown: <a [^>]*>2 · \$120.00</a>; <a [^>]*>1 of them needs a person</a>", page.text)
    assert unknown is not None
    listed = await browser.get("/dashboard/attention")
    rows = {found[1]: re.findall(r"/payments/[^\"]+", found[0]) for found in SECTION.finditer(listed.text)}
    assert {name: len(found) for name, found in rows.items()} == {
        "unknown": 1, "contradicted": 1, "stuck": 1, "refunds": 0,
    }  # fmt: skip
    every = [row for found in rows.values() for row in found]
    assert len(set(every)) == 3
    failing = FailingReports(ReportError("the lake is gone"))
    alone = await office.visitor("viewer", reports=failing).get("/dashboard/attention")  # the ledger gives the same
    assert [found[0] for found in SECTION.finditer(alone.text)] == [found[0] for found in SECTION.finditer(listed.text)]
    assert listed.text.count("the reply was lost; ") == 1  # both reasons, in one row


async def test_the_reasons_of_failures_have_the_meaning_of_their_codes(busy_office: Office) -> None:
    page = (await busy_office.visitor("viewer").get("/dashboard/?period=last_quarter")).text
    reasons = page[page.index('id="reasons-heading"') :]
    assert '<bdi>4019</bdi> <span class="quiet meaning">Pay.gov has no such application of the agency</span>' in reasons
