"""The engine with weather for asyncio: a slow answer delays only its caller."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from bursar.dynamo.engine.engine import RequestOutcome
from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.weather.engine import WeatherEngine


class AsyncWeatherEngine(AsyncEngine):
    """An :class:`AsyncEngine` with slow answers."""

    def __init__(self, engine: WeatherEngine) -> None:
        super().__init__(engine)
        self._pause_s = engine.pause_s

    async def call_bytes(self, operation: str, request: Mapping[str, Any]) -> bytes:
        """Carry out one request and return the serialised response, possibly with a delay. Raises ``DynamoError``."""
        pause_s = self._pause_s(operation, request)
        if not pause_s:
            return await super().call_bytes(operation, request)
        try:
            body = await super().call_bytes(operation, request)
        except DynamoError:
            await asyncio.sleep(pause_s)
            raise
        await asyncio.sleep(pause_s)
        return body

    def submit(self, operation: str, request: Mapping[str, Any], settle: Callable[[RequestOutcome], None]) -> None:
        """Carry out one request; ``settle`` gets the outcome, possibly with a delay."""
        pause_s = self._pause_s(operation, request)
        if not pause_s:
            super().submit(operation, request, settle)
            return

        def settle_late(outcome: RequestOutcome) -> None:
            asyncio.get_running_loop().call_later(pause_s, settle, outcome)

        super().submit(operation, request, settle_late)
