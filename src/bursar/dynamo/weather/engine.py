"""The engine with weather: each operation on items and streams runs in a layer that may change its outcome.

    engine = WeatherEngine.open(":memory:", weather=named_weather("storm", seed=7))
    engine.happened()

The layer is chosen when an engine is made, so the plain :class:`Engine` has no code for it. Swaps of whole items
(``compare_and_swap``), definitions of tables, backups and exports have no weather. Only the changes of this process are
known, so several workers must not share a file.
"""

import dataclasses
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Self

from bursar.clock import Clock, system_clock
from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.core.guards import GuardLoader
from bursar.dynamo.engine.engine import Engine, RequestOutcome
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.operations.data_plane.statement_requests import only_reads
from bursar.dynamo.operations.data_plane.streams import ShardIterator
from bursar.dynamo.operations.dispatch import OPERATIONS, Operation
from bursar.dynamo.partiql import ExistsStatement, parse_statement
from bursar.dynamo.regions import DEFAULT_REGION
from bursar.dynamo.storage.sqlite_file import Storage
from bursar.dynamo.weather.conditions import CalmRun, Conditions
from bursar.dynamo.weather.reads import Reads
from bursar.dynamo.weather.settings import CALM_WEATHER, Weather
from bursar.dynamo.weather.stream_reads import StreamReads
from bursar.dynamo.weather.writes import Writes

SLOW_ANSWER = "slow_answer"

Layer = Callable[[CalmRun, Core, Mapping[str, Any]], dict[str, Any]]


def _wait(seconds: float) -> None:
    time.sleep(seconds)  # looked up at each call, because tests replace it


class WeatherEngine(Engine):
    """An :class:`Engine` with weather."""

    def __init__(self, core: Core, weather: Weather, sleep: Callable[[float], None] = _wait) -> None:
        """Make an engine. ``sleep`` delays a slow answer to a caller without an event loop."""
        super().__init__(core)
        self.conditions = Conditions(weather, core.clock)
        self._sleep = sleep
        self._housekeeping.ttl_delay_s = lambda table: weather.of(table).ttl_delay_s
        core.more_followers = (self.conditions.past.follower, self.conditions.writes_follower)
        layers = _layers(self.conditions)
        self._operations = {
            id(OPERATIONS[name]): dataclasses.replace(OPERATIONS[name], run=partial(layer, OPERATIONS[name].run))
            for name, layer in layers.items()
        }

    @classmethod
    def open(
        cls,
        path: str,
        *,
        clock: Clock = system_clock,
        randomness: random.Random | None = None,
        guard_loader: GuardLoader | None = None,
        region: str = DEFAULT_REGION,
        weather: Weather = CALM_WEATHER,
        sleep: Callable[[float], None] = _wait,
    ) -> Self:
        """Open or create the store at ``path``, as :meth:`Engine.open` does."""
        storage = Storage(path, region=region)
        return cls(Core(storage, clock, randomness or random.SystemRandom(), guard_loader), weather, sleep)

    def execute_bytes(self, operation: str, request: Mapping[str, Any]) -> bytes:
        """Carry out one request, and wait if its answer is slow. Raises :class:`DynamoError`."""
        pause_s = self.pause_s(operation, request)
        try:
            return super().execute_bytes(operation, request)
        finally:
            if pause_s:
                self._sleep(pause_s)

    def read(self, operation: Operation, request: Mapping[str, Any]) -> bytes:
        """Carry out one reading request with weather. Raises :class:`DynamoError`."""
        return super().read(self._in_weather(operation), request)

    def run_group(self, requests: Sequence[tuple[Operation, Mapping[str, Any]]]) -> list[RequestOutcome]:
        """Carry out writing requests in one transaction, each with weather."""
        return super().run_group([(self._in_weather(operation), request) for operation, request in requests])

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Carry out requests without weather for the length of a ``with``; at its end, their writes count as old."""
        operations, self._operations = self._operations, {}
        try:
            yield
        finally:
            self._operations = operations
            self.conditions.forget()

    def _in_weather(self, operation: Operation) -> Operation:
        # An operation that has its layer already is not in the table. This happens when the engine repeats a failed
        # group.
        return self._operations.get(id(operation), operation)

    def pause_s(self, operation: str, request: Mapping[str, Any]) -> float:
        """Return the delay of the answer to a request in seconds, which is usually 0."""
        conditions = self.conditions
        table = _first_table(operation, request, self._storage.table_arn_prefix)
        if table is None or OPERATIONS.get(operation) is None or id(OPERATIONS[operation]) not in self._operations:
            return 0.0
        weather = conditions.weather.of(table)
        if not conditions.chances.happens(table, SLOW_ANSWER, weather.slow_answer_share):
            return 0.0
        conditions.chances.count(table, SLOW_ANSWER)
        return conditions.chances.sequence(table, SLOW_ANSWER).uniform(0.0, weather.slow_answer_ms) / 1000

    def happened(self) -> dict[tuple[str, str], int]:
        """Return the counts of weather events by (table, kind of weather)."""
        return dict(self.conditions.chances.counts)

    def weather_report(self) -> str:
        """Return the weather and its counts, in one line."""
        weather = self.conditions.weather
        return f"weather {weather.name}, seed {weather.seed}: {self.conditions.chances.summary()}"


def _layers(conditions: Conditions) -> dict[str, Layer]:
    """Return the layer of each operation that has weather."""
    reads, writes, streams = Reads(conditions), Writes(conditions), StreamReads(conditions)

    def statement(run: CalmRun, core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
        return (reads.statement if only_reads(request) else writes.statements)(run, core, request)

    def statements(run: CalmRun, core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
        return run(core, request) if only_reads(request) else writes.statements(run, core, request)

    return {
        "GetItem": reads.get_item,
        "Query": reads.page,
        "Scan": reads.page,
        "BatchGetItem": reads.batch,
        "TransactGetItems": reads.transaction,
        "PutItem": writes.item,
        "UpdateItem": writes.item,
        "DeleteItem": writes.item,
        "BatchWriteItem": writes.batch,
        "TransactWriteItems": writes.transaction,
        "ExecuteStatement": statement,
        "BatchExecuteStatement": statements,
        "ExecuteTransaction": statements,
        "GetRecords": streams.records,
    }


def _first_table(operation: str, request: Mapping[str, Any], arn_prefix: str) -> str | None:
    """Return the name of the first table that a request names, or None for a request that names none."""
    try:
        if "RequestItems" in request:
            name = next(iter(request["RequestItems"]))
        elif "TransactItems" in request:
            name = next(iter(request["TransactItems"][0].values()))["TableName"]
        elif "ShardIterator" in request:
            name = ShardIterator.read(request["ShardIterator"]).arn.removeprefix(arn_prefix).partition("/")[0]
        elif "TableName" in request:
            name = request["TableName"]
        else:
            many = request.get("Statements") or request.get("TransactStatements") or [request]
            statement = parse_statement(many[0]["Statement"])
            name = (statement.select if isinstance(statement, ExistsStatement) else statement).table
        return str(name).removeprefix(arn_prefix)
    except (DynamoError, KeyError, IndexError, TypeError, AttributeError, StopIteration):
        return None  # the operation reports the error
