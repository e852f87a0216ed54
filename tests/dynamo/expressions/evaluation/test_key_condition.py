"""Key conditions: the ranges of keys that they resolve to, and the conditions that are rejected."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.expressions import Binding, KeyRange, parse_key_condition, resolve_key_conditions
from bursar.dynamo.items import key_encoding as keys
from bursar.dynamo.items.attribute_values import AttributeValue

TYPES = {"pk": "S", "sk": "S", "n": "N", "b": "B"}
VALUES: dict[str, AttributeValue] = {
    ":p": {"S": "part"},
    ":s": {"S": "b"},
    ":t": {"S": "c"},
    ":n": {"N": "5"},
    ":e": {"S": ""},
}


def resolved(
    text: str, partition: tuple[str, ...] = ("pk",), sort: tuple[str, ...] = ("sk",), **given_values: Any
) -> KeyRange:
    known = {**VALUES, **{f":{name}": value for name, value in given_values.items()}}
    used = {name: value for name, value in known.items() if name in text}
    binding = Binding(None, used or None)
    condition = parse_key_condition(text).bind(binding)
    binding.check_all_used()
    return condition.resolve(partition, sort, TYPES)


def test_the_partition_alone() -> None:
    found = resolved("pk = :p")
    assert found.partition == ({"S": "part"},)
    assert found.partition_bytes == keys.compose({"S": "part"})
    assert (found.lower, found.upper) == (b"", None)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("pk = :p AND sk = :s", ["b"]),
        ("sk = :s AND pk = :p", ["b"]),
        ("(:p = pk) AND (:s = sk)", ["b"]),
        ("pk = :p AND sk < :s", ["", "a", "a\x00", "aé"]),
        ("pk = :p AND sk <= :s", ["", "a", "a\x00", "aé", "b"]),
        ("pk = :p AND :s >= sk", ["", "a", "a\x00", "aé", "b"]),
        ("pk = :p AND sk > :s", ["b\x00", "ba", "bé", "c", "ca"]),
        ("pk = :p AND :s < sk", ["b\x00", "ba", "bé", "c", "ca"]),
        ("pk = :p AND sk >= :s", ["b", "b\x00", "ba", "bé", "c", "ca"]),
        ("pk = :p AND sk BETWEEN :s AND :t", ["b", "b\x00", "ba", "bé", "c"]),
        ("pk = :p AND begins_with(sk, :s)", ["b", "b\x00", "ba", "bé"]),
    ],
)
def test_a_range_of_sort_keys(text: str, inside: list[str]) -> None:
    found = resolved(text)
    every = ["", "a", "a\x00", "aé", "b", "b\x00", "ba", "bé", "c", "ca"]
    assert [sk for sk in every if found.contains(keys.encode_key_value({"S": sk}))] == inside


@given(st.integers(-50, 50), st.integers(-50, 50), st.sampled_from(["=", "<", "<=", ">", ">="]), st.text(max_size=2))
def test_a_range_holds_the_numbers_that_the_comparison_holds_for(key: int, bound: int, sign: str, behind: str) -> None:
    found = resolved(f"pk = :p AND n {sign} :x", sort=("n",), x={"N": str(bound)})
    compared = {"=": key == bound, "<": key < bound, "<=": key <= bound, ">": key > bound, ">=": key >= bound}
    assert found.contains(keys.encode_key_value({"N": str(key)})) == compared[sign]
    # An index entry has the table's key after it, and lies in the same range.
    entry = keys.compose_all([{"N": str(key)}, {"S": behind.encode("utf-8", "replace").decode()}])
    assert found.contains(entry) == compared[sign]


def test_keys_of_several_attributes_take_equalities_from_the_left() -> None:
    found = resolved("pk = :p AND sk = :s AND n > :n", partition=("pk",), sort=("sk", "n", "b"))
    inside = keys.compose_all([{"S": "b"}, {"N": "6"}, {"B": "YQ=="}])
    assert found.contains(inside)
    for sk, number in (("b", "5"), ("a", "6"), ("c", "6")):
        assert not found.contains(keys.compose_all([{"S": sk}, {"N": number}, {"B": "YQ=="}]))
    both = resolved("pk = :p AND sk = :s", partition=("pk", "sk"), sort=("n",))
    assert both.partition_bytes == keys.compose_all([{"S": "part"}, {"S": "b"}])
    leading = resolved("pk = :p AND sk = :s", sort=("sk", "n"))
    assert leading.contains(inside)
    assert not leading.contains(keys.compose_all([{"S": "c"}, {"N": "0"}]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pk = :p OR sk = :s", "Invalid operator used in KeyConditionExpression: OR"),
        ("NOT pk = :p", "Invalid operator used in KeyConditionExpression: NOT"),
        ("pk = :p AND sk <> :s", "Invalid operator used in KeyConditionExpression: <>"),
        ("pk = :p AND sk IN (:s)", "Invalid operator used in KeyConditionExpression: IN"),
        ("pk = :p AND contains(sk, :s)", "Invalid operator used in KeyConditionExpression: contains"),
        ("pk = :p AND size(sk) = :n", "KeyConditionExpressions cannot contain nested operations"),
        ("pk = sk", "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"),
        (":p = :s", "Invalid condition in KeyConditionExpression: No key attribute specified"),
        ("pk = :p AND a.b < :s", "KeyConditionExpressions cannot have conditions on nested attributes"),
        (
            "pk = :p AND pk = :p",
            "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key",
        ),
        (
            "pk = :p AND sk > :s AND sk < :t",
            "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key",
        ),
        (
            ":s BETWEEN pk AND sk",
            "Invalid condition in KeyConditionExpression: "
            "BETWEEN operator must have the key attribute as its first operand",
        ),
        (
            "begins_with(:s, sk) AND pk = :p",
            "Invalid condition in KeyConditionExpression: "
            "begins_with operator must have the key attribute as its first operand",
        ),
        ("sk = :s", "Query condition missed key schema element: pk"),
        ("x = :p", "Query condition missed key schema element: pk"),
        ("pk = :p AND x = :s", "Query condition missed key schema element: sk"),
        ("pk < :p", "Query key condition not supported"),
        ("begins_with(pk, :p)", "Query key condition not supported"),
        ("pk = :p AND sk = :s AND x = :t", "Conditions can be of length 1 or 2 only"),
        (
            "pk = :n",
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ),
        (
            "pk = :p AND sk BETWEEN :s AND :n",
            "Invalid KeyConditionExpression: The BETWEEN operator requires same data type for lower and upper bounds; "
            "lower bound operand: AttributeValue: {S:b}, upper bound operand: AttributeValue: {N:5}",
        ),
        (
            "pk = :e",
            "One or more parameter values are not valid. "
            "The AttributeValue for a key attribute cannot contain an empty string value. Key: pk",
        ),
        (
            "pk = :p AND begins_with(sk, :n)",
            "Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
            "operator or function: begins_with, operand type: N",
        ),
        ("((pk = :p))", "Invalid KeyConditionExpression: The expression has redundant parentheses;"),
    ],
)
def test_invalid_key_conditions_are_rejected(text: str, message: str) -> None:
    with pytest.raises(DynamoError) as refusal:
        resolved(text)
    assert refusal.value.message == message


def test_a_table_without_sort_key_takes_one_condition() -> None:
    assert resolved("pk = :p", sort=()).upper is None
    with pytest.raises(DynamoError, match="Query key condition not supported"):
        resolved("pk = :p AND sk = :s", sort=())


@pytest.mark.parametrize(
    ("text", "before", "name"),
    [
        ("pk = :p AND n = :n", "sk", "n"),
        ("pk = :p AND sk > :s AND n = :n", "sk", "n"),
        ("pk = :p AND sk = :s AND b > :n", "n", "b"),
    ],
)
def test_sort_attributes_are_named_from_the_left_and_only_the_last_may_be_a_range(
    text: str, before: str, name: str
) -> None:
    # paritysuite/dynamodb-conformance, tier1/query/multiAttributeGsiKey
    with pytest.raises(DynamoError) as refusal:
        resolved(text, sort=("sk", "n", "b"))
    assert refusal.value.message == (
        f"RANGE key attributes {before} must have equality conditions specified in the query "
        f"because a condition is present on key attribute {name}"
    )


def test_legacy_conditions_resolve_the_same_way() -> None:
    conditions = {"pk": ("=", [VALUES[":p"]]), "sk": ("BETWEEN", [VALUES[":s"], VALUES[":t"]])}
    assert resolve_key_conditions(conditions, ("pk",), ("sk",), TYPES) == resolved("pk = :p AND sk BETWEEN :s AND :t")
