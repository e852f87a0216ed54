"""A lake on S3, by the same code as a lake in a folder, with its catalog in SQL or in Glue, which Athena needs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from bursar.reports.reports import Reports
from tests.support.reports.book import Book

ANSWER = "SELECT count(*), sum(amount), count(*) FILTER (WHERE status = 'failed') FROM payments"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the address of an S3 and a Glue with one bucket, `lake`."""
    import boto3
    from moto.server import ThreadedMotoServer

    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    requests.post(f"{url}/moto-api/reset")  # other tests of this process have used moto
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket="lake")
    yield url
    server.stop()


@pytest.mark.parametrize("catalog", ["sql", "glue"])
async def test_a_lake_on_s3_is_written_asked_and_verified(book: Book, aws: str, tmp_path: Path, catalog: str) -> None:
    options = {
        "sql": f"catalog=sqlite:///{tmp_path}/catalog.db",
        "glue": f"catalog=glue&glue.endpoint={aws}&glue.region=us-east-1",
    }[catalog]
    url = f"s3://lake/of/{catalog}?{options}&s3.endpoint={aws}&s3.region=us-east-1"
    book.pay(30)
    for attempt in book.attempts.values():
        if attempt.status != "failed":
            survivor = attempt
    failed = sum(attempt.status == "failed" for attempt in book.attempts.values())
    book.now += 3600
    reports = Reports(book.source, url, book.clock)
    try:
        await reports.write_lake()
        assert (await reports.sql(ANSWER)).rows == [(30, 1800, failed)]
        book.move(survivor, "failed")
        assert (await reports.sql(ANSWER)).rows == [(30, 1800, failed + 1)]
        book.now += 3600
        await reports.write_lake()
        assert (await reports.sql(ANSWER)).rows == [(30, 1800, failed + 1)]
        assert (await reports.verify_lake()).equal
    finally:
        await reports.close()
