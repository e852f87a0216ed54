"""The store of one obligation in memory, which the real ledger writes to. Its items are then written to the file.

It compares no versions and judges no rules, because one ledger writes one obligation after the other; `bursar audit`
finds anything that breaks a rule. The sentinels are made from the last state of the items.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bursar.dynamo.items.attribute_values import Item
from bursar.rules import Rules
from bursar.rules.judging.plan import RulesPlan
from bursar.rules.judging.sentinels import sentinel_item


class ScratchObligation:
    """The items of one obligation, by sort key. It is a ``CompareAndSwap`` for the ledger."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}

    async def get(self, table: str, key: Mapping[str, Any]) -> Item | None:
        """Return the item at ``key``."""
        return self._items.get(key["sk"]["S"])

    async def partition(self, table: str, value: Mapping[str, Any], begins: str = "") -> list[Item]:
        """Return the items whose sort key begins with ``begins``, in order."""
        return [self._items[key] for key in sorted(self._items) if key.startswith(begins)]

    async def swap(self, table: str, swaps: Sequence[tuple[Any, Any]], rules: str) -> None:
        """Replace the items."""
        for _, new in swaps:
            self._items[new["sk"]["S"]] = new

    def take(self) -> list[Item]:
        """Return all items and remove them."""
        items, self._items = list(self._items.values()), {}
        return items


class NoStore:
    """A store that refuses every request: the ledger reads and writes through the scratch obligation."""

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Raise ``AssertionError``."""
        raise AssertionError(f"a generated history sends no request; got {operation}")

    async def close(self) -> None:
        """Do nothing."""


class Sentinels:
    """Makes the sentinels of items under ``rules``."""

    def __init__(self, rules: Rules) -> None:
        self._plan = RulesPlan(rules)

    def of(self, items: Sequence[Item]) -> list[Item]:
        """Return a sentinel for each unique value that one of ``items`` owns."""
        plan = self._plan
        found: list[Item] = []
        for item in items:
            kind = plan.kind_of(item)
            for unique in () if kind is None else kind.unique_values:
                partition = unique.partition_of(item)
                if partition is not None:
                    owner = plan.key(item)
                    found.append(sentinel_item(plan.key_names, plan.kind_attribute, partition, unique.rule.name, owner))
        return found
