"""The workbook: real numbers and dates, units, a row of totals, and text that is never a formula."""

import io
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from bursar.reports.output import xlsx
from bursar.reports.output.forms import write_answer
from bursar.reports.output.head import NO_SUBJECT, Subject
from bursar.reports.sql.answer import SqlAnswer
from tests.support.reports.answers import ANSWER, SUBJECT

moment = datetime.fromisoformat  # a cell has no time zone


def sheets(answer: SqlAnswer, subject: Subject = NO_SUBJECT, *, computed: bool = True) -> list[list[list[Any]]]:
    file = io.BytesIO()
    write_answer(answer, "xlsx", file, subject)
    book = load_workbook(file, data_only=computed)
    return [[list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book]


def test_numbers_days_and_times_are_real_ones() -> None:
    [rows] = sheets(ANSWER)
    assert rows[0] == ["fee", "collected", "at", "day", "n", "note"]
    assert rows[1] == ["COPY_FEE", 0.1, moment("2026-11-22 19:30:00.005"), moment("2026-11-22"), 1, None]
    assert rows[2] == ['a, "b"\nc', 1000000, None, None, 20, "=HYPERLINK(1)"]


def test_a_report_has_a_title_units_new_york_time_and_totals_that_excel_adds_up() -> None:
    [rows] = sheets(ANSWER, SUBJECT)
    assert [row[0] for row in rows[:4]] == [
        "Fees",
        "What came in?",
        "month 2026-11",
        "As of 2026-11-22T14:30:00.000-05:00",
    ]
    assert rows[5][:3] == ["fee", "collected (USD)", "at (New York)"]
    assert rows[6][2] == moment("2026-11-22 14:30:00.005")
    assert rows[8][:2] == ["Total", 1000000.1]
    [formulas] = sheets(ANSWER, SUBJECT, computed=False)
    assert formulas[8][1] == "=SUM(B7:B8)"
    assert formulas[8][4] == "=SUM(E7:E8)"


def test_more_rows_than_a_sheet_holds_begin_another_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "SHEET_ROWS_MAX", 11)
    subject = Subject("Many", columns={"n": SUBJECT.columns["n"]})
    found = sheets(SqlAnswer(("n",), ("BIGINT",), [(number,) for number in range(10)], 0.0), subject)
    numbers = [row[0] for rows in found for row in rows if isinstance(row[0], int)]
    assert len(found) == 2
    assert numbers == list(range(10))


def test_a_number_that_excel_would_round_is_text() -> None:
    [rows] = sheets(SqlAnswer(("n",), ("HUGEINT",), [(12345678901234567890,), (123456789012345,)], 0.0))
    assert [row[0] for row in rows[1:]] == ["12345678901234567890", 123456789012345]


def test_a_workbook_is_written_to_any_path(tmp_path: Path) -> None:
    with (tmp_path / "book.xlsx").open("wb") as file:
        write_answer(ANSWER, "xlsx", file)
    assert load_workbook(tmp_path / "book.xlsx").sheetnames == ["Report"]
