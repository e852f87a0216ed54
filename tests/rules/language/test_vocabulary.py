"""Rules check themselves, and say what is wrong; what they keep can be read aloud."""

from collections.abc import Callable
from typing import Any

import pytest

from bursar.rules import (
    Agrees,
    Check,
    Immutable,
    Kind,
    References,
    Rules,
    RulesInvalid,
    Transitions,
    Unique,
    UniqueWhile,
    Where,
    one_of,
)
from bursar.rules.judging.plan import RulesPlan
from tests.support.rules.samples import ORDERS

KEY = {"pk": "{pk}", "sk": "order"}


def graph(**said: Any) -> Transitions:
    return Transitions("g", **{"attribute": "s", "initial": ("a",), "edges": (("a", "b"),), "final": ("b",), **said})


def table(*rules: Any, **said: Any) -> Rules:
    return Rules(
        **{"partition_key": "pk", "sort_key": "sk", "kinds": (Kind("order"), Kind("line")), **said}, rules=rules
    )


FAULTS: list[tuple[Callable[[], Any], str]] = [
    (lambda: Unique("u", attributes=()), "unique rule 'u': needs at least one attribute in 'attributes'"),
    (lambda: Unique("u", attributes=("a", "a")), "names an attribute twice in 'attributes': a, a"),
    (lambda: Unique("", attributes=("a",)), "a name is letters, digits, - and _, at most 64 characters"),
    (lambda: Unique("a#b", attributes=("a",)), "unique rule 'a#b': a name is letters"),
    (lambda: UniqueWhile("w", group=(), where=one_of("s", ["a"])), "needs at least one attribute in 'group'"),
    (lambda: Immutable("i", attributes=()), "immutable rule 'i': needs at least one attribute"),
    (lambda: Kind("sentinel"), "the kind 'sentinel' is kept for the rules' own items"),
    (lambda: graph(attribute=""), "transitions rule 'g': needs an attribute"),
    (lambda: graph(initial=()), "needs at least one attribute in 'initial'"),
    (lambda: graph(edges=(("a", "b", "c"),)), "an edge is a pair of values"),
    (lambda: graph(final=("b", "z")), "final value 'z' is on no edge"),
    (lambda: graph(final=("a", "b")), "final value 'a' has an edge out"),
    (lambda: graph(final=()), "value 'b' has no edge out and is not said to be final"),
    (lambda: graph(edges=(("a", "b"), ("c", "b"))), "value 'c' cannot be reached from a"),
    (lambda: References("r", parent="", key=KEY), "needs the kind of its parent"),
    (lambda: References("r", parent="order", key={}), "needs the parent's key"),
    (lambda: References("r", parent="order", key={"pk": "x", "sk": "y"}), "must be made of at least one attribute"),
    (lambda: Where("a = :v"), ":v is used in 'a = :v' but not given"),
    (lambda: Where("a = :v", values={":v": 1, ":w": 2}), ":w is given but not used"),
    (lambda: Where("  "), "a predicate needs a condition"),
    (lambda: Where("a = :v", values={":v": 0.5}), "0.5 cannot be a value in a predicate"),
    (lambda: one_of("a", []), "needs at least one value"),
    (lambda: table(partition_key=""), "rules need the table's partition key"),
    (lambda: table(kind_attribute="sk"), "the kind attribute 'sk' cannot be a key"),
    (lambda: table(kinds=(Kind("a"), Kind("a"))), "two kinds are called 'a'"),
    (lambda: table(Unique("u", attributes=("a",)), Unique("u", attributes=("b",))), "two rules are called 'u'"),
    (lambda: table(Unique("u", kind="x", attributes=("a",))), "unique rule 'u': there is no kind 'x'"),
    (lambda: table(References("r", parent="x", key=KEY)), "there is no kind 'x' to be the parent"),
    (lambda: table(References("r", parent="order", key={"pk": "{a}"})), "the parent's key must say pk and sk"),
    (lambda: table(Agrees("r", parent="order", key=KEY, attributes=("pk",))), "keys and kinds differ by nature"),
    (lambda: RulesPlan(table(Check("c", where=Where("size(a")))), "check rule 'c': Invalid ConditionExpression"),
    (lambda: RulesPlan(table(Check("c", where=Where("status = :v", values={":v": 1})))), "reserved keyword: status"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), FAULTS, ids=[message[:50] for _, message in FAULTS])
def test_a_rule_that_makes_no_sense_says_why(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        make()
    assert message in str(raised.value)
    assert isinstance(raised.value, RulesInvalid) or isinstance(make, type(lambda: None))


SAYS = {
    "number": "number belongs to at most one item",
    "place": "shelf and slot together belong to at most one item",
    "one-open": 'at most one item per customer while state IN ("open", "paid")',
    "moves": "state starts as open and moves only open → paid, open → void, paid → sent",
    "identity": "number and customer never change",
    "once": "token, once written, never changes",
    "amount": "attribute_not_exists(amount) OR amount > 0",
    "currency": "currency equals its order's",
    "noted": "its order exists at pk = {about}, sk = order",
    "entries": "never changed nor removed",
}


@pytest.mark.parametrize("name", SAYS)
def test_a_rule_can_be_read_aloud(name: str) -> None:
    assert ORDERS[name].describe() == SAYS[name]


def test_an_unknown_rule_is_answered_with_those_there_are() -> None:
    with pytest.raises(KeyError, match="no rule 'nuber'; there are number, token"):
        ORDERS["nuber"]


def test_edges_to_the_same_value_and_repeated_edges_are_no_edges() -> None:
    assert graph(edges=(("a", "b"), ("a", "a"), ("b", "b"), ("a", "b"))).edges == (("a", "b"),)


@pytest.mark.parametrize(
    ("where", "attributes"),
    [
        (Where("a = b AND NOT c < :v", values={":v": 1}), {"a", "b", "c"}),
        (Where("m.inner[0].x = :v", values={":v": 1}), {"m"}),
        (Where("#a.#b IN (:v)", names={"#a": "outer", "#b": "inner"}, values={":v": 1}), {"outer"}),
        (Where("size(a) BETWEEN b AND c or attribute_type(d, :t)", values={":t": "S"}), {"a", "b", "c", "d"}),
    ],
)
def test_a_predicate_knows_which_attributes_decide_it(where: Where, attributes: set[str]) -> None:
    assert where.attributes == attributes
