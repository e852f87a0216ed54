"""Placeholders: their own validity, undefined ones, unused ones."""

from typing import Any

import pytest

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.expressions import Binding, parse_condition, parse_projection, parse_update
from bursar.dynamo.items.attribute_values import Item

VALUE = "ExpressionAttributeValues contains invalid value: "


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        ({}, None, "ExpressionAttributeNames must not be empty"),
        ({"a": "b"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"'),
        ({"#": "b"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "#"'),
        ({"#a-b": "b"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "#a-b"'),
        ({"#a": ""}, None, "ExpressionAttributeNames contains invalid value: Empty attribute name for key #a"),
        (None, {}, "ExpressionAttributeValues must not be empty"),
        (None, {"b": {"S": "x"}}, 'ExpressionAttributeValues contains invalid key: Syntax error; key: "b"'),
        (None, {":": {"S": "x"}}, 'ExpressionAttributeValues contains invalid key: Syntax error; key: ":"'),
        (
            None,
            {":b": {}},
            VALUE + "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes for key :b",
        ),
        (
            None,
            {":a": {"S": "x"}, ":b": {"SS": []}},
            VALUE + "One or more parameter values were invalid: An string set  may not be empty for key :b",
        ),
        (None, {":b": {"N": "x"}}, VALUE + "The parameter cannot be converted to a numeric value: x for key :b"),
        ({"a": "b"}, {}, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"'),
        ({"#u": "x"}, {"b": {}, ":c": {}}, 'ExpressionAttributeValues contains invalid key: Syntax error; key: "b"'),
    ],
)
def test_placeholders_that_are_wrong_in_themselves(
    names: dict[str, Any] | None, values: dict[str, Any] | None, message: str
) -> None:
    with pytest.raises(DynamoError) as refusal:
        Binding(names, values)
    assert refusal.value.message == message


def test_a_name_that_is_no_string_is_a_serialization_error() -> None:
    for name in (1, ["x"], {"S": "x"}):
        with pytest.raises(DynamoError) as refusal:
            Binding({"#a": name}, None)
        assert refusal.value.code == "SerializationException"
    with pytest.raises(DynamoError) as refusal:
        Binding(None, {":a": {"S": 1}})
    assert refusal.value.code == "SerializationException"


def test_a_value_nested_too_deep_is_refused_without_saying_which() -> None:
    value: dict[str, Any] = {"S": "x"}
    for _ in range(32):
        value = {"M": {"a": value}}
    with pytest.raises(DynamoError) as refusal:
        Binding(None, {":v": value})
    assert refusal.value.message.startswith("Nesting Levels have exceeded supported limits")


def test_values_become_canonical() -> None:
    assert Binding(None, {":n": {"N": "1.0"}}).values == {":n": {"N": "1"}}


def test_an_unused_name_comes_before_an_unused_value() -> None:
    binding = Binding({"#a": "x", "#b": "y", "#c": "z"}, {":v": {"N": "1"}, ":u": {"N": "1"}})
    parse_update("SET #a = :v").bind(binding)
    with pytest.raises(DynamoError) as refusal:
        binding.check_all_used()
    assert refusal.value.message == "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b, #c}"
    parse_projection("#b, #c").bind(binding)
    with pytest.raises(DynamoError) as refusal:
        binding.check_all_used()
    assert refusal.value.message == "Value provided in ExpressionAttributeValues unused in expressions: keys: {:u}"
    parse_condition("a = :u").bind(binding)
    binding.check_all_used()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "#x = :v",
            "An expression attribute name used in the document path is not defined; attribute name: #x",
        ),
        ("a = :x", "An expression attribute value used in expression is not defined; attribute value: :x"),
        ("a[2147483648] = :v", "List index is not within the allowable range; index: [2147483648]"),
        (".".join("a" * 33) + " = :v", "The document path has too many nesting levels; nesting levels: 33"),
    ],
)
def test_placeholders_and_paths_that_cannot_be_resolved(text: str, message: str) -> None:
    with pytest.raises(DynamoError) as refusal:
        parse_condition(text).bind(Binding(None, {":v": {"N": "1"}}))
    assert refusal.value.message == f"Invalid ConditionExpression: {message}"


def test_one_text_is_bound_again_for_other_names_and_types() -> None:
    condition = parse_condition("#a < :v")
    item: Item = {"x": {"N": "1"}, "y": {"S": "b"}}
    assert condition.bind(Binding({"#a": "x"}, {":v": {"N": "2"}})).evaluate(item)
    assert not condition.bind(Binding({"#a": "x"}, {":v": {"N": "1"}})).evaluate(item)
    assert condition.bind(Binding({"#a": "y"}, {":v": {"S": "c"}})).evaluate(item)
    assert not condition.bind(Binding({"#a": "y"}, {":v": {"N": "2"}})).evaluate(item)
