"""ExportTableToPointInTime, DescribeExport, ListExports: the files, as a plain reader finds them, and the refusals."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import DynamoError, Engine
from bursar.dynamo.buckets import export_files
from bursar.dynamo.buckets.buckets import FolderBuckets
from bursar.dynamo.storage.integrity_check import check_store
from tests.support.dynamo.arns import TABLE_ARN
from tests.support.dynamo.export_reader import export_lines, folder_reader
from tests.support.dynamo.past import TABLE, Held, Request, held, requests, states_at, with_past
from tests.support.dynamo.stream_readers import START, HandClock, opened
from tests.support.dynamo.tables import item, put, refusal, table
from tests.support.hypothesis_profiles import examples

EXPORT = "ExportTableToPointInTime"
FULL: dict[str, Any] = {"TableArn": TABLE_ARN + TABLE, "S3Bucket": "exports"}


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    folder = tmp_path / "s3" / "exports"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def stocked(clock: HandClock, bucket: Path) -> Engine:
    """Return an engine with a bucket and a table of two items that are one second old."""
    engine = with_past(clock)
    engine.set_buckets(FolderBuckets(bucket.parent))
    put(engine, TABLE, item(pk="a", sk="1", n=1), item(pk="b", sk="1", n=2))
    clock.now += 1
    return engine


def exported(engine: Engine, **request: Any) -> dict[str, Any]:
    """Export a table and return the description of the finished export."""
    answer = engine.execute(EXPORT, {**FULL, **request})["ExportDescription"]
    assert answer["ExportStatus"] == "IN_PROGRESS"
    described: dict[str, Any] = engine.execute("DescribeExport", {"ExportArn": answer["ExportArn"]})[
        "ExportDescription"
    ]
    assert {**described, "ExportStatus": "IN_PROGRESS"}.items() >= answer.items()
    return described


def test_an_export_in_ion_has_its_name_and_says_so(stocked: Engine, bucket: Path) -> None:
    done = exported(stocked, ExportFormat="ION")
    summary = json.loads((bucket / done["ExportManifest"]).read_bytes())
    (data,) = bucket.rglob("*.ion.gz")
    assert (done["ExportFormat"], summary["outputFormat"], done["ItemCount"]) == ("ION", "ION", 2)
    assert gzip.decompress(data.read_bytes()).splitlines()[0].startswith(b"$ion_1_0 {Item:{")


def items_of(bucket: Path, description: dict[str, Any]) -> Held:
    _, documents = export_lines(folder_reader(bucket), description["ExportManifest"])
    return {(one["Item"]["pk"]["S"], one["Item"]["sk"]["S"]): one["Item"] for one in documents}


def changes_of(bucket: Path, description: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    _, documents = export_lines(folder_reader(bucket), description["ExportManifest"])
    return {(one["Keys"]["pk"]["S"], one["Keys"]["sk"]["S"]): one for one in documents}


# Files --------------------------------------------------------------------------------------------------------


def test_an_export_has_amazons_layout(stocked: Engine, bucket: Path) -> None:
    done = exported(stocked, S3Prefix="nightly/orders")
    export_id = done["ExportArn"].rpartition("/")[2]
    folder = f"nightly/orders/AWSDynamoDB/{export_id}"
    assert done["ExportManifest"] == f"{folder}/manifest-summary.json"
    found = {path.relative_to(bucket).as_posix() for path in bucket.rglob("*") if path.is_file()}
    (data,) = (name for name in found if "/data/" in name)
    assert data.startswith(f"{folder}/data/")
    assert data.endswith(".json.gz")
    files = ("_started", "manifest-files.json", "manifest-files.md5", "manifest-summary.json", "manifest-summary.md5")
    assert found == {data, *(f"{folder}/{name}" for name in files)}
    summary, _ = export_lines(folder_reader(bucket), done["ExportManifest"])
    assert summary == {
        "version": "2020-06-30",
        "exportArn": done["ExportArn"],
        "startTime": "2027-01-15T08:00:01.000Z",
        "endTime": "2027-01-15T08:00:01.000Z",
        "tableArn": TABLE_ARN + TABLE,
        "tableId": done["TableId"],
        "exportTime": "2027-01-15T08:00:01.000Z",
        "s3Bucket": "exports",
        "s3Prefix": "nightly/orders",
        "s3SseAlgorithm": "AES256",
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": f"{folder}/manifest-files.json",
        "billedSizeBytes": 18,
        "itemCount": 2,
        "outputFormat": "DYNAMODB_JSON",
    }


@pytest.mark.parametrize(("prefix", "root"), [(None, ""), ("", ""), ("foo", "foo/"), ("foo/", "foo/"), ("a/b", "a/b/")])
def test_a_prefix_is_joined_with_a_slash(stocked: Engine, prefix: str | None, root: str) -> None:
    done = exported(stocked, **({} if prefix is None else {"S3Prefix": prefix}))
    assert done["ExportManifest"].startswith(f"{root}AWSDynamoDB/0")


def test_items_are_divided_among_files(stocked: Engine, bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_files, "LINES_PER_FILE", 2)
    for number in range(2, 6):
        put(stocked, TABLE, item(pk="a", sk=str(number)))
    done = exported(stocked)
    assert items_of(bucket, done) == held(stocked)
    assert len(list(bucket.rglob("*.json.gz"))) == 3


def test_an_empty_table_has_one_empty_file(stocked: Engine, bucket: Path) -> None:
    for key in held(stocked):
        stocked.execute("DeleteItem", {"TableName": TABLE, "Key": item(pk=key[0], sk=key[1])})
    done = exported(stocked)
    assert (done["ItemCount"], items_of(bucket, done)) == (0, {})


TURNS = st.lists(
    st.tuples(st.sampled_from((0.25, 1.0, 3600.0)), st.lists(requests, min_size=1, max_size=3)), max_size=6
)


@examples(40)
@given(turns=TURNS)
def test_an_export_is_the_model_at_that_instant(
    tmp_path_factory: pytest.TempPathFactory, turns: list[tuple[float, list[Request]]]
) -> None:
    root = tmp_path_factory.mktemp("s3")
    bucket = root / "exports"
    bucket.mkdir()
    clock = HandClock()
    engine = with_past(clock)
    engine.set_buckets(FolderBuckets(root))
    states: list[tuple[float, Held]] = [(START, {})]
    for step, some in turns:
        clock.now += step
        for operation, request in some:
            try:
                engine.execute(operation, request)
            except DynamoError:
                continue
            states.append((clock.now, held(engine)))
    clock.now += 1
    expected = list(states_at(states))
    for instant, state in expected:
        assert items_of(bucket, exported(engine, ExportTime=instant)) == state
    clock.now = max(clock.now, START + 900)
    end = min(clock.now, START + 86_400)
    done = exported(
        engine,
        ExportType="INCREMENTAL_EXPORT",
        IncrementalExportSpecification={"ExportFromTime": START, "ExportToTime": end},
    )
    changes = changes_of(bucket, done)
    until = next(state for instant, state in reversed(states) if instant < end)
    # Applying the changes to the table as it was gives the table as it became.
    assert {key: change["NewImage"] for key, change in changes.items() if "NewImage" in change} == until
    assert all("OldImage" not in change or "NewImage" in change for change in changes.values())
    engine.close()


def test_an_incremental_export_tells_inserts_updates_and_deletes_apart(
    stocked: Engine, clock: HandClock, bucket: Path
) -> None:
    put(stocked, TABLE, item(pk="a", sk="1", n=10), item(pk="brief", sk="1"), item(pk="c", sk="1"))
    clock.now += 1
    put(stocked, TABLE, item(pk="a", sk="1", n=11))
    for pk in ("b", "brief"):
        stocked.execute("DeleteItem", {"TableName": TABLE, "Key": item(pk=pk, sk="1")})
    clock.now += 900
    put(stocked, TABLE, item(pk="a", sk="1", n=99), item(pk="late", sk="1"))
    period = {"ExportFromTime": START + 1, "ExportToTime": START + 901}
    done = exported(stocked, ExportType="INCREMENTAL_EXPORT", IncrementalExportSpecification=period)
    assert done["IncrementalExportSpecification"] == {**period, "ExportViewType": "NEW_AND_OLD_IMAGES"}

    def stamped(at: float, pk: str) -> dict[str, Any]:
        return {
            "Metadata": {"WriteTimestampMicros": {"N": str(round(at * 1_000_000))}},
            "Keys": item(pk=pk, sk="1"),
        }

    changes = changes_of(bucket, done)
    assert changes == {
        ("a", "1"): {
            **stamped(START + 2, "a"),
            "OldImage": item(pk="a", sk="1", n=1),
            "NewImage": item(pk="a", sk="1", n=11),
        },
        ("b", "1"): {**stamped(START + 2, "b"), "OldImage": item(pk="b", sk="1", n=2)},
        ("c", "1"): {**stamped(START + 1, "c"), "NewImage": item(pk="c", sk="1")},
    }
    summary, _ = export_lines(folder_reader(bucket), done["ExportManifest"])
    assert summary["version"] == "2023-08-01"
    assert summary["exportType"] == "INCREMENTAL_EXPORT"
    assert summary["outputView"] == "NEW_AND_OLD_IMAGES"
    assert (summary["exportFromTime"], summary["exportToTime"]) == (
        "2027-01-15T08:00:01.000Z",
        "2027-01-15T08:15:01.000Z",
    )
    assert [path.parent.relative_to(bucket).as_posix() for path in bucket.rglob("*.json.gz")] == ["AWSDynamoDB/data"]
    new = exported(
        stocked,
        ExportType="INCREMENTAL_EXPORT",
        IncrementalExportSpecification={**period, "ExportViewType": "NEW_IMAGE"},
    )
    assert changes_of(bucket, new) == {
        key: {name: part for name, part in change.items() if name != "OldImage"} for key, change in changes.items()
    }


def test_a_filter_limits_what_is_exported(stocked: Engine, bucket: Path) -> None:
    put(stocked, TABLE, item(pk="a", sk="2", n=5), item(pk="a", sk="3", n=7))
    values = {":pk": {"S": "a"}, ":sk": {"S": "2"}, ":n": {"N": "5"}}
    done = exported(
        stocked,
        FilterSpecification={
            "KeyConditionExpression": "pk = :pk AND sk >= :sk",
            "FilterExpression": "#n > :n",
            "ProjectionExpression": "pk, sk",
            "ExpressionAttributeNames": {"#n": "n"},
            "ExpressionAttributeValues": values,
        },
    )
    assert items_of(bucket, done) == {("a", "3"): item(pk="a", sk="3")}
    everything = exported(stocked, FilterSpecification={"FilterExpression": "attribute_exists(pk)"})
    assert everything["ItemCount"] == 4
    assert everything["FilterSpecification"] == {"FilterExpression": "attribute_exists(pk)"}


# Requests -----------------------------------------------------------------------------------------------------


def test_a_client_token_makes_a_request_once(stocked: Engine, clock: HandClock) -> None:
    first = exported(stocked, ClientToken="one")
    assert first["ClientToken"] == "one"
    again = stocked.execute(EXPORT, {**FULL, "ClientToken": "one"})["ExportDescription"]
    assert again == first
    message = refusal(stocked, EXPORT, {**FULL, "ClientToken": "one", "S3Prefix": "p"}, "ExportConflictException")
    assert message == "Export conflict: Duplicate request detected with conflicting parameters"
    clock.now += 8 * 3600
    assert exported(stocked, ClientToken="one")["ExportArn"] != first["ExportArn"]
    assert exported(stocked)["ExportArn"] != exported(stocked)["ExportArn"]


def test_a_missing_bucket_fails_the_export(stocked: Engine) -> None:
    failed = exported(stocked, S3Bucket="absent")
    assert (failed["ExportStatus"], failed["FailureCode"]) == ("FAILED", "S3NoSuchBucket")
    assert failed["FailureMessage"].startswith("The specified bucket does not exist")
    assert "ExportManifest" not in failed


def test_a_key_that_leads_out_of_the_bucket_fails_the_export(stocked: Engine, bucket: Path) -> None:
    failed = exported(stocked, S3Prefix="../../outside")
    assert (failed["ExportStatus"], failed["FailureCode"]) == ("FAILED", "S3AccessDenied")
    assert {path.name for path in bucket.parent.parent.iterdir()} == {"s3"}
    assert exported(stocked, S3Prefix="nul\0l")["FailureMessage"] == "Access Denied: the key has a null character"
    (bucket / "way-out").symlink_to(bucket.parent.parent)
    assert exported(stocked, S3Prefix="way-out")["FailureCode"] == "S3AccessDenied"


def test_another_process_writes_while_a_table_is_exported(tmp_path: Path, clock: HandClock, bucket: Path) -> None:
    path = str(tmp_path / "store.db")
    with_past(clock, path).close()
    later = HandClock()
    later.now += 10
    other = opened(later, path)

    class WritingBuckets(FolderBuckets):
        def put(self, bucket: str, key: str, content: Path) -> Any:
            put(other, TABLE, item(pk="meanwhile", sk=key[-40:]))
            return super().put(bucket, key, content)

    engine = opened(clock, path)
    engine.set_buckets(WritingBuckets(bucket.parent))
    clock.now += 1
    put(engine, TABLE, item(pk="a", sk="1"))
    clock.now += 1
    for request in ({}, {"ExportTime": START}):
        before = held(engine)
        done = exported(engine, **request)
        assert items_of(bucket, done) == ({} if request else before)
    assert len(held(engine)) > 5
    other.close()
    engine.close()
    assert check_store(path) == []


def test_a_failure_while_files_are_written_leaves_no_scratch_table(tmp_path: Path, clock: HandClock) -> None:
    (tmp_path / "s3" / "exports").mkdir(parents=True)

    class FullBuckets(FolderBuckets):
        def put(self, bucket: str, key: str, content: Path) -> Any:
            if "/data/" in key:
                raise OSError(28, "No space left on device")
            return super().put(bucket, key, content)

    path = str(tmp_path / "store.db")
    engine = with_past(clock, path)
    engine.set_buckets(FullBuckets(tmp_path / "s3"))
    put(engine, TABLE, item(pk="a", sk="1"))
    clock.now += 900
    put(engine, TABLE, item(pk="a", sk="1", n=1))
    for request in (
        {"ExportTime": START + 1},
        {"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": {"ExportFromTime": START}},
    ):
        with pytest.raises(OSError, match="No space"):
            engine.execute(EXPORT, {**FULL, **request})
    put(engine, TABLE, item(pk="a", sk="2"))
    engine.close()
    assert check_store(path) == []


def test_exports_are_listed_newest_first_in_pages_and_by_table(stocked: Engine, clock: HandClock) -> None:
    arns = []
    for _ in range(12):
        arns.append(exported(stocked)["ExportArn"])
        clock.now += 1
    first = stocked.execute("ListExports", {})
    assert [one["ExportArn"] for one in first["ExportSummaries"]] == arns[:1:-1]
    assert first["ExportSummaries"][0] == {
        "ExportArn": arns[-1],
        "ExportStatus": "COMPLETED",
        "ExportType": "FULL_EXPORT",
    }
    rest = stocked.execute("ListExports", {"NextToken": first["NextToken"], "MaxResults": 25})
    assert [one["ExportArn"] for one in rest["ExportSummaries"]] == arns[1::-1]
    assert "NextToken" not in rest
    assert (
        len(stocked.execute("ListExports", {"TableArn": FULL["TableArn"], "MaxResults": 25})["ExportSummaries"]) == 12
    )
    message = refusal(stocked, "ListExports", {"NextToken": "c3eb5d"})
    assert message == "Invalid Request: Provided nextToken is invalid: c3eb5d"
    stocked.execute("DeleteTable", {"TableName": TABLE})
    assert stocked.execute("ListExports", {"TableArn": FULL["TableArn"]}) == {"ExportSummaries": []}
    assert stocked.execute("DescribeExport", {"ExportArn": arns[0]})["ExportDescription"]["ItemCount"] == 2
    clock.now += 91 * 86_400
    assert stocked.execute("ListExports", {}) == {"ExportSummaries": []}


EARLY = "Incremental export period from time cannot be less than the table creation time : 2027-01-15T07:59:00Z"
PERIOD = "Difference between export period from time and export period to time is less than 15 minutes"


def incremental(**specification: Any) -> dict[str, Any]:
    return {"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": specification}


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        (
            {"TableArn": "orders"},
            "ValidationException",
            "One or more parameter values were invalid: tableArn is not a valid ARN",
        ),
        ({"TableArn": TABLE_ARN + "absent"}, "TableNotFoundException", f"Table not found: {TABLE_ARN}absent"),
        (
            {"TableArn": (TABLE_ARN + TABLE).replace("000000000000", "111111111111")},
            "AccessDeniedException",
            "Access is denied",
        ),
        (
            {"TableArn": f"{TABLE_ARN}{TABLE}/index/by-state"},
            "ValidationException",
            "Invalid Request: Table ARN is invalid.",
        ),
        ({"ExportTime": START + 2}, "InvalidExportTimeException", "Export Time is invalid"),
        ({"ExportTime": START - 1}, "InvalidExportTimeException", "Export Time is invalid"),
        (
            {"S3SseKmsKeyId": "alias/aws/s3"},
            "ValidationException",
            "Invalid Request: KMS Key Id is not supported for this encryption type",
        ),
        (
            {
                "ExportFormat": "ION",
                "ExportType": "INCREMENTAL_EXPORT",
                "IncrementalExportSpecification": {"ExportFromTime": START},
            },
            "ValidationException",
            "Invalid Request: ExportFormat ION is not available in this engine for incremental exports",
        ),
        (
            {"IncrementalExportSpecification": {}},
            "ValidationException",
            "Invalid Request: Export Type expected to be Incremental Export when incremental export specification is "
            "provided",
        ),
        (
            {"ExportType": "FULL_EXPORT", "IncrementalExportSpecification": {}},
            "ValidationException",
            "Invalid Request: When Export Type is Full Export , Incremental Export Specification should not be "
            "provided",
        ),
        (
            {"ExportType": "INCREMENTAL_EXPORT"},
            "ValidationException",
            "Invalid Request: Incremental Export Specification expected when export type is set as Incremental Export",
        ),
        (
            incremental(ExportToTime=START),
            "ValidationException",
            "Invalid Request: ExportFromTime must be provided in IncrementalExportSpecification",
        ),
        (incremental(ExportFromTime=START - 60), "InvalidExportTimeException", EARLY),
        (incremental(ExportFromTime=START), "InvalidExportTimeException", PERIOD),
        (
            incremental(ExportFromTime=START, ExportToTime=START + 3600),
            "InvalidExportTimeException",
            "Incremental export period to time cannot be greater than the current time : 2027-01-15T09:00:00Z",
        ),
        (
            {"FilterSpecification": {}},
            "ValidationException",
            "Invalid Request: Invalid FilterSpecification: The specification can not be empty",
        ),
        (
            {
                "FilterSpecification": {
                    "KeyConditionExpression": "pk = :a",
                    "FilterExpression": "sk = :a",
                    "ExpressionAttributeValues": {":a": {"S": "a"}},
                }
            },
            "ValidationException",
            "Invalid Request: Invalid FilterSpecification: Filter Expression can only contain non-primary key "
            "attributes: Primary key attribute: sk",
        ),
    ],
)
def test_a_request_that_amazon_refuses(stocked: Engine, changes: dict[str, Any], code: str, message: str) -> None:
    assert refusal(stocked, EXPORT, {**FULL, **changes}, code) == message
    assert stocked.execute("ListExports", {}) == {"ExportSummaries": []}


def test_an_export_needs_recovery_before_it_needs_a_bucket(engine: Engine) -> None:
    engine.execute("CreateTable", table())
    message = refusal(engine, EXPORT, FULL, "PointInTimeRecoveryUnavailableException")
    assert message == "Point in time recovery is not enabled for table 'orders'"
    engine.execute(
        "UpdateContinuousBackups",
        {"TableName": TABLE, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}},
    )
    message = refusal(engine, EXPORT, FULL)
    assert message == "S3 is not available in this engine: start it with --s3-folder or --s3-endpoint"


@pytest.mark.parametrize(
    ("arn", "code", "message"),
    [
        (TABLE_ARN + TABLE, "ValidationException", "Invalid Export ARN"),
        (f"{TABLE_ARN}orders/import/01800000000000-00000000", "ValidationException", "Invalid Export ARN"),
        (
            f"{TABLE_ARN}orders/export/0",
            "ExportNotFoundException",
            f"Export not found: Export not found: {TABLE_ARN}orders/export/0",
        ),
        (
            f"{TABLE_ARN}orders/export/0".replace("us-east-1", "eu-west-1"),
            "ExportNotFoundException",
            "Export not found: Invalid export arn",
        ),
        (
            f"{TABLE_ARN}orders/export/0".replace("000000000000", "111111111111"),
            "AccessDeniedException",
            "Access is denied",
        ),
    ],
)
def test_an_absent_export_is_reported(stocked: Engine, arn: str, code: str, message: str) -> None:
    assert refusal(stocked, "DescribeExport", {"ExportArn": arn}, code) == message
