"""The owner of a unique value is recorded in a sentinel or in an owners row, and there is never more than one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo.engine.engine import RulesRefused
from bursar.dynamo.errors import DynamoError
from bursar.rules import Kind, Put, Rules, Unique, Update
from bursar.rules.language.toml import rules_to_toml
from tests.support.rules.worlds import TABLE, PlainStore, finish, ruled

RULES = Rules("pk", "sk", kinds=(Kind("order"),), rules=(Unique("number", kind="order", attributes=("number",)),))
ORDERS, NUMBERS = ("a", "b", "c"), ("1", "2")
State = dict[str, str | None]
"""Order → the number that it holds (None: it has none), or number → the order that its sentinel names."""
Writing = dict[tuple[str, str], Any]
"""("order" or "sentinel", its name) → what it holds or names; ``GONE`` for one that is removed."""
GONE = "gone"


def order_key(name: str) -> dict[str, Any]:
    return {"pk": {"S": name}, "sk": {"S": "order"}}


def order(name: str, number: str | None) -> dict[str, Any]:
    return {**order_key(name), "kind": {"S": "order"}, **({} if number is None else {"number": {"S": number}})}


def sentinel_key(number: str) -> dict[str, Any]:
    return {"pk": {"S": f"unique#number#{number}"}, "sk": {"S": "sentinel"}}


def sentinel(number: str, owner: str) -> dict[str, Any]:
    return {**sentinel_key(number), "kind": {"S": "sentinel"}, "owner": {"M": order_key(owner)}}


def write(store: PlainStore, writing: Writing) -> None:
    """Write all of it in one transaction, as a client that knows no rules."""
    actions = []
    for (kind, name), value in writing.items():
        if value == GONE:
            key = order_key(name) if kind == "order" else sentinel_key(name)
            actions.append({"Delete": {"TableName": TABLE, "Key": key}})
        else:
            item = order(name, value) if kind == "order" else sentinel(name, value)
            actions.append({"Put": {"TableName": TABLE, "Item": item}})
    store.engine.execute("TransactWriteItems", {"TransactItems": actions})


def refusal(store: PlainStore, writing: Writing) -> str:
    with pytest.raises(DynamoError) as refused:
        write(store, writing)
    (message,) = [one["Message"] for one in refused.value.cancellation_reasons or () if "Message" in one]
    return str(message)


def owners_rows(store: PlainStore) -> dict[str, str]:
    """Return number → the order that has an owners row for it in the side store."""
    rows = store.engine._core.storage.connection.execute("SELECT value, owner FROM owners")
    said = {value.decode().removeprefix("unique#number#"): owner.decode() for value, owner in rows}
    return {number: next(name for name in ORDERS if f'"{name}"' in owner) for number, owner in said.items()}


def after(state: State, writing: Writing, kind: str) -> State:
    changed = {name: value for (of, name), value in writing.items() if of == kind}
    return {name: value for name, value in {**state, **changed}.items() if value != GONE}


def allowed(orders: State, sentinels: State, writing: Writing) -> bool:
    """Return whether the documented rules allow the step from one whole state to the other."""
    then, named = after(orders, writing, "order"), after(sentinels, writing, "sentinel")
    held = [number for number in then.values() if number is not None]
    if len(held) != len(set(held)):
        return False
    for (kind, number), value in writing.items():
        if kind != "sentinel":
            continue
        before = sentinels.get(number)
        if before is not None and before != value and then.get(before) == number:
            return False
        if value != GONE and then.get(named[number] or "") != number:
            return False
    return True


writings = st.dictionaries(
    st.tuples(st.just("order"), st.sampled_from(ORDERS)), st.sampled_from((*NUMBERS, None, GONE)), max_size=2
)
said = st.dictionaries(
    st.tuples(st.just("sentinel"), st.sampled_from(NUMBERS)), st.sampled_from((*ORDERS, GONE)), max_size=2
)


@given(st.lists(st.builds(lambda one, two: {**one, **two}, writings, said).filter(bool), max_size=12), st.booleans())
def test_a_value_has_one_owner_for_all_writes_of_clients(requests: list[Writing], adopted: bool) -> None:
    store = PlainStore(RULES)
    orders: State = {}
    sentinels: State = {}
    for writing in requests:
        expected = allowed(orders, sentinels, writing)
        try:
            write(store, writing)
            took_place = True
        except DynamoError:
            took_place = False
        assert took_place == expected, (orders, sentinels, writing)
        if took_place:
            orders, sentinels = after(orders, writing, "order"), after(sentinels, writing, "sentinel")
        if adopted and all(name is not None and orders.get(name) == number for number, name in sentinels.items()):
            # Adopting finds nothing wrong, and writes the owners rows again where there is no sentinel.
            store.engine.put_rules_document(TABLE, rules_to_toml(RULES))
        holders = {number: name for name, number in orders.items() if number is not None}
        claimed = owners_rows(store)
        assert claimed.items() <= holders.items()
        for number, name in holders.items():
            assert claimed.get(number) == name or sentinels.get(number) == name
    store.engine.close()


def test_an_owners_row_from_before_sentinels_were_trusted_still_counts() -> None:
    store = PlainStore(RULES)
    finish(ruled(store, RULES).write([Put(order("a", "1"))]))
    claim = b'{"pk":{"S":"a"},"sk":{"S":"order"}}'
    connection = store.engine._core.storage.connection
    connection.execute("INSERT INTO owners VALUES ('1:unique', ?, ?)", (b"unique#number#1", claim))
    assert "number is taken" in refusal(store, {("order", "b"): "1"})
    finish(ruled(store, RULES, 1).write([Update(order("a", "1"), order("a", "2"))]))
    assert owners_rows(store) == {}
    write(store, {("order", "b"): "1"})


def test_the_owner_of_a_value_with_a_sentinel_is_recorded_once() -> None:
    store = PlainStore(RULES)
    finish(ruled(store, RULES).write([Put(order("a", "1"))]))
    write(store, {("order", "b"): "2"})
    assert owners_rows(store) == {"2": "b"}
    with pytest.raises(DynamoError) as refused:
        store.engine.execute("PutItem", {"TableName": TABLE, "Item": order("c", "1")})
    assert 'number is taken; owned by {pk: "a", sk: "order"}' in refused.value.message


def test_an_owners_row_of_a_plain_client_counts_against_a_sentinel() -> None:
    store = PlainStore(RULES)
    write(store, {("order", "a"): "1"})
    assert "number is taken" in refusal(store, {("order", "b"): "1", ("sentinel", "1"): "b"})
    write(store, {("order", "a"): None, ("order", "b"): "1", ("sentinel", "1"): "b"})
    assert owners_rows(store) == {}


def test_of_two_items_in_one_request_one_may_own_a_value() -> None:
    store = PlainStore(RULES)
    assert "number is taken" in refusal(store, {("order", "a"): "1", ("order", "b"): "1", ("sentinel", "1"): "a"})
    assert "number is taken" in refusal(store, {("order", "b"): "1", ("order", "a"): "1", ("sentinel", "1"): "a"})
    assert (store.everything(), owners_rows(store)) == ([], {})


def test_a_stale_sentinel_blocks_no_item() -> None:
    store = PlainStore(RULES)
    finish(ruled(store, RULES).write([Put(order("a", "1"))]))
    write(store, {("order", "a"): None})
    write(store, {("order", "b"): "1"})
    assert owners_rows(store) == {"1": "b"}
    assert "number is taken" in refusal(store, {("order", "a"): "1"})


def test_only_the_sentinel_at_its_key_names_the_owner() -> None:
    store = PlainStore(RULES)
    elsewhere = {**sentinel("1", "a"), "sk": {"S": "elsewhere"}}
    actions = [{"Put": {"TableName": TABLE, "Item": item}} for item in (order("a", "1"), elsewhere)]
    store.engine.execute("TransactWriteItems", {"TransactItems": actions})
    assert owners_rows(store) == {"1": "a"}
    assert "number is taken" in refusal(store, {("order", "b"): "1"})


def test_adopting_finds_a_second_owner_of_a_value_with_a_sentinel() -> None:
    store = PlainStore(RULES)
    finish(ruled(store, RULES).write([Put(order("b", "1"))]))
    store.engine.put_rules_document(TABLE, None)
    write(store, {("order", "a"): "1"})
    with pytest.raises(RulesRefused, match=r'put order \{pk: "a".*owned by \{pk: "b"'):
        store.engine.put_rules_document(TABLE, rules_to_toml(RULES))


def test_a_table_whose_keys_are_numbers_has_only_owners_rows() -> None:
    store = PlainStore()
    types = [{"AttributeName": "id", "AttributeType": "N"}]
    keys = [{"AttributeName": "id", "KeyType": "HASH"}]
    definition = {
        "TableName": "things",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": types,
        "KeySchema": keys,
    }
    store.engine.execute("CreateTable", definition)
    rules = Rules("id", kinds=(Kind("order"),), rules=RULES.rules)
    store.engine.put_rules_document("things", rules_to_toml(rules))

    def put(number: str) -> None:
        item = {"id": {"N": number}, "kind": {"S": "order"}, "number": {"S": "1"}}
        store.engine.execute("PutItem", {"TableName": "things", "Item": item})

    put("1")
    with pytest.raises(DynamoError, match="number is taken"):
        put("2")
