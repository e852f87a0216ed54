"""kill -9 under load, repeatedly: no acknowledged write is lost, no item is torn, indexes agree with items.

KILL_ROUNDS=50 KILL_WRITES=20000 is a longer run; it prints its counts with ``pytest -s``.
"""

import asyncio
import os
import signal
from collections import defaultdict
from pathlib import Path

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.storage.integrity_check import check_store
from tests.support.dynamo.load import TABLE, Changes, Key, Writer
from tests.support.dynamo.served import Served, served
from tests.support.dynamo.stamps import table_of_all

ROUNDS = int(os.environ.get("KILL_ROUNDS", "2"))
WRITES_EACH_ROUND = int(os.environ.get("KILL_WRITES", "1200"))
CONNECTIONS = 8
LOADED_WITHIN_S = 200
WORKERS = 2


async def load_until_killed(server: Served, writers: list[Writer], *, one_worker_at: int | None = None) -> None:
    """Write until so many are acknowledged, then kill all; ``one_worker_at`` kills a single worker before."""
    enough, some = asyncio.Event(), asyncio.Event()
    acknowledged = 0

    def count(writes: int) -> None:
        nonlocal acknowledged
        acknowledged += writes
        if acknowledged >= WRITES_EACH_ROUND:
            enough.set()
        if one_worker_at is not None and acknowledged >= one_worker_at:
            some.set()

    async def kill_one() -> None:
        await some.wait()
        os.kill(server.workers()[0], signal.SIGKILL)

    running = [asyncio.create_task(writer.run(server.port, count)) for writer in writers]
    assassin = asyncio.create_task(kill_one())
    await asyncio.wait_for(enough.wait(), LOADED_WITHIN_S)
    server.kill()
    await asyncio.gather(*running)
    assassin.cancel()


def found_by_writer(path: str) -> dict[str, Changes]:
    """Return all items of the store by their writer, read from the table and through the index."""
    engine = Engine.open(path)
    everything: dict[str, Changes] = defaultdict(dict)
    for index in ({}, {"IndexName": "by-state"}):
        seen: set[Key] = set()
        start: dict[str, object] = {}
        while True:
            page = engine.execute("Scan", {"TableName": TABLE, **index, **start})
            for item in page["Items"]:
                key = (item["pk"]["S"], item["sk"]["S"])
                seen.add(key)
                everything[key[0].partition("-")[0]][key] = item
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        assert seen == {key for found in everything.values() for key in found}
    engine.close()
    return everything


@pytest.mark.parametrize("one_worker_at", [None, WRITES_EACH_ROUND // 2], ids=["all at once", "one worker, then all"])
def test_no_acknowledged_write_is_lost(tmp_path: Path, one_worker_at: int | None) -> None:
    path = str(tmp_path / "store.db")
    engine = Engine.open(path)
    engine.execute("CreateTable", table_of_all())
    engine.close()
    writers = [Writer(f"w{number}", number) for number in range(CONNECTIONS)]
    in_doubt = 0
    for _ in range(ROUNDS):
        with served(path, workers=WORKERS) as server:
            asyncio.run(load_until_killed(server, writers, one_worker_at=one_worker_at))
        in_doubt += sum(bool(writer.doubt) for writer in writers)
        assert check_store(path) == []
        found = found_by_writer(path)
        faults = [fault for writer in writers for fault in writer.faults(found[writer.name])]
        assert faults == []
    acknowledged = sum(writer.acknowledged_writes for writer in writers)
    requests = sum(writer.acknowledged_requests for writer in writers)
    print(f"\n{acknowledged:,} writes in {requests:,} requests acknowledged, {in_doubt} in doubt, 0 lost, 0 torn")
    assert acknowledged >= ROUNDS * WRITES_EACH_ROUND
    assert one_worker_at is None or any(writer.settled for writer in writers)


def test_the_judge_sees_a_lost_a_torn_and_a_foreign_write() -> None:
    writer = Writer("w", 1)
    writer.holds = {("w-0", "1"): {"n": 1}, ("w-0", "2"): None}
    assert writer.faults({}) == ["('w-0', '1'): None instead of {'n': 1}"]
    writer.holds, writer.doubt = {}, {("w-0", "1"): {"n": 1}, ("w-0", "2"): {"n": 1}}
    writer.doubt_is_atomic = True
    assert writer.faults({("w-0", "1"): {"n": 1}}) == ["torn: [('w-0', '1'), ('w-0', '2')]"]
    writer.holds = {}
    assert writer.faults({("w-0", "9"): {"n": 1}}) == ["('w-0', '9'): nobody wrote it"]
