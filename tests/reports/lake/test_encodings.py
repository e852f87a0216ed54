"""The lake's Parquet files: ids have no dictionary, times are differences, rows that look alike are side by side."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bursar.reports.lake.encodings import ALIKE, CHARACTERS, DIFFERENCES, ENDINGS, IDS, TIMES, in_stored_order
from bursar.reports.lake.rows import arrow_table, attempt_row, event_row, plain_rows
from bursar.reports.lake.schema import PAYMENT_EVENTS, PAYMENTS
from bursar.reports.reports import Reports
from tests.support.reports.book import DAY_S, Book


def columns_of(folder: Path) -> Iterator[Any]:
    files = [pq.ParquetFile(path).metadata for path in sorted(folder.rglob("*.parquet"))]
    assert files
    for file in files:
        for group in range(file.num_row_groups):
            yield from (file.row_group(group).column(place) for place in range(file.num_columns))


async def test_columns_of_files_have_their_encodings(book: Book, reports: Reports, tmp_path: Path) -> None:
    book.pay(30)
    book.now += DAY_S
    await reports.write_lake()
    for schema in (PAYMENTS, PAYMENT_EVENTS):
        for column in columns_of(tmp_path / "lake" / schema.name):
            name = column.path_in_schema
            has_dictionary = "RLE_DICTIONARY" in column.encodings
            assert has_dictionary == (name not in IDS | TIMES and column.physical_type != "BOOLEAN"), name
            assert (DIFFERENCES in column.encodings) == (name in TIMES), name
            assert (ENDINGS in column.encodings) == (name in (IDS if schema is PAYMENT_EVENTS else ALIKE)), name
            assert (CHARACTERS in column.encodings) == (name in IDS and ENDINGS not in column.encodings), name
            assert column.compression == "ZSTD"


def test_events_of_an_attempt_are_side_by_side_after_those_of_shorter_and_earlier_ones(book: Book) -> None:
    book.pay(30)
    rows = arrow_table(PAYMENT_EVENTS, map(event_row, reversed(book.events)))
    stored = in_stored_order(PAYMENT_EVENTS, rows)
    assert stored.schema == rows.schema
    found = list(plain_rows(PAYMENT_EVENTS, stored))
    assert sorted(found) == sorted(map(event_row, book.events))
    runs = [(key, list(group)) for key, group in itertools.groupby(found, lambda row: row[0])]
    assert len(runs) == len({row[0] for row in found})
    at = PAYMENT_EVENTS.position("occurred_at")
    order = [(len(group), min(row[at] for row in group)) for _, group in runs]
    assert order == sorted(order)
    assert len({length for length, _ in order}) > 1, "attempts of one length"
    assert all([row[1] for row in group] == sorted(row[1] for row in group) for _, group in runs)


def test_payments_of_one_method_are_side_by_side_by_their_last_change(book: Book) -> None:
    book.pay(30)
    rows = arrow_table(PAYMENTS, map(attempt_row, reversed(book.attempts.values())))
    stored = in_stored_order(PAYMENTS, rows)
    found = list(plain_rows(PAYMENTS, stored))
    assert sorted(found, key=repr) == sorted(plain_rows(PAYMENTS, rows), key=repr)
    method, at = PAYMENTS.position("payment_method"), PAYMENTS.position("updated_at")
    for _, group in itertools.groupby(found, lambda row: row[method]):
        times = [row[at] for row in group]
        assert times == sorted(times)
    assert len(list(itertools.groupby(found, lambda row: row[method]))) == len({row[method] for row in found}) > 1
