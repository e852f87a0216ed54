"""``NativeGuard``: the engine enforces the rules on every writer and every operation.

The engine passes every request's changes to the guard before it commits them (:mod:`bursar.dynamo.core.guards`). Local
rules are judged on each change. Parents are looked up in the state that the request leaves.

The owner of a unique value is recorded in one of two places. The guard checks both before an item may take the value:

    sentinel     an item of the same table, written by the compiled form or added to a swap
    owners row   a row of the engine's side store, for a plain client, which writes no sentinels

Sentinels are guarded, so that they can be trusted: a sentinel must name an owner that owns its value when the request
ends. It may not be removed, or name another owner, while its owner still owns the value. A plain client that changes a
value without its sentinel leaves a stale sentinel. It blocks no write here, and ``bursar audit --repair`` removes it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from bursar.dynamo.core.guards import Change, GuardView, JudgedSwap, Refusal, TableCheck
from bursar.dynamo.items.attribute_values import Item
from bursar.rules.judging.balances import Balances, OpenSums
from bursar.rules.judging.local_rules import changed_attributes
from bursar.rules.judging.plan import RulesPlan
from bursar.rules.judging.sentinels import OWNER, is_sentinel, sentinel_item, sentinel_key, sentinel_partition
from bursar.rules.judging.unique_and_parent import ParentRule, UniqueValue
from bursar.rules.judging.violation import Violation
from bursar.rules.language.named_rule import SENTINEL_KIND
from bursar.rules.language.ruleset import Rules
from bursar.rules.language.toml import rules_from_toml

ADOPTION_VIOLATIONS_MAX = 100
"""The most violations listed when a table's rules are refused; the audit lists all of them."""

_OWNERS = "unique"
_SENTINEL = "sentinel"
_NO_OWNERS: Mapping[str, Item] = {}
_Taken = tuple[int, Change, UniqueValue, str]
"""(index of the change, the change, the rule, the value that the item takes under the rule)."""


class _Judged(NamedTuple):
    """One request's changes after the rules that need no table, and the lookups in the table that they still need."""

    sentinels: list[tuple[int, Change]]
    """Changes of sentinels that the writer made itself, each with its index."""
    taken: list[_Taken]
    given_up: list[tuple[str, Change, UniqueValue]]
    """(the value, the change that gives it up, the rule)."""
    children: list[tuple[int, Change, ParentRule]]


def load_guard(document: str) -> "NativeGuard":
    """Return the guard of a rules document (TOML), as the engine's ``guard_loader``.

    Raises ``ValueError`` for an invalid document.
    """
    return NativeGuard(rules_from_toml(document))


class NativeGuard:
    """The rules of one table, checked by the engine before each commit."""

    def __init__(self, rules: Rules) -> None:
        self._plan = RulesPlan(rules)
        self._sentinel = {"S": SENTINEL_KIND}

    def judge(self, changes: Sequence[Change]) -> Refusal | TableCheck:
        """Return the first refusal among ``changes`` by a local rule, or the check that needs the table."""
        judged = self._judge_locally(changes)
        return judged if isinstance(judged, Refusal) else self._table_check(judged)

    def judge_swap(self, changes: Sequence[Change]) -> Refusal | JudgedSwap:
        """Judge the changes of a writer that writes no sentinels, and add the sentinels' changes."""
        judged = self._judge_locally(changes)
        if isinstance(judged, Refusal):
            return judged
        added = self._sentinel_changes(judged)
        return added if isinstance(added, Refusal) else JudgedSwap(added, self._table_check(judged, added))

    def _judge_locally(self, changes: Sequence[Change]) -> Refusal | _Judged:
        """Return the first refusal by a local rule, or the parts of ``changes`` that must be checked in the table."""
        plan, attribute, sentinel = self._plan, self._plan.kind_attribute, self._sentinel
        judged = _Judged([], [], [], [])
        balances = Balances(plan)
        for index, change in enumerate(changes):
            old, new = change.old, change.new
            if (old is None or old.get(attribute) == sentinel) and (new is None or new.get(attribute) == sentinel):
                judged.sentinels.append((index, change))
                continue
            changed = None if old is None or new is None else changed_attributes(old, new, change.unlike)
            touched = plan.judge_local_rules(old, new, changed)
            if isinstance(touched, Violation):
                return Refusal(index, touched.message)
            for unique in touched.unique_values:
                before, after = unique.given_up_and_taken(old, new)
                if before is not None:
                    judged.given_up.append((before, change, unique))
                if after is not None:
                    judged.taken.append((index, change, unique, after))
            if new is not None:
                judged.children.extend((index, change, parent) for parent in touched.parents)
            if touched.sums_as_child or touched.sums_as_parent:
                balances.add(index, old, new, touched)
        unbalanced = balances.violation()
        return judged if unbalanced is None else Refusal(unbalanced[0], unbalanced[1].message)

    def _sentinel_changes(self, judged: _Judged) -> Refusal | list[Change]:
        """Return the changes of the sentinels of all values taken and given up, one for each value.

        The sentinel of a value that passes from one item to another gets the new owner. Returns a refusal when two
        items take one value.
        """
        plan = self._plan
        sentinels: dict[str, tuple[str, Item | None, Item | None]] = {}
        """Value → its table, and its sentinel before and after."""
        for value, change, unique in judged.given_up:
            sentinels[value] = change.table, self._sentinel_for(value, unique, change), None
        taken: dict[str, Change] = {}
        for index, change, unique, value in judged.taken:
            if value in taken:
                found = plan.taken_violation(unique, change.old, change.new, taken[value].key)
                return Refusal(index, found.message)
            taken[value] = change
            _, before, _ = sentinels.get(value, (change.table, None, None))
            sentinels[value] = change.table, before, self._sentinel_for(value, unique, change)
        return [
            Change(table, sentinel_key(plan.key_names, value), before, after)
            for value, (table, before, after) in sentinels.items()
        ]

    def _sentinel_for(self, value: str, unique: UniqueValue, owner: Change) -> Item:
        plan = self._plan
        return sentinel_item(plan.key_names, plan.kind_attribute, value, unique.rule.name, owner.key)

    def _table_check(self, judged: _Judged, added: Sequence[Change] = ()) -> TableCheck:
        """Return the check that needs the table.

        The ``added`` sentinels result from ``judged``, so they need no check.
        """
        names = self._plan.key_names
        written_sentinels = [*(change for _, change in judged.sentinels), *added]
        sentinels_after = {sentinel_partition(names, change.key): change.new for change in written_sentinels}

        def look_up(view: GuardView) -> Refusal | None:
            for value, change, _ in judged.given_up:
                self._give_up(view, value, change.key)
            return (
                self._taken_refusal(judged.taken, sentinels_after, view)
                or self._parent_refusal(judged.children, view)
                or self._sentinel_refusal(judged.sentinels, judged.taken, view)
            )

        return look_up

    def adopt(self, view: GuardView, table: str) -> list[str]:
        """Return a message for every rule that the table breaks, at most :data:`ADOPTION_VIOLATIONS_MAX`.

        Writes an owners row for each value that has no sentinel.
        """
        violations = []
        for message in self._violations(view, table):
            violations.append(message)
            if len(violations) == ADOPTION_VIOLATIONS_MAX:
                violations.append(f"… possibly more: only the first {ADOPTION_VIOLATIONS_MAX} are listed")
                break
        return violations

    def _violations(self, view: GuardView, table: str) -> Iterator[str]:
        plan = self._plan
        sums = OpenSums(plan)
        for item in view.scan(table):
            key = plan.key(item)
            if is_sentinel(item, plan.kind_attribute):
                found = self._sentinel_violation(Change(table, key, None, item), view)
                if found is not None:
                    yield found
                continue
            broken = plan.state_violations(item)
            yield from (violation.message for violation in broken)
            kind = plan.kind_of(item)
            if kind is None or broken:
                continue
            change = Change(table, key, None, item)
            for unique in kind.unique_values:
                value = unique.partition_of(item)
                if value is not None:
                    taken = self._own(change, unique, value, self._sentinel_of(value, change, view), view)
                    if taken is not None:
                        yield taken.message
            for parent in kind.parents:
                orphaned = self._orphaned(change, parent, view)
                if orphaned is not None:
                    yield orphaned.message
            sums.add(item, kind)
        yield from sums.messages()

    # --- unique values -------------------------------------------------------------------------------------------

    def _taken_refusal(
        self, taken: Sequence[_Taken], sentinels_after: Mapping[str | None, Item | None], view: GuardView
    ) -> Refusal | None:
        """Return the refusal of the first value in ``taken`` that another item owns, or None.

        ``sentinels_after``: value → its sentinel in the state that the request leaves, for the sentinels that it
        writes.
        """
        for index, change, unique, value in taken:
            sentinel = sentinels_after[value] if value in sentinels_after else self._sentinel_of(value, change, view)
            found = self._own(change, unique, value, sentinel, view)
            if found is not None:
                return Refusal(index, found.message)
        return None

    def _sentinel_of(self, value: str, change: Change, view: GuardView) -> Item | None:
        """Return the sentinel of ``value`` in the table of ``change``; None in a table whose keys are not all text."""
        if not all("S" in part for part in change.key.values()):
            return None
        return view.get(change.table, sentinel_key(self._plan.key_names, value))

    def _own(
        self, change: Change, unique: UniqueValue, value: str, sentinel: Item | None, view: GuardView
    ) -> Violation | None:
        """Make the item of ``change`` the owner of ``value``; return a violation if another item owns it.

        ``sentinel`` is in the state that the request leaves. If it names the item, no owners row is needed. A request
        that takes a sentinel away from its owner is refused by the check of that sentinel, not here.
        """
        key = change.key
        named = None if sentinel is None else sentinel.get(OWNER, {}).get("M")
        if named == key:
            present = view.owner(_OWNERS, value.encode())
        elif named is not None and self._owns({"M": named}, value, change.table, view):
            return self._plan.taken_violation(unique, change.old, change.new, named)
        else:
            present = view.own(_OWNERS, value.encode(), owner_bytes(key))
        if present is None or present == owner_bytes(key):
            return None
        return self._plan.taken_violation(unique, change.old, change.new, orjson.loads(present))

    def _give_up(self, view: GuardView, value: str, key: Item) -> None:
        encoded = value.encode()
        if view.owner(_OWNERS, encoded) == owner_bytes(key):
            view.release(_OWNERS, encoded)

    # --- parents -------------------------------------------------------------------------------------------------

    def _parent_refusal(self, children: Sequence[tuple[int, Change, ParentRule]], view: GuardView) -> Refusal | None:
        for index, change, parent in children:
            found = self._orphaned(change, parent, view)
            if found is not None:
                return Refusal(index, found.message)
        return None

    def _orphaned(self, change: Change, parent: ParentRule, view: GuardView) -> Violation | None:
        assert change.new is not None
        key = parent.key(change.new)
        if key is None:
            return None
        return self._plan.parent_violation(parent, change.old, change.new, view.get(change.table, key))

    # --- sentinels -----------------------------------------------------------------------------------------------

    def _sentinel_refusal(
        self, sentinels: Sequence[tuple[int, Change]], taken: Sequence[_Taken], view: GuardView
    ) -> Refusal | None:
        if not sentinels:
            return None
        owners = {value: change.key for _, change, _, value in taken}
        for index, change in sentinels:
            message = self._sentinel_violation(change, view, owners)
            if message is not None:
                return Refusal(index, message)
        return None

    def _sentinel_violation(
        self, change: Change, view: GuardView, owners: Mapping[str, Item] = _NO_OWNERS
    ) -> str | None:
        """Return why the request may not leave a sentinel in its new state, or None.

        ``owners``: value → key of the item that owns it after the request. It saves reading that item.
        """
        plan = self._plan
        partition = change.key[plan.key_names[0]].get("S", "")
        before = None if change.old is None else change.old.get(OWNER)
        after = None if change.new is None else change.new.get(OWNER)
        if before is None and after is not None and after == {"M": owners.get(partition)}:
            return None
        if before is not None and before != after and self._owns(before, partition, change.table, view):
            reason = "its owner still owns the value"
        elif change.new is not None and not self._owns(after, partition, change.table, view):
            reason = "its owner does not own the value"
        else:
            return None
        return plan.violation(_SENTINEL, _SENTINEL, reason, (OWNER,), change.old, change.new).message

    def _owns(self, owner: Mapping[Any, Any] | None, partition: str, table: str, view: GuardView) -> bool:
        key = None if owner is None else owner.get("M")
        if not isinstance(key, dict) or set(key) != set(self._plan.key_names):
            return False
        return self._plan.owns(view.get(table, key), partition)


def owner_bytes(key: Item) -> bytes:
    """Return a key in the side store's form: the same bytes for the same key."""
    return orjson.dumps(key, option=orjson.OPT_SORT_KEYS)
