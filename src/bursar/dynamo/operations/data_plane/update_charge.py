"""The size that UpdateItem's own limit of 400 KB measures, in addition to the size of the finished item.

Amazon charges an UpdateExpression for what it writes: 3 bytes, and for each clause

    SET target = operand      19 + target + operand
    ADD target :v             19 + target + :v
    REMOVE t, DELETE t :v     1 + target

A target costs its first name, and 4 bytes more than each later element; an index costs its digits. As operands, a value
costs its size, a path 1 byte and 14 more than each element, a function or an operator a fixed cost and its operands.
The key and untouched attributes are free, so the limit may be reached by an item of less than 400 KB. Transactions,
statements and AttributeUpdates have the limit of the finished item alone. Source: figures measured in us-east-1 and 21
other regions by paritysuite/dynamodb-conformance (itemSizeBySurface, October 2026).
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from bursar.dynamo.errors import invalid
from bursar.dynamo.expressions.parsing.parser import CACHED_TREES, update_tree
from bursar.dynamo.expressions.parsing.syntax_tree import Operand, Path, PathAction, Value
from bursar.dynamo.items.attribute_values import ITEM_BYTES_MAX, TOO_LARGE_TO_UPDATE, normalise, value_size

BASE_BYTES = 3
WRITE_BYTES = 19
REMOVE_BYTES = 1
TARGET_ELEMENT_BYTES = 4
PATH_BYTES, PATH_ELEMENT_BYTES = 1, 14
FUNCTION_BYTES = {"+": 34, "-": 37, "list_append": 37, "if_not_exists": 39}
TEXT_CHARACTER_BYTES_MAX = 40
"""The most bytes that one character of an expression can cost, without the values that it names."""
_PLAIN_BYTES = 22
"""The most bytes of a number, the largest of the short types."""


def check_charge(request: Mapping[str, Any]) -> None:
    """Raise ValidationException when the update expression of a valid request is charged more than 400 KB."""
    text, values = request.get("UpdateExpression"), request.get("ExpressionAttributeValues")
    if text is None or values is None:
        return
    total = 0
    for value in values.values():
        if "S" in value:
            total += len(value["S"])
        elif "N" in value or "BOOL" in value:
            total += _PLAIN_BYTES
        else:
            total += value_size(normalise(value))
    if total <= _always_allowed(text):
        return
    names = request.get("ExpressionAttributeNames") or {}
    charge = BASE_BYTES + sum(_clause(action, names, values) for action in update_tree(text).actions)
    if charge > ITEM_BYTES_MAX:
        raise invalid(TOO_LARGE_TO_UPDATE)


@lru_cache(CACHED_TREES)
def _always_allowed(text: str) -> int:
    """Return how many characters the values of an update expression may have in all without reaching the limit."""
    # An ASCII character is a byte, any other has at most 4; a value may be used at each colon.
    return (ITEM_BYTES_MAX - TEXT_CHARACTER_BYTES_MAX * len(text)) // (4 * max(1, text.count(":")))


def _clause(action: PathAction, names: Mapping[str, str], values: Mapping[str, Any]) -> int:
    target = _elements(action.path, names)
    target_bytes = sum(target) + TARGET_ELEMENT_BYTES * (len(target) - 1)
    if action.section in ("REMOVE", "DELETE") or action.operand is None:
        return REMOVE_BYTES + target_bytes
    return WRITE_BYTES + target_bytes + _operand(action.operand, names, values)


def _operand(node: Operand, names: Mapping[str, str], values: Mapping[str, Any]) -> int:
    if isinstance(node, Value):
        return value_size(normalise(values[node.name]))
    if isinstance(node, Path):
        elements = _elements(node, names)
        return PATH_BYTES + sum(elements) + PATH_ELEMENT_BYTES * len(elements)
    return FUNCTION_BYTES[node.name] + sum(_operand(operand, names, values) for operand in node.operands)


def _elements(path: Path, names: Mapping[str, str]) -> Sequence[int]:
    """Return the bytes of each element of a path."""
    return [len(str(part)) if isinstance(part, int) else len(names.get(part, part).encode()) for part in path.parts]
