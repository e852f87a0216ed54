"""Two writers of one lake, on a real S3 server with the catalog in Glue, as the template has it.

S3Proxy has the objects. Glue is ministack's, which refuses a commit to an older version of a table, as Glue does;
moto's Glue would accept it. ``make test-cloud`` runs this.
"""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

import boto3
import pytest

from bursar.reports.errors import LakeBusy
from bursar.reports.reports import Reports
from tests.support.cloud.s3proxy import KEYS, REGION, Gate, gate_before, running_s3
from tests.support.cloud.s3proxy import why_absent as why_no_s3
from tests.support.deploy.ministack import MINISTACK, Cloud, running
from tests.support.reports.book import Book

pytestmark = [
    pytest.mark.skipif(why_no_s3() is not None, reason=str(why_no_s3())),
    pytest.mark.skipif(not MINISTACK.exists(), reason="make test-cloud installs ministack; it needs Python 3.13"),
    pytest.mark.timeout(1800),
]
ANSWER: Final = """
SELECT count(*), sum(amount), count(DISTINCT reference), (SELECT count(*) FROM payment_events) FROM payments
"""
COMMIT: Final = "AWSGlue.UpdateTable"
LATE_S: Final = 3 * 3600.0
"""Longer than the overlap of the index of changes."""
HELD_S_MAX: Final = 300.0
LAKES: Final = itertools.count()


class Aws:
    """The bucket and the catalog, and a separate gate before the catalog for each writer."""

    def __init__(self, stack: ExitStack, s3_port: int, cloud: Cloud) -> None:
        self._endpoint = f"s3.endpoint=http://127.0.0.1:{s3_port}&s3.region={REGION}&glue.region={REGION}"
        self.gates = [stack.enter_context(gate_before(int(cloud.url.rpartition(":")[2]))) for _ in range(2)]

    def urls(self) -> list[str]:
        """Return the URL of a new lake, for each writer."""
        place = f"s3://lake/of/{next(LAKES)}"
        return [f"{place}?{self._endpoint}&glue.endpoint={gate.url}" for gate in self.gates]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Cloud]]:
    with (
        running_s3(tmp_path_factory.mktemp("s3")) as port,
        running(tmp_path_factory.mktemp("ministack")) as cloud,
    ):
        make: Any = boto3.client
        s3 = make(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name=REGION,
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )
        s3.create_bucket(Bucket="lake")
        yield port, cloud


@pytest.fixture
def aws(servers: tuple[int, Cloud], monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name, value in (KEYS | {"AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    port, cloud = servers
    glue = cloud.client("glue")
    if any(each["Name"] == "bursar" for each in glue.get_databases()["DatabaseList"]):
        for table in glue.get_tables(DatabaseName="bursar")["TableList"]:
            glue.delete_table(DatabaseName="bursar", Name=table["Name"])
    else:
        glue.create_database(DatabaseInput={"Name": "bursar"})
    with ExitStack() as stack:
        yield Aws(stack, port, cloud)


def expected(book: Book) -> list[tuple[object, ...]]:
    attempts = book.attempts.values()
    references = len({attempt.reference for attempt in attempts})
    return [(len(attempts), sum(attempt.amount for attempt in attempts), references, len(book.events))]


async def written(writer: Reports) -> bool:
    """Write the lake; return False if another writer was faster."""
    try:
        await writer.write_lake()
    except LakeBusy:
        return False
    return True


async def prove(book: Book, writers: list[Reports]) -> None:
    """Raise ``AssertionError`` unless every writer sees each row once, in the lake too."""
    for writer in writers:
        assert (await writer.sql(ANSWER)).rows == expected(book)
        assert (await writer.verify_lake(repairs=False)).equal


async def test_two_writers_that_found_and_write_a_lake_at_once_write_every_row_once(aws: Aws) -> None:
    book = Book()
    writers = [Reports(book.source, url, book.clock) for url in aws.urls()]
    try:
        for _ in range(2):
            book.pay(12)
            book.now += LATE_S
            await asyncio.gather(*map(written, writers))
        await writers[0].write_lake()  # alone, it is never refused: the other one may have left any part undone
        await prove(book, writers)
    finally:
        for writer in writers:
            await writer.close()


async def test_a_writer_that_is_overtaken_between_any_two_commits_doubles_nothing(aws: Aws) -> None:
    book = Book()
    slow, fast = writers = [Reports(book.source, url, book.clock) for url in aws.urls()]
    refused = 0
    try:
        book.pay(5)
        book.now += LATE_S
        await fast.write_lake()
        for commits in itertools.count():
            book.pay(6)
            book.now += LATE_S
            held = Held(aws.gates[0], commits)
            writing = asyncio.create_task(written(slow))
            waiting = asyncio.create_task(asyncio.to_thread(held.arrived.wait, HELD_S_MAX))
            await asyncio.wait([writing, waiting], return_when=asyncio.FIRST_COMPLETED)
            if not held.arrived.is_set():  # a write has fewer commits
                held.arrived.set()
                await waiting
                break
            await written(fast)
            held.released.set()
            refused += not await writing
            await fast.write_lake()
            assert (await slow.sql(ANSWER)).rows == expected(book), commits
        await prove(book, writers)
        assert commits >= 2
        assert refused >= 1
    finally:
        for writer in writers:
            await writer.close()


class Held:
    """Hold the commit of a writer that follows ``commits`` others, until ``released`` is set."""

    def __init__(self, gate: Gate, commits: int) -> None:
        self.arrived, self.released = threading.Event(), threading.Event()
        self._left = commits
        gate.refuses = self._hold

    def _hold(self, _method: str, path: str) -> bool:
        if path == COMMIT:
            self._left -= 1
            if self._left == -1:
                self.arrived.set()
                self.released.wait(HELD_S_MAX)
        return False
