"""The access log: searched, limited to days in Eastern time, exported as CSV, and never changed."""

import csv
import io
import re
import sqlite3
from html import unescape

import pytest

from bursar.clock import from_iso_ms
from bursar.dashboard.pages import access_log
from tests.support.dashboard.office import Office, Visitor


async def test_the_access_log_is_searched_and_exported(office: Office) -> None:
    attempt = await office.initiated("PETITION_FILING_FEE", "60.00", docketNumber="1-26")
    await office.visitor("viewer").get(f"/dashboard/payments/{attempt.client}/{attempt.reference}")
    await office.visitor("viewer").get("/dashboard/access-log")
    browser = office.visitor("auditor")
    page = await browser.get("/dashboard/access-log")
    assert attempt.reference in page.text
    assert "Refused" in page.text
    assert "<bdi>page</bdi></span> <bdi>access_log</bdi>" in page.text
    assert attempt.reference not in (await browser.get("/dashboard/access-log?search=access-log")).text
    assert "No entry matches." in (await browser.get("/dashboard/access-log?search=100%25")).text
    rows = list(csv.DictReader(io.StringIO((await browser.get("/dashboard/access-log.csv")).text)))
    assert [row["action"] for row in rows] == ["exported", "refused", "viewed"]
    assert rows[-1]["target"].endswith(attempt.reference)


@pytest.mark.parametrize("before", ["9" * 19, "9" * 5_000, "-1", "one"])
async def test_the_access_log_begins_at_its_newest_entry_for_an_impossible_number(office: Office, before: str) -> None:
    await office.visitor("viewer").get("/dashboard/access-log")
    page = await office.visitor("auditor").get(f"/dashboard/access-log?before={before}")
    assert page.status == 200
    assert "Refused" in page.text


@pytest.mark.parametrize("statement", ["DELETE FROM access", "UPDATE access SET name = 'eve'"])
async def test_no_entry_is_changed_or_removed(office: Office, statement: str) -> None:
    await office.visitor("viewer").get("/dashboard/access-log")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), office.state.writing() as connection:
        connection.execute(statement)
    assert len(office.visitor_log()) == 1


@pytest.fixture
async def three_days(office: Office) -> Visitor:
    """Return the browser of an auditor; on each of three days a page was refused."""
    for at in ("2026-10-31T13:00:00.000Z", "2026-11-01T03:59:59.999Z", "2026-11-01T04:00:00.000Z"):
        office.wall.now = from_iso_ms(at)
        await office.visitor("viewer").get(f"/dashboard/{'sql' if at.endswith('.999Z') else 'access-log'}")
    office.wall.now = from_iso_ms("2026-11-02T17:00:00.000Z")
    return office.visitor("auditor")


def entries_in(csv_text: str) -> list[tuple[str, str]]:
    """Return the time and the action of each entry of an export, newest first."""
    return [(row["at"][:16], row["action"]) for row in csv.DictReader(io.StringIO(csv_text))]


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ("from=2026-11-01", ["2026-11-01T00:00"]),
        ("to=2026-10-31", ["2026-10-31T23:59", "2026-10-31T09:00"]),
        ("search=sql&from=2026-10-31&to=2026-10-31", ["2026-10-31T23:59"]),
        ("from=2026-11-03", []),
    ],
)
async def test_days_are_those_of_eastern_time_on_the_page_and_in_the_export(
    three_days: Visitor, query: str, refused: list[str]
) -> None:
    page = await three_days.get(f"/dashboard/access-log?{query}")
    assert page.text.count("Refused") == len(refused)
    exported = entries_in((await three_days.get(f"/dashboard/access-log.csv?{query}")).text)
    assert [at for at, action in exported if action == "refused"] == refused


async def test_an_export_of_some_days_says_so_in_the_log(three_days: Visitor, office: Office) -> None:
    await three_days.get("/dashboard/access-log.csv?search=sql&from=2026-10-31&to=2026-11-01")
    [entry] = office.visitor_log("exported")
    assert entry.detail == {"search": "sql", "from": "2026-10-31", "to": "2026-11-01", "form": "csv"}
    assert "<bdi>from</bdi></span> <bdi>2026-10-31</bdi>" in (await three_days.get("/dashboard/access-log")).text


async def test_a_period_by_name_becomes_its_days_and_stays_chosen(three_days: Visitor) -> None:
    page = await three_days.get("/dashboard/access-log?search=sql&period=yesterday&from=&to=")
    days = "search=sql&from=2026-11-01&to=2026-11-01"
    assert (page.status, page.header("location")) == (303, f"/dashboard/access-log?{days}")
    shown = await three_days.get(f"/dashboard/access-log?{days}")
    assert '<option value="yesterday" selected>' in shown.text
    assert f'href="/dashboard/access-log.csv?{days.replace("&", "&amp;")}"' in shown.text


async def test_a_printed_log_names_its_filter(three_days: Visitor) -> None:
    page = await three_days.get("/dashboard/access-log?search=sql&from=2026-10-31&to=2026-11-01")
    words = page.text[page.text.index('id="filter-words"') :].partition("</p>")[0]
    assert words.endswith("Search: sql. From: Oct 31, 2026. To: Nov 1, 2026.")


async def test_an_older_page_keeps_the_days_and_the_search(
    three_days: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "ENTRIES_MAX", 1)
    found, path = [], "/dashboard/access-log?search=refused&from=2026-10-31"
    while path:
        page = (await three_days.get(path)).text
        found += re.findall(r'<time datetime="([^"]{16})', page)
        older = re.search(r'rel="next" href="([^"]*)"', page)
        path = unescape(older[1]) if older else ""
    assert found == ["2026-11-01T00:00", "2026-10-31T23:59", "2026-10-31T09:00"]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("from=31/10/2026", "From: must be a day such as 2026-10-01; got 31/10/2026"),
        ("from=2026-11-02&to=2026-11-01", "To: must not be before the first day; got 2026-11-01"),
        ("period=next_week", "Period: must be one of the choices; got next_week"),
    ],
)
async def test_days_that_cannot_be_used_are_named(three_days: Visitor, query: str, problem: str) -> None:
    page = await three_days.get(f"/dashboard/access-log?{query}")
    assert (page.status, problem in page.text) == (400, True)
    refused = await three_days.get(f"/dashboard/access-log.csv?{query}")
    assert (refused.status, refused.header("content-disposition")) == (303, "")
