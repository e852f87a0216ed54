"""The lake: its place, its form in Iceberg, one writer at a time, and its size after many writes."""

from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pytest

from bursar.reports.errors import LakeBroken, LakeBusy
from bursar.reports.lake import vacuum
from bursar.reports.lake.lake import Lake, in_months, watermark_of
from bursar.reports.lake.schema import PAYMENTS, TABLES
from bursar.reports.lake.tail import SAFETY_MARGIN_S
from bursar.reports.lake.writer import FILES_PER_MONTH_MAX, writing
from bursar.reports.reports import Reports
from tests.support.reports.book import DAY_S, Book


def test_where_a_lake_is(tmp_path: Path) -> None:
    assert Lake.at(f"file:{tmp_path}/lake").folder == tmp_path / "lake"
    assert Lake.at("s3://bucket/some/prefix").warehouse == "s3://bucket/some/prefix"
    assert Lake.at("s3://bucket/p").properties == {"type": "glue"}
    assert Lake.at("s3://bucket/p?catalog=sqlite:////c.db&s3.endpoint=http://127.0.0.1:1").properties == {
        "type": "sql",
        "uri": "sqlite:////c.db",
        "s3.endpoint": "http://127.0.0.1:1",
    }
    for url in ("file:", "ftp://x", "/tmp/lake"):
        with pytest.raises(ValueError, match="the lake: must be file:FOLDER"):
            Lake.at(url)


def test_reading_a_missing_lake_creates_nothing(tmp_path: Path) -> None:
    state = Lake.at(f"file:{tmp_path}/lake").state()
    assert [table.watermark for table in state.values()] == [None, None]
    assert list(tmp_path.iterdir()) == []


def test_the_months_end_where_the_next_begin() -> None:
    december = datetime(2026, 12, 1, tzinfo=UTC)
    assert in_months(PAYMENTS, [december]) == (
        "(created_at >= '2026-12-01T00:00:00+00:00' AND created_at < '2027-01-01T00:00:00+00:00')"
    )


async def test_tables_are_iceberg_partitioned_by_month_and_hold_their_watermark(
    book: Book, reports: Reports, tmp_path: Path
) -> None:
    book.start()
    book.now += 40 * DAY_S
    book.start()
    book.now += DAY_S
    await reports.write_lake()
    lake = Lake.at(f"file:{tmp_path / 'lake'}")
    with lake.catalog() as catalog:
        tables = lake.tables(catalog)
        assert {task.file.file_path.split("/")[-2] for task in tables["payments"].scan().plan_files()} == {
            "created_at_month=2026-03",
            "created_at_month=2026-05",
        }
        for schema in TABLES:
            assert watermark_of(tables[schema.name]) == book.now - SAFETY_MARGIN_S


async def test_a_second_writer_is_refused_while_the_lake_is_locked(
    book: Book, reports: Reports, tmp_path: Path
) -> None:
    book.start()
    book.now += 3600
    with writing(Lake.at(f"file:{tmp_path / 'lake'}")), pytest.raises(LakeBusy, match="another process"):
        await reports.write_lake()
    assert (await reports.sql("SELECT count(*) FROM payments")).rows == [(1,)]
    await reports.write_lake()


async def test_the_slower_of_two_committing_writers_changes_nothing(
    book: Book, reports: Reports, tmp_path: Path
) -> None:
    """Check the protection of a lake on S3, without a lock: the catalog refuses a commit onto an older state."""
    book.start()
    book.now += 3600
    lake = Lake.at(f"file:{tmp_path / 'lake'}")
    with lake.catalog() as catalog:
        late = lake.tables(catalog)["payments"]
        await reports.write_lake()
        from bursar.reports.lake.writer import LakeWriter

        with pytest.raises(LakeBusy, match="at the same time"):
            LakeWriter(catalog, {"payments": late}).write(PAYMENTS, [], book.now)
    assert (await reports.verify_lake()).equal


async def test_a_lake_of_a_newer_format_is_refused(book: Book, reports: Reports, tmp_path: Path) -> None:
    book.start()
    book.now += 3600
    await reports.write_lake()
    lake = Lake.at(f"file:{tmp_path / 'lake'}")
    with lake.catalog() as catalog, lake.tables(catalog)["payments"].transaction() as change:
        change.set_properties({"bursar.format": "2"})
    with pytest.raises(LakeBroken, match="has format 2; this Bursar reads format 1"):
        lake.state()
    with pytest.raises(LakeBroken, match="format 2"):
        await reports.write_lake()


async def test_a_file_that_is_not_a_catalog_is_a_broken_lake(book: Book, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "catalog.db").write_bytes(b"not a database at all" * 100)
    reports = Reports(book, f"file:{tmp_path / 'lake'}", book.clock, source=book)
    with pytest.raises(LakeBroken, match="cannot be read"):
        await reports.sql("SELECT 1")
    await reports.close()


async def test_many_small_writes_leave_few_files(book: Book, reports: Reports) -> None:
    for _ in range(FILES_PER_MONTH_MAX + 3):
        book.start()
        book.now += 600
        await reports.write_lake()
        assert len((await reports.lake_state())["payments"].files) <= FILES_PER_MONTH_MAX
    assert (await reports.sql("SELECT count(*) FROM payments")).rows == [(FILES_PER_MONTH_MAX + 3,)]


async def test_old_snapshots_and_unreferenced_files_are_deleted(
    book: Book, reports: Reports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vacuum, "SNAPSHOTS_MAX", 4)
    monkeypatch.setattr(vacuum, "READER_GRACE_S", -60.0)  # every file is old enough
    stray = tmp_path / "lake" / "payments" / "data" / "stray.parquet"
    attempt = book.start()
    for status in ("initiated", "processing", "pending", "processed"):
        book.now += 3600
        await reports.write_lake()
        stray.write_bytes(b"left by a writer that died")
        book.move(attempt, status)
        attempt = book.attempts[attempt.agency_tracking_id]
    book.now += 3600
    await reports.write_lake()
    assert not stray.exists()
    assert len(list((tmp_path / "lake" / "payments" / "data").rglob("*.parquet"))) == 1
    assert (await reports.sql("SELECT status FROM payments")).rows == [("processed",)]
    assert (await reports.verify_lake()).equal


async def test_a_query_whose_files_were_deleted_reads_the_lake_again(
    book: Book, reports: Reports, tmp_path: Path
) -> None:
    attempt = book.start()
    book.now += 3600
    await reports.write_lake()
    assert (await reports.sql("SELECT count(*) FROM payments")).rows == [(1,)]
    old = set((tmp_path / "lake" / "payments" / "data").rglob("*.parquet"))
    other = Reports(book, f"file:{tmp_path / 'lake'}", book.clock, source=book)
    book.move(attempt, "failed")
    book.now += 3600
    with patch("bursar.reports.sql.current_session.LAKE_RECHECK_S", 1e9):
        await other.write_lake()
        for path in old:
            path.unlink()
        assert (await reports.sql("SELECT status FROM payments")).rows == [("failed",)]
    await other.close()
