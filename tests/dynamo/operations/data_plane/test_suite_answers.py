"""Answers of Amazon's that paritysuite/dynamodb-conformance records and that the engine once gave otherwise.

Each test names the file of the suite, as of version 3.5.0.
"""

from typing import Any

import pytest

from bursar.dynamo import DynamoError, Engine
from bursar.dynamo.errors import ENVELOPE
from bursar.dynamo.operations.requests.nesting import NEWER_NESTING_MAX
from tests.support.dynamo.tables import item, put, refusal, table

INVALID = "One or more parameter values were invalid: "
EMPTY_IN_UPDATE = (
    "One or more parameter values are not valid. The update expression attempted to update a secondary index key to a "
    "value that is not supported. The AttributeValue for a key attribute cannot contain an empty {} value."
)


@pytest.fixture
def several(engine: Engine) -> Engine:
    """Return an engine with a table whose attribute ``state`` is the key of three indexes."""
    engine.execute(
        "CreateTable",
        table(
            "several",
            ("pk:S", "sk:S"),
            global_indexes={"global1": ("state:S",), "global2": ("state:S", "other:S")},
            local_indexes={"local1": ("pk:S", "state:S"), "local2": ("pk:S", "other:S")},
        ),
    )
    return engine


def unfit(value: dict[str, Any]) -> dict[str, Any]:
    return {**item(pk="a", sk="b"), "state": value}


@pytest.mark.parametrize("value", [{"N": "5"}, {"L": [{"S": "x"}]}])
def test_an_unfit_index_key_is_reported_of_the_first_index_by_name(several: Engine, value: dict[str, Any]) -> None:
    # error-messages/indexKeyValues, error-messages/transactIndexKeys
    text = f"{INVALID}Type mismatch for Index Key state Expected: S Actual: {next(iter(value))} IndexName: global1"
    assert refusal(several, "PutItem", {"TableName": "several", "Item": unfit(value)}) == text
    batch = {"RequestItems": {"several": [{"PutRequest": {"Item": unfit(value)}}]}}
    assert refusal(several, "BatchWriteItem", batch) == text
    update = {
        "TableName": "several",
        "Key": item(pk="a", sk="b"),
        "UpdateExpression": "SET #state = :v",
        "ExpressionAttributeNames": {"#state": "state"},
        "ExpressionAttributeValues": {":v": value},
    }
    for action in ({"Put": {"TableName": "several", "Item": unfit(value)}}, {"Update": update}):
        with pytest.raises(DynamoError) as cancelled:
            several.execute("TransactWriteItems", {"TransactItems": [action]})
        assert cancelled.value.cancellation_reasons == [{"Code": "ValidationError", "Message": text}]


@pytest.mark.parametrize("stored", [False, True])
def test_an_update_that_empties_an_index_key_is_no_reason_of_a_transaction(several: Engine, stored: bool) -> None:
    # error-messages/transactIndexKeys
    if stored:
        put(several, "several", item(pk="a", sk="b", state="new"))
    update = {
        "TableName": "several",
        "Key": item(pk="a", sk="b"),
        "UpdateExpression": "SET #state = :v",
        "ExpressionAttributeNames": {"#state": "state"},
        "ExpressionAttributeValues": {":v": {"S": ""}},
    }
    assert refusal(several, "UpdateItem", update) == EMPTY_IN_UPDATE.format("string")
    transaction = {"TransactItems": [{"Update": update}]}
    assert refusal(several, "TransactWriteItems", transaction) == EMPTY_IN_UPDATE.format("string")


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (
            "pk = :p AND sk > :a AND sk < :b",
            "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key",
        ),
        (
            "pk = :p AND sk > :a AND extra = :b",
            "The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)",
        ),
    ],
)
def test_a_key_has_one_condition_for_each_attribute(several: Engine, condition: str, text: str) -> None:
    # error-messages/queryKeyConditionOperands
    values = {":p": {"S": "q"}, ":a": {"S": "1"}, ":b": {"S": "5"}}
    query = {"TableName": "several", "KeyConditionExpression": condition, "ExpressionAttributeValues": values}
    assert refusal(several, "Query", query) == text


def test_a_query_of_specific_attributes_names_them(several: Engine) -> None:
    # error-messages/query
    query = {
        "TableName": "several",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": "a"}},
        "Select": "SPECIFIC_ATTRIBUTES",
    }
    assert refusal(several, "Query", query) == (
        f"{ENVELOPE}Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
    )


@pytest.fixture
def projected(engine: Engine) -> Engine:
    """Return an engine with indexes that hold a part of each item, and three items, one of them in no index."""
    request = table(
        "projected",
        ("pk:S", "sk:S"),
        global_indexes={"by-g": ("g:S",)},
        local_indexes={"by-l": ("pk:S", "l:S")},
        projection={"ProjectionType": "KEYS_ONLY"},
    )
    engine.execute("CreateTable", request)
    put(
        engine,
        "projected",
        item(pk="p", sk="1", g="y", l="a", other="o1"),
        item(pk="p", sk="2", g="z", l="b", other="o2"),
        item(pk="p", sk="3", other="o3"),
    )
    return engine


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (""" "by-g" WHERE other = 'o1' """, []),
        (""" "by-l" WHERE other = 'o1' """, []),
        (""" "by-g" WHERE NOT other = 'o1' """, ["1", "2"]),
        (""" "by-g" WHERE (g = 'y' AND other = 'o1') OR (g = 'z') """, ["2"]),
    ],
)
def test_a_scan_of_an_index_filters_by_what_the_index_has(projected: Engine, where: str, found: list[str]) -> None:
    # partiql/indexQualifier
    answer = projected.execute("ExecuteStatement", {"Statement": f'SELECT pk, sk FROM "projected".{where.strip()}'})
    assert sorted(row["sk"]["S"] for row in answer["Items"]) == found


@pytest.mark.parametrize(
    "where", ["g = 'y' AND other = 'o1'", "g IN ['y', 'z'] AND other = 'o1'", "g = 'y' AND NOT other = 'o1'"]
)
def test_a_read_by_the_key_of_an_index_has_no_filter_on_what_it_lacks(projected: Engine, where: str) -> None:
    statement = {"Statement": f'SELECT pk FROM "projected"."by-g" WHERE {where}'}
    assert refusal(projected, "ExecuteStatement", statement) == (
        f"{INVALID}Secondary index by-g does not project one or more filter attributes: [other]"
    )


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        ("SELECT pk FROM several.global2 WHERE state = ?", [{"S": "new"}]),
        ("SELECT pk FROM several WHERE pk = ?", [{"S": "new"}]),
        ("SELECT pk FROM several.global1 WHERE state = ?", [{"S": "old"}]),
        ("SELECT pk FROM several.global1 WHERE state = 'new'", []),
    ],
)
def test_a_token_continues_only_the_statement_and_the_parameters_that_gave_it(
    several: Engine, statement: str, parameters: list[dict[str, str]]
) -> None:
    # partiql/indexQualifier
    put(several, "several", *(item(pk=pk, sk="b", state="new", other="x") for pk in "acd"))
    first = {"Statement": "SELECT pk FROM several.global1 WHERE state = ?", "Parameters": [{"S": "new"}]}
    page = several.execute("ExecuteStatement", {**first, "Limit": 1})
    rest = several.execute("ExecuteStatement", {**first, "NextToken": page["NextToken"], "Limit": 2})
    assert len(page["Items"] + rest["Items"]) == 3
    other = {
        "Statement": statement,
        "NextToken": page["NextToken"],
        **({"Parameters": parameters} if parameters else {}),
    }
    assert refusal(several, "ExecuteStatement", other) == "NextToken does not match request"


SEVERAL = (
    "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys."
)


@pytest.fixture
def wide(engine: Engine) -> Engine:
    """Return an engine with a table whose index ``wide`` has two sort attributes and ``narrow`` has one."""
    request = table("wide", ("pk:S",), global_indexes={"narrow": ("h:S", "a:S"), "wide": ("h:S", "a:S")})
    request["AttributeDefinitions"].append({"AttributeName": "b", "AttributeType": "S"})
    request["GlobalSecondaryIndexes"][1]["KeySchema"].append({"AttributeName": "b", "KeyType": "RANGE"})
    engine.execute("CreateTable", request)
    put(engine, "wide", item(pk="p", h="x", a="1", b="2"))
    return engine


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        ("* FROM wide.wide WHERE h = 'x'", SEVERAL),
        ("* FROM wide.wide WHERE h = 5", SEVERAL),
        ("* FROM wide.wide", SEVERAL),
        ("COUNT(*) FROM wide.wide", SEVERAL),
        ("COUNT(*) FROM wide.narrow", "Unexpected path component at 1:8:5"),
        ("COUNT(*) FROM wide", "Unexpected path component at 1:8:5"),
        ("* FROM wide.wide WHERE", "Statement wasn't well formed, can't be processed: Unexpected term"),
    ],
)
def test_no_statement_reads_an_index_with_several_key_attributes(wide: Engine, rest: str, text: str) -> None:
    # error-messages/partiqlMultiAttributeIndex
    statement = {"Statement": f"SELECT {rest}"}
    assert refusal(wide, "ExecuteStatement", statement) == text
    batch = wide.execute("BatchExecuteStatement", {"Statements": [statement]})
    assert batch["Responses"] == [{"Error": {"Code": "ValidationError", "Message": text}}]
    for readable in ("wide", "wide.narrow"):
        assert wide.execute("ExecuteStatement", {"Statement": f"SELECT pk FROM {readable}"})["Items"] == [item(pk="p")]


def test_only_a_transaction_has_no_item_where_a_projection_finds_nothing(several: Engine) -> None:
    # transactions/transactGet, getItem/projection, batchGetItem/basic
    put(several, "several", item(pk="p", sk="s"))
    key = {"Key": item(pk="p", sk="s"), "ProjectionExpression": "absent"}
    get = {"TableName": "several", **key}
    assert several.execute("TransactGetItems", {"TransactItems": [{"Get": get}]})["Responses"] == [{}]
    assert several.execute("GetItem", get)["Item"] == {}
    batch = {"several": {"Keys": [key["Key"]], "ProjectionExpression": "absent"}}
    assert several.execute("BatchGetItem", {"RequestItems": batch})["Responses"] == {"several": [{}]}


LIST = {"L": [{"S": "a"}, {"S": "b"}, {"S": "c"}]}


def of_list(*members: str) -> list[dict[str, Any]]:
    return [{"tags": {"L": [{"S": member} for member in members]}}]


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        ("SET tags[2] = 'y'", of_list("c"), of_list("y")),
        ("SET tags[2] = 'y', tags[0] = 'x'", of_list("a", "c"), of_list("x", "y")),
        ("SET tags[3] = 'd'", [], of_list("d")),
        ("SET tags[5] = 'd'", [], []),
        ("REMOVE tags[1]", of_list("b"), of_list("c")),
        ("REMOVE tags[2]", of_list("c"), []),
        (
            "SET profile.sub = 'new'",
            [{"profile": {"M": {"sub": {"S": "old"}}}}],
            [{"profile": {"M": {"sub": {"S": "new"}}}}],
        ),
        ("REMOVE profile.sub", [{"profile": {"M": {"sub": {"S": "old"}}}}], []),
    ],
)
def test_a_statement_returns_the_parts_that_it_modified(
    several: Engine, change: str, old: list[dict[str, Any]], new: list[dict[str, Any]]
) -> None:
    # partiql/executeStatement
    whole = {**item(pk="p", sk="s"), "tags": LIST, "profile": {"M": item(sub="old", other="kept")}}
    for moment, returned in (("OLD", old), ("NEW", new)):
        put(several, "several", whole)
        statement = f"UPDATE several {change} WHERE pk = 'p' AND sk = 's' RETURNING MODIFIED {moment} *"
        assert several.execute("ExecuteStatement", {"Statement": statement})["Items"] == returned


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"S": "leaf"}
    for _ in range(levels):
        value = {"M": {"n": value}}
    return value


OLDER_ENUM = f"{ENVELOPE}Value '{{}}' at '{{}}' failed to satisfy constraint: Member must satisfy enum value set: {{}}"
UNKNOWN_RETURNED = OLDER_ENUM.format("BOGUS", "returnValues", "[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]")
NOT_RETURNED = "ReturnValues can only be ALL_OLD or NONE"


@pytest.mark.parametrize(
    ("operation", "members", "older", "newer"),
    [
        (
            "PutItem",
            {"Item": item(pk="a"), "Expected": {"a": {"Value": deep(100)}}, "ConditionalOperator": "XOR"},
            OLDER_ENUM.format("XOR", "conditionalOperator", "[OR, AND]"),
            f"{ENVELOPE}Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]",
        ),
        (
            "DeleteItem",
            {"Key": {"pk": deep(63)}, "ReturnValues": "BOGUS"},
            UNKNOWN_RETURNED,
            f"{ENVELOPE}Failed to satisfy constraint: Member must satisfy enum value set: "
            "[ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]",
        ),
        (
            "DeleteItem",
            {"Key": {"pk": deep(100)}, "ReturnValues": "UPDATED_NEW"},
            NOT_RETURNED,
            ENVELOPE + NOT_RETURNED,
        ),
    ],
)
def test_the_older_layer_reads_a_write_that_nests_deeply(
    several: Engine, operation: str, members: dict[str, Any], older: str, newer: str
) -> None:
    # validation-ordering/deepRequests
    assert refusal(several, operation, {"TableName": "absent", **members}) == older
    shallower = {name: value for name, value in members.items() if name != "Expected"}
    if "Key" in shallower:
        shallower["Key"] = {"pk": deep(NEWER_NESTING_MAX - 22)}
    assert refusal(several, operation, {"TableName": "absent", **shallower}) == newer


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (
            {"Put": {"Item": {**item(pk="a"), "m": {"M": {"": {"S": "x"}}}, "d": deep(40)}}},
            "Nesting Levels have exceeded supported limits: "
            "Attributes in the item have nested levels beyond supported limit",
        ),
        ({"Put": {"Item": {**item(pk="a"), "m": {"M": {"": {"S": "x"}}}, "d": {"N": "1"}}}}, "Empty attribute name"),
        ({"Put": {"Item": {**item(pk="a"), "": {"S": "x"}, "d": deep(100)}}}, "Empty attribute name"),
        (
            {"Update": {"Key": item(pk="a"), "UpdateExpression": f"SET a = {'b' * 4096}"}},
            "Invalid UpdateExpression: Expression size has exceeded the maximum allowed size;",
        ),
    ],
)
def test_the_first_fault_of_an_action(several: Engine, action: dict[str, Any], text: str) -> None:
    # validation-ordering/deepRequests
    ((kind, request),) = action.items()
    transaction = {"TransactItems": [{kind: {"TableName": "absent", **request}}]}
    assert refusal(several, "TransactWriteItems", transaction) == text
