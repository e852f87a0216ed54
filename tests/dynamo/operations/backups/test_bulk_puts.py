"""StartBulkPutItems and the operations on bulk operations: records, conditions, reports, tokens."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.buckets.buckets import FolderBuckets
from bursar.dynamo.storage.integrity_check import check_store
from tests.support.dynamo.arns import TABLE_ARN
from tests.support.dynamo.past import TABLE, held, indexed_table
from tests.support.dynamo.stream_readers import HandClock, opened
from tests.support.dynamo.tables import item, put, refusal

START = "StartBulkPutItems"
NEW = {"ConditionExpression": "attribute_not_exists(#k)", "ExpressionAttributeNames": {"#k": "pk"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of the buckets ``files`` and ``reports``."""
    for name in ("files", "reports"):
        (tmp_path / "s3" / name).mkdir(parents=True)
    return tmp_path / "s3"


@pytest.fixture
def stocked(tmp_path: Path, folder: Path) -> Engine:
    """Return an engine with the buckets and a table with indexes."""
    engine = opened(HandClock(), str(tmp_path / "store.db"))
    engine.set_buckets(FolderBuckets(folder))
    engine.execute("CreateTable", indexed_table(TABLE))
    return engine


def request_of(*kinds: str, **source: str) -> dict[str, Any]:
    return {
        "TableName": TABLE,
        "InputS3Configuration": {"S3Bucket": "files", "InputFormat": "DYNAMODB_JSON", **source},
        "OutputS3Configuration": {"S3Bucket": "reports", "OutputType": list(kinds) or ["ERROR"], "S3KeyPrefix": "out"},
    }


def lines(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def finished(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    """Start a bulk operation and return its description at its end."""
    started = engine.execute(START, request)["BulkOperationDescription"]
    assert started["BulkOperationStatus"] == "IN_PROGRESS"
    arn = {"BulkOperationArn": started["BulkOperationArn"]}
    ended: dict[str, Any] = engine.execute("DescribeBulkOperation", arn)["BulkOperationDescription"]
    assert {**ended, "BulkOperationStatus": "IN_PROGRESS"}.items() >= started.items()
    return ended


def counts(description: dict[str, Any]) -> tuple[str, int, int]:
    members = ("BulkOperationStatus", "ProcessedItemCount", "FailedItemCount")
    status, processed, failed = (description[member] for member in members)
    return status, processed, failed


def report(folder: Path, description: dict[str, Any], name: str) -> list[dict[str, Any]]:
    number = description["BulkOperationArn"].rpartition("/")[2]
    path = folder / "reports" / "out" / "AWSDynamoDB" / number / name
    return [json.loads(line) for line in path.read_bytes().splitlines()]


# Records ------------------------------------------------------------------------------------------------------


def test_the_items_of_all_objects_are_put_into_the_table_and_its_indexes(stocked: Engine, folder: Path) -> None:
    put(stocked, TABLE, item(pk="a", sk="1", state="old"), item(pk="c", sk="1"))
    first, second = item(pk="a", sk="1", state="x", n=1), item(pk="b", sk="1", n=1)
    objects = {"in-1.gz": gzip.compress(lines({"Item": first})), "in-2.gz": gzip.compress(lines({"Item": second}))}
    for name, content in {**objects, "other": b"not read"}.items():
        (folder / "files" / name).write_bytes(content)
    done = finished(stocked, request_of(S3KeyPrefix="in-", InputCompressionType="GZIP"))
    assert counts(done) == ("COMPLETED", 2, 0)
    assert done["ProcessedInputBytes"] == done["TotalInputBytes"] == sum(map(len, objects.values()))
    assert held(stocked) == {("a", "1"): first, ("b", "1"): second, ("c", "1"): item(pk="c", sk="1")}
    assert set(held(stocked, TABLE, "by-state")) == {("a", "1")}
    assert report(folder, done, "errors.json") == []
    stocked.close()
    assert check_store(str(folder.parent / "store.db")) == []


def test_a_false_condition_is_reported_with_both_items_and_is_no_failure(stocked: Engine, folder: Path) -> None:
    old, new, other = item(pk="a", sk="1", n=1), item(pk="a", sk="1", n=2), item(pk="b", sk="1")
    put(stocked, TABLE, old)
    (folder / "files" / "one").write_bytes(lines({"Item": new, **NEW}, {"Item": other, **NEW}))
    done = finished(stocked, request_of("ERROR", "CONDITION_CHECK_FAILURE"))
    assert counts(done) == ("COMPLETED", 2, 0)
    assert held(stocked) == {("a", "1"): old, ("b", "1"): other}
    failures = report(folder, done, "condition-check-failures.json")
    assert failures == [{"S3Key": "one", "Line": 1, "Item": new, "ExistingItem": old}]
    assert report(folder, done, "errors.json") == []


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"Item": item(pk="a")}, "One or more parameter values were invalid: Missing the key sk in the item"),
        ({"Item": {"pk": {"Q": "a"}}}, "Supplied AttributeValue is empty, must contain exactly one of the supported"),
        ({"Item": item(pk="a", sk="1"), "ConditionExpression": "pk ="}, "Invalid ConditionExpression: Syntax error"),
        ({"Item": item(pk="a", sk="1"), "Condition": "x"}, "A record must have only the members ConditionExpression,"),
        ({"Item": item(pk="a", sk="1", big="x" * 409_600)}, "Item size has exceeded the maximum allowed size"),
    ],
)
def test_a_record_that_cannot_be_put_is_reported_and_the_others_are_put(
    stocked: Engine, folder: Path, record: dict[str, Any], message: str
) -> None:
    good = item(pk="b", sk="1")
    (folder / "files" / "one").write_bytes(lines(record, {"Item": good}))
    done = finished(stocked, request_of())
    assert counts(done) == ("COMPLETED_WITH_ERRORS", 2, 1)
    assert held(stocked) == {("b", "1"): good}
    [line] = report(folder, done, "errors.json")
    assert (line["S3Key"], line["Line"], line["Code"], line["Record"]) == ("one", 1, "ValidationException", record)
    assert message in line["Message"]


def test_a_line_that_cannot_be_parsed_ends_its_object(stocked: Engine, folder: Path) -> None:
    one, two = item(pk="a", sk="1"), item(pk="b", sk="1")
    (folder / "files" / "1").write_bytes(lines({"Item": one}) + b"{\n" + lines({"Item": two}))
    (folder / "files" / "2").write_bytes(lines({"Item": two}))
    done = finished(stocked, request_of())
    assert counts(done) == ("COMPLETED_WITH_ERRORS", 3, 1)
    assert held(stocked) == {("a", "1"): one, ("b", "1"): two}
    [line] = report(folder, done, "errors.json")
    assert line["Message"].startswith("line 2: must be JSON")


def test_only_the_wanted_reports_are_written(stocked: Engine, folder: Path) -> None:
    (folder / "files" / "one").write_bytes(lines({"Item": item(pk="a")}))
    done = finished(stocked, request_of("CONDITION_CHECK_FAILURE"))
    assert counts(done) == ("COMPLETED_WITH_ERRORS", 1, 1)
    assert [path.name for path in (folder / "reports").rglob("*.json")] == ["condition-check-failures.json"]


# Operations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["InputS3Configuration", "OutputS3Configuration"])
def test_an_absent_bucket_fails_the_operation(stocked: Engine, side: str) -> None:
    request = request_of()
    request[side]["S3Bucket"] = "absent"
    done = finished(stocked, request)
    assert counts(done) == ("FAILED", 0, 0)
    assert done["FailureCode"] == "S3NoSuchBucket"


def test_a_client_token_starts_an_operation_once(stocked: Engine, folder: Path) -> None:
    (folder / "files" / "one").write_bytes(lines({"Item": item(pk="a", sk="1")}))
    first = finished(stocked, {**request_of(), "ClientToken": "one"})
    assert stocked.execute(START, {**request_of(), "ClientToken": "one"})["BulkOperationDescription"] == first
    other = {**request_of(S3KeyPrefix="x"), "ClientToken": "one"}
    message = refusal(stocked, START, other, "IdempotentParameterMismatchException")
    assert message == "Provided idempotent token has already been used with different request parameters."


def test_operations_are_described_listed_and_not_cancelled(stocked: Engine) -> None:
    assert stocked.execute("ListBulkOperations", {}) == {"BulkOperationsSummaryList": []}
    table = stocked.execute("DescribeTable", {"TableName": TABLE})["Table"]
    done = [finished(stocked, {**request_of(), "PerformanceTier": "ACCELERATED", "MaxWriteRequestUnits": 1024})]
    assert (done[0]["PerformanceTier"], done[0]["MaxWriteRequestUnits"]) == ("ACCELERATED", 1024)
    assert done[0]["TableDetails"] == [{"TableName": TABLE, "TableId": table["TableId"]}]
    done.append(finished(stocked, {**request_of(), "TableName": TABLE_ARN + TABLE}))
    assert done[1]["PerformanceTier"] == "STANDARD"
    page = stocked.execute("ListBulkOperations", {"MaxResults": 1})
    rest = stocked.execute("ListBulkOperations", {"NextToken": page["NextToken"]})
    members = ("BulkOperationArn", "BulkOperationStatus", "StartTime", "EndTime")
    listed = [{member: one[member] for member in members} for one in done]
    found = page["BulkOperationsSummaryList"] + rest["BulkOperationsSummaryList"]
    assert sorted(found, key=str) == sorted(listed, key=str)
    arn = done[0]["BulkOperationArn"]
    ended = refusal(stocked, "CancelBulkOperation", {"BulkOperationArn": arn})
    assert ended == f"Bulk operation {arn} has ended: COMPLETED"


@pytest.mark.parametrize("operation", ["DescribeBulkOperation", "CancelBulkOperation"])
def test_an_absent_operation_is_reported(stocked: Engine, operation: str) -> None:
    arn = f"{TABLE_ARN}orders/bulk-operation/01234567890123-abcdefab"
    message = refusal(stocked, operation, {"BulkOperationArn": arn}, "ResourceNotFoundException")
    assert message == f"Requested resource not found: Bulk operation: {arn}"


@pytest.mark.parametrize(
    ("side", "changes", "message"),
    [
        (
            "InputS3Configuration",
            {"InputFormat": "ION"},
            "Invalid Request: InputFormat ION is not available in this engine; DYNAMODB_JSON is",
        ),
        (
            "OutputS3Configuration",
            {"OutputType": []},
            "Invalid Request: OutputS3Configuration must have S3Bucket and OutputType",
        ),
        (
            "OutputS3Configuration",
            {"S3SseKmsKeyId": "key", "S3SseAlgorithm": "AES256"},
            "Invalid Request: KMS Key Id is not supported for this encryption type",
        ),
    ],
)
def test_a_request_that_cannot_be_served_is_refused(
    stocked: Engine, side: str, changes: dict[str, Any], message: str
) -> None:
    request = request_of()
    request[side] |= changes
    assert refusal(stocked, START, request) == message


def test_a_bulk_operation_needs_its_table_and_buckets(engine: Engine) -> None:
    message = refusal(engine, START, request_of(), "ResourceNotFoundException")
    assert message == f"Requested resource not found: Table: {TABLE} not found"
    engine.execute("CreateTable", indexed_table(TABLE))
    message = refusal(engine, START, request_of())
    assert message == "S3 is not available in this engine: start it with --s3-folder or --s3-endpoint"
