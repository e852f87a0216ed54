"""Tokens, the limits on an expression's text, and the syntax error with its window."""

import pytest

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.expressions.parsing.lexer import tokens_of
from bursar.dynamo.expressions.parsing.parser import condition_tree, projection_tree, update_tree

KIND = "ConditionExpression"


def test_tokens_carry_their_kind_and_place() -> None:
    tokens = tokens_of(" a.#b[0] >= :v", KIND)
    assert [(token.kind, token.text) for token in tokens] == [
        ("word", "a"),
        ("sign", "."),
        ("name", "#b"),
        ("sign", "["),
        ("index", "0"),
        ("sign", "]"),
        ("sign", ">="),
        ("value", ":v"),
        ("end", ""),
    ]
    assert (tokens[0].start, tokens[0].end) == (1, 2)


def test_keywords_of_all_grammars_are_no_names_in_any_case() -> None:
    assert [token.kind for token in tokens_of("and Set between", KIND)] == ["AND", "SET", "BETWEEN", "end"]


def test_an_empty_expression_is_refused() -> None:
    with pytest.raises(DynamoError) as refusal:
        tokens_of("", KIND)
    assert refusal.value.message == "Invalid ConditionExpression: The expression can not be empty;"


def test_an_expression_has_at_most_4096_bytes_of_utf8() -> None:
    tokens_of("a = b" + " " * 4091, KIND)
    with pytest.raises(DynamoError) as refusal:
        tokens_of("a = b" + " " * 4090 + "é", KIND)
    assert refusal.value.message == (
        "Invalid ConditionExpression: Expression size has exceeded the maximum allowed size; expression size: 4097"
    )


@pytest.mark.parametrize(
    ("text", "token", "near"),
    [
        ("a", "<EOF>", "a"),
        ("a = ", "<EOF>", "= "),
        ("=", "=", "="),
        ("  = :v", "=", "  = :v"),
        ("a IN ()", ")", "()"),
        ("_x = :v", "_", "_x"),
        ("a = b c", "c", "b c"),
        ("a AND b = c", "AND", "a AND b"),
        ("(a = b) = c", "=", ") = c"),
        ("things are not gonna be ok", "are", "things are not"),
        ("a[:x] = b", ":x", "[:x]"),
        ("a[00] = b", "0", "00]"),
        ("(m).x = b", ".", ").x"),
        ("a = b /* c */", "/", "b /*"),
        ("a = #", "#", "= #"),
        ("set = :v", "set", "set ="),
        ("a = 5", "5", "= 5"),
        ("(a = b", "<EOF>", "b"),
        ("a = b)", ")", "b)"),
        ("NOT", "<EOF>", "NOT"),
        ("attribute_exists()", ")", "()"),
        ("a BETWEEN :x OR :y", "OR", ":x OR :y"),
    ],
)
def test_a_syntax_error_shows_the_token_and_its_neighbours(text: str, token: str, near: str) -> None:
    with pytest.raises(DynamoError) as refusal:
        condition_tree(text, KIND)
    assert refusal.value.message == f'Invalid ConditionExpression: Syntax error; token: "{token}", near: "{near}"'


@pytest.mark.parametrize(
    ("text", "token", "near"),
    [
        ("INVALID SYNTAX HERE", "INVALID", "INVALID SYNTAX"),
        ("SET _123 = :v", "_", "SET _123"),
        ("ADD hits : incr", ":", "hits : incr"),
        ("SET a = b + c + d", "+", "c + d"),
        ("SET a = (b + c) + d", "+", ") + d"),
        ("SET :a = b", ":a", "SET :a ="),
        ("REMOVE a b", "b", "a b"),
        ("ADD a b", "b", "a b"),
        ("SET a = :v,", "<EOF>", ","),
        ("SET and = :v", "and", "SET and ="),
        ("SET a", "<EOF>", "a"),
    ],
)
def test_an_update_has_the_same_syntax_error(text: str, token: str, near: str) -> None:
    with pytest.raises(DynamoError) as refusal:
        update_tree(text)
    assert refusal.value.message == f'Invalid UpdateExpression: Syntax error; token: "{token}", near: "{near}"'


@pytest.mark.parametrize(
    ("text", "token", "near"),
    [("!!bad", "!", "!!"), ("a,", "<EOF>", ","), (",a", ",", ",a"), ("a b", "b", "a b"), (":v", ":v", ":v")],
)
def test_a_projection_has_the_same_syntax_error(text: str, token: str, near: str) -> None:
    with pytest.raises(DynamoError) as refusal:
        projection_tree(text)
    assert refusal.value.message == f'Invalid ProjectionExpression: Syntax error; token: "{token}", near: "{near}"'
