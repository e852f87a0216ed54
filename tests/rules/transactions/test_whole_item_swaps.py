"""Swaps: what takes the short path, and that the compiled form reports everything else."""

from typing import Any

import pytest

from bursar.dynamo.items.attribute_values import AttributeValue, Item
from bursar.rules import Check, Contention, Put, RuledTable, RuleRefused, Update, Where, one_of
from bursar.rules.judging.local_rules import predicate
from bursar.rules.judging.unique_and_parent import UniqueValue
from bursar.rules.language.writes import LogicalWrite
from tests.support.rules.samples import ORDERS, changed, item, order
from tests.support.rules.worlds import PlainStore, finish, ruled


@pytest.fixture
def store() -> PlainStore:
    return PlainStore(ORDERS)


@pytest.fixture
def table(store: PlainStore) -> RuledTable:
    return ruled(store, ORDERS, swaps=True)


def sent(store: PlainStore) -> list[str]:
    return [operation for operation, _ in store.requests]


def test_items_and_sentinels_are_swapped(table: RuledTable, store: PlainStore) -> None:
    finish(table.write([Put(order(token="t"))]))
    assert set(store.sentinels()) == {"unique#number#n-a", "unique#token#t", "unique#one-open#c-a"}
    finish(table.write([Update(order(token="t"), changed(order(token="t"), state="void"))]))
    assert set(store.sentinels()) == {"unique#number#n-a", "unique#token#t"}
    assert (sent(store), store.swaps) == ([], 2)


def test_a_value_passes_from_one_item_to_another(table: RuledTable, store: PlainStore) -> None:
    finish(table.write([Put(order())]))
    passing: list[LogicalWrite] = [Put(order("b", customer="c-a")), Update(order(), changed(order(), state="void"))]
    finish(table.write(passing))
    assert store.sentinels()["unique#one-open#c-a"] == ("b", "order")
    assert (sent(store), store.swaps) == ([], 2)


def test_each_unique_value_is_worked_out_once(
    table: RuledTable, store: PlainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(table.write([Put(order(token="t"))]))
    worked_out: list[str] = []
    given_up_and_taken = UniqueValue.given_up_and_taken

    def counted(self: UniqueValue, old: Item | None, new: Item | None) -> tuple[str | None, str | None]:
        worked_out.append(self.rule.name)
        return given_up_and_taken(self, old, new)

    monkeypatch.setattr(UniqueValue, "given_up_and_taken", counted)
    finish(table.write([Put(order("b", token="u")), Update(order(token="t"), changed(order(token="t"), state="void"))]))
    assert worked_out == ["number", "token", "one-open", "one-open"]
    assert (sent(store), store.swaps) == ([], 2)


def test_numbers_are_written_in_canonical_form(table: RuledTable, store: PlainStore) -> None:
    old = order(amount=5)
    finish(table.write([Put({**old, "amount": {"N": "5.00"}})]))
    finish(table.write([Update(old, {**old, "amount": {"N": "5.0"}})]))
    assert store.items()["a", "order"] == old
    finish(table.write([Update(old, {**old, "amount": {"N": "7.50"}})]))
    assert store.items()["a", "order"] == {**old, "amount": {"N": "7.5"}}
    assert sent(store) == []


def test_an_attribute_that_goes_is_a_change(table: RuledTable, store: PlainStore) -> None:
    old = order(amount=5)
    finish(table.write([Put(old)]))
    finish(table.write([Update(old, changed(old, amount=None))]))
    assert (store.items()["a", "order"], store.swaps) == (order(), 2)


def test_an_item_read_before_it_was_canonical_is_still_written(table: RuledTable, store: PlainStore) -> None:
    as_put = {**order(), "amount": {"N": "5.00"}}
    finish(table.write([Put(as_put)]))
    finish(table.write([Update(as_put, changed(as_put, state="paid"))]))
    assert store.items()["a", "order"] == order(amount=5, state="paid")


def test_two_writes_at_one_key_go_the_compiled_way(table: RuledTable, store: PlainStore) -> None:
    paid = changed(order(), state="paid")
    finish(table.write([Put(order()), Update(order(), changed(order(), currency="EUR"))]))
    with pytest.raises(Contention):
        finish(table.write([Update(order(), paid), Update(order(), paid)]))
    assert store.items()["a", "order"] == order(currency="EUR")
    assert sent(store) == ["TransactWriteItems"]


@pytest.mark.parametrize(
    ("writes", "rule"),
    [
        ([order("a", number="n"), order("b", number="n")], "number"),
        ([order(number={"BOOL": True})], "number"),
        ([item("a", "x", "stranger")], "kind"),
        ([item("unique#number#n", "sentinel", "sentinel")], "kind"),
    ],
    ids=["taken twice", "cannot be unique", "no kind", "a sentinel"],
)
def test_the_compiled_form_reports_the_refusal(
    table: RuledTable, store: PlainStore, writes: list[dict[str, Any]], rule: str
) -> None:
    with pytest.raises(RuleRefused) as refused:
        finish(table.write([Put(one) for one in writes]))
    assert refused.value.rule == rule
    assert store.everything() == []


VALUES: list[AttributeValue] = [
    {"S": "open"},
    {"S": "paid"},
    {"S": "x"},
    {"N": "1"},
    {"BOOL": True},
    {"L": [{"S": "open"}]},
    {"SS": ["open"]},
]


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (one_of("state", ["open", "paid"]), "#a = :v0 OR #a = :v1"),
        (Where("city IN (:v0)", values={":v0": "open"}), "city = :v0"),
        (one_of("state", ["open"], unless=("gone",)), "#a = :v0 AND attribute_not_exists(gone)"),
        (
            one_of("state", ["open"], unless=("gone", "held")),
            "#a = :v0 AND attribute_not_exists(gone) AND attribute_not_exists(held)",
        ),
    ],
    ids=["one_of", "bare", "unless", "unless two"],
)
def test_a_list_of_texts_means_what_its_comparisons_mean(short: Where, long: str) -> None:
    assert short.listed_values is not None
    attribute, _, absent = short.listed_values
    other = Where(long, names=short.names, values=short.values)
    assert other.listed_values is None
    briefly, at_length = (predicate(where, Check("c", where=where)) for where in (short, other))
    items: list[Item] = [{}, *({attribute: value} for value in VALUES)]
    items += [{**item, name: {"BOOL": True}} for item in items for name in absent]
    for found in items:
        assert briefly(found) == at_length(found)


def test_other_lists_are_not_lists_of_texts() -> None:
    assert one_of("n", [1, 2]).listed_values is None
    assert one_of("n", ["1", 2]).listed_values is None
    assert Where("NOT city IN (:v)", values={":v": "x"}).listed_values is None
    assert Where("a.city IN (:v)", values={":v": "x"}).listed_values is None
