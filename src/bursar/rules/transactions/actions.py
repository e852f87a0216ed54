"""The parts of a compiled transaction: one item's change, and one TransactItem with its purpose."""

from dataclasses import dataclass
from typing import Any

from bursar.dynamo.items.attribute_values import Item
from bursar.rules.judging.plan import KindPlan
from bursar.rules.judging.unique_and_parent import ParentRule, UniqueValue


@dataclass(frozen=True, slots=True)
class ItemChange:
    """One item's change: all logical writes at its key combined. ``old`` or ``new`` is None for an absent item."""

    key: dict[str, Any]
    old: Item | None
    new: Item | None
    kind: KindPlan
    changed: frozenset[str]


@dataclass(frozen=True, slots=True)
class CompiledAction:
    """One TransactItem and its purpose, which is needed to read its cancellation reason.

    ``role``: ``item`` (the change itself), ``take`` (a sentinel written), ``give_up`` (a sentinel removed) or
    ``parent`` (a parent checked for ``children``).
    """

    body: dict[str, Any]
    role: str
    change: ItemChange
    unique: UniqueValue | None = None
    children: tuple[tuple[ItemChange, ParentRule], ...] = ()
