"""Attribute values: valid ones, Amazon's texts about the others, canonical form, sizes, equality, order."""

import copy
from base64 import b64decode
from typing import Any

import orjson
import pytest
from hypothesis import given

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.items import attribute_values as values
from bursar.dynamo.items.attribute_values import AttributeValue
from tests.support.dynamo.value_strategies import items, strings
from tests.support.dynamo.value_strategies import values as any_values

PARAMETER = "One or more parameter values were invalid: "


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ({"SS": ["ä", "b", "", "B"]}, {"SS": ["", "B", "b", "ä"]}),
        ({"NS": ["10", "9", "-1", "1.50"]}, {"NS": ["-1", "1.5", "9", "10"]}),
        ({"BS": ["/w==", "AA==", ""]}, {"BS": ["", "AA==", "/w=="]}),
    ],
)
def test_a_set_is_kept_in_the_order_of_its_members(written: dict[str, Any], kept: dict[str, Any]) -> None:
    # paritysuite/dynamodb-conformance, tier1/updateItem/basic
    assert values.normalise(written) == kept


def nested(levels: int, inner: AttributeValue) -> AttributeValue:
    for level in range(levels):
        inner = {"M": {"a": inner}} if level % 2 else {"L": [inner]}
    return inner


@pytest.mark.parametrize(
    "value",
    [
        {"S": ""},
        {"S": "ünïcödé 𝄞"},
        {"N": "1"},
        {"B": ""},
        {"B": "aGVsbG8="},
        {"BOOL": False},
        {"NULL": True},
        {"L": []},
        {"M": {}},
        {"SS": ["", "a"]},
        {"NS": ["1", "2"]},
        {"BS": ["", "YQ=="]},
        {"L": [{"M": {"x": {"NS": ["1"]}}}]},
        nested(31, {"S": "x"}),
    ],
)
def test_a_valid_value_is_kept_as_it_is(value: dict[str, Any]) -> None:
    assert values.normalise(value) is value


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        ({"N": "1.0"}, {"N": "1"}),
        ({"NS": ["1.0", "02"]}, {"NS": ["1", "2"]}),
        ({"L": [{"N": "1e2"}, {"S": "a"}]}, {"L": [{"N": "100"}, {"S": "a"}]}),
        ({"M": {"x": {"L": [{"N": "-0"}]}}}, {"M": {"x": {"L": [{"N": "0"}]}}}),
        ({"S": "a", "N": None}, {"S": "a"}),
        ({"S": "a", "Unknown": 1}, {"S": "a"}),
    ],
)
def test_numbers_become_canonical_and_the_argument_stays(value: dict[str, Any], canonical: dict[str, Any]) -> None:
    before = copy.deepcopy(value)
    assert values.normalise(value) == canonical
    assert value == before


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, values.NO_TYPE),
        ({"S": None}, values.NO_TYPE),
        ({"X": "a"}, values.NO_TYPE),
        ({"S": "a", "N": "1"}, values.TWO_TYPES),
        ({"S": "", "N": ""}, "The parameter cannot be converted to a numeric value"),
        ({"NULL": False}, PARAMETER + "Null attribute value types must have the value of true"),
        ({"SS": []}, PARAMETER + "An string set  may not be empty"),
        ({"NS": []}, PARAMETER + "An number set  may not be empty"),
        ({"BS": []}, PARAMETER + "Binary sets should not be empty"),
        ({"SS": ["a", "b", "a"]}, PARAMETER + "Input collection [a, b, a] contains duplicates."),
        ({"BS": ["Yg==", "Yg=="]}, PARAMETER + "Input collection [Yg==, Yg==]of type BS contains duplicates."),
        ({"NS": ["1", "1.0"]}, "Input collection contains duplicates"),
        ({"NS": ["1", "b"]}, "The parameter cannot be converted to a numeric value: b"),
        ({"L": [{}]}, values.NO_TYPE),
        ({"M": {"a": {"SS": []}}}, PARAMETER + "An string set  may not be empty"),
        ({"M": {"": {"S": "x"}}}, "Empty attribute name"),
        (nested(32, {"S": "x"}), values.TOO_DEEP),
    ],
)
def test_an_invalid_value_is_refused_in_amazons_words(value: dict[str, Any], message: str) -> None:
    with pytest.raises(DynamoError) as refusal:
        values.normalise(value)
    assert (refusal.value.code, refusal.value.message) == ("ValidationException", message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"S": 1}, "NUMBER_VALUE cannot be converted to String"),
        ({"S": 1.5}, "DECIMAL_VALUE cannot be converted to String"),
        ({"N": True}, "TRUE_VALUE cannot be converted to String"),
        ({"S": {"a": 1}}, "Start of structure or map found where not expected."),
        ({"B": "abc"}, "Base64 encoded length is expected a multiple of 4 bytes but found: 3"),
        ({"B": "ab!="}, "Invalid Base64 character"),
        ({"SS": "a"}, "Unexpected field type"),
        ({"L": {"a": 1}}, "Start of structure or map found where not expected."),
        ({"BOOL": "true"}, "Unexpected token received from parser"),
        ({"S": "\ud800"}, "The string is not valid Unicode"),
        ("text", "Unexpected value type in payload"),
        ([1], "Start of list found where not expected"),
    ],
)
def test_a_wrong_json_type_is_a_serialization_error(value: Any, message: str) -> None:
    with pytest.raises(DynamoError) as refusal:
        values.normalise(value)
    assert (refusal.value.code, refusal.value.message) == ("SerializationException", message)


def test_an_item_is_normalised_attribute_by_attribute_into_a_new_dictionary() -> None:
    item = {"pk": {"S": "a"}, "amount": {"N": "60.00"}}
    assert values.normalise_item(item) == {"pk": {"S": "a"}, "amount": {"N": "60"}}
    assert item["amount"] == {"N": "60.00"}
    with pytest.raises(DynamoError, match="Empty attribute name"):
        values.normalise_item({"": {"S": "x"}})


@given(items)
def test_normalising_is_idempotent(item: dict[str, Any]) -> None:
    normal = values.normalise_item(item)
    assert values.normalise_item(normal) == normal
    assert all(values.equal(normal[name], value) for name, value in item.items())


@given(items)
def test_item_bytes_are_the_item_in_dynamodb_json(item: dict[str, Any]) -> None:
    assert orjson.loads(values.item_bytes(item)) == item


@pytest.mark.parametrize(
    ("value", "size_bytes"),
    [
        ({"S": "abc"}, 3),
        ({"S": "é𝄞"}, 6),
        ({"N": "12"}, 2),
        ({"B": "aGVsbG8="}, 5),
        ({"B": "YWI="}, 2),
        ({"B": "YQ=="}, 1),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"L": []}, 3),
        ({"L": [{"S": "ab"}, {"BOOL": True}]}, 3 + 1 + 2 + 1 + 1),
        ({"M": {"key": {"S": "ab"}}}, 3 + 1 + 3 + 2),
        ({"SS": ["a", "bc"]}, 3),
        ({"NS": ["1", "123"]}, 2 + 3),
        ({"BS": ["YQ==", "YWI="]}, 3),
    ],
)
def test_a_value_has_the_size_that_the_developer_guide_gives(value: AttributeValue, size_bytes: int) -> None:
    assert values.value_size(value) == size_bytes
    assert values.attribute_size("é", value) == 2 + size_bytes


@given(items)
def test_the_size_of_an_item_is_the_sum_of_its_attributes(item: dict[str, Any]) -> None:
    assert values.item_size(item) == sum(values.attribute_size(name, value) for name, value in item.items())


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ({"S": "a"}, {"S": "a"}, True),
        ({"S": "1"}, {"N": "1"}, False),
        ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}, True),
        ({"SS": ["a", "b"]}, {"SS": ["a"]}, False),
        ({"SS": ["1"]}, {"NS": ["1"]}, False),
        ({"L": [{"NS": ["1", "2"]}]}, {"L": [{"NS": ["2", "1"]}]}, True),
        ({"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "b"}, {"S": "a"}]}, False),
        ({"M": {"x": {"BS": ["YQ==", "YWI="]}}}, {"M": {"x": {"BS": ["YWI=", "YQ=="]}}}, True),
        ({"M": {"x": {"S": "a"}}}, {"M": {"y": {"S": "a"}}}, False),
        ({"BOOL": True}, {"BOOL": False}, False),
    ],
)
def test_sets_are_equal_in_any_order_lists_are_not(left: AttributeValue, right: AttributeValue, same: bool) -> None:
    assert values.equal(left, right) is same
    assert values.equal(right, left) is same


@given(any_values)
def test_a_value_equals_a_copy_of_itself(value: AttributeValue) -> None:
    assert values.equal(value, copy.deepcopy(value))


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        ({"N": "2"}, {"N": "10"}, -1),
        ({"N": "-2"}, {"N": "-10"}, 1),
        ({"S": "Z"}, {"S": "a"}, -1),
        ({"S": "a"}, {"S": "a"}, 0),
        ({"B": "gA=="}, {"B": "fw=="}, 1),
        ({"S": "1"}, {"N": "1"}, None),
        ({"BOOL": True}, {"BOOL": False}, None),
        ({"SS": ["a"]}, {"SS": ["b"]}, None),
    ],
)
def test_order_within_strings_numbers_and_binaries(
    left: AttributeValue, right: AttributeValue, order: int | None
) -> None:
    assert values.compare(left, right) == order


@given(strings, strings)
def test_strings_order_by_utf8_bytes(left: str, right: str) -> None:
    order = values.compare({"S": left}, {"S": right})
    assert order == (left.encode() > right.encode()) - (left.encode() < right.encode())


@given(any_values)
def test_a_valid_value_is_nested_no_deeper_than_allowed(value: AttributeValue) -> None:
    values.check_nesting(value)
    with pytest.raises(DynamoError, match="Nesting Levels"):
        values.check_nesting(nested(32, value))


def test_base64_is_strict() -> None:
    values.check_base64("YQ==")
    assert b64decode("YQ==") == b"a"
    with pytest.raises(DynamoError):
        values.check_base64("Y Q==")
