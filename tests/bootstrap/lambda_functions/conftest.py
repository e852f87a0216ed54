"""The store, Pay.gov, S3 and Glue that the functions of these tests find."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bootstrap.backend import Backend
from tests.support.bootstrap.function_calls import CLIENTS
from tests.support.bootstrap.moto_aws import ENVIRONMENT, MotoAws


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
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[MotoAws]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with MotoAws().running() as served:
        yield served


@pytest.fixture
def lake_url(aws: MotoAws, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Set and return `BURSAR_LAKE`: a lake on S3 whose catalog is Glue."""
    url = aws.lake_url(request.node.name)
    monkeypatch.setenv("BURSAR_LAKE", url)
    return url
