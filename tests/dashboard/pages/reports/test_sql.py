"""The SQL page: saved statements, the state of a past day, the chart of an answer, and the end of a long statement."""

import asyncio
import re
from typing import Any

import pytest

from bursar.dashboard.sign_in.accounts import Account
from bursar.reports.report_parameters import past_instant
from bursar.reports.sql.answer import SqlAnswer
from tests.support.dashboard.office import Office, Visitor

PATH = "/dashboard/sql"
ENDLESS = "SELECT sum(a.range * b.range) FROM range(10000000) AS a, range(10000000) AS b"


async def save(browser: Visitor, name: str, text: str, role: str = "") -> int:
    await browser.get(PATH)
    return (await browser.post(f"{PATH}/queries", {"name": name, "text": text, "role": role})).status


async def test_a_statement_of_several_lines_stays_the_same(office: Office) -> None:
    browser = office.visitor("finance")
    await browser.get("/dashboard/sql")
    page = await browser.post("/dashboard/sql", {"text": "SELECT 1 AS a,\r\n2 AS b"})
    assert page.status == 200
    assert ">SELECT 1 AS a,\n2 AS b</textarea>" in page.text
    assert '<a href="/dashboard/sql" aria-current="page">' in page.text


async def test_a_statement_is_kept_replaced_shared_and_removed(office: Office) -> None:
    finance, auditor = office.visitor("finance"), office.visitor("auditor")
    assert await save(finance, "Mine", "SELECT 1") == 303
    assert await save(finance, "Mine", "SELECT '<b>'", "auditor") == 303
    assert await save(finance, "Private", "SELECT 3") == 303
    page = await auditor.get(PATH)
    assert ">Mine<" in page.text
    assert ">Private<" not in page.text
    assert "SELECT &#39;&lt;b&gt;&#39;</textarea>" in (await auditor.get(f"{PATH}?query=1")).text
    assert (await auditor.get(f"{PATH}?query=2")).status == 404
    assert (await auditor.post(f"{PATH}/queries/1/remove")).status == 404
    await finance.get(PATH)
    assert (await finance.post(f"{PATH}/queries/1/remove")).status == 303
    assert ">Mine<" not in (await auditor.get(PATH)).text


@pytest.mark.parametrize(("name", "text", "role"), [("", "SELECT 1", ""), ("x", " ", ""), ("x", "SELECT 1", "king")])
async def test_a_statement_without_name_text_or_role_is_not_kept(
    office: Office, name: str, text: str, role: str
) -> None:
    assert await save(office.visitor("finance"), name, text, role) == 400


async def test_an_account_with_limits_saves_and_stops_nothing(office: Office) -> None:
    browser = office.visitor(Account("ada", frozenset({"finance"}), clients=frozenset({"dawson"})))
    await browser.get("/dashboard/transactions")
    for path in (f"{PATH}/queries", f"{PATH}/queries/1/remove", f"{PATH}/stop"):
        assert (await browser.post(path, {"name": "x", "text": "SELECT 1"})).status == 403, path


async def test_an_answer_of_a_past_day_names_it(busy_office: Office) -> None:
    browser = busy_office.visitor("finance")
    await browser.get(f"{PATH}?as_of=2026-09-30")
    fields = {"text": "SELECT count(*) AS n FROM payments", "as_of": "2026-09-30"}
    page = await browser.post(PATH, fields)
    answer = await busy_office.reports.sql(fields["text"], as_of=past_instant("2026-09-30"))
    assert f'<td class="number"><bdi>{answer.rows[0][0]}</bdi></td>' in page.text
    assert "As of Sep 30, 2026" in page.text[: page.text.index("</title>")]
    export = await browser.post(f"{PATH}/export", {**fields, "form": "csv"})
    assert export.text.splitlines()[-1] == str(answer.rows[0][0])
    for path in (PATH, f"{PATH}/export"):
        refused = await browser.post(path, {**fields, "as_of": "2030-01-01", "form": "csv"})
        assert refused.status == 400, path


async def test_numbers_by_name_are_drawn_and_other_answers_are_not(busy_office: Office) -> None:
    browser = busy_office.visitor("finance")
    await browser.get(PATH)
    drawn = await browser.post(PATH, {"text": "SELECT fee, status, count(*) AS n FROM payments GROUP BY ALL"})
    picture = drawn.text[drawn.text.index('id="answer-chart"') :].partition("</svg>")[0]
    rows = await busy_office.reports.sql("SELECT DISTINCT fee, status FROM payments")
    assert len(re.findall('<rect class="series-', picture)) == len(rows.rows)
    for text in ("SELECT 1 AS n", "SELECT fee, count(*) - 1000 AS n FROM payments GROUP BY fee"):
        assert 'id="answer-chart"' not in (await browser.post(PATH, {"text": text})).text, text


async def test_a_statement_is_stopped_from_another_process(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, real = asyncio.Event(), office.reports.sql

    async def noted(*arguments: Any, **more: Any) -> SqlAnswer:
        begun.set()
        return await real(*arguments, **more)

    monkeypatch.setattr(office.reports, "sql", noted)
    browser, other, stranger = (office.visitor(role) for role in ("finance", "finance", "auditor"))
    form = await browser.get(PATH)
    for each in (other, stranger):
        await each.get(PATH)
    run = re.findall(r'name="run" value="(\w+)"', form.text)[0]
    running = asyncio.create_task(browser.post(PATH, {"text": ENDLESS, "run": run}))
    await begun.wait()
    await stranger.post(f"{PATH}/stop", {"run": run})
    assert not running.done()
    stopping = await other.post(f"{PATH}/stop", {"run": run, "text": ENDLESS})
    assert "range(10000000)" in stopping.text
    assert "You stopped the statement." in (await running).text
    office.wall.pass_s(1)
    again = await browser.post(PATH, {"text": "SELECT 1", "run": run})
    assert 'id="answer"' in again.text
