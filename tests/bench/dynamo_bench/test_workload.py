"""The load of the benchmark of DynamoDBs: its scans, carried out by the engine."""

import json
from itertools import islice

import pytest

from bench.dynamo_bench.measures import batches
from bench.dynamo_bench.workload import OPERATIONS, SCAN_SEGMENTS, SCANNED, Filling, Operation, preloaded, tables
from bursar.dynamo import Engine

SCANS = [operation for operation in OPERATIONS if operation.api_name == "Scan"]
FILLING = Filling(items=1, partitions=1, run="r", scanned=40)


@pytest.fixture
def engine() -> Engine:
    engine = Engine.open(":memory:")
    for table in tables():
        engine.execute("CreateTable", table)
    for batch in batches(preloaded(FILLING.items, FILLING.partitions, FILLING.scanned)):
        engine.execute("BatchWriteItem", batch)
    return engine


def test_the_table_that_is_scanned_has_its_items(engine: Engine) -> None:
    assert engine.execute("Scan", {"TableName": SCANNED})["Count"] == FILLING.scanned


@pytest.mark.parametrize("operation", SCANS, ids=lambda operation: operation.name)
def test_the_engine_answers_every_scan_with_items(engine: Engine, operation: Operation) -> None:
    requests = [json.loads(text) for text in islice(FILLING.requests(operation.template), 30)]
    counts = [engine.execute("Scan", request)["Count"] for request in requests]
    assert sum(count > 0 for count in counts) > 20


def test_the_segments_are_all_asked_for_and_hold_the_table(engine: Engine) -> None:
    template = SCANS[1].template
    asked = {text: json.loads(text) for text in islice(FILLING.requests(template), 100)}
    assert sorted(request["Segment"] for request in asked.values()) == list(range(SCAN_SEGMENTS))
    assert sum(engine.execute("Scan", request)["Count"] for request in asked.values()) == FILLING.scanned


def test_wrk_gets_the_same_marks() -> None:
    script = FILLING.lua(SCANS[0], {}) + FILLING.lua(SCANS[1], {})
    assert '"@scan"' in script
    assert '"@seg"' in script
    assert f"math.random({FILLING.scanned})" in script
