"""Bind key conditions, and resolve them against a key schema to one range of encoded keys.

    keys = parse_key_condition("pk = :p AND begins_with(sk, :s)").bind(binding)
    keys.resolve(("pk",), ("sk",), {"pk": "S", "sk": "S"}) -> KeyRange

Key conditions use a small part of the grammar of conditions: one condition per key attribute, joined by AND, with an
equality for every partition key attribute. A key of several attributes (multi-attribute index keys) takes equalities
from the left and at most one other condition, on the last attribute named. Source: Developer Guide, "Multi-attribute
keys".
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import takewhile
from typing import NamedTuple, TypeAlias

from bursar.dynamo.errors import invalid, invalid_parameter
from bursar.dynamo.expressions.evaluation.condition import CompiledCondition, compiled_condition, use_compiled
from bursar.dynamo.expressions.evaluation.placeholders import (
    COMPILED_MAX,
    Binding,
    ExpressionScope,
    Pairs,
    ResolvedPath,
)
from bursar.dynamo.expressions.parsing.parser import CACHED_TREES, condition_tree
from bursar.dynamo.expressions.parsing.syntax_tree import (
    Between,
    Comparison,
    Condition,
    FunctionCall,
    In,
    Logical,
    Not,
    Operand,
    Path,
    Value,
)
from bursar.dynamo.items.attribute_values import AttributeValue, Item
from bursar.dynamo.items.key_encoding import after_prefix, compose_all, encode_key_prefix, encode_key_value

KIND = "KeyConditionExpression"
CONDITIONS_MAX = 8
"""The most conditions of a key: four partition key attributes and four sort key attributes."""

NOT_SUPPORTED = "Query key condition not supported"
TOO_MANY = "Conditions can be of length 1 or 2 only"

KeyConditions: TypeAlias = Mapping[str, tuple[str, Sequence[AttributeValue]]]
"""Attribute name → (operator, operands). The operators are = < <= > >= BETWEEN begins_with."""


class KeyRange(NamedTuple):
    """One partition, and a range of encoded sort keys in it.

    A sort key encoded by ``keys.compose_all``, with or without more attributes after it, lies in the range when
    ``lower <= key`` and, unless ``upper`` is None, ``key < upper``.
    """

    partition: tuple[AttributeValue, ...]
    partition_bytes: bytes
    lower: bytes
    upper: bytes | None

    def contains(self, sort_bytes: bytes) -> bool:
        """Return whether an encoded sort key lies in the range."""
        return self.lower <= sort_bytes and (self.upper is None or sort_bytes < self.upper)


class BoundKeyCondition:
    """A key condition with its values, not yet checked against a key schema."""

    __slots__ = ("_plan", "_values")

    def __init__(self, plan: "_KeyConditionPlan", values: Item) -> None:
        self._plan = plan
        self._values = values

    def conditions(self) -> dict[str, tuple[str, list[AttributeValue]]]:
        """Return the conditions by attribute name. Raise ValidationException for those that no key schema allows."""
        if self._plan.problem is not None:
            raise invalid(self._plan.problem)
        return {
            name: (operator, [self._values[operand] for operand in operands])
            for name, operator, operands in self._plan.conditions
        }

    def resolve(self, partition_names: Sequence[str], sort_names: Sequence[str], types: Mapping[str, str]) -> KeyRange:
        """Return the range of keys in a table or index with these key attributes and types (S, N or B)."""
        return resolve_key_conditions(self.conditions(), partition_names, sort_names, types)


class ParsedKeyCondition:
    """A key condition whose syntax is valid."""

    __slots__ = ("text", "tree")

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = condition_tree(text, KIND)

    def bind(self, binding: Binding) -> BoundKeyCondition:
        """Return the key condition with the request's values. Raise the errors of a condition's ``bind``."""
        compiled, plan = _compiled(self.text, binding.names, binding.types)
        use_compiled(compiled, binding)
        return BoundKeyCondition(plan, binding.values)


@lru_cache(CACHED_TREES)
def parse_key_condition(text: str) -> ParsedKeyCondition:
    """Return the parsed KeyConditionExpression. Raise its syntax error."""
    return ParsedKeyCondition(text)


def resolve_key_conditions(
    conditions: KeyConditions,
    partition_names: Sequence[str],
    sort_names: Sequence[str],
    types: Mapping[str, str],
) -> KeyRange:
    """Return the range of ``conditions``, which an expression or the legacy parameter KeyConditions gives."""
    operators = tuple([(name, condition[0]) for name, condition in conditions.items()])
    layout = _layout(operators, tuple(partition_names), tuple(sort_names))
    for name in layout.names:
        _check_operands(name, types[name], conditions[name][1])
    if layout.unsupported:
        raise invalid(NOT_SUPPORTED)
    partition = tuple([conditions[name][1][0] for name in partition_names])
    leading = compose_all([conditions[name][1][0] for name in layout.leading])
    if layout.last is None:
        bounds = leading, (after_prefix(leading) if leading else None)
    else:
        bounds = _bounds(leading, *conditions[layout.last])
    return KeyRange(partition, compose_all(partition), *bounds)


class _Layout(NamedTuple):
    """The conditions on a key schema's attributes, by their positions.

    ``names`` are the key attributes with a condition; ``leading`` the sort attributes with an equality, from the left;
    ``last`` the one after them with another condition; ``unsupported`` is True if Query does not support the
    conditions.
    """

    names: tuple[str, ...]
    leading: tuple[str, ...]
    last: str | None
    unsupported: bool


@lru_cache(COMPILED_MAX)
def _layout(operators: Pairs, partition_names: tuple[str, ...], sort_names: tuple[str, ...]) -> _Layout:
    by_name = dict(operators)
    _check_names(by_name, partition_names, sort_names)
    named = tuple(name for name in sort_names if name in by_name)
    leading = tuple(takewhile(lambda name: by_name[name] == "=", named))
    unsupported = any(by_name[name] != "=" for name in partition_names)
    return _Layout((*partition_names, *named), leading, next(iter(named[len(leading) :]), None), unsupported)


def _check_names(conditions: Mapping[str, str], partition_names: Sequence[str], sort_names: Sequence[str]) -> None:
    if len(conditions) > max(2, len(partition_names) + len(sort_names)):
        raise invalid(TOO_MANY)
    for name in partition_names:
        if not sort_names and len(conditions) > len(partition_names):
            raise invalid(NOT_SUPPORTED)
        if name not in conditions:
            raise invalid(f"Query condition missed key schema element: {name}")
    # Sort attributes are named from the left without a gap; any other name in the conditions is not a key attribute.
    for at, name in enumerate(sort_names):
        before = [one for one in sort_names[:at] if conditions.get(one) != "="] if name in conditions else []
        if before:
            raise invalid(
                f"RANGE key attributes {', '.join(before)} must have equality conditions specified in the query "
                f"because a condition is present on key attribute {name}"
            )
    missing = [name for name in sort_names if name not in conditions]
    if len(conditions) > len(partition_names) + len(sort_names) - len(missing):
        raise invalid(f"Query condition missed key schema element: {missing[0]}")


def _check_operands(name: str, kind: str, operands: Sequence[AttributeValue]) -> None:
    for operand in operands:
        if kind not in operand:
            raise invalid_parameter("Condition parameter type does not match schema type")
        if kind != "N" and not operand[kind]:
            empty = "string" if kind == "S" else "binary"
            raise invalid(
                "One or more parameter values are not valid. "
                f"The AttributeValue for a key attribute cannot contain an empty {empty} value. Key: {name}"
            )


def _bounds(leading: bytes, operator: str, operands: Sequence[AttributeValue]) -> tuple[bytes, bytes | None]:
    """Return the half-open range of sort keys that begin with ``leading`` and then fulfil the condition."""
    end = after_prefix(leading) if leading else None
    if operator == "begins_with":
        prefix = leading + encode_key_prefix(operands[0])
        return prefix, after_prefix(prefix)
    at = leading + encode_key_value(operands[0])
    if operator == "BETWEEN":
        return at, after_prefix(leading + encode_key_value(operands[1]))
    return {
        "<": (leading, at),
        "<=": (leading, after_prefix(at)),
        ">": (after_prefix(at) or at, end),
        ">=": (at, end),
    }[operator]


# --- the conditions in an expression ----------------------------------------------------------------


class _KeyConditionPlan(NamedTuple):
    """(attribute, operator, placeholders of the operands) of each condition, or the problem that forbids them."""

    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]
    problem: str | None


class _Forbidden(Exception):
    pass


_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@lru_cache(COMPILED_MAX)
def _compiled(text: str, names: Pairs, types: Pairs) -> tuple[CompiledCondition, _KeyConditionPlan]:
    compiled = compiled_condition(text, KIND, names, types)
    if compiled.problem is not None:
        return compiled, _KeyConditionPlan((), compiled.problem)
    scope = ExpressionScope(KIND, names, types)
    conditions: dict[str, tuple[str, tuple[str, ...]]] = {}
    try:
        for node in _joined(condition_tree(text, KIND).root):
            name, operator, operands = _planned(scope, node)
            if name in conditions:
                raise _Forbidden(f"Invalid {KIND}: KeyConditionExpressions must only contain one condition per key")
            conditions[name] = operator, operands
        if len(conditions) > CONDITIONS_MAX:
            raise _Forbidden(TOO_MANY)
    except _Forbidden as forbidden:
        return compiled, _KeyConditionPlan((), str(forbidden))
    return compiled, _KeyConditionPlan(tuple((name, *rest) for name, rest in conditions.items()), None)


def _joined(root: Condition) -> list[Condition]:
    """Return the conditions that AND joins, in the order written."""
    waiting, joined = [root], []
    while waiting:
        node = waiting.pop()
        if isinstance(node, Logical) and node.operator == "AND":
            waiting += (node.right, node.left)
        else:
            joined.append(node)
    return joined


def _planned(scope: ExpressionScope, node: Condition) -> tuple[str, str, tuple[str, ...]]:
    if isinstance(node, Logical | Not | In) or (isinstance(node, Comparison) and node.operator == "<>"):
        raise _Forbidden(f"Invalid operator used in {KIND}: {_operator(node)}")
    if isinstance(node, FunctionCall):
        if node.name != "begins_with":
            raise _Forbidden(f"Invalid operator used in {KIND}: {node.name}")
        return _attribute_first(scope, "begins_with", node.operands)
    if isinstance(node, Between):
        return _attribute_first(scope, "BETWEEN", (node.operand, node.lower, node.upper))
    name = _attribute(scope, (node.left, node.right))
    if isinstance(node.left, Path):
        return name, node.operator, _placeholders((node.right,))
    return name, _MIRRORED[node.operator], _placeholders((node.left,))


def _attribute_first(
    scope: ExpressionScope, operator: str, operands: Sequence[Operand]
) -> tuple[str, str, tuple[str, ...]]:
    if not isinstance(operands[0], Path):
        raise _Forbidden(
            f"Invalid condition in {KIND}: {operator} operator must have the key attribute as its first operand"
        )
    return _attribute(scope, operands), operator, _placeholders(operands[1:])


def _attribute(scope: ExpressionScope, operands: Sequence[Operand]) -> str:
    """Return the attribute among the operands of a condition, which must have exactly one."""
    paths: list[ResolvedPath] = []
    for operand in operands:
        if isinstance(operand, FunctionCall):
            raise _Forbidden("KeyConditionExpressions cannot contain nested operations")
        if isinstance(operand, Path):
            if paths:
                raise _Forbidden(f"Invalid condition in {KIND}: Multiple attribute names used in one condition")
            paths.append(scope.path(operand))
            if len(paths[0]) > 1:
                raise _Forbidden("KeyConditionExpressions cannot have conditions on nested attributes")
    if not paths:
        raise _Forbidden(f"Invalid condition in {KIND}: No key attribute specified")
    return str(paths[0][0])


def _placeholders(operands: Sequence[Operand]) -> tuple[str, ...]:
    return tuple(operand.name for operand in operands if isinstance(operand, Value))


def _operator(node: Condition) -> str:
    if isinstance(node, Logical | Comparison):
        return node.operator
    return "NOT" if isinstance(node, Not) else "IN"
