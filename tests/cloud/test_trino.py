"""The named reports on Trino, the engine behind Athena, over the same files as DuckDB: row by row.

``make test-cloud`` runs this; tools/install-trino installs Trino.
"""

import asyncio
import io
import json
import math
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bursar.clock import iso_ms
from bursar.reports.athena.statement import athena_statement, view_select
from bursar.reports.lake.definitions import definitions, trino_text
from bursar.reports.lake.lake import Lake
from bursar.reports.named_reports import named_report, named_reports
from bursar.reports.output.forms import write_answer
from bursar.reports.reports import Reports
from bursar.reports.sql.views import VIEWS
from tests.support.bootstrap.moto_aws import MotoAws
from tests.support.cloud.athena_facade import PAGE_ROWS, SECRETS, Facade, athena_over
from tests.support.cloud.months import months_of_commits
from tests.support.cloud.trino import Trino, catalog_of_folder, catalog_of_glue, running_trino, why_absent
from tests.support.reports.book import DAY_S, Book

pytestmark = [
    pytest.mark.skipif(why_absent() is not None, reason=str(why_absent())),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(1800),  # the first test makes the lake and starts Trino
]
MONTHS = 3
PAYMENTS_A_MONTH = 135
CLOUD_LAKE = "s3://lake/cloud"
REQUIRED = {"client": "exams", "fee": "COPY_FEE"}
"""A value for each parameter that some report requires."""


@dataclass
class Asked:
    """A lake in a folder and one on S3 with Glue, DuckDB's reports over each, and Trino over their files."""

    book: Book
    reports: Reports
    cloud_book: Book
    cloud_reports: Reports
    trino: Trino
    folder: Path


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """Yield the address of an S3 and a Glue; the environment has keys for them."""
    with pytest.MonkeyPatch.context() as patch, MotoAws().running() as served:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "y",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)
        yield served.url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(aws: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asked]:
    folder = tmp_path_factory.mktemp("lake")
    book = Book()
    reports = Reports(book.source, f"file:{folder}", book.clock)
    await months_of_commits(book, reports, MONTHS, PAYMENTS_A_MONTH)
    cloud_book = Book()
    options = f"glue.endpoint={aws}&glue.region=us-east-1&s3.endpoint={aws}&s3.region=us-east-1"
    cloud_reports = Reports(cloud_book.source, f"{CLOUD_LAKE}?{options}", cloud_book.clock)
    await months_of_commits(cloud_book, cloud_reports, 1, PAYMENTS_A_MONTH)
    copy = tmp_path_factory.mktemp("copy")
    with Lake.at(f"file:{copy}").catalog():  # makes an empty catalog
        catalogs = {"lake": catalog_of_folder(folder), "copy": catalog_of_folder(copy)}
    catalogs["cloud"] = catalog_of_glue(aws, CLOUD_LAKE)
    with running_trino(tmp_path_factory.mktemp("trino"), catalogs) as trino:
        yield Asked(book, reports, cloud_book, cloud_reports, trino, folder)
    await reports.close()
    await cloud_reports.close()


def alike(value: Any) -> Any:
    """Return a value of either engine in one form: instants, and numbers to the ninth digit."""
    if isinstance(value, datetime):
        return round(value.timestamp() * 1_000_000)
    return float(f"{value:.9g}") if isinstance(value, float) else value


def alike_rows(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(alike(value) for value in row) for row in rows]


def variants(name: str, book: Book) -> Iterator[dict[str, str]]:
    """Yield parameters: the defaults, one month, one fee, one client, and a later time of judgement."""
    report = named_report(name)
    required = {each.name: REQUIRED[each.name] for each in report.parameters if each.default is None}
    now = {"now": iso_ms(book.now + 30 * DAY_S)} if "now" in report.parameter_names else {}
    yield required
    if now:
        yield required | now
    if "since" in report.parameter_names:
        yield required | now | {"since": "2026-05-01", "until": "2026-05-31"}
    yield required | now | {"fee": "it's a fee"}
    yield required | now | {"client": "dawson"}
    if name == "sla":
        yield now | {"process_target_s": "0.5", "settle_target_days": "1.25", "stuck_days": "20"}


@pytest.mark.parametrize("name", sorted(named_reports()))
async def test_a_report_has_the_same_rows_on_both_engines(asked: Asked, name: str) -> None:
    rows = 0
    for given in variants(name, asked.book):
        report = named_report(name)
        statement = athena_statement(report, report.bind(given, asked.book.now))
        theirs = asked.trino.ask("lake", statement.text, statement.parameters)
        ours = await asked.reports.report(name, given)
        assert theirs.columns == ours.columns
        assert alike_rows(theirs.rows) == alike_rows(ours.rows), given
        rows += len(ours.rows)
    assert rows > 0


@pytest.mark.parametrize("name", sorted(named_reports()))
async def test_a_report_over_s3_and_glue_has_the_same_rows_on_both_engines(asked: Asked, name: str) -> None:
    given = next(variants(name, asked.cloud_book))
    report = named_report(name)
    statement = athena_statement(report, report.bind(given, asked.cloud_book.now))
    theirs = asked.trino.ask("cloud", statement.text, statement.parameters)
    ours = await asked.cloud_reports.report(name, given)
    assert alike_rows(theirs.rows) == alike_rows(ours.rows)
    assert ours.rows or name == "came_back"


@pytest.fixture
def facade(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Iterator[Facade]:
    """Yield Athena over the lake; the environment leads the commands to it."""
    with athena_over(asked.trino, "lake") as served:
        [(access_key, secret)] = SECRETS.items()
        for name, value in {
            "AWS_ENDPOINT_URL_ATHENA": served.address,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
        yield served


@pytest.mark.parametrize("name", ["monthly_finance", "sla", "deposited", "unresolved"])
async def test_the_command_answers_from_athena_as_from_duckdb(
    asked: Asked, facade: Facade, name: str, tmp_path: Path
) -> None:
    given = {"now": iso_ms(asked.book.now), "since": "2026-01-01"}
    asked_with = {key: value for key, value in given.items() if key in named_report(name).parameter_names}
    file = tmp_path / "answer.json"
    arguments = [f"--param={key}={value}" for key, value in asked_with.items()]
    output = await command("report", name, "--engine", "athena", *arguments, "--format", "json", "--output", str(file))
    assert re.search(r"Athena scanned [\d,]{5,} bytes in [\d.]+ s, in 2 statements", output)
    theirs = json.loads(file.read_text())
    answer = await asked.reports.report(name, asked_with)
    ours = io.BytesIO()
    write_answer(answer, "json", ours, named_report(name).subject(asked_with))
    assert theirs["rows"] == json.loads(ours.getvalue())["rows"]
    assert theirs.get("totals") == json.loads(ours.getvalue()).get("totals")
    pages = [request for operation, request in facade.requests if operation == "GetQueryResults"]
    assert len(pages) == 1 + math.ceil((len(answer.rows) + 1) / PAGE_ROWS)
    watermarks = [table.watermark for table in (await asked.reports.lake_state()).values()]
    assert theirs["asOf"] == iso_ms(min(each for each in watermarks if each is not None))


async def test_a_statement_that_fails_is_one_line(asked: Asked, facade: Facade) -> None:
    output = await command("report", "trend", "--engine", "athena", database="nowhere", code=1)
    assert re.search(r"Error: Athena: the statement [0-9a-f-]{36} failed: .*nowhere", output), output


async def test_a_month_reads_fewer_files_and_bytes_than_all_months(asked: Asked) -> None:
    for name in ("monthly_finance", "failed_above", "trend"):
        report = named_report(name)
        whole, month = (
            athena_statement(report, report.bind(given, asked.book.now))
            for given in ({}, {"since": "2026-05-01", "until": "2026-05-31"})
        )
        of_whole = asked.trino.ask("lake", whole.text, whole.parameters)
        of_month = asked.trino.ask("lake", month.text, month.parameters)
        assert of_month.bytes_read < of_whole.bytes_read / 2, name
        assert of_month.splits < of_whole.splits, name


async def test_the_definitions_register_the_tables_in_another_catalog(asked: Asked) -> None:
    for statement in trino_text(definitions(Lake.at(f"file:{asked.folder}"))).rstrip(";").split(";"):
        asked.trino.ask("copy", statement)
    report = named_report("monthly_finance")
    finance = athena_statement(report, report.bind({}, asked.book.now))
    theirs = asked.trino.ask("copy", finance.text, finance.parameters)
    assert alike_rows(theirs.rows) == alike_rows((await asked.reports.report("monthly_finance")).rows)


@pytest.mark.parametrize("name", [view.name for view in VIEWS])
async def test_a_view_has_the_same_rows_on_both_engines(asked: Asked, name: str) -> None:
    theirs = asked.trino.ask("lake", view_select(name))
    ours = await asked.reports.sql(f"SELECT * FROM {name}")
    assert theirs.columns == ours.columns
    assert sorted(alike_rows(theirs.rows), key=repr) == sorted(alike_rows(ours.rows), key=repr)
    assert (len(ours.rows) > 0) == (name == "payment_postings")


async def command(*arguments: str, database: str | None = None, code: int = 0) -> str:
    """Return what the command printed on standard error; it must end with this exit code."""
    environment = os.environ | ({"BURSAR_ATHENA_DATABASE": database} if database else {})
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "bursar", *arguments, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, output = await process.communicate()
    assert process.returncode == code, output
    return output.decode()
