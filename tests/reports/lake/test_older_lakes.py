"""A lake that an older version wrote: columns and tables that it lacks are added, and it is built again."""

from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.schema import Schema

from bursar.clock import iso_ms
from bursar.reports.lake.iceberg import commit_files
from bursar.reports.lake.lake import NAMESPACE, POSITION, WATERMARK, Lake
from bursar.reports.lake.rows import arrow_table, attempt_row, event_row
from bursar.reports.lake.schema import PAYMENT_EVENTS, PAYMENTS, TABLES, iceberg_partitions, iceberg_schema
from bursar.reports.reports import Reports
from tests.support.reports.book import Book

COLUMNS_BEFORE = {PAYMENTS: 22, PAYMENT_EVENTS: 11}
"""The tables of format 2 before reversals, and their numbers of columns."""


async def write_older_lake(book: Book, folder: Path) -> None:
    """Write every final attempt and event of ``book`` as the first version of format 2 did."""
    position = await book.source.position()
    lake = Lake.at(f"file:{folder}")
    rows = {
        PAYMENTS: [attempt_row(attempt) for attempt in book.attempts.values() if not attempt.live],
        PAYMENT_EVENTS: [event_row(event) for event in book.events],
    }
    with lake.catalog() as catalog:
        catalog.create_namespace_if_not_exists(NAMESPACE)
        for schema, count in COLUMNS_BEFORE.items():
            table = catalog.create_table(
                (NAMESPACE, schema.name),
                Schema(*iceberg_schema(schema).fields[:count]),
                location=f"{lake.warehouse}/{schema.name}",
                partition_spec=iceberg_partitions(schema),
                properties={"bursar.format": "2"},
            )
            written: pa.Table = arrow_table(schema, rows[schema]).select(list(schema.column_names[:count]))
            commit_files(table, [], [written], {POSITION: position.text(), WATERMARK: iso_ms(book.now)})


@pytest.mark.parametrize("is_written_first", [False, True])
async def test_a_lake_without_reversals_is_evolved_and_built_again(
    book: Book, reports: Reports, tmp_path: Path, is_written_first: bool
) -> None:
    book.pay(30)
    paid = book.move(book.start(classification=()), "processed")
    book.reverse(paid, "20.00")
    await write_older_lake(book, tmp_path / "lake")
    if is_written_first:
        await reports.write_lake()
    count = "SELECT count(*), sum(reversed_amount), count(classification) FROM payments"
    assert (await reports.sql(count)).rows == [(31, 20, 1)]
    assert (await reports.sql("SELECT kind, amount FROM reversals")).rows == [("returned", 20)]
    await reports.write_lake()
    assert (await reports.sql(count)).rows == [(31, 20, 1)]
    assert (await reports.verify_lake()).equal
    lake = Lake.at(f"file:{tmp_path / 'lake'}")
    with lake.catalog() as catalog:
        for schema in TABLES:
            table = catalog.load_table((NAMESPACE, schema.name))
            fields = [(field.field_id, field.name) for field in table.schema().fields]
            assert fields == list(enumerate(schema.column_names, start=1))
