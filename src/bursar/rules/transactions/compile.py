"""Logical writes → one TransactWriteItems whose conditions enforce every rule against concurrent writers.

    caller          this module                    DynamoDB, at one instant
    ──────          ───────────                    ────────────────────────
    reads old ───►  judges old → new by every
                    local rule (refuses here)
                    writes the difference  ──────► item: do the judged attributes still equal old?
                                                   sentinel: is the new unique value free?
                                                   parent: does it exist, and does it agree?
                                                   all yes → everything is written; one no → nothing is

So a verdict on ``old`` is still true at the instant of the write. If another writer has changed a judged attribute in
between, the first condition fails, and the caller gets ``Contention``. Attributes that neither changed nor were judged
are neither compared nor written, so writers of different attributes do not disturb each other. Each item gets one
action, because DynamoDB refuses two for one item.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bursar.dynamo.items.attribute_values import Item, item_size
from bursar.dynamo.items.numbers import canonical
from bursar.rules.errors import Contention, RuleRefused, TransactionTooLarge
from bursar.rules.judging.balances import Balances
from bursar.rules.judging.local_rules import canonical_item, changed_attributes, same
from bursar.rules.judging.plan import RulesPlan
from bursar.rules.judging.unique_and_parent import ParentRule
from bursar.rules.language.writes import Delete, LogicalWrite, Put, Update
from bursar.rules.transactions.actions import CompiledAction, ItemChange
from bursar.rules.transactions.as_read_conditions import ALL_OLD, AsReadConditions, placeholder
from bursar.rules.transactions.sentinel_actions import SentinelActions

ACTIONS_MAX = 100
TRANSACTION_BYTES_MAX = 4 * 1024 * 1024
"""The two bounds of a transaction. Source: DynamoDB Developer Guide, "Quotas": Transactional operations."""
WHOLE_ITEMS_UNDER_BYTES_MAX = 10


@dataclass(frozen=True, slots=True)
class CompiledTransaction:
    """One transaction, ready to send. It has no actions when the writes change nothing."""

    table: str
    actions: tuple[CompiledAction, ...]
    changes: tuple[ItemChange, ...]

    def request(self, token: str | None) -> dict[str, Any]:
        """Return the TransactWriteItems request."""
        request: dict[str, Any] = {"TransactItems": [action.body for action in self.actions]}
        if token is not None:
            request["ClientRequestToken"] = token
        return request


def compile_writes(plan: RulesPlan, table: str, writes: Sequence[LogicalWrite]) -> CompiledTransaction:
    """Return the transaction for ``writes``.

    Raises ``RuleRefused`` (a local rule), ``TransactionTooLarge``, ``Contention`` when the writes at one key contradict
    each other, and ``ValueError`` for a key that changes.
    """
    changes = net_changes(plan, writes)
    for change in changes.values():
        found = plan.judge(change.old, change.new, change.changed)
        if found is not None:
            raise RuleRefused.by(found)
    _check_sums(plan, changes.values())
    sentinels = SentinelActions(plan, table)
    checks: dict[Any, list[tuple[ItemChange, ParentRule]]] = {}
    also_compared: dict[Any, set[str]] = {}
    for change in changes.values():
        sentinels.add(change)
        _check_parents(plan, change, changes, checks, also_compared)
    actions = [
        CompiledAction(_item_action(plan, table, change, also_compared.get(token, ())), "item", change)
        for token, change in changes.items()
    ]
    actions += sentinels.actions()
    actions += [_parent_check(plan, table, children) for children in checks.values()]
    if len(actions) > WHOLE_ITEMS_UNDER_BYTES_MAX:
        _check_size(actions)
    return CompiledTransaction(table, tuple(actions), tuple(changes.values()))


# --- the writes at one key become one change ---------------------------------------------------------------------


def net_changes(plan: RulesPlan, writes: Sequence[LogicalWrite]) -> dict[Any, ItemChange]:
    """Return key token → change, in the order in which keys are first named, without changes that have no effect."""
    ends: dict[Any, tuple[Item | None, Item | None]] = {}
    for write in writes:
        old, new = _old_and_new(write)
        item = old if new is None else new
        assert item is not None
        token = key_token(plan, item)
        if old is not None and new is not None and key_token(plan, old) != token:
            raise ValueError(f"key of an update: must be that of the old item, {plan.key(old)}; got {plan.key(new)}")
        if token in ends:
            first, middle = ends[token]
            if not _same_item(middle, old):
                raise Contention("two writes at one key contradict each other", item_key=plan.key(item))
            old = first
        ends[token] = (old, new)
    changes = {}
    for token, (old, new) in ends.items():
        item = old if new is None else new
        if item is None:
            continue
        changed = changed_attributes(old, new) if old is not None and new is not None else frozenset(item)
        if not changed:
            continue
        kind = plan.kind_of(item)
        if kind is None:
            found = plan.judge(old, new, changed)
            assert found is not None
            raise RuleRefused.by(found)
        changes[token] = ItemChange(plan.key(item), old, new, kind, changed)
    return changes


def _old_and_new(write: LogicalWrite) -> tuple[Item | None, Item | None]:
    """Return both states with canonical numbers: predicates and unique values compare text."""
    match write:
        case Put(item):
            return None, canonical_item(item)
        case Update(old, new):
            return canonical_item(old), canonical_item(new)
        case Delete(old):
            return canonical_item(old), None


def _same_item(left: Item | None, right: Item | None) -> bool:
    if left is None or right is None:
        return left is right
    return not changed_attributes(left, right)


def key_token(plan: RulesPlan, item: Item) -> Any:
    """Return the item's key as a dictionary key; equal numbers give equal tokens."""
    token = []
    for name in plan.key_names:
        ((kind, content),) = item[name].items()
        token.append((kind, canonical(content) if kind == "N" else content))
    return tuple(token)


# --- the item itself -------------------------------------------------------------------------------------------------


def _item_action(plan: RulesPlan, table: str, change: ItemChange, also_compared: Iterable[str]) -> dict[str, Any]:
    partition = plan.key_names[0]
    if change.old is None:
        return {
            "Put": {
                "TableName": table,
                "Item": dict(change.new or {}),
                "ConditionExpression": f"attribute_not_exists({placeholder(partition)})",
                "ExpressionAttributeNames": {placeholder(partition): partition},
                "ReturnValuesOnConditionCheckFailure": ALL_OLD,
            }
        }
    conditions = AsReadConditions(partition, change.old, compared_attributes(plan, change).union(also_compared))
    if change.new is None:
        return {"Delete": conditions.request(table, change.key)}
    update = conditions.update(change.new, change.changed)
    return {"Update": {"UpdateExpression": update, **conditions.request(table, change.key)}}


def compared_attributes(plan: RulesPlan, change: ItemChange) -> set[str]:
    """Return the attributes that must still equal ``old``: those that change, and those that touched rules read too.

    The removal of an item depends on its unique values: their sentinels are removed with it.
    """
    kind = change.kind
    compared = set(kind.unique_reads) if change.new is None else set(change.changed)
    if change.new is not None:
        for footprint in kind.footprints:
            if not footprint.isdisjoint(change.changed):
                compared |= footprint
    compared.difference_update(plan.key_names)
    if plan.single_kind is None:
        compared.add(plan.kind_attribute)
    return compared


# --- sums ------------------------------------------------------------------------------------------------------------


def _check_sums(plan: RulesPlan, changes: Iterable[ItemChange]) -> None:
    """Judge the bounded sums. If a parent's total or limit changes, it must still be as it was read."""
    balances = Balances(plan)
    for index, change in enumerate(changes):
        touched = change.kind.on_creation if change.old is None else change.kind.touched_by(change.changed)
        balances.add(index, change.old, change.new, touched)
    found = balances.violation()
    if found is not None:
        raise RuleRefused.by(found[1])


# --- parents ---------------------------------------------------------------------------------------------------------


def _check_parents(
    plan: RulesPlan,
    change: ItemChange,
    changes: Mapping[Any, ItemChange],
    checks: dict[Any, list[tuple[ItemChange, ParentRule]]],
    also_compared: dict[Any, set[str]],
) -> None:
    """Judge the new state of each parent that the transaction writes; note a check for every other parent."""
    if change.new is None:
        return
    for parent in change.kind.parents:
        if change.old is not None and parent.reads.isdisjoint(change.changed):
            continue
        key = parent.key(change.new)
        if key is None:
            continue
        token = key_token(plan, key)
        changed_parent = changes.get(token)
        if changed_parent is None:
            checks.setdefault(token, []).append((change, parent))
            continue
        found = plan.parent_violation(parent, change.old, change.new, changed_parent.new)
        if found is not None:
            raise RuleRefused.by(found)
        if changed_parent.old is not None:  # the verdict depends on the parent as the caller read it
            also_compared.setdefault(token, set()).update(parent.attributes)


def _parent_check(plan: RulesPlan, table: str, children: list[tuple[ItemChange, ParentRule]]) -> CompiledAction:
    """Return one ConditionCheck for all children of one parent: it exists, has its kind, and agrees with each."""
    change, parent = children[0]
    assert change.new is not None
    expected: dict[tuple[str, bool], list[Any]] = {(plan.kind_attribute, False): [{"S": parent.rule.parent}]}
    for child, rule in children:
        assert child.new is not None
        _expect(expected, (plan.kind_attribute, False), {"S": rule.rule.parent})
        for attribute in rule.attributes:
            _expect(expected, (attribute, attribute in rule.erasable), child.new.get(attribute))
    names, values, conditions = {}, {}, []
    for (attribute, erasable), wanted in expected.items():
        name = placeholder(attribute)
        names[name] = attribute
        for position, value in enumerate(wanted):
            if value is None:
                conditions.append(f"attribute_not_exists({name})")
                continue
            placed = f":{'e' if erasable else 'p'}{position}_{name[1:]}"
            values[placed] = value
            equal = f"{name} = {placed}"
            conditions.append(f"(attribute_not_exists({name}) OR {equal})" if erasable else equal)
    body = {
        "TableName": table,
        "Key": parent.key(change.new),
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
        "ReturnValuesOnConditionCheckFailure": ALL_OLD,
    }
    return CompiledAction({"ConditionCheck": body}, "parent", change, children=tuple(children))


def _expect(expected: dict[tuple[str, bool], list[Any]], attribute: tuple[str, bool], value: Any) -> None:
    """Note one more expected value of an attribute. If the second element is true, the parent may have erased it.

    Children may expect different values: all are checked, and DynamoDB decides.
    """
    wanted = expected.setdefault(attribute, [])
    if not any(same(value, known) for known in wanted):
        wanted.append(value)


# --- bounds ----------------------------------------------------------------------------------------------------------


def _check_size(actions: Sequence[CompiledAction]) -> None:
    if len(actions) > ACTIONS_MAX:
        raise TransactionTooLarge(
            f"transaction: must have at most {ACTIONS_MAX} actions (items, sentinels and parents together); "
            f"got {len(actions)}"
        )
    size_bytes = sum(max(map(item_size, _sized_items(action))) for action in actions)
    if size_bytes > TRANSACTION_BYTES_MAX:
        raise TransactionTooLarge(
            f"transaction: must have at most {TRANSACTION_BYTES_MAX} bytes of items; got {size_bytes}"
        )


def _sized_items(action: CompiledAction) -> list[dict[str, Any]]:
    if action.role == "item":
        return [dict(item) for item in (action.change.old, action.change.new) if item is not None]
    ((_, body),) = action.body.items()
    return [body.get("Item") or body["Key"]]
