"""A compiled write is one transaction with one action per item, and only the conditions that its verdict needs."""

from typing import Any

import pytest

from bursar.rules import Contention, Delete, Put, RuleRefused, Rules, TransactionTooLarge, Unique, Update
from bursar.rules.judging.plan import RulesPlan
from bursar.rules.transactions.compile import ACTIONS_MAX, CompiledTransaction, compile_writes
from tests.support.rules.samples import ORDERS, changed, item, line, order
from tests.support.rules.worlds import PlainStore, finish, ruled


def compiled(*writes: Any, rules: Rules = ORDERS) -> CompiledTransaction:
    return compile_writes(RulesPlan(rules), "ruled", writes)


def sent(*writes: Any, rules: Rules = ORDERS) -> list[str]:
    """Return each action as one line: the operation, its item and its condition."""
    lines = []
    for action in compiled(*writes, rules=rules).actions:
        ((verb, body),) = action.body.items()
        key = body.get("Key") or body["Item"]
        lines.append(f"{verb} {key['pk']['S']}/{key['sk']['S']} if {body['ConditionExpression']}")
        assert body["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
    return lines


FREE = "attribute_not_exists(#pk) OR #owner = :me"


def test_a_put_takes_its_values() -> None:
    assert sent(Put(order())) == [
        "Put a/order if attribute_not_exists(#pk)",
        f"Put unique#number#n-a/sentinel if {FREE}",
        f"Put unique#one-open#c-a/sentinel if {FREE}",
    ]


def test_an_update_compares_what_changes_and_what_was_read_with_it() -> None:
    # one-open reads state together with customer; number and currency are neither changed nor judged.
    assert sent(Update(order(), changed(order(), state="paid"))) == [
        "Update a/order if #customer = :old_customer AND #kind = :old_kind AND #state = :old_state"
    ]


def test_an_update_writes_only_the_difference() -> None:
    old = order(memo="x")
    (action,) = compiled(Update(old, changed(old, memo=None, note="y"))).actions
    body = action.body["Update"]
    assert body["UpdateExpression"] == "SET #note = :new_note REMOVE #memo"
    assert body["ConditionExpression"] == "#kind = :old_kind AND #memo = :old_memo AND attribute_not_exists(#note)"
    assert body["ExpressionAttributeValues"] == {
        ":old_kind": {"S": "order"},
        ":old_memo": {"S": "x"},
        ":new_note": {"S": "y"},
    }


def test_what_changes_nothing_sends_nothing() -> None:
    old = order(amount=1)
    assert sent(Update(old, {**old, "amount": {"N": "1.00"}})) == []
    assert sent(Put(order()), Delete(order())) == []


def test_leaving_the_predicate_gives_the_value_up() -> None:
    assert sent(Update(order(), changed(order(), state="void")))[1:] == [
        f"Delete unique#one-open#c-a/sentinel if {FREE}"
    ]


def test_a_removal_gives_up_all_values_and_compares_what_it_owned() -> None:
    assert sent(Delete(line(shelf="s", slot=1))) == [
        "Delete a/line-1 if #kind = :old_kind AND #shelf = :old_shelf AND #slot = :old_slot",
        f"Delete unique#place#s#%N1/sentinel if {FREE}",
    ]


def test_a_value_that_passes_from_one_item_to_another_is_one_action() -> None:
    assert sent(Update(order(), changed(order(), state="void")), Put(order("b", customer="c-a")))[2:] == [
        f"Put unique#number#n-b/sentinel if {FREE}",
        f"Put unique#one-open#c-a/sentinel if {FREE} OR #owner = :giver",
    ]


def test_two_items_of_one_write_cannot_take_the_same_value() -> None:
    with pytest.raises(RuleRefused, match=r"Rule number .*number is taken; owned by") as refused:
        compiled(Put(order()), Put(order("b", number="n-a")))
    assert refused.value.owner == {"pk": {"S": "a"}, "sk": {"S": "order"}}


def test_children_of_one_parent_share_its_check() -> None:
    lines = sent(Put(line()), Put(line(number=2)), Put(item("a", "note-1", "note", about="a")))
    assert lines[3:] == ["ConditionCheck a/order if #kind = :p0_kind AND #currency = :p0_currency"]


def test_children_that_disagree_are_both_checked() -> None:
    lines = sent(Put(line()), Put(line(number=2, currency="EUR")))
    assert lines[2:] == [
        "ConditionCheck a/order if #kind = :p0_kind AND #currency = :p0_currency AND #currency = :p1_currency"
    ]


def test_a_parent_in_the_same_write_is_judged_as_it_will_be() -> None:
    assert not any(one.startswith("ConditionCheck") for one in sent(Put(order()), Put(line())))
    with pytest.raises(RuleRefused, match=r"Rule currency .*currency is not its order's"):
        compiled(Put(order(currency="EUR")), Put(line()))


def test_a_parent_updated_with_its_child_is_compared_in_what_the_child_depends_on() -> None:
    first = sent(Update(order(), changed(order(), memo="x")), Put(line()))[0]
    assert first == "Update a/order if #currency = :old_currency AND #kind = :old_kind AND attribute_not_exists(#memo)"


def test_an_absent_reference_refers_to_nothing() -> None:
    assert sent(Put(item("x", "note-1", "note"))) == ["Put x/note-1 if attribute_not_exists(#pk)"]


def test_several_writes_at_one_key_are_one_change() -> None:
    first, second = changed(order(), state="paid"), changed(order(), state="paid", memo="x")
    assert len(sent(Update(order(), first), Update(first, second))) == 1
    assert sent(Put(order()), Update(order(), changed(order(), memo="x")))[0].startswith("Put a/order")


def test_one_transaction_is_one_step() -> None:
    paid = changed(order(), state="paid")
    with pytest.raises(RuleRefused, match="from open, state moves only to paid or void"):
        compiled(Update(order(), paid), Update(paid, changed(paid, state="sent")))


def test_writes_at_one_key_must_not_contradict_each_other() -> None:
    with pytest.raises(Contention, match="contradict each other"):
        compiled(Put(order()), Update(changed(order(), memo="x"), changed(order(), memo="y")))


def test_a_key_never_changes() -> None:
    with pytest.raises(ValueError, match="key of an update: must be that of the old item"):
        compiled(Update(order(), order("b")))


def test_numbers_are_compared_by_value() -> None:
    assert sent(Update(order(amount=60), {**order(amount={"N": "60.00"}), "memo": {"S": "x"}})) == [
        "Update a/order if #kind = :old_kind AND attribute_not_exists(#memo)"
    ]


def test_attributes_whose_names_do_not_fit_a_placeholder() -> None:
    old = {**order(), "a-b c": {"S": "1"}, "é": {"S": "1"}}
    new = {**old, "a-b c": {"S": "2"}, "é": {"S": "2"}}
    store = PlainStore()
    finish(ruled(store, ORDERS).write([Put(old)]))
    finish(ruled(store, ORDERS, seed=1).write([Update(old, new)]))
    assert store.items()[("a", "order")] == new


def test_more_than_a_hundred_actions_are_refused_before_sending() -> None:
    orders = [Put(order(str(number))) for number in range(34)]
    with pytest.raises(TransactionTooLarge, match=r"at most 100 actions .*; got 102"):
        compiled(*orders)
    assert len(compiled(*orders[:33]).actions) <= ACTIONS_MAX


def test_more_than_four_megabytes_are_refused_before_sending() -> None:
    entries = [Put(item("e", str(number), "entry", body="x" * 390_000)) for number in range(11)]
    with pytest.raises(TransactionTooLarge, match="must have at most 4194304 bytes of items"):
        compiled(*entries)
    assert len(compiled(*entries[:10]).actions) == 10


def test_only_the_rules_write_sentinels() -> None:
    sentinel = item("unique#number#1", "sentinel", "sentinel")
    with pytest.raises(RuleRefused, match="only the rules write sentinels"):
        compiled(Put(sentinel))
    with pytest.raises(RuleRefused, match="only a sentinel's partition key starts with unique#"):
        compiled(Put(item("unique#number#1", "order", "order", state="open")))


def test_a_table_without_kinds_and_without_a_sort_key() -> None:
    rules = Rules("id", rules=(Unique("email", attributes=("email",)),))
    body = compile_writes(RulesPlan(rules), "people", [Put({"id": {"S": "1"}, "email": {"S": "a@b"}})]).actions
    assert [action.body["Put"]["Item"] for action in body] == [
        {"id": {"S": "1"}, "email": {"S": "a@b"}},
        {
            "id": {"S": "unique#email#a@b"},
            "kind": {"S": "sentinel"},
            "rule": {"S": "email"},
            "owner": {"M": {"id": {"S": "1"}}},
        },
    ]


REFUSED = {
    "unknown kind": (Put(item("a", "b", "stranger")), "Rule kind (kind) refuses to put stranger"),
    "no kind": (Put({"pk": {"S": "a"}, "sk": {"S": "b"}}), "Rule kind (kind) refuses to put item"),
    "other kind": (Update(order(), {**order(), "kind": {"S": "line"}}), "an item's kind never changes"),
    "kept": (Delete(item("a", "b", "fixed")), "Rule kept (kept) refuses to remove fixed"),
    "append-only change": (Update(item("a", "b", "entry"), item("a", "b", "entry", x=1)), "Rule entries (append-only)"),
    "append-only removal": (Delete(item("a", "b", "entry")), "Rule entries (append-only) refuses to remove"),
    "parent removal": (Delete(order()), "Rule currency (agrees) refuses to remove order"),
    "parent's word": (Update(order(), changed(order(), currency="EUR")), "Rule currency (agrees) refuses to change"),
    "no edge": (Update(order(), changed(order(), state="sent")), "from open, state moves only to paid or void"),
    "final": (Update(order(state="void"), changed(order(), state="open")), "state void is final"),
    "state gone": (Update(order(), changed(order(), state=None)), "would be {state: (absent)}"),
    "no state": (Put(changed(order(), state=None)), "state starts as open"),
    "bad start": (Put(order(state="paid")), "Rule moves (transitions) refuses to put order"),
    "immutable": (Update(order(), changed(order(), number="x")), "number never changes; was {number: \"n-a\"}, would"),
    "immutable gone": (Update(order(), changed(order(), number=None)), "would be {number: (absent)}"),
    "written": (Update(order(token="t"), changed(order(), token="u")), "token is already written; was {token: (secret"),
    "check": (Put(order(amount=0)), "attribute_not_exists(amount) OR amount > 0 does not hold"),
    "check of two": (Update(line(), changed(line(), low=3)), "low <= high does not hold; was {low: 1}, would"),
    "type": (Put(order(number={"BOOL": True})), "number must be text, a number or binary to be unique"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_local_refusal_names_rule_item_and_states(name: str) -> None:
    write, message = REFUSED[name]
    with pytest.raises(RuleRefused) as refused:
        compiled(write)
    assert message in str(refused.value)
    assert refused.value.item_key.keys() == {"pk", "sk"}
    assert (refused.value.old, refused.value.new) != (None, None)
