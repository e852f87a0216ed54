"""Read resolved document paths, join them into a tree, and enforce DynamoDB's rule that paths must not overlap.

A resolved path is a tuple of attribute names or map keys (``str``) and list indexes (``int``). Its head is an attribute
name.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.expressions.evaluation.placeholders import ExpressionScope, ResolvedPath
from bursar.dynamo.expressions.parsing.syntax_tree import Path
from bursar.dynamo.items.attribute_values import AttributeValue, Item

Getter: TypeAlias = Callable[[Item, Item], AttributeValue | None]
"""(item, expression values) → the value, or None when the item lacks it."""


def value_at(item: Item, path: ResolvedPath) -> AttributeValue | None:
    """Return the value in ``item`` at ``path``, or None."""
    value: AttributeValue | None = item.get(path[0])  # type: ignore[arg-type]  # the head is a name
    for part in path[1:]:
        if value is None:
            return None
        value = child(value, part)
    return value


def child(value: AttributeValue, part: str | int) -> AttributeValue | None:
    """Return the member ``part`` of a map or the element ``part`` of a list; None when ``value`` lacks it."""
    if type(part) is int:
        elements = value.get("L")
        return elements[part] if elements is not None and part < len(elements) else None
    members = value.get("M")
    return None if members is None else members.get(part)


def getter(path: ResolvedPath) -> Getter:
    """Return a function that reads ``path`` from an item."""
    if len(path) == 1:
        name: Any = path[0]
        return lambda item, _values: item.get(name)
    return lambda item, _values: value_at(item, path)


def path_text(path: ResolvedPath) -> str:
    """Return the path as DynamoDB's errors write it: ``[a, [1], b]``."""
    return "[" + ", ".join(f"[{part}]" if isinstance(part, int) else part for part in path) + "]"


def not_distinct(scope: ExpressionScope, operator: str, path: ResolvedPath) -> DynamoError:
    """Return the error for an operator that has the same path twice."""
    return scope.error(
        "The first operand must be distinct from the remaining operands for this operator or function; "
        f"operator: {operator}, first operand: {path_text(path)}"
    )


def clash_problem(one: ResolvedPath, two: ResolvedPath) -> str | None:
    """Return why two paths cannot be in one expression, or None.

    They overlap when one is the beginning of the other, and conflict when they need one value to be a map and a list.
    """
    relation = "overlap"
    for left, right in zip(one, two, strict=False):
        if type(left) is not type(right):
            relation = "conflict"
            break
        if left != right:
            return None
    return (
        f"Two document paths {relation} with each other; must remove or rewrite one of these paths; "
        f"path one: {path_text(one)}, path two: {path_text(two)}"
    )


def resolve_apart(scope: ExpressionScope, paths: Sequence[Path]) -> tuple[ResolvedPath, ...]:
    """Return ``paths`` resolved. Raise ValidationException when two clash; DynamoDB checks them from last to first."""
    resolved: list[ResolvedPath] = []
    for path in reversed(paths):
        one = scope.path(path)
        for two in reversed(resolved):
            problem = clash_problem(one, two)
            if problem is not None:
                raise scope.error(problem)
        resolved.append(one)
    return tuple(reversed(resolved))


def path_tree(leaves: Sequence[tuple[ResolvedPath, Any]]) -> dict[str | int, Any]:
    """Return paths that do not clash as a tree: ``{part: the leaf, or the tree below}``."""
    tree: dict[str | int, Any] = {}
    for path, leaf in leaves:
        node = tree
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = leaf
    return tree
