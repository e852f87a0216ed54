"""Logical writes of a caller: an item created, changed or removed, with the item as the caller read it."""

from dataclasses import dataclass

from bursar.dynamo.items.attribute_values import Item


@dataclass(frozen=True)
class Put:
    """A new item. No item may exist at its key."""

    item: Item


@dataclass(frozen=True)
class Update:
    """``old``, the item as the caller read it, changes to ``new`` (whole items, the same key).

    Only the attributes that differ are written, and only while they, and the attributes that the rules read with them,
    still equal ``old``. A change by another writer to other attributes is kept and causes no failure.
    """

    old: Item
    new: Item


@dataclass(frozen=True)
class Delete:
    """``old``, the item as the caller read it, is removed."""

    old: Item


LogicalWrite = Put | Update | Delete
