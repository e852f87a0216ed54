"""kill -9 under load, then restores to random instants: each has exactly the writes acknowledged by then.

PAST_INSTANTS=1000 PAST_WRITES=20000 is a longer run; it prints its counts with ``pytest -s``.
"""

import asyncio
import os
import random
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bursar.dynamo import Engine
from bursar.dynamo.storage.integrity_check import check_store
from tests.support.dynamo.load import TABLE, Changes, Key, Writer
from tests.support.dynamo.past import held, turn_on
from tests.support.dynamo.served import Connection, Served, served
from tests.support.dynamo.stamps import table_of_all

INSTANTS = int(os.environ.get("PAST_INSTANTS", "25"))
WRITES = int(os.environ.get("PAST_WRITES", "1200"))
CONNECTIONS = 6
WORKERS = 2
ROUNDS = 2
LOADED_WITHIN_S = 200

Logged = tuple[float, float, Changes]
"""(when the request was sent, when it was answered or settled, what it changed)."""


class LoggingWriter(Writer):
    """A writer that remembers when each of its requests was sent and answered."""

    def __init__(self, name: str, seed: int) -> None:
        super().__init__(name, seed)
        self.log: list[Logged] = []
        self._sent: tuple[float, Changes] = (0.0, {})

    def faults(self, found: Changes) -> list[str]:
        """See :class:`Writer`; a request in doubt took place if its items are there."""
        in_doubt = dict(self.doubt)
        faults = super().faults(found)
        happened: Changes = {key: item for key, item in in_doubt.items() if found.get(key) == item}
        if happened:
            self.log.append((self._sent[0], time.time(), happened))
        return faults

    async def _write(self, connection: Connection, acknowledged: Callable[[int], None]) -> None:
        await super()._write(connection, acknowledged)
        sent_at, changes = self._sent
        self.log.append((sent_at, time.time(), changes))

    def _next(self) -> tuple[tuple[str, dict[str, Any]], Changes]:
        request, changes = super()._next()
        self._sent = (time.time(), changes)
        return request, changes

    def possible_at(self, instant: float) -> list[Changes]:
        """Return the contents that this writer's keys may have had at an instant: with or without one open request."""
        contents: Changes = {}
        possible = [contents]
        for sent_at, answered_at, changes in self.log:
            if answered_at <= instant:
                contents.update(changes)
            elif sent_at <= instant:
                possible.append({**contents, **changes})
        return [{key: item for key, item in one.items() if item is not None} for one in possible]


async def load_until_killed(server: Served, writers: list[LoggingWriter]) -> None:
    """Write until so many writes are acknowledged, then kill every process of the server."""
    enough, acknowledged = asyncio.Event(), 0

    def count(writes: int) -> None:
        nonlocal acknowledged
        acknowledged += writes
        if acknowledged >= WRITES:
            enough.set()

    running = [asyncio.create_task(writer.run(server.port, count)) for writer in writers]
    await asyncio.wait_for(enough.wait(), LOADED_WITHIN_S)
    server.kill()
    await asyncio.gather(*running)


def by_writer(items: dict[Key, dict[str, Any]]) -> dict[str, Changes]:
    """Return items by the name of the writer in their key."""
    found: dict[str, Changes] = defaultdict(dict)
    for key, item in items.items():
        found[key[0].partition("-")[0]][key] = item
    return found


def test_the_past_has_every_acknowledged_write_and_nothing_else(tmp_path: Path) -> None:
    path = str(tmp_path / "store.db")
    engine = Engine.open(path)
    engine.execute("CreateTable", table_of_all())
    turn_on(engine, TABLE)
    engine.close()
    began_at = time.time()
    writers = [LoggingWriter(f"w{number}", number) for number in range(CONNECTIONS)]
    for _ in range(ROUNDS):
        with served(path, workers=WORKERS) as server:
            asyncio.run(load_until_killed(server, writers))
        engine = Engine.open(path)
        found = by_writer(held(engine, TABLE))
        engine.close()
        assert [fault for writer in writers for fault in writer.faults(found[writer.name])] == []
    assert check_store(path) == []
    ended_at = time.time()
    choose = random.Random(1)
    engine = Engine.open(path)
    straddled = 0
    for number in range(INSTANTS):
        instant = choose.uniform(began_at, ended_at)
        target = f"restored-{number}"
        request = {"SourceTableName": TABLE, "TargetTableName": target, "RestoreDateTime": instant}
        engine.execute("RestoreTableToPointInTime", request)
        at_instant = by_writer(held(engine, target))
        for writer in writers:
            possible = writer.possible_at(instant)
            straddled += len(possible) > 1
            assert at_instant[writer.name] in possible, (instant, writer.name)
        engine.execute("DeleteTable", {"TableName": target})
    engine.close()
    assert check_store(path) == []
    writes = sum(writer.acknowledged_writes for writer in writers)
    print(f"\n{INSTANTS:,} instants after {writes:,} acknowledged writes, {straddled:,} open requests, 0 differences")


def test_the_judge_sees_a_lost_a_torn_and_an_early_write() -> None:
    writer = LoggingWriter("w", 1)
    one, two = ("w-0", "1"), ("w-0", "2")
    writer.log = [(1.0, 2.0, {one: {"n": 1}, two: {"n": 1}}), (3.0, 4.0, {one: None})]
    assert writer.possible_at(0.5) == [{}]
    assert writer.possible_at(1.5) == [{}, {one: {"n": 1}, two: {"n": 1}}]
    assert writer.possible_at(2.5) == [{one: {"n": 1}, two: {"n": 1}}]
    assert writer.possible_at(9.0) == [{two: {"n": 1}}]
