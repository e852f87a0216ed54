"""The two layers of Amazon's checks: which words each operation uses for a fault of the request.

The newer layer checks the reads and writes of single items and Query; the older one the batches of writes, the
transactions and Scan. Source: answers of Amazon's recorded by paritysuite/dynamodb-conformance (valueLayers,
deleteItem, putItem, updateItem).
"""

from typing import Any

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.errors import ENVELOPE
from tests.support.dynamo.tables import item, refusal, table

NOT_NUMERIC = "The parameter cannot be converted to a numeric value"
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
INVALID = "One or more parameter values were invalid: "

FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no number": ({"N": "abc"}, f"{NOT_NUMERIC}: abc", f"{NOT_NUMERIC}: abc"),
    "empty number": ({"N": ""}, f"{NOT_NUMERIC}: ", NOT_NUMERIC),
    "large number": ({"N": "1e126"}, OVERFLOW, OVERFLOW),
    "very large exponent": ({"N": "1e2147483647"}, OVERFLOW, UNDERFLOW),
    "string set": (
        {"SS": ["b", "a", "b"]},
        f'{INVALID}Input collection ["a", "b", "b"] contains duplicates.',
        f"{INVALID}Input collection [b, a, b] contains duplicates.",
    ),
    "binary set": (
        {"BS": ["/w==", "AA==", "AA=="]},
        f'{INVALID}Input collection ["AA==","/w==","AA=="]of type BS contains duplicates.',
        f"{INVALID}Input collection [/w==, AA==, AA==]of type BS contains duplicates.",
    ),
    "number set": (
        {"NS": ["2", "1", "2"]},
        f"{INVALID}Input collection contains duplicates.",
        "Input collection contains duplicates",
    ),
}
"""(value, the newer layer's text, the older layer's)."""
KEY = item(pk="a")
Request = tuple[str, dict[str, Any]]


@pytest.fixture
def plain(engine: Engine) -> Engine:
    engine.execute("CreateTable", table("plain", ("pk:S",)))
    return engine


def of_plain(**members: Any) -> dict[str, Any]:
    return {"TableName": "plain", **members}


def writes_of_one_item(value: Any) -> list[Request]:
    condition = {"ConditionExpression": "x = :v", "ExpressionAttributeValues": {":v": value}}
    change = {"UpdateExpression": "SET x = :v", "ExpressionAttributeValues": {":v": value}}
    return [
        ("PutItem", of_plain(Item={**KEY, "x": value})),
        ("PutItem", of_plain(Item={**KEY, "x": {"M": {"y": {"L": [value]}}}})),
        ("PutItem", of_plain(Item=KEY, **condition)),
        ("PutItem", of_plain(Item=KEY, Expected={"x": {"Value": value}})),
        ("UpdateItem", of_plain(Key=KEY, **change)),
        ("UpdateItem", of_plain(Key=KEY, AttributeUpdates={"x": {"Value": value}})),
        ("UpdateItem", of_plain(Key={"pk": value}, UpdateExpression="REMOVE x")),
        ("DeleteItem", of_plain(Key=KEY, **condition)),
        ("DeleteItem", of_plain(Key={"pk": value})),
    ]


def reads(value: Any) -> list[Request]:
    query = of_plain(KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "a"}, ":v": value})
    start = of_plain(KeyConditionExpression="pk = :p", ExpressionAttributeValues=item(**{":p": "a"}))
    return [
        ("GetItem", of_plain(Key={"pk": value})),
        ("BatchGetItem", {"RequestItems": {"plain": {"Keys": [{"pk": value}]}}}),
        ("Query", {**query, "FilterExpression": "x = :v"}),
        ("Query", {**start, "ExclusiveStartKey": {"pk": value}}),
    ]


def older(value: Any) -> list[Request]:
    return [
        ("BatchWriteItem", {"RequestItems": {"plain": [{"PutRequest": {"Item": {**KEY, "x": value}}}]}}),
        ("BatchWriteItem", {"RequestItems": {"plain": [{"DeleteRequest": {"Key": {"pk": value}}}]}}),
        ("TransactWriteItems", {"TransactItems": [{"Put": of_plain(Item={**KEY, "x": value})}]}),
        ("TransactWriteItems", {"TransactItems": [{"Delete": of_plain(Key={"pk": value})}]}),
        ("TransactGetItems", {"TransactItems": [{"Get": of_plain(Key={"pk": value})}]}),
    ]


def older_with_a_value_of_an_expression(value: Any) -> list[Request]:
    values = {"ExpressionAttributeValues": {":v": value}}
    update = {"Update": of_plain(Key=KEY, UpdateExpression="SET x = :v", **values)}
    return [
        ("TransactWriteItems", {"TransactItems": [update]}),
        ("Scan", of_plain(FilterExpression="x = :v", **values)),
    ]


@pytest.mark.parametrize("fault", FAULTS)
def test_each_layer_has_its_words_for_a_faulty_value(plain: Engine, fault: str) -> None:
    value, newer_text, older_text = FAULTS[fault]
    for operation, request in writes_of_one_item(value):
        assert refusal(plain, operation, request) == ENVELOPE + newer_text, (operation, request)
    for operation, request in reads(value):
        assert refusal(plain, operation, request) == newer_text, (operation, request)
    for operation, request in older(value):
        assert refusal(plain, operation, request) == older_text, (operation, request)
    wrapped = f"ExpressionAttributeValues contains invalid value: {older_text} for key :v"
    for operation, request in older_with_a_value_of_an_expression(value):
        assert refusal(plain, operation, request) == wrapped, (operation, request)


WRITES: list[Request] = [
    ("PutItem", of_plain(Item=KEY)),
    ("UpdateItem", of_plain(Key=KEY)),
    ("DeleteItem", of_plain(Key=KEY)),
]


@pytest.mark.parametrize(("operation", "request_"), WRITES)
@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"ExpressionAttributeValues": item(**{":v": "x"})},
            "ExpressionAttributeValues can only be specified when using expressions",
        ),
        (
            {"ExpressionAttributeNames": {"#a": "a"}},
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
        ({"ConditionExpression": ""}, "Invalid ConditionExpression: The expression can not be empty;"),
        (
            {"ConditionExpression": "attribute_exists(a)", "ExpressionAttributeValues": {}},
            "ExpressionAttributeValues must not be empty",
        ),
        (
            {"ConditionExpression": "a = :v", "ExpressionAttributeValues": item(**{":w": "x"})},
            "Invalid ConditionExpression: An expression attribute value used in expression is not defined; "
            "attribute value: :v",
        ),
        (
            {"TableName": ""},
            "Value at 'TableName' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (
            {"ReturnValues": "BOGUS"},
            "Failed to satisfy constraint: Member must satisfy enum value set: "
            "[ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]",
        ),
        (
            {"ConditionalOperator": "XOR", "Expected": {"a": {"Exists": False}, "b": {"Exists": False}}},
            "Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]",
        ),
    ],
)
def test_a_write_of_one_item_reports_a_fault_of_the_request_in_the_envelope(
    plain: Engine, operation: str, request_: dict[str, Any], members: dict[str, Any], message: str
) -> None:
    assert refusal(plain, operation, {**request_, **members}) == ENVELOPE + message


def test_a_fault_that_the_table_shows_has_no_envelope(plain: Engine) -> None:
    update = of_plain(Key=KEY, UpdateExpression="SET pk = :v", ExpressionAttributeValues=item(**{":v": "b"}))
    assert refusal(plain, "UpdateItem", update).startswith("One or more parameter values were invalid: Cannot update")
    assert (
        refusal(plain, "DeleteItem", of_plain(Key=item(pk=1))) == "The provided key element does not match the schema"
    )
    assert refusal(plain, "PutItem", of_plain(Item=item(pk=""))).startswith("One or more parameter values are not")


def test_a_missing_key_joins_all_violations_in_the_older_words(plain: Engine) -> None:
    request = {
        "TableName": "",
        "UpdateExpression": "SET a = :a",
        "ExpressionAttributeValues": item(**{":a": "x"}),
        "ReturnConsumedCapacity": "INVALID",
        "ReturnValues": "INVALID",
    }
    failed = "failed to satisfy constraint: Member must"
    assert refusal(plain, "UpdateItem", request) == (
        f"4 validation errors detected: Value 'INVALID' at 'returnConsumedCapacity' {failed} satisfy enum value set: "
        f"[INDEXES, TOTAL, NONE]; Value '' at 'tableName' {failed} have length greater than or equal to 1; "
        f"Value 'INVALID' at 'returnValues' {failed} satisfy enum value set: "
        f"[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]; Value null at 'key' {failed} not be null"
    )


def test_only_an_update_reports_return_values_alone(plain: Engine) -> None:
    both = {"ReturnValues": "BOGUS", "ReturnConsumedCapacity": "BOGUS"}
    values = "Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, "
    assert refusal(plain, "UpdateItem", of_plain(Key=KEY, **both)).startswith(ENVELOPE + values)
    for operation, request in (("DeleteItem", of_plain(Key=KEY)), ("PutItem", of_plain(Item=KEY))):
        message = refusal(plain, operation, {**request, **both})
        assert message.startswith("2 validation errors detected: Value 'BOGUS' at 'returnConsumedCapacity' failed")
        assert values in message


def test_query_reports_its_operator_alone_and_without_an_envelope(plain: Engine) -> None:
    null = {"ComparisonOperator": "NULL"}
    request = of_plain(
        KeyConditions={"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}},
        QueryFilter={"b": null, "c": null},
        ConditionalOperator="XOR",
        Select="BOGUS",
    )
    assert refusal(plain, "Query", request) == (
        "Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]"
    )


def test_transactions_report_the_token_before_the_capacity(plain: Engine) -> None:
    put = {"Put": of_plain(Item=KEY)}
    request = {"TransactItems": [put], "ClientRequestToken": "x" * 37, "ReturnConsumedCapacity": "BOGUS"}
    message = refusal(plain, "TransactWriteItems", request)
    assert message.startswith("2 validation errors detected: Value 'xxx")
    assert message.endswith("set: [INDEXES, TOTAL, NONE]")
    metrics = {"TransactItems": [put], "ReturnItemCollectionMetrics": "A", "ReturnConsumedCapacity": "B"}
    message = refusal(plain, "TransactWriteItems", metrics)
    assert message.index("returnConsumedCapacity") < message.index("returnItemCollectionMetrics")
