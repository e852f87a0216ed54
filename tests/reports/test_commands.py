"""The commands sql, report and lake, over reports as the composition root makes them."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from bursar.reports.commands import REPORTS, lake, report, sql
from bursar.reports.named_reports import named_reports
from bursar.reports.reports import Reports
from tests.support.reports.book import Book

Run = Callable[..., Result]


@pytest.fixture
def run(book: Book, tmp_path: Path) -> Run:
    @asynccontextmanager
    async def reports() -> AsyncIterator[Reports]:
        made = Reports(book, f"file:{tmp_path / 'lake'}", book.clock, source=book.source)
        try:
            yield made
        finally:
            await made.close()

    factory: Callable[[], AbstractAsyncContextManager[Reports]] = reports

    def run(command: click.Command, *arguments: str) -> Result:
        return CliRunner().invoke(command, arguments, obj={REPORTS: factory})

    return run


def test_sql_prints_a_table_csv_or_json(book: Book, run: Run) -> None:
    book.start(amount="60.00")
    statement = "SELECT client, sum(amount) AS total FROM payments GROUP BY client"
    assert "dawson" in run(sql, statement).output
    assert run(sql, statement, "--format", "csv").output.splitlines() == ["client,total", "dawson,60.00"]
    body = json.loads(run(sql, statement, "--format", "json").output)
    assert body["rows"] == [{"client": "dawson", "total": "60.00"}]


def test_a_table_is_cut_with_a_notice_and_csv_has_every_row(run: Run) -> None:
    statement = "SELECT * FROM range(100001)"
    drawn = run(sql, statement).output
    assert drawn.endswith("; there are more: narrow the question, or use --format csv\n")
    assert "10000 rows" in drawn
    assert run(sql, statement, "--format", "csv").output.count("\n") == 100_002


def test_bad_sql_is_one_message_and_exit_code_1(run: Run) -> None:
    result = run(sql, "SELECT nothing FROM payments")
    assert result.exit_code == 1
    assert "nothing" in result.output
    assert "Traceback" not in result.output


def test_report_alone_lists_every_report_with_its_question(run: Run) -> None:
    listed = run(report).output
    for each in named_reports().values():
        assert each.name in listed
        assert each.question in listed


def test_a_report_takes_parameters(book: Book, run: Run) -> None:
    book.move(book.start(amount="100.00"), "failed")
    book.move(book.start(amount="300.00"), "failed")
    output = run(report, "failed_above", "--param", "above=200", "--format", "csv").output
    assert "300.00" in output
    assert "100.00" not in output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["weather"], 2, "there is no report 'weather'"),
        (["failed_above", "--param", "above"], 2, "NAME=VALUE"),
        (["failed_above", "--param", "above=1", "--param", "above=2"], 2, "once"),
        (["failed_above", "--param", "above=much"], 1, "above: must be an amount"),
    ],
)
def test_a_mistake_in_a_report_is_named(run: Run, arguments: list[str], code: int, message: str) -> None:
    result = run(report, *arguments)
    assert result.exit_code == code
    assert message in result.output


def test_the_sql_of_a_report_is_shown_for_either_engine(run: Run) -> None:
    assert "$since" in run(report, "trend", "--sql", "duckdb").output
    assert "AT_TIMEZONE" in run(report, "trend", "--sql", "athena").output


def test_the_reconciliation_reads_a_file(book: Book, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "activity.csv"
    path.write_text("Agency Tracking ID,Pay.gov Tracking ID,Transaction Amount,Transaction Status\nX,P,1.00,Success\n")
    assert "unknown to us" in run(report, "reconciliation", "--activity", str(path), "--format", "csv").output


def test_the_lake_is_written_and_verified(book: Book, run: Run) -> None:
    book.pay(10)
    book.now += 3600
    assert run(lake, "write").output.startswith("moved 8 rows of payments, ")
    result = run(lake, "verify")
    assert result.exit_code == 0
    assert "equal" in result.output


def test_a_lake_that_differs_is_exit_code_1(book: Book, run: Run) -> None:
    book.pay(10)
    book.now += 3600
    run(lake, "write")
    book.attempts.popitem()
    result = run(lake, "verify")
    assert result.exit_code == 1
    assert "DIFFERS" in result.output
