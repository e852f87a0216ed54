"""All items of a table, page by page: each comes once while items are written."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from bursar.dynamo import Engine
from bursar.dynamo.engine.stored_items import BEFORE_ALL, stored_items
from bursar.dynamo.errors import DynamoError
from tests.support.dynamo.tables import item, table


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine.open(str(tmp_path / "portal.db"))
    engine.execute("CreateTable", table())
    yield engine
    engine.close()


def put(engine: Engine, pk: str, **attributes: str) -> None:
    engine.execute("PutItem", {"TableName": "orders", "Item": item(pk=pk, sk="1", **attributes)})


def test_items_come_once_in_the_order_of_their_insertion_while_others_are_written(orders: Engine) -> None:
    assert stored_items(orders, "orders", BEFORE_ALL, 1) is None
    for pk in "cab":
        put(orders, pk)
    found, after = [], BEFORE_ALL
    while (page := stored_items(orders, "orders", after, bytes_max=1)) is not None:
        found += [orjson.loads(each)["pk"]["S"] for each in page.items]
        after = page.last
        put(orders, "c", note="changed")
        if len(found) == 2:
            put(orders, "d")
            orders.execute("DeleteItem", {"TableName": "orders", "Key": item(pk="a", sk="1")})
    assert found == ["c", "a", "b", "d"]
    whole = stored_items(orders, "orders", BEFORE_ALL, bytes_max=1 << 20)
    assert whole is not None
    assert [orjson.loads(each)["pk"]["S"] for each in whole.items] == ["c", "b", "d"]
    assert whole.last == after


def test_a_table_that_is_not_there_is_an_error(orders: Engine) -> None:
    with pytest.raises(DynamoError, match="not found"):
        stored_items(orders, "carts", BEFORE_ALL, 1)
