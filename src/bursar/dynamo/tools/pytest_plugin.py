"""The pytest plugin ``bursar``: the fixtures ``dynamodb`` and ``dynamodb_server``, seeded from files.

pytest loads it in every run of an environment with Bursar, so the plugin imports the engine only when a fixture is
used.
"""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bursar.dynamo.tools.testing import InProcess, Server

SEED = "dynamodb_seed"
WEATHER = "dynamodb_weather"
REGION = "dynamodb_region"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the settings ``dynamodb_seed`` and ``dynamodb_region``, and the weather of the fixture ``dynamodb``.

    The weather is a setting and two options.
    """
    parser.addini(SEED, "files of tables and items with which every test's DynamoDB begins", "paths", [])
    parser.addini(WEATHER, "the weather of the fixture dynamodb: calm, typical, storm or a TOML file", "string", "calm")
    parser.addini(REGION, "the region of the fixtures' DynamoDB", "string", "us-east-1")
    group = parser.getgroup("bursar")
    group.addoption("--dynamodb-weather", metavar="NAME|FILE", help="the weather of the fixture dynamodb")
    group.addoption("--dynamodb-weather-seed", metavar="N", type=int, help="its seed, instead of each test's own")


def pytest_configure(config: pytest.Config) -> None:
    """Add the markers ``dynamodb_seed`` and ``dynamodb_weather``."""
    config.addinivalue_line("markers", f"{SEED}(*files): tables and items, by path from the test's file, to begin with")
    config.addinivalue_line("markers", f"{WEATHER}(name, seed=0): the weather of the fixture dynamodb")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the weather of a failed test to its report."""
    report = yield
    if report.failed and call.when == "call":
        text = getattr(getattr(item, "funcargs", {}).get("dynamodb"), "weather_report", "")
        if text:
            report.sections.append(("dynamodb", text))
    return report


@pytest.fixture
def dynamodb(request: pytest.FixtureRequest) -> "Iterator[InProcess]":
    """Return a DynamoDB in this process, empty or seeded, for this test only (see ``InProcess``).

    The report of a test that fails names the weather, its seed and what happened.
    """
    from bursar.dynamo.tools.testing import InProcess

    with InProcess(*_weather(request), region=request.config.getini(REGION)) as isolated:
        isolated.seed(*_files(request))
        yield isolated


@pytest.fixture(scope="session")
def _dynamodb_process(request: pytest.FixtureRequest) -> "Iterator[Server]":
    from bursar.dynamo.tools.testing import Server

    with Server(region=request.config.getini(REGION)) as server:
        yield server


@pytest.fixture
def dynamodb_server(
    request: pytest.FixtureRequest, _dynamodb_process: "Server", monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Return the URL of a DynamoDB, empty or seeded, which SDKs find by the environment.

    Its tables are removed after the test.
    """
    from bursar.dynamo.tools.testing import PROFILE

    for name in PROFILE:
        monkeypatch.delenv(name, raising=False)
    for name, value in _dynamodb_process.environment.items():
        monkeypatch.setenv(name, value)
    _dynamodb_process.clear()  # collects what a thread of the previous test may have left
    _dynamodb_process.seed(*_files(request))
    yield _dynamodb_process.url
    _dynamodb_process.clear()


def _weather(request: pytest.FixtureRequest) -> tuple[str, int | None]:
    """Return the weather of a test and its seed: from the options, otherwise the marker, otherwise the setting."""
    marker = request.node.get_closest_marker(WEATHER)
    arguments = {"name": request.config.getini(WEATHER), "seed": None}
    if marker is not None:
        arguments |= dict(zip(("name", "seed"), marker.args, strict=False)) | marker.kwargs
    name = request.config.getoption("--dynamodb-weather") or arguments["name"]
    chosen = request.config.getoption("--dynamodb-weather-seed")
    return name, arguments["seed"] if chosen is None else chosen


def _files(request: pytest.FixtureRequest) -> list[Path]:
    """Return the files of the settings, then those of the markers, the outermost first."""
    files: list[Path] = list(request.config.getini(SEED))
    for marker in reversed(list(request.node.iter_markers(SEED))):
        files += [request.path.parent / file for file in marker.args]
    return files
