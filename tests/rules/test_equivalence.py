"""Four ways to enforce rules, one meaning: compiled transactions, the engine's guard, swaps under it, and the model.

For random rules, random items and random sequences of writes, on fresh and on stale reads, all of them accept and
refuse the same and end in the same state. EQUIVALENCE_EXAMPLES sets the number of sequences (the default suits a
normal test run).
"""

import os
import random
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bursar.dynamo.items.attribute_values import Item
from bursar.rules import Contention, RuleRefused, Rules
from bursar.rules.audit.table_audit import audit_table
from bursar.rules.language.toml import rules_from_toml, rules_to_toml
from bursar.rules.transactions.cancellations import _GUARDED
from tests.support.rules.changes import Changes, owned_values, state_after, writes
from tests.support.rules.reference import broken
from tests.support.rules.worlds import TABLE, Key, PlainStore, finish, put_plainly, rule_sets, ruled, steps

EXAMPLES = int(os.environ.get("EQUIVALENCE_EXAMPLES", "150"))
STEPS_MAX = 12
# Without Hypothesis's explain phase, which traces every line of the engine and takes minutes.
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
EQUIVALENCE = settings(
    max_examples=EXAMPLES,
    phases=PHASES,
    derandomize=EXAMPLES <= 150,
    suppress_health_check=list(HealthCheck),
)
TALLY = {"sequences": 0, "writes": 0, "accepted": 0, "refused": 0, "stale writes": 0, "contended": 0}


def compiled(table: Any, changes: Changes) -> str | None:
    """Return the rule that refused, ``contention``, or None."""
    try:
        finish(table.write(writes(changes)))
    except RuleRefused as refused:
        return refused.rule if refused.rule in refused.message else "unnamed"
    except Contention:
        return "contention"
    return None


@EQUIVALENCE
@given(data=st.data(), world=rule_sets())
def test_four_ways_one_meaning(data: st.DataObject, world: tuple[Rules, dict[str, Any]]) -> None:
    rules, meanings = world
    rules = rules_from_toml(rules_to_toml(rules))
    plain, native, swapped = PlainStore(), PlainStore(rules), PlainStore(rules)
    table, direct = ruled(plain, rules), ruled(swapped, rules, swaps=True)
    state: dict[Key, Item] = {}
    accepted = 0
    TALLY["sequences"] += 1
    for _ in range(data.draw(st.integers(1, STEPS_MAX), label="steps")):
        changes = data.draw(steps(state, rules), label="changes")
        violated = broken(rules, meanings, state, state_after(state, changes))
        by_compiled = compiled(table, changes)
        assert compiled(direct, changes) == by_compiled
        by_native = put_plainly(native, {key: ends for key, ends in changes.items() if ends != (None, None)})
        TALLY["writes"] += 1
        TALLY["refused" if violated else "accepted"] += 1
        if violated:
            assert by_compiled in violated, (by_compiled, violated)
            named = _GUARDED.match(by_native or "")
            assert named, (by_native, violated)
            assert named.group(1) in violated, (by_native, violated)
        else:
            assert by_compiled is None
            assert by_native is None
            accepted += any(old != new for old, new in changes.values())
            state = state_after(state, changes)
        assert plain.items() == native.items() == swapped.items() == state
        assert len(plain.sentinels()) == owned_values(rules, meanings, state)
        assert plain.sentinels() == swapped.sentinels()
    report = finish(audit_table(plain, TABLE, rules, randomness=random.Random(0), segments=1))
    assert report.clean, report.findings
    finish(plain.close())
    # An accepted write is one swap; a transaction is sent only for the reason of a refusal.
    sent = sum(operation == "TransactWriteItems" for operation, _ in swapped.requests)
    assert swapped.swaps - sent >= accepted
    finish(native.close())
    finish(swapped.close())


@EQUIVALENCE
@given(data=st.data(), world=rule_sets())
def test_a_stale_reader_never_breaks_a_rule(data: st.DataObject, world: tuple[Rules, dict[str, Any]]) -> None:
    """Let writers decide on old reads: an accepted write is legal on the present item."""
    rules, meanings = world
    plain, swapped = PlainStore(), PlainStore(rules)
    table, direct = ruled(plain, rules), ruled(swapped, rules, swaps=True)
    seen: list[dict[Key, Item]] = [{}]
    state: dict[Key, Item] = {}
    for _ in range(data.draw(st.integers(1, STEPS_MAX), label="steps")):
        then = data.draw(st.sampled_from(seen), label="read")
        changes = data.draw(steps(then, rules), label="changes")
        outcome = compiled(table, changes)
        by_swap = compiled(direct, changes)
        assert (by_swap is None) == (outcome is None)
        TALLY["stale writes"] += 1
        TALLY["contended"] += outcome == "contention"
        if outcome is None:
            after = plain.items()
            assert not broken(rules, meanings, state, after)
            assert after == differences_applied(state, changes)
            state = after
        else:
            assert plain.items() == state
            if outcome != "contention":
                as_read = broken(rules, meanings, then, state_after(then, changes))
                as_is = broken(rules, meanings, state, differences_applied(state, changes))
                replaced = broken(rules, meanings, state, state_after(state, changes))
                assert outcome in as_read | as_is | replaced
        assert len(plain.sentinels()) == owned_values(rules, meanings, state)
        assert swapped.items() == state
        seen.append(state)
    finish(plain.close())
    finish(swapped.close())


def differences_applied(state: Mapping[Key, Item], changes: Changes) -> dict[Key, Item]:
    """Return the result of an update of an item that changed since it was read: only the differences are written."""
    after = dict(state)
    for key, (old, new) in changes.items():
        if new is None:
            after.pop(key, None)
        elif old is None:
            after[key] = new
        elif old != new and key in state:
            differing = [name for name in {**old, **new} if old.get(name) != new.get(name)]
            moved = {name: value for name, value in state[key].items() if name not in differing}
            after[key] = {**moved, **{name: new[name] for name in differing if name in new}}
    return after


def test_the_equivalence_was_not_vacuous() -> None:
    """Check that both verdicts were common: tests of only refusals, or only acceptances, would prove little."""
    print(TALLY)
    # Each test above counts in the process that ran it, which may be another one.
    if TALLY["writes"] >= 500:
        assert TALLY["accepted"] > TALLY["writes"] // 5
        assert TALLY["refused"] > TALLY["writes"] // 5
    if TALLY["stale writes"] >= 500:
        assert TALLY["contended"] > TALLY["stale writes"] // 100
