"""The cost of a compiled write on Amazon's DynamoDB, in write capacity units (WCU), before it is sent.

A transactional write of one item costs two units per started KB of the larger of its old and new form. A condition
check costs the same, by the item that it checks. A secondary index costs one unit per started KB of its projection:
nothing when the projection does not change, twice when its key changes (a delete and a put). The transaction does not
double the index cost. Source: DynamoDB Developer Guide, "Read/write capacity mode" and "Global secondary indexes: write
considerations"; that the factor applies only to the table was measured against Amazon's (nubo-db/dynoxide, pull request
188).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bursar.dynamo.items.attribute_values import Item, item_size, normalise_item
from bursar.rules.judging.local_rules import changed_attributes
from bursar.rules.transactions.compile import CompiledTransaction

WRITE_UNIT_BYTES = 1024
TRANSACTION_FACTOR = 2


@dataclass(frozen=True)
class PricedIndex:
    """The parts of a secondary index that decide its cost. ``projected`` None: every attribute."""

    name: str
    keys: tuple[str, ...]
    projected: frozenset[str] | None = None

    def entry(self, item: Item | None) -> dict[str, Any] | None:
        """Return the index's entry for ``item``; None when the item is not in the index."""
        if item is None or any(name not in item for name in self.keys):
            return None
        if self.projected is None:
            return dict(item)
        return {name: value for name, value in item.items() if name in self.projected or name in self.keys}


@dataclass(frozen=True)
class Cost:
    """Write capacity units of one transaction, by purpose."""

    items: int
    sentinels: int
    parents: int
    indexes: int

    @property
    def total(self) -> int:
        """The sum, in WCU."""
        return self.items + self.sentinels + self.parents + self.indexes


def cost(compiled: CompiledTransaction, indexes: Iterable[PricedIndex] = (), parents: Sequence[Item] = ()) -> Cost:
    """Return the WCU of ``compiled``. ``parents``: the checked parents that are larger than 1 KB."""
    indexes = tuple(indexes)
    by_role = dict.fromkeys(("item", "take", "give_up", "parent"), 0)
    in_indexes = 0
    for action in compiled.actions:
        ((_, body),) = action.body.items()
        if action.role == "item":
            old, new = action.change.old, action.change.new
            by_role["item"] += TRANSACTION_FACTOR * _units(old, new)
            in_indexes += sum(_index_units(index, old, new) for index in indexes)
        elif action.role == "parent":
            by_role["parent"] += TRANSACTION_FACTOR * _units(_parent(body["Key"], parents), None)
        else:
            by_role[action.role] += TRANSACTION_FACTOR * _units(body.get("Item"), None)
    return Cost(by_role["item"], by_role["take"] + by_role["give_up"], by_role["parent"], in_indexes)


def _units(old: Item | None, new: Item | None) -> int:
    sizes = [item_size(normalise_item(item)) for item in (old, new) if item is not None]
    return max(1, -(-max(sizes, default=0) // WRITE_UNIT_BYTES))


def _index_units(index: PricedIndex, old: Item | None, new: Item | None) -> int:
    before, after = index.entry(old), index.entry(new)
    if before is None or after is None:
        return 0 if before is after else _units(before, after)
    if any(changed_attributes({name: before[name]}, {name: after[name]}) for name in index.keys):
        return _units(before, None) + _units(after, None)
    return _units(before, after) if changed_attributes(before, after) else 0


def _parent(key: Mapping[str, Any], parents: Sequence[Item]) -> Item | None:
    return next((item for item in parents if all(item.get(name) == value for name, value in key.items())), None)
