"""The parts of a compiled transaction: one item's change, and one TransactItem with what it is for."""

from dataclasses import dataclass
from typing import Any

from bursar.dynamo.items.attribute_values import Item
from bursar.rules.judging.plan import KindPlan
from bursar.rules.judging.unique_and_parent import ParentRule, UniqueValue


@dataclass(frozen=True, slots=True)
class ItemChange:
    """One item's change, all logical writes at its key taken together. ``old`` or ``new`` is None: not there."""

    key: dict[str, Any]
    old: Item | None
    new: Item | None
    kind: KindPlan
    changed: frozenset[str]


@dataclass(frozen=True, slots=True)
class CompiledAction:
    """One TransactItem and what it is for, so that its cancellation reason can be read.

    ``role``: ``item`` (the change itself), ``hold`` (a sentinel taken), ``release`` (a sentinel given back) or
    ``parents`` (a parent looked at for ``children``).
    """

    body: dict[str, Any]
    role: str
    change: ItemChange
    unique: UniqueValue | None = None
    children: tuple[tuple[ItemChange, ParentRule], ...] = ()
