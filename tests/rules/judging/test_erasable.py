"""Erasable attributes: they may become absent and stay absent, and children may differ from an erased parent."""

from typing import Any

import pytest

from bursar.rules import Agrees, Immutable, Kind, Put, RuleRefused, Rules, Update
from bursar.rules.transactions.compile import compile_writes
from tests.support.rules.samples import changed, item
from tests.support.rules.worlds import PlainStore, finish, key_of, put_plainly, ruled

RULES = Rules(
    "pk",
    "sk",
    kinds=(Kind("person"), Kind("visit")),
    rules=(
        Immutable("person-stays", kind="person", attributes=("number", "name"), erasable=("name",)),
        Immutable("visit-stays", kind="visit", attributes=("name", "day"), erasable=("name",)),
        Agrees(
            "same-name",
            kind="visit",
            parent="person",
            key={"pk": "{pk}", "sk": "person"},
            attributes=("name", "number"),
            erasable=("name",),
        ),
    ),
)
Step = tuple[dict[str, Any] | None, dict[str, Any]]


def person(**values: Any) -> dict[str, Any]:
    return item("a", "person", "person", **{"number": 1, "name": "Ann", **values})


def visit(**values: Any) -> dict[str, Any]:
    return item("a", "visit-1", "visit", **{"number": 1, "name": "Ann", "day": "Monday", **values})


def refusal(*steps: Step, stored: tuple[dict[str, Any], ...] = (person(), visit())) -> str | None:
    """Return the rule that refuses ``steps``, which is the same on each write path; None if they are accepted."""
    rules: set[str | None] = set()
    writes = [Put(new) if old is None else Update(old, new) for old, new in steps]
    for native, swaps in ((False, False), (True, True)):
        store = PlainStore(RULES if native else None)
        finish(ruled(store, RULES, seed=1).write([Put(one) for one in stored]))
        try:
            finish(ruled(store, RULES, swaps=swaps).write(writes))
            rules.add(None)
        except RuleRefused as refused:
            rules.add(refused.rule)
    store = PlainStore(RULES)
    finish(ruled(store, RULES, seed=1).write([Put(one) for one in stored]))
    message = put_plainly(store, {key_of(new): (old, new) for old, new in steps})
    rules.add(None if message is None else message.split()[1])
    (rule,) = rules
    return rule


def erased(one: dict[str, Any]) -> dict[str, Any]:
    return changed(one, name=None)


def test_a_parent_and_its_child_are_erased_together() -> None:
    assert refusal((person(), erased(person())), (visit(), erased(visit()))) is None


def test_a_parent_may_be_erased_before_its_child() -> None:
    assert refusal((person(), erased(person()))) is None
    assert refusal((visit(), erased(visit())), stored=(erased(person()), visit())) is None


def test_a_child_is_not_erased_before_its_parent() -> None:
    assert refusal((visit(), erased(visit()))) == "same-name"


@pytest.mark.parametrize("name", ["Bob", ""])
def test_an_erasable_attribute_never_changes(name: str) -> None:
    assert refusal((person(), person(name=name)), (visit(), visit(name=name))) == "person-stays"


def test_what_is_erased_never_comes_back() -> None:
    stored = (erased(person()), erased(visit()))
    assert refusal((erased(person()), person()), stored=stored) == "person-stays"
    assert refusal((erased(visit()), visit()), stored=stored) == "visit-stays"


def test_only_erasable_attributes_may_become_absent() -> None:
    assert refusal((person(), changed(person(), number=None))) == "person-stays"
    assert refusal((visit(), changed(visit(), day=None))) == "visit-stays"


def test_a_new_child_of_an_erased_parent_may_have_any_value() -> None:
    new = item("a", "visit-2", "visit", number=1, name="Bob", day="Tuesday")
    assert refusal((None, new), stored=(erased(person()),)) is None
    assert refusal((None, changed(new, number=2)), stored=(erased(person()),)) == "same-name"


def test_a_new_child_of_another_parent_agrees() -> None:
    new = item("a", "visit-2", "visit", number=1, name="Bob", day="Tuesday")
    assert refusal((None, new)) == "same-name"
    assert refusal((None, changed(new, name=None))) == "same-name"


def test_the_compiled_check_accepts_an_erased_parent() -> None:
    (_, check) = compile_writes(ruled(PlainStore(), RULES).plan, "t", [Put(visit())]).actions
    condition = check.body["ConditionCheck"]["ConditionExpression"]
    name = "(attribute_not_exists(#name) OR #name = :e0_name)"
    assert condition == f"#kind = :p0_kind AND {name} AND #number = :p0_number"
