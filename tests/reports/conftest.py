"""The fixtures of the reports room: a book of payments, and the reports over it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bursar.reports.reports import Reports
from tests.support.reports.book import Book


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
async def reports(book: Book, tmp_path: Path) -> AsyncIterator[Reports]:
    made = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock)
    yield made
    await made.close()
