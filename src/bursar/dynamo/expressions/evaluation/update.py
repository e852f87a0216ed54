"""Bind updates to names and values, and apply them to items.

    parse_update("SET #s = :s, n = n + :one REMOVE tmp").bind(binding).apply(item)

Operands and list indexes refer to the old item, which is never changed (Developer Guide, "Using update expressions in
DynamoDB"). The paths of one update never clash, so its actions form a tree, and each map or list on a path is copied
once.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from bursar.dynamo.errors import invalid, invalid_parameter
from bursar.dynamo.expressions.evaluation.paths import path_tree, resolve_apart
from bursar.dynamo.expressions.evaluation.placeholders import (
    COMPILED_MAX,
    Binding,
    ExpressionScope,
    LateCheck,
    Pairs,
    ResolvedPath,
)
from bursar.dynamo.expressions.evaluation.update_actions import Leaf, compile_action
from bursar.dynamo.expressions.parsing.parser import CACHED_TREES, OPERATORS_MAX, too_many_operators, update_tree
from bursar.dynamo.expressions.parsing.syntax_tree import UpdateTree
from bursar.dynamo.items.attribute_values import AttributeValue, Item, check_nesting

REMOVING = frozenset({"REMOVE", "DELETE"})
INVALID_PATH = "The document path provided in the update expression is invalid for update"


class CompiledUpdate(NamedTuple):
    """An update compiled for its names and the types of its values."""

    tree: dict[str | int, Any]
    only_removes: bool
    paths: tuple[ResolvedPath, ...]
    heads: frozenset[str]
    nested_heads: frozenset[str]
    """The attributes of which the update changes only a part."""
    assigned_types: dict[str, str]
    names: frozenset[str]
    values: frozenset[str]
    late_checks: tuple[LateCheck, ...]


class BoundUpdate:
    """An update with its values.

    ``paths`` are the paths that it changes, in the order written, and ``heads`` their attributes. ``assigned_types``
    has the new types of attributes, as far as they are known before an item is read. ``only_removes`` is True when all
    its actions are REMOVE or DELETE.
    """

    __slots__ = ("_compiled", "_values", "assigned_types", "heads", "only_removes", "paths")

    def __init__(self, compiled: CompiledUpdate, values: Item) -> None:
        self._compiled = compiled
        self._values = values
        self.paths = compiled.paths
        self.assigned_types = compiled.assigned_types
        self.heads = compiled.heads
        self.only_removes = compiled.only_removes

    def check_keys(self, key_names: Sequence[str]) -> None:
        """Raise ValidationException when the update changes a key attribute."""
        for name in key_names:
            if name in self.heads:
                raise invalid_parameter(f"Cannot update attribute {name}. This attribute is part of the key")

    def apply(self, item: Item) -> tuple[Item, tuple[ResolvedPath, ...]]:
        """Return (the new item, the changed paths). ``item`` is the old item, or its key when it does not exist.

        The unchanged parts are shared with ``item``. Raise ValidationException for operands that the item lacks or has
        in another type, and for paths through missing values.
        """
        compiled = self._compiled
        new = _in_map(item, compiled.tree, item, self._values)
        if compiled.nested_heads:
            for head in compiled.nested_heads & new.keys():
                check_nesting(new[head])
        return new, compiled.paths


class ParsedUpdate:
    """An update whose syntax is valid."""

    __slots__ = ("text", "tree")

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = update_tree(text)

    def bind(self, binding: Binding) -> BoundUpdate:
        """Return the update with the request's names and values.

        Raise ValidationException for wrong placeholders, functions, paths and operand types.
        """
        compiled = compiled_update(self.text, binding.names, binding.types)
        binding.use(compiled.names, compiled.values, compiled.late_checks)
        return BoundUpdate(compiled, binding.values)


@lru_cache(CACHED_TREES)
def parse_update(text: str) -> ParsedUpdate:
    """Return the parsed UpdateExpression. Raise its syntax error."""
    return ParsedUpdate(text)


@lru_cache(COMPILED_MAX)
def compiled_update(text: str, names: Pairs, types: Pairs) -> CompiledUpdate:
    """Compile ``text`` for these names and types of values."""
    return compile_update(update_tree(text), ExpressionScope("UpdateExpression", names, types))


def compile_update(tree: UpdateTree, scope: ExpressionScope) -> CompiledUpdate:
    """Compile a tree for the names and types of the scope."""
    paths = resolve_apart(scope, [action.path for action in tree.actions])
    compiled = [compile_action(scope, action.section, action.operand) for action in reversed(tree.actions)]
    if tree.operators > OPERATORS_MAX:
        raise too_many_operators(scope.kind)
    leaves = list(zip(paths, (leaf for leaf, _ in reversed(compiled)), strict=True))
    types = [kind for _, kind in reversed(compiled)]
    return compiled_from_leaves(
        scope, leaves, types, only_removes=all(action.section in REMOVING for action in tree.actions)
    )


def compiled_from_leaves(
    scope: ExpressionScope,
    leaves: Sequence[tuple[ResolvedPath, Leaf]],
    types: Sequence[str | None],
    *,
    only_removes: bool,
) -> CompiledUpdate:
    """Return the update of these leaves, at paths that do not clash; ``types`` has each leaf's type or None."""
    paths = tuple(path for path, _ in leaves)
    return CompiledUpdate(
        path_tree(leaves),
        only_removes,
        paths,
        frozenset(str(path[0]) for path in paths),
        frozenset(str(path[0]) for path in paths if len(path) > 1),
        {str(path[0]): kind for path, kind in zip(paths, types, strict=True) if kind is not None and len(path) == 1},
        frozenset(scope.used_names),
        frozenset(scope.used_values),
        tuple(scope.late_checks),
    )


# --- applying a tree of actions --------------------------------------------------------------------


def _in_map(members: Item, tree: dict[Any, Any], item: Item, values: Item) -> Item:
    new = members.copy()
    for part, node in tree.items():
        old = members.get(part)
        value = _below(old, node, item, values) if type(node) is dict else node(old, item, values)
        if value is None:
            new.pop(part, None)
        else:
            new[part] = value
    return new


def _in_list(
    elements: list[AttributeValue], tree: dict[str | int, Any], item: Item, values: Item
) -> list[AttributeValue]:
    """Return the new list: indexes refer to the old one, removals come last, sets beyond its end append in order."""
    new: list[AttributeValue | None] = list(elements)
    for part in sorted(tree, key=int):
        node = tree[part]
        index = int(part)
        old = elements[index] if index < len(elements) else None
        value = _below(old, node, item, values) if isinstance(node, dict) else node(old, item, values)
        if old is not None:
            new[index] = value
        elif value is not None:
            new.append(value)
    return [element for element in new if element is not None]


def _below(value: AttributeValue | None, tree: dict[str | int, Any], item: Item, values: Item) -> AttributeValue:
    """Return ``value``, a map or a list, with the actions of ``tree`` applied inside it."""
    container = "L" if isinstance(next(iter(tree)), int) else "M"
    if value is None or container not in value:
        raise invalid(INVALID_PATH)
    if container == "L":
        return {"L": _in_list(value["L"], tree, item, values)}
    return {"M": _in_map(value["M"], tree, item, values)}
