"""Two actors: the first is given at once, the second later and once, and they are different people."""

from typing import Any

import pytest

from bursar.rules import Check, Kind, Put, RuleRefused, Rules, TwoActors, Update
from bursar.rules.language.predicates import Where
from tests.support.rules.samples import changed, item
from tests.support.rules.worlds import PlainStore, finish, put_plainly, ruled

RULES = Rules(
    "pk",
    "sk",
    kinds=(Kind("request"),),
    rules=(
        TwoActors("checked", kind="request", first="asked_by", second="approved_by"),
        Check("amount", kind="request", where=Where("amount > :zero", values={":zero": 0})),
    ),
)


def request(**values: Any) -> dict[str, Any]:
    return item("a", "request", "request", **{"amount": 1, **values})


def refusal(old: dict[str, Any] | None, new: dict[str, Any]) -> str | None:
    """Return the reason, which is the same on the compiled path, by swap and for a plain client; None if accepted."""
    reasons: set[str | None] = set()
    for native in (False, True):
        store = PlainStore(RULES if native else None)
        if old is not None:
            finish(ruled(store, RULES, seed=1).write([Put(old)]))
        try:
            finish(ruled(store, RULES, swaps=native).write([Put(new) if old is None else Update(old, new)]))
            reasons.add(None)
        except RuleRefused as refused:
            reasons.add(refused.message)
    store = PlainStore(RULES)
    if old is not None:
        finish(ruled(store, RULES, seed=1).write([Put(old)]))
    reasons.add(put_plainly(store, {("a", "request"): (old, new)}))
    (reason,) = reasons
    assert reason is None or reason.startswith("Rule checked (two actors) refuses to ")
    return reason


def test_the_second_may_be_written_later_or_at_once() -> None:
    assert refusal(None, request(asked_by="ann")) is None
    assert refusal(request(asked_by="ann"), request(asked_by="ann", approved_by="bob")) is None
    assert refusal(None, request(asked_by="ann", approved_by="bob")) is None
    assert refusal(None, request()) is None


@pytest.mark.parametrize("same", ["ann", "Ann", " ANN\t"])
def test_the_same_person_twice_is_refused_in_any_spelling(same: str) -> None:
    reason = "approved_by must be another person than asked_by"
    assert reason in (refusal(request(asked_by="ann"), request(asked_by="ann", approved_by=same)) or "")
    assert reason in (refusal(None, request(asked_by="ann", approved_by=same)) or "")


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "the first changes": (request(asked_by="eve", approved_by="bob"), "asked_by never changes"),
    "the first is removed": (request(approved_by="bob"), "asked_by never changes"),
    "the second changes": (request(asked_by="ann", approved_by="eve"), "approved_by is already written"),
    "the second is removed": (request(asked_by="ann"), "approved_by is already written"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_neither_ever_changes(name: str) -> None:
    new, reason = CHANGES[name]
    assert reason in (refusal(request(asked_by="ann", approved_by="bob"), new) or "")


def test_the_first_is_not_added_later() -> None:
    assert "asked_by never changes" in (refusal(request(), request(asked_by="ann")) or "")


@pytest.mark.parametrize("value", ["", " \t", 7, {"BOOL": True}])
@pytest.mark.parametrize("name", ["asked_by", "approved_by"])
def test_a_name_is_text(name: str, value: Any) -> None:
    assert f"{name} must be text that names a person" in (refusal(None, request(**{name: value})) or "")


def test_the_first_is_compared_when_the_second_is_written() -> None:
    """Let the item be removed and made again by another person after it was read."""
    store = PlainStore()
    table = ruled(store, RULES)
    read = request(asked_by="ann")
    (action,) = table.compile([Update(read, changed(read, approved_by="bob"))]).actions
    assert "#asked_by = :old_asked_by" in action.body["Update"]["ConditionExpression"]
