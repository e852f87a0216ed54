"""Statements on Athena, against canned answers: start, wait, pages, failure, cancellation, the time limit."""

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from bursar.clock import from_iso_ms
from bursar.reports.athena import engine as engine_module
from bursar.reports.athena.engine import AthenaEngine, watermark_statement
from bursar.reports.athena.statement import AthenaStatement
from bursar.reports.errors import AthenaFailed, QueryTooLarge, QueryTooLong
from tests.support.reports.canned_athena import WATERMARK, CannedAthena, NeverEnds, row

COLUMNS: list[dict[str, Any]] = [
    {"Name": "fee", "Type": "varchar", "Precision": 2147483647},
    {"Name": "collected", "Type": "decimal", "Precision": 38, "Scale": 2},
    {"Name": "at", "Type": "timestamp with time zone"},
    {"Name": "day", "Type": "date"},
    {"Name": "n", "Type": "bigint"},
    {"Name": "rate", "Type": "double"},
    {"Name": "unknown", "Type": "boolean"},
]
PAGES = [
    [row("COPY_FEE", "0.10", "2026-11-22 19:30:00.005000 UTC", "2026-11-22", "1", "0.25", "true")],
    [row(None, None, None, None, None, None, None)],
    [row("", "-5.00", "2026-11-22 19:30:00 -05:00", "2026-01-01", "-2", "1.0E-5", "false")],
]
STATEMENT = AthenaStatement("SELECT fee FROM payments WHERE fee = ?", ("'COPY_FEE'",), ("fee",))


@pytest.fixture
def athena() -> CannedAthena:
    return CannedAthena(COLUMNS, PAGES)


async def test_an_answer_has_typed_rows_of_every_page_as_of_the_watermark(athena: CannedAthena) -> None:
    answer = await athena.engine().answer(STATEMENT, rows_max=10)
    assert answer.types == (
        "VARCHAR", "DECIMAL(38,2)", "TIMESTAMP WITH TIME ZONE", "DATE", "BIGINT", "DOUBLE", "BOOLEAN"
    )  # fmt: skip
    assert answer.as_of == from_iso_ms(WATERMARK)
    assert answer.rows == [
        ("COPY_FEE", Decimal("0.10"), datetime(2026, 11, 22, 19, 30, 0, 5000, UTC), date(2026, 11, 22), 1, 0.25, True),
        (None,) * 7,
        ("", Decimal("-5.00"), datetime(2026, 11, 23, 0, 30, tzinfo=UTC), date(2026, 1, 1), -2, 1e-5, False),
    ]


async def test_a_statement_is_started_in_its_workgroup_and_database_with_its_parameters(athena: CannedAthena) -> None:
    engine = athena.engine()
    await engine.answer(STATEMENT, rows_max=10)
    first, second = athena.named("StartQueryExecution")
    assert first["QueryString"] == watermark_statement().text
    assert second == {
        "QueryString": STATEMENT.text,
        "ClientRequestToken": f"{1:032d}",
        "QueryExecutionContext": {"Catalog": "AwsDataCatalog", "Database": "bursar"},
        "WorkGroup": "finance",
        "ExecutionParameters": ["'COPY_FEE'"],
        "ResultConfiguration": {"OutputLocation": "s3://answers/here/"},
    }
    assert athena.slept == [0.25, 0.375] * 2
    assert [(each.id, each.bytes_scanned, each.seconds) for each in engine.executions] == [
        ("query-1", 1000, 1.5),
        ("query-2", 1000, 1.5),
    ]


async def test_more_rows_than_asked_for_are_an_error_or_cut_off(athena: CannedAthena) -> None:
    with pytest.raises(QueryTooLarge, match="more than 2 rows"):
        await athena.engine().answer(STATEMENT, rows_max=2)
    cut = await CannedAthena(COLUMNS, PAGES).engine().answer(STATEMENT, rows_max=1, cuts=True)
    assert (len(cut.rows), cut.cut) == (1, True)


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
async def test_a_statement_that_ends_without_a_result_is_an_error_with_its_reason(
    athena: CannedAthena, state: str
) -> None:
    athena.state = state
    with pytest.raises(AthenaFailed, match=rf"query-2 {state.lower()}: SYNTAX_ERROR: line 1:8"):
        await athena.engine().answer(STATEMENT, rows_max=10)


async def test_a_statement_that_is_no_longer_wanted_is_stopped() -> None:
    athena = NeverEnds(COLUMNS, PAGES)
    engine = AthenaEngine(athena, engine_module.AthenaPlace(), sleep=lambda seconds: asyncio.sleep(0))
    asked = asyncio.create_task(engine.answer(STATEMENT, rows_max=10))
    await athena.runs.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert athena.named("StopQueryExecution") == [{"QueryExecutionId": "query-2"}]


async def test_a_statement_that_reaches_the_time_limit_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "STATEMENT_TIMEOUT_S", 0.02)
    athena = NeverEnds(COLUMNS, PAGES)
    engine = AthenaEngine(athena, engine_module.AthenaPlace(), sleep=lambda seconds: asyncio.sleep(0.001))
    with pytest.raises(QueryTooLong, match="stopped after 0 s on Athena"):
        await engine.answer(STATEMENT, rows_max=10)
    assert len(athena.named("StopQueryExecution")) == 1


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("timestamp with time zone", "yesterday", "of the column x cannot be read: no time with a zone: 'yesterday'"),
        ("decimal", "much", "a decimal of the column x cannot be read"),
        ("map", "{}", "the column x has the type map, which cannot be read"),
    ],
)
async def test_a_value_that_cannot_be_read_is_named(kind: str, text: str, message: str) -> None:
    athena = CannedAthena([{"Name": "x", "Type": kind, "Precision": 9, "Scale": 2}], [[row(text)]])
    with pytest.raises(AthenaFailed, match=message):
        await athena.engine().answer(STATEMENT, rows_max=10)
