"""Bind projections to names, and project items: the chosen parts, at their places in the item.

    parse_projection("pk, orders[0].#total").bind(binding).project(item)

Chosen elements of a list keep their order and become adjacent. Parts that the item lacks are left out. Source:
Developer Guide, "Using projection expressions in DynamoDB".
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from bursar.dynamo.expressions.evaluation.fast_projection import whole_attributes
from bursar.dynamo.expressions.evaluation.paths import child, path_tree, resolve_apart
from bursar.dynamo.expressions.evaluation.placeholders import (
    COMPILED_MAX,
    Binding,
    ExpressionScope,
    Pairs,
    ResolvedPath,
)
from bursar.dynamo.expressions.parsing.parser import CACHED_TREES, projection_tree
from bursar.dynamo.items.attribute_values import AttributeValue, Item


class BoundProjection(NamedTuple):
    """A projection with its names. It reads the attributes ``heads``, and only parts of ``nested_heads``."""

    paths: tuple[ResolvedPath, ...]
    tree: dict[str | int, Any]
    heads: tuple[str, ...]
    nested_heads: frozenset[str]
    names: frozenset[str]

    def project(self, item: Item) -> Item:
        """Return the chosen parts of ``item``, shared with it, not copied."""
        if self.nested_heads:
            return pick(item, self.tree)
        return whole_attributes(item, self.heads)


class ParsedProjection:
    """A projection whose syntax is valid."""

    __slots__ = ("text", "tree")

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = projection_tree(text)

    def bind(self, binding: Binding) -> BoundProjection:
        """Return the projection with the request's names.

        Raise ValidationException for wrong placeholders, reserved words and clashing paths.
        """
        bound = bound_projection(self.text, binding.names)
        binding.use(bound.names, frozenset(), ())
        return bound


@lru_cache(CACHED_TREES)
def parse_projection(text: str) -> ParsedProjection:
    """Return the parsed ProjectionExpression. Raise its syntax error."""
    return ParsedProjection(text)


@lru_cache(COMPILED_MAX)
def bound_projection(text: str, names: Pairs) -> BoundProjection:
    """Bind ``text`` to these names."""
    scope = ExpressionScope("ProjectionExpression", names, ())
    paths = resolve_apart(scope, projection_tree(text).paths)
    return BoundProjection(
        paths,
        path_tree([(path, None) for path in paths]),
        tuple(dict.fromkeys(str(path[0]) for path in paths)),
        frozenset(str(path[0]) for path in paths if len(path) > 1),
        frozenset(scope.used_names),
    )


def values_at_paths(item: Item, paths: Sequence[ResolvedPath]) -> Item:
    """Return the parts of ``item`` at ``paths``, for ReturnValues UPDATED_OLD and UPDATED_NEW."""
    return pick(item, path_tree([(path, None) for path in paths]))


def pick(item: Item, tree: dict[str | int, Any]) -> Item:
    """Return the parts of ``item`` that ``tree`` names; a leaf of the tree is None."""
    picked = {}
    for part, below in tree.items():
        name = str(part)
        if name in item:
            value = _picked(item[name], below)
            if value is not None:
                picked[name] = value
    return picked


def _picked(value: AttributeValue, tree: dict[str | int, Any] | None) -> AttributeValue | None:
    if tree is None:
        return value
    parts = sorted(tree, key=int) if "L" in value and isinstance(next(iter(tree)), int) else list(tree)
    found = [
        (part, inner)
        for part in parts
        if (below := child(value, part)) is not None and (inner := _picked(below, tree[part])) is not None
    ]
    if not found:
        return None
    if "L" in value:
        return {"L": [inner for _, inner in found]}
    return {"M": {str(part): inner for part, inner in found}}
