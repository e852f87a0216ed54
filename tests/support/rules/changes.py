"""Changes of several items at once: the writes that make them, the items after them, the sentinels that must exist."""

from collections.abc import Mapping
from typing import Any

from bursar.dynamo.items.attribute_values import Item
from bursar.rules import Delete, Put, Rules, Unique, UniqueWhile, Update
from tests.support.rules.worlds import Key

Changes = Mapping[Key, tuple[Item | None, Item | None]]
"""Key → (item before, item after)."""


def writes(changes: Changes) -> list[Put | Update | Delete]:
    """Return the writes that make ``changes``."""
    logical: list[Put | Update | Delete] = []
    for old, new in changes.values():
        if old is None and new is not None:
            logical.append(Put(new))
        elif old is not None:
            logical.append(Delete(old) if new is None else Update(old, new))
    return logical


def state_after(state: Mapping[Key, Item], changes: Changes) -> dict[Key, Item]:
    """Return the items of ``state`` once ``changes`` are made."""
    after = {**state, **{key: new for key, (_, new) in changes.items() if new is not None}}
    return {key: item for key, item in after.items() if key not in changes or changes[key][1] is not None}


def owned_values(rules: Rules, meanings: Mapping[str, Any], state: Mapping[Key, Item]) -> int:
    """Return how many (rule, value) pairs the items own: the number of sentinels that must exist."""
    count = 0
    for rule in rules.rules:
        if isinstance(rule, Unique | UniqueWhile):
            holds = meanings.get(rule.name, lambda _: True)
            about = [item for item in state.values() if rule.kind in (None, item["kind"].get("S"))]
            count += sum(holds(item) and all(name in item for name in rule.attributes) for item in about)
    return count
