"""CSV, JSON and JSON lines for programs."""

import io
import json
from datetime import date
from decimal import Decimal

from bursar.reports.output.forms import write_answer
from bursar.reports.output.head import NO_SUBJECT, Subject
from bursar.reports.sql.answer import SqlAnswer
from tests.support.reports.answers import ANSWER, SUBJECT


def written(form: str, answer: SqlAnswer = ANSWER, subject: Subject = NO_SUBJECT) -> str:
    file = io.BytesIO()
    write_answer(answer, form, file, subject)
    return file.getvalue().decode()


def test_csv_quotes_what_needs_it_and_disarms_formulas() -> None:
    assert written("csv") == (
        "fee,collected,at,day,n,note\n"
        "COPY_FEE,0.10,2026-11-22T19:30:00.005Z,2026-11-22,1,\n"
        '"a, ""b""\nc",1000000.00,,,20,\'=HYPERLINK(1)\n'
    )


def test_json_keeps_money_as_text_and_numbers_as_numbers() -> None:
    body = json.loads(written("json"))
    assert body["asOf"] == "2026-11-22T19:30:00.000Z"
    assert body["columns"] == list(ANSWER.columns)
    assert body["rows"][0] == {
        "fee": "COPY_FEE",
        "collected": "0.10",
        "at": "2026-11-22T19:30:00.005Z",
        "day": "2026-11-22",
        "n": 1,
        "note": None,
    }


def test_json_has_no_value_that_is_not_json() -> None:
    odd = SqlAnswer(
        ("x",), ("DOUBLE",), [(float("nan"),), (b"\xff",), ([Decimal("1.0"), {"a": date(2026, 1, 1)}],)], 0.0
    )
    rows = json.loads(written("json", odd), parse_constant=lambda name: 1 / 0)["rows"]
    assert [row["x"] for row in rows] == [None, "b'\\xff'", ["1.0", {"a": "2026-01-01"}]]


def test_columns_of_one_name_are_all_in_the_json() -> None:
    answer = SqlAnswer(("x", "x", "x_2"), ("BIGINT", "BIGINT", "BIGINT"), [(1, 2, 3)], 0.0)
    body = json.loads(written("json", answer))
    assert body["columns"] == ["x", "x_3", "x_2"]
    assert body["rows"] == [{"x": 1, "x_3": 2, "x_2": 3}]


def test_json_lines_have_one_row_a_line() -> None:
    lines = written("jsonl").splitlines()
    assert [json.loads(line)["fee"] for line in lines] == ["COPY_FEE", 'a, "b"\nc']


def test_an_answer_without_rows_is_json_too() -> None:
    body = json.loads(written("json", SqlAnswer(("x",), ("BIGINT",), [], 0.0)))
    assert body == {"columns": ["x"], "types": ["BIGINT"], "rows": [], "asOf": "1970-01-01T00:00:00.000Z"}


def test_a_report_has_its_totals_in_json_and_times_of_new_york_everywhere() -> None:
    body = json.loads(written("json", subject=SUBJECT))
    assert body["totals"] == {"collected": "1000000.10", "n": 21}
    assert body["rows"][0]["at"] == "2026-11-22T14:30:00.005-05:00"
    assert written("csv", subject=SUBJECT).splitlines()[:2] == [
        "fee,collected,at,day,n,note",
        "COPY_FEE,0.10,2026-11-22T14:30:00.005-05:00,2026-11-22,1,",
    ]
