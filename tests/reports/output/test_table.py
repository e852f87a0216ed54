"""Answers as a table for people."""

import time
from dataclasses import replace

from bursar.reports.output.table import as_table
from bursar.reports.sql.answer import SqlAnswer
from tests.support.reports.answers import ANSWER, SUBJECT


def test_a_table_has_its_rows_their_number_and_its_time() -> None:
    drawn = as_table(ANSWER, width=120).splitlines()
    assert drawn[0].split() == ["fee", "collected", "at", "day", "n", "note"]
    assert drawn[2].split() == ["COPY_FEE", "0.10", "2026-11-22T19:30:00.005Z", "2026-11-22", "1"]
    assert drawn[-1] == "2 rows, as of 2026-11-22T19:30:00.000Z"
    assert "1 row," in as_table(SqlAnswer(("x",), ("BIGINT",), [(1,)], 0.0), width=80)


def test_square_brackets_are_text_not_markup() -> None:
    assert "[red]x[/red]" in as_table(SqlAnswer(("x",), ("VARCHAR",), [("[red]x[/red]",)], 0.0), width=80)


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


def test_a_report_has_units_totals_and_the_time_of_new_york() -> None:
    drawn = as_table(ANSWER, width=140, subject=SUBJECT).splitlines()
    assert drawn[0].split("  ")[0] == "fee"
    assert "collected (USD)" in drawn[0]
    assert "at (New York)" in drawn[0]
    assert "2026-11-22T14:30:00.005-05:00" in drawn[2]
    assert drawn[5].split() == ["Total", "1,000,000.10", "21"]


def test_a_cut_answer_and_one_row_have_no_total() -> None:
    assert "Total" not in as_table(replace(ANSWER, cut=True), width=140, subject=SUBJECT)
    assert "Total" not in as_table(replace(ANSWER, rows=ANSWER.rows[:1]), width=140, subject=SUBJECT)


def test_the_total_of_rows_on_their_side_is_a_block_of_its_own() -> None:
    drawn = as_table(ANSWER, width=40, subject=SUBJECT).splitlines()
    assert drawn[-5:-2] == ["── Total ──", "collected (USD)  1,000,000.10", "n                21"]
