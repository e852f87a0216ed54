"""The engine enforces the rules itself: any write, by any client, in any operation."""

from dataclasses import replace
from typing import Any

import pytest

from bursar.dynamo.engine.engine import RulesRefused
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.items.attribute_values import Item
from bursar.rules import Check, Kind, Put, RuleRefused, Rules, Unique, Update, Where
from bursar.rules.language.toml import rules_from_toml, rules_to_toml
from bursar.rules.native import ADOPTION_VIOLATIONS_MAX, load_guard
from tests.support.rules.samples import ORDERS, changed, item, line, order
from tests.support.rules.worlds import TABLE, PlainStore, finish, ruled

KEY: Item = {"pk": {"S": "a"}, "sk": {"S": "order"}}
SENTINEL = {"pk": {"S": "unique#number#n-a"}, "sk": {"S": "sentinel"}}


def guarded(*items: dict[str, Any]) -> PlainStore:
    store = PlainStore(ORDERS)
    for one in items:
        put(store, one)
    return store


def put(store: PlainStore, one: dict[str, Any]) -> None:
    store.engine.execute("PutItem", {"TableName": TABLE, "Item": one})


def refusal(store: PlainStore, operation: str, **request: Any) -> str:
    before = store.everything()
    with pytest.raises(DynamoError) as refused:
        store.engine.execute(operation, request)
    assert store.everything() == before
    if refused.value.code == "TransactionCanceledException":
        reasons = refused.value.cancellation_reasons or []
        (message,) = [one["Message"] for one in reasons if one["Code"] == "ConditionalCheckFailed"]
        return str(message)
    assert refused.value.code == "ConditionalCheckFailedException"
    return refused.value.message


def test_put_item() -> None:
    message = refusal(guarded(order()), "PutItem", TableName=TABLE, Item=order("b", number="n-a"))
    assert message == (
        'Rule number (unique) refuses to put order {pk: "b", sk: "order"}: number is taken; '
        'owned by {pk: "a", sk: "order"}; was absent, would be {number: "n-a"}'
    )


def test_update_item() -> None:
    message = refusal(
        guarded(order()),
        "UpdateItem",
        TableName=TABLE,
        Key=KEY,
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={":s": {"S": "sent"}},
    )
    assert message.endswith(
        'from open, state moves only to paid or void; was {state: "open"}, would be {state: "sent"}'
    )


def test_delete_item() -> None:
    message = refusal(guarded(order()), "DeleteItem", TableName=TABLE, Key=KEY)
    assert message.startswith("Rule currency (agrees) refuses to remove order")


def test_batch_write_item() -> None:
    requests = [{"PutRequest": {"Item": order("b")}}, {"PutRequest": {"Item": line("zz")}}]
    with pytest.raises(DynamoError, match="its order does not exist"):
        guarded().engine.execute("BatchWriteItem", {"RequestItems": {TABLE: requests}})


def test_transact_write_items() -> None:
    actions = [
        {"Put": {"TableName": TABLE, "Item": one}} for one in (order("b"), line("b"), line("b", 2, currency="X"))
    ]
    message = refusal(guarded(), "TransactWriteItems", TransactItems=actions)
    assert message.startswith("Rule currency (agrees) refuses to put line")


def test_a_parent_and_its_child_in_one_transaction() -> None:
    store = guarded()
    actions = [{"Put": {"TableName": TABLE, "Item": one}} for one in (line(), order())]
    store.engine.execute("TransactWriteItems", {"TransactItems": actions})
    assert set(store.items()) == {("a", "order"), ("a", "line-1")}


def test_a_value_passes_from_one_item_to_another_in_one_transaction() -> None:
    store = guarded(order("a", customer="c"))
    actions = [
        {"Put": {"TableName": TABLE, "Item": one}}
        for one in (order("b", customer="c"), order("a", customer="c", state="void"))
    ]
    store.engine.execute("TransactWriteItems", {"TransactItems": actions})
    assert len(store.items()) == 2


def test_compiled_writes_get_the_guards_refusal_by_name() -> None:
    """Let a plain client own the value without a sentinel: the transaction's conditions pass, the guard refuses."""
    store = guarded(order())
    with pytest.raises(RuleRefused) as refused:
        finish(ruled(store, ORDERS).write([Put(order("b", number="n-a"))]))
    assert refused.value.rule == "number"
    assert 'owned by {pk: "a", sk: "order"}' in refused.value.message


def test_rules_stay_with_the_file() -> None:
    store = guarded()
    assert rules_from_toml(store.engine.rules_document(TABLE) or "") == ORDERS


# --- sentinels in a guarded table ------------------------------------------------------------------------------------


def compiled_into(store: PlainStore) -> PlainStore:
    finish(ruled(store, ORDERS).write([Put(order(token="t"))]))
    return store


def test_a_sentinel_stays_while_its_owner_owns_the_value() -> None:
    message = refusal(compiled_into(guarded()), "DeleteItem", TableName=TABLE, Key=SENTINEL)
    assert message.startswith("Rule sentinel (sentinel) refuses to remove sentinel")
    assert "its owner still owns the value" in message


def test_a_secret_value_is_not_shown_by_its_sentinel() -> None:
    key = {"pk": {"S": "unique#token#t"}, "sk": {"S": "sentinel"}}
    assert '{pk: "unique#token#(secret)"' in refusal(compiled_into(guarded()), "DeleteItem", TableName=TABLE, Key=key)


@pytest.mark.parametrize(
    "owner",
    [{"M": {"pk": {"S": "b"}, "sk": {"S": "order"}}}, {"M": {"pk": {"S": "a"}}}, {"M": {}}, {"S": "a"}, None],
    ids=["another", "half a key", "nobody", "no key", "none"],
)
def test_a_forged_sentinel_is_refused(owner: Any) -> None:
    forged = {**SENTINEL, "kind": {"S": "sentinel"}, **({} if owner is None else {"owner": owner})}
    message = refusal(guarded(order("b")), "PutItem", TableName=TABLE, Item=forged)
    assert "its owner does not own the value" in message


def test_a_sentinel_does_not_become_something_else() -> None:
    message = refusal(compiled_into(guarded()), "PutItem", TableName=TABLE, Item={**order(), **SENTINEL})
    assert message.startswith("Rule kind (kind)")


def test_a_stale_sentinel_may_be_removed() -> None:
    store = compiled_into(guarded())
    put(store, order(token="t", state="void"))
    key = {"pk": {"S": "unique#one-open#c-a"}, "sk": {"S": "sentinel"}}
    store.engine.execute("DeleteItem", {"TableName": TABLE, "Key": key})
    assert "unique#one-open#c-a" not in store.sentinels()


def test_compiled_and_plain_writes_share_a_table() -> None:
    store = compiled_into(guarded())
    put(store, order("b"))
    finish(ruled(store, ORDERS, 1).write([Update(order(token="t"), changed(order(token="t"), state="void"))]))
    put(store, order("c", customer="c-a"))
    assert len(store.items()) == 3


# --- adopting --------------------------------------------------------------------------------------------------------


def adopting(*items: dict[str, Any]) -> list[str]:
    store = PlainStore()
    for one in items:
        put(store, one)
    with pytest.raises(RulesRefused) as refused:
        store.engine.put_rules_document(TABLE, rules_to_toml(ORDERS))
    assert store.engine.rules_document(TABLE) is None
    return refused.value.violations


def test_adopting_lists_every_violation() -> None:
    violations = adopting(
        order("a", state="lost"),
        order("b"),
        order("c", number="n-b"),
        order("d", amount=0),
        line("a", currency="EUR"),
        line("zz"),
        item("x", "y", "stranger"),
        item("n", "note", "note", about="zz"),
        {**SENTINEL, "kind": {"S": "sentinel"}, "owner": {"M": KEY}},
    )
    said = sorted(one.split(" refuses")[0] for one in violations)
    assert said == [
        "Rule amount (check)",
        "Rule currency (agrees)",
        "Rule currency (agrees)",
        "Rule kind (kind)",
        "Rule moves (transitions)",
        "Rule noted (references)",
        "Rule number (unique)",
    ]


def test_adopting_records_the_owners_of_existing_values() -> None:
    store = PlainStore()
    put(store, order())
    store.engine.put_rules_document(TABLE, rules_to_toml(ORDERS))
    assert "number is taken" in refusal(store, "PutItem", TableName=TABLE, Item=order("b", number="n-a"))
    store.engine.put_rules_document(TABLE, None)
    put(store, order("b", number="n-a"))


def test_other_rules_forget_the_owners_of_the_old_ones() -> None:
    store = guarded(order())
    put(store, changed(order(), state="void"))
    store.engine.put_rules_document(TABLE, None)
    put(store, order("b", number="n-b"))
    store.engine.execute("DeleteItem", {"TableName": TABLE, "Key": {**KEY, "pk": {"S": "b"}}})
    store.engine.put_rules_document(TABLE, rules_to_toml(ORDERS))
    put(store, order("c", number="n-b"))


def test_the_list_of_violations_is_bounded() -> None:
    violations = adopting(*(item(str(number), "x", "stranger") for number in range(ADOPTION_VIOLATIONS_MAX + 5)))
    assert len(violations) == ADOPTION_VIOLATIONS_MAX + 1
    assert "possibly more" in violations[-1]


def test_a_bad_document_is_refused() -> None:
    store = PlainStore()
    with pytest.raises(DynamoError, match=r"rules: must have only .*; got 'x'"):
        store.engine.put_rules_document(TABLE, "x = 1")
    with pytest.raises(ValueError, match="partition_key: must be"):
        load_guard("")


def test_a_table_without_kinds() -> None:
    rules = Rules("pk", "sk", rules=(Unique("email", attributes=("email",)),))
    store = PlainStore(rules)
    finish(ruled(store, rules).write([Put({**KEY, "email": {"S": "x"}})]))
    with pytest.raises(DynamoError, match="Rule email"):
        put(store, {**KEY, "pk": {"S": "b"}, "email": {"S": "x"}})
    with pytest.raises(DynamoError, match="only the rules write sentinels"):
        put(store, {"pk": {"S": "unique#email#x"}, "sk": {"S": "sentinel"}, "kind": {"S": "other"}})
    assert Kind("a") == Kind("a", kept=False)


# --- amending --------------------------------------------------------------------------------------------------------


def test_amended_rules_judge_writes_from_then_on_and_leave_what_is_there() -> None:
    store = guarded(order())
    strict = replace(ORDERS, rules=(*ORDERS.rules, Check("no-more", kind="order", where=Where("attribute_exists(zz)"))))
    store.engine.amend_rules_document(TABLE, rules_to_toml(strict))
    assert store.engine.rules_document(TABLE) == rules_to_toml(strict)
    assert store.items()[KEY["pk"]["S"], KEY["sk"]["S"]] == order()
    assert "no-more" in refusal(store, "PutItem", TableName=TABLE, Item=order("b"))
    store.engine.amend_rules_document(TABLE, rules_to_toml(ORDERS))
    # The owners recorded under the first rules remain.
    assert "number is taken" in refusal(store, "PutItem", TableName=TABLE, Item=order("b", number="n-a"))
    put(store, order("b"))


def test_rules_that_cannot_be_read_do_not_amend() -> None:
    store = guarded(order())
    with pytest.raises(DynamoError, match=r"rules: must have only .*; got 'x'"):
        store.engine.amend_rules_document(TABLE, "x = 1")
    assert store.engine.rules_document(TABLE) == rules_to_toml(ORDERS)
