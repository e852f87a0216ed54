"""BatchExecuteStatement and ExecuteTransaction: several statements, independent or all or none."""

from typing import Any

import pytest

from bursar.dynamo import Engine
from tests.support.dynamo.statements import NO_KEY, fill, run
from tests.support.dynamo.tables import item, refused


@pytest.fixture
def orders(engine: Engine) -> Engine:
    return fill(engine)


# --- batches --------------------------------------------------------------------------------------------------------


def batch(engine: Engine, *statements: str, **members: Any) -> dict[str, Any]:
    each = [{"Statement": statement, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"} for statement in statements]
    return engine.execute("BatchExecuteStatement", {"Statements": each, **members})


def test_a_batch_of_reads_answers_each(orders: Engine) -> None:
    response = batch(
        orders,
        "SELECT d FROM plain WHERE pk = 'h'",
        "SELECT * FROM plain WHERE pk = 'none'",
        "SELECT * FROM plain",
        "SELECT * FROM nope WHERE pk = 'h'",
        "SELECTT",
        "SELECT * FROM plain WHERE pk = 'h' AND d = 'one'",
    )
    text = "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
    single = {"Error": {"Code": "ValidationError", "Message": text}}
    malformed = "Statement wasn't well formed, can't be processed: Expected data manipulation"
    assert response == {
        "Responses": [
            {"TableName": "plain", "Item": {"d": {"S": "one"}}},
            {"TableName": "plain"},
            single,
            {"Error": {"Code": "ResourceNotFound", "Message": "Requested resource not found"}},
            {"Error": {"Code": "ValidationError", "Message": malformed}},
            single,
        ]
    }


def test_a_batch_of_writes_succeeds_and_fails_one_by_one(orders: Engine) -> None:
    before = run(orders, "SELECT * FROM plain")[0]
    response = batch(
        orders,
        "UPDATE plain SET n = 1 WHERE pk = 'h' AND n = 6",
        "INSERT INTO plain VALUE {'pk': 'new'}",
        "DELETE FROM plain WHERE pk = 'none'",
        "UPDATE orders SET t = 'x' WHERE pk = 'a' AND sk = 1 RETURNING MODIFIED NEW *",
        "INSERT INTO orders VALUE {'pk': 'a', 'sk': 2}",
        "UPDATE plain SET a = 1",
        ReturnConsumedCapacity="TOTAL",
    )
    failed = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed", "Item": before}
    duplicate = {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}
    assert response["Responses"] == [
        {"Error": failed, "TableName": "plain"},
        {"TableName": "plain"},
        {"TableName": "plain"},
        {"TableName": "orders", "Item": {"t": {"S": "x"}}},
        {"Error": duplicate, "TableName": "orders"},
        {"Error": {"Code": "ValidationError", "Message": NO_KEY}},
    ]
    assert [one["CapacityUnits"] for one in response["ConsumedCapacity"]] == [1.0, 1.0, 2.0]
    assert run(orders, "SELECT * FROM plain WHERE pk='new'") == [item(pk="new")]


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (
            ["SELECT * FROM plain WHERE pk = 'h'", "DELETE FROM plain WHERE pk = 'x'"],
            "Read and write requests together in the same batch is not supported.",
        ),
        (["SELECT * FROM plain WHERE pk = 'h'"] * 2, "Provided list of item keys contains duplicates"),
        (
            ["INSERT INTO plain VALUE {'pk': 'x'}", "DELETE FROM plain WHERE pk = 'x'"],
            "Provided list of item keys contains duplicates",
        ),
        (
            [],
            "1 validation error detected: Value '[]' at 'statements' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
        ),
    ],
)
def test_a_batch_that_cannot_be_is_refused_whole(orders: Engine, statements: list[str], message: str) -> None:
    assert refused(lambda: batch(orders, *statements)).message == message


def test_a_batch_has_at_most_25_statements(orders: Engine) -> None:
    message = refused(lambda: batch(orders, *["SELECT * FROM plain"] * 26)).message
    assert message.endswith("failed to satisfy constraint: Member must have length less than or equal to 25")


# --- transactions ---------------------------------------------------------------------------------------------------


def transact(engine: Engine, *statements: str, **members: Any) -> dict[str, Any]:
    each = [{"Statement": statement} for statement in statements]
    return engine.execute("ExecuteTransaction", {"TransactStatements": each, **members})


def test_a_transaction_of_reads(orders: Engine) -> None:
    response = transact(
        orders,
        "SELECT d FROM plain WHERE pk = 'h'",
        "SELECT * FROM plain WHERE pk = 'none'",
        ReturnConsumedCapacity="TOTAL",
    )
    assert response["Responses"] == [{"Item": {"d": {"S": "one"}}}, {}]
    assert [one["ReadCapacityUnits"] for one in response["ConsumedCapacity"]] == [2.0, 2.0]


def test_a_transaction_of_writes_and_checks_is_all_or_none(orders: Engine) -> None:
    writes = ["INSERT INTO plain VALUE {'pk': 'new'}", "UPDATE plain SET n = 1 WHERE pk = 'h' AND n = 5"]
    check = "EXISTS(SELECT * FROM orders WHERE pk = 'a' AND sk = 1 AND t = '{}')"
    error = refused(lambda: transact(orders, *writes, check.format("x")), "TransactionCanceledException")
    assert [reason["Code"] for reason in error.cancellation_reasons or []] == ["None", "None", "ConditionalCheckFailed"]
    assert run(orders, "SELECT * FROM plain WHERE pk='new'") == []
    assert transact(orders, *writes, check.format("text1")) == {"Responses": []}
    assert run(orders, "SELECT n FROM plain WHERE pk='h'") == [{"n": {"N": "1"}}]
    error = refused(lambda: transact(orders, *writes), "TransactionCanceledException")
    assert error.cancellation_reasons == [
        {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"},
        {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"},
    ]


def test_an_item_that_does_not_fit_its_table_is_a_reason(orders: Engine) -> None:
    statements = ["DELETE FROM plain WHERE pk = 'h'", "UPDATE plain SET a = 1 WHERE d = 'x'"]
    error = refused(lambda: transact(orders, *statements), "TransactionCanceledException")
    assert error.cancellation_reasons == [{"Code": "None"}, {"Code": "ValidationError", "Message": NO_KEY}]


def test_a_token_carries_a_transaction_out_once(orders: Engine) -> None:
    statement = "INSERT INTO plain VALUE {'pk': 'once'}"
    for _ in range(2):
        assert transact(orders, statement, ClientRequestToken="t") == {"Responses": []}
    refused(
        lambda: transact(orders, "INSERT INTO plain VALUE {'pk': 'other'}", ClientRequestToken="t"),
        "IdempotentParameterMismatchException",
    )


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (
            ["SELECT * FROM plain WHERE pk = 'h'", "DELETE FROM plain WHERE pk = 'x'"],
            "ExecuteTransaction API does not support both read and write operations in the same request.",
        ),
        (
            ["SELECT * FROM plain"],
            "Validation failed in TransactStatements[0]: "
            "Select statements within ExecuteTransaction must specify the primary key in the where clause.",
        ),
        (
            ["SELECT * FROM orders.\"by-g\" WHERE g = 'g1'"],
            "Validation failed in TransactStatements[0]: Reads on indices are not supported within transactions.",
        ),
        (
            ["DELETE FROM plain WHERE pk = 'h'", "EXISTS(SELECT * FROM plain WHERE pk = 'x')"],
            "Validation failed in TransactStatements[1]: "
            "EXISTS() must contain a single item read with additional condition",
        ),
        (
            ["DELETE FROM plain WHERE pk = 'h' RETURNING ALL OLD *"],
            "Validation failed in TransactStatements[0]: RETURNING clause is not supported in ExecuteTransaction.",
        ),
        (
            ["SELECT * FROM plain WHERE pk = 'h'"] * 2,
            "Transaction request cannot include multiple operations on one item",
        ),
        (
            ["INSERT INTO plain VALUE {'pk': 'x'}", "DELETE FROM plain WHERE pk = 'x'"],
            "Transaction request cannot include multiple operations on one item",
        ),
        (["SELEC"], "Statement wasn't well formed, can't be processed: Expected data manipulation"),
    ],
)
def test_a_transaction_that_cannot_be_is_refused_whole(orders: Engine, statements: list[str], message: str) -> None:
    assert refused(lambda: transact(orders, *statements)).message == message
