"""Fixtures of the engine's tests."""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping

import pytest
import uvloop

from bursar.dynamo import Engine
from tests.support.dynamo.dynamodb_local import Local, running_local

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Run the server's tests on uvloop and on the standard loop, whose transports differ."""
    if item.path.name == "test_connection.py":
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Return an empty engine in memory, whose clock does not move."""
    opened = Engine.open(":memory:", clock=lambda: 1_800_000_000.0, randomness=random.Random(1))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """Start Amazon's DynamoDB Local for the tests of one file."""
    with running_local(tmp_path_factory.mktemp("local")) as started:
        yield started
