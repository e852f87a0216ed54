"""A clock that tests move, tables with streams, and readers of streams."""

import random
from typing import Any

from bursar.dynamo import Engine
from tests.support.dynamo.tables import table

START = 1_800_000_000.0


class HandClock:
    """Time that moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def opened(clock: HandClock, path: str = ":memory:", guard_loader: Any = None) -> Engine:
    """Return an engine with that clock."""
    return Engine.open(path, clock=clock, randomness=random.Random(1), guard_loader=guard_loader)


def streamed(view: str = "NEW_AND_OLD_IMAGES", name: str = "orders") -> dict[str, Any]:
    """Return a CreateTable request for a table with a stream."""
    return {**table(name), "StreamSpecification": {"StreamEnabled": True, "StreamViewType": view}}


def arn_of(engine: Engine, name: str = "orders") -> str:
    """Return the ARN of a table's latest stream."""
    arn: str = engine.execute("DescribeTable", {"TableName": name})["Table"]["LatestStreamArn"]
    return arn


def described(engine: Engine, arn: str, **request: Any) -> dict[str, Any]:
    """Return a stream's description."""
    description: dict[str, Any] = engine.execute("DescribeStream", {"StreamArn": arn, **request})["StreamDescription"]
    return description


def iterator(engine: Engine, arn: str, kind: str = "TRIM_HORIZON", shard: str | None = None, **request: Any) -> str:
    """Return an iterator, of the last shard unless one is named."""
    shard = shard or described(engine, arn)["Shards"][-1]["ShardId"]
    asked = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": kind, **request}
    text: str = engine.execute("GetShardIterator", asked)["ShardIterator"]
    return text


def read(engine: Engine, text: str, **request: Any) -> list[dict[str, Any]]:
    """Return the records of one GetRecords."""
    records: list[dict[str, Any]] = engine.execute("GetRecords", {"ShardIterator": text, **request})["Records"]
    return records


def records_of(engine: Engine, arn: str, page: int = 1000) -> list[dict[str, Any]]:
    """Return every record of a stream: each shard from its start to its end."""
    records = []
    for shard in described(engine, arn)["Shards"]:
        text: str | None = iterator(engine, arn, shard=shard["ShardId"])
        while text is not None:
            answer = engine.execute("GetRecords", {"ShardIterator": text, "Limit": page})
            records += answer["Records"]
            text = answer.get("NextShardIterator") if answer["Records"] else None
    return records
