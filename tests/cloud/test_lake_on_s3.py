"""The lake on a real S3 server: written, verified and asked; two writers; vacuum; a server that fails midway; readers.

``make test-cloud`` runs this; tools/install-trino installs S3Proxy.
"""

import asyncio
import itertools
import json
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from bursar.reports.errors import LakeBroken, LakeBusy
from bursar.reports.lake import vacuum as vacuum_module
from bursar.reports.lake.definitions import definitions, glue_text
from bursar.reports.lake.lake import NAMESPACE, Lake
from bursar.reports.lake.schema import TABLES
from bursar.reports.reports import Reports
from tests.support.bootstrap.moto_aws import MotoAws
from tests.support.cloud.s3proxy import KEYS, REGION, Gate, gate_before, running_s3, why_absent
from tests.support.reports.book import DAY_S, Book

pytestmark = [
    pytest.mark.skipif(why_absent() is not None, reason=str(why_absent())),
    pytest.mark.timeout(1800),
]
ANSWER = """
SELECT count(*), sum(amount), count(*) FILTER (WHERE status = 'processed'), count(DISTINCT reference) FROM payments
"""
STORED = Path(__file__).with_name("lakes") / "before-reversals.zip"
NUMBERS = itertools.count()
LATE_S = 3 * 3600.0
"""Longer than the overlap of the index of changes."""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_s3(tmp_path_factory.mktemp("s3")) as served:
        s3_at(served).create_bucket(Bucket="lake")
        yield served


def s3_at(port: int) -> Any:
    make: Any = boto3.client
    return make(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name=REGION,
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.fixture
def gate(port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    for name, value in (KEYS | {"AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    with gate_before(port) as served:
        yield served


@pytest.fixture
def url(gate: Gate, tmp_path: Path) -> str:
    catalog = f"catalog=sqlite:///{tmp_path}/catalog.db"
    return f"s3://lake/of/{next(NUMBERS)}?{catalog}&s3.endpoint={gate.url}&s3.region={REGION}"


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
async def reports(book: Book, url: str) -> AsyncIterator[Reports]:
    made = Reports(book.source, url, book.clock)
    yield made
    await made.close()


def expected(book: Book) -> list[tuple[object, ...]]:
    attempts = book.attempts.values()
    processed = sum(attempt.status == "processed" for attempt in attempts)
    references = len({attempt.reference for attempt in attempts})
    return [(len(attempts), sum(attempt.amount for attempt in attempts), processed, references)]


def objects(port: int, url: str) -> set[str]:
    """Return the keys of the lake's objects, without the empty ones that Arrow puts where a folder lost a file."""
    prefix = url.partition("?")[0].removeprefix("s3://lake/") + "/"
    pages = s3_at(port).get_paginator("list_objects_v2")
    keys = (each["Key"] for page in pages.paginate(Bucket="lake", Prefix=prefix) for each in page.get("Contents", ()))
    return {key for key in keys if not key.endswith("/")}


def after(gate: Gate, writes: int) -> Callable[[str, str], bool]:
    """Return the refusal of every write after this number of writes."""
    return lambda method, path: method not in ("GET", "HEAD") and len(gate.writes()) > writes


async def test_the_lake_is_written_asked_and_verified(book: Book, reports: Reports) -> None:
    for _ in range(3):
        book.pay(40)
        book.now += LATE_S
        await reports.write_lake()
        book.pay(5)
        assert (await reports.sql(ANSWER)).rows == expected(book)
    book.now += LATE_S
    await reports.write_lake()
    assert (await reports.verify_lake()).equal


async def test_two_writers_at_once_write_every_row_once(book: Book, url: str) -> None:
    writers = [Reports(book.source, url, book.clock) for _ in range(2)]
    busy = 0

    async def write(writer: Reports) -> None:
        nonlocal busy
        try:
            await writer.write_lake()
        except LakeBusy:
            busy += 1

    try:
        await writers[0].write_lake()
        for _ in range(6):
            book.pay(12)
            book.now += LATE_S
            await asyncio.gather(*(write(writer) for writer in writers))
        await writers[0].write_lake()
        for writer in writers:
            assert (await writer.sql(ANSWER)).rows == expected(book)
            assert (await writer.verify_lake(repairs=False)).equal
    finally:
        for writer in writers:
            await writer.close()


async def test_a_server_that_fails_midway_loses_and_doubles_nothing(book: Book, reports: Reports, gate: Gate) -> None:
    book.pay(20)
    await reports.write_lake()
    failures = 0
    for allowed in (0, 1, 2, 4, 7, 11):
        book.pay(6)
        book.now += LATE_S
        gate.refuses = after(gate, len(gate.writes()) + allowed)
        try:
            await reports.write_lake()
        except LakeBroken:
            failures += 1
        assert (await reports.sql(ANSWER)).rows == expected(book), allowed
        gate.refuses = lambda method, path: False
        await reports.write_lake()
        assert (await reports.verify_lake(repairs=False)).equal, allowed
    assert failures >= 4


async def test_a_reader_needs_no_permission_to_write(book: Book, reports: Reports, url: str, gate: Gate) -> None:
    book.pay(30)
    book.now += LATE_S
    await reports.write_lake()
    book.pay(3)
    before = len(gate.writes())
    gate.refuses = lambda method, path: method not in ("GET", "HEAD")
    reader = Reports(book.source, url, book.clock)
    try:
        assert (await reader.sql(ANSWER)).rows == expected(book)
        assert len((await reader.report("status_by_client")).rows) > 1
        assert (await reader.verify_lake(repairs=False)).equal
    finally:
        await reader.close()
    assert len(gate.writes()) == before


def needed(url: str) -> set[str]:
    """Return the keys of every object that a snapshot or the metadata of a table refers to."""
    found: set[str] = set()
    with Lake.at(url).catalog() as catalog:
        for schema in TABLES:
            table = catalog.load_table((NAMESPACE, schema.name))
            found |= {table.metadata_location, *(each.metadata_file for each in table.metadata.metadata_log)}
            for snapshot in table.snapshots():
                found.add(snapshot.manifest_list)
                for manifest in snapshot.manifests(table.io):
                    found.add(manifest.manifest_path)
                    found |= {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io)}
    return {each.removeprefix("s3://lake/") for each in found}


async def test_files_that_no_snapshot_needs_do_not_accumulate(
    book: Book, reports: Reports, url: str, port: int, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vacuum_module, "READER_GRACE_S", -60.0)  # S3's times are whole seconds
    monkeypatch.setattr(vacuum_module, "SNAPSHOTS_MAX", 0)
    for commit in range(5):
        book.pay(3)
        book.now += DAY_S
        if commit in (2, 3):
            gate.refuses = lambda method, path: method == "PUT" and ".metadata.json" in path
            with pytest.raises(LakeBroken):
                await reports.write_lake()
            gate.refuses = lambda method, path: False
            assert objects(port, url) > needed(url)  # the files of the write that failed
        await reports.write_lake()
    assert objects(port, url) == needed(url)
    assert (await reports.sql(ANSWER)).rows == expected(book)


async def test_a_stored_lake_of_an_older_version_gets_the_columns_and_tables_that_it_lacks(
    book: Book, gate: Gate, port: int, tmp_path: Path
) -> None:
    """Open the objects and the catalog that Bursar wrote before it knew reversals and deposits (d900789)."""
    with zipfile.ZipFile(STORED) as stored:
        for name in stored.namelist():
            if name != "catalog.db":
                s3_at(port).put_object(Bucket="lake", Key=name, Body=stored.read(name))
        (tmp_path / "catalog.db").write_bytes(stored.read("catalog.db"))
    url = f"s3://lake/old?catalog=sqlite:///{tmp_path}/catalog.db&s3.endpoint={gate.url}&s3.region={REGION}"
    book.pay(30)
    paid = book.move(book.start(), "processed")
    book.reverse(paid, "20.00")
    book.now += LATE_S
    reports = Reports(book.source, url, book.clock)
    count = "SELECT count(*), sum(reversed_amount), (SELECT count(*) FROM deposits) FROM payments"
    try:
        assert (await reports.sql(count)).rows == [(31, 20, 0)]
        await reports.write_lake()
        assert (await reports.sql(count)).rows == [(31, 20, 0)]
        assert (await reports.verify_lake(repairs=False)).equal
    finally:
        await reports.close()
    for each in definitions(Lake.at(url)):
        assert list(each.field_ids.items()) == [(name, place) for place, name in enumerate(each.schema.column_names, 1)]


async def test_glue_takes_the_definitions_and_gives_the_same_lake(
    book: Book, reports: Reports, url: str, gate: Gate
) -> None:
    book.pay(20)
    book.now += LATE_S
    await reports.write_lake()
    with MotoAws().running() as aws:
        glue_url = aws.url
        glue = boto3.client("glue", endpoint_url=glue_url)
        for line in glue_text(definitions(Lake.at(url))).splitlines():
            glue.create_table(**json.loads(line))
        place, _, _ = url.partition("?")
        of_glue = f"{place}?glue.endpoint={glue_url}&glue.region={REGION}&s3.endpoint={gate.url}&s3.region={REGION}"
        assert Lake.at(of_glue).state() == await reports.lake_state()
