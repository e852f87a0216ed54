"""The commands sql, report and lake, over reports as the composition root makes them."""

import csv
import json
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import click
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from openpyxl import load_workbook

from bursar.clock import from_iso_ms, iso_ms
from bursar.reports.command_line.runs import REPORTS
from bursar.reports.commands import lake, report, sql
from bursar.reports.lake.schema import TABLES
from bursar.reports.named_reports import named_reports
from bursar.reports.output.forms import FORMS
from bursar.reports.reports import Reports
from tests.support.reports.book import Book

Run = Callable[..., Result]


@pytest.fixture
def run(book: Book, tmp_path: Path) -> Run:
    @asynccontextmanager
    async def reports() -> AsyncIterator[Reports]:
        made = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock)
        try:
            yield made
        finally:
            await made.close()

    factory: Callable[[], AbstractAsyncContextManager[Reports]] = reports

    def run(command: click.Command, *arguments: str, typed: str | None = None) -> Result:
        return CliRunner().invoke(command, arguments, obj={REPORTS: factory}, input=typed)

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


def test_a_statement_comes_from_an_argument_a_file_or_standard_input(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "question.sql"
    path.write_text("SELECT 42\nAS answer;\n")
    for arguments, typed in (
        (["SELECT 42 AS answer"], None),
        (["--file", str(path)], None),
        (["--file", "-"], "SELECT 42 AS answer"),
        ([], "SELECT 42 AS answer;"),
    ):
        result = run(sql, *arguments, "--format", "csv", typed=typed)
        assert result.output == "answer\n42\n", arguments
    assert run(sql, "SELECT 1", "--file", str(path)).exit_code == 2


def test_several_statements_are_answered_in_turn_until_one_is_wrong(run: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "questions.sql", tmp_path / "answers.csv"
    path.write_text("SELECT 1 AS a; -- the first;\nSELECT ';' AS b;\n")
    assert run(sql, "--file", str(path), "--format", "csv").output == "a\n1\n\nb\n;\n"
    assert run(sql, "--file", str(path), "--format", "jsonl").output == '{"a": 1}\n{"b": ";"}\n'
    assert run(sql, "--file", str(path)).output.count("1 row") == 2
    assert run(sql, "--file", str(path), "--format", "csv", "--output", str(out)).exit_code == 0
    assert out.read_text() == "a\n1\n\nb\n;\n"
    refused = run(sql, "--file", str(path), "--format", "xlsx", "--output", str(out))
    assert refused.exit_code == 2
    assert "--format xlsx: must be table, csv, json, jsonl for 2 statements" in refused.output
    stopped = run(sql, "SELECT 1 AS a; SELECT nothing; SELECT 2", "--format", "csv")
    assert stopped.exit_code != 0
    assert "nothing" in stopped.output
    assert stopped.output.startswith("a\n1\n")


def test_the_schema_lists_every_table_and_column(run: Run) -> None:
    output = run(sql, "--schema").output
    for table in TABLES:
        assert f"{table.name}: {table.meaning}" in output
        for column in table.columns:
            assert f"  {column.name} " in output
    assert "payment_days: " in output


def test_explain_shows_how_a_statement_runs(book: Book, run: Run) -> None:
    book.pay(3)
    output = run(sql, "EXPLAIN SELECT client, sum(amount) FROM payments GROUP BY client").output
    assert "Hash Group By" in output
    assert "as of" not in output
    assert "only a SELECT" in run(sql, "EXPLAIN DROP TABLE payments").output
    assert "no table lake_payments" in run(sql, "EXPLAIN ANALYZE SELECT * FROM lake_payments").output


def test_every_form_can_be_written_to_a_file(book: Book, run: Run, tmp_path: Path) -> None:
    book.pay(10)
    statement = "SELECT client, amount, created_at FROM payments ORDER BY agency_tracking_id"
    for form in FORMS:
        path = tmp_path / f"answer.{form}"
        result = run(sql, statement, "--format", form, "--output", str(path))
        assert (result.exit_code, result.output) == (0, ""), form
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert pq.read_table(tmp_path / "answer.parquet").num_rows == 10
    assert load_workbook(tmp_path / "answer.xlsx").active.max_row == 11
    assert len((tmp_path / "answer.jsonl").read_text().splitlines()) == 10
    assert {path.suffix for path in tmp_path.iterdir()} >= {f".{form}" for form in FORMS}


def test_an_error_leaves_the_file_as_it_was(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "answer.csv"
    path.write_text("before")
    failing = "SELECT CASE WHEN range = 200000 THEN error('too many') ELSE range END AS n FROM range(300000)"
    result = run(sql, failing, "--format", "csv", "--output", str(path))
    assert result.exit_code == 1
    assert "too many" in result.output
    assert path.read_text() == "before"
    assert not list(tmp_path.glob("*.part"))
    assert run(sql, "SELECT 1", "--format", "csv", "--output", str(tmp_path / "no" / "folder.csv")).exit_code == 1


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


def test_a_report_takes_a_month_a_fee_and_a_client(book: Book, run: Run) -> None:
    book.now = from_iso_ms("2026-04-30T12:00:00.000Z")
    book.move(book.start(amount="1.00", client="exams"), "failed")
    book.move(book.start(amount="2.00", client="dawson"), "failed")
    book.move(book.start(amount="3.00", client="dawson", fee="COPY_FEE"), "failed")
    book.now = from_iso_ms("2026-05-02T12:00:00.000Z")
    book.move(book.start(amount="4.00", client="dawson"), "failed")

    def amounts(*flags: str) -> list[str]:
        output = run(report, "failed_above", "--format", "csv", *flags).output
        return sorted(row["amount"] for row in csv.DictReader(output.splitlines()))

    assert amounts("--month", "2026-04") == ["1.00", "2.00", "3.00"]
    assert amounts("--from", "2026-05-01") == ["4.00"]
    assert amounts("--to", "2026-04-30", "--client", "dawson") == ["2.00", "3.00"]
    assert amounts("--client", "dawson", "--fee", "COPY_FEE") == ["3.00"]


def test_a_table_of_a_report_has_units_and_totals(book: Book, run: Run) -> None:
    book.move(book.start(amount="1000.00"), "failed")
    book.move(book.start(amount="300.50"), "failed")
    lines = run(report, "failed_above").output.splitlines()
    assert "amount (USD)" in lines[0]
    assert "failed_at (New York)" in lines[0]
    assert lines[5].split() == ["Total", "1,300.50"]


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_a_report_is_drawn_to_a_file(book: Book, run: Run, tmp_path: Path, suffix: str) -> None:
    book.pay(20)
    path = tmp_path / f"chart.{suffix}"
    result = run(report, "fees_by_month", "--plot", str(path), "--theme", "dark")
    assert result.exit_code == 0, result.output
    assert "COPY_FEE" in result.output
    assert path.read_bytes().startswith({"svg": b"<?xml", "png": b"\x89PNG"}[suffix])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["weather"], 2, "there is no report 'weather'"),
        (["failed_above", "--param", "above"], 2, "NAME=VALUE"),
        (["failed_above", "--param", "above=1", "--param", "above=2"], 2, "above: must be given once"),
        (["failed_above", "--month", "2026-10", "--to", "2026-10-02"], 2, "until: must be given once"),
        (["failed_above", "--month", "2026-13"], 2, "month: must be a month as YYYY-MM; got '2026-13'"),
        (["failed_above", "--month", "9999-12"], 2, "month: must be a month as YYYY-MM; got '9999-12'"),
        (["failed_above", "--fee", "NO_FEE"], 1, "fee: must be one of none yet; got 'NO_FEE'"),
        (["failed_above", "--plot", "chart.svg"], 1, "report failed_above has no chart"),
        (["trend", "--plot", "chart.gif"], 1, "--plot: must be a file that ends with .svg or .png; got chart.gif"),
        (["failed_above", "--param", "above=much"], 1, "above: must be an amount"),
    ],
)
def test_a_mistake_in_a_report_is_named(run: Run, arguments: list[str], code: int, message: str) -> None:
    result = run(report, *arguments)
    assert result.exit_code == code
    assert message in result.output


def test_the_sql_of_a_report_is_shown_for_either_engine(run: Run) -> None:
    assert "$since" in run(report, "trend", "--sql", "duckdb").output
    shown = run(report, "payments_of_fee", "--sql", "athena", "--fee", "it's", "--month", "2026-11").output
    assert "-- 1. fee: 'it''s'\n-- 2. since: '2026-11-01 04:00:00.000+00:00'\n" in shown
    assert shown.endswith("agency_tracking_id\n")
    refused = run(report, "payments_of_fee", "--sql", "athena")
    assert refused.exit_code == 2
    assert "fee: is required by report payments_of_fee" in refused.output


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


def test_a_command_asks_about_the_past(book: Book, run: Run) -> None:
    book.start(amount="60.00")
    then = iso_ms(book.now)
    book.now += 60
    book.start(amount="60.00")
    count = ("SELECT count(*) AS n FROM payments", "--format", "csv")
    assert run(sql, *count).output == "n\n2\n"
    assert run(sql, *count, "--as-of", then).output == "n\n1\n"
    shown = run(report, "status_by_client", "--as-of", then, "--format", "json")
    assert json.loads(shown.output)["rows"][0]["attempts"] == 1
    refused = run(sql, *count, "--as-of", "yesterday")
    assert (refused.exit_code, "as of: must be an ISO date-time" in refused.output) == (2, True)
