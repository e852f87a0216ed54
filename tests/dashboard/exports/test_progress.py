"""An export's progress is shown while it runs, and it can be stopped from any process of the dashboard."""

import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bursar.dashboard.exports import progress
from bursar.dashboard.exports.progress import ExportProgress, ExportRuns
from bursar.dashboard.sign_in.accounts import Account
from bursar.reports.errors import QueryTooLong
from bursar.reports.sql.answer import AnswerStream, Question
from tests.support.dashboard.office import Office

FINANCE = Account("finance", frozenset({"finance"}))
Between = Callable[[], Awaitable[None]]


class SlowReports:
    """Reports whose streams have one row in a batch, and run ``between`` after the second batch."""

    def __init__(self, office: Office, between: Between) -> None:
        self._reports = office.reports
        self._between = between

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reports, name)

    @asynccontextmanager
    async def stream(self, question: Question) -> AsyncIterator[AnswerStream]:
        async with self._reports.stream(question) as answer:
            yield replace(answer, batches=self._rows(answer.batches))

    async def _rows(self, batches: AsyncIterator[Any]) -> AsyncIterator[Any]:
        number = 0
        async for batch in batches:
            for at in range(batch.num_rows):
                if number == 2:
                    await self._between()
                number += 1
                yield batch.slice(at, 1)


@pytest.fixture(autouse=True)
def noted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Record every batch."""
    monkeypatch.setattr(progress, "NOTE_INTERVAL_S", 0.0)


def shown(text: str) -> str:
    panel = text[text.index('id="export"') : text.index("</section>", text.index('id="export"'))]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", panel))


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
async def test_the_progress_of_an_export_is_the_rows_of_all_rows(office: Office, form: str) -> None:
    await office.fill(7)
    seen: list[str] = []

    async def look() -> None:
        page = await office.visitor("finance").get("/dashboard/exports/r1")
        seen.extend([shown(page.text), page.text])

    browser = office.visitor("finance", reports=SlowReports(office, look))
    await browser.get(f"/dashboard/transactions.{form}?run=r1")
    assert "1 of 7 rows (14.3%)" in seen[0]
    assert 'hx-get="/dashboard/exports/r1"' in seen[1]
    assert '<progress id="export-bar" aria-label="Export" max="1" value="0.14' in seen[1]
    page = await browser.get("/dashboard/exports/r1")
    assert "The file is complete. 7 rows." in shown(page.text)
    assert "hx-get" not in page.text[page.text.index('id="export"') :].partition(">")[0]


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
async def test_an_export_that_is_stopped_ends_without_its_last_rows(
    office: Office, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    await office.fill(7)
    other = office.visitor("finance")
    await other.get("/dashboard/")

    async def stop() -> None:
        assert (await other.post("/dashboard/exports/r1/stop")).header("location") == "/dashboard/exports/r1"

    reports = SlowReports(office, stop)
    page = await office.visitor("finance", reports=reports).get(f"/dashboard/transactions.{form}?run=r1")
    assert list(scratch.iterdir()) == []
    assert page.text.count("\n") <= 3  # the heading and two rows; other forms have not begun
    assert "The export was stopped, and the file is not complete." in shown(
        (await other.get("/dashboard/exports/r1")).text
    )
    assert [entry.detail["change"] for entry in office.visitor_log("changed")] == ["stop"]


async def test_an_export_that_fails_says_so(office: Office) -> None:
    await office.fill(3)

    async def fail() -> None:
        raise QueryTooLong("the statement ran for too long")

    with pytest.raises(QueryTooLong):
        await office.visitor("finance", reports=SlowReports(office, fail)).get("/dashboard/transactions.csv?run=r1")
    page = await office.visitor("finance").get("/dashboard/exports/r1")
    assert "The export failed" in shown(page.text)


async def test_an_export_whose_browser_has_gone_is_stopped(office: Office) -> None:
    runs = ExportRuns(office.state, office.wall)
    run = runs.begin(FINANCE, "r1", None)
    with pytest.raises(GeneratorExit):
        async with run.recorded():
            raise GeneratorExit
    assert runs.progress(FINANCE, "r1") == ExportProgress(0, None, "stopped")
    assert not runs.stop(FINANCE, "r1")


async def test_an_export_belongs_to_one_person(office: Office) -> None:
    runs = ExportRuns(office.state, office.wall)
    runs.begin(Account("eve", frozenset({"finance"})), "r1", 5)
    assert runs.progress(FINANCE, "r1") is None
    assert not runs.stop(FINANCE, "r1")
    page = await office.visitor("finance").get("/dashboard/exports/r1")
    assert "The export begins." in shown(page.text)
    assert (await office.visitor("finance").get("/dashboard/exports/r1?looks=30")).status == 404


async def test_progress_is_forgotten_after_a_day(office: Office) -> None:
    runs = ExportRuns(office.state, office.wall)
    runs.begin(FINANCE, "r1", 5)
    office.wall.pass_s(25 * 3600)
    runs.begin(FINANCE, "r2", 5)
    assert [runs.progress(FINANCE, run) is None for run in ("r1", "r2")] == [True, False]


async def test_reports_and_statements_show_their_rows_too(busy_office: Office) -> None:
    browser = busy_office.visitor("finance")
    page = await browser.get("/dashboard/reports/trend?since=2026-09-01")
    [link] = re.findall(r'data-export="/dashboard/exports/([^"]+-csv)"', page.text)
    assert f"run={link}" in page.text
    await browser.get(f"/dashboard/reports/trend/csv?since=2026-09-01&run={link}")
    assert "The file is complete." in shown((await browser.get(f"/dashboard/exports/{link}")).text)
    await browser.get("/dashboard/sql")
    await browser.post("/dashboard/sql/export", {"text": "SELECT 1 UNION SELECT 2", "form": "csv", "run": "s1"})
    assert "2 rows." in shown((await browser.get("/dashboard/exports/s1")).text)
