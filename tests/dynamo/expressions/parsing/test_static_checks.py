"""Expressions that are invalid for all names and values, and the order of their errors."""

import pytest

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.expressions import parse_condition, parse_projection, parse_update

PARENTHESES = "The expression has redundant parentheses;"


def reserved(word: str) -> str:
    return f"Attribute name is a reserved keyword; reserved keyword: {word}"


def misused(function: str) -> str:
    return f"The function is not allowed to be used this way in an expression; function: {function}"


def unknown(function: str) -> str:
    return f"Invalid function name; function: {function}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("((a = b))", PARENTHESES),
        ("((a)) = b", PARENTHESES),
        ("a = ((b))", PARENTHESES),
        ("not((a = b))", PARENTHESES),
        ("size(((a))) = b", PARENTHESES),
        ("a IN (((b)))", PARENTHESES),
        ("name = :zz", reserved("name")),
        ("a.StAtUs = :zz", reserved("StAtUs")),
        ("foo(a)", unknown("foo")),
        ("ATTRIBUTE_EXISTS(a)", unknown("ATTRIBUTE_EXISTS")),
        ("if_not_exists(a, b)", "The function is not allowed in a condition expression; function: if_not_exists"),
        ("list_append(a, b) = c", "The function is not allowed in a condition expression; function: list_append"),
        ("size(a)", misused("size")),
        ("NOT size(a)", misused("size")),
        ("a = b AND size(a)", misused("size")),
        ("attribute_exists(a) = b", misused("attribute_exists")),
        ("attribute_exists(attribute_exists(name))", misused("attribute_exists")),
        ("a IN (b, contains(c, d))", misused("contains")),
        # In reading order, a function before its operands, parentheses before everything else.
        ("size(x) AND name = b", misused("size")),
        ("name = b AND size(x)", reserved("name")),
        ("foo(name)", unknown("foo")),
        ("attribute_exists(a) = b AND foo(x)", misused("attribute_exists")),
        ("foo(x) AND name = b AND ((a = b))", PARENTHESES),
    ],
)
def test_conditions(text: str, problem: str) -> None:
    for kind in ("ConditionExpression", "FilterExpression"):
        with pytest.raises(DynamoError) as refusal:
            parse_condition(text, kind=kind)
        assert refusal.value.message == f"Invalid {kind}: {problem}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("SET a = ((b))", PARENTHESES),
        ("SET a = ((b + c))", PARENTHESES),
        ("SET a = ((b)) + c", PARENTHESES),
        ("SET name = ((b))", PARENTHESES),
        ("SET status = :v", reserved("status")),
        ("SET a = f(name)", unknown("f")),
        ("SET a = LIST_APPEND(b, c)", unknown("LIST_APPEND")),
        ("SET a = size(b)", "The function is not allowed in an update expression; function: size"),
        ("SET a = list_append(list_append(a, b), name)", misused("list_append")),
        ("SET a = b + list_append(a, b)", misused("list_append")),
        ("SET a = :v SET b = :v", 'The "SET" section can only be used once in an update expression;'),
        (
            "REMOVE a SET b = :v REMOVE c SET d = :v",
            'The "REMOVE" section can only be used once in an update expression;',
        ),
        ("SET a = f(x) SET b = :v", unknown("f")),
        ("SET a = :v SET name = :v", reserved("name")),
    ],
)
def test_updates(text: str, problem: str) -> None:
    with pytest.raises(DynamoError) as refusal:
        parse_update(text)
    assert refusal.value.message == f"Invalid UpdateExpression: {problem}"


def test_projections() -> None:
    with pytest.raises(DynamoError) as refusal:
        parse_projection("a, a, b.name, status")
    assert refusal.value.message == f"Invalid ProjectionExpression: {reserved('name')}"


@pytest.mark.parametrize("text", ["(a = b OR (c = d))", "NOT (NOT (a = b))", "(a) = (b)", "((a = b) AND c = d)"])
def test_parentheses_that_are_not_redundant(text: str) -> None:
    parse_condition(text)
