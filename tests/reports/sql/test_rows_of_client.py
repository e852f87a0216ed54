"""A question of one client sees the rows of that client in every table, and nothing else of others."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bursar.reports.errors import BadSql, ReportError
from bursar.reports.port import PaymentReports
from bursar.reports.reports import Reports
from bursar.reports.server.client import RemoteReports
from bursar.reports.server.server import served
from bursar.reports.sql.answer import Question
from bursar.reports.sql.views import READABLE
from tests.support.reports.book import DAY_S, Book


@pytest.fixture
def full_book(book: Book) -> Book:
    book.pay(60)
    for number, attempt in enumerate([each for each in book.attempts.values() if each.status == "processed"]):
        book.now += 1
        book.deposit(attempt, f"ticket {number}")
        book.reverse(attempt, "1.00", "refunded")
    return book


@pytest.fixture(params=["in the tail", "in the lake", "served"])
async def asked(
    request: pytest.FixtureRequest, full_book: Book, reports: Reports, tmp_path: Path
) -> AsyncIterator[PaymentReports]:
    if request.param == "in the lake":
        full_book.now += DAY_S
        await reports.write_lake()
    if request.param != "served":
        yield reports
        return
    path = tmp_path / "reports.sock"
    async with served(reports, path, lambda: None):
        yield RemoteReports(path)


@pytest.mark.parametrize("table", READABLE)
async def test_every_table_has_only_the_rows_of_the_client(asked: PaymentReports, table: str) -> None:
    text = f"SELECT client, count(*) AS n FROM {table} GROUP BY client ORDER BY client"
    [whole] = await asked.answers([Question(text)])
    expected = dict(whole.rows)
    for client in ("dawson", "exams", "nobody", "o'neil"):
        [own] = await asked.answers([Question(text, client=client)])
        assert dict(own.rows) == {name: n for name, n in expected.items() if name == client}
    assert table == "refund_requests" or expected.keys() == {"dawson", "exams"}


ATTACKS = (
    "SELECT * FROM all_payments",
    "SELECT * FROM lake_payments",
    "SELECT * FROM tail_payments",
    "SELECT * FROM twin.payments",
    "SELECT * FROM temp.payments",
    "SELECT * FROM main.lake_payments",
    "SELECT (SELECT count(*) FROM all_payments)",
    "WITH all_payments AS (SELECT 1) SELECT * FROM main.all_payments",
    "SELECT * FROM query('SELECT * FROM all_payments')",
    "SELECT * FROM query_table('all_payments')",
    "SELECT sql FROM duckdb_views()",
    "SELECT * FROM duckdb_settings()",
    "DESCRIBE lake_payments",
    "EXPLAIN SELECT * FROM payments",
    "EXPLAIN ANALYZE SELECT * FROM payments",
    "SELECT 1; SELECT 2",
    "COPY payments TO '/tmp/x'",
    "SET VARIABLE x = 1",
)


@pytest.mark.parametrize("attack", ATTACKS)
async def test_no_name_leads_to_the_rows_of_others(full_book: Book, reports: Reports, attack: str) -> None:
    with pytest.raises(ReportError):
        await reports.answers([Question(attack, client="exams")])


@pytest.mark.parametrize(
    ("condition", "table"),
    tuple(
        itertools.product(
            (
                "CASE WHEN client <> 'exams' THEN error('a row of ' || client) ELSE true END",
                "CAST(CASE WHEN client <> 'exams' THEN client ELSE '1' END AS INTEGER) = 1",
            ),
            ("payments", "payment_events", "reversals", "deposits", "payment_days", "payment_postings"),
        )
    ),
)
async def test_no_condition_runs_on_a_row_of_others(asked: PaymentReports, condition: str, table: str) -> None:
    [own] = await asked.answers([Question(f"SELECT count(*) FROM {table} WHERE {condition}", client="exams")])
    [every] = await asked.answers([Question(f"SELECT count(*) FROM {table}", client="exams")])
    assert own.rows == every.rows != [(0,)]


async def test_questions_with_different_clients_are_not_asked_together(full_book: Book, reports: Reports) -> None:
    with pytest.raises(ValueError, match="must have the same client"):
        await reports.answers([Question("SELECT 1", client="exams"), Question("SELECT 1")])


async def test_a_client_learns_nothing_from_an_explained_statement(full_book: Book, reports: Reports) -> None:
    with pytest.raises(BadSql, match="EXPLAIN: must be asked by an operator"):
        await reports.answers([Question("EXPLAIN SELECT 1", client="exams")])
