"""SearchVectors: scores, conditions, projections, refusals, and how the index follows writes.

Source: paritysuite/dynamodb-conformance (vectorSearch, error-messages/searchVectors, error-messages/vectorWrites).
"""

import math
from array import array
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import Engine
from bursar.dynamo.storage.integrity_check import check_store
from bursar.dynamo.storage.vector_index import number_text
from bursar.dynamo.tools.testing import InProcess
from tests.support.dynamo.tables import item, put, refusal
from tests.support.dynamo.vectors import numbers, searchable, vector_index, vectors

FIXTURE = {"a": (1, 0, 0), "b": (0, 1, 0), "c": (-1, 0, 0), "d": (0.6, 0.8, 0)}


@pytest.fixture
def searched(engine: Engine) -> Engine:
    """Return an engine with a table that has an index of each distance function, and four items."""
    functions = {"cosine": "COSINE", "euclidean": "EUCLIDEAN", "dot": "DOT_PRODUCT"}
    indexes = [vector_index(name, DistanceFunction=function) for name, function in functions.items()]
    engine.execute("CreateTable", searchable("docs", indexes))
    for key, vector in FIXTURE.items():
        put(engine, "docs", item(pk=key, label=f"item-{key}", embedding=numbers(*vector)))
    return engine


@pytest.fixture
def tenants(engine: Engine) -> Engine:
    """Return an engine with a table that has a plain index and one by tenant and category, and three items."""
    schema = [
        {"AttributeName": "tenant", "SearchSchemaElementType": "HASH"},
        {"AttributeName": "category", "SearchSchemaElementType": "INLINE_FILTER"},
    ]
    indexes = [vector_index("plain"), vector_index("schema", SearchSchema=schema)]
    engine.execute("CreateTable", searchable("docs", indexes, tenant="S", category="S"))
    put(
        engine,
        "docs",
        item(pk="a", tenant="t1", category="c1", embedding=numbers(1, 0, 0)),
        item(pk="b", tenant="t1", category="c2", embedding=numbers(0, 1, 0)),
        item(pk="c", tenant="t2", category="c1", embedding=numbers(1, 0, 0)),
    )
    return engine


def search(engine: Engine, index: str, *vector: float, top: int = 10, **members: Any) -> dict[str, Any]:
    request = {"TableName": "docs", "IndexName": index, "SearchVector": vectors(*vector), "TopK": top, **members}
    return engine.execute("SearchVectors", request)


def keys(answer: dict[str, Any]) -> list[str]:
    return [result["Item"]["pk"]["S"] for result in answer["SearchResults"]]


def of_tenant(tenant: str, category: str | None = None) -> dict[str, Any]:
    if category is None:
        return {
            "SearchConditionExpression": "tenant = :t",
            "ExpressionAttributeValues": {":t": {"S": tenant}},
        }
    return {
        "SearchConditionExpression": "#t = :t AND category = :c",
        "ExpressionAttributeNames": {"#t": "tenant"},
        "ExpressionAttributeValues": {":t": {"S": tenant}, ":c": {"S": category}},
    }


@pytest.mark.parametrize(
    ("index", "scores"),
    [
        ("cosine", [("a", 0.0), ("d", 0.4), ("b", 1.0), ("c", 2.0)]),
        ("euclidean", [("a", 0.0), ("d", math.sqrt(0.8)), ("b", math.sqrt(2)), ("c", 2.0)]),
        ("dot", [("a", 1.0), ("d", 0.6), ("b", 0.0), ("c", -1.0)]),
    ],
)
def test_the_nearest_come_first_with_their_scores(
    searched: Engine, index: str, scores: list[tuple[str, float]]
) -> None:
    answer = search(searched, index, 1, 0, 0)
    assert keys(answer) == [key for key, _ in scores]
    assert [result["Score"] for result in answer["SearchResults"]] == pytest.approx([score for _, score in scores])
    assert keys(search(searched, index, 1, 0, 0, top=2)) == ["a", scores[1][0]]
    assert answer.keys() == {"SearchResults"}


def test_the_vector_is_returned_only_when_it_is_asked_for(searched: Engine) -> None:
    (found,) = search(searched, "cosine", 1, 0, 0, top=1)["SearchResults"]
    assert found["Item"] == item(pk="a", label="item-a")
    (found,) = search(searched, "cosine", 1, 0, 0, top=1, ProjectionExpression="pk, embedding")["SearchResults"]
    assert found["Item"] == {**item(pk="a"), "embedding": {"L": [{"N": "1.0"}, {"N": "0.0"}, {"N": "0.0"}]}}


def test_the_table_keeps_the_numbers_and_the_index_has_32_bits(searched: Engine) -> None:
    precise = {"L": [{"N": "0.1"}, {"N": "16777217"}, {"N": "1.000000059604644775390625"}]}
    put(searched, "docs", item(pk="f32", embedding=precise))
    assert searched.execute("GetItem", {"TableName": "docs", "Key": item(pk="f32")})["Item"]["embedding"] == precise
    (found,) = search(searched, "cosine", 0.1, 16777217, 1, top=1, ProjectionExpression="embedding")["SearchResults"]
    assert found["Item"]["embedding"]["L"] == [{"N": "0.1"}, {"N": "16777216.0"}, {"N": "1.0"}]


def test_a_vector_without_a_length_is_neither_near_nor_opposite(searched: Engine) -> None:
    put(searched, "docs", item(pk="zero", embedding=numbers(0, 0, 0)))
    scores = {
        result["Item"]["pk"]["S"]: result["Score"] for result in search(searched, "cosine", 1, 0, 0)["SearchResults"]
    }
    assert scores["zero"] == 1.0


def test_a_projection_decides_what_a_result_has(engine: Engine) -> None:
    some = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["label"]}
    indexes = [vector_index("some", Projection=some), vector_index("keys", Projection={"ProjectionType": "KEYS_ONLY"})]
    engine.execute("CreateTable", searchable("docs", indexes))
    put(engine, "docs", item(pk="a", label="x", other="y", embedding=numbers(1, 0, 0)))
    assert search(engine, "some", 1, 0, 0)["SearchResults"][0]["Item"] == item(pk="a", label="x")
    assert search(engine, "keys", 1, 0, 0)["SearchResults"][0]["Item"] == item(pk="a")
    request = {"TableName": "docs", "IndexName": "keys", "SearchVector": vectors(1, 0, 0), "TopK": 1}
    text = refusal(engine, "SearchVectors", {**request, "ProjectionExpression": "label"})
    assert text == "One or more parameter values were invalid: Vector index keys does not project [label]"


def test_a_search_is_in_one_partition_and_filtered(tenants: Engine) -> None:
    assert keys(search(tenants, "schema", 1, 0, 0, **of_tenant("t1"))) == ["a", "b"]
    assert keys(search(tenants, "schema", 1, 0, 0, **of_tenant("t2"))) == ["c"]
    assert keys(search(tenants, "schema", 1, 0, 0, **of_tenant("t1", "c2"))) == ["b"]
    assert keys(search(tenants, "schema", 1, 0, 0, **of_tenant("nobody"))) == []
    assert keys(search(tenants, "plain", 1, 0, 0)) == ["a", "c", "b"]


def test_the_index_follows_the_items(tenants: Engine) -> None:
    put(tenants, "docs", item(pk="no-tenant", category="c1", embedding=numbers(0, 0, 1)))
    assert "no-tenant" in keys(search(tenants, "plain", 0, 0, 1))
    assert keys(search(tenants, "schema", 0, 0, 1, **of_tenant("t1"))) == ["a", "b"]
    remove = {"TableName": "docs", "Key": item(pk="b"), "UpdateExpression": "REMOVE embedding"}
    tenants.execute("UpdateItem", remove)
    assert "b" not in keys(search(tenants, "plain", 0, 1, 0))
    move = {"UpdateExpression": "SET tenant = :t", "ExpressionAttributeValues": {":t": {"S": "t2"}}}
    tenants.execute("UpdateItem", {"TableName": "docs", "Key": item(pk="a"), **move})
    assert keys(search(tenants, "schema", 1, 0, 0, **of_tenant("t2"))) == ["a", "c"]
    tenants.execute("DeleteItem", {"TableName": "docs", "Key": item(pk="c")})
    assert keys(search(tenants, "schema", 1, 0, 0, **of_tenant("t2"))) == ["a"]


WRONG = "One or more parameter values were invalid. Invalid "
WRITES = {
    "size": (
        {"embedding": numbers(1, 0)},
        f"{WRONG}size for parameter embedding, Expected: 3, Actual: 2 IndexName: plain",
    ),
    "element": (
        {"embedding": {"L": [{"N": "1"}, {"S": "oops"}, {"N": "0"}]}},
        f"{WRONG}type for parameter embedding[1], Expected: 32-bit floating point number, Actual: S. IndexName: plain",
    ),
    "range": (
        {"embedding": {"L": [{"N": "1"}, {"N": "1e39"}, {"N": "0"}]}},
        f"{WRONG}type for parameter embedding[1], Expected: 32-bit floating point number, Actual: N. IndexName: plain",
    ),
    "kind": (
        {"embedding": {"S": "x"}},
        f"{WRONG}type for parameter embedding, Expected: 32-bit floating point number list IndexName: plain",
    ),
    "empty tenant": (
        {"embedding": numbers(0, 0, 1), "tenant": {"S": ""}},
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The "
        "AttributeValue for a key attribute cannot contain an empty string value. IndexName: schema, IndexKey: tenant",
    ),
}


@pytest.mark.parametrize("case", WRITES)
def test_a_write_that_does_not_fit_the_index_is_refused(tenants: Engine, case: str) -> None:
    attributes, text = WRITES[case]
    whole = {**item(pk="new", tenant="t1"), **attributes}
    assert refusal(tenants, "PutItem", {"TableName": "docs", "Item": whole}) == text
    names = {f"#{name}": name for name in attributes}
    update = {
        "TableName": "docs",
        "Key": item(pk="a"),
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in attributes),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {f":{name}": value for name, value in attributes.items()},
    }
    if case != "empty tenant":  # an empty key has another text in an update, as for a secondary index
        assert refusal(tenants, "UpdateItem", update) == text
    batch = {"RequestItems": {"docs": [{"PutRequest": {"Item": whole}}]}}
    assert refusal(tenants, "BatchWriteItem", batch) == text
    assert keys(search(tenants, "plain", 1, 0, 0)) == ["a", "c", "b"]


REFUSALS: dict[str, tuple[str, dict[str, Any], str]] = {
    "TopK": (
        "plain",
        {"TopK": 101},
        "Provided TopK value '101' is out of valid range. The value must be between 1 and 100 inclusive",
    ),
    "no condition": (
        "schema",
        {},
        "SearchConditionExpression must be provided when SearchSchema has a HASH key",
    ),
    "condition without the HASH": (
        "schema",
        {"SearchConditionExpression": "category = :c", "ExpressionAttributeValues": {":c": {"S": "c1"}}},
        "SearchConditionExpression must be provided when SearchSchema has a HASH key",
    ),
    "comparator of the HASH": (
        "schema",
        {"SearchConditionExpression": "tenant < :t", "ExpressionAttributeValues": {":t": {"S": "t9"}}},
        "Invalid SearchConditionExpression: Invalid comparator used in SearchConditionExpression",
    ),
    "comparator of a filter": (
        "schema",
        {
            "SearchConditionExpression": "tenant = :t AND category < :c",
            "ExpressionAttributeValues": {":t": {"S": "t1"}, ":c": {"S": "c9"}},
        },
        "Invalid SearchConditionExpression: Invalid comparator used in SearchConditionExpression",
    ),
    "either": (
        "schema",
        {
            "SearchConditionExpression": "tenant = :t OR category = :c",
            "ExpressionAttributeValues": {":t": {"S": "t1"}, ":c": {"S": "c9"}},
        },
        "Invalid SearchConditionExpression: Invalid comparator used in SearchConditionExpression",
    ),
    "dimensions": (
        "plain",
        {"SearchVector": vectors(1, 0)},
        "Input search vector dimension 2 does not match vector index dimension 3",
    ),
    "attribute": (
        "plain",
        of_tenant("t1"),
        "SearchConditionExpression must not contain any attributes that is not in SearchSchema. "
        "Invalid attribute: tenant",
    ),
    "list in the vector": (
        "plain",
        {"SearchVector": [{"L": vectors(1, 0, 0)}]},
        "Search vector contains invalid values. All values in the search vector must be a 32-bit floating-point "
        "number attribute",
    ),
    "index": ("absent", {}, "The table does not have the specified index: absent"),
    "unused value": (
        "plain",
        {"ExpressionAttributeValues": {":t": {"S": "t1"}}},
        "ExpressionAttributeValues can only be specified when using expressions: SearchConditionExpression is null",
    ),
    "least TopK": (
        "plain",
        {"TopK": 0},
        "1 validation error detected: Value '0' at 'topK' failed to satisfy constraint: "
        "Member must have value greater than or equal to 1",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_search_that_makes_no_sense_is_refused(tenants: Engine, case: str) -> None:
    index, members, text = REFUSALS[case]
    request = {"TableName": "docs", "IndexName": index, "SearchVector": vectors(1, 0, 0), "TopK": 1, **members}
    assert refusal(tenants, "SearchVectors", request) == text


def test_a_null_and_a_missing_member_are_reported_as_the_strict_reader_does(engine: Engine) -> None:
    valid: dict[str, Any] = {"TableName": "absent", "IndexName": "vix", "SearchVector": vectors(1), "TopK": 1}
    for name, kind in {"IndexName": "a string", "SearchVector": "a sequence", "TopK": "i32"}.items():
        text = refusal(engine, "SearchVectors", {**valid, name: None}, "SerializationException")
        assert text.startswith(f"invalid type: null, expected {kind} at line 1 column "), text
    nothing = refusal(engine, "SearchVectors", {**valid, "TableName": None}, "SerializationException")
    assert nothing == "invalid type: null, expected a string at line 1 column 17"
    del valid["TableName"]
    assert refusal(engine, "SearchVectors", valid).startswith("missing field `TableName` at line 1 column ")
    refusal(engine, "SearchVectors", {**valid, "TableName": "absent"}, "ResourceNotFoundException")


def test_query_scan_and_statements_do_not_read_a_vector_index(searched: Engine) -> None:
    no_scan = "Scan operation not supported on this index type"
    assert refusal(searched, "Scan", {"TableName": "docs", "IndexName": "cosine"}) == no_scan
    assert refusal(searched, "ExecuteStatement", {"Statement": 'SELECT * FROM "docs"."cosine"'}) == no_scan
    query = {
        "TableName": "docs",
        "IndexName": "cosine",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": "a"}},
    }
    assert refusal(searched, "Query", query) == "Query operation not supported on this index type"
    found = searched.execute("ExecuteStatement", {"Statement": "SELECT * FROM \"docs\" WHERE pk = 'a'"})["Items"]
    assert found[0]["embedding"] == numbers(1, 0, 0)


def test_a_search_reports_bytes_alone(searched: Engine) -> None:
    total = search(searched, "cosine", 1, 0, 0, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]
    assert total == {"VectorSearchRequestBytes": 48.0}
    assert search(searched, "cosine", 1, 0, 0, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"] == total
    assert "ConsumedCapacity" not in search(searched, "cosine", 1, 0, 0, ReturnConsumedCapacity="NONE")


def written(engine: Engine, detail: str = "INDEXES", **attributes: Any) -> dict[str, Any]:
    request = {"TableName": "docs", "Item": item(**attributes), "ReturnConsumedCapacity": detail}
    consumed: dict[str, Any] = engine.execute("PutItem", request)["ConsumedCapacity"]
    return consumed


def test_a_write_reports_the_bytes_of_each_changed_entry(engine: Engine) -> None:
    indexes = [
        vector_index("all"),
        vector_index("keys", Projection={"ProjectionType": "KEYS_ONLY"}),
        vector_index("six", VectorAttribute={"AttributeName": "sixdimvec"}, Dimensions=6),
    ]
    engine.execute("CreateTable", searchable("docs", indexes))
    blob = "x" * 1500
    first = written(engine, pk="3a", embedding=numbers(1, 0, 0), blob=blob)
    assert first["VectorIndexes"] == {
        "all": {"VectorWriteRequestBytes": float(len("pk3aembeddingblob") + 12 + 1500)},
        "keys": {"VectorWriteRequestBytes": 1024.0},
    }
    assert "VectorIndexes" not in written(engine, pk="3a", embedding=numbers(1, 0, 0), blob=blob)
    assert written(engine, pk="3a", embedding=numbers(1, 0, 0), blob="y")["VectorIndexes"].keys() == {"all"}
    six = written(engine, pk="6a", sixdimvec=numbers(1, 0, 0, 0, 1, 0), blob=blob)["VectorIndexes"]
    assert six["six"]["VectorWriteRequestBytes"] == first["VectorIndexes"]["all"]["VectorWriteRequestBytes"] + 12
    assert "VectorIndexes" not in written(engine, pk="plain", label="no-vector")
    assert written(engine, "TOTAL", pk="t", embedding=numbers(0, 0, 1)).keys() == {"TableName", "CapacityUnits"}


@pytest.mark.parametrize(("billed", "units"), [(1024, 1.0), (1025, 2.0)])
def test_a_vector_is_billed_by_its_dimensions_whatever_its_numbers(engine: Engine, billed: int, units: float) -> None:
    engine.execute("CreateTable", searchable("docs", [vector_index("vix")]))
    wide = {"L": [{"N": "12345678901234567890123456789012345678"}] * 3}
    pad = "x" * (billed - len("pka") - len("embedding") - 12 - len("pad"))
    assert written(engine, "TOTAL", pk="a", embedding=wide, pad=pad)["CapacityUnits"] == units


def test_boto3_searches_a_table() -> None:
    with InProcess() as isolated:
        isolated.client.create_table(**searchable("docs", [vector_index("vix")]))
        isolated.client.put_item(TableName="docs", Item=item(pk="a", embedding=numbers(1, 0, 0)))
        found = isolated.client.search_vectors(TableName="docs", IndexName="vix", SearchVector=vectors(1, 0, 0), TopK=1)
        assert found["SearchResults"] == [{"Item": item(pk="a"), "Score": 0.0}]


@given(
    st.lists(st.lists(st.integers(-9, 9), min_size=2, max_size=2), min_size=1, max_size=8),
    st.sampled_from(["COSINE", "EUCLIDEAN", "DOT_PRODUCT"]),
)
def test_a_search_finds_what_a_sort_of_all_scores_finds(stored: list[list[int]], function: str) -> None:
    engine = Engine.open(":memory:")
    engine.execute("CreateTable", searchable("docs", [vector_index("vix", Dimensions=2, DistanceFunction=function)]))
    for number, vector in enumerate(stored):
        put(engine, "docs", item(pk=str(number), embedding=numbers(*vector)))
    answer = search(engine, "vix", 3, 4, top=3)["SearchResults"]

    def score(vector: list[int]) -> float:
        product = 3 * vector[0] + 4 * vector[1]
        if function == "DOT_PRODUCT":
            return -product
        if function == "EUCLIDEAN":
            return math.dist((3, 4), vector)
        length = math.hypot(*vector) * 5
        return 1 - product / length if length else 1.0

    sign = -1 if function == "DOT_PRODUCT" else 1
    expected = sorted(map(score, stored))[:3]
    assert [sign * result["Score"] for result in answer] == pytest.approx(expected, abs=1e-6)
    engine.close()


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_text_of_a_number_names_it(number: float) -> None:
    assert array("f", [float(number_text(number))])[0] == number


def test_the_check_compares_the_entries(tmp_path: Path) -> None:
    store = str(tmp_path / "store.db")
    engine = Engine.open(store)
    engine.execute("CreateTable", searchable("docs", [vector_index("vix")]))
    put(engine, "docs", item(pk="a", embedding=numbers(1, 0, 0)), item(pk="b"))
    engine.close()
    assert list(check_store(store)) == []
    with apsw.Connection(store) as damaged:
        damaged.execute("DELETE FROM index_1_1")
    damaged.close()
    assert [problem.partition(":")[0] for problem in check_store(store)] == ["docs, index vix"]
