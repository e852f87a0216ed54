"""The lake: its place, its form in Iceberg, one writer at a time, and its size after many writes."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from bursar.reports.errors import LakeBroken, LakeBusy
from bursar.reports.lake import vacuum
from bursar.reports.lake.lake import S3_FILES, Lake
from bursar.reports.lake.merging import CLASS_FACTOR
from bursar.reports.lake.rows import arrow_table, attempt_row
from bursar.reports.lake.schema import PAYMENTS, TABLES, arrow_schema
from bursar.reports.lake.writer import Batch, LakeWriter, writing
from bursar.reports.reports import Reports
from tests.support.reports.book import DAY_S, Book


def test_where_a_lake_is(tmp_path: Path) -> None:
    assert Lake.at(f"file:{tmp_path}/lake").folder == tmp_path / "lake"
    assert Lake.at("s3://bucket/some/prefix").warehouse == "s3://bucket/some/prefix"
    assert Lake.at("s3://bucket/p").properties == {"type": "glue", "py-io-impl": S3_FILES}
    assert Lake.at("s3://bucket/p?catalog=sqlite:////c.db&s3.endpoint=http://127.0.0.1:1").properties == {
        "type": "sql",
        "py-io-impl": S3_FILES,
        "uri": "sqlite:////c.db",
        "s3.endpoint": "http://127.0.0.1:1",
    }
    for url in ("file:", "ftp://x", "/tmp/lake"):
        with pytest.raises(ValueError, match="the lake: must be file:FOLDER"):
            Lake.at(url)


def test_reading_a_missing_lake_creates_nothing(tmp_path: Path) -> None:
    state = Lake.at(f"file:{tmp_path}/lake").state()
    assert [table.watermark for table in state.values()] == [None] * len(TABLES)
    assert list(tmp_path.iterdir()) == []


async def test_final_attempts_are_in_their_month_and_live_ones_in_a_partition_of_their_own(
    book: Book, reports: Reports, tmp_path: Path
) -> None:
    book.move(book.start(), "failed")
    book.now += 40 * DAY_S
    book.move(book.start(), "processed")
    book.start()
    book.now += DAY_S
    await reports.write_lake()
    state = (await reports.lake_state())["payments"]
    assert {path.split("/")[-2] for path in state.files} == {"final_on_month=2026-03", "final_on_month=2026-05"}
    assert [path.split("/")[-2] for path in state.live_files] == ["final_on_month=null"]
    assert list(state.files.values()) == [1, 1]


async def test_a_commit_rewrites_nothing_but_the_live_partition(book: Book, reports: Reports) -> None:
    book.move(book.start(), "failed")
    live = book.start()
    book.now += 3600
    await reports.write_lake()
    before = (await reports.lake_state())["payments"]
    book.move(live, "processed")
    book.start()
    book.now += 3600
    await reports.write_lake()
    after = (await reports.lake_state())["payments"]
    assert set(before.files) < set(after.files)
    assert set(before.live_files).isdisjoint(after.live_files)
    assert (await reports.sql("SELECT status, count(*) FROM payments GROUP BY 1 ORDER BY 1")).rows == [
        ("failed", 1),
        ("processed", 1),
        ("received", 1),
    ]


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
        tables = {schema.name: late for schema in TABLES}
        nothing = {name: arrow_schema(PAYMENTS).empty_table() for name in tables}
        with pytest.raises(LakeBusy, match="at the same time"):
            LakeWriter(catalog, tables).commit(Batch(nothing, None), None, book.now)
    assert (await reports.verify_lake()).equal


async def test_the_slower_of_two_building_writers_is_refused(book: Book, reports: Reports) -> None:
    create = Lake._create

    def overtaken(lake: Lake, catalog: Any, schema: Any) -> Any:
        create(lake, catalog, schema)  # another writer's
        return create(lake, catalog, schema)

    book.start()
    book.now += 3600
    with patch.object(Lake, "_create", overtaken), pytest.raises(LakeBusy, match="at the same time"):
        await reports.write_lake()
    await reports.write_lake()
    assert (await reports.verify_lake()).equal


async def test_a_writer_that_another_one_has_just_overtaken_goes_on_from_the_new_state(
    book: Book, reports: Reports, tmp_path: Path
) -> None:
    book.start()
    book.now += 3600
    await reports.write_lake()
    other = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock)
    try:
        book.pay(3)
        book.now += DAY_S
        await reports.sql("SELECT count(*) FROM payments")  # it has just read the state that the other one replaces
        await other.write_lake()
        await reports.write_lake()
    finally:
        await other.close()
    assert (await reports.verify_lake(repairs=False)).equal


async def test_a_lake_of_a_newer_format_is_refused(book: Book, reports: Reports, tmp_path: Path) -> None:
    book.start()
    book.now += 3600
    await reports.write_lake()
    lake = Lake.at(f"file:{tmp_path / 'lake'}")
    with lake.catalog() as catalog, lake.tables(catalog)["payments"].transaction() as change:
        change.set_properties({"bursar.format": "3"})
    with pytest.raises(LakeBroken, match="has format 3; this Bursar reads formats up to 2"):
        lake.state()
    other = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock)
    with pytest.raises(LakeBroken, match="format 3"):
        await other.write_lake()
    await other.close()


async def test_a_lake_of_an_older_format_is_built_again(book: Book, reports: Reports, tmp_path: Path) -> None:
    book.pay(10)
    await reports.write_lake()
    lake = Lake.at(f"file:{tmp_path / 'lake'}")
    with lake.catalog() as catalog:
        for table in lake.tables(catalog).values():
            with table.transaction() as change:
                change.set_properties({"bursar.format": "1"})
    other = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock)
    assert (await other.sql("SELECT count(*) FROM payments")).rows == [(10,)]
    await other.write_lake()
    assert (await other.verify_lake()).equal
    assert (await other.lake_state())["payments"].row_count > 0
    await other.close()


async def test_a_file_that_is_not_a_catalog_is_a_broken_lake(book: Book, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "catalog.db").write_bytes(b"not a database at all" * 100)
    reports = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock)
    with pytest.raises(LakeBroken, match="cannot be read"):
        await reports.sql("SELECT 1")
    await reports.close()


async def test_many_small_writes_leave_few_files(book: Book, reports: Reports) -> None:
    for _ in range(CLASS_FACTOR + 3):
        book.move(book.start(), "failed")
        book.now += 600
        await reports.write_lake()
        assert len((await reports.lake_state())["payments"].files) < CLASS_FACTOR
    assert (await reports.sql("SELECT count(*) FROM payments")).rows == [(CLASS_FACTOR + 3,)]
    book.now += 30 * DAY_S
    book.move(book.start(), "failed")
    book.now += 600
    await reports.write_lake()
    assert len((await reports.lake_state())["payments"].files) == 2, "a month that has ended is one file"
    assert (await reports.verify_lake()).equal


async def test_the_build_of_a_lake_merges_the_files_of_a_month_by_size_and_at_its_end_in_one_commit(
    book: Book, tmp_path: Path
) -> None:
    for _ in range(3):
        book.now += 40 * DAY_S
        book.move(book.start(), "failed")
    rows = {PAYMENTS.name: arrow_table(PAYMENTS, map(attempt_row, book.attempts.values()))}
    batch = Batch({schema.name: rows.get(schema.name, arrow_schema(schema).empty_table()) for schema in TABLES}, None)
    with writing(Lake.at(f"file:{tmp_path / 'lake'}")) as writer:
        for number in range(1, CLASS_FACTOR + 2):
            written = writer.commit(batch, None, None)
            found = writer.merge(building=True)
            assert (found == written) == (number != CLASS_FACTOR), "only the eighth file of a month is merged"
        with patch.object(LakeWriter, "_commit", autospec=True, side_effect=LakeWriter._commit) as commits:
            merged = writer.merge()
    assert sorted(merged[PAYMENTS.name].files.values()) == [1, CLASS_FACTOR, CLASS_FACTOR + 1, CLASS_FACTOR + 1]
    assert commits.call_count == 1


async def test_writing_again_leaves_no_orphan_metadata(book: Book, reports: Reports, tmp_path: Path) -> None:
    book.start()
    book.now += 3600
    await reports.write_lake()
    lake = Lake.at(f"file:{tmp_path / 'lake'}")
    for _ in range(3):
        await reports.write_lake()
        with writing(lake):
            pass
    for folder in (schema.name for schema in TABLES):
        known = sorted(path.name for path in (tmp_path / "lake" / folder / "metadata").glob("*.metadata.json"))
        numbers = [name.split("-")[0] for name in known]
        assert numbers == sorted(set(numbers)), known


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
        attempt = book.move(attempt, status)
    book.now += 3600
    await reports.write_lake()
    book.start()
    book.now += 3600
    await reports.write_lake()
    assert not stray.exists()
    assert len(list((tmp_path / "lake" / "payments" / "data").rglob("*.parquet"))) == 2  # final, live
    assert (await reports.sql("SELECT status FROM payments ORDER BY 1")).rows == [("processed",), ("received",)]
    assert (await reports.verify_lake()).equal


async def test_a_query_whose_files_were_deleted_reads_the_lake_again(
    book: Book, reports: Reports, tmp_path: Path
) -> None:
    attempt = book.start()
    book.now += 3600
    await reports.write_lake()
    assert (await reports.sql("SELECT count(*) FROM payments")).rows == [(1,)]
    old = set((tmp_path / "lake" / "payments" / "data").rglob("*.parquet"))
    other = Reports(book.source, f"file:{tmp_path / 'lake'}", book.clock)
    book.move(attempt, "failed")
    book.now += 3600
    with patch("bursar.reports.current.LAKE_RECHECK_S", 1e9):
        await other.write_lake()
        for path in old:
            path.unlink()
        assert (await reports.sql("SELECT status FROM payments")).rows == [("failed",)]
    await other.close()
