"""Consumed capacity, as Amazon's guide bills it."""

from typing import Any

import pytest

from bursar.dynamo import Engine
from tests.support.dynamo.tables import item, put, table

WHOLE = {"TableName": "orders", "ReturnConsumedCapacity": "INDEXES"}


def units(response: dict[str, Any]) -> dict[str, float]:
    """Return the units of the table and of each index."""
    consumed = response["ConsumedCapacity"]
    indexes = {**consumed.get("GlobalSecondaryIndexes", {}), **consumed.get("LocalSecondaryIndexes", {})}
    return {
        "total": consumed["CapacityUnits"],
        "table": consumed["Table"]["CapacityUnits"],
        **{name: detail["CapacityUnits"] for name, detail in indexes.items()},
    }


@pytest.fixture
def orders(engine: Engine) -> Engine:
    engine.execute("CreateTable", table(global_indexes={"by-state": ("state:S",)}))
    return engine


@pytest.mark.parametrize(
    ("payload_bytes", "consistent", "expected"),
    [(10, False, 0.5), (10, True, 1.0), (4096, False, 1.0), (4096, True, 2.0), (9000, False, 1.5)],
)
def test_a_read_costs_one_unit_per_4_kb_and_half_when_eventual(
    orders: Engine, payload_bytes: int, consistent: bool, expected: float
) -> None:
    put(orders, "orders", item(pk="a", sk="1", p="x" * payload_bytes))
    response = orders.execute("GetItem", {**WHOLE, "Key": item(pk="a", sk="1"), "ConsistentRead": consistent})
    assert units(response) == {"total": expected, "table": expected}


def test_a_read_of_nothing_costs_a_step(orders: Engine) -> None:
    assert units(orders.execute("GetItem", {**WHOLE, "Key": item(pk="z", sk="1")})) == {"total": 0.5, "table": 0.5}


def test_a_write_costs_one_unit_per_kb_of_the_larger_item(orders: Engine) -> None:
    large = orders.execute("PutItem", {**WHOLE, "Item": item(pk="a", sk="1", p="x" * 2500)})
    assert units(large) == {"total": 3.0, "table": 3.0}
    smaller = orders.execute("PutItem", {**WHOLE, "Item": item(pk="a", sk="1")})
    assert units(smaller) == {"total": 3.0, "table": 3.0}


def test_indexes_are_billed_by_their_changes(orders: Engine) -> None:
    def stored(**attributes: Any) -> dict[str, float]:
        return units(orders.execute("PutItem", {**WHOLE, "Item": item(pk="a", sk="1", **attributes)}))

    assert stored(state="new") == {"total": 2.0, "table": 1.0, "by-state": 1.0}
    assert stored(state="new") == {"total": 1.0, "table": 1.0}
    assert stored(state="new", other="x") == {"total": 2.0, "table": 1.0, "by-state": 1.0}
    assert stored(state="old") == {"total": 3.0, "table": 1.0, "by-state": 2.0}
    assert stored() == {"total": 2.0, "table": 1.0, "by-state": 1.0}


def test_a_query_is_billed_by_the_sum_of_the_items_read(orders: Engine) -> None:
    put(orders, "orders", *(item(pk="a", sk=str(n), p="x" * 1000, state="new") for n in range(10)))
    condition = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": item(**{":p": "a"})}
    assert units(orders.execute("Query", {**WHOLE, **condition})) == {"total": 1.5, "table": 1.5}
    by_state = {
        "IndexName": "by-state",
        "KeyConditionExpression": "#s = :s",
        "ExpressionAttributeNames": {"#s": "state"},
        "ExpressionAttributeValues": item(**{":s": "new"}),
    }
    response = orders.execute("Query", {**WHOLE, **by_state})
    assert units(response) == {"total": 1.5, "table": 0.0, "by-state": 1.5}


def test_a_transaction_doubles_the_cost_of_the_table_and_not_of_an_index(orders: Engine) -> None:
    put_action = {"Put": {"TableName": "orders", "Item": item(pk="a", sk="1", state="new")}}
    request = {"TransactItems": [put_action], "ReturnConsumedCapacity": "INDEXES"}
    double, single = ({"CapacityUnits": units, "WriteCapacityUnits": units} for units in (2.0, 1.0))
    assert orders.execute("TransactWriteItems", request)["ConsumedCapacity"] == [
        {
            "TableName": "orders",
            "CapacityUnits": 3.0,
            "WriteCapacityUnits": 3.0,
            "Table": double,
            "GlobalSecondaryIndexes": {"by-state": single},
        }
    ]


def test_total_has_no_detail_and_none_has_no_member(orders: Engine) -> None:
    request = {"TableName": "orders", "Item": item(pk="a", sk="1"), "ReturnConsumedCapacity": "TOTAL"}
    assert orders.execute("PutItem", request) == {"ConsumedCapacity": {"TableName": "orders", "CapacityUnits": 1.0}}
    assert orders.execute("PutItem", {**request, "ReturnConsumedCapacity": "NONE"}) == {}
