"""Build the tests of conditions: each function takes the operands' getters and returns a test of an item.

A getter returns None for an attribute that the item lacks. Every test is a closure, so an operator costs one call.
"""

from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import TypeAlias

from bursar.dynamo.expressions.evaluation.paths import Getter
from bursar.dynamo.items.attribute_values import AttributeValue, Item, compare, equal

Test: TypeAlias = Callable[[Item, Item], bool]
"""(item, expression values) → whether the condition holds."""


def _equals(left: Getter, right: Getter) -> Test:
    def test(item: Item, values: Item) -> bool:
        value = left(item, values)
        if value is None:
            return False
        other = right(item, values)
        return other is not None and equal(value, other)

    return test


def _differs(left: Getter, right: Getter) -> Test:
    same = _equals(left, right)
    return lambda item, values: not same(item, values)


def _ordering(holds: Callable[[int], bool]) -> Callable[[Getter, Getter], Test]:
    def ordering(left: Getter, right: Getter) -> Test:
        def test(item: Item, values: Item) -> bool:
            value, other = left(item, values), right(item, values)
            if value is None or other is None:
                return False
            order = compare(value, other)
            return order is not None and holds(order)

        return test

    return ordering


EQUALITY: dict[str, Callable[[Getter, Getter], Test]] = {"=": _equals, "<>": _differs}
ORDERINGS: dict[str, Callable[[Getter, Getter], Test]] = {
    "<": _ordering(lambda order: order < 0),
    "<=": _ordering(lambda order: order <= 0),
    ">": _ordering(lambda order: order > 0),
    ">=": _ordering(lambda order: order >= 0),
}


def between(operand: Getter, lower: Getter, upper: Getter) -> Test:
    """Return the test lower ≤ operand ≤ upper."""
    above, below = ORDERINGS[">="](operand, lower), ORDERINGS["<="](operand, upper)
    return lambda item, values: above(item, values) and below(item, values)


def one_of(operand: Getter, options: Sequence[Getter]) -> Test:
    """Return the test operand IN (options)."""

    def test(item: Item, values: Item) -> bool:
        value = operand(item, values)
        if value is None:
            return False
        for option in options:
            other = option(item, values)
            if other is not None and equal(value, other):
                return True
        return False

    return test


def _attribute_exists(operand: Getter) -> Test:
    return lambda item, values: operand(item, values) is not None


def _attribute_not_exists(operand: Getter) -> Test:
    return lambda item, values: operand(item, values) is None


def _attribute_type(operand: Getter, kind: Getter) -> Test:
    def test(item: Item, values: Item) -> bool:
        value, name = operand(item, values), kind(item, values)
        return value is not None and name is not None and name.get("S") in value

    return test


def _begins_with(operand: Getter, prefix: Getter) -> Test:
    def test(item: Item, values: Item) -> bool:
        value, start = operand(item, values), prefix(item, values)
        if value is None or start is None:
            return False
        if "S" in value and "S" in start:
            return bool(value["S"].startswith(start["S"]))
        return "B" in value and "B" in start and b64decode(value["B"]).startswith(b64decode(start["B"]))

    return test


def _contains(operand: Getter, member: Getter) -> Test:
    def test(item: Item, values: Item) -> bool:
        value, member_value = operand(item, values), member(item, values)
        return value is not None and member_value is not None and _holds(value, member_value)

    return test


def _holds(value: AttributeValue, member_value: AttributeValue) -> bool:
    ((kind, content),) = value.items()
    if kind == "L":
        return any(equal(element, member_value) for element in content)
    ((member_kind, member_content),) = member_value.items()
    if kind == "S":
        return member_kind == "S" and member_content in content
    if kind == "B":
        return member_kind == "B" and b64decode(member_content) in b64decode(content)
    # A set's type is its members' type followed by S. Numbers are canonical: equal numbers are equal texts.
    return bool(kind == member_kind + "S" and member_content in content)


FUNCTION_TESTS: dict[str, Callable[..., Test]] = {
    "attribute_exists": _attribute_exists,
    "attribute_not_exists": _attribute_not_exists,
    "attribute_type": _attribute_type,
    "begins_with": _begins_with,
    "contains": _contains,
}


def size_of(operand: Getter) -> Getter:
    """Return the getter of ``size``: characters of a string, bytes of a binary, number of members of other types."""

    def size(item: Item, values: Item) -> AttributeValue | None:
        value = operand(item, values)
        if value is None:
            return None
        ((kind, content),) = value.items()
        if kind == "B":
            return {"N": str(len(b64decode(content)))}
        if kind in ("N", "BOOL", "NULL"):
            return None
        return {"N": str(len(content))}

    return size
