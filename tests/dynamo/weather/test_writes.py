"""Conflicts with transactions, partial batches, and answers 500 after a write took place."""

import dataclasses
from typing import Any

import pytest

from bursar.dynamo import DynamoError
from bursar.dynamo.weather.engine import WeatherEngine
from bursar.dynamo.weather.settings import CALM
from tests.support.dynamo.in_weather import in_weather
from tests.support.dynamo.tables import item, refused, table

CONFLICTS = dataclasses.replace(CALM, transaction_conflict_share=1.0, transaction_conflict_requests=2)
CONFLICT = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}


def opened(**settings: Any) -> WeatherEngine:
    engine = in_weather(dataclasses.replace(CALM, **settings))
    engine.execute("CreateTable", table())
    return engine


def put_request(sk: str) -> dict[str, Any]:
    return {"TableName": "orders", "Item": item(pk="a", sk=sk)}


def transact(engine: WeatherEngine, *sorts: str, token: str | None = None) -> None:
    request: dict[str, Any] = {"TransactItems": [{"Put": put_request(sk)} for sk in sorts]}
    engine.execute("TransactWriteItems", request if token is None else {**request, "ClientRequestToken": token})


def test_a_write_conflicts_with_a_transaction_on_its_item_until_other_requests_came() -> None:
    engine = opened(transaction_conflict_share=1.0, transaction_conflict_requests=2)
    transact(engine, "x", "y")
    error = refused(lambda: engine.execute("PutItem", put_request("x")), "TransactionConflictException")
    assert error.body() == {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
        "message": "Transaction is ongoing for the item",
    }
    engine.execute("PutItem", put_request("other"))
    engine.execute("PutItem", put_request("x"))
    assert engine.happened() == {("orders", "transaction_conflict"): 1}


def test_a_transaction_is_cancelled_with_the_reason_of_each_contended_item() -> None:
    engine = opened(transaction_conflict_share=1.0)
    transact(engine, "x", "y")
    error = refused(lambda: transact(engine, "z", "x", "y"), "TransactionCanceledException")
    assert error.cancellation_reasons == [{"Code": "None"}, CONFLICT, CONFLICT]
    assert error.message == (
        "Transaction cancelled, please refer cancellation reasons for specific reasons "
        "[None, TransactionConflict, TransactionConflict]"
    )
    assert engine.execute("Scan", {"TableName": "orders"})["Count"] == 2


def test_a_repeated_transaction_that_took_place_has_its_answer() -> None:
    engine = opened(transaction_conflict_share=1.0)
    transact(engine, "x", token="t")
    transact(engine, "x", token="t")


def test_a_transactional_read_conflicts_with_any_write_and_a_plain_write_only_with_transactions() -> None:
    engine = opened(transaction_conflict_share=1.0)
    engine.execute("PutItem", put_request("x"))
    engine.execute("PutItem", put_request("x"))
    get = {"Get": {"TableName": "orders", "Key": item(pk="a", sk="x")}}
    error = refused(
        lambda: engine.execute("TransactGetItems", {"TransactItems": [get]}), "TransactionCanceledException"
    )
    assert error.cancellation_reasons == [CONFLICT]


def test_a_part_of_a_batch_is_unprocessed_and_comes_back_as_it_was_sent() -> None:
    engine = opened(partial_batch_share=1.0)
    elements = [{"PutRequest": {"Item": item(pk="a", sk=str(number), n=number)}} for number in range(25)]
    sent, rounds = elements, 0
    while sent:
        answer = engine.execute("BatchWriteItem", {"RequestItems": {"orders": sent}})
        left = answer["UnprocessedItems"].get("orders", [])
        assert len(left) < len(sent)
        assert all(element in elements for element in left)
        sent, rounds = left, rounds + 1
    assert rounds > 1
    assert engine.execute("Scan", {"TableName": "orders"})["Count"] == 25
    keys = [item(pk="a", sk=str(number)) for number in range(25)]
    request = {"Keys": keys, "ProjectionExpression": "n", "ConsistentRead": True}
    answer = engine.execute("BatchGetItem", {"RequestItems": {"orders": request}})
    rest = answer["UnprocessedKeys"]["orders"]
    assert len(answer["Responses"]["orders"]) + len(rest["Keys"]) == 25
    assert {**rest, "Keys": keys} == request


def test_a_batch_with_a_fault_writes_nothing() -> None:
    engine = opened(partial_batch_share=1.0)
    bad = {"PutRequest": {"Item": item(pk="a")}}
    for _ in range(10):
        elements = [{"PutRequest": {"Item": item(pk="a", sk="x")}}, bad]
        refused(lambda elements=elements: engine.execute("BatchWriteItem", {"RequestItems": {"orders": elements}}))  # type: ignore[misc]  # a lambda with a default
    assert engine.execute("Scan", {"TableName": "orders"})["Count"] == 0


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("PutItem", put_request("x")),
        ("BatchWriteItem", {"RequestItems": {"orders": [{"PutRequest": {"Item": item(pk="a", sk="x")}}]}}),
        ("TransactWriteItems", {"TransactItems": [{"Put": put_request("x")}], "ClientRequestToken": "t"}),
        ("ExecuteStatement", {"Statement": "INSERT INTO orders VALUE {'pk': 'a', 'sk': 'x'}"}),
        ("ExecuteTransaction", {"TransactStatements": [{"Statement": "INSERT INTO orders VALUE {'pk':'a','sk':'x'}"}]}),
    ],
)
def test_a_write_answered_with_500_has_taken_place(operation: str, request_: dict[str, Any]) -> None:
    engine = opened(error_after_write_share=1.0)
    error = refused(lambda: engine.execute(operation, request_), "InternalServerError")
    assert (error.message, error.http_status) == ("Internal server error", 500)
    assert engine.execute("Scan", {"TableName": "orders"})["Count"] == 1
    assert engine.happened() == {("orders", "error_after_write"): 1}


def test_a_transaction_after_500_can_be_repeated_with_its_token() -> None:
    engine = opened(error_after_write_share=1.0)
    add = {
        "TableName": "orders",
        "Key": item(pk="a", sk="x"),
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    request = {"TransactItems": [{"Update": add}], "ClientRequestToken": "t"}
    refused(lambda: engine.execute("TransactWriteItems", request), "InternalServerError")
    engine.execute("TransactWriteItems", request)
    assert engine.execute("Scan", {"TableName": "orders"})["Items"][0]["n"] == {"N": "1"}


def test_tables_have_weather_of_their_own() -> None:
    from bursar.dynamo.weather.engine import WeatherEngine
    from bursar.dynamo.weather.settings import Weather

    weather = Weather("own", 0, CALM, {"stormy": dataclasses.replace(CALM, throttled_share=1.0)})
    engine = WeatherEngine.open(":memory:", weather=weather)
    for name in ("calm", "stormy"):
        engine.execute("CreateTable", table(name))
    engine.execute("PutItem", {**put_request("x"), "TableName": "calm"})
    with pytest.raises(DynamoError, match="ThrottlingException"):
        engine.execute(
            "PutItem", {**put_request("x"), "TableName": "arn:aws:dynamodb:us-east-1:000000000000:table/stormy"}
        )
