"""Bounded sums over many changes: the balance of one request, and of a whole table.

A request keeps a sum if each parent's total grows by exactly the amounts of the children that the request adds. The
changes alone decide that: a child's parent must be among them, because its total changes. Old totals were in balance,
and children are append-only, so the new totals are in balance too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact
from typing import Any

import orjson

from bursar.dynamo.items.attribute_values import Item
from bursar.rules.judging.bounded_sum import ZERO, SumRule
from bursar.rules.judging.plan import KindPlan, RulesPlan, TouchedRules
from bursar.rules.judging.violation import Violation

DIGITS_MAX = 400
"""The digits of exact sums: more than any sum of DynamoDB's numbers needs (125 + 130, and those of their count)."""
EXACT = Context(prec=DIGITS_MAX, traps=[Inexact])


@dataclass(slots=True)
class _Balance:
    """One parent's changes in one request: ``added`` by its children, ``grown`` in its total."""

    rule: SumRule
    child: int = -1
    parent: int = -1
    added: Decimal = ZERO
    grown: Decimal = ZERO


class Balances:
    """The balances of all parents that one request's changes concern."""

    def __init__(self, plan: RulesPlan) -> None:
        self._plan = plan
        self._changes: dict[int, tuple[Item | None, Item]] = {}
        self._found: dict[Any, _Balance] = {}

    def add(self, index: int, old: Item | None, new: Item | None, touched: TouchedRules) -> None:
        """Add the change ``index`` of the request, which passed the local rules."""
        if new is None:
            return
        self._changes[index] = old, new
        for rule in touched.sums_as_child:
            key = rule.key(new)
            if key is not None:
                balance = self._balance(rule, key)
                balance.child = index
                balance.added = EXACT.add(balance.added, rule.amount(new))
        for rule in touched.sums_as_parent:
            balance = self._balance(rule, self._plan.key(new))
            balance.parent = index
            balance.grown = EXACT.subtract(rule.total(new), rule.total(old))

    def violation(self) -> tuple[int, Violation] | None:
        """Return (index of the change, violation) of the first sum that the changes do not keep, or None."""
        for balance in self._found.values():
            if balance.added == balance.grown:
                continue
            rule = balance.rule.rule
            if balance.parent < 0:
                reason = f"its {rule.parent}'s {rule.total} must be written in the same transaction"
                shown, index = rule.amount, balance.child
            else:
                reason = f"{rule.total} must grow by the {rule.amount} of each {rule.kind} that is added with it"
                shown, index = rule.total, balance.parent
            old, new = self._changes[index]
            return index, self._plan.violation(rule.name, rule.keyword, reason, (shown,), old, new)
        return None

    def _balance(self, rule: SumRule, key: Item) -> _Balance:
        token = (rule.rule.name, *(part for name in self._plan.key_names for part in key[name].items()))
        found = self._found.get(token)
        if found is None:
            found = self._found[token] = _Balance(rule)
        return found


class OpenSums:
    """The parents whose total differs from the sum of the children in the items added so far.

    Memory grows only with parents whose children are still missing, and these are few if a parent and its children are
    adjacent in key order.
    """

    def __init__(self, plan: RulesPlan) -> None:
        self._plan = plan
        self._excess: dict[tuple[str, bytes], Decimal] = {}

    def add(self, item: Item, kind: KindPlan) -> None:
        """Add one item, which passed the local rules."""
        for rule in kind.sums_as_child:
            key = rule.key(item)
            if key is not None:
                self._move(rule, key, -rule.amount(item))
        for rule in kind.sums_as_parent:
            self._move(rule, self._plan.key(item), rule.total(item))

    def messages(self) -> Iterator[str]:
        """Yield a message for each parent with a wrong total, once all items are added."""
        for (name, key), excess in self._excess.items():
            yield self._plan.wrong_total_message(name, orjson.loads(key), excess)

    def _move(self, rule: SumRule, key: Item, by: Decimal) -> None:
        token = rule.rule.name, orjson.dumps(key, option=orjson.OPT_SORT_KEYS)
        excess = EXACT.add(self._excess.pop(token, ZERO), by)
        if excess:
            self._excess[token] = excess
