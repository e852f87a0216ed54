"""The operands of conditions, and what DynamoDB checks about them before it looks at any item."""

from collections.abc import Sequence
from typing import NamedTuple

from bursar.dynamo.errors import invalid
from bursar.dynamo.expressions.binding import Scope
from bursar.dynamo.expressions.paths import Getter, ResolvedPath, getter, written
from bursar.dynamo.expressions.predicates import size_of
from bursar.dynamo.expressions.tree import Call, Operand, Path, Value
from bursar.dynamo.values import ORDERS, TYPES, AttributeValue, Item, compare

CONDITION_FUNCTIONS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
    "size": 1,
}
"""Functions of conditions and how many operands each takes."""

UPDATE_ONLY_FUNCTIONS = frozenset({"if_not_exists", "list_append"})

_SIZELESS = frozenset({"N", "BOOL", "NULL"})
_NOT_CONTAINERS = frozenset({"N", "BOOL", "NULL"})
_VALID_TYPES = "{B,NULL,SS,BOOL,L,BS,N,NS,S,M}"
_ANY_TYPE = "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"
_RETURNS = {"size": "N"}


class Bound(NamedTuple):
    """An operand that can be read: its path or its placeholder, and its type as far as it is known beforehand."""

    get: Getter
    type: str | None
    path: ResolvedPath | None = None
    placeholder: str | None = None


def bind_operand(scope: Scope, node: Operand) -> Bound:
    """``node`` with names resolved; what is wrong with it is noted in ``scope``."""
    if isinstance(node, Path):
        path = scope.path(node)
        return Bound(getter(path), None, path=path)
    if isinstance(node, Value):
        name = node.name
        return Bound(lambda _item, values: values[name], scope.value_type(name), placeholder=name)
    operands = tuple(bind_operand(scope, operand) for operand in node.operands)
    for operand in node.operands:
        if isinstance(operand, Call) and operand.name != "size":
            scope.note(
                "misused function",
                f"The function is not allowed to be used this way in an expression; function: {operand.name}",
            )
    check_call(scope, node.name, operands)
    return Bound(size_of(operands[0].get), _RETURNS.get(node.name, "BOOL"))


def check_call(scope: Scope, name: str, operands: Sequence[Bound]) -> None:
    """Notes an unknown function, a wrong number of operands, operands of a wrong kind or type."""
    count = CONDITION_FUNCTIONS.get(name)
    if count is None:
        known = name in UPDATE_ONLY_FUNCTIONS
        problem = "The function is not allowed in a condition expression" if known else "Invalid function name"
        scope.note("unknown function", f"{problem}; function: {name}")
        return
    if count != len(operands):
        scope.note(
            "operand count",
            "Incorrect number of operands for operator or function; "
            f"operator or function: {name}, number of operands: {len(operands)}",
        )
        return
    check_distinct(scope, name, operands)
    first = operands[0]
    if name in ("attribute_exists", "attribute_not_exists"):
        if first.path is None:
            scope.note(
                "operand type",
                f"Operator or function requires a document path; operator or function: {name}",
            )
    elif name == "attribute_type":
        _check_attribute_type(scope, operands[1])
    elif name == "begins_with":
        wrong = [operand.type for operand in operands if operand.type not in (None, "S", "B")]
        if wrong:
            _note_type(scope, name, wrong[0])
    elif (name == "size" and first.type in _SIZELESS) or (name == "contains" and first.type in _NOT_CONTAINERS):
        _note_type(scope, name, first.type)


def check_distinct(scope: Scope, operator: str, operands: Sequence[Bound]) -> None:
    """Notes an operator between a path and itself."""
    if len(operands) == 2 and operands[0].path is not None and operands[0].path == operands[1].path:
        scope.note(
            "distinct",
            "The first operand must be distinct from the remaining operands for this operator or function; "
            f"operator: {operator}, first operand: {written(operands[0].path)}",
        )


def check_ordered(scope: Scope, operator: str, operands: Sequence[Bound]) -> None:
    """Notes an operand of a type that has no order."""
    for operand in operands:
        if operand.type is not None and operand.type not in ORDERS:
            _note_type(scope, operator, operand.type)


def check_between(scope: Scope, lower: Bound, upper: Bound) -> None:
    """Adds the check that the two given bounds are of one type and in order."""
    if lower.placeholder is None or upper.placeholder is None:
        return
    low, high = lower.placeholder, upper.placeholder

    def check(values: Item) -> None:
        left, right = values[low], values[high]
        order = compare(left, right)
        if order is not None and order <= 0:
            return
        rule = "same data type for lower and upper bounds"
        if order is not None:
            rule = "upper bound to be greater than or equal to lower bound"
        raise scope.error(
            f"The BETWEEN operator requires {rule}; lower bound operand: AttributeValue: {_shown(left)}, "
            f"upper bound operand: AttributeValue: {_shown(right)}"
        )

    scope.late_checks.append(check)


def _check_attribute_type(scope: Scope, operand: Bound) -> None:
    if operand.type != "S":
        _note_type(scope, "attribute_type", operand.type or _ANY_TYPE)
        return
    if operand.placeholder is None:
        return
    placeholder = operand.placeholder

    def check(values: Item) -> None:
        name = values[placeholder]["S"]
        if name not in TYPES:
            raise invalid(
                f"Invalid {scope.kind}: Invalid attribute type name found; type: {name}, valid types: {_VALID_TYPES}"
            )

    scope.late_checks.append(check)


def _note_type(scope: Scope, name: str, kind: str | None) -> None:
    scope.note(
        "operand type",
        f"Incorrect operand type for operator or function; operator or function: {name}, operand type: {kind}",
    )


def _shown(value: AttributeValue) -> str:
    ((kind, content),) = value.items()
    return f"{{{kind}:{content}}}"
