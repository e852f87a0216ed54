"""Items as texts: what a person reads and edits is the item, with any values."""

from typing import Any

import orjson
import pytest
from hypothesis import given

from bursar.dynamo.console.item_texts import (
    TextRefused,
    cell,
    changes,
    columns_of,
    item_of_text,
    key_of_token,
    key_token,
    pretty,
    value_text,
)
from tests.support.dynamo.value_strategies import items


@given(items)
def test_an_item_that_is_read_and_sent_back_is_the_same(item: Any) -> None:
    assert item_of_text(pretty(item)) == item
    assert key_of_token(key_token(item)) == item


def test_members_have_a_line_each_and_long_ones_several() -> None:
    document = {"pk": {"S": "a"}, "lines": {"L": [{"S": "x" * 60}, {"S": "y" * 60}]}}
    lines = pretty(document).splitlines()
    assert lines[1] == '  "pk": {"S":"a"},'
    assert len(lines) > 5
    assert orjson.loads(pretty(document)) == document
    assert pretty({}) == "{}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"S": "a"}, "a"),
        ({"N": "-1.50"}, "-1.50"),
        ({"B": "AP8="}, "b64:AP8="),
        ({"BOOL": True}, "true"),
        ({"BOOL": False}, "false"),
        ({"NULL": True}, "null"),
        ({"SS": ["a", "b"]}, "{a, b}"),
        ({"M": {"a": {"L": [{"N": "1"}, {"NULL": True}]}}}, '{"a":["1",null]}'),
    ],
)
def test_values_are_readable(value: Any, text: str) -> None:
    assert value_text(value) == text


def test_a_cell_is_short() -> None:
    assert len(cell({"S": "x" * 1000})) == 60
    assert cell(None) == ""


def test_columns_begin_with_the_key_and_are_bounded() -> None:
    wide: list[Any] = [
        {"pk": {"S": "a"}, "b": {"S": "x"}} | {f"c{n}": {"S": "x"} for n in range(40)},
        {"b": {"S": "x"}},
    ]
    columns = columns_of(wide, ["pk", "at"])
    assert columns[:3] == ["pk", "at", "b"]
    assert len(columns) == 12


def test_changes_name_what_is_new_gone_and_different() -> None:
    old, new = {"a": {"S": "1"}, "b": {"S": "2"}, "c": {"S": "3"}}, {"a": {"S": "1"}, "b": {"S": "x"}, "d": {"S": "4"}}
    assert changes(old, new) == [("b", "2", "x"), ("c", "3", ""), ("d", "", "4")]


@pytest.mark.parametrize("token", ["!", "W10", "e30x", "ÿ"])
def test_a_key_that_no_page_made_is_refused(token: str) -> None:
    with pytest.raises(TextRefused):
        key_of_token(token)
