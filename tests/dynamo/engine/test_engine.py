"""The engine: groups of writes in one transaction."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import apsw
import pytest

from bursar.dynamo import DynamoError, Engine
from bursar.dynamo.engine.engine import operation_named
from bursar.dynamo.operations.dispatch import Operation
from tests.support.dynamo.tables import item, put, refusal, table

PUT = operation_named("PutItem")


def put_request(pk: str, **attributes: Any) -> dict[str, Any]:
    return {"TableName": "orders", "Item": item(pk=pk, sk="1", **attributes)}


def partitions(engine: Engine) -> list[str]:
    return [one["pk"]["S"] for one in engine.execute("Scan", {"TableName": "orders"})["Items"]]


@pytest.fixture
def orders(tmp_path: Path) -> Engine:
    engine = Engine.open(str(tmp_path / "portal.db"))
    engine.execute("CreateTable", table())
    return engine


def test_a_group_is_one_commit(orders: Engine) -> None:
    commits: list[int] = []

    def count() -> bool:
        commits.append(1)
        return False  # the commit takes place

    orders._core.storage.connection.set_commit_hook(count)
    outcomes = orders.run_group([(PUT, put_request(f"p{n}")) for n in range(20)])
    assert outcomes == [b"{}"] * 20
    assert len(commits) == 1


def test_a_refused_request_leaves_the_others(orders: Engine) -> None:
    only_new = {**put_request("a"), "ConditionExpression": "attribute_not_exists(pk)"}
    first, second, third = orders.run_group([(PUT, only_new), (PUT, only_new), (PUT, put_request("b"))])
    assert (first, third) == (b"{}", b"{}")
    assert isinstance(second, DynamoError)
    assert partitions(orders) == ["a", "b"]


def test_requests_of_a_group_see_those_before_them(orders: Engine) -> None:
    update = operation_named("UpdateItem")
    add = {
        "TableName": "orders",
        "Key": item(pk="a", sk="1"),
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": item(**{":one": 1}),
    }
    orders.run_group([(update, add)] * 10)
    assert orders.execute("GetItem", {"TableName": "orders", "Key": item(pk="a", sk="1")})["Item"]["n"] == {"N": "10"}


def test_a_defect_in_one_request_does_not_take_the_others_with_it(orders: Engine) -> None:
    def broken(core: Any, request: Mapping[str, Any]) -> dict[str, Any]:
        PUT.run(core, put_request("half done"))
        raise ZeroDivisionError("a defect")

    defect = Operation(PUT.shape, broken, writes=True)
    outcomes = orders.run_group([(PUT, put_request("a")), (defect, put_request("b")), (PUT, put_request("c"))])
    assert (outcomes[0], outcomes[2]) == (b"{}", b"{}")
    assert isinstance(outcomes[1], ZeroDivisionError)
    assert partitions(orders) == ["a", "c"]
    assert orders.execute("DescribeTable", {"TableName": "orders"})["Table"]["ItemCount"] == 2


def test_a_commit_that_fails_fails_every_write_of_the_group(orders: Engine) -> None:
    connection = orders._core.storage.connection
    connection.set_commit_hook(lambda: True)  # true turns the commit into a rollback
    outcomes = orders.run_group([(PUT, put_request("a")), (PUT, put_request("b"))])
    connection.set_commit_hook(None)
    assert [one.code for one in outcomes if isinstance(one, DynamoError)] == ["InternalServerError"] * 2
    assert partitions(orders) == []
    put(orders, "orders", item(pk="c", sk="1"))
    assert partitions(orders) == ["c"]


def test_a_read_only_file_is_answered_with_an_error(tmp_path: Path) -> None:
    engine = Engine.open(str(tmp_path / "portal.db"))
    engine.execute("CreateTable", table())
    engine._core.storage.connection.execute("PRAGMA query_only=ON")
    assert "could not be written" in refusal(engine, "PutItem", put_request("a"), "InternalServerError")
    assert partitions(engine) == []
    engine.close()


def test_a_writer_waits_for_another_process_only_so_long(orders: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bursar.dynamo.storage.sqlite_file.BUSY_WAITS_MAX", 3)
    other = apsw.Connection(orders._core.storage.path)
    other.execute("BEGIN IMMEDIATE")
    refusal(orders, "PutItem", put_request("a"), "InternalServerError")
    assert partitions(orders) == []
    other.execute("ROLLBACK")
    put(orders, "orders", item(pk="a", sk="1"))
    other.close()


def test_a_response_shares_nothing_with_the_stored_item(orders: Engine) -> None:
    request = {**put_request("a", tags={"L": [{"S": "x"}]})}
    orders.execute("PutItem", request)
    key = {"TableName": "orders", "Key": item(pk="a", sk="1")}
    orders.execute("GetItem", key)["Item"]["tags"]["L"].append({"S": "y"})
    request["Item"]["tags"]["L"].append({"S": "z"})
    assert orders.execute("GetItem", key)["Item"]["tags"] == {"L": [{"S": "x"}]}


def test_writing_the_same_item_again_writes_nothing(orders: Engine) -> None:
    put(orders, "orders", item(pk="a", sk="1"))
    changes = orders._core.storage.connection.total_changes
    before = changes()
    put(orders, "orders", item(pk="a", sk="1"))
    assert changes() == before


def test_table_ids_come_from_the_randomness_given() -> None:
    import random

    def table_id() -> str:
        engine = Engine.open(":memory:", clock=lambda: 0.0, randomness=random.Random(7))
        made: str = engine.execute("CreateTable", table())["TableDescription"]["TableId"]
        engine.close()
        return made

    assert table_id() == table_id()
