"""The store, Pay.gov, S3 and Glue that the functions of these tests find."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bootstrap.backend import Backend
from tests.support.bootstrap.function_calls import CLIENTS


@pytest.fixture(scope="package")
def backend() -> Iterator[Backend]:
    served = Backend()
    yield served
    served.stop()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: Backend) -> Iterator[None]:
    clients = tmp_path / "clients.toml"
    clients.write_text(CLIENTS)
    for name, value in {
        "STORE": backend.store_url,
        "CLIENTS": str(clients),
        "PAYGOV_URL": backend.paygov.url,
        "PAYMENT_URL": backend.paygov.payment_url,
    }.items():
        monkeypatch.setenv(f"BURSAR_{name}", value)
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before, level


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the address of an S3, a Glue and a Secrets Manager; the bucket `lake` exists."""
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
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket="lake")
    yield url
    server.stop()


@pytest.fixture
def lake_url(aws: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Set and return `BURSAR_LAKE`: a lake on S3 whose catalog is Glue."""
    options = f"catalog=glue&glue.endpoint={aws}&glue.region=us-east-1&s3.endpoint={aws}&s3.region=us-east-1"
    url = f"s3://lake/{request.node.name}?{options}"
    monkeypatch.setenv("BURSAR_LAKE", url)
    return url
