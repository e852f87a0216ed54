"""The PDF document of a report: everything on it, on every page, in any language, and equal for equal answers."""

import io
from dataclasses import replace

import pytest
from pypdf import PdfReader

from bursar.reports.errors import QueryTooLarge
from bursar.reports.output import pdf
from bursar.reports.output.forms import write_answer
from bursar.reports.output.head import Subject
from bursar.reports.sql.answer import SqlAnswer
from tests.support.reports.answers import ANSWER, SUBJECT


def document(answer: SqlAnswer = ANSWER, subject: Subject = SUBJECT) -> bytes:
    file = io.BytesIO()
    write_answer(answer, "pdf", file, subject)
    return file.getvalue()


def pages(content: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]


def test_a_document_has_title_question_frame_units_rows_totals_and_page_numbers() -> None:
    [text] = pages(document(replace(ANSWER, rows=[*ANSWER.rows[:1], ("Ł fee · 受", *ANSWER.rows[1][1:])])))
    for part in (
        *("Fees", "What came in?", "month 2026-11", "As of 2026-11-22 14:30:00 EST", "collected (USD)"),
        *("at (New York)", "COPY_FEE", "Ł fee", "1,000,000.00", "Total", "1,000,000.10", "page 1 of 1"),
    ):
        assert part in text


def test_a_long_table_repeats_its_headings_on_every_page() -> None:
    answer = replace(ANSWER, rows=[ANSWER.rows[0]] * 200)
    found = pages(document(answer))
    assert len(found) > 2
    assert all("collected (USD)" in text for text in found)
    assert sum(text.count("COPY_FEE") for text in found) == 200
    assert "Total" in found[-1]
    assert "20.00" in found[-1]


def test_a_table_that_is_too_wide_is_cut_and_not_lost() -> None:
    columns = tuple(f"column_{number}" for number in range(30))
    answer = SqlAnswer(columns, ("VARCHAR",) * 30, [("a rather long text" * 5,) * 30], 0.0)
    [text] = pages(document(answer, Subject("Wide")))
    assert text.count("…") >= 30


def test_equal_answers_are_equal_documents() -> None:
    assert document() == document()


def test_a_document_without_rows_says_so() -> None:
    [text] = pages(document(replace(ANSWER, rows=[])))
    assert "There are no rows." in text


def test_more_rows_than_people_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "PDF_ROWS_MAX", 1)
    with pytest.raises(QueryTooLarge, match="a PDF: must have at most 1 rows; use xlsx"):
        document()
