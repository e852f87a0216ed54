"""Rules that concern other items: the owner of a unique value, and the parent of an item."""

import re
from collections.abc import Callable
from typing import Any

from bursar.dynamo.items.attribute_values import AttributeValue, Item
from bursar.rules.judging.local_rules import predicate, same
from bursar.rules.judging.sentinels import sentinel_prefix, value_text
from bursar.rules.language.ruleset import Rules
from bursar.rules.language.vocabulary import PLACEHOLDER, Agrees, References, Unique, UniqueWhile

_KEY_TYPES = frozenset({"S", "N", "B"})
_WHOLE = re.compile(r"\{[^{}]+\}\Z")


class UniqueValue:
    """A unique or unique-while rule, prepared to return the value that an item owns."""

    def __init__(self, rule: Unique | UniqueWhile) -> None:
        self.rule = rule
        self.prefix = sentinel_prefix(rule)
        self.attributes = rule.attributes
        self.reads = rule.reads
        self._while = predicate(rule.where, rule) if isinstance(rule, UniqueWhile) else None

    def partition_of(self, item: Item) -> str | None:
        """Return the partition key of the sentinel whose value ``item`` owns; None when it owns none.

        Only for an item that passed ``verdict``.
        """
        values = self._values_of(item)
        return None if values is None else self.prefix + value_text(values)

    def given_up_and_taken(self, old: Item | None, new: Item | None) -> tuple[str | None, str | None]:
        """Return (given up, taken): the sentinel partitions that only ``old`` and that only ``new`` owns.

        Only for items that passed ``verdict``.
        """
        before = None if old is None else self._values_of(old)
        after = None if new is None else self._values_of(new)
        if before == after:
            return None, None
        given = None if before is None else self.prefix + value_text(before)
        taken = None if after is None else self.prefix + value_text(after)
        # In an item whose numbers are not canonical, two representations can be one value.
        return (None, None) if given == taken else (given, taken)

    def _values_of(self, item: Item) -> list[AttributeValue] | None:
        if self._while is not None and not self._while(item):
            return None
        values = []
        for attribute in self.attributes:
            value = item.get(attribute)
            if value is None:
                return None
            values.append(value)
        return values

    def verdict(self, _old: Item | None, new: Item) -> str | None:
        """Judge the local part: the attributes must have types that DynamoDB allows in keys."""
        for attribute in self.attributes:
            value = new.get(attribute)
            if value is not None and _KEY_TYPES.isdisjoint(value):
                return f"{attribute} must be text, a number or binary to be unique"
        return None


class ParentRule:
    """A references or agrees rule, prepared to return an item's parent key and to compare parent and child."""

    def __init__(self, rule: References, rules: Rules) -> None:
        self.rule = rule
        self.reads = rule.reads
        self.attributes = rule.attributes if isinstance(rule, Agrees) else ()
        self.erasable = frozenset(rule.erasable) if isinstance(rule, Agrees) else frozenset()
        self._parts = tuple((name, _filler(rule.key[name])) for name in rules.key_names)
        self._key_attributes = rule.key_attributes
        mixed = [text for text in rule.key.values() if not _WHOLE.match(text)]
        self._texts = tuple(dict.fromkeys(name for text in mixed for name in PLACEHOLDER.findall(text)))
        self._kind_attribute = rules.kind_attribute
        self._kind = {"S": rule.parent}

    def key(self, item: Item) -> dict[str, Any] | None:
        """Return the parent's key; None when an attribute of it is absent. Only for an item that passed ``verdict``."""
        for attribute in self._key_attributes:
            if attribute not in item:
                return None
        return {name: fill(item) for name, fill in self._parts}

    def verdict(self, _old: Item | None, new: Item) -> str | None:
        """Judge the local part: attributes inside longer text of the parent's key must be text."""
        for attribute in self._texts:
            if attribute in new and "S" not in new[attribute]:
                return f"{attribute} must be text to be part of its parent's key"
        return None

    def disagreement(self, child: Item, parent: Item | None) -> str | None:
        """Return why ``parent`` (the stored item; None: absent) cannot be the parent of ``child``, or None."""
        if parent is None or parent.get(self._kind_attribute) != self._kind:
            return f"its {self.rule.parent} does not exist"
        for attribute in self.attributes:
            if attribute not in parent and attribute in self.erasable:
                continue
            if not same(child.get(attribute), parent.get(attribute)):
                return f"{attribute} is not its {self.rule.parent}'s"
        return None


def _filler(text: str) -> Callable[[Item], Any]:
    """Return a function that makes a key value of an item from ``text``.

    Examples of ``text``: ``{pk}``, ``line-{number}``, ``obligation``.
    """
    if _WHOLE.match(text):
        attribute = text[1:-1]
        return lambda item: item[attribute]
    if not PLACEHOLDER.search(text):
        constant = {"S": text}
        return lambda _item: constant
    return lambda item: {"S": PLACEHOLDER.sub(lambda match: str(item[match.group(1)]["S"]), text)}
