"""The answers in which the regions of Amazon's differ: one region of each side, and the table itself.

Source: paritysuite/dynamodb-conformance, registry/splits.json as of October 2026.
"""

from typing import Any

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.errors import ENVELOPE
from bursar.dynamo.regions import DIFFERENCES, RegionDifference, check_region, differences_of
from tests.support.dynamo.tables import item, refusal, table

KEY = item(pk="a")
ENUM = "failed to satisfy constraint: Member must satisfy enum value set: "
NO_NAME = "failed to satisfy constraint: Member must have length greater than or equal to 1"
RETURNED = f"Value 'INVALID' at 'returnValues' {ENUM}[ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW]"
CONSUMED = f"Value 'INVALID' at 'returnConsumedCapacity' {ENUM}[INDEXES, TOTAL, NONE]"
BEYOND = "The Segment parameter is zero-based and must be less than parameter TotalSegments"
NO_START = "The provided starting key is invalid"
NO_ATTRIBUTES = "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
AT_LEAST = "failed to satisfy constraint: Member must have value greater than or equal to"

CASES: dict[str, tuple[RegionDifference, str, dict[str, Any], str, str]] = {
    "put of no table": (
        RegionDifference.OLDER_WRITES,
        "PutItem",
        {"TableName": "", "Item": {}, "ReturnValues": "INVALID"},
        f"{ENVELOPE}Value at 'TableName' {NO_NAME}",
        f"2 validation errors detected: {RETURNED}; Value '' at 'tableName' {NO_NAME}",
    ),
    "enums of an update": (
        RegionDifference.OLDER_WRITES,
        "UpdateItem",
        {"TableName": "plain", "Key": KEY, "ReturnValues": "INVALID", "ReturnConsumedCapacity": "INVALID"},
        f"{ENVELOPE}Failed to satisfy constraint: Member must satisfy enum value set: "
        "[ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]",
        f"2 validation errors detected: {CONSUMED}; {RETURNED}",
    ),
    "number of a put": (
        RegionDifference.OLDER_WRITES,
        "PutItem",
        {"TableName": "plain", "Item": {**KEY, "n": {"N": ""}}},
        f"{ENVELOPE}The parameter cannot be converted to a numeric value: ",
        "The parameter cannot be converted to a numeric value",
    ),
    "number in a deleted key": (
        RegionDifference.OLDER_WRITES,
        "DeleteItem",
        {"TableName": "plain", "Key": {"pk": {"N": ""}}},
        f"{ENVELOPE}The parameter cannot be converted to a numeric value: ",
        "The parameter cannot be converted to a numeric value",
    ),
    "batch of no tables": (
        RegionDifference.OLDER_BATCH_GET,
        "BatchGetItem",
        {"RequestItems": {}},
        f"{ENVELOPE}Value at 'RequestItems' {NO_NAME}",
        "The requestItems parameter is required for BatchGetItem",
    ),
    "segment beyond the total": (
        RegionDifference.NEWER_SCAN,
        "Scan",
        {"TableName": "plain", "Segment": 5, "TotalSegments": 5},
        f"{BEYOND}: Segment: 5 is not less than TotalSegments: 5",
        BEYOND,
    ),
    "limit of a scan": (
        RegionDifference.NEWER_SCAN,
        "Scan",
        {"TableName": "plain", "Limit": 0},
        f"{ENVELOPE}Value '0' at 'limit' {AT_LEAST} 1",
        f"{ENVELOPE}Value at 'Limit' {AT_LEAST} 1",
    ),
    "negative segment": (
        RegionDifference.NEWER_SCAN,
        "Scan",
        {"TableName": "plain", "Segment": -1, "TotalSegments": 5},
        f"{ENVELOPE}Value '-1' at 'segment' {AT_LEAST} 0",
        f"{ENVELOPE}Value at 'Segment' {AT_LEAST} 0",
    ),
    "start of a scan": (
        RegionDifference.NEWER_SCAN,
        "Scan",
        {"TableName": "plain", "ExclusiveStartKey": item(other="a")},
        f"{NO_START}: The provided key element does not match the schema",
        NO_START,
    ),
    "no attributes of a scan": (
        RegionDifference.NEWER_SCAN,
        "Scan",
        {"TableName": "plain", "Select": "SPECIFIC_ATTRIBUTES"},
        NO_ATTRIBUTES,
        ENVELOPE + NO_ATTRIBUTES,
    ),
}
"""(difference, operation, request, us-east-1's text, the text of the regions with the difference)."""


def opened(region: str) -> Engine:
    engine = Engine.open(":memory:", region=region)
    engine.execute("CreateTable", table("plain", ("pk:S",)))
    return engine


@pytest.mark.parametrize("case", CASES)
def test_a_region_reports_a_fault_in_its_own_words(case: str) -> None:
    difference, operation, request, text, other = CASES[case]
    for region in sorted(DIFFERENCES[difference]):
        assert refusal(opened(region), operation, request) == other, region
    for region in ("us-east-1", "sa-east-1"):
        assert refusal(opened(region), operation, request) == text, region


@pytest.mark.parametrize("region", ["us-east-1", "eu-south-2"])
def test_a_correct_request_is_answered_in_each_region(region: str) -> None:
    engine = opened(region)
    engine.execute("PutItem", {"TableName": "plain", "Item": KEY, "ReturnValues": "ALL_OLD"})
    batch = {"RequestItems": {"plain": {"Keys": [KEY]}}}
    assert engine.execute("BatchGetItem", batch)["Responses"] == {"plain": [KEY]}
    assert engine.execute("Scan", {"TableName": "plain", "Limit": 1, "Segment": 0, "TotalSegments": 1})["Count"] == 1


@pytest.mark.parametrize(("region", "refuses"), [("us-east-1", True), ("me-central-1", False)])
def test_only_the_newer_layer_charges_an_update_for_its_clauses(region: str, refuses: bool) -> None:
    engine = opened(region)
    size = 400 * 1024 - len("pka") - len("blob")
    update = {
        "TableName": "plain",
        "Key": KEY,
        "UpdateExpression": "SET #blob = :blob",
        "ExpressionAttributeNames": {"#blob": "blob"},
        "ExpressionAttributeValues": {":blob": {"S": "x" * size}},
    }
    if refuses:
        assert refusal(engine, "UpdateItem", update) == "Item size to update has exceeded the maximum allowed size"
    else:
        engine.execute("UpdateItem", update)
        update["ExpressionAttributeValues"] = {":blob": {"S": "x" * (size + 1)}}
        assert refusal(engine, "UpdateItem", update) == "Item size to update has exceeded the maximum allowed size"


def test_the_table_of_differences_names_regions() -> None:
    for regions in DIFFERENCES.values():
        assert {check_region(region) for region in regions} == regions
    assert differences_of("us-east-1") == differences_of("xx-nowhere-9") == frozenset()
    assert differences_of("eu-west-2") == {RegionDifference.NEWER_SCAN}
