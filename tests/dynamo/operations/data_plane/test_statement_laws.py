"""Laws of PartiQL: a SELECT finds what the same Query or Scan with a filter finds; pages add up to the whole."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import DynamoError, Engine
from tests.support.dynamo.statements import order_items, orders_table, run
from tests.support.dynamo.tables import put
from tests.support.dynamo.where_clauses import WHERE, as_filter
from tests.support.hypothesis_profiles import examples


@pytest.fixture(scope="module")
def shared() -> Iterator[Engine]:
    opened = Engine.open(":memory:")
    opened.execute("CreateTable", orders_table())
    put(opened, "orders", *order_items())
    yield opened
    opened.close()


@given(where=WHERE)
@examples(250)
def test_a_select_finds_what_a_scan_with_the_filter_finds(shared: Engine, where: str) -> None:
    text, values = as_filter(where)
    scan = {"TableName": "orders", "FilterExpression": text, "ExpressionAttributeValues": values}
    try:
        expected = shared.execute("Scan", scan)["Items"]
        found = run(shared, f"SELECT * FROM orders WHERE {where}")
    except DynamoError as refusal:
        # A filter may not have as many parentheses as a statement.
        if "redundant parentheses" not in refusal.message:
            raise
        return
    assert found == expected


@given(
    where=st.sampled_from(
        ["", "WHERE pk = 'a'", "WHERE pk IN ['c', 'a']", "WHERE pk IN ['a','b'] AND sk IN [1, 3, 4]", "WHERE sk > 1"]
    ),
    order=st.sampled_from(["", "ORDER BY sk DESC", "ORDER BY pk DESC", "ORDER BY pk DESC, sk DESC"]),
    limit=st.integers(1, 6),
)
def test_pages_add_up_to_the_whole(shared: Engine, where: str, order: str, limit: int) -> None:
    statement = f"SELECT * FROM orders {where} {order if 'pk' in where else ''}"
    pages: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        response = shared.execute("ExecuteStatement", {"Statement": statement, "Limit": limit, **token})
        pages += response["Items"]
        if "NextToken" not in response:
            break
        token = {"NextToken": response["NextToken"]}
    assert pages == run(shared, statement)


@pytest.mark.parametrize(
    ("sort", "condition"),
    [("sk > 2", "sk > :s"), ("sk <= 2", "sk <= :s"), ("2 = sk", "sk = :s"), ("sk >= 2.0", "sk >= :s")],
)
@pytest.mark.parametrize("descending", [False, True])
def test_a_keyed_select_is_a_query(shared: Engine, sort: str, condition: str, descending: bool) -> None:
    query = {
        "TableName": "orders",
        "KeyConditionExpression": f"pk = :p AND {condition}",
        "ExpressionAttributeValues": {":p": {"S": "b"}, ":s": {"N": "2"}},
        "ScanIndexForward": not descending,
        "ReturnConsumedCapacity": "TOTAL",
    }
    statement = f"SELECT * FROM orders WHERE pk = 'b' AND {sort}{' ORDER BY sk DESC' if descending else ''}"
    queried = shared.execute("Query", query)
    selected = shared.execute("ExecuteStatement", {"Statement": statement, "ReturnConsumedCapacity": "TOTAL"})
    assert selected == {"Items": queried["Items"], "ConsumedCapacity": queried["ConsumedCapacity"]}
