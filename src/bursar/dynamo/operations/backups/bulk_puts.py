"""StartBulkPutItems, and to describe, list and cancel bulk operations: the records of a bucket, put one by one.

Each line of an object is a record: the members of a PutItem that name an item and, if it has one, its condition. A bulk
operation is complete when the request is answered, although the answer says IN_PROGRESS as Amazon's does. So none can
be cancelled.

The output has up to two files of JSON lines; OutputType names those that are written. Amazon's documents do not show
their layout, so the engine has another one:

    AWSDynamoDB/<id>/errors.json                     {"S3Key", "Line", "Code", "Message", "Record"}
    AWSDynamoDB/<id>/condition-check-failures.json   {"S3Key", "Line", "Item", "ExistingItem"}
"""

import io
from collections.abc import Mapping
from contextlib import ExitStack, closing
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import orjson

from bursar.dynamo.buckets.port import BucketDenied, Buckets, NoSuchBucket
from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid, invalid_request
from bursar.dynamo.operations.backups.transfer_requests import (
    BUCKET,
    BUCKET_OWNER,
    BULK,
    CLIENT_TOKEN,
    KEY_PREFIX,
    PAGE_MAX,
    TRANSFER_ARN,
    answered,
    buckets_of,
    failure,
    new_id,
    page_of,
    put_ended,
    repeated,
)
from bursar.dynamo.operations.control_plane.tables import existing_table, new_table_id
from bursar.dynamo.operations.data_plane.items import PUT_ITEM, put_item
from bursar.dynamo.operations.requests.common_members import TABLE_NAME
from bursar.dynamo.operations.requests.shapes import IntegerShape, ListShape, Request, StringShape, StructureShape
from bursar.dynamo.storage.table import Table

ERROR, CONDITION_CHECK_FAILURE = "ERROR", "CONDITION_CHECK_FAILURE"
FILES = {ERROR: "errors.json", CONDITION_CHECK_FAILURE: "condition-check-failures.json"}
RECORD = frozenset({"Item", "ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"})
UNITS_MIN = 1024
REST_BYTES = 1 << 20
NO_SUCH = "Requested resource not found: Bulk operation"

BULK_PUT = Request(
    {
        "TableName": TABLE_NAME,
        "ClientToken": CLIENT_TOKEN,
        "InputS3Configuration": StructureShape(
            {
                "S3Bucket": BUCKET,
                "InputFormat": StringShape(choices=("DYNAMODB_JSON", "ION")),
                "InputCompressionType": StringShape(choices=("GZIP", "ZSTD", "NONE")),
                "S3BucketOwner": BUCKET_OWNER,
                "S3KeyPrefix": KEY_PREFIX,
            },
            ("S3Bucket", "InputFormat"),
        ),
        "OutputS3Configuration": StructureShape(
            {
                "S3Bucket": BUCKET,
                "S3BucketOwner": BUCKET_OWNER,
                "S3KeyPrefix": KEY_PREFIX,
                "S3SseAlgorithm": StringShape(choices=("AES256", "KMS")),
                "S3SseKmsKeyId": StringShape(1, 2048),
                "OutputType": ListShape(StringShape(choices=(ERROR, CONDITION_CHECK_FAILURE))),
            },
            ("OutputType",),
        ),
        "MaxWriteRequestUnits": IntegerShape(UNITS_MIN, java="Long"),
        "PerformanceTier": StringShape(choices=("STANDARD", "ACCELERATED")),
    },
    ("TableName", "InputS3Configuration", "OutputS3Configuration"),
)
BY_BULK_OPERATION = Request({"BulkOperationArn": TRANSFER_ARN}, ("BulkOperationArn",))
LIST_BULK_OPERATIONS = Request({"MaxResults": IntegerShape(1, PAGE_MAX), "NextToken": StringShape(1, 1024)})


def start_bulk_put_items(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Put the items of all objects under a key prefix into a table."""
    table = existing_table(core, request["TableName"])
    _check_options(request)
    known = repeated(core, BULK, request)
    if known is not None:
        return {"BulkOperationDescription": known}
    buckets, now = buckets_of(core), core.clock()
    operation_id = new_id(core, now)
    started: dict[str, Any] = {
        "BulkOperationArn": f"{core.storage.table_arn_prefix}{table.name}/{BULK}/{operation_id}",
        "BulkOperationStatus": "IN_PROGRESS",
        "TableDetails": [{"TableName": table.name, "TableId": table.document["TableId"]}],
        "ClientToken": request.get("ClientToken") or new_table_id(core),
        "InputS3Configuration": request["InputS3Configuration"],
        "OutputS3Configuration": request["OutputS3Configuration"],
        "StartTime": round(now, 3),
        "PerformanceTier": request.get("PerformanceTier") or "STANDARD",
    }
    if request.get("MaxWriteRequestUnits") is not None:
        started["MaxWriteRequestUnits"] = request["MaxWriteRequestUnits"]
    with _BulkPut(core, table, request) as bulk_put:
        record = {**started, **bulk_put.run(buckets, operation_id)}
    put_ended(core, started["BulkOperationArn"], request, record)
    return {"BulkOperationDescription": started}


def describe_bulk_operation(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a bulk operation."""
    return {"BulkOperationDescription": _found(core, request["BulkOperationArn"])}


def list_bulk_operations(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bulk operations of the last 90 days, newest first."""
    records = core.transfers.all(BULK, core.clock())
    page, token = page_of(records, BULK, request.get("NextToken"), request.get("MaxResults"))
    members = ("BulkOperationArn", "BulkOperationStatus", "StartTime", "EndTime")
    summaries = [{member: record[member] for member in members} for record in page]
    return {"BulkOperationsSummaryList": summaries, **({"NextToken": token} if token else {})}


def cancel_bulk_operation(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Raise ValidationException, because every bulk operation has already ended."""
    status = _found(core, request["BulkOperationArn"])["BulkOperationStatus"]
    raise invalid(f"Bulk operation {request['BulkOperationArn']} has ended: {status}")


def _found(core: Core, arn: str) -> dict[str, Any]:
    found = core.transfers.find(arn) if f"/{BULK}/" in arn else None
    if found is None:
        raise DynamoError("ResourceNotFoundException", f"{NO_SUCH}: {arn}")
    return answered(found)


def _check_options(request: Mapping[str, Any]) -> None:
    source, target = request["InputS3Configuration"], request["OutputS3Configuration"]
    if source["InputFormat"] == "ION":
        raise invalid_request("InputFormat ION is not available in this engine; DYNAMODB_JSON is")
    if source.get("InputCompressionType") == "ZSTD" and find_spec("zstandard") is None:
        raise invalid_request("InputCompressionType ZSTD needs the package zstandard in this engine")
    if target.get("S3Bucket") is None or not target["OutputType"]:
        raise invalid_request("OutputS3Configuration must have S3Bucket and OutputType")
    if target.get("S3SseKmsKeyId") is not None and target.get("S3SseAlgorithm") != "KMS":
        raise invalid_request("KMS Key Id is not supported for this encryption type")


class _BulkPut:
    """One bulk operation: it puts records, counts them, and writes the files of those that it could not put."""

    def __init__(self, core: Core, table: Table, request: Mapping[str, Any]) -> None:
        self._core = core
        self._table = table
        self._source = request["InputS3Configuration"]
        self._target = request["OutputS3Configuration"]
        self._resources = ExitStack()
        self._processed = self._failed = self._bytes = 0

    def __enter__(self) -> "_BulkPut":
        self._folder = Path(self._resources.enter_context(TemporaryDirectory()))
        self._files = {
            kind: self._resources.enter_context((self._folder / name).open("wb"))
            for kind, name in FILES.items()
            if kind in self._target["OutputType"]
        }
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def run(self, buckets: Buckets, operation_id: str) -> dict[str, Any]:
        """Put the records of all objects; return the members of the ended operation."""
        status = "FAILED"
        failed: dict[str, str] = {}
        bucket, output = self._source["S3Bucket"], self._target["S3Bucket"]
        try:
            buckets.check(bucket)
            buckets.check(output)
            for key in buckets.keys(bucket, self._source.get("S3KeyPrefix") or ""):
                with closing(buckets.read(bucket, key)) as raw:
                    self._put_object(key, _Counted(raw))
            self._write_output(buckets, output, operation_id)
            status = "COMPLETED_WITH_ERRORS" if self._failed else "COMPLETED"
        except (NoSuchBucket, BucketDenied) as error:
            failed = failure(error)
        counts = {"ProcessedItemCount": self._processed, "FailedItemCount": self._failed}
        sizes = dict.fromkeys(("ProcessedInputBytes", "TotalInputBytes"), self._bytes)
        return {"BulkOperationStatus": status, **failed, **counts, **sizes}

    def _put_object(self, key: str, raw: "_Counted") -> None:
        """Put the records of an object; a line that cannot be parsed ends it."""
        from bursar.dynamo.buckets.import_files import BadLine, json_records, opened

        try:
            content = opened(io.BufferedReader(raw), self._source.get("InputCompressionType") or "NONE")
            for number, _, record in json_records(content):
                self._processed += 1
                self._put({"S3Key": key, "Line": number}, record)
        except BadLine as error:
            self._processed += 1
            self._report_error({"S3Key": key}, invalid(str(error)), None)
        finally:
            self._bytes += raw.rest()

    def _put(self, place: Mapping[str, Any], record: dict[str, Any]) -> None:
        request = {**record, "TableName": self._table.name, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        try:
            if not record.keys() <= RECORD:
                raise invalid(f"A record must have only the members {', '.join(sorted(RECORD))}")
            PUT_ITEM.check(request, self._core.storage.differences)
            put_item(self._core, request)
        except DynamoError as error:
            if error.code != "ConditionalCheckFailedException":
                self._report_error(place, error, record)
                return
            existing = {} if error.item is None else {"ExistingItem": error.item}
            self._report(CONDITION_CHECK_FAILURE, {**place, "Item": record["Item"], **existing})

    def _report_error(self, place: Mapping[str, Any], error: DynamoError, record: Mapping[str, Any] | None) -> None:
        self._failed += 1
        line = {**place, "Code": error.code, "Message": error.message}
        self._report(ERROR, line if record is None else {**line, "Record": record})

    def _report(self, kind: str, line: Mapping[str, Any]) -> None:
        if kind in self._files:
            self._files[kind].write(orjson.dumps(line) + b"\n")

    def _write_output(self, buckets: Buckets, bucket: str, operation_id: str) -> None:
        prefix = self._target.get("S3KeyPrefix") or ""
        folder = f"{prefix}{'/' if prefix and not prefix.endswith('/') else ''}AWSDynamoDB/{operation_id}"
        for kind, file in self._files.items():
            file.close()
            buckets.put(bucket, f"{folder}/{FILES[kind]}", self._folder / FILES[kind])


class _Counted(io.RawIOBase):
    """An object of a bucket, with the bytes that were read of it."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._raw.read(len(buffer))
        buffer[: len(piece)] = piece
        self._bytes += len(piece)
        return len(piece)

    def rest(self) -> int:
        """Read the rest, and return the size of the object in bytes."""
        while self.read(REST_BYTES):
            pass
        return self._bytes
