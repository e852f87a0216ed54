"""Test whole attributes without a getter for each operand.

| here                  | plain twin in ``predicates``                        |
|-----------------------|-----------------------------------------------------|
| ``VALUE_TESTS``       | ``EQUALITY`` of an attribute and a request's value  |
| ``ATTRIBUTE_TESTS``   | ``FUNCTION_TESTS`` of the same names                |

A property test in tests/dynamo/expressions/evaluation/test_fast_attribute_tests.py holds each pair equal. Gain: 13 % of
a Scan with a filter of two such tests.
"""

from collections.abc import Callable

from bursar.dynamo.expressions.evaluation.predicates import Test
from bursar.dynamo.items.attribute_values import Item, equal


def _equals_value(name: str, placeholder: str) -> Test:
    def test(item: Item, values: Item) -> bool:
        value = item.get(name)
        if value is None:
            return False
        other = values[placeholder]
        return value == other or ("S" not in value and equal(value, other))

    return test


def _differs_from_value(name: str, placeholder: str) -> Test:
    def test(item: Item, values: Item) -> bool:
        value = item.get(name)
        if value is None:
            return True
        other = values[placeholder]
        return value != other and ("S" in value or not equal(value, other))

    return test


def _has(name: str) -> Test:
    return lambda item, _values: name in item


def _lacks(name: str) -> Test:
    return lambda item, _values: name not in item


VALUE_TESTS: dict[str, Callable[[str, str], Test]] = {"=": _equals_value, "<>": _differs_from_value}
"""Operator → the test that compares an attribute with the value of a placeholder."""

ATTRIBUTE_TESTS: dict[str, Callable[[str], Test]] = {"attribute_exists": _has, "attribute_not_exists": _lacks}
"""Function → its test of an attribute."""
