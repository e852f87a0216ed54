"""Vector indexes of tables: definitions, lifecycle, and what copies of a table keep of them.

Source of texts: paritysuite/dynamodb-conformance (error-messages/vectorIndexes, vectorSearch/updateLifecycle).
"""

from typing import Any

import orjson
import pytest

from bursar.dynamo import Engine
from bursar.dynamo.tools.dump_and_load import dump, load
from tests.support.dynamo.tables import item, put, refusal
from tests.support.dynamo.vectors import numbers, searchable, vector_index, vectors

INVALID = "One or more parameter values were invalid: "
BY_TENANT = [{"AttributeName": "tenant", "SearchSchemaElementType": "HASH"}]
PLAIN = {name: value for name, value in searchable("docs", []).items() if name != "VectorIndexes"}


def described(engine: Engine, name: str = "docs") -> dict[str, Any]:
    found: dict[str, Any] = engine.execute("DescribeTable", {"TableName": name})["Table"]
    return found


def nearest(engine: Engine, name: str = "docs") -> list[str]:
    request = {"TableName": name, "IndexName": "vix", "SearchVector": vectors(1, 0, 0), "TopK": 5}
    return [result["Item"]["pk"]["S"] for result in engine.execute("SearchVectors", request)["SearchResults"]]


def changed(engine: Engine, *updates: dict[str, Any], **members: Any) -> dict[str, Any]:
    request = {"TableName": "docs", "VectorIndexUpdates": list(updates), **members}
    answer: dict[str, Any] = engine.execute("UpdateTable", request)["TableDescription"]
    return answer


def test_a_table_describes_its_vector_index(engine: Engine) -> None:
    index = vector_index(SearchSchema=BY_TENANT, Dimensions=4096)
    made = engine.execute("CreateTable", searchable("docs", [index], tenant="S"))["TableDescription"]
    arn = f"{made['TableArn']}/index/vix"
    counted = {"IndexArn": arn, "ItemCount": 0, "IndexSizeBytes": 0}
    assert made["VectorIndexes"] == [{**index, **counted, "IndexStatus": "CREATING"}]
    assert described(engine)["VectorIndexes"] == [{**index, **counted, "IndexStatus": "ACTIVE"}]


def test_a_vector_index_counts_its_items(engine: Engine) -> None:
    engine.execute("CreateTable", searchable("docs", [vector_index()]))
    put(engine, "docs", item(pk="a", embedding=numbers(1, 0, 0)), item(pk="b"))
    (index,) = described(engine)["VectorIndexes"]
    assert (index["ItemCount"], index["IndexSizeBytes"]) == (1, len("pkaembedding") + 12)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "provisioned": (
        {
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
            "VectorIndexes": [vector_index()],
        },
        f"{INVALID}Vector indexes are only supported for PAY_PER_REQUEST tables",
    ),
    "undefined": (
        {"VectorIndexes": [vector_index(SearchSchema=BY_TENANT)]},
        f"{INVALID}One element in SearchSchema is not defined in attribute definitions",
    ),
    "dimensions": (
        {"VectorIndexes": [vector_index(Dimensions=4097)]},
        f"{INVALID}Number of dimensions must be between 1 and 4096 inclusive.",
    ),
    "number": (
        {"VectorIndexes": [vector_index(f"vix-{number}") for number in range(6)]},
        f"{INVALID}VectorIndex count exceeds the per-table limit of 5",
    ),
    "conflict": (
        {"VectorIndexes": [vector_index(), vector_index("vix2", Dimensions=4)]},
        f"{INVALID}Conflicting attribute definition for 'embedding'. "
        "All VectorIndexes on the same vector attribute must use the same dimensions.",
    ),
    "name": (
        {"VectorIndexes": [vector_index(), vector_index()]},
        f"{INVALID}Duplicate index name: vix",
    ),
    "two hashes": (
        {
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "tenant")],
            "VectorIndexes": [vector_index(SearchSchema=[*BY_TENANT, *BY_TENANT])],
        },
        f"{INVALID}SearchSchema must not have more than one HASH element",
    ),
    "no dimensions": (
        {"VectorIndexes": [vector_index(Dimensions=0)]},
        "1 validation error detected: Value '0' at 'vectorIndexes.1.member.dimensions' failed to satisfy constraint: "
        "Member must have value greater than or equal to 1",
    ),
    "short name": (
        {"VectorIndexes": [vector_index("ab")]},
        "1 validation error detected: Value 'ab' at 'vectorIndexes.1.member.indexName' failed to satisfy constraint: "
        "Member must have length greater than or equal to 3",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_definition_that_makes_no_sense_is_refused(engine: Engine, case: str) -> None:
    members, text = REFUSED[case]
    assert refusal(engine, "CreateTable", {**PLAIN, **members}) == text


def test_an_index_is_added_to_a_table_with_items_and_removed(engine: Engine) -> None:
    engine.execute("CreateTable", PLAIN)
    put(engine, "docs", item(pk="a", embedding=numbers(1, 0, 0)), item(pk="b", embedding=numbers(0, 1, 0)))
    put(engine, "docs", item(pk="unfit", embedding=numbers(1)), item(pk="none"))
    made = changed(engine, {"Create": vector_index()})
    assert made["TableStatus"] == "UPDATING"
    assert (made["VectorIndexes"][0]["IndexStatus"], made["VectorIndexes"][0]["Backfilling"]) == ("CREATING", False)
    (index,) = described(engine)["VectorIndexes"]
    assert (index["IndexStatus"], index.get("Backfilling"), index["ItemCount"]) == ("ACTIVE", None, 2)
    assert nearest(engine) == ["a", "b"]
    changed(engine, {"Delete": {"IndexName": "vix"}})
    assert "VectorIndexes" not in described(engine)
    refused = {"TableName": "docs", "IndexName": "vix", "SearchVector": vectors(1), "TopK": 1}
    assert refusal(engine, "SearchVectors", refused) == "The table does not have the specified index: vix"
    put(engine, "docs", item(pk="c", embedding={"S": "now anything"}))


def test_a_search_schema_is_defined_in_the_update(engine: Engine) -> None:
    engine.execute("CreateTable", PLAIN)
    definitions = [{"AttributeName": "tenant", "AttributeType": "S"}]
    changed(engine, {"Create": vector_index(SearchSchema=BY_TENANT)}, AttributeDefinitions=definitions)
    assert [one["AttributeName"] for one in described(engine)["AttributeDefinitions"]] == ["tenant", "pk"]
    changed(engine, {"Delete": {"IndexName": "vix"}})
    assert [one["AttributeName"] for one in described(engine)["AttributeDefinitions"]] == ["pk"]


def test_one_index_is_changed_at_once(engine: Engine) -> None:
    engine.execute("CreateTable", searchable("docs", [vector_index()]))
    two = [{"Create": vector_index("vix2")}, {"Create": vector_index("vix3")}]
    text = refusal(engine, "UpdateTable", {"TableName": "docs", "VectorIndexUpdates": two}, "LimitExceededException")
    assert text == ("Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table")


UPDATES: dict[str, tuple[dict[str, Any], str, str]] = {
    "again": (
        {"VectorIndexUpdates": [{"Create": vector_index()}]},
        "ValidationException",
        "Attempting to create an index which already exists",
    ),
    "absent": (
        {"VectorIndexUpdates": [{"Delete": {"IndexName": "absent"}}]},
        "ResourceNotFoundException",
        "Requested resource not found: Index: absent of table: docs not found",
    ),
    "nothing": (
        {"VectorIndexUpdates": [{}]},
        "ValidationException",
        f"{INVALID}One of VectorIndexUpdate's Create or Delete must be specified, and only one",
    ),
    "other dimensions": (
        {"VectorIndexUpdates": [{"Create": vector_index("vix2", Dimensions=4)}]},
        "ValidationException",
        f"{INVALID}Conflicting attribute definition for 'embedding'. "
        "All VectorIndexes on the same vector attribute must use the same dimensions.",
    ),
    "provisioned": (
        {
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
        },
        "ValidationException",
        f"{INVALID}Vector indexes are only supported for PAY_PER_REQUEST tables",
    ),
}


@pytest.mark.parametrize("case", UPDATES)
def test_an_update_that_makes_no_sense_is_refused(engine: Engine, case: str) -> None:
    engine.execute("CreateTable", searchable("docs", [vector_index()]))
    members, code, text = UPDATES[case]
    assert refusal(engine, "UpdateTable", {"TableName": "docs", **members}, code) == text


def test_a_restored_and_a_loaded_table_have_the_index(engine: Engine) -> None:
    engine.execute(
        "CreateTable", searchable("docs", [vector_index(SearchSchema=BY_TENANT), vector_index("b-b")], tenant="S")
    )
    put(engine, "docs", item(pk="a", tenant="t", embedding=numbers(1, 0, 0)))
    backup = engine.execute("CreateBackup", {"TableName": "docs", "BackupName": "nightly"})["BackupDetails"][
        "BackupArn"
    ]
    features = engine.execute("DescribeBackup", {"BackupArn": backup})["BackupDescription"]["SourceTableFeatureDetails"]
    assert features["VectorIndexes"] == [vector_index(SearchSchema=BY_TENANT), vector_index("b-b")]
    engine.execute("RestoreTableFromBackup", {"BackupArn": backup, "TargetTableName": "copy"})
    copied = described(engine, "copy")
    assert [index["ItemCount"] for index in copied["VectorIndexes"]] == [1, 1]
    only = {"BackupArn": backup, "TargetTableName": "one", "VectorIndexOverride": [vector_index("vix")]}
    engine.execute("RestoreTableFromBackup", only)
    assert nearest(engine, "one") == ["a"]
    assert [one["AttributeName"] for one in described(engine, "one")["AttributeDefinitions"]] == ["pk"]
    other = {**only, "TargetTableName": "two", "VectorIndexOverride": [vector_index(Dimensions=4)]}
    assert "does not match a secondary index that existed" in refusal(engine, "RestoreTableFromBackup", other)
    loaded = Engine.open(":memory:")
    load(loaded.execute, dump(engine.execute, ["docs"], lambda _count: None), lambda _count: None)
    kept = ("VectorIndexes", "AttributeDefinitions")
    ours, theirs = ([orjson.dumps(described(each)[name]) for name in kept] for each in (loaded, engine))
    assert ours == theirs
    loaded.close()


def test_a_new_global_index_may_not_have_the_name_of_a_vector_index(engine: Engine) -> None:
    engine.execute("CreateTable", searchable("docs", [vector_index()]))
    created = {
        "IndexName": "vix",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    request = {
        "TableName": "docs",
        "AttributeDefinitions": PLAIN["AttributeDefinitions"],
        "GlobalSecondaryIndexUpdates": [{"Create": created}],
    }
    assert refusal(engine, "UpdateTable", request) == "Attempting to create an index which already exists"
