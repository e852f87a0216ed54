"""``bursar report --engine athena``, against canned answers: forms, bytes scanned, unknown names, mistakes."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from bursar.reports.athena.engine import AthenaEngine
from bursar.reports.command_line.runs import ATHENA, KNOWN_NAMES
from bursar.reports.commands import report
from bursar.reports.report_questions import KnownNames
from tests.support.reports.canned_athena import CannedAthena, Refuses, row

COLUMNS = [
    {"Name": "day", "Type": "date"},
    {"Name": "attempts", "Type": "bigint"},
    {"Name": "failure_rate", "Type": "double"},
    {"Name": "failure_rate_7_days", "Type": "double"},
]
PAGES = [[row("2026-11-21", "3", "0.25", "0.25")], [row("2026-11-22", "4", None, "0.2")]]


@pytest.fixture
def athena() -> CannedAthena:
    return CannedAthena(COLUMNS, PAGES)


def run(athena: CannedAthena, *arguments: str) -> Result:
    @asynccontextmanager
    async def engine() -> AsyncIterator[AthenaEngine]:
        yield athena.engine()

    command: click.Command = report
    objects = {ATHENA: engine, KNOWN_NAMES: lambda: KnownNames(("COPY_FEE",), ("dawson",))}
    return CliRunner().invoke(command, ["trend", "--engine", "athena", *arguments], obj=objects)


def test_a_report_is_a_table_and_the_bytes_scanned_are_on_standard_error(athena: CannedAthena) -> None:
    result = run(athena, "--month", "2026-11")
    assert result.exit_code == 0, result.output
    assert "2026-11-22         4" in result.stdout
    assert "2 rows, as of 2026-11-22T19:30:00.000Z" in result.stdout
    assert result.stderr == "Athena scanned 2,000 bytes in 3.0 s, in 2 statements; the report is query-2\n"
    assert athena.named("StartQueryExecution")[1]["ExecutionParameters"][:2] == [
        "'2026-11-01 04:00:00.000+00:00'",
        "'2026-12-01 05:00:00.000+00:00'",
    ]


def test_a_report_is_written_in_each_form_and_drawn(athena: CannedAthena, tmp_path: Path) -> None:
    chart, file = tmp_path / "trend.svg", tmp_path / "trend.json"
    result = run(athena, "--format", "json", "--output", str(file), "--plot", str(chart))
    assert (result.exit_code, result.stdout) == (0, "")
    assert [each["attempts"] for each in json.loads(file.read_text())["rows"]] == [3, 4]
    assert chart.read_text().startswith("<?xml")
    lines = run(CannedAthena(COLUMNS, PAGES), "--format", "csv").stdout.splitlines()
    assert lines[1:] == ["2026-11-21,3,0.25,0.25", "2026-11-22,4,,0.2"]


def test_a_fee_that_no_file_names_is_looked_for_in_the_lake() -> None:
    names = CannedAthena([{"Name": "kind", "Type": "varchar"}, {"Name": "name", "Type": "varchar"}], [])
    names.pages = [[row("CLIENT", "exams"), row("FEE", "OLD_FEE")]]
    result = run(names, "--fee", "NEW_FEE")
    assert result.exit_code == 1
    assert "fee: must be one of COPY_FEE, OLD_FEE; got 'NEW_FEE'" in result.output
    known = CannedAthena(COLUMNS, PAGES)
    assert run(known, "--fee", "COPY_FEE", "--client", "dawson").exit_code == 0
    assert len(known.named("StartQueryExecution")) == 2


def test_a_mistake_is_one_line(athena: CannedAthena) -> None:
    assert run(athena, "--as-of", "2026-10-31").exit_code == 2
    failed = run(Refuses(COLUMNS, PAGES))
    assert failed.exit_code == 1
    assert failed.output == (
        "Error: Athena refused StartQueryExecution: InvalidRequestException: WorkGroup is not found.\n"
    )
