"""The programs of docs/weather.md: a storm finds the fault of each, which calm emulators hide."""

import importlib.util
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import moto
import pytest

from bursar.dynamo.tools.testing import InProcess

DOCS = Path(__file__).parents[2] / "docs"
PROGRAMS = sorted((DOCS / "examples" / "weather").glob("*.py"))
OTHER_SEEDS = range(1, 6)


@pytest.fixture(autouse=True)
def _no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let botocore's retries and the slow answers take no time."""
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)


@pytest.fixture(params=PROGRAMS, ids=lambda path: path.stem)
def program(request: pytest.FixtureRequest) -> Any:
    specification = importlib.util.spec_from_file_location(request.param.stem, request.param)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def passes(program: Any, run: Callable[[Any], None], weather: str, seed: int | None = None) -> bool:
    with InProcess(weather, seed) as dynamodb:
        with dynamodb.calm():
            program.prepare(dynamodb.client)
        try:
            run(dynamodb.client)
            with dynamodb.calm():
                program.verify(dynamodb.client)
        except (AssertionError, KeyError):
            return False
    return True


def test_a_storm_finds_the_fault_that_calm_hides(program: Any) -> None:
    assert passes(program, program.faulty, "calm")
    assert not passes(program, program.faulty, "storm", program.SEED)


def test_the_fixed_program_passes_in_calm_and_in_storms(program: Any) -> None:
    assert passes(program, program.fixed, "calm")
    for seed in (program.SEED, *OTHER_SEEDS):
        assert passes(program, program.fixed, "storm", seed)


@pytest.fixture
def motos(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with moto.mock_aws():
        yield boto3.client("dynamodb", region_name="us-east-1")


@pytest.mark.oracle
def test_moto_passes_the_faulty_program(program: Any, motos: Any) -> None:
    program.prepare(motos)
    program.faulty(motos)
    program.verify(motos)


def test_the_page_names_every_program_and_its_seed() -> None:
    page = (DOCS / "weather.md").read_text(encoding="utf-8")
    assert len(PROGRAMS) == 6
    assert [path.name for path in PROGRAMS if f"](examples/weather/{path.name})" not in page] == []
    assert "In a storm with seed 0 it fails" in page
