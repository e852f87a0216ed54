"""Logical writes → one TransactWriteItems whose conditions keep every rule, whoever else is writing.

    caller          this module                    DynamoDB, at one instant
    ──────          ───────────                    ────────────────────────
    reads old ───►  judges old → new by every
                    local rule (refuses here)
                    writes the difference  ──────► item: are the attributes that were judged still as in old?
                                                   sentinel: is the new unique value nobody's?
                                                   parent: is it there, and does it agree?
                                                   all yes → everything is written; one no → nothing is

What was judged here on ``old`` is therefore true of the item at the instant of the write: whoever changed a judged
attribute in between fails the first condition, and the caller hears of contention. Attributes that neither changed
nor were judged are neither compared nor written, so that writers of different attributes do not disturb each other.
One item gets one action, whatever is asked of it: DynamoDB refuses two in one transaction.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bursar.dynamo.numbers import canonical
from bursar.dynamo.values import item_size, normalise_item
from bursar.rules.errors import Contention, RuleRefused, TransactionTooLarge
from bursar.rules.plan import KindPlan, Plan
from bursar.rules.predicates import Item
from bursar.rules.relations import Hold, Parent
from bursar.rules.sentinels import OWNER, sentinel_item, sentinel_key
from bursar.rules.verdicts import changed_attributes, same
from bursar.rules.writes import Delete, Put, Update, Write

ACTIONS_MAX = 100
TRANSACTION_BYTES_MAX = 4 * 1024 * 1024
"""Both: DynamoDB Developer Guide, "Quotas": Transactional operations. Ten whole items cannot reach the latter."""
WHOLE_ITEMS_UNDER_BYTES_MAX = 10

_ALL_OLD = "ALL_OLD"


@dataclass(frozen=True, slots=True)
class ItemChange:
    """One item's change, all logical writes at its key taken together. ``old`` or ``new`` is None: not there."""

    key: dict[str, Any]
    old: Item | None
    new: Item | None
    kind: KindPlan
    changed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Action:
    """One TransactItem and what it is for, so that its cancellation reason can be read.

    ``role``: ``item`` (the change itself), ``hold`` (a sentinel taken), ``release`` (a sentinel given back) or
    ``parents`` (a parent looked at for ``children``).
    """

    body: dict[str, Any]
    role: str
    change: ItemChange
    hold: Hold | None = None
    children: tuple[tuple[ItemChange, Parent], ...] = ()


@dataclass(frozen=True, slots=True)
class Compiled:
    """What is sent. Empty when the writes change nothing."""

    table: str
    actions: tuple[Action, ...]
    changes: tuple[ItemChange, ...]

    def request(self, token: str) -> dict[str, Any]:
        """The TransactWriteItems request."""
        return {"TransactItems": [action.body for action in self.actions], "ClientRequestToken": token}


def compile_writes(plan: Plan, table: str, writes: Sequence[Write]) -> Compiled:
    """The transaction for ``writes``. Raises ``RuleRefused`` (a local rule), ``TransactionTooLarge``, and
    ``Contention`` when the writes at one key do not follow from each other; ``ValueError`` for a key that changes."""
    changes = _net(plan, writes)
    for change in changes.values():
        found = plan.judge(change.old, change.new, change.changed)
        if found is not None:
            raise RuleRefused.by(found)
    holds = _Holdings(plan, table)
    checks: dict[Any, list[tuple[ItemChange, Parent]]] = {}
    also_pinned: dict[Any, set[str]] = {}
    for change in changes.values():
        holds.follow(change)
        _look_at_parents(plan, change, changes, checks, also_pinned)
    actions = [
        Action(_item_action(plan, table, change, also_pinned.get(token, ())), "item", change)
        for token, change in changes.items()
    ]
    actions += holds.actions()
    actions += [_parent_check(plan, table, children) for children in checks.values()]
    if len(actions) > WHOLE_ITEMS_UNDER_BYTES_MAX:
        _check_size(actions)
    return Compiled(table, tuple(actions), tuple(changes.values()))


# --- the writes at one key become one change ---------------------------------------------------------------------


def _net(plan: Plan, writes: Sequence[Write]) -> dict[Any, ItemChange]:
    """Key token → change, in the order in which keys are first named; what changes nothing is left out."""
    ends: dict[Any, tuple[Item | None, Item | None]] = {}
    for write in writes:
        old, new = _ends(write)
        item = old if new is None else new
        assert item is not None
        token = key_token(plan, item)
        if old is not None and new is not None and key_token(plan, old) != token:
            raise ValueError(f"an update keeps the item's key: {plan.key(old)} is not {plan.key(new)}")
        if token in ends:
            first, middle = ends[token]
            if not _same_item(middle, old):
                raise Contention("two writes at one key do not follow from each other", item_key=plan.key(item))
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


def _ends(write: Write) -> tuple[Item | None, Item | None]:
    """Both states with canonical numbers: predicates and unique values compare text."""
    match write:
        case Put(item):
            return None, normalise_item(item)
        case Update(old, new):
            return normalise_item(old), normalise_item(new)
        case Delete(old):
            return normalise_item(old), None


def _same_item(left: Item | None, right: Item | None) -> bool:
    if left is None or right is None:
        return left is right
    return not changed_attributes(left, right)


def key_token(plan: Plan, item: Item) -> Any:
    """The item's key as something to look up by; numbers by value."""
    token = []
    for name in plan.key_names:
        ((kind, content),) = item[name].items()
        token.append((kind, canonical(content) if kind == "N" else content))
    return tuple(token)


# --- the item itself -------------------------------------------------------------------------------------------------


def _item_action(plan: Plan, table: str, change: ItemChange, also_pinned: Iterable[str]) -> dict[str, Any]:
    partition = plan.key_names[0]
    if change.old is None:
        return {
            "Put": {
                "TableName": table,
                "Item": dict(change.new or {}),
                "ConditionExpression": f"attribute_not_exists({placeholder(partition)})",
                "ExpressionAttributeNames": {placeholder(partition): partition},
                "ReturnValuesOnConditionCheckFailure": _ALL_OLD,
            }
        }
    expression = _Expression(plan, change.old, pinned_attributes(plan, change).union(also_pinned))
    if change.new is None:
        return {"Delete": expression.request(table, change.key)}
    update = expression.update(change)
    return {"Update": {"UpdateExpression": update, **expression.request(table, change.key)}}


def pinned_attributes(plan: Plan, change: ItemChange) -> set[str]:
    """The attributes that must still be as in ``old``: all that change, and all that a touched rule read beside them.

    A removal rests on what the item holds: the sentinels it gives back.
    """
    kind = change.kind
    pins = set(kind.held_by) if change.new is None else set(change.changed)
    if change.new is not None:
        for footprint in kind.footprints:
            if not footprint.isdisjoint(change.changed):
                pins |= footprint
    pins.difference_update(plan.key_names)
    if plan.lone is None:
        pins.add(plan.kind_attribute)
    return pins


class _Expression:
    """One action's condition and update, with the names and values they use."""

    def __init__(self, plan: Plan, old: Item, pins: set[str]) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        conditions, exists = [], False
        # Sorted, so that the same change always has the same text: stores cache parsed expressions by text.
        for attribute in sorted(pins):
            name, suffix = self._name(attribute)
            if attribute in old:
                exists = True
                self.values[f":old_{suffix}"] = old[attribute]
                conditions.append(f"{name} = :old_{suffix}")
            else:
                conditions.append(f"attribute_not_exists({name})")
        if not exists:  # an absent item has no attributes either, and must not be made by an update
            conditions.append(f"attribute_exists({self._name(plan.key_names[0])[0]})")
        self.condition = " AND ".join(conditions)

    def _name(self, attribute: str) -> tuple[str, str]:
        name = placeholder(attribute)
        self.names[name] = attribute
        return name, name[1:]

    def update(self, change: ItemChange) -> str:
        """The update expression that writes the difference."""
        assert change.new is not None
        sets, removes = [], []
        for attribute in sorted(change.changed):
            name, suffix = self._name(attribute)
            if attribute in change.new:
                self.values[f":new_{suffix}"] = change.new[attribute]
                sets.append(f"{name} = :new_{suffix}")
            else:
                removes.append(name)
        clauses = [f"SET {', '.join(sets)}"] if sets else []
        if removes:
            clauses.append(f"REMOVE {', '.join(removes)}")
        return " ".join(clauses)

    def request(self, table: str, key: dict[str, Any]) -> dict[str, Any]:
        """The members that an Update, a Delete and a ConditionCheck have in common."""
        request = {
            "TableName": table,
            "Key": key,
            "ConditionExpression": self.condition,
            "ExpressionAttributeNames": self.names,
            "ReturnValuesOnConditionCheckFailure": _ALL_OLD,
        }
        if self.values:
            request["ExpressionAttributeValues"] = self.values
        return request


@lru_cache(maxsize=4096)
def placeholder(attribute: str) -> str:
    """``#status`` for ``status``; for a name that no placeholder can spell, its bytes in hexadecimal."""
    if re.fullmatch(r"[A-Za-z0-9]\w*", attribute, re.ASCII):
        return f"#{attribute}"
    return f"#x_{attribute.encode().hex()}"


# --- sentinels -------------------------------------------------------------------------------------------------------


class _Holdings:
    """The unique values that the changes take and give back, one action per sentinel."""

    def __init__(self, plan: Plan, table: str) -> None:
        self._plan = plan
        self._table = table
        self._taken: dict[str, tuple[ItemChange, Hold]] = {}
        self._given: dict[str, tuple[ItemChange, Hold]] = {}

    def follow(self, change: ItemChange) -> None:
        """Notes what one change takes and gives back. Raises ``RuleRefused`` when two changes take the same."""
        old, new = change.old, change.new
        for hold in change.kind.holds:
            if old is not None and new is not None and hold.reads.isdisjoint(change.changed):
                continue
            before = None if old is None else hold.partition(old)
            after = None if new is None else hold.partition(new)
            if before == after:
                continue
            if before is not None:
                self._given[before] = (change, hold)
            if after is not None:
                if after in self._taken:
                    holder = self._taken[after][0].key
                    raise RuleRefused.by(self._plan.taken(hold, old, new, holder))
                self._taken[after] = (change, hold)

    def actions(self) -> list[Action]:
        """Puts for what is taken, deletes for what is only given back."""
        found = []
        for partition, (change, hold) in self._taken.items():
            giver = self._given.pop(partition, None)
            found.append(Action(self._take(partition, change, hold, giver and giver[0]), "hold", change, hold))
        for partition, (change, hold) in self._given.items():
            found.append(Action(self._give_back(partition, change), "release", change, hold))
        return found

    def _take(self, partition: str, change: ItemChange, hold: Hold, giver: ItemChange | None) -> dict[str, Any]:
        """Nobody's, or this item's already (left behind by a writer that bypassed the rules), or the giver's."""
        plan = self._plan
        name = placeholder(plan.key_names[0])
        values: dict[str, Any] = {":me": {"M": change.key}}
        condition = f"attribute_not_exists({name}) OR #owner = :me"
        if giver is not None:
            values[":giver"] = {"M": giver.key}
            condition += " OR #owner = :giver"
        return {
            "Put": {
                "TableName": self._table,
                "Item": sentinel_item(plan.key_names, plan.kind_attribute, partition, hold.rule.name, change.key),
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {name: plan.key_names[0], "#owner": OWNER},
                "ExpressionAttributeValues": values,
                "ReturnValuesOnConditionCheckFailure": _ALL_OLD,
            }
        }

    def _give_back(self, partition: str, change: ItemChange) -> dict[str, Any]:
        """Gone already is well; another's is not ours to remove."""
        plan = self._plan
        name = placeholder(plan.key_names[0])
        return {
            "Delete": {
                "TableName": self._table,
                "Key": sentinel_key(plan.key_names, partition),
                "ConditionExpression": f"attribute_not_exists({name}) OR #owner = :me",
                "ExpressionAttributeNames": {name: plan.key_names[0], "#owner": OWNER},
                "ExpressionAttributeValues": {":me": {"M": change.key}},
                "ReturnValuesOnConditionCheckFailure": _ALL_OLD,
            }
        }


# --- parents ---------------------------------------------------------------------------------------------------------


def _look_at_parents(
    plan: Plan,
    change: ItemChange,
    changes: Mapping[Any, ItemChange],
    checks: dict[Any, list[tuple[ItemChange, Parent]]],
    also_pinned: dict[Any, set[str]],
) -> None:
    """A parent written in the same transaction is judged as it will be; any other is checked where it is."""
    if change.new is None:
        return
    for parent in change.kind.parents:
        if change.old is not None and parent.reads.isdisjoint(change.changed):
            continue
        key = parent.key(change.new)
        if key is None:
            continue
        token = key_token(plan, key)
        beside = changes.get(token)
        if beside is None:
            checks.setdefault(token, []).append((change, parent))
            continue
        found = plan.orphaned(parent, change.old, change.new, beside.new)
        if found is not None:
            raise RuleRefused.by(found)
        if beside.old is not None:  # as its caller read it: make sure of what was compared
            also_pinned.setdefault(token, set()).update(parent.attributes)


def _parent_check(plan: Plan, table: str, children: list[tuple[ItemChange, Parent]]) -> Action:
    """One ConditionCheck for all children of one parent: it is there, of its kind, and agrees with each."""
    change, parent = children[0]
    assert change.new is not None
    expected: dict[str, list[Any]] = {plan.kind_attribute: [{"S": parent.rule.parent}]}
    for child, rule in children:
        assert child.new is not None
        _expect(expected, plan.kind_attribute, {"S": rule.rule.parent})
        for attribute in rule.attributes:
            _expect(expected, attribute, child.new.get(attribute))
    names, values, conditions = {}, {}, []
    for attribute, wanted in expected.items():
        name = placeholder(attribute)
        names[name] = attribute
        for position, value in enumerate(wanted):
            if value is None:
                conditions.append(f"attribute_not_exists({name})")
            else:
                values[f":p{position}_{name[1:]}"] = value
                conditions.append(f"{name} = :p{position}_{name[1:]}")
    body = {
        "TableName": table,
        "Key": parent.key(change.new),
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
        "ReturnValuesOnConditionCheckFailure": _ALL_OLD,
    }
    return Action({"ConditionCheck": body}, "parents", change, children=tuple(children))


def _expect(expected: dict[str, list[Any]], attribute: str, value: Any) -> None:
    """Children that want different things of one parent are all asked for: DynamoDB then says which it is."""
    wanted = expected.setdefault(attribute, [])
    if not any(same(value, known) for known in wanted):
        wanted.append(value)


# --- bounds ----------------------------------------------------------------------------------------------------------


def _check_size(actions: Sequence[Action]) -> None:
    if len(actions) > ACTIONS_MAX:
        raise TransactionTooLarge(
            f"these writes need {len(actions)} actions (items, sentinels and parents together); "
            f"one transaction has at most {ACTIONS_MAX}"
        )
    size_bytes = sum(max(map(item_size, _bodies(action))) for action in actions)
    if size_bytes > TRANSACTION_BYTES_MAX:
        raise TransactionTooLarge(
            f"these writes touch {size_bytes} bytes of items; one transaction has at most {TRANSACTION_BYTES_MAX}"
        )


def _bodies(action: Action) -> list[dict[str, Any]]:
    if action.role == "item":
        return [dict(item) for item in (action.change.old, action.change.new) if item is not None]
    ((_, body),) = action.body.items()
    return [body.get("Item") or body["Key"]]
