"""Several processes on one file: no write is lost, none happens twice."""

import os
import subprocess
import sys
from pathlib import Path

import bursar
from bursar.dynamo import Engine
from tests.support.dynamo.tables import item, table
from tests.support.dynamo.writer_process import WRITES_EACH

PROCESSES = 3
ENDED_WITHIN_S = 200


def run_together(kind: str, path: str) -> None:
    script = Path(__file__).parents[2] / "support" / "dynamo" / "writer_process.py"
    environment = os.environ | {"PYTHONPATH": str(Path(bursar.__file__).parents[1])}
    workers = [
        subprocess.Popen([sys.executable, str(script), kind, path, str(number)], env=environment)
        for number in range(PROCESSES)
    ]
    assert [worker.wait(ENDED_WITHIN_S) for worker in workers] == [0] * PROCESSES


def opened(tmp_path: Path) -> tuple[Engine, str]:
    path = str(tmp_path / "portal.db")
    engine = Engine.open(path)
    engine.execute("CreateTable", table(global_indexes={"by-state": ("state:S", "sk:S")}))
    return engine, path


def count(engine: Engine, partition: str) -> int:
    condition = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": item(**{":p": partition})}
    counted: int = engine.execute("Query", {"TableName": "orders", "Select": "COUNT", **condition})["Count"]
    return counted


def test_no_addition_is_lost_between_processes(tmp_path: Path) -> None:
    engine, path = opened(tmp_path)
    run_together("add", path)
    counter = engine.execute("GetItem", {"TableName": "orders", "Key": item(pk="counter", sk="1")})["Item"]
    assert counter["n"] == {"N": str(PROCESSES * WRITES_EACH)}
    index = engine.execute("DescribeTable", {"TableName": "orders"})["Table"]["GlobalSecondaryIndexes"][0]
    assert index["ItemCount"] == PROCESSES * WRITES_EACH
    assert engine.execute("Scan", {"TableName": "orders", "IndexName": "by-state"})["Count"] == index["ItemCount"]
    engine.close()


def test_each_key_is_taken_by_one_process(tmp_path: Path) -> None:
    engine, path = opened(tmp_path)
    run_together("take", path)
    assert count(engine, "taken") == WRITES_EACH
    assert count(engine, "won") == WRITES_EACH
    engine.close()
