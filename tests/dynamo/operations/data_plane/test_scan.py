"""Scan: every item once, in pages and in parallel segments."""

from typing import Any

import pytest

from bursar.dynamo import Engine
from tests.support.dynamo.tables import item, put, refusal, table


@pytest.fixture
def orders(engine: Engine) -> Engine:
    engine.execute("CreateTable", table(global_indexes={"by-n": ("n:N",)}))
    items = [item(pk=f"p{n % 17}", sk=f"{n}", n={"N": f"{n - 20}.{n % 3}"}) for n in range(60)]
    put(engine, "orders", *items, item(pk="sparse", sk="1"))
    return engine


def every_page(engine: Engine, request: dict[str, Any]) -> list[str]:
    seen: list[str] = []
    start: dict[str, Any] = {}
    for _ in range(100):
        page = engine.execute("Scan", {**request, **start})
        seen += [one["sk"]["S"] for one in page["Items"]]
        if "LastEvaluatedKey" not in page:
            return seen
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    raise AssertionError("the scan does not end")


@pytest.mark.parametrize("index", [{}, {"IndexName": "by-n"}])
@pytest.mark.parametrize("limit", [{}, {"Limit": 7}])
@pytest.mark.parametrize("segments", [1, 3, 100])
def test_segments_and_pages_together_visit_everything_once(
    orders: Engine, index: dict[str, Any], limit: dict[str, Any], segments: int
) -> None:
    expected = sorted([str(n) for n in range(60)] + ([] if index else ["1"]))
    request = {"TableName": "orders", **index, **limit}
    assert sorted(every_page(orders, request)) == expected
    parts = [
        every_page(orders, {**request, "Segment": segment, "TotalSegments": segments}) for segment in range(segments)
    ]
    assert sorted(one for part in parts for one in part) == expected


def test_a_partition_is_in_one_segment(orders: Engine) -> None:
    for segment in range(4):
        page = orders.execute("Scan", {"TableName": "orders", "Segment": segment, "TotalSegments": 4})
        partitions = {one["pk"]["S"] for one in page["Items"]}
        whole = orders.execute("Scan", {"TableName": "orders"})["Items"]
        assert page["Count"] == sum(one["pk"]["S"] in partitions for one in whole)


def test_a_filter_keeps_the_items_that_fulfil_it(orders: Engine) -> None:
    request = {
        "TableName": "orders",
        "FilterExpression": "n > :n",
        "ExpressionAttributeValues": item(**{":n": 37}),
    }
    page = orders.execute("Scan", request)
    assert (page["Count"], page["ScannedCount"]) == (2, 61)


REFUSALS: list[tuple[dict[str, Any], str]] = [
    (
        {"Segment": 0},
        "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
    ),
    (
        {"TotalSegments": 4},
        "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
    ),
    (
        {"Segment": 5, "TotalSegments": 5},
        "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
        "Segment: 5 is not less than TotalSegments: 5",
    ),
    (
        {"Limit": 0},
        "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: "
        "Member must have value greater than or equal to 1",
    ),
    (
        {"ExclusiveStartKey": item(pk="a")},
        "The provided starting key is invalid: The provided key element does not match the schema",
    ),
]


@pytest.mark.parametrize(("more", "message"), REFUSALS)
def test_amazons_texts(orders: Engine, more: dict[str, Any], message: str) -> None:
    assert refusal(orders, "Scan", {"TableName": "orders", **more}) == message


def test_a_start_key_of_another_segment_is_refused(orders: Engine) -> None:
    page = orders.execute("Scan", {"TableName": "orders", "Segment": 0, "TotalSegments": 2})
    request = {
        "TableName": "orders",
        "Segment": 1,
        "TotalSegments": 2,
        "ExclusiveStartKey": {name: page["Items"][0][name] for name in ("pk", "sk")},
    }
    assert "Please use ExclusiveStartKey with correct Segment" in refusal(orders, "Scan", request)
