"""Find the ranges of keys that a WHERE clause needs: one for each partition key value that it allows.

pk = 'a' AND sk > 1 AND sk < 9 AND d = 2    one range of partition a; d = 2 is left
pk IN ['a', 'b'] AND sk = 1                 two single items
d = 2                                       no range: everything is read
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from bursar.dynamo.errors import DynamoError, invalid, invalid_parameter
from bursar.dynamo.expressions import KeyRange, resolve_key_conditions
from bursar.dynamo.items.attribute_values import AttributeValue
from bursar.dynamo.items.key_encoding import after_prefix
from bursar.dynamo.partiql.statement_values import StatementValues, is_constant
from bursar.dynamo.partiql.syntax_tree import Expression, FunctionExpression, OperatorExpression, Reference, Series
from bursar.dynamo.storage.rows import Span
from bursar.dynamo.storage.secondary_index import SecondaryIndex
from bursar.dynamo.storage.table import Table

RANGES_MAX = 100
"""The most combinations of key values that get a range each; with more of them everything is read."""

KEY_TYPE = "Key attribute's data type should match its data type in table's schema: Key {}"
NOT_SCHEMA_TYPE = "Condition parameter type does not match schema type"

_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

KeyBound = tuple[str, list[AttributeValue]]
"""(operator, operands), as ``resolve_key_conditions`` takes them."""


class PartitionSpan(NamedTuple):
    """A range of encoded keys, and the encoded partition in which it lies."""

    partition: bytes
    span: Span


class Ranges(NamedTuple):
    """The ranges in the order of their keys, and whether they cover the whole clause.

    They never cover BETWEEN: the condition checks that its bounds are in order.
    """

    spans: tuple[PartitionSpan, ...]
    complete: bool


class KeyLayout(NamedTuple):
    """The key attributes of a table or an index, and their types."""

    partition: tuple[str, ...]
    sort: tuple[str, ...]
    types: dict[str, str]

    @classmethod
    def of(cls, table: Table, index: SecondaryIndex | None) -> "KeyLayout":
        """Return the layout of a table, or of its index."""
        if index is None:
            return cls(table.key_names[:1], table.key_names[1:], dict(table.types))
        return cls(index.partition_names, index.sort_names, dict(index.types))


def key_ranges(layout: KeyLayout, conjuncts: Sequence[Expression], values: StatementValues) -> Ranges | None:
    """Return the ranges; None when the clause does not name every partition key attribute."""
    used: set[int] = set()
    partitions = [_equalities(name, layout, conjuncts, values, used) for name in layout.partition]
    if any(found is None for found in partitions):
        return None
    leading: dict[str, list[AttributeValue]] = {}
    bounds: list[KeyBound] = []
    last = ""
    for name in layout.sort:
        equal = _equalities(name, layout, conjuncts, values, used)
        if equal is None:
            last, bounds = name, _bounds(name, layout, conjuncts, values, used)
            break
        leading[name] = equal
    choices = [found or [] for found in partitions] + list(leading.values())
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > RANGES_MAX:
        return None
    names = (*layout.partition, *leading)
    spans = {
        span
        for combination in product(*choices)
        if (span := _span(layout, dict(zip(names, combination, strict=True)), last, bounds)) is not None
    }
    complete = len(used) == len(conjuncts) and all(operator != "BETWEEN" for operator, _ in bounds)
    return Ranges(tuple(sorted(spans, key=lambda one: (one.partition, one.span.low))), complete)


def _span(
    layout: KeyLayout, equal: dict[str, AttributeValue], last: str, bounds: list[KeyBound]
) -> PartitionSpan | None:
    """Return one range, narrowed by the bounds of the last attribute; None for an empty range."""
    conditions: dict[str, KeyBound] = {name: ("=", [value]) for name, value in equal.items()}
    each = [{**conditions, last: bound} for bound in bounds] or [conditions]
    found = [resolve_key_conditions(one, layout.partition, layout.sort, layout.types) for one in each]
    low = max(one.lower for one in found)
    highs = [one.upper for one in found if one.upper is not None]
    if highs and min(highs) <= low:
        return None
    return PartitionSpan(found[0].partition_bytes, _whole(found[0], low, min(highs) if highs else None))


def _whole(of: KeyRange, low: bytes, high: bytes | None) -> Span:
    prefix = of.partition_bytes
    return Span(prefix + low, True, after_prefix(prefix) if high is None else prefix + high)


# --- the conditions on one attribute --------------------------------------------------------------------------------


def equality(node: Expression, name: str) -> Expression | None:
    """Return the constant if ``node`` is an equality of the attribute and a constant."""
    if isinstance(node, OperatorExpression) and node.operator == "=":
        for this, other in (node.operands, node.operands[::-1]):
            if _names(this, name) and is_constant(other):
                return other
    return None


def constant_of_key(name: str, kind: str, node: Expression, values: StatementValues) -> AttributeValue:
    """Return the value of a key attribute. Raise ValidationException when its type is not the attribute's."""
    value = values.constant(node)
    if kind not in value:
        raise wrong_key_type(name)
    return value


def wrong_key_type(name: str) -> DynamoError:
    """Return the error for a key attribute with a type other than the table's."""
    return invalid(KEY_TYPE.format(name))


def _equalities(
    name: str, layout: KeyLayout, conjuncts: Sequence[Expression], values: StatementValues, used: set[int]
) -> list[AttributeValue] | None:
    """Return the values that one condition allows the attribute, and mark the condition as used."""
    for position, node in enumerate(conjuncts):
        if position in used:
            continue
        constants = _allowed(node, name)
        if constants is not None:
            used.add(position)
            if equality(node, name) is not None:
                return [constant_of_key(name, layout.types[name], constants[0], values)]
            return [_of_schema_type(name, layout, one, values) for one in constants]
    return None


def _of_schema_type(name: str, layout: KeyLayout, node: Expression, values: StatementValues) -> AttributeValue:
    value = values.constant(node)
    if layout.types[name] not in value:
        raise invalid_parameter(NOT_SCHEMA_TYPE)
    return value


def _allowed(node: Expression, name: str) -> list[Expression] | None:
    """Return the constants of ``name = …``, of ``name IN […]``, or of several of those joined by OR."""
    constant = equality(node, name)
    if constant is not None:
        return [constant]
    if not isinstance(node, OperatorExpression):
        return None
    if node.operator == "in":
        left, right = node.operands
        if _names(left, name) and isinstance(right, Series) and all(map(is_constant, right.elements)):
            return list(right.elements)
    if node.operator == "or":
        found: list[Expression] = []
        for side in _sides(node):
            constants = _allowed(side, name)
            if constants is None:
                return None
            found += constants
        return found
    return None


def _sides(node: OperatorExpression) -> list[Expression]:
    """Return the expressions that OR joins."""
    sides: list[Expression] = []
    waiting: list[Expression] = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, OperatorExpression) and one.operator == "or":
            waiting += one.operands
        else:
            sides.append(one)
    return sides


def _bounds(
    name: str, layout: KeyLayout, conjuncts: Sequence[Expression], values: StatementValues, used: set[int]
) -> list[KeyBound]:
    """Return the conditions that bound the attribute from below or above, and mark them as used."""
    bounds = []
    for position, node in enumerate(conjuncts):
        found = _bound(node, name)
        if found is not None:
            operator, constants = found
            used.add(position)
            kind = layout.types[name]
            bounds.append((operator, [constant_of_key(name, kind, one, values) for one in constants]))
    return bounds


def _bound(node: Expression, name: str) -> tuple[str, list[Expression]] | None:
    if isinstance(node, FunctionExpression):
        if node.name == "begins_with" and len(node.operands) == 2:
            path, prefix = node.operands
            if _names(path, name) and is_constant(prefix):
                return "begins_with", [prefix]
        return None
    if not isinstance(node, OperatorExpression):
        return None
    if node.operator == "between":
        path, lower, upper = node.operands
        if _names(path, name) and is_constant(lower) and is_constant(upper):
            return "BETWEEN", [lower, upper]
    elif node.operator in _MIRRORED:
        left, right = node.operands
        if _names(left, name) and is_constant(right):
            return node.operator, [right]
        if _names(right, name) and is_constant(left):
            return _MIRRORED[node.operator], [left]
    return None


def _names(node: Expression, name: str) -> bool:
    return isinstance(node, Reference) and node.parts == (name,)
