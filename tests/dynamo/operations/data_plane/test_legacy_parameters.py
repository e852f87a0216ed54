"""Legacy parameters: each equals its expression, and has Amazon's errors where expressions have none."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import DynamoError, Engine
from bursar.dynamo.errors import ENVELOPE
from tests.support.dynamo.tables import item, put, refusal, table
from tests.support.dynamo.value_strategies import items as any_items
from tests.support.dynamo.value_strategies import scalars
from tests.support.hypothesis_profiles import examples

KEY = item(pk="k")
ITEM = item(pk="k", d="one", n=5, ss={"SS": ["a", "b"]}, m={"M": {"x": {"N": "1"}}}, nul={"NULL": True})
PREFIX = "One or more parameter values were invalid: "

Condition = Mapping[str, Any]


def condition(operator: str, *operands: dict[str, Any]) -> dict[str, Any]:
    return {"ComparisonOperator": operator, "AttributeValueList": list(operands)}


@pytest.fixture
def plain(engine: Engine) -> Engine:
    engine.execute("CreateTable", table("plain", ("pk:S",)))
    put(engine, "plain", ITEM)
    return engine


@pytest.fixture
def orders(engine: Engine) -> Engine:
    engine.execute("CreateTable", table(key=("pk:S", "sk:N"), global_indexes={"by-d": ("d:S", "sk:N")}))
    put(engine, "orders", *(item(pk="a", sk=n, d=f"d{n % 2}", t=f"t{n}") for n in range(6)), item(pk="b", sk=1))
    return engine


# --- Expected -------------------------------------------------------------------------------------------------------

HELD: list[Condition] = [
    {"d": {"Value": {"S": "one"}}},
    {"d": {"Value": {"S": "one"}, "Exists": True}},
    {"zz": {"Exists": False}},
    {"d": condition("EQ", {"S": "one"})},
    {"d": {"ComparisonOperator": "GE", "Value": {"S": "one"}}},
    {"d": condition("NE", {"N": "1"})},
    {"zz": condition("NE", {"S": "one"})},
    {"d": condition("LT", {"S": "p"}), "n": condition("LE", {"N": "5.0"})},
    {"n": condition("GT", {"N": "4"})},
    {"d": condition("BETWEEN", {"S": "a"}, {"S": "z"})},
    {"d": condition("IN", {"S": "two"}, {"S": "one"})},
    {"d": condition("BEGINS_WITH", {"S": "on"})},
    {"d": condition("CONTAINS", {"S": "n"})},
    {"ss": condition("CONTAINS", {"S": "b"})},
    {"ss": condition("NOT_CONTAINS", {"S": "c"})},
    {"n": condition("NOT_CONTAINS", {"S": "c"})},
    {"nul": condition("NOT_NULL")},
    {"zz": {"ComparisonOperator": "NULL"}},
    {},
]
FAILED: list[Condition] = [
    {"d": {"Value": {"S": "two"}}},
    {"d": {"Exists": False}},
    {"zz": {"Value": {"S": "one"}}},
    {"d": condition("EQ", {"L": []})},
    {"d": condition("GE", {"N": "1"})},
    {"zz": condition("NOT_CONTAINS", {"S": "x"})},
    {"nul": condition("NULL")},
    {"d": condition("EQ", {"S": "one"}), "n": condition("EQ", {"N": "6"})},
]


@pytest.mark.parametrize("expected", HELD, ids=str)
def test_an_expectation_that_holds_lets_the_write_pass(plain: Engine, expected: Condition) -> None:
    assert plain.execute("DeleteItem", {"TableName": "plain", "Key": KEY, "Expected": expected}) == {}
    assert plain.execute("GetItem", {"TableName": "plain", "Key": KEY}) == {}


@pytest.mark.parametrize("expected", FAILED, ids=str)
def test_a_failed_expectation_rejects_the_write_and_returns_the_item_on_request(
    plain: Engine, expected: Condition
) -> None:
    request = {
        "TableName": "plain",
        "Item": item(pk="k", d="new"),
        "Expected": expected,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    with pytest.raises(DynamoError) as refused:
        plain.execute("PutItem", request)
    assert (refused.value.code, refused.value.item) == ("ConditionalCheckFailedException", ITEM)


def test_conditional_operator_or_needs_one_of_them(plain: Engine) -> None:
    expected = {"d": {"Value": {"S": "no"}}, "n": {"Value": {"N": "5"}}}
    request = {"TableName": "plain", "Item": ITEM, "Expected": expected}
    assert refusal(plain, "PutItem", request, "ConditionalCheckFailedException")
    assert plain.execute("PutItem", {**request, "ConditionalOperator": "OR"}) == {}


ENUM = "[IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS]"
REFUSED: list[tuple[Condition, str]] = [
    ({"Value": {"S": "x"}, "Exists": False}, PREFIX + "Value cannot be used when Exists is false for Attribute: d"),
    ({"Exists": True}, PREFIX + "Value must be provided when Exists is true for Attribute: d"),
    ({}, PREFIX + "Value must be provided when Exists is null for Attribute: d"),
    (
        {**condition("EQ", {"S": "x"}), "Exists": True},
        PREFIX + "Exists and ComparisonOperator cannot be used together for Attribute: d",
    ),
    (
        {**condition("EQ", {"S": "x"}), "Value": {"S": "x"}},
        PREFIX + "Value and AttributeValueList cannot be used together for Attribute: d",
    ),
    (
        {"ComparisonOperator": "EQ"},
        PREFIX + "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: d",
    ),
    (
        {"AttributeValueList": [{"S": "x"}]},
        PREFIX + "AttributeValueList can only be used with a ComparisonOperator for Attribute: d",
    ),
    (condition("EQ", {"S": "a"}, {"S": "b"}), PREFIX + "Invalid number of argument(s) for the EQ ComparisonOperator"),
    (condition("NULL", {"S": "a"}), PREFIX + "Invalid number of argument(s) for the NULL ComparisonOperator"),
    (condition("BETWEEN", {"S": "a"}), PREFIX + "Invalid number of argument(s) for the BETWEEN ComparisonOperator"),
    (condition("IN"), PREFIX + "Invalid number of argument(s) for the IN ComparisonOperator"),
    (condition("LT", {"SS": ["a"]}), PREFIX + "ComparisonOperator LT is not valid for SS AttributeValue type"),
    (condition("IN", {"BOOL": True}), PREFIX + "ComparisonOperator IN is not valid for BOOL AttributeValue type"),
    (
        condition("BEGINS_WITH", {"N": "1"}),
        PREFIX + "ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type",
    ),
    (condition("CONTAINS", {"M": {}}), PREFIX + "ComparisonOperator CONTAINS is not valid for M AttributeValue type"),
    (
        condition("IN", {"S": "a"}, {"N": "1"}),
        PREFIX + "AttributeValues inside AttributeValueList must be of same type",
    ),
    (
        condition("BETWEEN", {"N": "10"}, {"N": "9"}),
        "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
    ),
    ({"Value": {"SS": []}}, PREFIX + "An string set  may not be empty"),
    (
        condition("XX", {"S": "a"}),
        "1 validation error detected: Value 'XX' at 'expected.d.member.comparisonOperator' failed to satisfy "
        f"constraint: Member must satisfy enum value set: {ENUM}",
    ),
]


@pytest.mark.parametrize(("expectation", "message"), REFUSED, ids=str)
def test_a_malformed_expectation_is_refused_in_amazons_words(
    plain: Engine, expectation: Condition, message: str
) -> None:
    request = {"TableName": "plain", "Item": ITEM, "Expected": {"d": expectation}}
    assert refusal(plain, "PutItem", request) == ENVELOPE + message.removeprefix(ENVELOPE)


# --- combinations of parameters -------------------------------------------------------------------------------------

MIXTURES: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "PutItem",
        {"Item": ITEM, "Expected": {}, "ConditionalOperator": "AND", "ConditionExpression": "a"},
        "Expected, ConditionalOperator",
        "ConditionExpression",
    ),
    (
        "UpdateItem",
        {"Key": KEY, "AttributeUpdates": {}, "Expected": {}, "ConditionExpression": "a", "UpdateExpression": "b"},
        "AttributeUpdates, Expected",
        "UpdateExpression, ConditionExpression",
    ),
    (
        "Query",
        {"KeyConditions": {}, "KeyConditionExpression": "a", "AttributesToGet": ["b"], "QueryFilter": {}},
        "AttributesToGet, QueryFilter, KeyConditions",
        "KeyConditionExpression",
    ),
    (
        "Query",
        {"KeyConditions": {}, "FilterExpression": "a", "ConditionalOperator": "OR"},
        "ConditionalOperator",
        "FilterExpression",
    ),
    ("Scan", {"ScanFilter": {}, "ProjectionExpression": "a"}, "ScanFilter", "ProjectionExpression"),
    (
        "GetItem",
        {"Key": KEY, "AttributesToGet": ["a"], "ProjectionExpression": "a"},
        "AttributesToGet",
        "ProjectionExpression",
    ),
]


@pytest.mark.parametrize(("operation", "request_part", "legacy", "expressions"), MIXTURES)
def test_legacy_parameters_and_expressions_do_not_mix(
    plain: Engine, operation: str, request_part: dict[str, Any], legacy: str, expressions: str
) -> None:
    envelope = ENVELOPE if operation in ("PutItem", "UpdateItem") else ""
    assert refusal(plain, operation, {"TableName": "plain", **request_part}) == (
        f"{envelope}Can not use both expression and non-expression parameters in the same request: "
        f"Non-expression parameters: {{{legacy}}} Expression parameters: {{{expressions}}}"
    )


@pytest.mark.parametrize(
    ("request_part", "message"),
    [
        ({}, "ConditionalOperator cannot be used without Filter or Expected"),
        ({"Expected": {}}, "ConditionalOperator cannot be used without Filter or Expected"),
        (
            {"Expected": {"d": {"Exists": False}}},
            "ConditionalOperator can only be used when Filter or Expected has two or more elements",
        ),
    ],
)
def test_a_conditional_operator_needs_something_to_join(
    plain: Engine, request_part: dict[str, Any], message: str
) -> None:
    request = {"TableName": "plain", "Item": ITEM, "ConditionalOperator": "AND", **request_part}
    assert refusal(plain, "PutItem", request) == ENVELOPE + message


# --- AttributeUpdates -----------------------------------------------------------------------------------------------

UPDATES: list[tuple[str, dict[str, Any], dict[str, Any] | None]] = [
    ("d", {"Value": {"S": "two"}}, {"S": "two"}),
    ("d", {"Value": {"N": "2.0"}, "Action": "PUT"}, {"N": "2"}),
    ("d", {"Action": "DELETE"}, None),
    ("n", {"Value": {"N": "1"}, "Action": "ADD"}, {"N": "6"}),
    ("new", {"Value": {"N": "1"}, "Action": "ADD"}, {"N": "1"}),
    ("ss", {"Value": {"SS": ["b", "c"]}, "Action": "ADD"}, {"SS": ["a", "b", "c"]}),
    ("ss", {"Value": {"SS": ["b", "c"]}, "Action": "DELETE"}, {"SS": ["a"]}),
    ("ss", {"Value": {"SS": ["b", "a"]}, "Action": "DELETE"}, None),
    ("new", {"Value": {"SS": ["b"]}, "Action": "DELETE"}, None),
    ("l", {"Value": {"L": [{"S": "x"}]}, "Action": "ADD"}, {"L": [{"S": "x"}]}),
]


@pytest.mark.parametrize(("name", "update", "after"), UPDATES, ids=str)
def test_attribute_updates_apply_their_actions(
    plain: Engine, name: str, update: dict[str, Any], after: dict[str, Any] | None
) -> None:
    request = {"TableName": "plain", "Key": KEY, "AttributeUpdates": {name: update}, "ReturnValues": "ALL_NEW"}
    assert plain.execute("UpdateItem", request)["Attributes"].get(name) == after


def test_an_add_appends_to_a_list(plain: Engine) -> None:
    add = {"l": {"Value": {"L": [{"N": "1"}]}, "Action": "ADD"}}
    request = {"TableName": "plain", "Key": KEY, "AttributeUpdates": add, "ReturnValues": "UPDATED_NEW"}
    plain.execute("UpdateItem", request)
    assert plain.execute("UpdateItem", request)["Attributes"] == {"l": {"L": [{"N": "1"}, {"N": "1"}]}}


def test_updates_of_a_missing_item_make_it_unless_they_only_remove(plain: Engine) -> None:
    key = {"TableName": "plain", "Key": item(pk="new")}
    delete, delete_members = {"Action": "DELETE"}, {"Action": "DELETE", "Value": {"SS": ["x"]}}
    for updates in ({"a": delete}, {"a": delete_members}, {"a": delete, "b": delete_members}):
        request = {**key, "AttributeUpdates": updates, "ReturnValues": "ALL_NEW"}
        assert plain.execute("UpdateItem", request) == {}
        assert plain.execute("GetItem", key) == {}
    request = {**key, "AttributeUpdates": {"a": delete, "b": {"Value": {"S": "x"}}}, "ReturnValues": "ALL_NEW"}
    assert plain.execute("UpdateItem", request) == {"Attributes": item(pk="new", b="x")}


def test_no_attribute_updates_at_all_make_the_bare_item(plain: Engine) -> None:
    key = {"TableName": "plain", "Key": item(pk="new")}
    plain.execute("UpdateItem", {**key, "AttributeUpdates": {}})
    assert plain.execute("GetItem", key) == {"Item": item(pk="new")}


REFUSED_UPDATES: list[tuple[str, dict[str, Any], str]] = [
    ("a", {}, PREFIX + "Only DELETE action is allowed when no attribute value is specified"),
    ("a", {"Action": "ADD"}, PREFIX + "Only DELETE action is allowed when no attribute value is specified"),
    ("a", {"Value": {"S": "x"}, "Action": "ADD"}, PREFIX + "ADD action is not supported for the type STRING"),
    ("a", {"Value": {"M": {}}, "Action": "ADD"}, PREFIX + "ADD action is not supported for the type MAP"),
    (
        "a",
        {"Value": {"L": []}, "Action": "DELETE"},
        PREFIX + "DELETE action with value is not supported for the type LIST",
    ),
    ("n", {"Value": {"NS": ["1"]}, "Action": "ADD"}, "Type mismatch for attribute to update"),
    ("ss", {"Value": {"NS": ["1"]}, "Action": "DELETE"}, "Type mismatch for attribute to update"),
    ("pk", {"Action": "DELETE"}, PREFIX + "Cannot update attribute pk. This attribute is part of the key"),
    ("", {"Action": "DELETE"}, "Empty attribute name"),
    (
        "a",
        {"Action": "XX"},
        "1 validation error detected: Value 'XX' at 'attributeUpdates.a.member.action' failed to satisfy constraint: "
        "Member must satisfy enum value set: [ADD, PUT, DELETE]",
    ),
]


@pytest.mark.parametrize(("name", "update", "message"), REFUSED_UPDATES, ids=str)
def test_a_malformed_update_is_refused_in_amazons_words(
    plain: Engine, name: str, update: dict[str, Any], message: str
) -> None:
    request = {"TableName": "plain", "Key": KEY, "AttributeUpdates": {name: update}}
    shown_by_the_table = "part of the key" in message or message == "Type mismatch for attribute to update"
    expected = message if shown_by_the_table else ENVELOPE + message.removeprefix(ENVELOPE)
    assert refusal(plain, "UpdateItem", request) == expected


# --- Query, Scan and AttributesToGet --------------------------------------------------------------------------------


def sort_keys(response: dict[str, Any]) -> list[int]:
    return [int(one["sk"]["N"]) for one in response["Items"]]


KEY_RANGES: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [0, 1, 2, 3, 4, 5]),
    ({"sk": condition("EQ", {"N": "3"})}, [3]),
    ({"sk": condition("LT", {"N": "2"})}, [0, 1]),
    ({"sk": condition("LE", {"N": "2"})}, [0, 1, 2]),
    ({"sk": condition("GT", {"N": "3"})}, [4, 5]),
    ({"sk": condition("GE", {"N": "3"})}, [3, 4, 5]),
    ({"sk": condition("BETWEEN", {"N": "2"}, {"N": "3"})}, [2, 3]),
]


@pytest.mark.parametrize(("sort_condition", "found"), KEY_RANGES, ids=str)
def test_key_conditions_choose_a_range(orders: Engine, sort_condition: dict[str, Any], found: list[int]) -> None:
    keys = {"pk": condition("EQ", {"S": "a"}), **sort_condition}
    assert sort_keys(orders.execute("Query", {"TableName": "orders", "KeyConditions": keys})) == found


def test_key_conditions_go_with_an_index_a_filter_a_projection_and_a_direction(orders: Engine) -> None:
    request = {
        "TableName": "orders",
        "IndexName": "by-d",
        "KeyConditions": {"d": condition("EQ", {"S": "d1"})},
        "QueryFilter": {"t": condition("GT", {"S": "t1"}), "pk": condition("EQ", {"S": "a"})},
        "AttributesToGet": ["t", "none"],
        "ScanIndexForward": False,
    }
    response = orders.execute("Query", request)
    assert response == {"Items": [item(t="t5"), item(t="t3")], "Count": 2, "ScannedCount": 3}


def test_key_conditions_go_with_a_filter_expression(orders: Engine) -> None:
    request = {
        "TableName": "orders",
        "KeyConditions": {"pk": condition("EQ", {"S": "a"})},
        "FilterExpression": "t = :t",
        "ExpressionAttributeValues": {":t": {"S": "t4"}},
    }
    assert sort_keys(orders.execute("Query", request)) == [4]


PK = condition("EQ", {"S": "a"})
REFUSED_QUERIES: list[tuple[dict[str, Any], str]] = [
    ({}, "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."),
    ({"KeyConditions": {}}, "Conditions can be of length 1 or 2 only"),
    ({"KeyConditions": {"sk": condition("EQ", {"N": "1"})}}, "Query condition missed key schema element: pk"),
    ({"KeyConditions": {"pk": condition("GT", {"S": "a"})}}, "Query key condition not supported"),
    (
        {"KeyConditions": {"pk": PK, "sk": condition("NE", {"N": "1"})}},
        "Attempted conditional constraint is not an indexable operation",
    ),
    (
        {"KeyConditions": {"pk": PK, "sk": condition("EQ", {"S": "1"})}},
        PREFIX + "Condition parameter type does not match schema type",
    ),
    (
        {"KeyConditions": {"pk": PK}, "QueryFilter": {"sk": condition("EQ", {"N": "1"})}},
        "QueryFilter can only contain non-primary key attributes: Primary key attribute: sk",
    ),
    (
        {"KeyConditions": {"pk": PK}, "ConditionalOperator": "OR"},
        "ConditionalOperator cannot be used without Filter or Expected",
    ),
    (
        {"KeyConditions": {"pk": PK}, "AttributesToGet": ["a", "b", "a"]},
        PREFIX + "Duplicate value in attribute name: a",
    ),
    (
        {"KeyConditions": {"pk": PK}, "AttributesToGet": ["a"], "Select": "COUNT"},
        "Cannot specify the AttributesToGet when choosing to get only the Count",
    ),
    (
        {"KeyConditions": {"pk": {"AttributeValueList": []}}},
        "1 validation error detected: Value null at 'keyConditions.pk.member.comparisonOperator' failed to satisfy "
        "constraint: Member must not be null",
    ),
]


@pytest.mark.parametrize(("request_part", "message"), REFUSED_QUERIES, ids=str)
def test_a_malformed_query_is_refused_in_amazons_words(
    orders: Engine, request_part: dict[str, Any], message: str
) -> None:
    assert refusal(orders, "Query", {"TableName": "orders", **request_part}) == message


def test_attributes_to_get_are_whole_attributes(plain: Engine) -> None:
    wanted = {"AttributesToGet": ["n", "m.x"]}
    assert plain.execute("GetItem", {"TableName": "plain", "Key": KEY, **wanted}) == {"Item": item(n=5)}
    batch = {"RequestItems": {"plain": {"Keys": [KEY], **wanted}}}
    assert plain.execute("BatchGetItem", batch)["Responses"] == {"plain": [item(n=5)]}


# --- the law --------------------------------------------------------------------------------------------------------

_SIGNS = {"EQ": "=", "NE": "<>", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
_FORMS = {
    **{name: f"{{n}} {sign} {{v}}" for name, sign in _SIGNS.items()},
    "NULL": "attribute_not_exists({n})",
    "NOT_NULL": "attribute_exists({n})",
    "CONTAINS": "contains({n}, {v})",
    "NOT_CONTAINS": "attribute_exists({n}) AND NOT contains({n}, {v})",
    "BEGINS_WITH": "begins_with({n}, {v})",
    "BETWEEN": "{n} BETWEEN {v} AND {v}",
    "IN": "{n} IN ({v}, {v})",
}
_OPERAND_COUNTS = {"NULL": 0, "NOT_NULL": 0, "BETWEEN": 2, "IN": 2}

legacy_conditions = st.dictionaries(
    st.sampled_from(["a", "b", "c", "n"]), st.tuples(st.sampled_from(sorted(_FORMS)), scalars), min_size=1, max_size=3
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Engine]:
    opened = Engine.open(":memory:")
    opened.execute("CreateTable", table("plain", ("pk:S",)))
    yield opened
    opened.close()


@given(held=any_items, conditions=legacy_conditions, operator=st.sampled_from(["AND", "OR"]))
@examples(150)
def test_a_legacy_filter_is_its_expression(
    shared: Engine, held: dict[str, Any], conditions: dict[str, tuple[str, dict[str, Any]]], operator: str
) -> None:
    put(shared, "plain", {**held, "pk": {"S": "k"}})
    legacy = {
        name: condition(kind, *[value] * _OPERAND_COUNTS.get(kind, 1)) for name, (kind, value) in conditions.items()
    }
    joined = {"ConditionalOperator": operator} if len(conditions) > 1 else {}
    try:
        found = shared.execute("Scan", {"TableName": "plain", "ScanFilter": legacy, **joined})
    except DynamoError as refused:
        if "is not valid for" not in refused.message:
            raise
        return
    texts = [f"({_FORMS[kind]})".format(n=f"#{name}", v=f":{name}") for name, (kind, _) in conditions.items()]
    values = {f":{name}": value for name, (kind, value) in conditions.items() if _OPERAND_COUNTS.get(kind, 1)}
    request: dict[str, Any] = {
        "TableName": "plain",
        "FilterExpression": f" {operator} ".join(texts),
        "ExpressionAttributeNames": {f"#{name}": name for name in conditions},
    }
    if values:
        request["ExpressionAttributeValues"] = values
    assert shared.execute("Scan", request) == found
