"""The engine for asyncio: one commit per group, and nothing is visible before it is durable."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from bursar.dynamo import AsyncEngine, DynamoError, Engine
from bursar.dynamo.engine.group_commit import TURNS_UNTIL_FREE_MAX
from tests.support.dynamo.tables import item, table


@pytest.fixture
async def orders(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    door = AsyncEngine(Engine.open(str(tmp_path / "portal.db")))
    await door.call("CreateTable", table())
    yield door
    await door.close()


def put(pk: str, **more: Any) -> dict[str, Any]:
    return {"TableName": "orders", "Item": item(pk=pk, sk="1"), **more}


def commits_of(door: AsyncEngine) -> list[int]:
    commits: list[int] = []

    def count() -> bool:
        commits.append(1)
        return False  # the commit takes place

    door.engine._core.storage.connection.set_commit_hook(count)
    return commits


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def count(door: AsyncEngine) -> int:
    counted: int = (await door.call("Scan", {"TableName": "orders", "Select": "COUNT"}))["Count"]
    return counted


async def test_concurrent_writes_share_a_commit(orders: AsyncEngine) -> None:
    commits = commits_of(orders)
    await asyncio.gather(*(orders.call("PutItem", put(f"p{n}")) for n in range(50)))
    assert len(commits) == 1
    assert await count(orders) == 50


async def test_writes_after_one_another_have_their_own_commits(orders: AsyncEngine) -> None:
    commits = commits_of(orders)
    await orders.call("PutItem", put("a"))
    await orders.call("PutItem", put("b"))
    assert len(commits) == 2


async def test_each_caller_gets_its_own_outcome(orders: AsyncEngine) -> None:
    only_new = put("a", ConditionExpression="attribute_not_exists(pk)")
    outcomes = await asyncio.gather(
        orders.call("PutItem", only_new),
        orders.call("PutItem", only_new),
        orders.call("PutItem", put("b")),
        return_exceptions=True,
    )
    assert outcomes[0] == {}
    assert isinstance(outcomes[1], DynamoError)
    assert outcomes[2] == {}


async def test_a_write_that_waits_is_not_seen(orders: AsyncEngine) -> None:
    waiting = asyncio.ensure_future(orders.call("PutItem", put("a")))
    await asyncio.sleep(0)
    seen_before = await count(orders) if not waiting.done() else None
    await waiting
    assert seen_before in (0, None)
    assert await count(orders) == 1


async def test_cancelling_the_caller_does_not_cancel_the_write(orders: AsyncEngine) -> None:
    waiting = asyncio.ensure_future(orders.call("PutItem", put("a")))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await orders.call("PutItem", put("b"))
    assert await count(orders) == 2


async def test_a_large_group_is_cut(orders: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bursar.dynamo.engine.group_commit.GROUP_REQUESTS_MAX", 10)
    commits = commits_of(orders)
    await asyncio.gather(*(orders.call("PutItem", put(f"p{n}")) for n in range(25)))
    assert len(commits) == 3


async def test_while_another_process_writes_the_loop_goes_on_and_the_group_grows(tmp_path: Path) -> None:
    path = str(tmp_path / "portal.db")
    door = AsyncEngine(Engine.open(path))
    await door.call("CreateTable", table())
    other = apsw.Connection(path)
    other.execute("BEGIN IMMEDIATE")
    commits = commits_of(door)
    writes = []
    for number in range(5):
        writes.append(asyncio.ensure_future(door.call("PutItem", put(f"p{number}"))))
        await turns(4)
    assert not any(write.done() for write in writes)
    other.execute("COMMIT")
    other.close()
    await asyncio.gather(*writes)
    assert (len(commits), await count(door)) == (1, 5)
    await door.close()


async def test_after_too_many_tries_the_engine_blocks_until_the_other_process_has_ended(tmp_path: Path) -> None:
    path = str(tmp_path / "portal.db")
    door = AsyncEngine(Engine.open(path))
    await door.call("CreateTable", table())
    other = apsw.Connection(path)
    other.execute("BEGIN IMMEDIATE")
    looked_in: list[bool] = []
    look_in = door.engine.begin_if_free

    def begin_if_free() -> bool:
        looked_in.append(look_in())
        if len(looked_in) == TURNS_UNTIL_FREE_MAX:
            other.execute("COMMIT")
        return looked_in[-1]

    door.engine.begin_if_free = begin_if_free  # the other process, acted out
    await door.call("PutItem", put("a"))
    assert looked_in == [False] * TURNS_UNTIL_FREE_MAX
    assert await count(door) == 1
    other.close()
    await door.close()


async def test_submit_calls_back_once_with_the_outcome(orders: AsyncEngine) -> None:
    outcomes: list[bytes | Exception] = []
    orders.submit("PutItem", put("a"), outcomes.append)
    orders.submit("GetItem", {"TableName": "orders", "Key": item(pk="z", sk="1")}, outcomes.append)
    orders.submit("Nonsense", {}, outcomes.append)
    await orders.call("PutItem", put("b"))
    assert isinstance(outcomes[0], DynamoError)
    assert outcomes[1:] == [b"{}", b"{}"]


async def test_submitted_reads_share_a_look_at_the_file_and_fail_alone(orders: AsyncEngine) -> None:
    await orders.call("PutItem", put("a"))
    outcomes: list[bytes | Exception] = []
    for table_name in ("orders", "missing", "orders"):
        orders.submit("GetItem", {"TableName": table_name, "Key": item(pk="a", sk="1")}, outcomes.append)
    await asyncio.sleep(0)
    assert outcomes[0] == outcomes[2] == b'{"Item":{"pk":{"S":"a"},"sk":{"S":"1"}}}'
    assert isinstance(outcomes[1], DynamoError)
    assert outcomes[1].code == "ResourceNotFoundException"


async def test_a_read_submitted_before_close_is_answered(tmp_path: Path) -> None:
    door = AsyncEngine(Engine.open(str(tmp_path / "portal.db")))
    await door.call("CreateTable", table())
    outcomes: list[bytes | Exception] = []
    door.submit("GetItem", {"TableName": "orders", "Key": item(pk="z", sk="1")}, outcomes.append)
    await door.close()
    assert outcomes == [b"{}"]


async def test_pending_writes_are_committed_on_close(tmp_path: Path) -> None:
    path = str(tmp_path / "portal.db")
    door = AsyncEngine(Engine.open(path))
    await door.call("CreateTable", table())
    waiting = asyncio.ensure_future(door.call("PutItem", put("a")))
    await asyncio.sleep(0)
    await door.close()
    assert await waiting == {}
    again = AsyncEngine(Engine.open(path))
    assert await count(again) == 1
    await again.close()
