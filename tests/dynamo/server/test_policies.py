"""Policies: a request that is not allowed is refused, a Deny wins, and unsupported documents are rejected."""

from typing import Any

import pytest

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.server.iam_scope import required_permissions
from bursar.dynamo.server.policies import PolicyError, matches_wildcard, parse_policy
from tests.support.dynamo.stream_readers import HandClock, arn_of, described, iterator, opened, streamed

PARTITIONS = {("invoices", None): ("owner",), ("invoices", "by-day"): ("day",), ("other", None): ("pk",)}
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/"


def partition_names(table: str, index: str | None) -> tuple[str, ...]:
    return PARTITIONS.get((table, index), ())


def allowed(statement: dict[str, Any] | list[dict[str, Any]], operation: str, request: dict[str, Any]) -> bool:
    policy = parse_policy("ann", {"Version": "2012-10-17", "Statement": statement})
    try:
        policy.require(required_permissions(operation, request, partition_names))
    except DynamoError as error:
        return error.code != "AccessDeniedException"
    return True


def statement(**members: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*", **members}


GET = {"TableName": "invoices", "Key": {"owner": {"S": "ann"}}}
PUT = {"TableName": "invoices", "Item": {"owner": {"S": "ann"}, "total": {"N": "1"}}}


def test_a_refusal_has_amazons_text() -> None:
    policy = parse_policy("ann", {"Statement": statement(Action="dynamodb:GetItem")})
    with pytest.raises(DynamoError) as refused:
        policy.require(required_permissions("PutItem", PUT, partition_names))
    assert refused.value.body() == {
        "__type": "com.amazon.coral.service#AccessDeniedException",
        "Message": "User: arn:aws:iam::000000000000:user/ann is not authorized to perform: dynamodb:PutItem "
        f"on resource: {ARN}invoices because no identity-based policy allows the dynamodb:PutItem action",
    }
    policy = parse_policy("ann", {"Statement": [statement(), statement(Effect="Deny", Action="dynamodb:Put*")]})
    with pytest.raises(DynamoError, match="with an explicit deny in an identity-based policy"):
        policy.require(required_permissions("PutItem", PUT, partition_names))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"Action": "dynamodb:GetItem"}, True),
        ({"Action": ["dynamodb:Query", "DYNAMODB:get*"]}, True),
        ({"Action": "dynamodb:GetIte?"}, True),
        ({"Action": "dynamodb:PutItem"}, False),
        ({"Action": "s3:*"}, False),
        ({"Resource": f"{ARN}invoices"}, True),
        ({"Resource": "arn:aws:dynamodb:*:*:table/inv*"}, True),
        ({"Resource": f"{ARN}invoice"}, False),
        ({"Resource": f"{ARN}invoices/index/*"}, False),
        ({"Resource": f"{ARN}Invoices"}, False),
    ],
)
def test_actions_and_resources_match_by_wildcard(members: dict[str, Any], expected: bool) -> None:
    assert allowed(statement(**members), "GetItem", GET) is expected


def test_not_action_and_not_resource_invert_the_list() -> None:
    but_delete = {"Effect": "Allow", "NotAction": "dynamodb:Delete*", "Resource": "*"}
    assert allowed(but_delete, "GetItem", GET)
    assert not allowed(but_delete, "DeleteItem", GET)
    elsewhere = {"Effect": "Allow", "Action": "*", "NotResource": f"{ARN}invoices"}
    assert not allowed(elsewhere, "GetItem", GET)
    assert allowed(elsewhere, "GetItem", {"TableName": "other", "Key": {"pk": {"S": "a"}}})


def test_a_kinesis_destination_is_on_its_table() -> None:
    for action in ("Enable", "Disable", "Describe", "Update"):
        operation = f"{action}KinesisStreamingDestination"
        request = {"TableName": "invoices", "StreamArn": "arn:aws:kinesis:us-east-1:000000000000:stream/s"}
        on_table = {"Effect": "Allow", "Action": f"dynamodb:{operation}", "Resource": f"{ARN}invoices"}
        assert allowed(on_table, operation, request)
        assert not allowed(on_table, operation, {**request, "TableName": "other"})


OWN = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:username}"]}}
ANN, BOB = {"owner": {"S": "ann"}}, {"owner": {"S": "bob"}}


def query(attribute: str, value: str, index: str | None = None) -> dict[str, Any]:
    return {
        "TableName": "invoices",
        **({"IndexName": index} if index else {}),
        "KeyConditionExpression": "#k = :k",
        "ExpressionAttributeNames": {"#k": attribute},
        "ExpressionAttributeValues": {":k": {"S": value}},
    }


def batch_write(*writes: dict[str, Any]) -> dict[str, Any]:
    return {"RequestItems": {"invoices": list(writes)}}


def transaction(*actions: dict[str, Any]) -> dict[str, Any]:
    return {
        "TransactItems": [{name: {"TableName": "invoices", **part} for name, part in each.items()} for each in actions]
    }


LEGACY_QUERY = {
    "TableName": "invoices",
    "KeyConditions": {"owner": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "ann"}]}},
}


@pytest.mark.parametrize(
    ("operation", "request_", "expected"),
    [
        ("GetItem", GET, True),
        ("GetItem", {"TableName": "invoices", "Key": BOB}, False),
        ("PutItem", PUT, True),
        ("PutItem", {"TableName": "invoices", "Item": BOB}, False),
        # Members that an operation does not read must not count as its key, table or index.
        ("GetItem", {"TableName": "invoices", "Key": BOB, "Item": ANN}, False),
        ("PutItem", {"TableName": "invoices", "Item": BOB, "Key": ANN}, False),
        ("Scan", {"TableName": "invoices"}, False),
        ("Query", query("owner", "ann"), True),
        ("Query", query("owner", "bob"), False),
        ("Query", query("day", "ann", "by-day"), True),
        ("Query", {"TableName": "invoices", "KeyConditionExpression": "nonsense ="}, False),
        ("Query", LEGACY_QUERY, True),
        ("BatchGetItem", {"RequestItems": {"invoices": {"Keys": [ANN]}}}, True),
        ("BatchGetItem", {"RequestItems": {"invoices": {"Keys": [ANN, BOB]}}}, False),
        ("BatchWriteItem", batch_write({"PutRequest": {"Item": ANN}}), True),
        ("BatchWriteItem", batch_write({"PutRequest": {"Item": ANN}, "DeleteRequest": {"Key": BOB}}), False),
        ("TransactWriteItems", transaction({"Put": {"Item": ANN}}, {"Delete": {"Key": ANN}}), True),
        ("TransactWriteItems", transaction({"Put": {"Item": ANN}}, {"Delete": {"Key": BOB}}), False),
        ("TransactWriteItems", transaction({"Put": {"Item": ANN}, "Delete": {"Key": BOB}}), False),
        ("ExecuteStatement", {"Statement": "SELECT * FROM invoices WHERE owner = 'ann'"}, False),
        ("GetItem", {"TableName": "invoices", "Key": 5}, False),
        ("GetItem", {"TableName": "unknown", "Key": ANN}, False),
    ],
)
def test_leading_keys_restrict_a_user_to_some_items(operation: str, request_: dict[str, Any], expected: bool) -> None:
    assert allowed(statement(Condition=OWN), operation, request_) is expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["SELECT * FROM invoices"], True),
        (['SELECT * FROM "invoices"."by-day" WHERE day = \'x\''], False),
        (["SELECT * FROM others"], False),
        (["INSERT INTO invoices VALUE {'id': 'x'}"], False),
        (["SELECT * FROM invoices", "SELECT * FROM others"], False),
        (["EXISTS(SELECT * FROM invoices WHERE id = 'x')", "SELECT * FROM invoices"], True),
        (["SELECTT"], False),
    ],
)
def test_a_statement_is_allowed_by_its_verb_and_its_table(texts: list[str], expected: bool) -> None:
    only = statement(Action="dynamodb:PartiQLSelect", Resource="arn:aws:dynamodb:*:*:table/invoices")
    each = [{"Statement": text} for text in texts]
    assert allowed(only, "BatchExecuteStatement", {"Statements": each}) is expected
    assert allowed(only, "ExecuteTransaction", {"TransactStatements": each}) is expected
    if len(each) == 1:
        assert allowed(only, "ExecuteStatement", each[0]) is expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({**GET, "ProjectionExpression": "owner, #t.deep[0]", "ExpressionAttributeNames": {"#t": "total"}}, True),
        ({**GET, "ProjectionExpression": "owner, secret"}, False),
        ({**GET, "ProjectionExpression": "total.secret"}, True),
        ({**GET, "AttributesToGet": ["total"]}, True),
        ({**GET, "AttributesToGet": ["secret"]}, False),
        (GET, False),  # no projection: the request would read every attribute
    ],
)
def test_attributes_bound_what_is_read(request_: dict[str, Any], expected: bool) -> None:
    condition = {
        "ForAllValues:StringEquals": {"dynamodb:Attributes": ["owner", "total"]},
        "StringEquals": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
    }
    assert allowed(statement(Condition=condition), "GetItem", request_) is expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [("SET total = if_not_exists(total, :z)", True), ("SET total = secret", False), ("REMOVE secret", False)],
)
def test_attributes_bound_what_an_update_names(expression: str, expected: bool) -> None:
    condition = {"ForAllValues:StringEquals": {"dynamodb:Attributes": ["owner", "total"]}}
    request = {**GET, "UpdateExpression": expression, "ExpressionAttributeValues": {":z": {"N": "0"}}}
    assert allowed(statement(Condition=condition), "UpdateItem", request) is expected


def test_a_deny_that_cannot_be_judged_denies() -> None:
    deny = statement(Effect="Deny", Condition={"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["secret-*"]}})
    assert allowed([statement(), deny], "GetItem", GET)
    assert not allowed([statement(), deny], "Scan", {"TableName": "invoices"})


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"StringEquals": {"dynamodb:ReturnValues": ["NONE", "UPDATED_NEW"]}}, True),
        ({"StringNotEquals": {"dynamodb:ReturnValues": "NONE"}}, False),
        ({"StringEqualsIgnoreCase": {"dynamodb:ReturnValues": "none"}}, True),
        ({"StringNotLike": {"dynamodb:ReturnValues": "ALL_*"}}, True),
        ({"Null": {"dynamodb:EnclosingOperation": "true"}}, True),
        ({"Null": {"dynamodb:EnclosingOperation": False}}, False),
        ({"StringEquals": {"dynamodb:EnclosingOperation": "TransactWriteItems"}}, False),
        ({"StringEqualsIfExists": {"dynamodb:EnclosingOperation": "TransactWriteItems"}}, True),
        ({"StringEquals": {"aws:username": "ann"}}, True),
    ],
)
def test_condition_operators(condition: dict[str, Any], expected: bool) -> None:
    assert allowed(statement(Condition=condition), "PutItem", PUT) is expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"Resource": f"{ARN}orders/index/by-meaning"}, True),
        ({"Resource": f"{ARN}orders"}, False),
        ({"Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["ann"]}}}, False),
        ({"Condition": {"ForAllValues:StringEquals": {"dynamodb:Attributes": ["embedding"]}}}, False),
    ],
)
def test_a_search_of_vectors_is_allowed_on_its_index_alone(members: dict[str, Any], expected: bool) -> None:
    request = {"TableName": "orders", "IndexName": "by-meaning"}
    assert allowed(statement(**members), "SearchVectors", request) is expected


def test_a_request_without_a_table_needs_every_resource() -> None:
    on_one = statement(Resource=f"{ARN}invoices")
    assert not allowed(on_one, "ListTables", {"TableName": "invoices"})
    assert not allowed(on_one, "ImportTable", {"TableName": "invoices"})
    assert allowed(statement(), "ListTables", {})


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (f"{ARN}orders/stream/*", True),
        ("arn:aws:dynamodb:*:*:table/*/stream/*", True),
        (f"{ARN}invoices/stream/*", False),
        (f"{ARN}orders", False),
    ],
)
def test_reading_a_stream_is_allowed_by_the_streams_name(resource: str, expected: bool) -> None:
    clock = HandClock()
    engine = opened(clock)
    engine.execute("CreateTable", streamed())
    arn = arn_of(engine)
    shard = described(engine, arn)["Shards"][0]["ShardId"]
    only = statement(Action=["dynamodb:DescribeStream", "dynamodb:Get*"], Resource=resource)
    asked = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    for operation, request in (
        ("DescribeStream", {"StreamArn": arn}),
        ("GetShardIterator", asked),
        ("GetRecords", {"ShardIterator": iterator(engine, arn)}),
    ):
        assert allowed(only, operation, request) is expected, operation
    engine.close()


@pytest.mark.parametrize(
    "text", ["", "|", "orders", f"{ARN}orders/stream/1|1", f"{ARN}orders/stream/1|1|e30=|x", 5, None]
)
def test_an_unreadable_iterator_needs_every_resource(text: object) -> None:
    assert not allowed(statement(Resource=f"{ARN}orders/stream/*"), "GetRecords", {"ShardIterator": text})
    assert allowed(statement(), "GetRecords", {"ShardIterator": text})


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({}, "^Statement: must be a non-empty list"),
        ({"Statement": []}, "^Statement: must be a non-empty list"),
        ({"Statement": ["x"]}, "statement 1: must be an object; got 'x'"),
        ({"Statement": statement(Effect="Maybe")}, "Effect: must be Allow or Deny; got 'Maybe'"),
        ({"Statement": statement(Principal="*")}, "must hold only Action, .*; got Principal"),
        ({"Statement": [statement(), statement(NotAction="x")]}, "statement 2: must hold either Action or NotAction"),
        ({"Statement": statement(Action=[])}, "Action: must be a string or a non-empty list"),
        (
            {"Statement": statement(Resource="${aws:userid}")},
            "policy variable: must be .*; got ${aws:userid}".replace("{", r"\{"),
        ),
        (
            {"Statement": statement(Condition={"IpAddress": {"aws:SourceIp": "::1"}})},
            "must hold only supported operators; got IpAddress",
        ),
        (
            {"Statement": statement(Condition={"StringEquals": {"aws:SourceIp": "::1"}})},
            "must hold only supported condition keys; got aws:SourceIp",
        ),
        (
            {"Statement": statement(Condition={"ForNone:StringEquals": {}})},
            "must hold only supported operators; got ForNone:StringEquals",
        ),
    ],
)
def test_a_document_that_cannot_be_judged_is_refused(document: dict[str, Any], text: str) -> None:
    with pytest.raises(PolicyError, match=text.replace("$", r"\$")):
        parse_policy("ann", document)


def test_wildcards_match_as_in_iam() -> None:
    assert matches_wildcard("a*c", "abbbc")
    assert matches_wildcard("a?c", "a\nc")
    assert not matches_wildcard("a.c", "abc")
    assert not matches_wildcard("a*", "ba")
