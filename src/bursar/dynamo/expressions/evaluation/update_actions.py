"""Compile the actions of an update: SET and its operands, ADD, DELETE, REMOVE, and the types that each allows.

An action becomes a *leaf*: (the old value at its path or None, the old item, the values) → the new value, or None to
remove it.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from bursar.dynamo.errors import invalid
from bursar.dynamo.expressions.evaluation.paths import Getter, getter, not_distinct
from bursar.dynamo.expressions.evaluation.placeholders import ExpressionScope
from bursar.dynamo.expressions.parsing.static_checks import UPDATE_FUNCTIONS
from bursar.dynamo.expressions.parsing.syntax_tree import FunctionCall, Operand, Path, Value
from bursar.dynamo.items import numbers
from bursar.dynamo.items.attribute_values import AttributeValue, Item, in_set_order

Leaf: TypeAlias = Callable[[AttributeValue | None, Item, Item], AttributeValue | None]
OperandReader: TypeAlias = Callable[[Item, Item], AttributeValue]
"""(item, expression values) → the operand's value; raises ValidationException when the item lacks it."""
UpdateOperand: TypeAlias = tuple[OperandReader, str | None]
"""A reader, and the type of its values if it is known before an item is read."""

WRONG_TYPE = "An operand in the update expression has an incorrect data type"
MISSING = "The provided expression refers to an attribute that does not exist in the item"

LONG_NAMES = {
    "S": "STRING",
    "N": "NUMBER",
    "B": "BINARY",
    "NULL": "NULL",
    "BOOL": "BOOLEAN",
    "L": "LIST",
    "M": "MAP",
}
"""The names that errors of ADD and DELETE give to the types that those reject."""

_SETS = frozenset({"SS", "NS", "BS"})
_ALLOWED = {"ADD": _SETS | {"N"}, "DELETE": _SETS}


def compile_action(scope: ExpressionScope, section: str, operand: Operand | None) -> tuple[Leaf, str | None]:
    """Return (the leaf, the new type of the attribute, or None if that depends on the item)."""
    if operand is None:
        return _remove, None
    if not isinstance(operand, Value):  # only SET has operands other than values
        read, kind = _operand(scope, operand)
        return (lambda _old, item, values: read(item, values)), kind
    name = operand.name
    kind = scope.value_type(name)
    if section == "SET":
        return (lambda _old, _item, values: values[name]), kind
    if kind not in _ALLOWED[section]:
        raise scope.error(
            "Incorrect operand type for operator or function; "
            f"operator: {section}, operand type: {LONG_NAMES[kind]}, typeSet: ALLOWED_FOR_{section}_OPERAND"
        )
    change = add_value if section == "ADD" else delete_members
    return (lambda old, _item, values: change(old, values[name])), kind


def _remove(_old: AttributeValue | None, _item: Item, _values: Item) -> None:
    return None


def add_value(old: AttributeValue | None, value: AttributeValue) -> AttributeValue:
    """Return the sum of two numbers or of two sets (ADD). Raise ValidationException for other types."""
    if old is None:
        return value
    ((kind, content),) = value.items()
    present = old.get(kind)
    if present is None:
        raise invalid(WRONG_TYPE)
    if kind == "N":
        return {"N": numbers.add(present, content)}
    known = set(present)
    return {kind: in_set_order(kind, [*present, *(member for member in content if member not in known)])}


def delete_members(old: AttributeValue | None, value: AttributeValue) -> AttributeValue | None:
    """Return the set without the given members, or None (DELETE). Raise ValidationException for other types."""
    if old is None:
        return None
    ((kind, content),) = value.items()
    present = old.get(kind)
    if present is None:
        raise invalid(WRONG_TYPE)
    unwanted = set(content)
    kept = [member for member in present if member not in unwanted]
    return {kind: kept} if kept else None


# --- operands of SET --------------------------------------------------------------------------------


def _operand(scope: ExpressionScope, node: Operand) -> UpdateOperand:
    if isinstance(node, Path):
        return _required(getter(scope.path(node))), None
    if isinstance(node, Value):
        name = node.name
        return (lambda _item, values: values[name]), scope.value_type(name)
    operands = [_operand(scope, operand) for operand in node.operands]
    if len(operands) != UPDATE_FUNCTIONS[node.name]:
        raise scope.error(
            "Incorrect number of operands for operator or function; "
            f"operator or function: {node.name}, number of operands: {len(operands)}"
        )
    return _FUNCTIONS[node.name](scope, node, operands)


def _required(get: Getter) -> OperandReader:
    def read(item: Item, values: Item) -> AttributeValue:
        value = get(item, values)
        if value is None:
            raise invalid(MISSING)
        return value

    return read


def _if_not_exists(scope: ExpressionScope, node: FunctionCall, operands: Sequence[UpdateOperand]) -> UpdateOperand:
    path = node.operands[0]
    if not isinstance(path, Path):
        raise scope.error("Operator or function requires a document path; operator or function: if_not_exists")
    resolved = scope.path(path)
    if isinstance(node.operands[1], Path) and scope.path(node.operands[1]) == resolved:
        raise not_distinct(scope, "if_not_exists", resolved)
    get = getter(resolved)
    default, kind = operands[1]

    def read(item: Item, values: Item) -> AttributeValue:
        # DynamoDB reads the default even when it does not use it: SET a = if_not_exists(a, b) needs a b.
        otherwise, value = default(item, values), get(item, values)
        return otherwise if value is None else value

    return read, kind


def _list_append(scope: ExpressionScope, node: FunctionCall, operands: Sequence[UpdateOperand]) -> UpdateOperand:
    _check_types(scope, node, operands, "L")
    (first, _), (second, _) = operands

    def read(item: Item, values: Item) -> AttributeValue:
        left, right = first(item, values), second(item, values)
        if "L" not in left or "L" not in right:
            raise invalid(WRONG_TYPE)
        return {"L": [*left["L"], *right["L"]]}

    return read, "L"


def _arithmetic(scope: ExpressionScope, node: FunctionCall, operands: Sequence[UpdateOperand]) -> UpdateOperand:
    _check_types(scope, node, operands, "N")
    (first, _), (second, _) = operands
    calculate = numbers.add if node.name == "+" else numbers.subtract

    def read(item: Item, values: Item) -> AttributeValue:
        left, right = first(item, values), second(item, values)
        if "N" not in left or "N" not in right:
            raise invalid(WRONG_TYPE)
        return {"N": calculate(left["N"], right["N"])}

    return read, "N"


def _check_types(scope: ExpressionScope, node: FunctionCall, operands: Sequence[UpdateOperand], expected: str) -> None:
    for operand, (_, kind) in zip(node.operands, operands, strict=True):
        # Only values of the request are checked here; the type of if_not_exists is known when it is read.
        if isinstance(operand, Value) and kind != expected:
            raise scope.error(
                "Incorrect operand type for operator or function; "
                f"operator or function: {node.name}, operand type: {kind}"
            )


_FUNCTIONS: dict[str, Callable[[ExpressionScope, FunctionCall, Sequence[UpdateOperand]], UpdateOperand]] = {
    "if_not_exists": _if_not_exists,
    "list_append": _list_append,
    "+": _arithmetic,
    "-": _arithmetic,
}
