"""What the tests of the room share."""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping

import pytest
import uvloop

from bursar.dynamo import Engine

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    """The HTTP door is tested on the loop that serves it and on the standard one; their transports differ."""
    if item.path.name == "test_connection.py":
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An empty engine in memory, at a moment that does not move."""
    opened = Engine.open(":memory:", clock=lambda: 1_800_000_000.0, randomness=random.Random(1))
    yield opened
    opened.close()
