"""Translate the legacy parameters, which expressions replaced.

Each is converted to the same form as the expression that replaced it, so that the same code evaluates both. Source:
Developer Guide, "Legacy conditional parameters".

    Expected, QueryFilter, ScanFilter   a condition        EQ → =, NULL → attribute_not_exists(…), …
    AttributeUpdates                    an update          PUT → SET, DELETE → REMOVE or DELETE, ADD → ADD
    KeyConditions                       a key condition
    AttributesToGet                     a projection of whole attributes

Legacy parameters allow fewer types than expressions, but ADD also allows lists, to which it appends.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

from bursar.dynamo.errors import invalid, invalid_parameter
from bursar.dynamo.expressions import BoundCondition, BoundProjection, BoundUpdate
from bursar.dynamo.expressions.evaluation.key_condition import TOO_MANY, KeyConditions
from bursar.dynamo.expressions.evaluation.placeholders import ExpressionScope, ResolvedPath
from bursar.dynamo.expressions.evaluation.tree_builder import NO_EXPRESSION, TreeBuilder
from bursar.dynamo.expressions.evaluation.update import compiled_from_leaves
from bursar.dynamo.expressions.evaluation.update_actions import LONG_NAMES, Leaf, add_value, delete_members
from bursar.dynamo.expressions.parsing.syntax_tree import (
    Between,
    Comparison,
    Condition,
    FunctionCall,
    In,
    Logical,
    Not,
    Path,
    Value,
)
from bursar.dynamo.items.attribute_values import EMPTY_NAME, AttributeValue, Item, compare, normalise
from bursar.dynamo.operations.requests.common_members import ATTRIBUTE_MAP, STRING
from bursar.dynamo.operations.requests.shapes import (
    BooleanShape,
    ListShape,
    MapShape,
    Shape,
    StringShape,
    StructureShape,
)

OPERATORS = (
    *("IN", "NULL", "BETWEEN", "LT", "NOT_CONTAINS", "EQ", "GT", "NOT_NULL", "NE", "LE", "BEGINS_WITH", "GE"),
    "CONTAINS",
)
_OPERATOR = StringShape(choices=OPERATORS)
_CONDITIONED: dict[str, Shape] = {"AttributeValueList": ListShape(ATTRIBUTE_MAP), "ComparisonOperator": _OPERATOR}

EXPECTED = MapShape(StructureShape({"Value": ATTRIBUTE_MAP, "Exists": BooleanShape(), **_CONDITIONED}))
CONDITIONS = MapShape(StructureShape(_CONDITIONED, ("ComparisonOperator",)))
ATTRIBUTE_UPDATES = MapShape(
    StructureShape({"Value": ATTRIBUTE_MAP, "Action": StringShape(choices=("ADD", "PUT", "DELETE"))})
)
ATTRIBUTES_TO_GET = ListShape(STRING, fewest=1)
CONDITIONAL_OPERATOR = StringShape(choices=("OR", "AND"))

NOT_INDEXABLE = "Attempted conditional constraint is not an indexable operation"
MISMATCH = "Type mismatch for attribute to update"
BOUNDS = "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
NEEDS_VALUE = "Only DELETE action is allowed when no attribute value is specified"

_SCALARS = frozenset({"S", "N", "B"})
_MEMBERS = _SCALARS | {"BOOL", "NULL"}
_ALLOWED: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("LT", "LE", "GT", "GE", "BETWEEN", "IN"), _SCALARS),
    **dict.fromkeys(("CONTAINS", "NOT_CONTAINS"), _MEMBERS),
    "BEGINS_WITH": frozenset({"S", "B"}),
}
"""The types of operands of the operators that do not take all types."""
_COUNTS: Mapping[str, tuple[int, int | None]] = {"NULL": (0, 0), "NOT_NULL": (0, 0), "BETWEEN": (2, 2), "IN": (1, None)}
"""(fewest, most) operands of the operators that do not take exactly one."""
_KEY_OPERATORS = {
    "EQ": "=",
    "LT": "<",
    "LE": "<=",
    "GT": ">",
    "GE": ">=",
    "BETWEEN": "BETWEEN",
    "BEGINS_WITH": "begins_with",
}


# --- conditions -----------------------------------------------------------------------------------------------------


def expected(request: Mapping[str, Any]) -> BoundCondition | None:
    """Return the condition of ``Expected``, joined by ``ConditionalOperator``."""
    given = request.get("Expected")
    return _joined(request, None if given is None else {name: _expectation(name, one) for name, one in given.items()})


def filtered(request: Mapping[str, Any], member: str) -> BoundCondition | None:
    """Return the condition of ``QueryFilter`` or ``ScanFilter``, joined by ``ConditionalOperator``."""
    given = request.get(member)
    return _joined(request, None if given is None else {name: _condition(one) for name, one in given.items()})


def key_conditions(given: Mapping[str, Any]) -> KeyConditions:
    """Return ``KeyConditions``, as ``resolve_key_conditions`` takes them."""
    if not given:
        raise invalid(TOO_MANY)
    conditions = {}
    for name, one in given.items():
        operator, operands = _condition(one)
        if operator not in _KEY_OPERATORS:
            raise invalid(NOT_INDEXABLE)
        conditions[name] = _KEY_OPERATORS[operator], operands
    return conditions


_Condition = tuple[str, list[AttributeValue]]


def _expectation(name: str, given: Mapping[str, Any]) -> _Condition:
    """Return the operator and the operands of one attribute of ``Expected``.

    Its older form has ``Exists`` instead of an operator.
    """
    value, operator = given.get("Value"), given.get("ComparisonOperator")
    exists, operands = given.get("Exists"), given.get("AttributeValueList")
    if value is not None and operands is not None:
        raise _at(name, "Value and AttributeValueList cannot be used together")
    if operator is not None:
        if exists is not None:
            raise _at(name, "Exists and ComparisonOperator cannot be used together")
        if value is None and operands is None and operator not in ("NULL", "NOT_NULL"):
            raise _at(name, f"Value or AttributeValueList must be used with ComparisonOperator: {operator}")
        return _checked(operator, operands or ([] if value is None else [value]))
    if operands is not None:
        raise _at(name, "AttributeValueList can only be used with a ComparisonOperator")
    if exists is False:
        if value is not None:
            raise _at(name, "Value cannot be used when Exists is false")
        return "NULL", []
    if value is None:
        raise _at(name, f"Value must be provided when Exists is {'null' if exists is None else 'true'}")
    return "EQ", [normalise(value)]


def _at(name: str, problem: str) -> Exception:
    return invalid_parameter(f"{problem} for Attribute: {name}")


def _condition(given: Mapping[str, Any]) -> _Condition:
    return _checked(given["ComparisonOperator"], given.get("AttributeValueList") or [])


def _checked(operator: str, given: Sequence[Any]) -> _Condition:
    """Return the operator and its operands, normalised. Raise ValidationException for wrong counts and types."""
    operands = [normalise(operand) for operand in given]
    fewest, most = _COUNTS.get(operator, (1, 1))
    if len(operands) < fewest or (most is not None and len(operands) > most):
        raise invalid_parameter(f"Invalid number of argument(s) for the {operator} ComparisonOperator")
    kinds = [next(iter(operand)) for operand in operands]
    for kind in kinds:
        if kind not in _ALLOWED.get(operator, (kind,)):
            raise invalid_parameter(f"ComparisonOperator {operator} is not valid for {kind} AttributeValue type")
    if len(set(kinds)) > 1:
        raise invalid_parameter("AttributeValues inside AttributeValueList must be of same type")
    if operator == "BETWEEN" and compare(*operands) == 1:
        raise invalid(BOUNDS)
    return operator, operands


def _joined(request: Mapping[str, Any], conditions: Mapping[str, _Condition] | None) -> BoundCondition | None:
    """Return the conditions joined by ``ConditionalOperator``, which needs at least two of them."""
    operator = request.get("ConditionalOperator")
    if not conditions:
        if operator is not None:
            raise invalid("ConditionalOperator cannot be used without Filter or Expected")
        return None
    if operator is not None and len(conditions) < 2:
        raise invalid("ConditionalOperator can only be used when Filter or Expected has two or more elements")
    builder = TreeBuilder()
    nodes = [
        _NODES[kind](builder.path(name), [builder.value(operand) for operand in operands])
        for name, (kind, operands) in conditions.items()
    ]
    return builder.condition(reduce(lambda left, right: Logical(operator or "AND", left, right), nodes))


def _compared(sign: str) -> "_Node":
    return lambda path, operands: Comparison(sign, path, operands[0])


def _called(function: str) -> "_Node":
    return lambda path, operands: FunctionCall(function, (path, *operands))


def _lacks(path: Path, operands: Sequence[Value]) -> Condition:
    # A missing attribute neither contains nor lacks a value.
    return Logical("AND", FunctionCall("attribute_exists", (path,)), Not(FunctionCall("contains", (path, *operands))))


_Node = Callable[[Path, Sequence[Value]], Condition]
_NODES: Mapping[str, _Node] = {
    **{name: _compared(sign) for name, sign in {"EQ": "=", "NE": "<>", "LT": "<", "LE": "<="}.items()},
    **{name: _compared(sign) for name, sign in {"GT": ">", "GE": ">="}.items()},
    "NULL": _called("attribute_not_exists"),
    "NOT_NULL": _called("attribute_exists"),
    "CONTAINS": _called("contains"),
    "NOT_CONTAINS": _lacks,
    "BEGINS_WITH": _called("begins_with"),
    "IN": lambda path, operands: In(path, tuple(operands)),
    "BETWEEN": lambda path, operands: Between(path, operands[0], operands[1]),
}


# --- projections ----------------------------------------------------------------------------------------------------


def projection(names: Sequence[str]) -> BoundProjection:
    """Return the projection of ``AttributesToGet``: whole attributes, each named once."""
    for position, name in enumerate(names):
        if not name:
            raise invalid(EMPTY_NAME)
        if name in names[:position]:
            raise invalid_parameter(f"Duplicate value in attribute name: {name}")
    paths: tuple[ResolvedPath, ...] = tuple((name,) for name in names)
    return BoundProjection(paths, dict.fromkeys(names), tuple(names), frozenset(), frozenset())


# --- updates --------------------------------------------------------------------------------------------------------


def update(given: Mapping[str, Any]) -> BoundUpdate | None:
    """Return the update of ``AttributeUpdates``; None when there are none."""
    if not given:
        return None
    leaves: list[tuple[ResolvedPath, Leaf]] = []
    types: list[str | None] = []
    for name, one in given.items():
        if not name:
            raise invalid(EMPTY_NAME)
        action = one.get("Action") or "PUT"
        value = one.get("Value")
        if value is None:
            if action != "DELETE":
                raise invalid_parameter(NEEDS_VALUE)
            leaves.append(((name,), _removed))
            types.append(None)
            continue
        normal = normalise(value)
        kind = next(iter(normal))
        _check_action(action, kind)
        leaves.append(((name,), _LEAVES[action](normal)))
        types.append(kind)
    only_removes = all(one.get("Action") == "DELETE" for one in given.values())
    return BoundUpdate(
        compiled_from_leaves(ExpressionScope(NO_EXPRESSION, (), ()), leaves, types, only_removes=only_removes), {}
    )


_ACTION_TYPES = {
    "PUT": None,
    "ADD": frozenset({"N", "SS", "NS", "BS", "L"}),
    "DELETE": frozenset({"SS", "NS", "BS"}),
}


def _check_action(action: str, kind: str) -> None:
    allowed = _ACTION_TYPES[action]
    if allowed is not None and kind not in allowed:
        called = "DELETE action with value" if action == "DELETE" else f"{action} action"
        raise invalid_parameter(f"{called} is not supported for the type {LONG_NAMES[kind]}")


def _removed(_old: AttributeValue | None, _item: Item, _values: Item) -> None:
    return None


def _put(value: AttributeValue) -> Leaf:
    return lambda _old, _item, _values: value


def _add(value: AttributeValue) -> Leaf:
    def leaf(old: AttributeValue | None, _item: Item, _values: Item) -> AttributeValue | None:
        _check_same_type(old, value)
        if old is not None and "L" in old:
            return {"L": [*old["L"], *value["L"]]}
        return add_value(old, value)

    return leaf


def _delete(value: AttributeValue) -> Leaf:
    def leaf(old: AttributeValue | None, _item: Item, _values: Item) -> AttributeValue | None:
        _check_same_type(old, value)
        return delete_members(old, value)

    return leaf


def _check_same_type(old: AttributeValue | None, value: AttributeValue) -> None:
    if old is not None and old.keys() != value.keys():
        raise invalid(MISMATCH)


_LEAVES: Mapping[str, Callable[[AttributeValue], Leaf]] = {"PUT": _put, "ADD": _add, "DELETE": _delete}
