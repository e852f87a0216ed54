"""Secondary indexes: their entries, the order, and the types of key attributes."""

from typing import Any

import pytest

from bursar.dynamo import Engine
from tests.support.dynamo.tables import item, item_of, put, refusal, table


@pytest.fixture
def orders(engine: Engine) -> Engine:
    engine.execute("CreateTable", table(global_indexes={"by-state": ("state:S", "n:N")}))
    return engine


def in_index(engine: Engine, state: str, **more: Any) -> list[str]:
    request = {
        "TableName": "orders",
        "IndexName": "by-state",
        "KeyConditionExpression": "#s = :s",
        "ExpressionAttributeNames": {"#s": "state"},
        "ExpressionAttributeValues": item(**{":s": state}),
        **more,
    }
    return [one["pk"]["S"] for one in engine.execute("Query", request)["Items"]]


def test_an_index_is_sorted_by_its_own_sort_key(orders: Engine) -> None:
    put(orders, "orders", *(item(pk=f"p{n}", sk="1", state="new", n=n) for n in (10, -3, 2, 9)))
    assert in_index(orders, "new") == ["p-3", "p2", "p9", "p10"]
    assert in_index(orders, "new", ScanIndexForward=False) == ["p10", "p9", "p2", "p-3"]


def test_items_without_an_index_key_attribute_are_not_in_it(orders: Engine) -> None:
    put(orders, "orders", item(pk="a", sk="1", state="new"), item(pk="b", sk="1", n=1), item(pk="c", sk="1"))
    assert orders.execute("Scan", {"TableName": "orders", "IndexName": "by-state"})["Items"] == []


def test_an_item_moves_in_an_index_as_its_attributes_change(orders: Engine) -> None:
    put(orders, "orders", item(pk="a", sk="1", state="new", n=1), item(pk="b", sk="1", state="new", n=2))
    change = {
        "TableName": "orders",
        "Key": item(pk="a", sk="1"),
        "UpdateExpression": "SET n = :n",
        "ExpressionAttributeValues": item(**{":n": 3}),
    }
    orders.execute("UpdateItem", change)
    assert in_index(orders, "new") == ["b", "a"]
    orders.execute("UpdateItem", {**change, "UpdateExpression": "REMOVE n", "ExpressionAttributeValues": None})
    assert in_index(orders, "new") == ["b"]
    orders.execute("DeleteItem", {"TableName": "orders", "Key": item(pk="b", sk="1")})
    assert in_index(orders, "new") == []


def test_many_items_may_have_one_index_key_and_pages_visit_each_once(orders: Engine) -> None:
    put(orders, "orders", *(item(pk=f"p{n}", sk="1", state="new", n=7) for n in range(9)))
    seen: list[str] = []
    start: dict[str, Any] = {}
    for _ in range(10):
        request = {
            "TableName": "orders",
            "IndexName": "by-state",
            "KeyConditionExpression": "#s = :s",
            "ExpressionAttributeNames": {"#s": "state"},
            "ExpressionAttributeValues": item(**{":s": "new"}),
            "Limit": 2,
            **start,
        }
        page = orders.execute("Query", request)
        seen += [one["pk"]["S"] for one in page["Items"]]
        # The last item of a page may be deleted when the next page is requested.
        if page["Items"]:
            orders.execute("DeleteItem", {"TableName": "orders", "Key": item(pk=seen[-1], sk="1")})
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert seen == [f"p{n}" for n in range(9)]


@pytest.mark.parametrize(
    ("projection", "attributes"),
    [
        ({"ProjectionType": "KEYS_ONLY"}, {"pk", "sk", "state", "n"}),
        ({"ProjectionType": "INCLUDE", "NonKeyAttributes": ["more"]}, {"pk", "sk", "state", "n", "more"}),
        ({"ProjectionType": "ALL"}, {"pk", "sk", "state", "n", "more", "rest"}),
    ],
)
def test_an_index_returns_its_projected_attributes(
    engine: Engine, projection: dict[str, Any], attributes: set[str]
) -> None:
    engine.execute("CreateTable", table(global_indexes={"by-state": ("state:S", "n:N")}, projection=projection))
    put(engine, "orders", item(pk="a", sk="1", state="new", n=1, more="m", rest="r"))
    found = engine.execute("Scan", {"TableName": "orders", "IndexName": "by-state"})["Items"]
    assert [set(one) for one in found] == [attributes]


def test_a_global_index_rejects_attributes_that_it_lacks(engine: Engine) -> None:
    keys_only = {"ProjectionType": "KEYS_ONLY"}
    engine.execute("CreateTable", table(global_indexes={"by-state": ("state:S",)}, projection=keys_only))
    of = {"TableName": "orders", "IndexName": "by-state"}
    assert refusal(engine, "Scan", {**of, "ProjectionExpression": "pk, more"}) == (
        "One or more parameter values were invalid: Global secondary index by-state does not project [more]"
    )
    assert refusal(engine, "Scan", {**of, "Select": "ALL_ATTRIBUTES"}).startswith(
        "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary"
    )
    assert refusal(engine, "Scan", {**of, "ConsistentRead": True}) == (
        "Consistent reads are not supported on global secondary indexes"
    )
    assert refusal(engine, "Scan", {**of, "IndexName": "other"}) == (
        "The table does not have the specified index: other"
    )


def test_a_local_index_fetches_attributes_that_it_lacks(engine: Engine) -> None:
    keys_only = {"ProjectionType": "KEYS_ONLY"}
    engine.execute("CreateTable", table(local_indexes={"by-state": ("pk:S", "state:S")}, projection=keys_only))
    put(engine, "orders", item(pk="a", sk="1", state="new", more="m"), item(pk="a", sk="2", state="old", more="x"))
    of = {
        "TableName": "orders",
        "IndexName": "by-state",
        "KeyConditionExpression": "pk = :a",
        "ExpressionAttributeValues": item(**{":a": "a"}),
        "ReturnConsumedCapacity": "INDEXES",
    }
    held = engine.execute("Query", of)
    assert held["Items"] == [item(pk="a", sk="1", state="new"), item(pk="a", sk="2", state="old")]
    assert held["ConsumedCapacity"]["Table"] == {"CapacityUnits": 0.0}
    fetched = engine.execute("Query", {**of, "ProjectionExpression": "more"})
    assert fetched["Items"] == [item(more="m"), item(more="x")]
    assert fetched["ConsumedCapacity"]["Table"] == {"CapacityUnits": 1.0}
    assert fetched["ConsumedCapacity"]["LocalSecondaryIndexes"] == {"by-state": {"CapacityUnits": 0.5}}
    filtered = {**of, "FilterExpression": "more = :m", "ExpressionAttributeValues": item(**{":a": "a", ":m": "m"})}
    assert engine.execute("Query", filtered)["Items"] == [item(pk="a", sk="1", state="new")]
    whole = engine.execute("Query", {**of, "Select": "ALL_ATTRIBUTES"})
    assert whole["Items"][0] == item(pk="a", sk="1", state="new", more="m")


UNFIT = (
    "One or more parameter values were invalid: Type mismatch for Index Key n Expected: N Actual: S IndexName: by-state"
)
EMPTY = (
    "One or more parameter values are not valid. A value specified for a secondary index key is not supported. "
    "The AttributeValue for a key attribute cannot contain an empty string value. "
    "IndexName: by-state, IndexKey: state"
)


@pytest.mark.parametrize(("attributes", "message"), [({"n": "one"}, UNFIT), ({"state": ""}, EMPTY)])
def test_a_put_with_an_unfit_index_key_is_refused(orders: Engine, attributes: dict[str, Any], message: str) -> None:
    unfit = item(pk="a", sk="1", **attributes)
    assert refusal(orders, "PutItem", {"TableName": "orders", "Item": unfit}) == message
    batch = {"RequestItems": {"orders": [{"PutRequest": {"Item": unfit}}]}}
    assert refusal(orders, "BatchWriteItem", batch) == message


def test_an_update_to_an_unfit_index_key_is_refused(orders: Engine) -> None:
    request = {
        "TableName": "orders",
        "Key": item(pk="a", sk="1"),
        "UpdateExpression": "SET n = :n",
        "ExpressionAttributeValues": item(**{":n": "one"}),
    }
    assert refusal(orders, "UpdateItem", request) == UNFIT
    copied = {"TableName": "orders", "Key": item(pk="a", sk="1"), "UpdateExpression": "SET n = pk"}
    assert refusal(orders, "UpdateItem", copied) == (
        "The update expression attempted to update the secondary index key to unsupported type"
    )
    empty = {"UpdateExpression": "SET #s = :e", "ExpressionAttributeNames": {"#s": "state"}}
    request |= {**empty, "ExpressionAttributeValues": item(**{":e": ""})}
    assert refusal(orders, "UpdateItem", request) == (
        "One or more parameter values are not valid. The update expression attempted to update a secondary index key "
        "to a value that is not supported. The AttributeValue for a key attribute cannot contain an empty string value."
    )


def test_a_global_index_may_have_several_attributes_in_each_half_of_its_key(engine: Engine) -> None:
    request = table()
    request["AttributeDefinitions"] += [
        {"AttributeName": n, "AttributeType": t} for n, t in zip("abcd", "SNSN", strict=True)
    ]
    request["GlobalSecondaryIndexes"] = [
        {
            "IndexName": "wide",
            "KeySchema": [
                {"AttributeName": "a", "KeyType": "HASH"},
                {"AttributeName": "b", "KeyType": "HASH"},
                {"AttributeName": "c", "KeyType": "RANGE"},
                {"AttributeName": "d", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ]
    engine.execute("CreateTable", request)
    put(engine, "orders", *(item(pk=f"p{d}", sk="1", a="x", b=1, c="c", d=d) for d in (3, 1, 2)))
    put(engine, "orders", item(pk="other", sk="1", a="x", b=2, c="c", d=1), item(pk="less", sk="1", a="x", b=1))
    query = {
        "TableName": "orders",
        "IndexName": "wide",
        "KeyConditionExpression": "a = :a AND b = :b AND c = :c AND d > :d",
        "ExpressionAttributeValues": item_of({":a": "x", ":b": 1, ":c": "c", ":d": 1}),
    }
    assert [one["pk"]["S"] for one in engine.execute("Query", query)["Items"]] == ["p2", "p3"]
