"""``Rules``: all rules of one table as one object, checked as a whole when it is created."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from bursar.rules.language.named_rule import Kind, RulesInvalid
from bursar.rules.language.vocabulary import Agrees, AppendOnly, BoundedSum, References, Rule


@dataclass(frozen=True)
class Rules:
    """A table's keys, its kinds of items and its rules, in the order in which they are judged.

    With ``kinds``, every item must have one of them (text) in ``kind_attribute`` and keeps it. Without ``kinds``, all
    items have one unnamed kind, and no rule may name a kind. ``secrets`` are attributes whose values no message may
    show. Raises :class:`RulesInvalid` with the rule and the reason.
    """

    partition_key: str
    sort_key: str | None = None
    kinds: tuple[Kind, ...] = ()
    rules: tuple[Rule, ...] = ()
    kind_attribute: str = "kind"
    secrets: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", tuple(self.kinds))
        object.__setattr__(self, "rules", tuple(self.rules))
        object.__setattr__(self, "secrets", frozenset(self.secrets))
        if not self.partition_key or self.partition_key == self.sort_key:
            raise RulesInvalid(
                f"partition_key: must be a name, and not that of the sort key; got {self.partition_key!r}"
            )
        if self.kind_attribute in self.key_names:
            raise RulesInvalid(f"kind_attribute: must not be a key of the table; got {self.kind_attribute!r}")
        _check_distinct("kind", (kind.name for kind in self.kinds))
        _check_distinct("rule", (rule.name for rule in self.rules))
        known = {kind.name for kind in self.kinds}
        for rule in self.rules:
            if rule.kind is not None and rule.kind not in known:
                raise RulesInvalid(
                    f"{rule.keyword} rule {rule.name!r}: kind must be a kind of the table; got {rule.kind!r}"
                )
            if isinstance(rule, References):
                self._check_reference(rule, known)

    def _check_reference(self, rule: References, known: set[str]) -> None:
        if rule.parent not in known:
            raise RulesInvalid(
                f"{rule.keyword} rule {rule.name!r}: parent must be a kind of the table; got {rule.parent!r}"
            )
        if set(rule.key) != set(self.key_names):
            needed = " and ".join(self.key_names)
            raise RulesInvalid(f"{rule.keyword} rule {rule.name!r}: key must give {needed} of the parent")
        if isinstance(rule, Agrees) and set(rule.attributes) & {*self.key_names, self.kind_attribute}:
            raise RulesInvalid(
                f"agrees rule {rule.name!r}: attributes must not be keys or the kind, which always differ"
            )
        if isinstance(rule, BoundedSum):
            self._check_bounded_sum(rule)

    def _check_bounded_sum(self, rule: BoundedSum) -> None:
        append_only = {other.kind for other in self.rules if isinstance(other, AppendOnly)}
        if append_only.isdisjoint((rule.kind, None)):
            raise RulesInvalid(
                f"bounded sum rule {rule.name!r}: kind must be append-only, "
                f"or a change of a child would change the sum; got {rule.kind!r}"
            )
        if not append_only.isdisjoint((rule.parent, None)):
            raise RulesInvalid(
                f"bounded sum rule {rule.name!r}: parent must not be append-only, "
                f"because each child changes its total; got {rule.parent!r}"
            )
        if rule.parent_reads & {*self.key_names, self.kind_attribute}:
            raise RulesInvalid(f"bounded sum rule {rule.name!r}: total and limit must not be keys or the kind")

    @cached_property
    def key_names(self) -> tuple[str, ...]:
        """The table's key attributes: partition key, then the sort key if there is one."""
        return (self.partition_key,) if self.sort_key is None else (self.partition_key, self.sort_key)

    def __getitem__(self, name: str) -> Rule:
        """Return the rule called ``name``. Raises ``KeyError`` with the known names."""
        for rule in self.rules:
            if rule.name == name:
                return rule
        raise KeyError(f"no rule {name!r}; the rules are {', '.join(rule.name for rule in self.rules)}")

    def about(self, kind: str | None) -> tuple[Rule, ...]:
        """Return the rules that apply to items of ``kind``, in order."""
        return tuple(rule for rule in self.rules if rule.kind is None or rule.kind == kind)

    def sums_of_parent(self, kind: str | None) -> tuple[BoundedSum, ...]:
        """Return the bounded-sum rules whose parents are of ``kind``, in order."""
        return tuple(rule for rule in self.rules if isinstance(rule, BoundedSum) and rule.parent == kind)


def _check_distinct(what: str, names: Iterable[str]) -> None:
    seen = set()
    for name in names:
        if name in seen:
            raise RulesInvalid(f"names of {what}s: must be different; got {name!r} twice")
        seen.add(name)
