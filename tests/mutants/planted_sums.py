"""The mutants of bounded sums and of two actors; they are added to those of ``planted.py``."""

from typing import Any

from tests.mutants.mutants import always, mutant, never


@mutant("sums-unbalanced", "a total need not grow by the amounts of new children")
def _() -> None:
    from bursar.rules.judging.balances import Balances

    Balances.violation = never


@mutant("sums-only-of-totals", "a child may be added without its parent's total")
def _() -> None:
    from bursar.rules.judging.balances import Balances

    violation = Balances.violation

    def only_totals(self: Balances) -> Any:
        self._found = {token: one for token, one in self._found.items() if one.parent >= 0}
        return violation(self)

    Balances.violation = only_totals


@mutant("sums-only-of-children", "a total may change without a child")
def _() -> None:
    from bursar.rules.judging.balances import Balances

    violation = Balances.violation

    def only_children(self: Balances) -> Any:
        self._found = {token: one for token, one in self._found.items() if one.child >= 0}
        return violation(self)

    Balances.violation = only_children


@mutant("sums-of-one-child", "of several children added at once only the last counts")
def _() -> None:
    from bursar.rules.judging import balances

    class Last:
        add = staticmethod(lambda _, amount: amount)
        subtract = staticmethod(balances.EXACT.subtract)

    balances.EXACT = Last


@mutant("sums-rounded", "sums are rounded to 38 digits")
def _() -> None:
    from decimal import Context

    from bursar.rules.judging import balances

    balances.EXACT = Context(prec=38)


@mutant("sums-unbounded", "a total may exceed its limit")
def _() -> None:
    from bursar.rules.judging.bounded_sum import SumRule

    SumRule.parent_verdict = never


@mutant("sums-of-any-amount", "a child may have any amount, or none")
def _() -> None:
    from bursar.rules.judging.bounded_sum import ZERO, SumRule

    amount = SumRule.amount
    SumRule.verdict = never
    SumRule.amount = lambda self, child: amount(self, child) if "N" in child.get(self.rule.amount, {}) else ZERO


@mutant("sums-limit-not-compared", "the limit is not compared when the total changes")
def _() -> None:
    from bursar.rules.judging.plan import KindPlan

    made = KindPlan.__init__

    def without(self: KindPlan, name: Any, rules: Any) -> None:
        made(self, name, rules)
        apart = [one.rule.parent_reads for one in self.sums_as_parent]
        self.footprints = tuple(one for one in self.footprints if one not in apart)

    KindPlan.__init__ = without


@mutant("sums-of-children-that-change", "children of a sum need not be append-only")
def _() -> None:
    from bursar.rules.language.ruleset import Rules

    Rules._check_bounded_sum = never


@mutant("sums-second-scan-left-out", "the audit reports a total although it moved while the table was read")
def _() -> None:
    from bursar.rules.audit.table_audit import _Audit

    scan_all = _Audit._scan_all

    async def first_only(self: _Audit, segments: int, note_page: Any) -> None:
        if note_page == self._note_page:
            await scan_all(self, segments, note_page)

    _Audit._scan_all = first_only


@mutant("native-sums-unadopted", "rules are put on a table whose totals are wrong")
def _() -> None:
    from bursar.rules.judging.balances import OpenSums

    OpenSums.messages = always(iter(()))


@mutant("native-sums-unchecked", "the guard lets totals and children part")
def _() -> None:
    from bursar.rules import native
    from bursar.rules.judging.balances import Balances

    class Blind(Balances):
        violation = never

    native.Balances = Blind


# --- two actors ------------------------------------------------------------------------------------------------------


@mutant("actors-may-be-one", "the two actors may be the same person")
def _() -> None:
    from bursar.rules.judging import local_rules

    person, seen = local_rules._person, iter(range(1 << 60))
    local_rules._person = lambda value: person(value) and f"{person(value)}{next(seen)}"


@mutant("actors-compared-exactly", "the two actors may differ only in case and spaces")
def _() -> None:
    from bursar.rules.judging import local_rules

    local_rules._person = lambda value: str(value.get("S", "")) if str(value.get("S", "")).strip() else ""


@mutant("actors-any-type", "an actor need not be text")
def _() -> None:
    from bursar.rules.judging import local_rules

    person = local_rules._person
    local_rules._person = lambda value: person(value) or repr(value)


@mutant("actors-may-change", "the first actor may change and the second may be written twice")
def _() -> None:
    from bursar.rules.judging.local_rules import TwoActorsVerdict

    judged = TwoActorsVerdict.__call__
    TwoActorsVerdict.__call__ = lambda self, old, new: judged(self, None, new)


@mutant("actors-first-not-compared", "the first actor is not compared when the second is written")
def _() -> None:
    from bursar.rules.judging.plan import KindPlan
    from bursar.rules.language.vocabulary import TwoActors

    made = KindPlan.__init__

    def without(self: KindPlan, name: Any, rules: Any) -> None:
        made(self, name, rules)
        apart = [rule.reads for rule in rules.rules if isinstance(rule, TwoActors)]
        self.footprints = tuple(one for one in self.footprints if one not in apart)

    KindPlan.__init__ = without
