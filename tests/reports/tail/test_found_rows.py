"""Found rows wait for the lake in bounded memory, and leave it month by month."""

from pathlib import Path

import pyarrow as pa
import pytest

from bursar.reports.errors import LakeBroken
from bursar.reports.lake.rows import TableRow, arrow_table, event_row, plain_rows
from bursar.reports.lake.schema import PAYMENT_EVENTS
from bursar.reports.tail import found_rows
from bursar.reports.tail.found_rows import FoundRows
from tests.support.reports.book import DAY_S, Book

ROWS = 200


def page(book: Book) -> pa.Table:
    """Return rows of two months."""
    rows: list[TableRow] = []
    for number in range(ROWS):
        book.now += (20 if number % 2 else -20) * DAY_S
        book.start()
        rows.append(event_row(book.events[-1]))
    return arrow_table(PAYMENT_EVENTS, rows)


def rows_in(parts: list[pa.Table]) -> list[TableRow]:
    return sorted(row for part in parts for row in plain_rows(PAYMENT_EVENTS, part))


def test_rows_come_back_by_month_and_the_memory_does_not_grow_with_them(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = page(book), page(book)
    monkeypatch.setattr(found_rows, "BUFFER_BYTES_MAX", first.nbytes)
    monkeypatch.setattr(found_rows, "PART_BYTES_MAX", 2 * first.nbytes)
    pages = [first, second, *[second] * 40]
    before = pa.total_allocated_bytes()
    with FoundRows(tmp_path / "lake that is not there yet") as found:
        for rows in pages:
            found.add({PAYMENT_EVENTS.name: rows})
            assert pa.total_allocated_bytes() - before < 5 * first.nbytes
        assert found.row_count == len(pages) * ROWS
        parts = []
        for part in found.parts(PAYMENT_EVENTS):
            parts.append(part)
            assert part.nbytes <= 2 * first.nbytes
        assert len(parts) > 2
        for part in parts:
            assert len({day.month for day in part[PAYMENT_EVENTS.partition_day].to_pylist()}) == 1
        assert rows_in(parts) == rows_in(pages)
        assert rows_in([rows for _, rows in found.tables()]) == rows_in(pages)
    assert list((tmp_path / "lake that is not there yet").iterdir()) == []


def test_rows_stay_in_memory_while_they_cannot_be_stored_and_are_few(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setattr(found_rows, "BUFFER_BYTES_MAX", 0)
    monkeypatch.setattr(found_rows, "UNWRITTEN_ROWS_MAX", 2 * ROWS)
    rows = page(book)
    with FoundRows(tmp_path / "a file") as found:
        found.add({PAYMENT_EVENTS.name: rows})
        found.add({PAYMENT_EVENTS.name: rows})
        assert rows_in(list(found.parts(PAYMENT_EVENTS))) == rows_in([rows, rows])
        with pytest.raises(LakeBroken, match="cannot be stored"):
            found.add({PAYMENT_EVENTS.name: rows})
