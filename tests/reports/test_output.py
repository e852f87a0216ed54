"""Answers as text: a table for people, CSV and JSON for programs."""

import json
import time
from datetime import UTC, date, datetime
from decimal import Decimal

from bursar.reports.output import as_csv, as_json, as_table
from bursar.reports.sql.answer import SqlAnswer

ANSWER = SqlAnswer(
    columns=("fee", "collected", "at", "day", "n", "note"),
    types=("VARCHAR", "DECIMAL(38,2)", "TIMESTAMP WITH TIME ZONE", "DATE", "BIGINT", "VARCHAR"),
    rows=[
        ("COPY_FEE", Decimal("0.10"), datetime(2026, 11, 22, 19, 30, 0, 5000, UTC), date(2026, 11, 22), 1, None),
        ('a, "b"\nc', Decimal("1000000.00"), None, None, 20, "=HYPERLINK(1)"),
    ],
    as_of=1795375800.0,
)


def test_a_table_has_its_rows_their_number_and_its_time() -> None:
    drawn = as_table(ANSWER, width=120).splitlines()
    assert drawn[0].split() == ["fee", "collected", "at", "day", "n", "note"]
    assert drawn[2].split() == ["COPY_FEE", "0.10", "2026-11-22T19:30:00.005Z", "2026-11-22", "1"]
    assert drawn[-1] == "2 rows, as of 2026-11-22T19:30:00.000Z"
    assert "1 row," in as_table(SqlAnswer(("x",), ("BIGINT",), [(1,)], 0.0), width=80)


def test_square_brackets_are_text_not_markup() -> None:
    assert "[red]x[/red]" in as_table(SqlAnswer(("x",), ("VARCHAR",), [("[red]x[/red]",)], 0.0), width=80)


def test_csv_quotes_what_needs_it_and_disarms_formulas() -> None:
    assert as_csv(ANSWER) == (
        "fee,collected,at,day,n,note\n"
        "COPY_FEE,0.10,2026-11-22T19:30:00.005Z,2026-11-22,1,\n"
        '"a, ""b""\nc",1000000.00,,,20,\'=HYPERLINK(1)\n'
    )


def test_json_keeps_money_as_text_and_numbers_as_numbers() -> None:
    body = json.loads(as_json(ANSWER))
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
    rows = json.loads(as_json(odd), parse_constant=lambda name: 1 / 0)["rows"]
    assert [row["x"] for row in rows] == [None, "b'\\xff'", ["1.0", {"a": "2026-01-01"}]]


def test_columns_of_one_name_are_all_in_the_json() -> None:
    answer = SqlAnswer(("x", "x", "x_2"), ("BIGINT", "BIGINT", "BIGINT"), [(1, 2, 3)], 0.0)
    body = json.loads(as_json(answer))
    assert body["columns"] == ["x", "x_3", "x_2"]
    assert body["rows"] == [{"x": 1, "x_3": 2, "x_2": 3}]


def test_rows_wider_than_the_terminal_are_turned_on_their_side() -> None:
    drawn = as_table(ANSWER, width=40).splitlines()
    assert drawn[0] == "── row 1 ──"
    assert drawn[1].split() == ["fee", "COPY_FEE"]
    assert drawn[7] == "── row 2 ──"
    assert drawn[-1] == "2 rows, as of 2026-11-22T19:30:00.000Z"


def test_a_terminal_gets_no_control_characters_and_wide_characters_align() -> None:
    answer = SqlAnswer(("x", "y"), ("VARCHAR", "VARCHAR"), [("\x1b[2J", "a"), ("請求", "b"), ("e\u0301", "c")], 0.0)
    drawn = as_table(answer, width=80)
    assert "\x1b" not in drawn
    assert drawn.splitlines()[2] == "\\x1b[2J  a"
    assert drawn.splitlines()[3] == "請求     b"
    assert drawn.splitlines()[4] == "e\u0301        c"


def test_a_long_table_is_drawn_fast() -> None:
    answer = SqlAnswer(tuple("abcdefghijklmnopqrst"), ("VARCHAR",) * 20, [("some text",) * 20] * 5_000, 0.0)
    begun = time.process_time()
    assert as_table(answer, width=1000).count("\n") == 5_004
    assert time.process_time() - begun < 5


def test_an_answer_that_was_cut_says_so() -> None:
    assert "there are more" in as_table(SqlAnswer(("x",), ("BIGINT",), [(1,)], 0.0, cut=True), width=80)
