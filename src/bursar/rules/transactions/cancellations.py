"""A cancelled transaction, read reason by reason: which rule refuses, and whether a retry can help.

| reason's code | about | means |
|---|---|---|
| ConditionalCheckFailed | an item | it changed: judged in its present state, a rule refuses, or it is contention |
| ConditionalCheckFailed | a sentinel taken | its unique rule refuses: another item owns the value |
| ConditionalCheckFailed | a sentinel given up | a writer bypassed the rules: refused, run the audit |
| ConditionalCheckFailed | a parent | references or agrees refuses |
| ConditionalCheckFailed with a native guard's message | any | that rule refuses |
| TransactionConflict, throttling | any | nothing was judged: retry the same transaction a little later |
| anything else | any | the store's own error, raised as it is |

A refusal has priority over contention: it holds for every later state of the item.
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
"""Reasons for which nothing was judged and a retry helps."""

BUSY_CODES = frozenset(
    {
        "TransactionConflictException",
        "TransactionInProgressException",
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
    }
)
"""Error codes of a whole request for which nothing was judged and a retry helps."""

UNCLEAR_CODES = frozenset({"InternalServerError", "ServiceUnavailable"})
"""Amazon's 500s: the write may have taken place ("Error handling with DynamoDB"); the token settles it."""

_GUARDED = re.compile(r"Rule (\S+) \(")
"""The start of every refusal's message, the native guard's included (see ``RulesPlan.violation``)."""


def failed_conditions(
    compiled: CompiledTransaction, reasons: Sequence[Mapping[str, Any]]
) -> list[tuple[CompiledAction, Mapping[str, Any]]]:
    """Return the actions whose condition failed, each with its reason."""
    pairs = zip(compiled.actions, reasons, strict=True)
    return [(action, reason) for action, reason in pairs if reason.get("Code") == CONDITION_FAILED]


def is_busy(reasons: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether conflicts and throttling are the only reasons."""
    codes = {reason.get("Code", "None") for reason in reasons} - {"None", None}
    return bool(codes) and codes <= BUSY_REASONS


def guard_refusal(plan: RulesPlan, action: CompiledAction, message: str) -> RuleRefused | None:
    """Return the native guard's refusal with the text ``message``; None if ``message`` is not from a guard."""
    match = _GUARDED.match(message)
    if match is None:
        return None
    change = action.change
    return RuleRefused(message, rule=match.group(1), item_key=change.key, old=change.old, new=change.new)


def refusal_or_contention(plan: RulesPlan, failed: Sequence[tuple[CompiledAction, Item | None]]) -> RulesError:
    """Return the error for the caller. ``failed``: each action whose condition failed, with the item as stored."""
    moved = {id(action.change): (action.change, actual) for action, actual in failed if action.role == "item"}
    for action, actual in failed:
        found = _READERS[action.role](plan, action, actual, moved)
        if found is not None:
            return RuleRefused.by(found)
    for action, actual in failed:
        if action.role == "item":
            key = action.change.key
            now = "is absent" if actual is None else "is not as it was read"
            return Contention(f"{plan.shown_key(key)} {now}", item_key=key, actual=actual)
    action, actual = failed[0]
    return Contention("an item on which the write depends changed meanwhile", item_key=action.change.key, actual=actual)


def is_in_effect(plan: RulesPlan, change: ItemChange, actual: Item | None) -> bool:
    """Return whether ``actual`` is the result of the change. An equal change by another writer counts too."""
    if change.new is None or actual is None:
        return change.new is None and actual is None
    return all(same(actual.get(name), change.new.get(name)) for name in change.changed)


Moved = Mapping[int, tuple[ItemChange, Item | None]]
"""The changes (by identity) whose item was not as the caller read it, each with the item found."""


def _now(change: ItemChange, moved: Moved) -> Item | None:
    """Return the item as it would be after the change of its present state.

    None when the item is absent or the change removes it.
    """
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
    # A change to the present item might not take the value: the caller must read it again.
    if now is None or unique.partition_of(now) != action.body["Put"]["Item"][plan.key_names[0]]["S"]:
        return None
    owner = None if actual is None else actual.get(OWNER, {}).get("M")
    # The owner may not own the value any longer if this transaction also changes it.
    if any(change.key == owner for change, _ in moved.values()):
        return None
    return plan.taken_violation(unique, action.change.old, now, owner)


def _given_up_by_another(
    plan: RulesPlan, action: CompiledAction, actual: Item | None, moved: Moved
) -> Violation | None:
    change, unique = action.change, action.unique
    if id(change) in moved:  # another item may now own a value that this one owned when it was read
        return None
    assert unique is not None
    owner = None if actual is None else actual.get(OWNER, {}).get("M")
    reason = "another item owns its unique value: a writer bypassed the rules; run `bursar audit`"
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
