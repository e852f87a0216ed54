"""Engines in the weather, and callers that go on until a request succeeds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bursar.dynamo import DynamoError, Engine
from bursar.dynamo.weather.engine import WeatherEngine
from bursar.dynamo.weather.settings import STORM, TableWeather, Weather
from tests.support.dynamo.stream_readers import HandClock

REFUSED: Final = frozenset(
    {"ThrottlingException", "ProvisionedThroughputExceededException", "TransactionConflictException"}
)
TRIES_MAX: Final = 1_000
"""A share of 0.6 of refusals leaves nothing of so many tries."""


def in_weather(
    weather: TableWeather = STORM,
    *,
    seed: int = 0,
    clock: HandClock | None = None,
    path: str = ":memory:",
    sleeps: list[float] | None = None,
) -> WeatherEngine:
    """Return an engine with one weather for all tables, whose slow answers only add to ``sleeps``."""
    slept = sleeps if sleeps is not None else []
    return WeatherEngine.open(
        path, clock=clock or HandClock(), weather=Weather("test", seed, weather), sleep=slept.append
    )


@dataclass
class Caller:
    """A caller that repeats a refused request, and notes the answers 500, which it does not repeat."""

    engine: Engine
    refusals: list[DynamoError] = field(default_factory=list)

    def execute(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a request. A write that was answered with 500 took place: it returns {}."""
        for _ in range(TRIES_MAX):
            try:
                return self.engine.execute(operation, request)
            except DynamoError as error:
                self.refusals.append(error)
                if error.code == "InternalServerError":
                    return {}
                reasons = {reason["Code"] for reason in error.cancellation_reasons or ()}
                if error.code not in REFUSED and not reasons & {"TransactionConflict", "ThrottlingError"}:
                    raise
        raise AssertionError("every try was refused")

    def all_pages(self, operation: str, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the items of all pages of a Query or a Scan."""
        items: list[dict[str, Any]] = []
        start: dict[str, Any] = {}
        while True:
            page = self.execute(operation, {**request, **start})
            items += page["Items"]
            if "LastEvaluatedKey" not in page:
                return items
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
