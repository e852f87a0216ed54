"""Bounded sums: the separate verdicts on a child and on its parent (:mod:`bursar.rules.judging.balances`)."""

from decimal import Decimal
from typing import Any

from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.items.numbers import parse_number
from bursar.rules.judging.unique_and_parent import ParentRule
from bursar.rules.language.ruleset import Rules
from bursar.rules.language.vocabulary import BoundedSum

ZERO = Decimal(0)


class SumRule(ParentRule):
    """A bounded-sum rule, ready to judge children and parents. Its children's parent must exist, as for references."""

    def __init__(self, rule: BoundedSum, rules: Rules) -> None:
        super().__init__(rule, rules)
        self.rule: BoundedSum = rule

    def verdict(self, _old: Item | None, new: Item) -> str | None:
        """Judge a child: its amount must be a number greater than 0."""
        amount = _number(new.get(self.rule.amount))
        if amount is None or amount <= 0:
            return f"{self.rule.amount} must be a number greater than 0"
        return super().verdict(_old, new)

    def parent_verdict(self, _old: Item | None, new: Item) -> str | None:
        """Judge a parent: its total, if present, must be from 0 to its limit."""
        if self.rule.total not in new:
            return None
        total, limit = _number(new[self.rule.total]), _number(new.get(self.rule.limit))
        if total is None or total < 0:
            return f"{self.rule.total} must be a number from 0"
        if limit is None or total > limit:
            return f"{self.rule.total} must be at most {self.rule.limit}"
        return None

    def amount(self, child: Item) -> Decimal:
        """Return the child's amount. Only for an item that passed ``verdict``."""
        return parse_number(child[self.rule.amount]["N"])

    def total(self, parent: Item | None) -> Decimal:
        """Return the parent's total; 0 for an absent parent or total. Only for one that passed ``parent_verdict``."""
        found = None if parent is None else _number(parent.get(self.rule.total))
        return ZERO if found is None else found


def _number(value: Any) -> Decimal | None:
    """Return a number's value; None for an absent value or one of another type."""
    return None if value is None or "N" not in value else parse_number(value["N"])
