"""Errors on the wire: their type's namespace, their status, and the members that their body carries."""

import pytest

from bursar.dynamo.errors import DynamoError, condition_failed, invalid, invalid_parameter, unreadable


@pytest.mark.parametrize(
    ("error", "type_name"),
    [
        (invalid("x"), "com.amazon.coral.validate#ValidationException"),
        (unreadable("x"), "com.amazon.coral.service#SerializationException"),
        (DynamoError("ResourceNotFoundException", "x"), "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"),
        (DynamoError("ThrottlingException", "x"), "com.amazon.coral.availability#ThrottlingException"),
    ],
)
def test_the_type_has_amazons_namespace(error: DynamoError, type_name: str) -> None:
    assert error.body()["__type"] == type_name


def test_a_client_error_is_a_400_and_a_server_error_a_500() -> None:
    assert invalid("x").http_status == 400
    assert DynamoError("InternalServerError", "x").http_status == 500
    assert DynamoError("ThrottlingException", "x", http_status=503).http_status == 503


def test_a_failed_condition_carries_the_old_item_when_asked_for() -> None:
    assert condition_failed().body() == {
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "The conditional request failed",
    }
    assert condition_failed({"pk": {"S": "a"}}).body()["Item"] == {"pk": {"S": "a"}}


def test_a_cancelled_transaction_carries_its_reasons_and_a_capital_message() -> None:
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}]
    body = DynamoError("TransactionCanceledException", "cancelled", cancellation_reasons=reasons).body()
    assert body["CancellationReasons"] == reasons
    assert body["Message"] == "cancelled"
    assert "message" not in body


def test_it_reads_as_code_and_message() -> None:
    assert str(invalid_parameter("Bad")) == "ValidationException: One or more parameter values were invalid: Bad"
