"""What the tests of the room share."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory] | None:
    """The HTTP door is tested on the loop that serves it and on the standard one; their transports differ."""
    if item.path.name in ("test_http_door.py", "test_http_door_fuzz.py"):
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return None
