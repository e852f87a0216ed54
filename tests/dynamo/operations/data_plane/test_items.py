"""PutItem, GetItem, UpdateItem, DeleteItem: stored items, responses and rejected requests."""

from typing import Any

import pytest

from bursar.dynamo import DynamoError, Engine
from bursar.dynamo.errors import ENVELOPE
from tests.support.dynamo.tables import item, item_of, put, refusal, refused, table

KEY = item(pk="a", sk="1")
OLD = item(pk="a", sk="1", n=1, state="new")


@pytest.fixture
def orders(engine: Engine) -> Engine:
    engine.execute("CreateTable", table())
    put(engine, "orders", OLD)
    return engine


def update(expression: str, values: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    request = {"TableName": "orders", "Key": KEY, "UpdateExpression": expression, **more}
    if values:
        request["ExpressionAttributeValues"] = values
    return request


def stored(engine: Engine, key: dict[str, Any] = KEY) -> dict[str, Any] | None:
    return engine.execute("GetItem", {"TableName": "orders", "Key": key}).get("Item")


def test_an_item_is_returned_as_stored_with_canonical_numbers(orders: Engine) -> None:
    put(orders, "orders", item(pk="b", sk="1", n={"N": "1.50"}, l={"L": [{"N": "0007"}]}, b={"B": "AAE="}))
    assert stored(orders, item(pk="b", sk="1")) == item(
        pk="b", sk="1", n={"N": "1.5"}, l={"L": [{"N": "7"}]}, b={"B": "AAE="}
    )


def test_a_missing_item_gives_no_item(orders: Engine) -> None:
    assert orders.execute("GetItem", {"TableName": "orders", "Key": item(pk="z", sk="1")}) == {}


def test_a_projection_gives_parts(orders: Engine) -> None:
    request = {
        "TableName": "orders",
        "Key": KEY,
        "ProjectionExpression": "n, #s",
        "ExpressionAttributeNames": {"#s": "state"},
    }
    assert orders.execute("GetItem", request)["Item"] == item(n=1, state="new")


def test_the_response_bytes_hold_the_stored_bytes(orders: Engine) -> None:
    body = orders.execute_bytes("GetItem", {"TableName": "orders", "Key": KEY})
    assert body == b'{"Item":{"pk":{"S":"a"},"sk":{"S":"1"},"n":{"N":"1"},"state":{"S":"new"}}}'


def test_put_replaces_the_whole_item_and_can_return_the_old(orders: Engine) -> None:
    new = item(pk="a", sk="1", other="x")
    response = orders.execute("PutItem", {"TableName": "orders", "Item": new, "ReturnValues": "ALL_OLD"})
    assert response == {"Attributes": OLD}
    assert stored(orders) == new


def test_put_of_a_new_item_has_no_old_attributes(orders: Engine) -> None:
    request = {"TableName": "orders", "Item": item(pk="b", sk="1"), "ReturnValues": "ALL_OLD"}
    assert orders.execute("PutItem", request) == {}


def test_delete_returns_the_old_item_once(orders: Engine) -> None:
    request = {"TableName": "orders", "Key": KEY, "ReturnValues": "ALL_OLD"}
    assert orders.execute("DeleteItem", request) == {"Attributes": OLD}
    assert orders.execute("DeleteItem", request) == {}


@pytest.mark.parametrize(
    ("returned", "attributes"),
    [
        ("NONE", None),
        ("ALL_OLD", OLD),
        ("ALL_NEW", item(pk="a", sk="1", n=2, added="x")),
        ("UPDATED_OLD", item(n=1, state="new")),
        ("UPDATED_NEW", item(n=2, added="x")),
    ],
)
def test_update_returns_the_requested_values(orders: Engine, returned: str, attributes: dict[str, Any] | None) -> None:
    request = update(
        "SET n = n + :one, added = :x REMOVE #s",
        item_of({":one": 1, ":x": "x"}),
        ExpressionAttributeNames={"#s": "state"},
        ReturnValues=returned,
    )
    assert orders.execute("UpdateItem", request).get("Attributes") == attributes


@pytest.mark.parametrize(
    ("returned", "attributes"),
    [("ALL_OLD", None), ("UPDATED_OLD", None), ("UPDATED_NEW", item(n=1)), ("ALL_NEW", item(pk="b", sk="1", n=1))],
)
def test_update_of_a_missing_item_makes_it(orders: Engine, returned: str, attributes: dict[str, Any] | None) -> None:
    request = update("SET n = :one", item(**{":one": 1}), ReturnValues=returned) | {"Key": item(pk="b", sk="1")}
    assert orders.execute("UpdateItem", request).get("Attributes") == attributes
    assert stored(orders, item(pk="b", sk="1")) == item(pk="b", sk="1", n=1)


def test_update_without_an_expression_makes_the_bare_item(orders: Engine) -> None:
    orders.execute("UpdateItem", {"TableName": "orders", "Key": item(pk="b", sk="1")})
    assert stored(orders, item(pk="b", sk="1")) == item(pk="b", sk="1")


REMOVALS = ["REMOVE a", "REMOVE a, b", "REMOVE a.b", "REMOVE a[0]", "DELETE a :x", "REMOVE b DELETE a :x"]


@pytest.mark.parametrize("returned", ["NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])
@pytest.mark.parametrize("text", REMOVALS)
def test_an_update_that_only_removes_ignores_a_missing_item(orders: Engine, text: str, returned: str) -> None:
    values = {":x": {"SS": ["x"]}} if ":x" in text else None
    request = update(text, values, ReturnValues=returned, ReturnConsumedCapacity="TOTAL") | {
        "Key": item(pk="b", sk="1")
    }
    consumed = {"TableName": "orders", "CapacityUnits": 1.0}
    assert orders.execute("UpdateItem", request) == {"ConsumedCapacity": consumed}
    assert orders.execute("GetItem", {"TableName": "orders", "Key": item(pk="b", sk="1")}) == {}
    assert orders.execute("DescribeTable", {"TableName": "orders"})["Table"]["ItemCount"] == 1


def test_an_update_that_only_removes_still_judges_its_condition_and_its_key(orders: Engine) -> None:
    missing = {"Key": item(pk="b", sk="1")}
    absent = update("REMOVE a.b", None, ConditionExpression="attribute_not_exists(pk)") | missing
    assert orders.execute("UpdateItem", absent) == {}
    present = update("REMOVE a.b", None, ConditionExpression="attribute_exists(pk)") | missing
    refused(lambda: orders.execute("UpdateItem", present), "ConditionalCheckFailedException")
    assert "part of the key" in refusal(orders, "UpdateItem", update("REMOVE sk", None) | missing)


def test_an_update_of_an_item_that_lacks_the_path_is_still_refused(orders: Engine) -> None:
    assert "document path" in refusal(orders, "UpdateItem", update("REMOVE a.b", None))


def test_a_failed_condition_changes_nothing_and_can_tell_the_item(orders: Engine) -> None:
    request = {
        "TableName": "orders",
        "Item": item(pk="a", sk="1"),
        "ConditionExpression": "attribute_not_exists(pk)",
    }
    error = refused(lambda: orders.execute("PutItem", request), "ConditionalCheckFailedException")
    assert (error.message, error.item) == ("The conditional request failed", None)
    request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    assert refused(lambda: orders.execute("PutItem", request), "ConditionalCheckFailedException").item == OLD
    assert stored(orders) == OLD


def test_a_condition_on_a_missing_item_sees_nothing(orders: Engine) -> None:
    request = {
        "TableName": "orders",
        "Key": item(pk="b", sk="1"),
        "ConditionExpression": "attribute_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    assert refused(lambda: orders.execute("DeleteItem", request), "ConditionalCheckFailedException").item is None


NULL = "failed to satisfy constraint: Member must not be null"
REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("PutItem", {}, f"1 validation error detected: Value null at 'tableName' {NULL}"),
    ("PutItem", {"TableName": "orders"}, f"1 validation error detected: Value null at 'item' {NULL}"),
    (
        "PutItem",
        {"TableName": "", "Item": {}},
        "1 validation error detected: Value at 'TableName' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1",
    ),
    (
        "PutItem",
        {"TableName": "bad table!", "Item": {}},
        "1 validation error detected: Value 'bad table!' at 'tableName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
    ),
    (
        "PutItem",
        {"TableName": "orders", "Item": item(pk="a")},
        "One or more parameter values were invalid: Missing the key sk in the item",
    ),
    (
        "PutItem",
        {"TableName": "orders", "Item": item(pk=1, sk="1")},
        "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N",
    ),
    (
        "PutItem",
        {"TableName": "orders", "Item": item(pk="", sk="1")},
        "One or more parameter values are not valid. "
        "The AttributeValue for a key attribute cannot contain an empty string value. Key: pk",
    ),
    (
        "PutItem",
        {"TableName": "orders", "Item": item(pk="p" * 2049, sk="1")},
        "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes",
    ),
    (
        "PutItem",
        {"TableName": "orders", "Item": item(pk="p", sk="s" * 1025)},
        "One or more parameter values were invalid: "
        "Aggregated size of all range keys has exceeded the size limit of 1024 bytes",
    ),
    (
        "PutItem",
        {"TableName": "orders", "Item": item(pk="p", sk="s", payload="x" * 409_600)},
        "Item size has exceeded the maximum allowed size",
    ),
    (
        "PutItem",
        {"TableName": "orders", "Item": OLD, "ReturnValues": "ALL_NEW"},
        f"{ENVELOPE}ReturnValues can only be ALL_OLD or NONE",
    ),
    ("GetItem", {"TableName": "orders", "Key": item(pk="a")}, "The provided key element does not match the schema"),
    (
        "GetItem",
        {"TableName": "orders", "Key": item(pk="a", other="1")},
        "The provided key element does not match the schema",
    ),
    (
        "GetItem",
        {"TableName": "orders", "Key": item(pk="a", sk=1)},
        "The provided key element does not match the schema",
    ),
    (
        "GetItem",
        {"TableName": "orders", "Key": KEY, "ExpressionAttributeNames": {"#a": "a"}},
        "ExpressionAttributeNames can only be specified when using expressions",
    ),
    (
        "PutItem",
        {"TableName": "orders", "Item": OLD, "ExpressionAttributeValues": item(**{":a": "a"})},
        f"{ENVELOPE}ExpressionAttributeValues can only be specified when using expressions",
    ),
    (
        "UpdateItem",
        {"TableName": "orders", "Key": KEY, "ExpressionAttributeValues": item(**{":a": "a"})},
        f"{ENVELOPE}ExpressionAttributeValues can only be specified when using expressions",
    ),
    (
        "PutItem",
        {"TableName": "orders", "Item": OLD, "ConditionExpression": "attribute_exists(pk)", "Expected": {}},
        f"{ENVELOPE}Can not use both expression and non-expression parameters in the same request: "
        "Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}",
    ),
    (
        "UpdateItem",
        update("SET sk = :v", item(**{":v": "2"})),
        "One or more parameter values were invalid: Cannot update attribute sk. This attribute is part of the key",
    ),
    (
        "UpdateItem",
        update("SET n = :v", item(**{":v": 1, ":w": 1})),
        f"{ENVELOPE}Value provided in ExpressionAttributeValues unused in expressions: keys: {{:w}}",
    ),
    (
        "UpdateItem",
        update("SET payload = :v", item(**{":v": "x" * 409_600})),
        "Item size to update has exceeded the maximum allowed size",
    ),
]


@pytest.mark.parametrize(("operation", "request_", "message"), REFUSALS)
def test_amazons_texts(orders: Engine, operation: str, request_: dict[str, Any], message: str) -> None:
    assert refusal(orders, operation, request_) == message
    assert stored(orders) == OLD


def test_constraints_are_reported_together(orders: Engine) -> None:
    request = {"TableName": "orders", "ReturnItemCollectionMetrics": "X", "ReturnConsumedCapacity": "Y"}
    message = refusal(orders, "PutItem", {**request, "Item": OLD})
    assert message.startswith("2 validation errors detected: ")
    assert "Value 'X' at 'returnItemCollectionMetrics'" in message
    assert "Value 'Y' at 'returnConsumedCapacity'" in message


def test_a_member_of_the_wrong_type_cannot_be_read(orders: Engine) -> None:
    message = refusal(orders, "GetItem", {"TableName": 3, "Key": KEY}, "SerializationException")
    assert message == "NUMBER_VALUE cannot be converted to String"


def test_the_expression_is_checked_before_the_table(orders: Engine) -> None:
    request = {"TableName": "missing", "Key": KEY, "ConditionExpression": "((("}
    assert refusal(orders, "DeleteItem", request).startswith(f"{ENVELOPE}Invalid ConditionExpression")
    bare = {"TableName": "missing", "Key": KEY}
    assert refusal(orders, "DeleteItem", bare, "ResourceNotFoundException") == "Requested resource not found"


def test_a_table_can_be_named_by_its_arn(orders: Engine) -> None:
    arn = orders.execute("DescribeTable", {"TableName": "orders"})["Table"]["TableArn"]
    assert orders.execute("GetItem", {"TableName": arn, "Key": KEY})["Item"] == OLD


def test_item_collection_metrics_are_reported_for_tables_with_local_indexes(engine: Engine) -> None:
    engine.execute("CreateTable", table(local_indexes={"by-state": ("pk:S", "state:S")}))
    request = {"TableName": "orders", "Item": OLD, "ReturnItemCollectionMetrics": "SIZE"}
    assert engine.execute("PutItem", request)["ItemCollectionMetrics"] == {
        "ItemCollectionKey": item(pk="a"),
        "SizeEstimateRangeGB": [0.0, 1.0],
    }


def test_item_collection_metrics_are_absent_without_local_indexes(orders: Engine) -> None:
    request = {"TableName": "orders", "Item": OLD, "ReturnItemCollectionMetrics": "SIZE"}
    assert orders.execute("PutItem", request) == {}


@pytest.mark.parametrize("key", [{"S": 1}, {"pk": {"S": "a"}, "other": 1}, {"pk": 1, "sk": {"S": "a"}}])
def test_an_invalid_value_is_reported_before_a_wrong_key(orders: Engine, key: object) -> None:
    with pytest.raises(DynamoError) as refused:
        orders.execute("GetItem", {"TableName": "orders", "Key": key})
    assert refused.value.code == "SerializationException"
