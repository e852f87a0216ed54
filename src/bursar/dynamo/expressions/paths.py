"""Resolved document paths: reading along them, joining them into a tree, and DynamoDB's rule that they never overlap.

A resolved path is a tuple of attribute or map keys (``str``) and list indexes (``int``); its head is an attribute name.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from bursar.dynamo.values import AttributeValue, Item

ResolvedPath: TypeAlias = tuple[str | int, ...]
Getter: TypeAlias = Callable[[Item, Item], AttributeValue | None]
"""(item, expression values) → the value, or None when the item does not have it."""

PATH_PARTS_MAX = 32


def value_at(item: Item, path: ResolvedPath) -> AttributeValue | None:
    """The value in ``item`` at ``path``, or None."""
    value: AttributeValue | None = item.get(path[0])  # type: ignore[arg-type]  # the head is a name
    for part in path[1:]:
        if value is None:
            return None
        value = child(value, part)
    return value


def child(value: AttributeValue, part: str | int) -> AttributeValue | None:
    """The member ``part`` of a map, or the element ``part`` of a list; None when ``value`` is neither or lacks it."""
    if type(part) is int:
        elements = value.get("L")
        return elements[part] if elements is not None and part < len(elements) else None
    members = value.get("M")
    return None if members is None else members.get(part)


def getter(path: ResolvedPath) -> Getter:
    """A function that reads ``path`` from an item."""
    if len(path) == 1:
        name = str(path[0])
        return lambda item, _values: item.get(name)
    return lambda item, _values: value_at(item, path)


def written(path: ResolvedPath) -> str:
    """The path as DynamoDB's errors write it: ``[a, [1], b]``."""
    return "[" + ", ".join(f"[{part}]" if isinstance(part, int) else part for part in path) + "]"


def first_clash(paths: Sequence[ResolvedPath]) -> tuple[str, str] | None:
    """The first pair of paths that may not stand in one expression: ``("overlap" or "conflict", message)``.

    Two paths overlap when one is the beginning of the other, and conflict when they need one value to be both a map
    and a list. Overlaps come before conflicts, whatever their order.
    """
    if all(len(path) == 1 for path in paths) and len(set(paths)) == len(paths):
        return None
    clashes = [
        (relation, f"Two document paths {relation} with each other; must remove or rewrite one of these paths; "
                   f"path one: {written(one)}, path two: {written(two)}")
        for at, two in enumerate(paths)
        for one in paths[:at]
        if (relation := _relation(one, two)) is not None
    ]  # fmt: skip
    return next((clash for clash in clashes if clash[0] == "overlap"), clashes[0] if clashes else None)


def _relation(one: ResolvedPath, two: ResolvedPath) -> str | None:
    for left, right in zip(one, two, strict=False):
        if type(left) is not type(right):
            return "conflict"
        if left != right:
            return None
    return "overlap"


def path_tree(leaves: Sequence[tuple[ResolvedPath, Any]]) -> dict[str | int, Any]:
    """Paths that do not clash, joined: ``{part: leaf, or the tree of what lies below}``."""
    tree: dict[str | int, Any] = {}
    for path, leaf in leaves:
        node = tree
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = leaf
    return tree
