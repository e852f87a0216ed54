"""TransactWriteItems and TransactGetItems: all or nothing, reasons in order, once per token."""

import random
from pathlib import Path
from typing import Any

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.operations.data_plane.transactions import TOKEN_LIFE_S
from tests.support.dynamo.tables import item, put, refusal, refused, table


@pytest.fixture
def orders(engine: Engine) -> Engine:
    engine.execute("CreateTable", table())
    engine.execute("CreateTable", table("payers", ("id:S",)))
    put(engine, "orders", item(pk="a", sk="1", n=1))
    return engine


def put_new(pk: str, **attributes: Any) -> dict[str, Any]:
    return {
        "Put": {
            "TableName": "orders",
            "Item": item(pk=pk, sk="1", **attributes),
            "ConditionExpression": "attribute_not_exists(pk)",
        }
    }


def check_exists(pk: str, **more: Any) -> dict[str, Any]:
    check = {"TableName": "orders", "Key": item(pk=pk, sk="1"), "ConditionExpression": "attribute_exists(pk)"}
    return {"ConditionCheck": {**check, **more}}


def add_one(pk: str) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": "orders",
            "Key": item(pk=pk, sk="1"),
            "UpdateExpression": "SET n = n + :one",
            "ExpressionAttributeValues": item(**{":one": 1}),
        }
    }


def everything(engine: Engine) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = engine.execute("Scan", {"TableName": "orders"})["Items"]
    return found


def test_four_kinds_of_action_over_two_tables_take_place_together(orders: Engine) -> None:
    put(orders, "orders", item(pk="gone", sk="1"))
    actions = [
        put_new("b"),
        add_one("a"),
        {"Delete": {"TableName": "orders", "Key": item(pk="gone", sk="1")}},
        {"Put": {"TableName": "payers", "Item": item(id="p")}},
        check_exists("other") | {},
    ]
    actions[4]["ConditionCheck"]["ConditionExpression"] = "attribute_not_exists(pk)"
    assert orders.execute("TransactWriteItems", {"TransactItems": actions}) == {}
    assert everything(orders) == [item(pk="a", sk="1", n=2), item(pk="b", sk="1")]
    assert orders.execute("GetItem", {"TableName": "payers", "Key": item(id="p")})["Item"] == item(id="p")


def test_an_update_that_only_removes_ignores_a_missing_item(orders: Engine) -> None:
    removal = {"TableName": "orders", "Key": item(pk="b", sk="1"), "UpdateExpression": "REMOVE x.y, z"}
    assert orders.execute("TransactWriteItems", {"TransactItems": [add_one("a"), {"Update": removal}]}) == {}
    assert everything(orders) == [item(pk="a", sk="1", n=2)]
    conditional = {**removal, "ConditionExpression": "attribute_exists(pk)"}
    actions = {"TransactItems": [add_one("a"), {"Update": conditional}]}
    error = refused(lambda: orders.execute("TransactWriteItems", actions), "TransactionCanceledException")
    assert [reason["Code"] for reason in error.cancellation_reasons or ()] == ["None", "ConditionalCheckFailed"]


def test_a_failed_condition_cancels_all_with_reasons_in_order(orders: Engine) -> None:
    actions = [put_new("b"), put_new("a"), check_exists("z"), add_one("c")]
    actions[1]["Put"]["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    error = refused(
        lambda: orders.execute("TransactWriteItems", {"TransactItems": actions}), "TransactionCanceledException"
    )
    assert error.message == (
        "Transaction cancelled, please refer cancellation reasons for specific reasons "
        "[None, ConditionalCheckFailed, ConditionalCheckFailed, ValidationError]"
    )
    assert error.cancellation_reasons is not None
    assert error.cancellation_reasons[:3] == [
        {"Code": "None"},
        {
            "Code": "ConditionalCheckFailed",
            "Message": "The conditional request failed",
            "Item": item(pk="a", sk="1", n=1),
        },
        {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"},
    ]
    assert everything(orders) == [item(pk="a", sk="1", n=1)]


def test_a_token_makes_a_request_take_place_once(orders: Engine) -> None:
    request = {"TransactItems": [add_one("a")], "ClientRequestToken": "one"}
    orders.execute("TransactWriteItems", request)
    orders.execute("TransactWriteItems", request)
    assert everything(orders) == [item(pk="a", sk="1", n=2)]


def test_a_repetition_is_billed_as_the_reads_that_found_it(orders: Engine) -> None:
    request = {
        "TransactItems": [add_one("a")],
        "ClientRequestToken": "one",
        "ReturnConsumedCapacity": "TOTAL",
    }
    first = orders.execute("TransactWriteItems", request)["ConsumedCapacity"]
    assert first == [{"TableName": "orders", "CapacityUnits": 2.0, "WriteCapacityUnits": 2.0}]
    again = orders.execute("TransactWriteItems", request)["ConsumedCapacity"]
    assert again == [{"TableName": "orders", "CapacityUnits": 2.0, "ReadCapacityUnits": 2.0}]


def test_a_token_with_another_request_is_a_mismatch(orders: Engine) -> None:
    orders.execute("TransactWriteItems", {"TransactItems": [add_one("a")], "ClientRequestToken": "one"})
    other = {"TransactItems": [put_new("b")], "ClientRequestToken": "one"}
    refusal(orders, "TransactWriteItems", other, "IdempotentParameterMismatchException")


def test_a_cancelled_request_does_not_use_its_token_up(orders: Engine) -> None:
    request = {"TransactItems": [check_exists("b")], "ClientRequestToken": "one"}
    refusal(orders, "TransactWriteItems", request, "TransactionCanceledException")
    put(orders, "orders", item(pk="b", sk="1"))
    assert orders.execute("TransactWriteItems", request) == {}


def test_a_token_is_known_after_a_restart_and_forgotten_after_ten_minutes(tmp_path: Path) -> None:
    path = str(tmp_path / "portal.db")
    now = [1_800_000_000.0]

    def opened() -> Engine:
        return Engine.open(path, clock=lambda: now[0], randomness=random.Random(1))

    engine = opened()
    engine.execute("CreateTable", table())
    put(engine, "orders", item(pk="a", sk="1", n=1))
    request = {"TransactItems": [add_one("a")], "ClientRequestToken": "one"}
    engine.execute("TransactWriteItems", request)
    engine.close()
    now[0] += TOKEN_LIFE_S - 1
    engine = opened()
    engine.execute("TransactWriteItems", request)
    assert everything(engine) == [item(pk="a", sk="1", n=2)]
    now[0] += 2
    engine.execute("TransactWriteItems", request)
    assert everything(engine) == [item(pk="a", sk="1", n=3)]
    engine.close()


def test_expired_tokens_do_not_pile_up(engine: Engine) -> None:
    now = [0.0]
    engine = Engine.open(":memory:", clock=lambda: now[0], randomness=random.Random(1))
    engine.execute("CreateTable", table())
    for number in range(100):
        now[0] += 60
        request = {"TransactItems": [put_new(f"p{number}")], "ClientRequestToken": f"t{number}"}
        engine.execute("TransactWriteItems", request)
    kept = engine._core.storage.connection.execute("SELECT count(*) FROM request_tokens").get
    assert kept <= TOKEN_LIFE_S / 60 + 1
    engine.close()


def test_gets_are_in_order_and_empty_for_missing_items(orders: Engine) -> None:
    put(orders, "payers", item(id="p", name="Ada"))
    gets = [
        {"Get": {"TableName": "orders", "Key": item(pk="a", sk="1")}},
        {"Get": {"TableName": "orders", "Key": item(pk="z", sk="1")}},
        {
            "Get": {
                "TableName": "payers",
                "Key": item(id="p"),
                "ProjectionExpression": "#n",
                "ExpressionAttributeNames": {"#n": "name"},
            }
        },
    ]
    response = orders.execute("TransactGetItems", {"TransactItems": gets, "ReturnConsumedCapacity": "TOTAL"})
    assert response["Responses"] == [{"Item": item(pk="a", sk="1", n=1)}, {}, {"Item": item(name="Ada")}]
    assert response["ConsumedCapacity"] == [
        {"TableName": "orders", "CapacityUnits": 4.0, "ReadCapacityUnits": 4.0},
        {"TableName": "payers", "CapacityUnits": 2.0, "ReadCapacityUnits": 2.0},
    ]


LENGTH = "failed to satisfy constraint: Member must have length"
TWICE = "Transaction request cannot include multiple operations on one item"


def test_amazons_texts(orders: Engine) -> None:
    for operation in ("TransactWriteItems", "TransactGetItems"):
        assert refusal(orders, operation, {"TransactItems": []}) == (
            f"1 validation error detected: Value '[]' at 'transactItems' {LENGTH} greater than or equal to 1"
        )
    many = {"TransactItems": [put_new(f"p{n}") for n in range(101)]}
    assert refusal(orders, "TransactWriteItems", many).endswith(
        f"at 'transactItems' {LENGTH} less than or equal to 100"
    )
    assert refusal(orders, "TransactWriteItems", {"TransactItems": [put_new("b"), check_exists("b")]}) == TWICE
    get = {"Get": {"TableName": "orders", "Key": item(pk="a", sk="1")}}
    assert refusal(orders, "TransactGetItems", {"TransactItems": [get, get]}) == TWICE
    both = {"TransactItems": [put_new("b") | check_exists("c")]}
    assert refusal(orders, "TransactWriteItems", both) == (
        "TransactItems can only contain one of Check, Put, Update or Delete"
    )
    no_condition = check_exists("b")
    del no_condition["ConditionCheck"]["ConditionExpression"]
    assert refusal(orders, "TransactWriteItems", {"TransactItems": [no_condition]}) == (
        "1 validation error detected: Value null at 'transactItems.1.member.conditionCheck.conditionExpression' "
        "failed to satisfy constraint: Member must not be null"
    )


def test_four_megabytes_are_the_most(orders: Engine) -> None:
    large = [put_new(f"p{n}", payload="x" * 390_000) for n in range(11)]
    assert refusal(orders, "TransactWriteItems", {"TransactItems": large}) == (
        "Transaction payload size cannot exceed 4MB. Payload Size: 4290419"
    )
    assert orders.execute("TransactWriteItems", {"TransactItems": large[:10]}) == {}


def test_stored_items_do_not_count_towards_four_megabytes(orders: Engine) -> None:
    for start in (0, 6):
        puts = [put_new(f"p{n}", payload="x" * 390_000) for n in range(start, start + 6)]
        orders.execute("TransactWriteItems", {"TransactItems": puts})
    keys = [item(pk=f"p{n}", sk="1") for n in range(12)]
    update = {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": item(**{":n": 1})}
    updates = [{"Update": {"TableName": "orders", "Key": key, **update}} for key in keys]
    assert orders.execute("TransactWriteItems", {"TransactItems": updates}) == {}
    deletes = [{"Delete": {"TableName": "orders", "Key": key}} for key in keys]
    assert orders.execute("TransactWriteItems", {"TransactItems": deletes}) == {}


def test_an_empty_key_is_a_fault_of_the_request_and_no_reason(orders: Engine) -> None:
    message = (
        "One or more parameter values are not valid. "
        "The AttributeValue for a key attribute cannot contain an empty string value. Key: pk"
    )
    key = {"TableName": "orders", "Key": item(pk="", sk="1")}
    check = {"ConditionCheck": {**key, "ConditionExpression": "attribute_exists(pk)"}}
    for action in (put_new(""), {"Delete": key}, check):
        assert refusal(orders, "TransactWriteItems", {"TransactItems": [put_new("b"), action]}) == message
    assert refusal(orders, "TransactGetItems", {"TransactItems": [{"Get": key}]}) == message


def test_every_action_is_read_before_any_table_is_looked_for(orders: Engine) -> None:
    missing = {"Put": {"TableName": "missing", "Item": item(pk="a")}}
    malformed = {"ConditionCheck": {"TableName": "orders", "Key": item(pk="a", sk="1"), "ConditionExpression": "a ="}}
    deep: dict[str, Any] = {"S": "leaf"}
    for _ in range(40):
        deep = {"M": {"n": deep}}
    nested = {"Delete": {"TableName": "orders", "Key": item(pk=deep, sk="1")}}
    syntax = refusal(orders, "TransactWriteItems", {"TransactItems": [missing, malformed]})
    assert syntax.startswith("Invalid ConditionExpression: Syntax error")
    assert refusal(orders, "TransactWriteItems", {"TransactItems": [malformed, nested]}) == syntax
    nesting = refusal(orders, "TransactWriteItems", {"TransactItems": [nested, malformed]})
    assert nesting.startswith("Nesting Levels have exceeded supported limits")


def test_a_missing_table_refuses_the_request(orders: Engine) -> None:
    action = {"Put": {"TableName": "missing", "Item": item(pk="a")}}
    request = {"TransactItems": [put_new("b"), action]}
    assert refusal(orders, "TransactWriteItems", request, "ResourceNotFoundException") == "Requested resource not found"
    assert everything(orders) == [item(pk="a", sk="1", n=1)]


def test_a_key_that_does_not_fit_is_its_actions_reason(orders: Engine) -> None:
    message = "The provided key element does not match the schema"
    get = {"Get": {"TableName": "orders", "Key": item(pk="a", sk="1")}}
    unfit = {"Get": {"TableName": "orders", "Key": item(pk="a")}}
    error = refused(
        lambda: orders.execute("TransactGetItems", {"TransactItems": [get, unfit]}), "TransactionCanceledException"
    )
    assert error.cancellation_reasons == [{"Code": "None"}, {"Code": "ValidationError", "Message": message}]
    missing = {"Put": {"TableName": "orders", "Item": item(pk="a")}}
    error = refused(
        lambda: orders.execute("TransactWriteItems", {"TransactItems": [missing, put_new("b")]}),
        "TransactionCanceledException",
    )
    assert error.cancellation_reasons is not None
    assert [reason["Code"] for reason in error.cancellation_reasons] == ["ValidationError", "None"]
