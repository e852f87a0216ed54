"""The vocabulary of rules: small frozen objects that check themselves and describe themselves.

| rule | guarantees |
|---|---|
| ``Unique`` | one attribute, or several together, belong to one item |
| ``UniqueWhile`` | at most one item per group while a predicate holds (a partial unique constraint) |
| ``Transitions`` | an attribute's value moves along a graph, from an initial value, and stays at a final one |
| ``Immutable`` | attributes never change once the item exists; some may be erased |
| ``WriteOnce`` | attributes may be absent at first; once written they never change |
| ``Check`` | a predicate holds for every item |
| ``References`` | the parent item exists (and is therefore never removed) |
| ``Agrees`` | attributes equal the parent's (which never change, except that some may be erased) |
| ``BoundedSum`` | the amounts of an item's children add up to its total, which never exceeds its limit |
| ``TwoActors`` | two attributes name two different people, and neither is ever changed |
| ``AppendOnly`` | items are never changed or removed |

An absent attribute is like NULL in SQL: it is not unique, and a reference made of it refers to nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

from bursar.rules.language.named_rule import NamedRule, RulesInvalid, and_list, belong, change, equal, or_list
from bursar.rules.language.predicates import Where

PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Unique(NamedRule):
    """``attributes`` (one, or several together) belong to at most one item. Values: text, numbers or binary."""

    attributes: tuple[str, ...] = ()
    keyword: ClassVar[str] = "unique"

    def _check(self) -> None:
        self._check_attributes("attributes")

    @property
    def reads(self) -> frozenset[str]:
        """The unique attributes."""
        return frozenset(self.attributes)

    def describe(self) -> str:
        """Return the rule as the end of a sentence."""
        return f"{and_list(self.attributes)} {belong(self.attributes)} to at most one item"


@dataclass(frozen=True)
class UniqueWhile(NamedRule):
    """At most one item per ``group`` (attributes) for which ``where`` holds: a partial unique constraint."""

    group: tuple[str, ...] = ()
    where: Where = field(default_factory=lambda: Where("attribute_exists(x)"))
    keyword: ClassVar[str] = "unique while"

    def _check(self) -> None:
        self._check_attributes("group")

    @property
    def attributes(self) -> tuple[str, ...]:
        """The group: the attributes in the sentinel's key, like a unique rule's attributes."""
        return self.group

    @property
    def reads(self) -> frozenset[str]:
        """The group and the attributes of the predicate."""
        return frozenset(self.group) | self.where.attributes

    def describe(self) -> str:
        """Return the rule as the end of a sentence."""
        return f"at most one item per {and_list(self.group)} while {self.where.describe()}"


@dataclass(frozen=True)
class Transitions(NamedRule):
    """``attribute`` (text) starts at one of ``initial``, moves only along ``edges`` and stays at a ``final`` value.

    A write that does not change the value always passes. The graph checks itself: an initial value leads to every
    value, a final value has no outgoing edge, and a value without an outgoing edge must be in ``final``.
    """

    attribute: str = ""
    initial: tuple[str, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    final: tuple[str, ...] = ()
    keyword: ClassVar[str] = "transitions"

    def _check(self) -> None:
        if not self.attribute:
            raise self._invalid("attribute must not be empty")
        self._check_attributes("initial")
        object.__setattr__(self, "final", tuple(self.final))
        for edge in self.edges:
            if len(edge) != 2 or not all(isinstance(state, str) for state in edge):
                raise self._invalid(f"an edge must be a pair of values; got {edge!r}")
        moves = dict.fromkeys((source, target) for source, target in self.edges if source != target)
        object.__setattr__(self, "edges", tuple(moves))
        self._check_graph()

    def _check_graph(self) -> None:
        leaving = {source for source, _ in self.edges}
        known = set(self.initial) | leaving | {target for _, target in self.edges}
        for state in self.final:
            if state not in known:
                raise self._invalid(f"final value {state!r} must be on an edge")
            if state in leaving:
                raise self._invalid(f"final value {state!r} must not have an outgoing edge")
        for state in self.states:
            if state not in leaving and state not in self.final:
                raise self._invalid(f"value {state!r} must have an outgoing edge or be final")
        reached, frontier = set(self.initial), list(self.initial)
        while frontier:
            targets = self.targets.get(frontier.pop(), frozenset()) - reached
            reached |= targets
            frontier.extend(targets)
        for state in self.states:
            if state not in reached:
                raise self._invalid(f"value {state!r} must be reachable from {or_list(self.initial)}")

    @cached_property
    def targets(self) -> Mapping[str, frozenset[str]]:
        """Value → the values to which it may move."""
        found: dict[str, set[str]] = {}
        for source, target in self.edges:
            found.setdefault(source, set()).add(target)
        return MappingProxyType({source: frozenset(targets) for source, targets in found.items()})

    @cached_property
    def states(self) -> tuple[str, ...]:
        """Every value, in the order of its first appearance in the edges."""
        return tuple(dict.fromkeys((*self.initial, *(state for edge in self.edges for state in edge))))

    @property
    def reads(self) -> frozenset[str]:
        """The attribute of the graph."""
        return frozenset((self.attribute,))

    def describe(self) -> str:
        """Return the rule as the end of a sentence."""
        edges = ", ".join(f"{source} → {target}" for source, target in self.edges)
        return f"{self.attribute} starts as {or_list(self.initial)} and moves only {edges}"


@dataclass(frozen=True)
class Immutable(NamedRule):
    """``attributes`` never change: neither their values, nor from absent to present or back.

    Those that are also ``erasable`` may become absent, and then stay absent. This is for data that the law requires to
    remove.
    """

    attributes: tuple[str, ...] = ()
    erasable: tuple[str, ...] = ()
    keyword: ClassVar[str] = "immutable"

    def _check(self) -> None:
        self._check_attributes("attributes")
        _check_erasable(self)

    @property
    def reads(self) -> frozenset[str]:
        """The immutable attributes."""
        return frozenset(self.attributes)

    def describe(self) -> str:
        """Return the rule as the end of a sentence."""
        return f"{and_list(self.attributes)} never {change(self.attributes)}{_but_erasable(self.erasable)}"


@dataclass(frozen=True)
class WriteOnce(NamedRule):
    """``attributes`` may be absent at first; once written they are neither changed nor removed."""

    attributes: tuple[str, ...] = ()
    keyword: ClassVar[str] = "write once"

    def _check(self) -> None:
        self._check_attributes("attributes")

    @property
    def reads(self) -> frozenset[str]:
        """The write-once attributes."""
        return frozenset(self.attributes)

    def describe(self) -> str:
        """Return the rule as the end of a sentence."""
        return f"{and_list(self.attributes)}, once written, never {change(self.attributes)}"


@dataclass(frozen=True)
class Check(NamedRule):
    """``where`` holds for every item."""

    where: Where = field(default_factory=lambda: Where("attribute_exists(x)"))
    keyword: ClassVar[str] = "check"

    @property
    def reads(self) -> frozenset[str]:
        """The attributes of the predicate."""
        return self.where.attributes

    def describe(self) -> str:
        """Return the predicate as text."""
        return self.where.describe()


@dataclass(frozen=True)
class References(NamedRule):
    """The parent exists: an item of kind ``parent`` at ``key``.

    ``key`` gives the parent's key in the child's attributes: ``{"pk": "{pk}", "sk": "obligation"}``. ``"{pk}"`` without
    other text copies the attribute with its type. Inside longer text the attribute must be text. Parents are never
    removed.
    """

    parent: str = ""
    key: Mapping[str, str] = field(default_factory=dict)
    keyword: ClassVar[str] = "references"

    def _check(self) -> None:
        if not self.parent:
            raise self._invalid("parent must be a kind; got none")
        object.__setattr__(self, "key", MappingProxyType(dict(self.key)))
        if not self.key:
            raise self._invalid("key must be the parent's key; got none")
        if not self.key_attributes:
            raise self._invalid("key must contain at least one attribute of the child, as in '{pk}'")

    @cached_property
    def key_attributes(self) -> tuple[str, ...]:
        """The child's attributes that make up the parent's key."""
        return tuple(dict.fromkeys(name for text in self.key.values() for name in PLACEHOLDER.findall(text)))

    @property
    def reads(self) -> frozenset[str]:
        """The child's attributes in the parent's key."""
        return frozenset(self.key_attributes)

    def describe(self) -> str:
        """Return the rule as the end of a sentence."""
        return f"its {self.parent} exists at {', '.join(f'{name} = {text}' for name, text in self.key.items())}"


@dataclass(frozen=True)
class Agrees(References):
    """The parent exists and its ``attributes`` equal the child's (absent equals absent). The parent's never change.

    The parent's ``erasable`` attributes may become absent, and then stay absent. A child agrees in such an attribute
    with a parent that lacks it, no matter which value the child has.
    """

    attributes: tuple[str, ...] = ()
    erasable: tuple[str, ...] = ()
    keyword: ClassVar[str] = "agrees"

    def _check(self) -> None:
        super()._check()
        self._check_attributes("attributes")
        _check_erasable(self)

    @property
    def reads(self) -> frozenset[str]:
        """The child's attributes in the parent's key, and those that must agree."""
        return super().reads | frozenset(self.attributes)

    def describe(self) -> str:
        """Return the rule as the end of a sentence."""
        return f"{and_list(self.attributes)} {equal(self.attributes)} its {self.parent}'s{_but_erasable(self.erasable)}"


@dataclass(frozen=True)
class BoundedSum(References):
    """The ``amount`` of all children of one parent add up to the parent's ``total``, which is at most its ``limit``.

    A child's amount is a number greater than 0. The parent's total (absent: 0) is written in the same transaction as
    each new child, and by no other write. Children must be append-only, so that the sum changes only by new children.
    """

    amount: str = ""
    total: str = ""
    limit: str = ""
    keyword: ClassVar[str] = "bounded sum"

    def _check(self) -> None:
        super()._check()
        if self.kind is None or self.kind == self.parent:
            raise self._invalid(f"kind must be a kind other than the parent's; got {self.kind!r}")
        for name in ("amount", "total", "limit"):
            if not getattr(self, name):
                raise self._invalid(f"{name} must be an attribute; got none")
        if self.total == self.limit:
            raise self._invalid(f"total and limit must be different attributes; got {self.total!r} for both")

    @property
    def reads(self) -> frozenset[str]:
        """The child's attributes in the parent's key, and its amount."""
        return super().reads | {self.amount}

    @property
    def parent_reads(self) -> frozenset[str]:
        """The parent's attributes on which the verdict depends."""
        return frozenset((self.total, self.limit))

    def describe(self) -> str:
        """Return the rule as the end of a sentence."""
        return f"the sum of {self.amount} is its {self.parent}'s {self.total}, which is at most {self.limit}"


@dataclass(frozen=True)
class TwoActors(NamedRule):
    """``first`` and ``second`` name two different people: a maker and a checker.

    ``first`` never changes; ``second`` may be written later, once. Names are text, and are compared without case and
    without spaces around them.
    """

    first: str = ""
    second: str = ""
    keyword: ClassVar[str] = "two actors"

    def _check(self) -> None:
        if not self.first or not self.second or self.first == self.second:
            raise self._invalid(
                f"first and second must be two different attributes; got {self.first!r} and {self.second!r}"
            )

    @property
    def reads(self) -> frozenset[str]:
        """Both attributes."""
        return frozenset((self.first, self.second))

    def describe(self) -> str:
        """Return the rule as the end of a sentence."""
        return f"{self.first} and {self.second} are two different people, each written once"


@dataclass(frozen=True)
class AppendOnly(NamedRule):
    """Items of this kind are never changed or removed."""

    keyword: ClassVar[str] = "append-only"

    def describe(self) -> str:
        """Return the rule as the end of a sentence."""
        return "never changed or removed"


def _check_erasable(rule: Immutable | Agrees) -> None:
    given: Any = rule.erasable
    object.__setattr__(rule, "erasable", (given,) if isinstance(given, str) else tuple(given))
    for name in rule.erasable:
        if name not in rule.attributes:
            raise RulesInvalid(
                f"{rule.keyword} rule {rule.name!r}: erasable must be among the attributes; got {name!r}"
            )


def _but_erasable(erasable: tuple[str, ...]) -> str:
    return f", but {and_list(erasable)} may be erased" if erasable else ""


Rule = (
    Unique
    | UniqueWhile
    | Transitions
    | Immutable
    | WriteOnce
    | Check
    | References
    | Agrees
    | BoundedSum
    | TwoActors
    | AppendOnly
)

RULE_CLASSES: Mapping[str, type[Rule]] = MappingProxyType(
    {
        rule_class.keyword: rule_class
        for rule_class in (
            Unique, UniqueWhile, Transitions, Immutable, WriteOnce, Check, References, Agrees, BoundedSum, TwoActors,
            AppendOnly,
        )
    }
)  # fmt: skip
"""Each rule's keyword in TOML and in messages → its class."""
