"""The mutants of rules: each weakens or drops one rule in one way."""

from typing import Any

from tests.mutants.mutants import MUTANTS, Mutant, Mutate, always, mutant, never, rebind

# --- unique, unique while --------------------------------------------------------------------------------------------


@mutant("unique-no-sentinel", "compiled writes take no sentinels")
def _() -> None:
    from bursar.rules.transactions.sentinel_actions import SentinelActions

    SentinelActions.add = never


@mutant("swap-no-sentinel", "swaps write and remove no sentinels")
def _() -> None:
    from bursar.rules.native import NativeGuard

    NativeGuard._sentinel_changes = always([])


@mutant("swap-sentinels-stay", "swaps remove no sentinels")
def _() -> None:
    from bursar.rules.native import NativeGuard

    sentinel_changes = NativeGuard._sentinel_changes

    def staying(self: NativeGuard, judged: Any) -> Any:
        found = sentinel_changes(self, judged)
        return [one for one in found if one.new is not None] if isinstance(found, list) else found

    NativeGuard._sentinel_changes = staying


@mutant("unique-unconditional", "a sentinel of another item is overwritten")
def _() -> None:
    from bursar.rules.transactions.sentinel_actions import SentinelActions

    take = SentinelActions._take_action

    def unconditional(*arguments: Any) -> dict[str, Any]:
        body = take(*arguments)["Put"]
        return {"Put": {"TableName": body["TableName"], "Item": body["Item"]}}

    SentinelActions._take_action = unconditional


@mutant("unique-never-given-up", "a sentinel stays when its value is given up")
def _() -> None:
    from bursar.rules.transactions.sentinel_actions import SentinelActions

    actions = SentinelActions.actions
    SentinelActions.actions = lambda self: [one for one in actions(self) if one.role != "give_up"]


@mutant("unique-removes-anothers-sentinel", "a sentinel of another item is removed")
def _() -> None:
    from bursar.rules.transactions.sentinel_actions import SentinelActions

    give_back = SentinelActions._give_up_action

    def anothers(*arguments: Any) -> dict[str, Any]:
        body = give_back(*arguments)["Delete"]
        return {"Delete": {"TableName": body["TableName"], "Key": body["Key"]}}

    SentinelActions._give_up_action = anothers


@mutant("unique-first-attribute-only", "of several attributes only the first counts")
def _() -> None:
    from bursar.rules.judging.unique_and_parent import UniqueValue

    made = UniqueValue.__init__

    def first_only(self: UniqueValue, rule: Any) -> None:
        made(self, rule)
        self.attributes = self.attributes[:1]

    UniqueValue.__init__ = first_only


@mutant("unique-any-type", "maps and booleans may be unique values")
def _() -> None:
    from bursar.rules.judging.unique_and_parent import UniqueValue

    UniqueValue.verdict = never


@mutant("unique-values-run-together", "('a#b') and ('a', 'b') are one value")
def _() -> None:
    from bursar.rules.judging import sentinels

    sentinels._part = lambda value: str(next(iter(value.values())))


@mutant("while-predicate-ignored", "unique while holds always")
def _() -> None:
    from bursar.rules.judging.unique_and_parent import UniqueValue

    made = UniqueValue.__init__

    def always(self: UniqueValue, rule: Any) -> None:
        made(self, rule)
        self._while = None

    UniqueValue.__init__ = always


@mutant("while-predicate-unwatched", "a change of only the predicate is ignored")
def _() -> None:
    from bursar.rules.judging.unique_and_parent import UniqueValue

    made = UniqueValue.__init__

    def unwatched(self: UniqueValue, rule: Any) -> None:
        made(self, rule)
        self.reads = frozenset(self.attributes)

    UniqueValue.__init__ = unwatched


# --- rules about one item --------------------------------------------------------------------------------------------


@mutant("transitions-dropped", "an attribute moves anywhere")
def _() -> None:
    from bursar.rules.judging.local_rules import TransitionsVerdict

    TransitionsVerdict.__call__ = never


@mutant("transitions-any-start", "an attribute starts anywhere")
def _() -> None:
    from bursar.rules.judging.local_rules import TransitionsVerdict

    judged = TransitionsVerdict.__call__
    TransitionsVerdict.__call__ = lambda self, old, new: None if old is None else judged(self, old, new)


@mutant("transitions-both-ways", "edges may be taken backwards")
def _() -> None:
    from bursar.rules.judging.local_rules import TransitionsVerdict

    judged = TransitionsVerdict.__call__

    def both(self: TransitionsVerdict, old: Any, new: Any) -> str | None:
        reason = judged(self, old, new)
        return reason if reason is None or old is None else judged(self, new, old) and reason

    TransitionsVerdict.__call__ = both


@mutant("transitions-may-vanish", "the attribute may be removed")
def _() -> None:
    from bursar.rules.judging.local_rules import TransitionsVerdict

    judged = TransitionsVerdict.__call__

    def vanish(self: TransitionsVerdict, old: Any, new: Any) -> str | None:
        return None if old is not None and self._rule.attribute not in new else judged(self, old, new)

    TransitionsVerdict.__call__ = vanish


@mutant("immutable-dropped", "immutable and write-once attributes change")
def _() -> None:
    from bursar.rules.judging.local_rules import UnchangedVerdict

    UnchangedVerdict.__call__ = never


@mutant("immutable-may-appear", "an immutable attribute that is absent may be written later")
def _() -> None:
    from bursar.rules.judging.local_rules import UnchangedVerdict

    made = UnchangedVerdict.__init__

    def always_once(self: UnchangedVerdict, attributes: Any, *, once: bool, **how: Any) -> None:
        made(self, attributes, once=True, **how)

    UnchangedVerdict.__init__ = always_once


@mutant("write-once-is-immutable", "a write-once attribute may not be written later")
def _() -> None:
    from bursar.rules.judging.local_rules import UnchangedVerdict

    made = UnchangedVerdict.__init__

    def always_immutable(self: UnchangedVerdict, attributes: Any, *, once: bool, **how: Any) -> None:
        made(self, attributes, once=False, **how)

    UnchangedVerdict.__init__ = always_immutable


@mutant("write-once-may-be-removed", "a write-once attribute may be removed")
def _() -> None:
    from bursar.rules.judging.local_rules import UnchangedVerdict, same

    def may_go(self: UnchangedVerdict, old: Any, new: Any) -> str | None:
        for name in self._attributes:
            before = (old or {}).get(name)
            gone = self._once and name not in new
            if (before is not None or not self._once) and not gone and not same(before, new.get(name)):
                return f"{name} changes"
        return None

    UnchangedVerdict.__call__ = may_go


@mutant("check-dropped", "predicates are not evaluated")
def _() -> None:
    from bursar.rules.judging.local_rules import CheckVerdict

    CheckVerdict.__call__ = never


@mutant("append-only-may-change", "append-only items change")
def _() -> None:
    from bursar.rules.judging.local_rules import AppendOnlyVerdict

    AppendOnlyVerdict.__call__ = never


@mutant("everything-may-be-removed", "append-only, kept and parent items may be removed")
def _() -> None:
    from bursar.rules.judging import plan

    plan._removal = never


@mutant("kinds-may-change", "an item may change its kind")
def _() -> None:
    from bursar.rules.judging.plan import RulesPlan

    judged = RulesPlan.judge_local_rules

    def relaxed(self: RulesPlan, old: Any, new: Any, changed: Any = None) -> Any:
        if old and new and self.kind_of(old) and self.kind_of(new):
            old = {**old, self.kind_attribute: new[self.kind_attribute]}
        return judged(self, old, new, changed)

    RulesPlan.judge_local_rules = relaxed


@mutant("kinds-open", "an item of any other kind keeps the first kind's rules")
def _() -> None:
    from bursar.rules.judging.plan import RulesPlan

    kind_of = RulesPlan.kind_of
    RulesPlan.kind_of = lambda self, item: kind_of(self, item) or next(iter(self.kinds.values()))


# --- parents ---------------------------------------------------------------------------------------------------------


@mutant("parents-unchecked", "compiled writes check no parent")
def _() -> None:
    from bursar.rules.transactions import compile as compiling

    compiling._check_parents = never


@mutant("parent-of-any-kind", "an item of any kind is accepted as the parent")
def _() -> None:
    from bursar.rules.judging.unique_and_parent import ParentRule

    disagreement = ParentRule.disagreement

    def any_kind(self: ParentRule, child: Any, parent: Any) -> str | None:
        return disagreement(self, child, parent and {**parent, self._kind_attribute: self._kind})

    ParentRule.disagreement = any_kind


@mutant("agrees-only-exists", "agrees checks only that the parent exists")
def _() -> None:
    from bursar.rules.judging.unique_and_parent import ParentRule

    made = ParentRule.__init__

    def only_exists(self: ParentRule, rule: Any, rules: Any) -> None:
        made(self, rule, rules)
        self.attributes = ()

    ParentRule.__init__ = only_exists


@mutant("parents-may-change", "attributes with which children agree may change in the parent")
def _() -> None:
    from bursar.rules.judging import plan

    plan._rules_of_parents = always([])


# --- concurrency -----------------------------------------------------------------------------------------------------


@mutant("compares-only-existence", "an update checks only that the item exists")
def _() -> None:
    from bursar.rules.transactions import compile as compiling

    compiling.compared_attributes = lambda plan, change: {plan.kind_attribute}


@mutant("compares-only-what-changes", "attributes that a rule reads with the change are not compared")
def _() -> None:
    from bursar.rules.judging.plan import KindPlan

    made = KindPlan.__init__

    def no_footprints(self: KindPlan, name: Any, rules: Any) -> None:
        made(self, name, rules)
        self.footprints = ()

    KindPlan.__init__ = no_footprints


@mutant("compares-nothing-of-removals", "a removal compares none of the item's unique values")
def _() -> None:
    from bursar.rules.judging.plan import KindPlan

    made = KindPlan.__init__

    def nothing_held(self: KindPlan, name: Any, rules: Any) -> None:
        made(self, name, rules)
        self.unique_reads = frozenset()

    KindPlan.__init__ = nothing_held


@mutant("put-over", "a put replaces what is there")
def _() -> None:
    from bursar.rules.transactions import compile as compiling

    item_action = compiling._item_action

    def over(*arguments: Any) -> dict[str, Any]:
        action = item_action(*arguments)
        if "Put" in action:
            return {"Put": {"TableName": action["Put"]["TableName"], "Item": action["Put"]["Item"]}}
        return action

    compiling._item_action = over


@mutant("whole-item-written", "an update writes the whole item, losing what others changed")
def _() -> None:
    from bursar.rules.transactions.as_read_conditions import AsReadConditions

    update = AsReadConditions.update
    AsReadConditions.update = lambda self, new, changed: update(self, new, set(new) - {"pk", "sk"} | set(changed))


@mutant("fresh-token-each-try", "a retry after a lost answer is a second write")
def _() -> None:
    from bursar.rules.table import _TransactionSender

    unclear = _TransactionSender._settle_unknown

    async def fresh(self: _TransactionSender, unknown: Exception) -> bool:
        self._request = self._compiled.request(f"{self._table._randomness.getrandbits(128):032x}")
        return await unclear(self, unknown)

    async def blind(self: _TransactionSender) -> bool:
        return False

    _TransactionSender._settle_unknown = fresh
    _TransactionSender._is_written = blind


@mutant("unknown-is-failure", "a lost answer is treated as contention")
def _() -> None:
    from bursar.rules.errors import Contention
    from bursar.rules.table import _TransactionSender

    async def failed(self: _TransactionSender, unknown: Exception) -> bool:
        raise Contention(str(unknown))

    _TransactionSender._settle_unknown = failed


@mutant("conflict-is-final", "a transaction conflict is not retried")
def _() -> None:
    from bursar.rules.transactions import cancellations

    rebind("is_busy", cancellations.is_busy, always(False))


@mutant("refusal-is-contention", "a rule's refusal is reported as contention")
def _() -> None:
    from bursar.rules.transactions import cancellations

    cancellations._READERS.update(dict.fromkeys(cancellations._READERS, never))


@mutant("contention-is-refusal", "contention is reported as a rule's refusal")
def _() -> None:
    from bursar.rules.errors import RuleRefused
    from bursar.rules.transactions import cancellations

    def refused(_: Any, failed: Any) -> RuleRefused:
        change = failed[0][0].change
        return RuleRefused("refused", rule="any", item_key=change.key, old=None, new=None)

    rebind("refusal_or_contention", cancellations.refusal_or_contention, refused)


# --- the audit -------------------------------------------------------------------------------------------------------


def _blind_audit(method: str) -> Mutate:
    def mutate() -> None:
        from bursar.rules.audit.table_audit import _Audit

        async def blind(*_: Any) -> bool:
            return False

        setattr(_Audit, method, blind)

    return mutate


for _method, _sort in {
    "_report_violations": "items that break rules by themselves",
    "_check_duplicate": "values owned twice",
    "_check_orphan": "orphans",
    "_check_totals": "wrong totals",
    "_check_stale": "stale sentinels",
    "_check_missing": "missing sentinels",
}.items():
    MUTANTS[f"audit-blind-to{_method.replace('_', '-')}"] = Mutant(
        f"the audit does not report {_sort}",
        _blind_audit(_method),
    )


@mutant("repair-in-haste", "a sentinel is removed although its owner owns the value again")
def _() -> None:
    from bursar.rules.audit.table_audit import _Audit

    async def hasty(self: _Audit, key: Any, *_: Any) -> bool:
        delete = {"Delete": {"TableName": self.table, "Key": key}}
        await self._call("TransactWriteItems", {"TransactItems": [delete]})
        return True

    _Audit._remove_sentinel = hasty
