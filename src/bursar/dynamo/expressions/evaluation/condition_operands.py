"""Bind the operands of conditions, and run DynamoDB's checks that need no item."""

from collections.abc import Sequence
from typing import NamedTuple

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.expressions.evaluation.paths import Getter, getter, not_distinct
from bursar.dynamo.expressions.evaluation.placeholders import ExpressionScope, ResolvedPath
from bursar.dynamo.expressions.parsing.static_checks import CONDITION_FUNCTIONS
from bursar.dynamo.expressions.parsing.syntax_tree import Path, Value
from bursar.dynamo.items.attribute_values import ORDERS, TYPES, AttributeValue, Item, compare

SIZE_TYPE = "N"
"""The type of the result of the function ``size``."""

_SIZELESS = frozenset({"N", "BOOL", "NULL"})
_VALID_TYPES = "{B,NULL,SS,BOOL,L,BS,N,NS,S,M}"
_ANY_TYPE = "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"


class ConditionOperand(NamedTuple):
    """An operand of a condition: its getter, its type if the request shows it, and its path or its placeholder."""

    get: Getter
    type: str | None
    path: ResolvedPath | None = None
    placeholder: str | None = None

    @property
    def attribute(self) -> str | None:
        """Return the attribute's name when the operand is a whole attribute."""
        return str(self.path[0]) if self.path is not None and len(self.path) == 1 else None


def bind_operand(scope: ExpressionScope, node: Path | Value) -> ConditionOperand:
    """Return a path or a value placeholder, resolved."""
    if isinstance(node, Path):
        path = scope.path(node)
        return ConditionOperand(getter(path), None, path=path)
    name = node.name
    return ConditionOperand(lambda _item, values: values[name], scope.value_type(name), placeholder=name)


def check_call(scope: ExpressionScope, name: str, operands: Sequence[ConditionOperand]) -> None:
    """Raise ValidationException for a wrong number of operands, and for operands of a wrong kind or type."""
    if len(operands) != CONDITION_FUNCTIONS[name]:
        raise scope.error(
            "Incorrect number of operands for operator or function; "
            f"operator or function: {name}, number of operands: {len(operands)}"
        )
    check_distinct(scope, name, operands)
    first = operands[0]
    if name in ("attribute_exists", "attribute_not_exists"):
        if first.path is None:
            raise scope.error(f"Operator or function requires a document path; operator or function: {name}")
    elif name == "attribute_type":
        _check_attribute_type(scope, operands[1])
    elif name == "begins_with":
        for operand in operands:
            if operand.type not in (None, "S", "B"):
                raise _wrong_type(scope, name, operand.type)
    elif name == "size" and first.type in _SIZELESS:
        raise _wrong_type(scope, name, first.type)


def check_distinct(scope: ExpressionScope, operator: str, operands: Sequence[ConditionOperand]) -> None:
    """Raise ValidationException when the first operand is a path that is also another operand."""
    first = operands[0].path
    if first is not None and any(operand.path == first for operand in operands[1:]):
        raise not_distinct(scope, operator, first)


def check_ordered(scope: ExpressionScope, operator: str, operands: Sequence[ConditionOperand]) -> None:
    """Raise ValidationException for an operand of a type that has no order."""
    for operand in operands:
        if operand.type is not None and operand.type not in ORDERS:
            raise _wrong_type(scope, operator, operand.type)


def check_between(scope: ExpressionScope, lower: ConditionOperand, upper: ConditionOperand) -> None:
    """Add the late check that two bounds given as values have one type and are in order."""
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


def _check_attribute_type(scope: ExpressionScope, operand: ConditionOperand) -> None:
    if operand.type != "S" or operand.placeholder is None:
        raise _wrong_type(scope, "attribute_type", operand.type or _ANY_TYPE)
    placeholder = operand.placeholder

    def check(values: Item) -> None:
        name = values[placeholder]["S"]
        if name not in TYPES:
            raise scope.error(f"Invalid attribute type name found; type: {name}, valid types: {_VALID_TYPES}")

    scope.late_checks.append(check)


def _wrong_type(scope: ExpressionScope, name: str, kind: str | None) -> DynamoError:
    return scope.error(
        f"Incorrect operand type for operator or function; operator or function: {name}, operand type: {kind}"
    )


def _shown(value: AttributeValue) -> str:
    ((kind, content),) = value.items()
    return f"{{{kind}:{content}}}"
