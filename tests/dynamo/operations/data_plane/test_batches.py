"""BatchGetItem and BatchWriteItem."""

from typing import Any

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.errors import ENVELOPE
from tests.support.dynamo.tables import item, put, refusal, table


@pytest.fixture
def orders(engine: Engine) -> Engine:
    engine.execute("CreateTable", table())
    engine.execute("CreateTable", table("payers", ("id:S",)))
    put(engine, "orders", item(pk="a", sk="1", n=1), item(pk="a", sk="2", n=2))
    put(engine, "payers", item(id="p"))
    return engine


def put_request(**attributes: Any) -> dict[str, Any]:
    return {"PutRequest": {"Item": item(**attributes)}}


def delete_request(**attributes: Any) -> dict[str, Any]:
    return {"DeleteRequest": {"Key": item(**attributes)}}


def test_a_batch_of_gets_finds_the_existing_items(orders: Engine) -> None:
    keys = [item(pk="a", sk="2"), item(pk="z", sk="1"), item(pk="a", sk="1")]
    request = {"RequestItems": {"orders": {"Keys": keys}, "payers": {"Keys": [item(id="p")]}}}
    assert orders.execute("BatchGetItem", request) == {
        "Responses": {"orders": [item(pk="a", sk="2", n=2), item(pk="a", sk="1", n=1)], "payers": [item(id="p")]},
        "UnprocessedKeys": {},
    }


def test_a_batch_of_gets_can_project(orders: Engine) -> None:
    wanted = {"Keys": [item(pk="a", sk="1")], "ProjectionExpression": "n"}
    response = orders.execute("BatchGetItem", {"RequestItems": {"orders": wanted}})
    assert response["Responses"] == {"orders": [item(n=1)]}


def test_keys_beyond_sixteen_megabytes_are_unprocessed(engine: Engine) -> None:
    engine.execute("CreateTable", table("payers", ("id:S",)))
    put(engine, "payers", *(item(id=f"p{n}", payload="x" * 390_000) for n in range(50)))
    keys = [item(id=f"p{n}") for n in range(50)]
    response = engine.execute("BatchGetItem", {"RequestItems": {"payers": {"Keys": keys, "ConsistentRead": True}}})
    found = len(response["Responses"]["payers"])
    assert found == 43
    assert response["UnprocessedKeys"] == {"payers": {"Keys": keys[found:], "ConsistentRead": True}}


def test_a_batch_writes_and_deletes(orders: Engine) -> None:
    request = {
        "RequestItems": {
            "orders": [put_request(pk="b", sk="1"), delete_request(pk="a", sk="1"), delete_request(pk="z", sk="1")],
            "payers": [put_request(id="q")],
        }
    }
    assert orders.execute("BatchWriteItem", request) == {"UnprocessedItems": {}}
    assert orders.execute("Scan", {"TableName": "orders"})["Items"] == [item(pk="a", sk="2", n=2), item(pk="b", sk="1")]
    assert orders.execute("Scan", {"TableName": "payers"})["Count"] == 2


def test_consumption_is_reported_by_table(orders: Engine) -> None:
    request = {
        "RequestItems": {"orders": [put_request(pk="b", sk="1", payload="x" * 1500)], "payers": [put_request(id="q")]},
        "ReturnConsumedCapacity": "TOTAL",
    }
    assert orders.execute("BatchWriteItem", request)["ConsumedCapacity"] == [
        {"TableName": "orders", "CapacityUnits": 2.0},
        {"TableName": "payers", "CapacityUnits": 1.0},
    ]


DUPLICATES = "Provided list of item keys contains duplicates"


def test_amazons_texts(orders: Engine) -> None:
    message = "The requestItems parameter is required for BatchWriteItem"
    assert refusal(orders, "BatchWriteItem", {"RequestItems": {}}) == message
    too_short = "failed to satisfy constraint: Member must have length greater than or equal to 1"
    assert refusal(orders, "BatchGetItem", {"RequestItems": {}}) == f"{ENVELOPE}Value at 'RequestItems' {too_short}"
    assert refusal(orders, "BatchGetItem", {"RequestItems": {"orders": {"Keys": []}}}) == (
        f"{ENVELOPE}Value at 'RequestItems.orders.member.Keys' {too_short}"
    )
    twice = {"RequestItems": {"orders": [put_request(pk="b", sk="1"), delete_request(pk="b", sk="1")]}}
    assert refusal(orders, "BatchWriteItem", twice) == DUPLICATES
    keys = [item(pk="a", sk="1")] * 2
    assert refusal(orders, "BatchGetItem", {"RequestItems": {"orders": {"Keys": keys}}}) == DUPLICATES
    many = [item(pk=f"p{n}", sk="1") for n in range(101)]
    assert refusal(orders, "BatchGetItem", {"RequestItems": {"orders": {"Keys": many}}}) == (
        "1 validation error detected: Value at 'RequestItems.orders.member.Keys' failed to satisfy constraint: "
        "Member must have length less than or equal to 100"
    )
    writes = [put_request(pk=f"p{n}", sk="1") for n in range(26)]
    message = refusal(orders, "BatchWriteItem", {"RequestItems": {"orders": writes}})
    assert message.startswith("1 validation error detected: Value '{orders=[")
    assert message.endswith(
        "]}' at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: "
        "[Member must have length less than or equal to 25, Member must have length greater than or equal to 1]"
    )
    spread = {"RequestItems": {"orders": writes[:25], "payers": [put_request(id="q")]}}
    assert refusal(orders, "BatchWriteItem", spread) == "Too many items requested for the BatchWriteItem call"


@pytest.mark.parametrize("unfit", [{"sk": "1"}, {"pk": 1, "sk": "1"}, {"pk": {"L": []}, "sk": "1"}])
def test_an_item_whose_key_does_not_fit_is_answered_as_a_key(orders: Engine, unfit: dict[str, Any]) -> None:
    message = "The provided key element does not match the schema"
    assert refusal(orders, "BatchWriteItem", {"RequestItems": {"orders": [put_request(**unfit)]}}) == message


def test_malformed_table_names_are_a_constraint_of_the_map(orders: Engine) -> None:
    constraint = (
        "at 'requestItems' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length "
        "less than or equal to 255, Member must have length greater than or equal to 3, Member must satisfy regular "
        "expression pattern: [a-zA-Z0-9_.-]+]"
    )
    capacity = (
        "Value 'BOGUS' at 'returnConsumedCapacity' failed to satisfy constraint: "
        "Member must satisfy enum value set: [INDEXES, TOTAL, NONE]"
    )
    reads = {"RequestItems": {"bad!name": {"Keys": [item(pk="a")]}}}
    echo = 'Value \'{"bad!name":{"Keys":[{"pk":{"S":"a"}}]}}\''
    assert refusal(orders, "BatchGetItem", reads) == f"{ENVELOPE}{echo} {constraint}"
    both = f"2 validation errors detected: {echo} {constraint}; {capacity}"
    assert refusal(orders, "BatchGetItem", {**reads, "ReturnConsumedCapacity": "BOGUS"}) == both
    writes = {"RequestItems": {"bad!name": [put_request(pk="a")]}}
    message = refusal(orders, "BatchWriteItem", writes)
    assert message.startswith(f"{ENVELOPE}Value '{{bad!name=[WriteRequest(putRequest=PutRequest(item={{pk=")
    assert message.endswith(f")]}}' {constraint}")
    assert refusal(orders, "BatchWriteItem", {**writes, "ReturnConsumedCapacity": "BOGUS"}) == ENVELOPE + capacity


def test_projections_and_legacy_projections_do_not_mix_across_tables(orders: Engine) -> None:
    requests = {
        "orders": {"Keys": [item(pk="a", sk="1")], "ProjectionExpression": "pk"},
        "payers": {"Keys": [item(id="p")], "AttributesToGet": ["id"]},
    }
    assert refusal(orders, "BatchGetItem", {"RequestItems": requests}).startswith("Can not use both expression and")


def test_nothing_is_written_when_one_item_is_invalid(orders: Engine) -> None:
    request = {"RequestItems": {"orders": [put_request(pk="b", sk="1"), put_request(pk="c")]}}
    refusal(orders, "BatchWriteItem", request)
    assert orders.execute("Scan", {"TableName": "orders"})["Count"] == 2
