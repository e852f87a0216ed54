"""Query: ranges, order, pages, filters and rejected requests."""

from typing import Any

import pytest

from bursar.dynamo import Engine
from tests.support.dynamo.tables import item, put, refusal, table


@pytest.fixture
def orders(engine: Engine) -> Engine:
    engine.execute("CreateTable", table(key=("pk:S", "sk:N")))
    put(engine, "orders", *(item(pk="a", sk=n, even=int(n % 2 == 0)) for n in range(10)))
    put(engine, "orders", item(pk="ab", sk=1), item(pk="b", sk=1))
    return engine


def query(condition: str, values: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "TableName": "orders",
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": item(**values),
        **more,
    }


def sort_keys(engine: Engine, request: dict[str, Any]) -> list[int]:
    return [int(one["sk"]["N"]) for one in engine.execute("Query", request)["Items"]]


@pytest.mark.parametrize(
    ("condition", "values", "expected"),
    [
        ("pk = :p", {}, list(range(10))),
        ("pk = :p AND sk = :a", {":a": 4}, [4]),
        ("pk = :p AND sk < :a", {":a": 2}, [0, 1]),
        ("pk = :p AND sk <= :a", {":a": 2}, [0, 1, 2]),
        ("pk = :p AND sk > :a", {":a": 7}, [8, 9]),
        ("pk = :p AND sk >= :a", {":a": 7}, [7, 8, 9]),
        ("pk = :p AND sk BETWEEN :a AND :b", {":a": 3, ":b": 5}, [3, 4, 5]),
    ],
)
def test_ranges_of_the_sort_key(orders: Engine, condition: str, values: dict[str, Any], expected: list[int]) -> None:
    request = query(condition, {":p": "a", **values})
    assert sort_keys(orders, request) == expected
    assert sort_keys(orders, {**request, "ScanIndexForward": False}) == expected[::-1]


@pytest.mark.parametrize("forward", [True, False])
def test_pages_visit_every_item_once_in_order(orders: Engine, forward: bool) -> None:
    request = query("pk = :p", {":p": "a"}, Limit=3, ScanIndexForward=forward)
    seen: list[int] = []
    start: dict[str, Any] = {}
    for _ in range(5):
        page = orders.execute("Query", {**request, **start})
        seen += [int(one["sk"]["N"]) for one in page["Items"]]
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert seen == list(range(10))[:: 1 if forward else -1]


def test_a_limit_reached_exactly_at_the_end_still_gives_a_key(orders: Engine) -> None:
    page = orders.execute("Query", query("pk = :p", {":p": "a"}, Limit=10))
    assert page["LastEvaluatedKey"] == item(pk="a", sk=9)
    after = orders.execute("Query", query("pk = :p", {":p": "a"}, ExclusiveStartKey=page["LastEvaluatedKey"]))
    assert after == {"Items": [], "Count": 0, "ScannedCount": 0}


def test_a_limit_counts_items_before_the_filter(orders: Engine) -> None:
    request = query("pk = :p", {":p": "a", ":e": 1}, FilterExpression="even = :e", Limit=3)
    page = orders.execute("Query", request)
    assert (page["Count"], page["ScannedCount"]) == (2, 3)
    assert page["LastEvaluatedKey"] == item(pk="a", sk=2)


def test_count_alone(orders: Engine) -> None:
    page = orders.execute("Query", query("pk = :p", {":p": "a"}, Select="COUNT"))
    assert page == {"Count": 10, "ScannedCount": 10}


def test_a_page_ends_before_it_passes_one_megabyte(engine: Engine) -> None:
    engine.execute("CreateTable", table())
    put(engine, "orders", *(item(pk="a", sk=str(n), payload="x" * 360_000) for n in range(3)))
    request = query("pk = :p", {":p": "a"}, Limit=3)
    first = engine.execute("Query", request)
    assert (first["Count"], first["LastEvaluatedKey"]) == (2, item(pk="a", sk="1"))
    filtered = {
        **request,
        "FilterExpression": "attribute_exists(absent_one)",
    }
    assert engine.execute("Query", filtered)["LastEvaluatedKey"] == item(pk="a", sk="1")


def test_strings_sort_by_their_utf8_bytes(engine: Engine) -> None:
    engine.execute("CreateTable", table())
    words = ["a", "a\x00", "a\x00b", "ab", "b", "é", "\uffff", "\U00010000"]
    put(engine, "orders", *(item(pk="a", sk=word) for word in reversed(words)))
    found = engine.execute("Query", query("pk = :p", {":p": "a"}))["Items"]
    assert [one["sk"]["S"] for one in found] == words


def test_begins_with(engine: Engine) -> None:
    engine.execute("CreateTable", table())
    put(engine, "orders", *(item(pk="a", sk=word) for word in ("ev", "event#1", "event#2", "evf", "f")))
    found = engine.execute("Query", query("pk = :p AND begins_with(sk, :s)", {":p": "a", ":s": "event#"}))
    assert [one["sk"]["S"] for one in found["Items"]] == ["event#1", "event#2"]


REFUSALS: list[tuple[dict[str, Any], str]] = [
    (
        {"TableName": "orders"},
        "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
    ),
    (query("sk = :s", {":s": 1}), "Query condition missed key schema element: pk"),
    (
        query("pk = :p", {":p": "a"}, Limit=0),
        "1 validation error detected: Value at 'Limit' failed to satisfy constraint: "
        "Member must have value greater than or equal to 1",
    ),
    (
        query("pk = :p", {":p": "a", ":s": 1}, FilterExpression="sk = :s"),
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk",
    ),
    (query("pk = :p", {":p": "a"}, ExclusiveStartKey=item(pk="a")), "The provided starting key is invalid"),
    (
        query("pk = :p", {":p": "a"}, ExclusiveStartKey=item(pk="b", sk=1)),
        "The provided starting key is outside query boundaries based on provided conditions",
    ),
    (
        query("pk = :p AND sk < :s", {":p": "a", ":s": 5}, ExclusiveStartKey=item(pk="a", sk=5)),
        "The provided starting key does not match the range key predicate",
    ),
    (
        query("pk = :p", {":p": "a"}, Select="SPECIFIC_ATTRIBUTES"),
        "1 validation error detected: "
        "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
    ),
    (
        query("pk = :p", {":p": "a"}, Select="COUNT", ProjectionExpression="pk"),
        "Cannot specify the ProjectionExpression when choosing to get only the Count",
    ),
    (
        query("pk = :p", {":p": "a"}, Select="ALL_PROJECTED_ATTRIBUTES"),
        "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
    ),
]


@pytest.mark.parametrize(("request_", "message"), REFUSALS)
def test_amazons_texts(orders: Engine, request_: dict[str, Any], message: str) -> None:
    assert refusal(orders, "Query", request_) == message
