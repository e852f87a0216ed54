"""Resource policies: stored, returned, and guarded by their revisions."""

import json
from typing import Any

import pytest

from bursar.dynamo import Engine
from tests.support.dynamo.stream_readers import arn_of, streamed
from tests.support.dynamo.tables import refusal, table

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/orders"
NOT_FOUND = "PolicyNotFoundException"


@pytest.fixture(autouse=True)
def orders(engine: Engine) -> None:
    engine.execute("CreateTable", streamed())


def policy(action: str = "dynamodb:GetItem") -> str:
    statement = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def put(engine: Engine, text: str, arn: str = ARN, **request: Any) -> str:
    answer = engine.execute("PutResourcePolicy", {"ResourceArn": arn, "Policy": text, **request})
    revision: str = answer["RevisionId"]
    return revision


def test_a_policy_is_kept_as_it_was_put_until_it_is_deleted(engine: Engine) -> None:
    revision = put(engine, policy())
    assert engine.execute("GetResourcePolicy", {"ResourceArn": ARN}) == {"Policy": policy(), "RevisionId": revision}
    assert engine.execute("DeleteResourcePolicy", {"ResourceArn": ARN}) == {"RevisionId": revision}
    message = f"Resource-based policy not found for the provided ResourceArn: {ARN}"
    assert refusal(engine, "GetResourcePolicy", {"ResourceArn": ARN}, NOT_FOUND) == message
    assert engine.execute("DeleteResourcePolicy", {"ResourceArn": ARN}) == {}


def test_another_policy_has_another_revision_and_the_same_one_keeps_it(engine: Engine) -> None:
    first = put(engine, policy())
    assert put(engine, policy() + "  ") == first
    assert put(engine, policy("dynamodb:PutItem")) != first


def test_the_expected_revision_must_exist(engine: Engine) -> None:
    first = put(engine, policy(), ExpectedRevisionId="NO_POLICY")
    none = {"ResourceArn": ARN, "Policy": policy(), "ExpectedRevisionId": "NO_POLICY"}
    assert f"a policy exists with revision id {first}" in refusal(engine, "PutResourcePolicy", none, NOT_FOUND)
    second = put(engine, policy("dynamodb:Scan"), ExpectedRevisionId=first)
    stale = {"ResourceArn": ARN, "Policy": policy(), "ExpectedRevisionId": first}
    assert f"has revision id {second}" in refusal(engine, "PutResourcePolicy", stale, NOT_FOUND)
    del stale["Policy"]
    refusal(engine, "DeleteResourcePolicy", stale, NOT_FOUND)
    engine.execute("DeleteResourcePolicy", {"ResourceArn": ARN, "ExpectedRevisionId": second})
    refusal(engine, "DeleteResourcePolicy", stale, NOT_FOUND)


def test_a_stream_has_a_policy_of_its_own(engine: Engine) -> None:
    stream = arn_of(engine)
    put(engine, policy("dynamodb:GetRecords"), stream)
    refusal(engine, "GetResourcePolicy", {"ResourceArn": ARN}, NOT_FOUND)
    assert "GetRecords" in engine.execute("GetResourcePolicy", {"ResourceArn": stream})["Policy"]


def test_a_table_may_be_created_with_one(engine: Engine) -> None:
    engine.execute("CreateTable", {**table("other"), "ResourcePolicy": policy()})
    assert engine.execute("GetResourcePolicy", {"ResourceArn": ARN.replace("orders", "other")})["Policy"] == policy()
    bad = {**table("third"), "ResourcePolicy": "{"}
    assert "invalid Json" in refusal(engine, "CreateTable", bad)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Invalid policy document: This policy contains invalid Json"),
        ("[]", "Invalid policy document: This policy contains invalid Json"),
        ("{}", "Invalid policy document: Could not parse the policy: Statement is empty!"),
        ("x" * 20481, "Maximum policy size of 20480 bytes exceeded"),
    ],
)
def test_a_text_that_is_no_policy_is_refused(engine: Engine, text: str, message: str) -> None:
    request = {"ResourceArn": ARN, "Policy": text}
    assert refusal(engine, "PutResourcePolicy", request) == f"One or more parameter values were invalid: {message}"


@pytest.mark.parametrize(
    ("arn", "code", "message"),
    [
        ("orders", "ValidationException", "ARNs must start with 'arn:': orders"),
        (ARN + "x", "ResourceNotFoundException", "Requested resource not found: Table: ordersx not found"),
        (ARN.replace("000000000000", "123456789012"), "ValidationException", "resource owner’s account"),
        (ARN.replace("us-east-1", "eu-west-1"), "ValidationException", "Invalid resource Arn: "),
        (ARN.replace("arn:aws:", "arn:aws-cn:"), "ValidationException", "Invalid resource Arn: "),
        (ARN + "/index/by", "ValidationException", "only table or stream is accepted"),
        (ARN + "/backup/01", "ValidationException", "Provided Arn is not a DynamoDB resource arn"),
        (ARN + "/stream/2000", "ResourceNotFoundException", "Stream: 2000 not found for Table: orders"),
    ],
)
def test_other_resources_are_refused(engine: Engine, arn: str, code: str, message: str) -> None:
    assert message in refusal(engine, "GetResourcePolicy", {"ResourceArn": arn}, code)


def closing(**changes: Any) -> str:
    statement = {
        "Sid": "Closed",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
        "Resource": ARN,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **changes}]})


WRITES: dict[str, dict[str, Any]] = {
    "PutItem": {"TableName": "orders", "Item": {"pk": {"S": "a"}, "sk": {"S": "2"}}},
    "UpdateItem": {"TableName": "orders", "Key": {"pk": {"S": "a"}, "sk": {"S": "1"}}},
    "DeleteItem": {"TableName": "orders", "Key": {"pk": {"S": "a"}, "sk": {"S": "9"}}},
    "BatchWriteItem": {"RequestItems": {"orders": [{"PutRequest": {"Item": {"pk": {"S": "b"}, "sk": {"S": "1"}}}}]}},
    "TransactWriteItems": {
        "TransactItems": [{"Put": {"TableName": "orders", "Item": {"pk": {"S": "b"}, "sk": {"S": "1"}}}}]
    },
    "ExecuteStatement": {"Statement": "INSERT INTO orders VALUE {'pk': 'b', 'sk': '1'}"},
}


@pytest.mark.parametrize("operation", WRITES)
def test_a_policy_that_denies_all_writes_to_everyone_closes_the_table(engine: Engine, operation: str) -> None:
    item = {"pk": {"S": "a"}, "sk": {"S": "1"}}
    engine.execute("PutItem", {"TableName": "orders", "Item": item})
    put(engine, closing())
    message = refusal(engine, operation, WRITES[operation], "AccessDeniedException")
    assert message.endswith(f"on resource: {ARN} with an explicit deny in a resource-based policy")
    assert engine.execute("Scan", {"TableName": "orders"})["Items"] == [item]
    engine.execute("DeleteResourcePolicy", {"ResourceArn": ARN})
    engine.execute(operation, WRITES[operation])


@pytest.mark.parametrize(
    "changes",
    [
        {"Effect": "Allow"},
        {"Principal": {"AWS": "arn:aws:iam::000000000000:role/other"}},
        {"Action": "dynamodb:PutItem"},
        {"Condition": {"StringNotLike": {"aws:PrincipalArn": "arn:aws:iam::000000000000:role/portal"}}},
    ],
)
def test_any_other_policy_closes_nothing(engine: Engine, changes: dict[str, Any]) -> None:
    put(engine, closing(**changes))
    for operation in ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"):
        engine.execute(operation, WRITES[operation])
