"""ImportTable, DescribeImport and ListImports: a new table from files in a bucket.

An import is complete when the request is answered, although the answer says IN_PROGRESS as Amazon's does. Items that
are invalid are left out and counted, and the import is then FAILED although the table has the other items, as on
Amazon.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from importlib.util import find_spec
from typing import IO, Any

from bursar.dynamo.buckets.port import BucketDenied, Buckets, NoSuchBucket
from bursar.dynamo.core.catalogue import Core, check_size
from bursar.dynamo.errors import DynamoError, invalid_request
from bursar.dynamo.items.attribute_values import TOO_LARGE
from bursar.dynamo.items.fast_normalise import normalise_and_measure
from bursar.dynamo.operations.backups.transfer_requests import (
    BUCKET,
    BUCKET_OWNER,
    CLIENT_TOKEN,
    KEY_PREFIX,
    PAGE_MAX,
    TRANSFER_ARN,
    buckets_of,
    check_ion,
    failure,
    found_transfer,
    new_id,
    page_of,
    put_ended,
    repeated,
)
from bursar.dynamo.operations.control_plane.definitions import (
    BILLING,
    DEFINITIONS,
    ENCRYPTION,
    GLOBAL,
    GLOBAL_INDEX,
    KEY_SCHEMA,
    ON_DEMAND,
    THROUGHPUT,
)
from bursar.dynamo.operations.control_plane.tables import create_table, new_table_id
from bursar.dynamo.operations.control_plane.vector_definitions import VECTOR, VECTOR_INDEX
from bursar.dynamo.operations.requests.common_members import STRING, TableNameShape
from bursar.dynamo.operations.requests.shapes import IntegerShape, ListShape, Request, StringShape, StructureShape
from bursar.dynamo.regions import ACCOUNT
from bursar.dynamo.storage.table import ItemWrite, Table

FAILED_ITEMS = (
    "Some of the items failed validation checks and were not imported. Please check CloudWatch error logs for more "
    "details."
)
DELIMITER = StringShape(1, 1, re.compile(r"[,;:|\t ]"))
ERRORS_SHOWN_MAX = 5

IMPORT_TABLE = Request(
    {
        "ClientToken": CLIENT_TOKEN,
        "S3BucketSource": StructureShape(
            {"S3Bucket": BUCKET, "S3BucketOwner": BUCKET_OWNER, "S3KeyPrefix": KEY_PREFIX}, ("S3Bucket",)
        ),
        "InputFormat": StringShape(choices=("DYNAMODB_JSON", "ION", "CSV")),
        "InputFormatOptions": StructureShape(
            {
                "Csv": StructureShape(
                    {"Delimiter": DELIMITER, "HeaderList": ListShape(StringShape(1, 65536), fewest=1, most=255)}
                )
            }
        ),
        "InputCompressionType": StringShape(choices=("ZSTD", "NONE", "GZIP")),
        "TableCreationParameters": StructureShape(
            {
                "TableName": TableNameShape(shortest=3),
                "AttributeDefinitions": DEFINITIONS,
                "KeySchema": KEY_SCHEMA,
                "BillingMode": BILLING,
                "ProvisionedThroughput": THROUGHPUT,
                "OnDemandThroughput": ON_DEMAND,
                "SSESpecification": ENCRYPTION,
                GLOBAL: ListShape(GLOBAL_INDEX),
                VECTOR: ListShape(VECTOR_INDEX),
            },
            ("TableName", "AttributeDefinitions", "KeySchema"),
        ),
    },
    ("S3BucketSource", "InputFormat", "TableCreationParameters"),
)
DESCRIBE_IMPORT = Request({"ImportArn": TRANSFER_ARN}, ("ImportArn",))
LIST_IMPORTS = Request({"TableArn": StringShape(1, 1024), "PageSize": IntegerShape(1, PAGE_MAX), "NextToken": STRING})


def import_table(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Create a table, and put the items of all objects under a key prefix into it."""
    parameters = request["TableCreationParameters"]
    name = parameters["TableName"]
    _check_options(request)
    known = repeated(core, "import", request)
    if known is not None:
        return {"ImportTableDescription": known}
    if core.find_table(name) is not None:
        raise DynamoError("ResourceInUseException", f"Table already exists: {name}")
    buckets, now = buckets_of(core), core.clock()
    table_arn = core.storage.table_arn_prefix + name
    description: dict[str, Any] = {
        "ImportArn": f"{table_arn}/import/{new_id(core, now)}",
        "ImportStatus": "IN_PROGRESS",
        "TableArn": table_arn,
        "TableId": new_table_id(core),
        "ClientToken": request.get("ClientToken") or new_table_id(core),
        "S3BucketSource": {"S3BucketOwner": ACCOUNT, **request["S3BucketSource"]},
        "InputFormat": request["InputFormat"],
        "InputCompressionType": request.get("InputCompressionType") or "NONE",
        "TableCreationParameters": parameters,
        "StartTime": round(now, 3),
    }
    if request.get("InputFormatOptions") is not None:
        description["InputFormatOptions"] = request["InputFormatOptions"]
    record = dict(description)
    source = request["S3BucketSource"]
    try:
        buckets.check(source["S3Bucket"])
        keys = buckets.keys(source["S3Bucket"], source.get("S3KeyPrefix") or "")
        create_table(core, parameters)
        table = core.table(name)
        record["TableId"] = description["TableId"] = table.document["TableId"]
        tally = _Import(core, table, description)
        tally.run(buckets, source["S3Bucket"], keys)
        record |= tally.outcome()
    except (NoSuchBucket, BucketDenied) as error:
        counts = dict.fromkeys(("ErrorCount", "ProcessedSizeBytes", "ProcessedItemCount", "ImportedItemCount"), 0)
        record |= {"ImportStatus": "FAILED", **failure(error), **counts}
    put_ended(core, description["ImportArn"], request, record)
    return {"ImportTableDescription": description}


def describe_import(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return an import."""
    return {"ImportTableDescription": found_transfer(core, "import", request["ImportArn"])}


def list_imports(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the imports of the last 90 days, newest first."""
    arn = request.get("TableArn")
    records = [one for one in core.transfers.all("import", core.clock()) if arn is None or one["TableArn"] == arn]
    page, token = page_of(records, "import", request.get("NextToken"), request.get("PageSize"))
    members = ("ImportArn", "ImportStatus", "TableArn", "S3BucketSource", "InputFormat", "StartTime", "EndTime")
    summaries = [{member: record[member] for member in members} for record in page]
    return {"ImportSummaryList": summaries, **({"NextToken": token} if token else {})}


def _check_options(request: Mapping[str, Any]) -> None:
    form = request["InputFormat"]
    check_ion("InputFormat", form)
    if form != "CSV" and (request.get("InputFormatOptions") or {}).get("Csv") is not None:
        raise invalid_request(f"Unsupported InputFormatOptions for the given input format: {form}.")
    # Checked before anything is created.
    if request.get("InputCompressionType") == "ZSTD" and find_spec("zstandard") is None:
        raise invalid_request("InputCompressionType ZSTD needs the package zstandard in this engine")


class _Import:
    """One import: it puts items and counts them."""

    def __init__(self, core: Core, table: Table, description: Mapping[str, Any]) -> None:
        self._core = core
        self._table = table
        self._format = description["InputFormat"]
        self._compression = description["InputCompressionType"]
        options = (description.get("InputFormatOptions") or {}).get("Csv") or {}
        types = {
            one["AttributeName"]: one["AttributeType"]
            for one in description["TableCreationParameters"]["AttributeDefinitions"]
        }
        from bursar.dynamo.buckets.import_files import CsvForm  # imported here: not needed by a store without imports

        self._csv = CsvForm(options.get("Delimiter") or ",", options.get("HeaderList"), types)
        self._processed = self._imported = self._bytes = 0
        self._errors: list[str] = []
        self._error_count = 0

    def run(self, buckets: Buckets, bucket: str, keys: list[str]) -> None:
        """Import the objects one after the other."""
        from bursar.dynamo.buckets.import_files import BadLine

        for key in keys:
            with closing(buckets.read(bucket, key)) as raw:
                try:
                    for size, item in self._items(raw):
                        self._processed += 1
                        self._bytes += size
                        self._put(key, item)
                except BadLine as error:
                    self._processed += 1
                    self._fail(f"{key}: {error}")

    def outcome(self) -> dict[str, Any]:
        """Return the members of a finished import."""
        outcome: dict[str, Any] = {
            "ImportStatus": "COMPLETED",
            "ErrorCount": self._error_count,
            "ProcessedSizeBytes": self._bytes,
            "ProcessedItemCount": self._processed,
            "ImportedItemCount": self._imported,
        }
        if self._error_count:
            # There is no CloudWatch here: the first errors follow.
            message = f"{FAILED_ITEMS} {'; '.join(self._errors)}"
            outcome |= {
                "ImportStatus": "FAILED",
                "FailureCode": "ItemValidationError",
                "FailureMessage": message,
            }
        return outcome

    def _items(self, raw: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
        from bursar.dynamo.buckets.import_files import csv_items, json_items, opened

        content = opened(raw, self._compression)
        if self._format == "ION":
            from bursar.dynamo.buckets.ion_lines import ion_items  # it belongs to an extra

            return ion_items(content)
        return csv_items(content, self._csv) if self._format == "CSV" else json_items(content)

    def _put(self, key: str, attributes: dict[str, Any]) -> None:
        table = self._table
        try:
            item, size = normalise_and_measure(attributes)
            check_size(size, TOO_LARGE)
            encoded = table.key_of_item(item)
            table.check_index_keys(item)
        except DynamoError as error:
            self._fail(f"{key}: {error.message}")
            return
        self._core.apply([ItemWrite(table, encoded, table.rows.get(encoded), None, item, size)])
        self._imported += 1

    def _fail(self, message: str) -> None:
        self._error_count += 1
        if len(self._errors) < ERRORS_SHOWN_MAX:
            self._errors.append(message)
