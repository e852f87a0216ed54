"""No request nests so deep that the engine fails: what is too deep is answered with 400.

Every kind of expression and statement, and every member of a request that holds values, is tried with each form of
nesting that its grammar has. The calls begin deep in the stack, as they may inside an application.
"""

from collections.abc import Callable
from typing import Any

import pytest

from bursar.dynamo import DynamoError, Engine
from tests.support.dynamo.tables import item, put, refusal, table

DEPTHS = (33, 60, 150, 180, 300, 680, 1_000, 2_000, 10_000)
CALLER_FRAMES = 200
"""Python functions of the application above the engine."""
KEY = item(pk="a", sk="1")
VALUES = {":v": {"S": "x"}}

Form = Callable[[int], str]


def around(opening: str, inner: str, closing: str = "") -> Form:
    return lambda depth: opening * depth + inner + closing * depth


def with_literals(form: Form) -> Form:
    return lambda depth: form(depth).replace(":v", "'x'")


CONDITIONS: dict[str, Form] = {
    "parentheses": around("(", "a=:v", ")"),
    "NOT": around("NOT ", "a=:v"),
    "NOT in parentheses": around("(NOT ", "a=:v", ")"),
    "NOT (": around("NOT (", "a=:v", ")"),
    "AND to the right": around("(a=:v AND ", "a=:v", ")"),
    "AND and OR to the right": around("(a=:v AND (a=:v OR ", "a=:v", "))"),
    "OR and AND to the left": lambda depth: "(" * 2 * depth + "a=:v" + " OR a=:v) AND a=:v)" * depth,
    "functions": around("size(", "a", ")"),
    "functions compared": lambda depth: "size(" * depth + "a" + ")" * depth + " = :v",
    "unknown functions": around("f(", "a", ")"),
    "parentheses around an operand": lambda depth: "a = " + "(" * depth + ":v" + ")" * depth,
    "parentheses in IN": lambda depth: "a IN (" + "(" * depth + ":v" + ")" * depth + ")",
    "parentheses in BETWEEN": lambda depth: "a BETWEEN " + "(" * depth + ":v" + ")" * depth + " AND :v",
    "a path of names": lambda depth: "a" + ".a" * depth + " = :v",
    "a path of indexes": lambda depth: "a" + "[0]" * depth + " = :v",
    "a chain": lambda depth: "a=:v" + " AND a=:v" * depth,
    "an open end": lambda depth: "(" * depth,
    "a function without an end": lambda depth: "size(" * depth,
    "closed too often": lambda depth: "a=:v" + ")" * depth,
}
NEW_VALUES: dict[str, Form] = {
    "parentheses": around("(", ":v", ")"),
    "if_not_exists": around("if_not_exists(a,", ":v", ")"),
    "if_not_exists of a path": lambda depth: "if_not_exists(" * depth + "a" + ",:v)" * depth,
    "list_append": around("list_append(a,", ":v", ")"),
    "unknown functions": around("f(", "a", ")"),
    "sums": lambda depth: "a" + " + a" * depth,
    "sums in parentheses": lambda depth: "(" * depth + "a" + " + a)" * depth,
    "sums in parentheses to the right": around("a + (", "a", ")"),
    "a path of names": lambda depth: "a" + ".a" * depth,
    "a path of indexes": lambda depth: "a" + "[0]" * depth,
    "an open end": lambda depth: "(" * depth,
}
WHERE: dict[str, Form] = {
    **{name: with_literals(form) for name, form in CONDITIONS.items()},
    "lists": around("a = [", "1", "]"),
    "lists of one value": lambda depth: "a = " + "[" * depth + "1" + "]" * depth,
    "sets": lambda depth: "a = " + "<<" * depth + "1" + ">>" * depth,
    "maps": lambda depth: "a = " + "{'a':" * depth + "1" + "}" * depth,
    "signs": lambda depth: "a = " + "- " * depth + "1",
    "sums": lambda depth: "a = 1" + "+1" * depth,
    "products": lambda depth: "a = 1" + "*1" * depth,
    "concatenations": lambda depth: "a = 'x'" + "||'x'" * depth,
    "comparisons": lambda depth: "a" + "=1" * depth,
    "IS MISSING": lambda depth: "a" + " IS MISSING" * depth,
    "IS NOT MISSING": lambda depth: "a" + " IS NOT MISSING" * depth,
    "IN": lambda depth: "a" + " IN (1)" * depth,
    "NOT IN": lambda depth: "a" + " NOT IN [1]" * depth,
    "BETWEEN": lambda depth: "a" + " BETWEEN 1 AND 2" * depth,
    "OR": lambda depth: "a=1" + " OR a=1" * depth,
    "keys by OR": lambda depth: "pk='a'" + " OR pk='a'" * depth,
    "OR of AND": lambda depth: "a=1" + " AND a=1 OR a=1" * depth,
}
ASSIGNED: dict[str, Form] = {
    "sums": lambda depth: "a" + "+1" * depth,
    "sums in parentheses": lambda depth: "(" * depth + "a" + "+1)" * depth,
    "signs": around("-", "1"),
    "functions": around("if_not_exists(a,", "1", ")"),
    "set_add": around("set_add(a,", "1", ")"),
    "lists": around("[", "1", "]"),
    "maps": around("{'a':", "1", "}"),
    "conditions": around("NOT ", "a"),
    "comparisons": lambda depth: "a" + "=1" * depth,
}


def condition(member: str, operation: str, **more: Any) -> Callable[[str], tuple[str, dict[str, Any]]]:
    def made(text: str) -> tuple[str, dict[str, Any]]:
        return operation, {"TableName": "orders", member: text, "ExpressionAttributeValues": VALUES, **more}

    return made


def in_transaction(text: str) -> tuple[str, dict[str, Any]]:
    check = condition("ConditionExpression", "", Key=KEY)(text)[1]
    return "TransactWriteItems", {"TransactItems": [{"ConditionCheck": check}]}


def statement(form: str, operation: str = "ExecuteStatement") -> Callable[[str], tuple[str, dict[str, Any]]]:
    members = {"ExecuteTransaction": "TransactStatements", "BatchExecuteStatement": "Statements"}

    def made(text: str) -> tuple[str, dict[str, Any]]:
        one = {"Statement": form.replace("{}", text)}
        return operation, {members[operation]: [one]} if operation in members else one

    return made


def projection(text: str) -> tuple[str, dict[str, Any]]:
    return "GetItem", {"TableName": "orders", "Key": KEY, "ProjectionExpression": text}


UPDATE = "UPDATE orders SET {} WHERE pk = 'a' AND sk = '1'"
OPERATIONS: list[tuple[Callable[[str], tuple[str, dict[str, Any]]], dict[str, Form]]] = [
    (condition("ConditionExpression", "PutItem", Item=KEY), CONDITIONS),
    (condition("ConditionExpression", "DeleteItem", Key=KEY), CONDITIONS),
    (condition("FilterExpression", "Scan"), CONDITIONS),
    (condition("KeyConditionExpression", "Query"), CONDITIONS),
    (in_transaction, CONDITIONS),
    (lambda text: condition("UpdateExpression", "UpdateItem", Key=KEY)(f"SET b = {text}"), NEW_VALUES),
    (lambda text: condition("UpdateExpression", "UpdateItem", Key=KEY)(f"SET {text} = :v"), NEW_VALUES),
    (lambda text: condition("UpdateExpression", "UpdateItem", Key=KEY)(f"REMOVE {text}"), NEW_VALUES),
    (lambda text: condition("UpdateExpression", "UpdateItem", Key=KEY)(f"ADD b {text}"), NEW_VALUES),
    (projection, NEW_VALUES),
    (statement("SELECT * FROM orders WHERE {}"), WHERE),
    (statement("SELECT * FROM orders WHERE pk = 'a' AND {}"), WHERE),
    (statement("DELETE FROM orders WHERE pk = 'a' AND sk = '1' AND {}"), WHERE),
    (statement("EXISTS (SELECT * FROM orders WHERE pk = 'a' AND sk = '1' AND {})", "ExecuteTransaction"), WHERE),
    (statement("SELECT {} FROM orders"), WHERE),
    (statement(UPDATE.replace("SET {}", "SET b = {}")), ASSIGNED),
    (statement(UPDATE.replace("SET {}", "SET b = {}")), WHERE),
    (statement("INSERT INTO orders VALUE {'pk': 'b', 'sk': '1', 'b': {}}"), ASSIGNED),
    (statement("UPDATE orders SET b = 1 WHERE pk = 'a' AND sk = '1' AND {}", "BatchExecuteStatement"), WHERE),
]


@pytest.fixture(scope="module")
def orders() -> Engine:
    engine = Engine.open(":memory:")
    engine.execute("CreateTable", table())
    put(engine, "orders", KEY | item(a="x"))
    return engine


def answered(engine: Engine, operation: str, request: dict[str, Any], frames: int = CALLER_FRAMES) -> int:
    """Return the HTTP status of the answer to a caller with so many frames above it."""
    if frames:
        return answered(engine, operation, request, frames - 1)
    try:
        engine.execute(operation, request)
    except DynamoError as error:
        return error.http_status
    return 200


@pytest.mark.parametrize(("make", "forms"), OPERATIONS)
def test_no_nesting_of_an_expression_is_a_500(
    orders: Engine, make: Callable[[str], tuple[str, dict[str, Any]]], forms: dict[str, Form]
) -> None:
    for name, form in forms.items():
        answers = {depth: answered(orders, *make(form(depth))) for depth in DEPTHS}
        assert set(answers.values()) <= {200, 400}, (name, answers)
        assert answers[10_000] == 400, name


def test_a_condition_of_300_operators_holds_and_of_301_is_refused_in_amazons_words(orders: Engine) -> None:
    put(orders, "orders", KEY | item(a="x"))
    request = {"TableName": "orders", "FilterExpression": "NOT " * 299 + "a<>:v", "ExpressionAttributeValues": VALUES}
    assert orders.execute("Scan", request)["Count"] == 1
    for operators in (301, 1_000):
        request["FilterExpression"] = "NOT " * (operators - 1) + "a=:v"
        assert refusal(orders, "Scan", request) == (
            "Invalid FilterExpression: The expression contains too many operators; operator count: 301"
        )


def nested(depth: int, kind: str) -> Any:
    value: Any = {"S": "x"}
    for _ in range(depth):
        value = {"L": [value]} if kind == "L" else {"M": {"a": value}} if kind == "M" else [value]
    return value


MEMBERS: dict[str, Callable[[Any], tuple[str, dict[str, Any]]]] = {
    "Item": lambda value: ("PutItem", {"TableName": "orders", "Item": KEY | {"a": value}}),
    "Key": lambda value: ("GetItem", {"TableName": "orders", "Key": {"pk": value, "sk": {"S": "1"}}}),
    "a value": lambda value: (
        "Scan",
        {"TableName": "orders", "FilterExpression": "a = :v", "ExpressionAttributeValues": {":v": value}},
    ),
    "a name": lambda value: (
        "Scan",
        {"TableName": "orders", "FilterExpression": "#a = #a", "ExpressionAttributeNames": {"#a": value}},
    ),
    "an expression": lambda value: ("Scan", {"TableName": "orders", "FilterExpression": value}),
    "TableName": lambda value: ("Scan", {"TableName": value}),
    "a new value": lambda value: (
        "UpdateItem",
        {
            "TableName": "orders",
            "Key": KEY,
            "UpdateExpression": "SET b = :v",
            "ExpressionAttributeValues": {":v": value},
        },
    ),
    "AttributeUpdates": lambda value: (
        "UpdateItem",
        {"TableName": "orders", "Key": KEY, "AttributeUpdates": {"b": {"Value": value}}},
    ),
    "Expected": lambda value: (
        "DeleteItem",
        {"TableName": "orders", "Key": KEY, "Expected": {"a": {"Value": value}}},
    ),
    "ScanFilter": lambda value: (
        "Scan",
        {"TableName": "orders", "ScanFilter": {"a": {"ComparisonOperator": "EQ", "AttributeValueList": [value]}}},
    ),
    "KeyConditions": lambda value: (
        "Query",
        {"TableName": "orders", "KeyConditions": {"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [value]}}},
    ),
    "ConditionalOperator": lambda value: (
        "Scan",
        {"TableName": "orders", "ScanFilter": {}, "ConditionalOperator": value},
    ),
    "Parameters": lambda value: (
        "ExecuteStatement",
        {"Statement": "SELECT * FROM orders WHERE a = ?", "Parameters": [value]},
    ),
    "RequestItems": lambda value: (
        "BatchWriteItem",
        {"RequestItems": {"orders": [{"PutRequest": {"Item": KEY | {"a": value}}}]}},
    ),
    "TransactItems": lambda value: (
        "TransactWriteItems",
        {
            "TransactItems": [{"Put": {"TableName": "orders", "Item": KEY | {"a": value}}}],
            "ClientRequestToken": "one",
        },
    ),
    "AttributeDefinitions": lambda value: ("UpdateTable", {"TableName": "orders", "AttributeDefinitions": value}),
}


@pytest.mark.parametrize("kind", ["L", "M", "no type"])
@pytest.mark.parametrize("member", MEMBERS)
def test_no_nesting_of_a_value_is_a_500(orders: Engine, member: str, kind: str) -> None:
    for depth in (32, 33, 300, 10_000):
        assert answered(orders, *MEMBERS[member](nested(depth, kind))) == 400, depth
