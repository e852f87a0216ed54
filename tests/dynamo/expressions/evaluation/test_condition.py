"""Conditions: whether they hold for an item, and the laws of comparisons."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.expressions import Binding, parse_condition
from bursar.dynamo.items.attribute_values import ORDERS
from tests.support.dynamo.value_strategies import items, numbers, strings, values

ITEM: dict[str, Any] = {
    "pk": {"S": "a"},
    "n": {"N": "5"},
    "s": {"S": "hello"},
    "bin": {"B": "aGVsbG8="},
    "yes": {"BOOL": True},
    "nul": {"NULL": True},
    "ss": {"SS": ["x", "y"]},
    "ns": {"NS": ["1", "2.5"]},
    "bs": {"BS": ["YQ=="]},
    "l": {"L": [{"S": "a"}, {"N": "2"}, {"SS": ["p", "q"]}]},
    "m": {"M": {"x": {"N": "1"}, "l": {"L": [{"N": "1"}, {"N": "2"}]}}},
}


DISTINCT = "The first operand must be distinct from the remaining operands for this operator or function; "


def holds(text: str, item: dict[str, Any] | None = None, **given_values: Any) -> bool:
    binding = Binding(None, {f":{name}": value for name, value in given_values.items()} or None)
    condition = parse_condition(text).bind(binding)
    binding.check_all_used()
    return condition.evaluate(ITEM if item is None else item)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("attribute_exists(pk)", True),
        ("attribute_exists(z)", False),
        ("attribute_exists(m.l[1])", True),
        ("attribute_exists(m.l[2])", False),
        ("attribute_not_exists(z)", True),
        ("attribute_not_exists(m.x)", False),
        ("m.x = m.l[0]", True),
        ("m.x < m.l[1]", True),
        ("m.l[7] = z", False),
        ("z = y1", False),
        ("z <> y1", True),
        ("z < n", False),
        ("NOT z < n", True),
        ("n <> s", True),
        ("n < s", False),
        ("n BETWEEN m.x AND n2", False),
        ("size(s) = n", True),
        ("size(s) > size(ss)", True),
        ("size(n) = n", False),
        ("size(z) < n", False),
        ("contains(s, pk)", False),
        ("contains(l, pk)", True),
        ("contains(ns, m.x)", True),
        ("contains(ns, s)", False),
        ("contains(m, s)", False),
        ("begins_with(s, n)", False),
        ("n IN (s, m.x)", False),
        ("pk IN (l[0])", True),
    ],
)
def test_of_attributes_alone(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("n = :v", {"N": "5.0"}, True),
        ("n = :v", {"S": "5"}, False),
        ("n > :v", {"N": "4.99"}, True),
        ("n > :v", {"N": "10"}, False),
        ("s >= :v", {"S": "hello"}, True),
        ("s < :v", {"S": "world"}, True),
        ("bin <= :v", {"B": "aGVsbG8="}, True),
        (":v = n", {"N": "5"}, True),
        ("ss = :v", {"SS": ["y", "x"]}, True),
        ("ss <> :v", {"SS": ["y"]}, True),
        ("l[2] = :v", {"SS": ["q", "p"]}, True),
        ("m.l = :v", {"L": [{"N": "1"}, {"N": "2.0"}]}, True),
        ("yes = :v", {"BOOL": True}, True),
        ("nul = :v", {"NULL": True}, True),
        ("contains(s, :v)", {"S": "ell"}, True),
        ("contains(s, :v)", {"N": "1"}, False),
        ("contains(bin, :v)", {"B": "ZWxs"}, True),
        ("contains(ss, :v)", {"S": "x"}, True),
        ("contains(ns, :v)", {"N": "2.50"}, True),
        ("contains(bs, :v)", {"B": "YQ=="}, True),
        ("contains(l, :v)", {"SS": ["q", "p"]}, True),
        ("contains(ns, :v)", {"S": "1"}, False),
        ("begins_with(s, :v)", {"S": "hell"}, True),
        ("begins_with(s, :v)", {"S": ""}, True),
        ("begins_with(bin, :v)", {"B": "aGU="}, True),
        ("begins_with(s, :v)", {"B": "aGU="}, False),
        ("begins_with(:v, s)", {"S": "hello there"}, True),
        ("size(s) = :v", {"N": "5"}, True),
        ("size(bin) = :v", {"N": "5"}, True),
        ("size(l) = :v", {"N": "3"}, True),
        ("size(m) = :v", {"N": "2"}, True),
        ("size(bs) = :v", {"N": "1"}, True),
        ("size(s) = :v", {"S": "5"}, False),
        ("attribute_type(n, :v)", {"S": "N"}, True),
        ("attribute_type(l, :v)", {"S": "SS"}, False),
        ("attribute_type(z, :v)", {"S": "S"}, False),
        ("attribute_type(:v, :v)", {"S": "S"}, True),
    ],
)
def test_of_an_attribute_and_a_value(text: str, value: dict[str, Any], expected: bool) -> None:
    assert holds(text, v=value) is expected


def test_an_item_that_does_not_exist_has_no_attributes() -> None:
    assert holds("attribute_not_exists(pk)", {})
    assert not holds("attribute_exists(pk)", {})


def test_and_or_not() -> None:
    assert holds("n = :v AND s = :w", v={"N": "5"}, w={"S": "hello"})
    assert not holds("n = :v AND s = :w AND attribute_exists(pk)", v={"N": "5"}, w={"S": "x"})
    assert holds("n = :w OR s = :w OR attribute_exists(pk)", w={"S": "x"})
    assert not holds("n = :w OR s = :w OR attribute_not_exists(pk)", w={"S": "x"})
    assert holds("NOT (n = :w AND s = :w)", w={"S": "x"})
    assert holds("NOT NOT n = :v", v={"N": "5"})


@pytest.mark.parametrize(
    ("text", "given_values", "problem"),
    [
        ("n < :v", {"v": {"L": []}}, "operator or function: <, operand type: L"),
        (":v >= n", {"v": {"BOOL": True}}, "operator or function: >=, operand type: BOOL"),
        ("n BETWEEN :v AND z", {"v": {"M": {}}}, "operator or function: BETWEEN, operand type: M"),
        ("begins_with(s, :v)", {"v": {"N": "1"}}, "operator or function: begins_with, operand type: N"),
        ("begins_with(size(s), z)", {}, "operator or function: begins_with, operand type: N"),
        ("size(:v) = n", {"v": {"N": "1"}}, "operator or function: size, operand type: N"),
        ("attribute_type(n, :v)", {"v": {"N": "1"}}, "operator or function: attribute_type, operand type: N"),
    ],
)
def test_a_value_of_a_type_that_an_operator_never_takes(text: str, given_values: dict[str, Any], problem: str) -> None:
    with pytest.raises(DynamoError) as refusal:
        holds(text, **given_values)
    assert refusal.value.message == (
        f"Invalid ConditionExpression: Incorrect operand type for operator or function; {problem}"
    )


@pytest.mark.parametrize(
    ("text", "given_values", "problem"),
    [
        (
            "size(a, b) = n",
            {},
            "Incorrect number of operands for operator or function; operator or function: size, number of operands: 2",
        ),
        ("attribute_exists(:v)", {"v": {"S": "x"}}, "Operator or function requires a document path; "
         "operator or function: attribute_exists"),
        ("m.x = m.x", {}, DISTINCT +
         "operator: =, first operand: [m, x]"),
        ("a IN (b, a)", {}, DISTINCT +
         "operator: IN, first operand: [a]"),
        ("contains(a, a)", {}, DISTINCT +
         "operator: contains, first operand: [a]"),
        ("attribute_type(n, :v)", {"v": {"S": "DOG"}},
         "Invalid attribute type name found; type: DOG, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}"),
        ("n BETWEEN :v AND :w", {"v": {"N": "2"}, "w": {"N": "1"}},
         "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
         "lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}"),
        ("n BETWEEN :v AND :w", {"v": {"N": "2"}, "w": {"S": "x"}},
         "The BETWEEN operator requires same data type for lower and upper bounds; "
         "lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {S:x}"),
        # In reading order, for checks with and without values.
        ("n BETWEEN :v AND :w AND a = :z", {"v": {"N": "2"}, "w": {"N": "1"}},
         "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; "
         "lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}"),
        ("a = :z AND n BETWEEN :v AND :w", {"v": {"N": "2"}, "w": {"N": "1"}},
         "An expression attribute value used in expression is not defined; attribute value: :z"),
    ],
)  # fmt: skip
def test_other_errors_are_raised_before_an_item_is_read(text: str, given_values: dict[str, Any], problem: str) -> None:
    with pytest.raises(DynamoError) as refusal:
        holds(text, **given_values)
    assert refusal.value.message == f"Invalid ConditionExpression: {problem}"


def test_a_hundred_options_and_three_hundred_operators_are_the_most() -> None:
    assert holds("n IN (" + ", ".join(f"a{at}" for at in range(99)) + ", :v)", v={"N": "5"})
    with pytest.raises(
        DynamoError, match="The IN operator is provided with too many operands; number of operands: 101"
    ):
        holds("n IN (" + ", ".join(f"a{at}" for at in range(101)) + ")")
    holds(" OR ".join(["a = b"] * 150))
    with pytest.raises(DynamoError, match="The expression contains too many operators; operator count: 301"):
        holds(" OR ".join(["a = b"] * 160))


def test_a_bound_condition_knows_which_attributes_it_reads() -> None:
    condition = parse_condition("pk = :v AND attribute_exists(m.x) AND #s < l[0]").bind(
        Binding({"#s": "status"}, {":v": {"S": "a"}})
    )
    assert condition.heads == {"pk", "m", "status", "l"}
    assert condition.nested_heads == {"m", "l"}


@given(items, values)
def test_not_equal_is_the_opposite_of_equal(item: dict[str, Any], value: dict[str, Any]) -> None:
    assert holds("a <> :v", item, v=value) is not holds("a = :v", item, v=value)


@given(values)
def test_an_attribute_equals_its_own_value(value: dict[str, Any]) -> None:
    assert holds("a = :v", {"a": value}, v=copy.deepcopy(value))
    assert holds("a IN (:v)", {"a": value}, v=value)
    assert holds("contains(a, :v)", {"a": {"L": [{"NULL": True}, value]}}, v=value)


ordered = st.one_of(strings.map(lambda text: {"S": text}), numbers.map(lambda text: {"N": text}))


@given(ordered, ordered)
def test_one_type_is_ordered_totally_and_two_types_not_at_all(left: dict[str, Any], right: dict[str, Any]) -> None:
    answers = {sign: holds(f"a {sign} :v", {"a": left}, v=right) for sign in ("<", "<=", "=", ">=", ">")}
    comparable = left.keys() == right.keys()
    assert answers["<="] is (answers["<"] or answers["="])
    assert answers[">="] is (answers[">"] or answers["="])
    assert [answers["<"], answers["="], answers[">"]].count(True) == comparable


@given(numbers, numbers, numbers)
def test_between_includes_both_ends(number: str, one: str, other: str) -> None:
    low, high = sorted((one, other), key=int)
    item = {"a": {"N": number}}
    inside = holds("a BETWEEN :low AND :high", item, low={"N": low}, high={"N": high})
    assert inside is holds("a >= :low AND a <= :high", item, low={"N": low}, high={"N": high})


@given(items)
def test_evaluating_changes_nothing(item: dict[str, Any]) -> None:
    before = copy.deepcopy(item)
    holds("a = b OR contains(c, d) OR size(a) > size(b) OR a IN (b, c) OR a.b[0] < n", item)
    assert item == before


def test_types_without_order_are_those_without_a_rank() -> None:
    assert set(ORDERS) == {"S", "N", "B"}
