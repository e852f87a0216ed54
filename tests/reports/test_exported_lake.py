"""A lake from exports to S3 has the rows of a lake that was built by a scan, and a bad export changes nothing."""

import asyncio
import gzip
import random
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from click.testing import CliRunner

from bursar.clock import iso_ms
from bursar.dynamo.buckets.buckets import FolderBuckets
from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.payments.ledger.table import TABLE_NAME
from bursar.reports import commands
from bursar.reports.command_line.runs import EXPORTED_LAKE
from bursar.reports.errors import BadExport
from bursar.reports.exported_lake import ExportedLake
from bursar.reports.lake.lake import NAMESPACE, Lake
from bursar.reports.lake.retention import Retention
from bursar.reports.lake.schema import TABLES
from bursar.reports.reports import Reports
from bursar.reports.tail.export_files import SUMMARY
from bursar.reports.tail.index_source import IndexSource
from bursar.reports.tail.stream_source import StreamSource
from tests.support.dynamo.arns import TABLE_ARN
from tests.support.payments.stage import Wall
from tests.support.reports.ledger_history import CALLS, LedgerHistory
from tests.support.write_paths import SWAP

ANSWER = "SELECT count(*), sum(amount), sum(net_amount), count(settled_at) FROM payments"


@dataclass
class Exported:
    """A store with a history, the bucket of its exports, and the lake that they make."""

    store: AsyncEngine
    history: LedgerHistory
    wall: Wall
    draw: random.Random
    folder: Path

    @property
    def lake(self) -> Lake:
        return Lake.at(self.lake_url)

    @property
    def lake_url(self) -> str:
        return f"file:{self.folder / 'lake'}"

    def of_table(self, table: str = TABLE_NAME) -> ExportedLake:
        return ExportedLake(self.lake_url, table, Retention())

    async def live(self, steps: int = 60) -> None:
        """Let payments begin, change, end and come back, over an hour."""
        for _ in range(steps):
            await self.history.take(("wait", 60.0))
            name = self.draw.choice(("start", *CALLS))
            await self.history.take((name, self.draw.randrange(40)))

    async def export(self, since: float | None = None) -> Path:
        """Export the table, or its changes from ``since`` on, and return the folder of the export."""
        self.wall.now += 60
        request: dict[str, Any] = {"TableArn": TABLE_ARN + TABLE_NAME, "S3Bucket": "exports", "S3Prefix": "nightly"}
        if since is not None:
            window = {"ExportFromTime": since, "ExportToTime": self.wall.now, "ExportViewType": "NEW_AND_OLD_IMAGES"}
            request |= {"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": window}
        found = (await self.store.call("ExportTableToPointInTime", request))["ExportDescription"]
        export_id = str(found["ExportArn"]).rpartition("/")[2]
        return self.folder / "s3" / "exports" / "nightly" / "AWSDynamoDB" / export_id


@pytest.fixture
async def exported(tmp_path: Path) -> AsyncIterator[Exported]:
    wall, draw = Wall(), random.Random(14)
    store = SWAP.open(str(tmp_path / "store.db"), clock=wall, randomness=draw)
    await SWAP.create_table(store)
    recovery = {"PointInTimeRecoveryEnabled": True}
    await store.call("UpdateContinuousBackups", {"TableName": TABLE_NAME, "PointInTimeRecoverySpecification": recovery})
    (tmp_path / "s3" / "exports").mkdir(parents=True)
    store.engine.set_buckets(FolderBuckets(tmp_path / "s3"))
    made = Exported(store, LedgerHistory(SWAP.ledger(store, clock=wall, randomness=draw), wall), wall, draw, tmp_path)
    await made.live()
    yield made
    await store.close()


def rows_of(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """Return every row of the lake, live ones too, by its Iceberg tables."""
    with lake.catalog() as catalog:
        tables = {schema: catalog.load_table((NAMESPACE, schema.name)).scan().to_arrow() for schema in TABLES}
    return {
        schema.name: sorted(rows.to_pylist(), key=lambda row: tuple(row[name] for name in schema.key))
        for schema, rows in tables.items()
    }


async def scanned(exported: Exported) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of another lake, which a scan of the store builds now."""
    folder = exported.folder / f"scanned {exported.wall.now}"
    reports = Reports(StreamSource(exported.store, TABLE_NAME), f"file:{folder}", exported.wall)
    await reports.write_lake()
    await reports.close()
    return rows_of(Lake.at(f"file:{folder}"))


async def test_a_lake_is_built_and_followed_by_exports_as_by_a_scan(exported: Exported) -> None:
    full = await exported.export()
    built_at = exported.wall.now
    written = await exported.of_table().build(str(full))
    expected = await scanned(exported)
    assert all(expected.values())  # of each table
    assert rows_of(exported.lake) == expected
    assert written.watermark == pytest.approx(built_at)
    since = built_at
    for _ in range(2):
        await exported.live()
        incremental = await exported.export(since - 30)  # they may overlap
        await exported.of_table().follow(str(incremental))
        assert rows_of(exported.lake) == await scanned(exported)
        since = exported.wall.now
    assert (await exported.of_table().follow(str(incremental))).rows == {}
    assert rows_of(exported.lake) == await scanned(exported)
    # The index of changes continues the lake, and finds what the exports do not have yet.
    await exported.live()
    source = IndexSource(exported.history.ledger, exported.store, TABLE_NAME, exported.wall)
    by_index = Reports(source, exported.lake_url, exported.wall)
    stream = Reports(StreamSource(exported.store, TABLE_NAME), f"file:{exported.folder / 'other'}", exported.wall)
    assert (await by_index.sql(ANSWER)).rows == (await stream.sql(ANSWER)).rows
    exported.wall.now += 4 * 3600
    await by_index.write_lake()
    verification = await by_index.verify_lake()
    assert verification.equal, verification.lines()
    await by_index.close()
    await stream.close()


async def test_the_commands_print_what_moved_or_why_not(exported: Exported) -> None:
    full = await exported.export()

    async def lake(*arguments: str) -> tuple[int, str]:
        made = {EXPORTED_LAKE: exported.of_table}
        result = await asyncio.to_thread(CliRunner().invoke, commands.lake, arguments, obj=made)
        return result.exit_code, result.output

    assert await lake("follow", "--from-export", str(full)) == (1, ANY)
    code, output = await lake("build", "--from-export", str(full))
    assert code == 0, output
    assert f"the lake is complete up to {iso_ms(exported.wall.now)}" in output
    code, output = await lake("build", "--from-export", str(full))
    assert (code, output) == (
        1,
        f"Error: the lake at file://{exported.folder}/lake: must not exist yet\n",
    )


async def test_a_clock_ahead_of_the_export_costs_no_row_and_doubles_none(exported: Exported) -> None:
    exported.wall.now += 3600
    await exported.live(steps=20)  # by a writer whose clock is an hour ahead
    exported.wall.now -= 3600
    full = await exported.export()
    await exported.of_table().build(str(full))
    source = IndexSource(exported.history.ledger, exported.store, TABLE_NAME, exported.wall)
    by_index = Reports(source, exported.lake_url, exported.wall)
    assert (await by_index.sql("SELECT count(*) FROM payments")).rows == [(len(exported.history.attempts),)]
    await by_index.close()


def data_file(folder: Path) -> Path:
    [path] = (folder / "data").iterdir()
    return path


def damage_summary(folder: Path) -> None:
    path = folder / SUMMARY
    path.write_text(path.read_text().replace("itemCount", "itemKount"))


def damage_files(folder: Path) -> None:
    path = folder / "manifest-files.json"
    path.write_text(path.read_text().replace('"itemCount":', '"itemCount":1'))


def damage_data(folder: Path) -> None:
    path = data_file(folder)
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content.replace(b"60.00", b"61.00")))


def cut_data(folder: Path) -> None:
    path = data_file(folder)
    path.write_bytes(path.read_bytes()[:-40])


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "summary": (damage_summary, r"manifest-summary\.json: must have the checksum .* it is damaged"),
    "list of files": (damage_files, r"manifest-files\.json: must have the checksum .* it is damaged"),
    "data": (damage_data, r"\.json\.gz: must have the checksum of the manifest"),
    "end of the data": (cut_data, r"\.json\.gz: must have the checksum of the manifest"),
    "missing file": (lambda folder: data_file(folder).unlink(), r"must have the file .*\.json\.gz"),
    "missing summary": (lambda folder: (folder / SUMMARY).unlink(), r"must have the file .*manifest-summary\.json"),
    "missing checksum": (
        lambda folder: (folder / "manifest-files.md5").unlink(),
        r"must have the file .*manifest-files\.checksum",
    ),
}


async def test_a_damaged_export_is_refused_and_changes_nothing(exported: Exported) -> None:
    full = await exported.export()
    for name, (fault, message) in FAULTS.items():
        copy = exported.folder / "copies" / name / full.name  # a copy of the folder alone is an export too
        shutil.copytree(full, copy)
        fault(copy)
        with pytest.raises(BadExport, match=message):
            await exported.of_table().build(str(copy))
        assert not exported.lake.exists, name
    with pytest.raises(BadExport, match=r"must be a folder with manifest-summary\.json"):
        await exported.of_table().build(str(exported.folder / "nowhere"))
    with pytest.raises(BadExport, match=r"must be of the table another; got bursar-payments"):
        await exported.of_table("another").build(str(full))
    assert not exported.lake.exists


async def test_an_export_that_does_not_continue_the_lake_is_refused(exported: Exported) -> None:
    full = await exported.export()
    built_at = exported.wall.now
    await exported.live()
    since = exported.wall.now
    await exported.live()
    incremental, late = await exported.export(built_at), await exported.export(since)
    lake = exported.of_table()
    with pytest.raises(BadExport, match="must exist; build it first"):
        await lake.follow(str(incremental))
    with pytest.raises(BadExport, match="must be a full one"):
        await lake.build(str(incremental))
    await lake.build(str(full))
    known = rows_of(exported.lake)
    refused = {
        full: "must be an incremental one",
        late: rf"must begin at {iso_ms(built_at)} or earlier; got {iso_ms(since)}",
    }
    for place, message in refused.items():
        with pytest.raises(BadExport, match=message):
            await lake.follow(str(place))
    with pytest.raises(BadExport, match="must not exist yet"):
        await lake.build(str(full))
    assert rows_of(exported.lake) == known
