"""The pytest plugin ``bursar``: the fixtures ``dynamodb`` and ``dynamodb_server``, seeded from files.

pytest loads it in every run of an environment with Bursar, so it imports the engine only when a fixture is used.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bursar.dynamo.tools.testing import InProcess, Server

SEED = "dynamodb_seed"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting ``dynamodb_seed``."""
    parser.addini(SEED, "files of tables and items with which every test's DynamoDB begins", "paths", [])


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker ``dynamodb_seed``."""
    config.addinivalue_line("markers", f"{SEED}(*files): tables and items, by path from the test's file, to begin with")


@pytest.fixture
def dynamodb(request: pytest.FixtureRequest) -> "Iterator[InProcess]":
    """Return a DynamoDB in this process, empty or seeded, for this test alone (see ``InProcess``)."""
    from bursar.dynamo.tools.testing import InProcess

    with InProcess() as isolated:
        isolated.seed(*_files(request))
        yield isolated


@pytest.fixture(scope="session")
def _dynamodb_process() -> "Iterator[Server]":
    from bursar.dynamo.tools.testing import Server

    with Server() as server:
        yield server


@pytest.fixture
def dynamodb_server(
    request: pytest.FixtureRequest, _dynamodb_process: "Server", monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Return the URL of a DynamoDB that SDKs find by the environment, empty or seeded; its tables end with the test."""
    from bursar.dynamo.tools.testing import PROFILE

    for name in PROFILE:
        monkeypatch.delenv(name, raising=False)
    for name, value in _dynamodb_process.environment.items():
        monkeypatch.setenv(name, value)
    _dynamodb_process.clear()  # what a thread of the test before may have left
    _dynamodb_process.seed(*_files(request))
    yield _dynamodb_process.url
    _dynamodb_process.clear()


def _files(request: pytest.FixtureRequest) -> list[Path]:
    """Return the files of the settings, then those of the markers, the outermost first."""
    files: list[Path] = list(request.config.getini(SEED))
    for marker in reversed(list(request.node.iter_markers(SEED))):
        files += [request.path.parent / file for file in marker.args]
    return files
