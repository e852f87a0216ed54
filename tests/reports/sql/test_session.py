"""A session: allowed statements, refused statements, and the message for each mistake."""

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bursar.reports.errors import BadSql, LakeBroken, QueryTooLarge, QueryTooLong, ReportError
from bursar.reports.lake.lake import Lake
from bursar.reports.lake.lake_state import TableState
from bursar.reports.lake.schema import PAYMENTS, TABLES, arrow_schema
from bursar.reports.sql import session
from bursar.reports.sql.answer import Question, SqlAnswer
from bursar.reports.sql.session import Session
from bursar.reports.sql.views import DERIVED_COLUMNS, readable_columns
from bursar.reports.tail.tail import TailTables

NOTHING = TailTables({schema.name: arrow_schema(schema).empty_table() for schema in TABLES}, ())


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Session]:
    made = Session(Lake.at(f"file:{tmp_path}/lake").state(), {})
    yield made
    made.close()


def ask(opened: Session, text: str, **parameters: Any) -> SqlAnswer:
    cursor = opened.cursor()
    try:
        return opened.ask(cursor, [Question(text, parameters)], NOTHING, 0.0, lambda: True)[0]
    finally:
        cursor.close()


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO payments VALUES (1)",
        "CREATE TABLE x (y INTEGER)",
        "DROP VIEW payments",
        "COPY payments TO '/tmp/stolen.csv'",
        "ATTACH '/tmp/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '64GB'",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "EXPORT DATABASE '/tmp/x'",
        "VACUUM",
    ],
)
def test_only_a_select_is_allowed(opened: Session, text: str) -> None:
    with pytest.raises(BadSql, match="only a SELECT"):
        ask(opened, text)


@pytest.mark.parametrize(
    "source",
    [
        "read_csv('/etc/passwd')",
        "read_text('/etc/passwd')",
        "read_parquet('https://example.com/x.parquet')",
        "'/etc/passwd'",
        "glob('/*')",
        "duckdb_settings()",
        "query('SELECT 1')",
        "query_table('payments')",
        "information_schema.tables",
        "lake_payments",
        "main.payments",
        "sniff_csv('/etc/passwd')",
        "parquet_metadata('/etc/passwd')",
        "nowhere",
    ],
)
@pytest.mark.parametrize(
    "around",
    [
        "SELECT * FROM {}",
        "SELECT (SELECT count(*) FROM {})",
        "WITH a AS (SELECT * FROM {}) SELECT * FROM a",
        "SELECT 1 UNION ALL SELECT 2 FROM payments, {}",
        "DESCRIBE SELECT * FROM {}",
    ],
)
def test_only_the_two_tables_can_be_read(opened: Session, around: str, source: str) -> None:
    with pytest.raises(BadSql, match=r"there is no table|may not be used here"):
        ask(opened, around.format(source))


def test_duckdb_itself_refuses_files_and_settings(opened: Session, tmp_path: Path) -> None:
    import duckdb

    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    cursor = opened.cursor()
    for text in (f"SELECT * FROM read_csv('{secret}')", f"ATTACH '{tmp_path}/x.db'", "SET threads = 1"):
        with pytest.raises(duckdb.Error, match=r"disabled|locked"):
            cursor.execute(text)
    cursor.close()


def test_a_python_variable_is_no_table(opened: Session) -> None:
    import duckdb

    cursor = opened.cursor()
    NOTHING_HERE = NOTHING.tables["payments"]  # noqa: N806 - a name that DuckDB could find in this frame
    assert NOTHING_HERE.num_rows == 0
    with pytest.raises(duckdb.CatalogException):
        cursor.execute("SELECT * FROM NOTHING_HERE")
    cursor.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (" ; ", "empty"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELEC 1", "SELEC"),
        ("SELECT amonut FROM payments", "amonut"),
        ("SELECT CAST('x' AS INTEGER)", "Could not convert"),
        ("SELECT $fee", "fee"),
        ("SELECT no_such_function(1)", "no_such_function"),
        ("SELECT '" + "x" * 70_000 + "'", "at most"),
        ("SELECT " + "(" * 5000 + "1" + ")" * 5000, "expression depth"),
    ],
)
def test_a_bad_statement_says_what_is_wrong(opened: Session, text: str, message: str) -> None:
    with pytest.raises(BadSql, match=message):
        ask(opened, text)


def test_queries_without_other_sources_are_allowed(opened: Session) -> None:
    assert ask(opened, "SELECT 1;").rows == [(1,)]
    assert ask(opened, "FROM payments").rows == []
    assert ask(opened, "WITH payments AS (SELECT 7 AS x) SELECT x FROM payments").rows == [(7,)]
    assert ask(opened, "SELECT sum(range) FROM range(4)").rows == [(6,)]
    described = ask(opened, "DESCRIBE payments").rows
    assert len(described) == len(PAYMENTS.columns) + len(DERIVED_COLUMNS)
    assert ask(opened, "VALUES (1, 'a')").rows == [(1, "a")]


def test_values_come_as_python_has_them(opened: Session) -> None:
    [row] = ask(
        opened,
        "SELECT TIMESTAMP WITH TIME ZONE '2026-11-22 19:30:00.125+00', DATE '2026-01-02', NULL, true, [1, 2], "
        "12345678901234567890::HUGEINT, 0.1::DOUBLE",
    ).rows
    moment, *others = row
    assert moment == datetime(2026, 11, 22, 19, 30, 0, 125000, tzinfo=UTC)
    assert others[1:] == [None, True, [1, 2], 12345678901234567890, 0.1]


def test_memory_and_rows_are_bounded(opened: Session) -> None:
    with pytest.raises(QueryTooLarge, match="memory"):
        ask(opened, "SELECT string_agg(repeat('x', 1000000), '') FROM range(5000)")
    assert len(ask(opened, "SELECT * FROM range(100000)").rows) == 100_000
    with pytest.raises(QueryTooLarge, match="at most 100000 rows"):
        ask(opened, "SELECT * FROM range(100001)")


def test_a_question_can_have_its_rows_cut_off_or_have_any_number(opened: Session) -> None:
    cursor = opened.cursor()
    cut, whole = Question("FROM range(11)", rows_max=10, cuts=True), Question("FROM range(100001)", rows_max=None)
    first, second = opened.ask(cursor, [cut, whole], NOTHING, 0.0, lambda: False)
    cursor.close()
    assert (len(first.rows), first.cut) == (10, True)
    assert (len(second.rows), second.cut) == (100_001, False)


@pytest.mark.parametrize("name", ["sqlite_master", "lake_payments", "duckdb_views", "twin_files"])
@pytest.mark.parametrize(
    "around",
    [
        "WITH {} AS (SELECT * FROM {}) SELECT * FROM {}",
        "SELECT (WITH {} AS (SELECT 1 AS x) SELECT x FROM {}), (SELECT count(*) FROM {})",
        "WITH a AS (SELECT count(*) FROM {}), {} AS (SELECT 1) SELECT * FROM a, {}",
        "SELECT * FROM {}, (WITH {} AS (SELECT 1) SELECT * FROM {}) AS b",
    ],
)
def test_a_common_table_expression_hides_a_table_only_where_it_is_visible(
    opened: Session, around: str, name: str
) -> None:
    with pytest.raises(BadSql, match=f"there is no table {name}"):
        ask(opened, around.replace("{}", name))


def test_a_common_table_expression_is_visible_after_it_and_below(opened: Session) -> None:
    text = "WITH a AS (SELECT 1 AS x), b AS (SELECT x FROM a) SELECT (SELECT x FROM b), c.x FROM (SELECT x FROM a) c"
    assert ask(opened, text).rows == [(1, 1)]
    text = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT sum(n) FROM t"
    assert ask(opened, text).rows == [(6,)]


def test_values_that_python_cannot_show_are_named(opened: Session) -> None:
    for text in ("SELECT DATE '0044-03-15 (BC)'", "SELECT TIMESTAMP '0044-03-15 (BC) 12:00:00'"):
        with pytest.raises(BadSql, match="cannot be shown"):
            ask(opened, text)


def test_a_very_long_sum_is_an_answer_or_one_line(opened: Session) -> None:
    with suppress(BadSql):
        assert ask(opened, f"SELECT {' + '.join(['1'] * 990)}").rows == [(990,)]
    with pytest.raises(BadSql):
        ask(opened, f"SELECT {' + '.join(['1'] * 9_000)}")
    with pytest.raises(BadSql, match="valid Unicode"):
        ask(opened, "SELECT '\ud800'")


def test_an_interval_is_shown_as_sql_shows_it(opened: Session) -> None:
    text = "SELECT INTERVAL '14 months 3 days 4.5 seconds', INTERVAL '-90 minutes', INTERVAL '0 days', to_days(1)"
    assert ask(opened, text).rows == [("1 year 2 months 3 days 00:00:04.5", "-01:30:00", "00:00:00", "1 day")]


def test_the_bytes_of_an_answer_are_bounded(opened: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "ANSWER_BYTES_MAX", 1 << 20)
    with pytest.raises(QueryTooLarge, match="at most 1 MB"):
        ask(opened, "SELECT repeat('x', 1000) FROM range(10000)")


def test_an_interrupt_ends_the_query_and_says_why(opened: Session) -> None:
    from threading import Thread

    cursor = opened.cursor()
    over = False

    def interrupt() -> None:
        while not over:  # an interrupt before the statement runs has no effect, so repeat it
            cursor.interrupt()
            time.sleep(0.01)

    thread = Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(QueryTooLong, match="reached its time limit"):
            opened.ask(
                cursor,
                [Question("SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3")],
                NOTHING,
                0.0,
                lambda: True,
            )
    finally:
        over = True
        thread.join()
        cursor.close()


def test_a_missing_lake_file_is_another_error_than_bad_sql(tmp_path: Path) -> None:
    path = str(tmp_path / "gone.parquet")
    state = Lake.at(f"file:{tmp_path}/lake").state()
    import pyarrow.parquet as pq

    pq.write_table(NOTHING.tables["payments"], path)
    gone = Session({**state, "payments": TableState(PAYMENTS, 1, None, 0.0, {path: 0}, ())}, {path: path})
    Path(path).unlink()
    with pytest.raises(LakeBroken):
        ask(gone, "SELECT * FROM payments")
    gone.close()


def test_every_report_error_has_a_status_and_is_one_tree() -> None:
    for kind in (BadSql, LakeBroken, QueryTooLarge, QueryTooLong):
        assert issubclass(kind, ReportError)
        assert 400 <= kind.status < 600


def test_every_name_that_a_statement_may_read_has_the_documented_columns(opened: Session) -> None:
    for name, columns in readable_columns():
        assert ask(opened, f"FROM {name}").columns == columns


def test_a_statement_that_reads_no_reversed_amount_joins_no_reversals(opened: Session) -> None:
    cursor = opened.cursor()
    opened._views(cursor, NOTHING, None).show(["payments"])
    for column, joins in (("amount", False), ("net_amount", True)):
        found = cursor.execute(f"EXPLAIN SELECT fee, sum({column}) FROM payments GROUP BY fee").fetchall()
        assert ("Join" in found[0][1]) is joins
    cursor.close()
