"""The first rows of payments, found in each part of the table, are those of the plain statement."""

from typing import Any, Final

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bursar.reports.lake import twin
from bursar.reports.reports import Reports
from bursar.reports.sql.answer import Question
from bursar.reports.sql.session import Session
from bursar.reports.sql.statement import check_statement
from bursar.reports.tail.tail import TailTables
from tests.support.reports.book import DAY_S, Book

SHOWN: Final = (
    "*",
    "agency_tracking_id, fee AS kind, net_amount",
    "client, CAST(amount AS VARCHAR) AS dollars, status",
)
CONDITIONS: Final = (
    "amount > 60",
    "payment_status = 'failed'",
    "client IN ('dawson', 'exams')",
    "token_at IS NULL OR updated_at > created_at",
    "amount BETWEEN $low AND 300",
    "client = 'nobody'",
)
ORDERS: Final = (
    "updated_at DESC",
    "created_at",
    "return_code DESC NULLS LAST",
    "paygov_tracking_id NULLS FIRST",
    "fee",
)


def asked(session: Session, text: str, tail: TailTables) -> list[tuple[Any, ...]]:
    cursor = session.cursor()
    try:
        given_parameters = {"low": "100.00"} if "$low" in text else {}
        return session.ask(cursor, [Question(text, given_parameters)], tail, 0.0, lambda: False)[0].rows
    finally:
        cursor.close()


async def test_first_rows_are_those_of_the_plain_statement(
    book: Book, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rows_min in (1, 1_000_000):  # the first rows are in the twin, the next ones in Parquet, the last in the tail
        book.pay(40)
        book.now += 40 * DAY_S  # files of one month are merged
        monkeypatch.setattr(twin, "NEW_ROWS_MIN", rows_min)
        await reports.write_lake()
    book.pay(40)
    for attempt in [each for each in book.attempts.values() if each.status == "processed"][::3]:
        book.reverse(attempt, "1.00", "refunded")
    look = await reports._current.look()
    session = look.shared.session

    @settings(max_examples=20)
    @given(st.sampled_from(SHOWN), st.sets(st.sampled_from(CONDITIONS)), st.data(), st.integers(1, 90))
    def are_equal(shown: str, conditions: set[str], data: st.DataObject, limit: int) -> None:
        order = data.draw(st.sampled_from(ORDERS))
        offset = data.draw(st.integers(0, 90))
        where = f" WHERE {' AND '.join(f'({each})' for each in sorted(conditions))}" if conditions else ""
        text = f"SELECT {shown} FROM payments{where} ORDER BY {order}, agency_tracking_id LIMIT {limit} OFFSET {offset}"
        assert check_statement(duckdb.connect(), text).top is not None
        assert asked(session, text, look.tail) == asked(session, f"SELECT * FROM ({text})", look.tail)

    try:
        assert len(session._common_views.payment_parts) == 3
        are_equal()
    finally:
        look.shared.leave()


@pytest.mark.parametrize(
    "text",
    [
        "SELECT client FROM payments ORDER BY client",
        "SELECT client FROM payments LIMIT 5",
        "SELECT DISTINCT client FROM payments ORDER BY client LIMIT 5",
        "SELECT client, count(*) FROM payments GROUP BY client ORDER BY client LIMIT 5",
        "SELECT client, count(*) FROM payments GROUP BY ALL ORDER BY client LIMIT 5",
        "SELECT max(client) FROM payments ORDER BY client LIMIT 5",
        "SELECT payments.client FROM payments ORDER BY client LIMIT 5",
        "SELECT client FROM payments ORDER BY 1 LIMIT 5",
        "SELECT client FROM payments ORDER BY ALL LIMIT 5",
        "SELECT client FROM payments ORDER BY client LIMIT 5 %",
        "SELECT client FROM payments ORDER BY client LIMIT 1001",
        "SELECT client FROM payments ORDER BY client LIMIT $n",
        "SELECT client FROM payments ORDER BY client LIMIT (SELECT 5)",
        "SELECT fee AS client FROM payments ORDER BY client LIMIT 5",
        "SELECT client FROM payments ORDER BY net_amount LIMIT 5",
        "SELECT client FROM payments ORDER BY random() LIMIT 5",
        "SELECT row_number() OVER () FROM payments ORDER BY client LIMIT 5",
        "SELECT (SELECT count(*) FROM payments) FROM payments ORDER BY client LIMIT 5",
        "SELECT client FROM payments WHERE fee IN (SELECT fee FROM payments) ORDER BY client LIMIT 5",
        "SELECT client FROM payments AS p(client) ORDER BY client LIMIT 5",
        "SELECT client FROM payments TABLESAMPLE 10 % ORDER BY client LIMIT 5",
        "SELECT client FROM payments QUALIFY row_number() OVER () < 3 ORDER BY client LIMIT 5",
        "SELECT event FROM payment_events ORDER BY event LIMIT 5",
        "SELECT client FROM payments JOIN deposits USING (client) ORDER BY client LIMIT 5",
        "WITH payments AS (SELECT 'a' AS client) SELECT client FROM payments ORDER BY client LIMIT 5",
        "SELECT client FROM payments UNION SELECT client FROM deposits ORDER BY client LIMIT 5",
    ],
)
def test_other_statements_stay_as_they_are(text: str) -> None:
    with duckdb.connect() as connection:
        assert check_statement(connection, text).top is None
