"""A cancelled transaction, read reason by reason: whose refusal it is, and whether trying again can help.

| reason's code | about | means |
|---|---|---|
| ConditionalCheckFailed | an item | it moved: judged again as it is now, a rule refuses, or it is contention |
| ConditionalCheckFailed | a sentinel taken | its unique rule refuses: another item holds the value |
| ConditionalCheckFailed | a sentinel given back | the table was written to past its rules: refused, audit it |
| ConditionalCheckFailed | a parent | references or agrees refuses |
| ConditionalCheckFailed with a native guard's message | any | that rule refuses |
| TransactionConflict, throttling | any | nothing was judged: the same transaction again, a little later |
| anything else | any | the store's own complaint, passed on |

A refusal outranks contention: it holds whatever the item has become.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bursar.dynamo.items.attribute_values import Item
from bursar.rules.errors import Contention, RuleRefused, RulesError
from bursar.rules.judging.local_rules import same
from bursar.rules.judging.plan import RulesPlan
from bursar.rules.judging.sentinels import OWNER
from bursar.rules.judging.violation import Violation
from bursar.rules.transactions.actions import CompiledAction, ItemChange
from bursar.rules.transactions.compile import CompiledTransaction

CONDITION_FAILED: Final = "ConditionalCheckFailed"
CANCELLED: Final = "TransactionCanceledException"

BUSY_REASONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
"""Reasons under which nothing was judged and trying again helps."""

BUSY_CODES = frozenset(
    {
        "TransactionConflictException",
        "TransactionInProgressException",
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
    }
)
"""The same, when the whole request was turned away."""

UNCLEAR_CODES = frozenset({"InternalServerError", "ServiceUnavailable"})
"""Amazon's 500s: the write may have taken place ("Error handling with DynamoDB"), the token settles it."""

_GUARDED = re.compile(r"Rule (\S+) \(")
"""The start of every refusal's message, the native guard's included (see ``RulesPlan.violation``)."""


def failed_conditions(
    compiled: CompiledTransaction, reasons: Sequence[Mapping[str, Any]]
) -> list[tuple[CompiledAction, Mapping[str, Any]]]:
    """The actions whose condition failed, each with its reason."""
    pairs = zip(compiled.actions, reasons, strict=True)
    return [(action, reason) for action, reason in pairs if reason.get("Code") == CONDITION_FAILED]


def is_busy(reasons: Sequence[Mapping[str, Any]]) -> bool:
    """Whether nothing but conflicts and throttling stood in the way."""
    codes = {reason.get("Code", "None") for reason in reasons} - {"None", None}
    return bool(codes) and codes <= BUSY_REASONS


def guard_refusal(plan: RulesPlan, action: CompiledAction, message: str) -> RuleRefused | None:
    """The native guard's refusal that ``message`` is, if it is one."""
    match = _GUARDED.match(message)
    if match is None:
        return None
    change = action.change
    return RuleRefused(message, rule=match.group(1), item_key=change.key, old=change.old, new=change.new)


def refusal_or_contention(plan: RulesPlan, failed: Sequence[tuple[CompiledAction, Item | None]]) -> RulesError:
    """What the caller hears, ``failed`` being each action whose condition failed with the item as it was found."""
    moved = {id(action.change): (action.change, actual) for action, actual in failed if action.role == "item"}
    for action, actual in failed:
        found = _READERS[action.role](plan, action, actual, moved)
        if found is not None:
            return RuleRefused.by(found)
    for action, actual in failed:
        if action.role == "item":
            key = action.change.key
            now = "is not there" if actual is None else "is not as it was read"
            return Contention(f"{plan.shown_key(key)} {now}", item_key=key, actual=actual)
    action, actual = failed[0]
    return Contention("what the write rests on moved meanwhile", item_key=action.change.key, actual=actual)


def is_in_effect(plan: RulesPlan, change: ItemChange, actual: Item | None) -> bool:
    """Whether ``actual`` is what the change makes: it took place (or somebody else did the very same)."""
    if change.new is None or actual is None:
        return change.new is None and actual is None
    return all(same(actual.get(name), change.new.get(name)) for name in change.changed)


Moved = Mapping[int, tuple[ItemChange, Item | None]]
"""The changes (by identity) whose own item was not as it was read, each with the item as it was found."""


def _now(change: ItemChange, moved: Moved) -> Item | None:
    """What the change would make of its item as that is now; None when the item is gone, or goes by the change."""
    if id(change) not in moved or change.old is None or change.new is None:
        return change.new
    actual = moved[id(change)][1]
    if actual is None:
        return None
    now = {name: value for name, value in actual.items() if name not in change.changed}
    now.update((name, change.new[name]) for name in change.changed if name in change.new)
    return now


def _item_refuses(plan: RulesPlan, action: CompiledAction, actual: Item | None, moved: Moved) -> Violation | None:
    return None if actual is None else plan.judge(actual, _now(action.change, moved))


def _taken_by_another(plan: RulesPlan, action: CompiledAction, actual: Item | None, moved: Moved) -> Violation | None:
    unique, now = action.unique, _now(action.change, moved)
    assert unique is not None
    # An item that moved might not take the value any more: then only reading it again can tell.
    if now is None or unique.partition_of(now) != action.body["Put"]["Item"][plan.key_names[0]]["S"]:
        return None
    owner = None if actual is None else actual.get(OWNER, {}).get("M")
    # The same holds for the owner, if this very transaction was to change it.
    if any(change.key == owner for change, _ in moved.values()):
        return None
    return plan.taken_violation(unique, action.change.old, now, owner)


def _given_up_by_another(
    plan: RulesPlan, action: CompiledAction, actual: Item | None, moved: Moved
) -> Violation | None:
    change, unique = action.change, action.unique
    if id(change) in moved:  # what it held when it was read, another may well hold by now
        return None
    assert unique is not None
    owner = None if actual is None else actual.get(OWNER, {}).get("M")
    reason = "its unique value is another's: the table was written to past its rules, `bursar audit` tells more"
    return plan.violation(unique.rule.name, unique.rule.keyword, reason, (), change.old, change.new, owner)


def _parent_refuses(plan: RulesPlan, action: CompiledAction, actual: Item | None, moved: Moved) -> Violation | None:
    key = action.body["ConditionCheck"]["Key"]
    for change, parent in action.children:
        now = _now(change, moved)
        if now is not None and parent.key(now) == key:
            found = plan.parent_violation(parent, change.old, now, actual)
            if found is not None:
                return found
    return None


_READERS = {
    "item": _item_refuses,
    "take": _taken_by_another,
    "give_up": _given_up_by_another,
    "parent": _parent_refuses,
}
