"""Measure what a DynamoDB for each test costs: engines, boto3 clients, resets, a server.

    python -m bench.bench_testing

It prints the processor's time of each step, the median of many; of the first client and of the server, which a process
has once, it prints one measure, and of the server the time by the clock.
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from bursar.dynamo.engine.engine import Engine
from bursar.dynamo.storage.sqlite_file import MEMORY
from bursar.dynamo.tools.testing import InProcess, Server

ROUNDS = 200
TABLES = 10


ISOLATED_GOAL_MS = 1.0
"""A thousand isolated tables a second."""
CLIENT_GOAL_MS = 30.0
RESET_GOAL_MS = 5.0


def table(name: str) -> dict[str, Any]:
    """Return a CreateTable request for a table with an index."""
    keys = ("pk", "day")
    return {
        "TableName": name,
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in keys],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-day",
                "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }


def cpu_ms(step: Callable[[], object]) -> float:
    """Return the processor's time of a step, in milliseconds."""
    began = time.process_time()
    step()
    return (time.process_time() - began) * 1000


def isolated() -> None:
    """Make an engine with a table, and close it."""
    with InProcess() as dynamodb:
        dynamodb.execute("CreateTable", table("orders"))


def reset_ms(path: str) -> float:
    """Return the processor's time of emptying a store of ten tables, in milliseconds."""
    times = []
    with closing(Engine.open(path)) as engine:
        for _ in range(ROUNDS):
            for number in range(TABLES):
                engine.execute("CreateTable", table(f"table-{number}"))
            times.append(cpu_ms(engine.reset))
    return median(times)


def client_ms() -> float:
    """Return the processor's time of a boto3 client on another engine, in milliseconds."""
    with InProcess() as dynamodb:
        return cpu_ms(lambda: dynamodb.client)


def main() -> None:
    """Run the command."""
    report(median(cpu_ms(isolated) for _ in range(ROUNDS)), "an engine with a table, made and closed", ISOLATED_GOAL_MS)
    report(client_ms(), "the first boto3 client of a process")
    report(median(client_ms() for _ in range(ROUNDS)), "every other boto3 client", CLIENT_GOAL_MS)
    report(reset_ms(MEMORY), f"a reset of {TABLES} tables with an index, in memory", RESET_GOAL_MS)
    with tempfile.TemporaryDirectory() as folder:
        report(reset_ms(str(Path(folder) / "store.db")), "the same on a file", RESET_GOAL_MS)
    began = time.perf_counter()
    with Server():
        report((time.perf_counter() - began) * 1000, "the start of a server, by the clock")


def report(ms: float, step: str, goal_ms: float | None = None) -> None:
    """Print a measure, and whether it meets its goal."""
    met = "" if goal_ms is None else f" ({'met' if ms < goal_ms else 'MISSED'}: goal under {goal_ms:g} ms)"
    print(f"{ms:8.1f} ms  {step}{met}")


if __name__ == "__main__":
    main()
