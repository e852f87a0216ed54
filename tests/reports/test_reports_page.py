"""docs/reports.md agrees with the tables and the named reports, and its examples run."""

from pathlib import Path

import pytest

from bursar.reports.reports import Reports
from tests.support.reports.book import Book
from tools.pages.reports_page import EXAMPLES, page

DOCS = Path(__file__).parents[2] / "docs" / "reports.md"


def test_the_page_is_current() -> None:
    assert DOCS.read_text(encoding="utf-8") == page(), "run: python -m tools.pages.reports_page > docs/reports.md"


@pytest.mark.parametrize("statement", [statement for _, statement in EXAMPLES])
async def test_every_example_runs(book: Book, reports: Reports, statement: str) -> None:
    book.pay(5)
    await reports.sql(statement)
