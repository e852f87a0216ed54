"""Statements split into tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import DynamoError
from bursar.dynamo.partiql.lexer import END, KEYWORD, NUMBER, QUOTED, SIGN, TEXT, WORD, tokens_of
from tests.support.dynamo.tables import refused

NOT_WELL_FORMED = "Statement wasn't well formed, can't be processed: "


def cut(statement: str) -> list[tuple[str, str]]:
    return [(token.kind, token.text) for token in tokens_of(statement)[:-1]]


@pytest.mark.parametrize(
    ("statement", "tokens"),
    [
        ("SELECT a_1 From", [(KEYWORD, "select"), (WORD, "a_1"), (KEYWORD, "from")]),
        ('"a ""b"" c"', [(QUOTED, 'a "b" c')]),
        ("'it''s' ''", [(TEXT, "it's"), (TEXT, "")]),
        ("1 1.5 .5 1. 2e-3", [(NUMBER, "1"), (NUMBER, "1.5"), (NUMBER, ".5"), (NUMBER, "1."), (NUMBER, "2e-3")]),
        ("<<1>>", [(SIGN, "<<"), (NUMBER, "1"), (SIGN, ">>")]),
        ("a<>b<=c", [(WORD, "a"), (SIGN, "<>"), (WORD, "b"), (SIGN, "<="), (WORD, "c")]),
        ("a -- to the end\nb /* and\nthis */ c", [(WORD, "a"), (WORD, "b"), (WORD, "c")]),
    ],
)
def test_tokens_are_cut(statement: str, tokens: list[tuple[str, str]]) -> None:
    assert cut(statement) == tokens


@pytest.mark.parametrize("statement", ["'begun", '"begun', "a é", "a # note", "a /* begun"])
def test_a_text_that_is_no_token_is_refused_without_a_detail(statement: str) -> None:
    assert refused(lambda: tokens_of(statement)).message == NOT_WELL_FORMED


def test_a_token_knows_its_place() -> None:
    assert [token.place for token in tokens_of("ab\n  /*\n*/ 'cd' e")[:-1]] == ["at 1:1:2", "at 3:4:4", "at 3:9:1"]


@given(st.text(max_size=200))
def test_every_text_ends_or_is_refused(statement: str) -> None:
    try:
        ending = tokens_of(statement)[-1].kind
    except DynamoError as error:
        ending = error.message
    assert ending in (END, NOT_WELL_FORMED)


@given(st.text(max_size=40))
def test_a_quoted_text_comes_back(text: str) -> None:
    assert cut("'" + text.replace("'", "''") + "'") == [(TEXT, text)]
