"""Precedence, parentheses, accepted spellings, and expressions nested as deep as they can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.expressions.parsing.parser import condition_tree, projection_tree, update_tree

NOT_A_PROJECTION = "Invalid ProjectionExpression: "


def shape(text: str) -> str:
    return str(condition_tree(text, "ConditionExpression"))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a = :a OR b = :b AND c = :c", "a = :a OR (b = :b AND c = :c)"),
        ("NOT a = :a AND b = :b", "(NOT a = :a) AND b = :b"),
        ("a = :a AND b = :b AND c = :c", "(a = :a AND b = :b) AND c = :c"),
        ("a BETWEEN :a AND :b AND c = :c", "(a BETWEEN :a AND :b) AND c = :c"),
        ("nOt a = :a aNd b In (:b)", "(NOT (a = :a)) AND b IN (:b)"),
        ("(a) = (:a)", "a = :a"),
        ("size ( a )=:a", "size(a) = :a"),
        ("a . b [ 0 ] = :a", "a.b[0] = :a"),
        ("attribute_exists\t(a)\r\nAND b=c", "attribute_exists(a) AND b = c"),
    ],
)
def test_two_spellings_of_one_condition(text: str, same: str) -> None:
    tree, other = condition_tree(text, "ConditionExpression"), condition_tree(same, "ConditionExpression")
    assert tree.root == other.root


def test_or_in_parentheses_binds_first() -> None:
    assert shape("(a = :a OR b = :b) AND c = :c") == "(a = :a OR b = :b) AND c = :c"
    assert shape("a = :a AND (b = :b AND c = :c)") == "a = :a AND (b = :b AND c = :c)"


@pytest.mark.parametrize("text", ["SET a = (b + :c)", "set a=(b)+(:c)", "Set a = ((b) + (:c))"])
def test_spellings_of_one_update(text: str) -> None:
    assert update_tree(text).actions == update_tree("SET a = b + :c").actions


def test_conditions_nest_as_deep_as_three_hundred_operators_allow() -> None:
    levels = 149
    tree = condition_tree("(a = b AND " * levels + "c = d" + ")" * levels, "ConditionExpression")
    assert tree.operators == 2 * levels + 1
    assert condition_tree("NOT " * 299 + "a = b", "ConditionExpression").operators == 300


def test_functions_nest_no_deeper_than_the_bound_on_operators() -> None:
    with pytest.raises(DynamoError, match="too many operators; operator count: 301"):
        condition_tree("f(" * 1000 + "a" + ")" * 1000, "ConditionExpression")
    with pytest.raises(DynamoError, match="too many operators; operator count: 301"):
        update_tree("SET a = " + "f(" * 1000 + "a" + ")" * 1000)


@given(st.text("ab=<>()[]., :#NOTANDRI0+-!\n", max_size=60))
def test_any_text_parses_or_is_refused_in_words(text: str) -> None:
    for parse in (lambda: condition_tree(text, "FilterExpression"), lambda: update_tree("SET " + text)):
        code = "ValidationException"
        try:
            parse()
        except DynamoError as refusal:
            code = refusal.code
        assert code == "ValidationException"
    message = NOT_A_PROJECTION
    try:
        projection_tree(text)
    except DynamoError as refusal:
        message = refusal.message
    assert message.startswith(NOT_A_PROJECTION)
