"""The plan of a rule set: everything about judging that does not depend on the item, computed once.

Three callers share it, so that they cannot disagree: the compiler (before sending), the reader of cancellations (after
a refusal) and the native guard. A *local* rule is judged on one item's old and new state. *Unique values* (unique,
unique while) and *parents* (references, agrees) also need other items, which each caller reads in its own way.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from bursar.dynamo.items.attribute_values import AttributeValue, Item
from bursar.rules.judging.bounded_sum import SumRule
from bursar.rules.judging.local_rules import (
    AppendOnlyVerdict,
    ChangesOnlyVerdict,
    CheckVerdict,
    TransitionsVerdict,
    TwoActorsVerdict,
    UnchangedVerdict,
    Verdict,
    changed_attributes,
    predicate,
    same,
)
from bursar.rules.judging.sentinels import PREFIX
from bursar.rules.judging.unique_and_parent import ParentRule, UniqueValue
from bursar.rules.judging.violation import Violation
from bursar.rules.language.named_rule import SENTINEL_KIND
from bursar.rules.language.predicates import plain_text
from bursar.rules.language.ruleset import Rules
from bursar.rules.language.vocabulary import (
    Agrees,
    AppendOnly,
    BoundedSum,
    Check,
    Immutable,
    References,
    Rule,
    Transitions,
    TwoActors,
    Unique,
    UniqueWhile,
    WriteOnce,
)

KIND_RULE = "kind"
"""The rule name in refusals of the kind attribute. It and ``kept`` exist without being declared."""
KEPT_RULE = "kept"
_SENTINEL = {"S": SENTINEL_KIND}
TOUCHED_CACHED = 256
SHOWN_CHARACTERS_MAX = 80
"""The most characters of one attribute's value that a message shows."""


@dataclass(frozen=True, slots=True)
class LocalRule:
    """One local rule, ready to judge.

    ``reads``: the attributes that it depends on; None: all. ``shown``: attributes for messages.
    """

    rule: str
    keyword: str
    reads: frozenset[str] | None
    verdict: Verdict
    shown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TouchedRules:
    """The rules of one kind that a change concerns, grouped by how callers use them."""

    local_rules: tuple[LocalRule, ...]
    unique_values: tuple[UniqueValue, ...]
    parents: tuple[ParentRule, ...]
    sums_as_child: tuple[SumRule, ...]
    sums_as_parent: tuple[SumRule, ...]


class KindPlan:
    """The rules for items of one kind; ``on_creation`` are those that concern a new item."""

    def __init__(self, name: str | None, rules: Rules) -> None:
        self.name = name
        self.unique_values: list[UniqueValue] = []
        self.parents: list[ParentRule] = []
        self.sums_as_child: list[SumRule] = []
        self.sums_as_parent = [SumRule(rule, rules) for rule in rules.sums_of_parent(name)]
        about = rules.about(name)
        locals_ = [_local(rule, self._verdict(rule, rules), rules) for rule in about]
        locals_.extend(_rules_of_parents(name, rules))
        locals_.extend(_rules_of_totals(self.sums_as_parent))
        self.on_put = tuple(local for local in locals_ if not isinstance(local.verdict, ChangesOnlyVerdict))
        self.on_change = tuple(locals_)
        self.on_creation = TouchedRules(
            self.on_put,
            tuple(self.unique_values),
            tuple(self.parents),
            tuple(self.sums_as_child),
            tuple(self.sums_as_parent),
        )
        self.removal = _removal(name, rules)
        footprints = {unique.reads for unique in self.unique_values} | {parent.reads for parent in self.parents}
        footprints |= {rule.reads for rule in about if isinstance(rule, Check | TwoActors)}
        footprints |= {sums.rule.parent_reads for sums in self.sums_as_parent}
        # A footprint of one attribute adds no condition: the changed attribute is compared already.
        self.footprints = tuple(sorted((reads for reads in footprints if len(reads) > 1), key=sorted))
        self.unique_reads = frozenset().union(*(unique.reads for unique in self.unique_values))
        # Called several times for each change, and always with one of the few sets of attributes that change together.
        self.touched_by = lru_cache(TOUCHED_CACHED)(self._rules_touched_by)

    def _rules_touched_by(self, changed: frozenset[str]) -> TouchedRules:
        """Return the rules that read any of the attributes ``changed`` of an item that is not removed."""
        return TouchedRules(
            tuple(
                one for one in self.on_change if (changed if one.reads is None else not changed.isdisjoint(one.reads))
            ),
            tuple(unique for unique in self.unique_values if not changed.isdisjoint(unique.reads)),
            tuple(parent for parent in self.parents if not changed.isdisjoint(parent.reads)),
            (),  # children of sums are append-only
            tuple(sums for sums in self.sums_as_parent if sums.rule.total in changed),
        )

    def _verdict(self, rule: Rule, rules: Rules) -> Verdict:
        match rule:
            case Unique() | UniqueWhile():
                self.unique_values.append(UniqueValue(rule))
                return self.unique_values[-1].verdict
            case BoundedSum():
                self.sums_as_child.append(SumRule(rule, rules))
                self.parents.append(self.sums_as_child[-1])
                return self.sums_as_child[-1].verdict
            case References():
                self.parents.append(ParentRule(rule, rules))
                return self.parents[-1].verdict
            case Transitions():
                return TransitionsVerdict(rule)
            case Immutable():
                return UnchangedVerdict(rule.attributes, once=False, erasable=rule.erasable)
            case WriteOnce():
                return UnchangedVerdict(rule.attributes, once=True)
            case TwoActors():
                return TwoActorsVerdict(rule)
            case AppendOnly():
                return AppendOnlyVerdict()
            case Check():
                return CheckVerdict(predicate(rule.where, rule), rule.describe())


class RulesPlan:
    """The plan of a whole rule set: kind → :class:`KindPlan`, and the judging of one item's change."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.key_names = rules.key_names
        self.kind_attribute = rules.kind_attribute
        names: list[str | None] = [kind.name for kind in rules.kinds]
        self.kinds = {name: KindPlan(name, rules) for name in names or [None]}
        self.single_kind = self.kinds.get(None)
        self.unique_values = {unique.rule.name: unique for kind in self.kinds.values() for unique in kind.unique_values}

    def key(self, item: Item) -> dict[str, Any]:
        """Return the item's key. Raises ``KeyError`` when the item lacks a key attribute."""
        return {name: item[name] for name in self.key_names}

    def kind_of(self, item: Item) -> KindPlan | None:
        """Return the plan of the item's kind; None when the item has no kind that the rules know."""
        value = item.get(self.kind_attribute)
        if self.single_kind is not None:
            return None if value == _SENTINEL else self.single_kind
        return None if value is None else self.kinds.get(value.get("S"))

    def judge(self, old: Item | None, new: Item | None, changed: frozenset[str] | None = None) -> Violation | None:
        """Return the violation of the first local rule that refuses old → new, or None.

        ``changed`` saves the comparison when the caller already has the changed attributes.
        """
        judged = self.judge_local_rules(old, new, changed)
        return judged if isinstance(judged, Violation) else None

    def judge_local_rules(
        self, old: Item | None, new: Item | None, changed: frozenset[str] | None = None
    ) -> Violation | TouchedRules:
        """Return the violation of the first local rule that refuses old → new, or the rules that the change concerns.

        A removal concerns the same rules as a creation, because it gives up unique values.
        """
        item = old if new is None else new
        assert item is not None  # at least one of the two is not None
        kind = self.kind_of(item)
        if kind is None:
            return self._kind_violation(old, new)
        if new is None:
            return kind.on_creation if kind.removal is None else self.violation(*kind.removal, (), old, None)
        if old is None:
            if self._is_at_sentinel_key(new):
                return self._kind_violation(None, new)
            for local in kind.on_put:
                reason = local.verdict(None, new)
                if reason is not None:
                    return self.violation(local.rule, local.keyword, reason, local.shown, None, new)
            return kind.on_creation
        before = old.get(self.kind_attribute)
        if before != new.get(self.kind_attribute) and (self.single_kind is None or before == _SENTINEL):
            return self._kind_violation(old, new)
        if changed is None:
            changed = changed_attributes(old, new)
        touched = kind.touched_by(changed)
        for local in touched.local_rules:
            reason = local.verdict(old, new)
            if reason is not None:
                return self.violation(local.rule, local.keyword, reason, local.shown, old, new)
        return touched

    def state_violations(self, item: Item) -> list[Violation]:
        """Return a violation for every local rule that the item breaks in its present state.

        Audits and the adoption of rules use it.
        """
        kind = self.kind_of(item)
        if kind is None or self._is_at_sentinel_key(item):
            return [self._kind_violation(None, item)]
        found = []
        for local in kind.on_put:
            verdict = local.verdict
            reason = verdict.state(item) if isinstance(verdict, TransitionsVerdict) else verdict(None, item)
            if reason is not None:
                found.append(self.violation(local.rule, local.keyword, reason, local.shown, None, item))
        return found

    def owns(self, item: Item | None, partition: str) -> bool:
        """Return whether ``item`` (None: absent) owns the unique value of the sentinel with key ``partition``."""
        kind = None if item is None else self.kind_of(item)
        if item is None or kind is None:
            return False
        try:
            return any(
                unique.partition_of(item) == partition
                for unique in kind.unique_values
                if partition.startswith(unique.prefix)
            )
        except ValueError:  # a value that cannot be unique; audit and adoption report it as a violation
            return False

    def _is_at_sentinel_key(self, item: Item) -> bool:
        """Return whether an item that is not a sentinel has a sentinel's key, and so would block a value."""
        partition: str = item[self.key_names[0]].get("S", "")
        return partition.startswith(PREFIX)

    def taken_violation(self, unique: UniqueValue, old: Item | None, new: Item | None, owner: Item | None) -> Violation:
        """Return the violation of a unique rule whose value the item with the key ``owner`` already owns."""
        reason = f"{' and '.join(unique.attributes)} {'is' if len(unique.attributes) == 1 else 'are'} taken"
        shown = tuple(sorted(unique.reads.difference(self.key_names)))
        return self.violation(unique.rule.name, unique.rule.keyword, reason, shown, old, new, owner)

    def parent_violation(
        self, parent: ParentRule, old: Item | None, new: Item, actual: Item | None
    ) -> Violation | None:
        """Return the violation if ``actual`` (the stored item; None: absent) cannot be the parent of ``new``."""
        reason = parent.disagreement(new, actual)
        if reason is None:
            return None
        shown = tuple(sorted(parent.reads.difference(self.key_names)))
        return self.violation(parent.rule.name, parent.rule.keyword, reason, shown, old, new)

    def wrong_total_message(self, name: str, parent: Item, excess: Decimal) -> str:
        """Return the message for a parent whose total is ``excess`` more than the sum of its children."""
        rule = self.rules[name]
        assert isinstance(rule, BoundedSum)
        direction = "more" if excess > 0 else "less"
        return (
            f"Rule {name} ({rule.keyword}): {rule.total} of {rule.parent} {self.shown_key(parent)} is "
            f"{abs(excess):f} {direction} than the sum of {rule.amount} of each {rule.kind}"
        )

    def violation(
        self,
        rule: str,
        keyword: str,
        reason: str,
        shown: tuple[str, ...],
        old: Item | None,
        new: Item | None,
        owner: Item | None = None,
    ) -> Violation:
        """Return a violation with its message; the texts of all refusals are made here."""
        item = old if new is None else new
        assert item is not None
        key = self.key(item)
        verb = "put" if old is None else "remove" if new is None else "change"
        kind = item.get(self.kind_attribute, {}).get("S", "item") if self.single_kind is None else "item"
        parts = [f"Rule {rule} ({keyword}) refuses to {verb} {kind} {self.shown_key(key)}: {reason}"]
        if owner is not None:
            parts.append(f"; owned by {self.shown_key(owner)}")
        if old is not None and new is not None:
            shown = tuple(name for name in shown if not same(old.get(name), new.get(name))) or shown
        if shown:
            was = "absent" if old is None else self._state(old, shown)
            parts.append(f"; was {was}, would be {'absent' if new is None else self._state(new, shown)}")
        return Violation(rule, key, old, new, "".join(parts), owner)

    def shown_key(self, key: Item) -> str:
        """Return a key as messages show it. The value in a sentinel's key may be secret and is then hidden."""
        name = self.key_names[0]
        partition = key[name].get("S", "") if name in key else ""
        for unique in self.unique_values.values():
            if partition.startswith(unique.prefix) and not self.rules.secrets.isdisjoint(unique.attributes):
                return plain_text({"M": {**key, name: {"S": f"{unique.prefix}(secret)"}}})
        return plain_text({"M": dict(key)})

    def _state(self, item: Item, shown: tuple[str, ...]) -> str:
        return "{" + ", ".join(f"{name}: {self._shown(name, item.get(name))}" for name in shown) + "}"

    def _shown(self, name: str, value: AttributeValue | None) -> str:
        if value is not None and name in self.rules.secrets:
            return "(secret)"
        text = plain_text(value)
        return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[:SHOWN_CHARACTERS_MAX]}…"

    def _kind_violation(self, old: Item | None, new: Item | None) -> Violation:
        item = old if new is None else new
        assert item is not None
        known = ", ".join(str(name) for name in self.kinds)
        kinds = [one.get(self.kind_attribute) for one in (old, new) if one is not None]
        if _SENTINEL not in kinds and self._is_at_sentinel_key(item):
            reason = f"only a sentinel's partition key starts with {PREFIX}"
        elif _SENTINEL in kinds:
            reason = "only the rules write sentinels"
        elif old is not None and new is not None:
            reason = "an item's kind never changes"
        else:
            reason = f"an item's kind must be one of {known}"
        return self.violation(KIND_RULE, "kind", reason, (self.kind_attribute,), old, new)


def _local(rule: Rule, verdict: Verdict, rules: Rules) -> LocalRule:
    reads = None if isinstance(rule, AppendOnly) else rule.reads
    keys = frozenset(rules.key_names)
    return LocalRule(rule.name, rule.keyword, reads, verdict, tuple(sorted(rule.reads - keys)))


def _rules_of_parents(kind: str | None, rules: Rules) -> list[LocalRule]:
    """Return the local rules of a parent: the attributes with which children agree never change."""
    return [
        LocalRule(
            rule.name,
            rule.keyword,
            frozenset(rule.attributes),
            UnchangedVerdict(rule.attributes, once=False, erasable=rule.erasable),
            rule.attributes,
        )
        for rule in rules.rules
        if isinstance(rule, Agrees) and rule.parent == kind
    ]


def _rules_of_totals(sums: Iterable[SumRule]) -> list[LocalRule]:
    """Return the local rules of a parent: the total of its children is at most its limit."""
    return [
        LocalRule(
            one.rule.name,
            one.rule.keyword,
            one.rule.parent_reads,
            one.parent_verdict,
            (one.rule.total, one.rule.limit),
        )
        for one in sums
    ]


def _removal(kind: str | None, rules: Rules) -> tuple[str, str, str] | None:
    """Return (rule, keyword, reason) why items of this kind are never removed, or None."""
    for rule in rules.about(kind):
        if isinstance(rule, AppendOnly):
            return rule.name, rule.keyword, "it is never changed or removed"
    if any(one.name == kind and one.kept for one in rules.kinds):
        return KEPT_RULE, "kept", "items of this kind are never removed"
    for rule in rules.rules:
        if isinstance(rule, References) and rule.parent == kind:
            return rule.name, rule.keyword, "it may be the parent of other items"
    return None
