"""Rules check themselves and report what is wrong; each has a description for people."""

from collections.abc import Callable
from typing import Any

import pytest

from bursar.rules import (
    Agrees,
    AppendOnly,
    BoundedSum,
    Check,
    Immutable,
    Kind,
    References,
    Rules,
    RulesInvalid,
    Transitions,
    TwoActors,
    Unique,
    UniqueWhile,
    Where,
    one_of,
)
from bursar.rules.judging.plan import RulesPlan
from tests.support.rules.samples import ORDERS, RETURNS

KEY = {"pk": "{pk}", "sk": "order"}


def graph(**values: Any) -> Transitions:
    return Transitions("g", **{"attribute": "s", "initial": ("a",), "edges": (("a", "b"),), "final": ("b",), **values})


def total(**values: Any) -> BoundedSum:
    names = {"amount": "amount", "total": "sum", "limit": "most"}
    return BoundedSum("s", **{"kind": "line", "parent": "order", "key": KEY, **names, **values})


STAYS = AppendOnly("stays", kind="line")


def table(*rules: Any, **values: Any) -> Rules:
    return Rules(
        **{"partition_key": "pk", "sort_key": "sk", "kinds": (Kind("order"), Kind("line")), **values}, rules=rules
    )


ERRORS: list[tuple[Callable[[], Any], str]] = [
    (lambda: Unique("u", attributes=()), "unique rule 'u': attributes must be at least one attribute; got ()"),
    (lambda: Unique("u", attributes=("a", "a")), "attributes must be different attributes; got a, a"),
    (lambda: Unique("", attributes=("a",)), "must be letters, digits, - and _, at most 64 characters; got ''"),
    (lambda: Unique("a#b", attributes=("a",)), "name of a unique rule: must be letters"),
    (lambda: UniqueWhile("w", group=(), where=one_of("s", ["a"])), "group must be at least one attribute; got ()"),
    (lambda: Immutable("i", attributes=()), "immutable rule 'i': attributes must be at least one attribute"),
    (
        lambda: Immutable("i", attributes=("a",), erasable=("b",)),
        "immutable rule 'i': erasable must be among the attributes; got 'b'",
    ),
    (
        lambda: Agrees("r", parent="order", key=KEY, attributes=("a",), erasable="b"),  # type: ignore[arg-type]  # TOML
        "agrees rule 'r': erasable must be among the attributes; got 'b'",
    ),
    (lambda: Kind("sentinel"), "kind 'sentinel': reserved for sentinels"),
    (lambda: graph(attribute=""), "transitions rule 'g': attribute must not be empty"),
    (lambda: graph(initial=()), "initial must be at least one attribute; got ()"),
    (lambda: graph(edges=(("a", "b", "c"),)), "an edge must be a pair of values"),
    (lambda: graph(final=("b", "z")), "final value 'z' must be on an edge"),
    (lambda: graph(final=("a", "b")), "final value 'a' must not have an outgoing edge"),
    (lambda: graph(final=()), "value 'b' must have an outgoing edge or be final"),
    (lambda: graph(edges=(("a", "b"), ("c", "b"))), "value 'c' must be reachable from a"),
    (lambda: References("r", parent="", key=KEY), "parent must be a kind; got none"),
    (lambda: References("r", parent="order", key={}), "key must be the parent's key; got none"),
    (lambda: References("r", parent="order", key={"pk": "x", "sk": "y"}), "must contain at least one attribute"),
    (lambda: total(kind=None), "kind must be a kind other than the parent's; got None"),
    (lambda: total(kind="order"), "kind must be a kind other than the parent's; got 'order'"),
    (lambda: total(amount=""), "bounded sum rule 's': amount must be an attribute; got none"),
    (lambda: total(limit="sum"), "total and limit must be different attributes; got 'sum' for both"),
    (lambda: table(total()), "kind must be append-only, or a change of a child would change the sum; got 'line'"),
    (lambda: table(AppendOnly("l", kind="order"), total()), "kind must be append-only"),
    (lambda: table(AppendOnly("all"), total()), "parent must not be append-only, because each child changes its total"),
    (lambda: table(STAYS, total(total="pk")), "total and limit must not be keys or the kind"),
    (lambda: table(STAYS, total(parent="x")), "parent must be a kind of the table; got 'x'"),
    (lambda: TwoActors("t", first="a", second=""), "first and second must be two different attributes; got 'a' and ''"),
    (lambda: TwoActors("t", first="a", second="a"), "first and second must be two different attributes"),
    (lambda: Where("a = :v"), ":v: must be given, because 'a = :v' uses it"),
    (lambda: Where("a = :v", values={":v": 1, ":w": 2}), ":w: must not be given"),
    (lambda: Where("  "), "condition: must not be empty"),
    (lambda: Where("a = :v", values={":v": 0.5}), "text, int, Decimal, bool or bytes; got 0.5"),
    (lambda: one_of("a", []), "must be at least one; got none"),
    (lambda: table(partition_key=""), "partition_key: must be a name"),
    (lambda: table(kind_attribute="sk"), "kind_attribute: must not be a key of the table; got 'sk'"),
    (lambda: table(kinds=(Kind("a"), Kind("a"))), "names of kinds: must be different; got 'a' twice"),
    (lambda: table(Unique("u", attributes=("a",)), Unique("u", attributes=("b",))), "must be different; got 'u' twice"),
    (lambda: table(Unique("u", kind="x", attributes=("a",))), "rule 'u': kind must be a kind of the table; got 'x'"),
    (lambda: table(References("r", parent="x", key=KEY)), "parent must be a kind of the table; got 'x'"),
    (lambda: table(References("r", parent="order", key={"pk": "{a}"})), "key must give pk and sk of the parent"),
    (lambda: table(Agrees("r", parent="order", key=KEY, attributes=("pk",))), "must not be keys or the kind"),
    (lambda: RulesPlan(table(Check("c", where=Where("size(a")))), "check rule 'c': Invalid ConditionExpression"),
    (lambda: RulesPlan(table(Check("c", where=Where("status = :v", values={":v": 1})))), "reserved keyword: status"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), ERRORS, ids=[message[:50] for _, message in ERRORS])
def test_the_error_for_an_invalid_rule_gives_the_reason(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError) as raised:
        make()
    assert message in str(raised.value)
    assert isinstance(raised.value, RulesInvalid) or isinstance(make, type(lambda: None))


DESCRIPTIONS = {
    "number": "number belongs to at most one item",
    "place": "shelf and slot together belong to at most one item",
    "one-open": 'at most one item per customer while state IN ("open", "paid")',
    "moves": "state starts as open and moves only open → paid, open → void, paid → sent",
    "identity": "number and customer never change",
    "once": "token, once written, never changes",
    "amount": "attribute_not_exists(amount) OR amount > 0",
    "currency": "currency equals its order's",
    "noted": "its order exists at pk = {about}, sk = order",
    "entries": "never changed or removed",
}


def test_rules_about_sums_and_people_have_descriptions() -> None:
    assert RETURNS["returned"].describe() == "the sum of amount is its sale's returned, which is at most paid"
    assert RETURNS["checked"].describe() == "asked_by and approved_by are two different people, each written once"


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_rule_has_a_description(name: str) -> None:
    assert ORDERS[name].describe() == DESCRIPTIONS[name]


def test_the_error_for_an_unknown_rule_lists_the_rules() -> None:
    with pytest.raises(KeyError, match="no rule 'nuber'; the rules are number, token"):
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
