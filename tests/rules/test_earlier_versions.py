"""Writers of an earlier version and of the present one at once never make two live attempts.

Earlier versions give a sentinel to every live attempt, and know no ``firstAttempt``.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bursar.payments import Attempt, Ledger
from bursar.payments.attempt_ids import attempt_id
from bursar.payments.ledger.table import table_definition
from bursar.payments.records import FIRST_ATTEMPT, FOLLOWS, HOLDS_OBLIGATION, REOPENED
from bursar.payments.rules import FIRST_HOLDS, FIRST_IS_OVER, ONE_LIVE_ATTEMPT
from bursar.payments.status import BLOCKING, STATUSES
from bursar.rules import Agrees, Put, RuledTable, Rules, UniqueWhile, one_of
from bursar.rules.audit.table_audit import audit_table
from bursar.rules.judging.plan import RulesPlan
from bursar.rules.language.toml import rules_to_toml
from bursar.rules.language.vocabulary import Rule
from bursar.rules.language.writes import LogicalWrite
from tests.support.rules.judged_payments import (
    NOW,
    PAYMENT_RULES,
    REFERENCE,
    JudgedStore,
    attempts,
    ledger_on,
    starting,
    statuses,
)
from tests.support.rules.stepping import Run, SteppedStore, Writer, interleavings
from tests.support.rules.worlds import TABLE, finish

NEW_ATTRIBUTES = {FIRST_ATTEMPT, FOLLOWS, HOLDS_OBLIGATION}
ONE_LIVE: Rules = replace(PAYMENT_RULES, rules=(PAYMENT_RULES[ONE_LIVE_ATTEMPT],))
"""The rule that every order must keep. The model applies it to all attempts that block, with a sentinel or without."""
REFUSED: dict[str, Any] = {"event": "start_failed", "actor": "portal", "return_code": "4019", "return_detail": "no"}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(*_: object) -> None:
        return None

    monkeypatch.setattr(RuledTable, "wait", at_once)


def as_it_was(rule: Rule) -> Rule:
    if isinstance(rule, UniqueWhile):
        blocking = [status for status in STATUSES if status in BLOCKING]
        return replace(rule, where=one_of("status", blocking, unless=(REOPENED,)))
    if isinstance(rule, Agrees) and FIRST_ATTEMPT in rule.attributes:
        return replace(rule, attributes=tuple(name for name in rule.attributes if name != FIRST_ATTEMPT))
    return rule


EARLIER_RULES = replace(
    PAYMENT_RULES,
    rules=tuple(as_it_was(rule) for rule in PAYMENT_RULES.rules if rule.name not in (FIRST_HOLDS, FIRST_IS_OVER)),
)


def earlier(store: Any, seed: int) -> Ledger:
    """Return a ledger that writes as earlier versions do: with their rules, and without the new attributes.

    It keeps the attributes of stored items that it does not know, as they do.
    """
    ledger = ledger_on(store, seed)
    ruled: Any = ledger._ruled  # the ledger shares it with its parts
    ruled.rules, ruled.plan = EARLIER_RULES, RulesPlan(EARLIER_RULES)
    write = ruled.write

    async def as_before(writes: Sequence[LogicalWrite], token: str | None = None) -> None:
        await write([each for each in map(without_the_new, writes) if each is not None], token)

    ruled.write = as_before
    return ledger


def without_the_new(write: LogicalWrite) -> LogicalWrite | None:
    if isinstance(write, Put):
        return Put({name: value for name, value in write.item.items() if name not in NEW_ATTRIBUTES})
    ends_the_hold = hasattr(write, "new") and HOLDS_OBLIGATION in write.old and HOLDS_OBLIGATION not in write.new
    return None if ends_the_hold else write


def judged_store() -> JudgedStore:
    meanings = {ONE_LIVE_ATTEMPT: lambda item: item["status"]["S"] in BLOCKING}
    return JudgedStore(ONE_LIVE, meanings, table_definition(TABLE))


def in_every_order(start: Callable[[JudgedStore], Sequence[Writer]]) -> list[tuple[Any, Run]]:
    """Run the writers of ``start`` in every order; the model judges each step. Return each store with its run."""

    def begin() -> tuple[JudgedStore, Sequence[Writer]]:
        store = judged_store()
        return store, start(store)

    return list(interleavings(begin, ("answered",)))


def failed_first(ledger: Ledger) -> Attempt:
    failed: Attempt = finish(ledger.fail(finish(starting(ledger)), **REFUSED))
    return failed


def lost(ledger: Ledger, like: Attempt) -> Any:
    """Start an attempt that a restored store may have had: its id is not the one that another start takes."""
    return ledger.start_lost_attempt(ledger.lost_attempt(like, attempt_id("court", REFERENCE, 3)), NOW)


def test_both_versions_start_the_first_attempt() -> None:
    runs = in_every_order(
        lambda store: [starting(ledger_on(SteppedStore(store), 1)), starting(earlier(SteppedStore(store), 2))]
    )
    assert len(runs) > 1
    assert all(statuses(store) == ["received"] for store, _ in runs)


@pytest.mark.parametrize("first", [ledger_on, earlier], ids=["present-first", "earlier-first"])
@pytest.mark.parametrize("second", ["start", "lost"])
def test_both_versions_start_a_further_attempt(first: Callable[[Any, int], Ledger], second: str) -> None:
    # The ids of two starts are equal, so only that of a lost attempt shows that the sentinel keeps it out.

    def start(store: JudgedStore) -> Sequence[Writer]:
        over = failed_first(first(store, 0))
        old, new = earlier(SteppedStore(store), 2), ledger_on(SteppedStore(store), 1)
        return [starting(new), starting(old) if second == "start" else lost(old, over)]

    runs = in_every_order(start)
    assert len(runs) > 1
    assert all(statuses(store) == ["failed", "received"] for store, _ in runs)


@pytest.mark.parametrize("first", [ledger_on, earlier], ids=["present-first", "earlier-first"])
@pytest.mark.parametrize("ending", [ledger_on, earlier], ids=["present-ends", "earlier-ends"])
def test_one_version_ends_the_attempt_of_the_other_while_both_start(
    first: Callable[[Any, int], Ledger], ending: Callable[[Any, int], Ledger]
) -> None:
    def start(store: JudgedStore) -> Sequence[Writer]:
        attempt = finish(ledger_on(store, 0).reread(finish(starting(first(store, 0)))))
        return [
            ending(SteppedStore(store), 1).fail(attempt, **REFUSED),
            starting(ledger_on(SteppedStore(store), 2)),
            starting(earlier(SteppedStore(store), 3)),
        ]

    runs = in_every_order(start)
    assert {tuple(statuses(store)) for store, _ in runs} == {("failed",), ("failed", "received")}


@pytest.mark.parametrize("ending", [ledger_on, earlier], ids=["present-ends", "earlier-ends"])
def test_an_attempt_that_either_version_ended_is_followed_by_another(ending: Callable[[Any, int], Ledger]) -> None:
    # Nothing that an earlier version leaves keeps a payer from trying again.
    store = judged_store()
    finish(ending(store, 1).fail(finish(starting(ledger_on(store, 0))), **REFUSED))
    finish(starting(ledger_on(store, 2)))
    assert statuses(store) == ["failed", "received"]
    assert not any(HOLDS_OBLIGATION in item for item in attempts(store))
    report = finish(audit_table(store, TABLE, PAYMENT_RULES, randomness=random.Random(0), segments=1))
    assert report.clean, report.findings


def test_a_store_of_an_earlier_version_keeps_its_sentinels() -> None:
    store = judged_store()
    failed_first(earlier(store, 0))
    live = finish(starting(earlier(store, 1)))
    store.engine.put_rules_document(TABLE, rules_to_toml(PAYMENT_RULES))  # reads and judges the whole table
    store.engine.put_rules_document(TABLE, None)
    ledger = ledger_on(store, 2)
    finish(ledger.fail(live, **REFUSED))
    finish(starting(ledger))
    assert statuses(store) == ["failed", "failed", "received"]
    assert not any(NEW_ATTRIBUTES & item.keys() for item in store.state.values())
    owner = finish(ledger._ruled.owner_of(ONE_LIVE_ATTEMPT, attempts(store)[0]["pk"]["S"]))
    assert owner is not None
    report = finish(audit_table(store, TABLE, PAYMENT_RULES, randomness=random.Random(0), segments=1))
    assert report.clean, report.findings


def test_the_audit_names_what_an_earlier_version_started_beside_the_present_one() -> None:
    store = judged_store()
    failed_first(ledger_on(store, 0))
    finish(starting(earlier(store, 1)))
    report = finish(audit_table(store, TABLE, PAYMENT_RULES, randomness=random.Random(0), segments=1))
    assert {(finding.kind, finding.rule) for finding in report.findings} == {("orphan", "obligation-agrees")}
