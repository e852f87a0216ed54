"""The store, Pay.gov, S3 and Glue that the functions of these tests find."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bootstrap.backend import Backend
from tests.support.bootstrap.function_calls import CLIENTS
from tests.support.bootstrap.moto_aws import ENVIRONMENT, MotoAws

SUBSCRIPTION = """
[webhooks.dawson]
client = "dawson"
url = "https://court.example/hooks"
secret = "0123456789abcdef0123456789abcdef"
"""


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    served = Backend()
    yield served
    served.stop()


@pytest.fixture
def aws() -> Iterator[MotoAws]:
    with MotoAws().running() as served:
        yield served


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: Backend) -> Iterator[None]:
    """Set the environment of the functions."""
    for name, content in (("clients", CLIENTS), ("webhooks", SUBSCRIPTION)):
        (tmp_path / f"{name}.toml").write_text(content)
        monkeypatch.setenv(f"BURSAR_{name.upper()}", str(tmp_path / f"{name}.toml"))
    for name, value in {
        **ENVIRONMENT,
        "BURSAR_STORE": backend.store_url,
        "BURSAR_PAYGOV_URL": backend.paygov.url,
        "BURSAR_PAYMENT_URL": backend.paygov.payment_url,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before, level
