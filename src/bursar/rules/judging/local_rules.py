"""Local rules: the verdict of one rule on one item's old and new state, and DynamoDB's comparison of values."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.items.attribute_values import Item, equal, normalise
from bursar.dynamo.items.numbers import canonical
from bursar.rules.language.named_rule import RulesInvalid
from bursar.rules.language.predicates import Where
from bursar.rules.language.vocabulary import Rule, Transitions, TwoActors

Verdict = Callable[[Item | None, Item], str | None]
"""(old, new) → the reason why the rule refuses, or None. ``new`` is never None: removals are judged separately."""


NUMBERS_CACHED = 4096
_ABSENT: Item = {}
canonical_number = lru_cache(NUMBERS_CACHED)(canonical)


class ChangesOnlyVerdict:
    """A verdict that never refuses a new item."""


class TransitionsVerdict:
    """Transitions: the value starts at an initial value and moves along the graph."""

    def __init__(self, rule: Transitions) -> None:
        self._rule = rule
        self._initial = frozenset(rule.initial)
        self._states = frozenset(rule.states)

    def __call__(self, old: Item | None, new: Item) -> str | None:
        """Return why the value may not start at or move to its new value, or None."""
        name = self._rule.attribute
        target = new.get(name, {}).get("S")
        source = None if old is None or name not in old else old[name].get("S")
        if source is None:
            if target in self._initial:
                return None
            return f"{name} starts as {' or '.join(self._rule.initial)}"
        if target == source or target in self._rule.targets.get(source, ()):
            return None
        targets = self._rule.targets.get(source)
        return (
            f"from {source}, {name} moves only to {' or '.join(sorted(targets))}"
            if targets
            else f"{name} {source} is final"
        )

    def state(self, item: Item) -> str | None:
        """Return why the item's value is not in the graph, or None."""
        if item.get(self._rule.attribute, {}).get("S") in self._states:
            return None
        return f"{self._rule.attribute} is none of {', '.join(self._rule.states)}"


class UnchangedVerdict(ChangesOnlyVerdict):
    """Immutable, and write once. An ``erasable`` attribute may become absent."""

    def __init__(self, attributes: tuple[str, ...], *, once: bool, erasable: tuple[str, ...] = ()) -> None:
        self._attributes = attributes
        self._once = once
        self._erasable = erasable

    def __call__(self, old: Item | None, new: Item) -> str | None:
        """Return the reason with the attribute that must not change but does, or None."""
        for name in self._attributes:
            before, after = None if old is None else old.get(name), new.get(name)
            if before != after and (before is not None or not self._once) and not same(before, after):
                if after is None and name in self._erasable:
                    continue
                return f"{name} is already written" if self._once else f"{name} never changes"
        return None


class TwoActorsVerdict:
    """Two actors: the first never changes, the second is written once, and they name different people."""

    def __init__(self, rule: TwoActors) -> None:
        self._first, self._second = rule.first, rule.second
        self._first_unchanged = UnchangedVerdict((rule.first,), once=False)
        self._second_unchanged = UnchangedVerdict((rule.second,), once=True)

    def __call__(self, old: Item | None, new: Item) -> str | None:
        """Return why the two attributes of ``new`` break the rule, or None."""
        if old is not None:
            reason = self._first_unchanged(old, new) or self._second_unchanged(old, new)
            if reason is not None:
                return reason
        for name in (self._first, self._second):
            if name in new and not _person(new[name]):
                return f"{name} must be text that names a person"
        if self._first in new and self._second in new and _person(new[self._first]) == _person(new[self._second]):
            return f"{self._second} must be another person than {self._first}"
        return None


class AppendOnlyVerdict(ChangesOnlyVerdict):
    """Append-only: refuses every change."""

    def __call__(self, _old: Item | None, _new: Item) -> str | None:
        """Return the reason: items of the kind never change."""
        return "it is never changed or removed"


class CheckVerdict:
    """Check: the predicate must hold for the new item."""

    def __init__(self, holds: Callable[[Item], bool], description: str) -> None:
        self._holds = holds
        self._description = description

    def __call__(self, _old: Item | None, new: Item) -> str | None:
        """Return the predicate that does not hold, or None."""
        return None if self._holds(new) else f"{self._description} does not hold"


def _person(value: Any) -> str:
    """Return the name in the form that is compared: "" for a value that is not text."""
    return str(value.get("S", "")).strip().casefold()


def changed_attributes(old: Item, new: Item, unlike: Iterable[str] | None = None) -> frozenset[str]:
    """Return the attributes that differ under DynamoDB's comparison: sets in any order, numbers by value.

    ``unlike``: if the caller has compared the items, the attributes that are absent in one of them or differ as JSON.
    It may have further attributes.
    """
    changed = []
    for name in old.keys() | new.keys() if unlike is None else unlike:
        before, after = old.get(name), new.get(name)
        # A text has one representation, so different text is a different value.
        if before != after and (after is None or "S" in after or not same(before, after)):
            changed.append(name)
    return frozenset(changed)


def same(left: Any, right: Any) -> bool:
    """Return whether two values are equal in DynamoDB, canonical or not; absent equals absent."""
    if left == right:
        return True
    if left is None or right is None or "S" in left or "S" in right:
        return False
    if "N" in left and "N" in right:
        return canonical_number(left["N"]) == canonical_number(right["N"])
    return equal(normalise(left), normalise(right))


def canonical_item(item: Item) -> Item:
    """Return ``item`` with canonical numbers, so that predicates and unique values can compare text.

    Text is not validated. An item that needs no change is returned, not copied.
    """
    found: dict[str, Any] | None = None
    # Most attributes are text, which has one representation; most others are repeated numbers.
    for name in [name for name, value in item.items() if "S" not in value]:
        value = item[name]
        number = value.get("N")
        if type(number) is str:
            plain = canonical_number(number)
            kept = value if plain == number else {"N": plain}
        else:
            kept = normalise(value)
        if kept is not value:
            found = found or dict(item)
            found[name] = kept
    return item if found is None else found


def predicate(where: Where, rule: Rule) -> Callable[[Item], bool]:
    """Return the condition as a function of an item. Raises :class:`RulesInvalid` with DynamoDB's error message."""
    from bursar.dynamo.expressions import Binding, parse_condition

    try:
        binding = Binding(
            dict(where.names) or None, {name: dict(value) for name, value in where.values.items()} or None
        )
        condition = parse_condition(where.condition).bind(binding)
        binding.check_all_used()
    except DynamoError as fault:
        raise RulesInvalid(f"{rule.keyword} rule {rule.name!r}: {fault.message}") from None
    if where.listed_values is not None:
        # The most common predicate, evaluated several times for each payment; equal text is equal in DynamoDB too.
        attribute, values, absent = where.listed_values
        texts = frozenset(value["S"] for value in values)
        return lambda item: item.get(attribute, _ABSENT).get("S") in texts and item.keys().isdisjoint(absent)
    evaluate: Callable[[Any], bool] = condition.evaluate
    return evaluate
