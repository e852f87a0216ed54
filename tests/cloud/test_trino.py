"""The named reports on Trino, the engine behind Athena, over the same files as DuckDB: row by row.

``make test-cloud`` runs this; tools/install-trino installs Trino.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bursar.clock import iso_ms
from bursar.reports.athena.statement import athena_statement
from bursar.reports.named_reports import named_report, named_reports
from bursar.reports.reports import Reports
from tests.support.cloud.months import months_of_commits
from tests.support.cloud.trino import Trino, catalog_of_folder, running_trino, why_absent
from tests.support.reports.book import DAY_S, Book

pytestmark = [
    pytest.mark.skipif(why_absent() is not None, reason=str(why_absent())),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(1800),  # the first test makes the lake and starts Trino
]
MONTHS = 3
PAYMENTS_A_MONTH = 135
REQUIRED = {"client": "exams", "fee": "COPY_FEE"}
"""A value for each parameter that some report requires."""


@dataclass
class Asked:
    """A lake, DuckDB's reports over it, and Trino over its files."""

    book: Book
    reports: Reports
    trino: Trino
    folder: Path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asked]:
    folder = tmp_path_factory.mktemp("lake")
    book = Book()
    reports = Reports(book.source, f"file:{folder}", book.clock)
    await months_of_commits(book, reports, MONTHS, PAYMENTS_A_MONTH)
    with running_trino(tmp_path_factory.mktemp("trino"), {"lake": catalog_of_folder(folder)}) as trino:
        yield Asked(book, reports, trino, folder)
    await reports.close()


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
