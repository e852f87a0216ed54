"""Logical writes, as a caller says them: an item put, changed or removed, with the item as it was read."""

from dataclasses import dataclass

from bursar.dynamo.items.attribute_values import Item


@dataclass(frozen=True)
class Put:
    """A new item: none may be there at its key."""

    item: Item


@dataclass(frozen=True)
class Update:
    """``old``, the item as the caller read it, becomes ``new`` (whole items, the same key).

    Only the attributes that differ are written, and only while they (and what the rules read beside them) are
    still as in ``old``: what another writer changed elsewhere in the item is neither lost nor a reason to fail.
    """

    old: Item
    new: Item


@dataclass(frozen=True)
class Delete:
    """``old``, the item as the caller read it, is removed."""

    old: Item


LogicalWrite = Put | Update | Delete
