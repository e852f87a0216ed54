"""ExportTableToPointInTime, DescribeExport and ListExports.

An export is complete when the request is answered, although the answer says IN_PROGRESS as Amazon's does. The table
needs point-in-time recovery. The items are read from one snapshot, without the write lock, so that other processes can
write meanwhile; only the record of the export is written in a transaction. Source of the checks' order and texts:
published measurements of the service.
"""

from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

import orjson

from bursar.clock import iso_ms, iso_s
from bursar.dynamo.buckets.port import BucketDenied, NoSuchBucket
from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid_parameter, invalid_request
from bursar.dynamo.operations.backups.continuous_backups import latest_restorable, table_with_backups
from bursar.dynamo.operations.backups.export_filters import FILTER_SPECIFICATION, Filter, export_filter
from bursar.dynamo.operations.backups.restores import no_recovery
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
from bursar.dynamo.operations.control_plane.tables import new_table_id
from bursar.dynamo.operations.requests.common_members import STRING
from bursar.dynamo.operations.requests.shapes import IntegerShape, Request, StringShape, StructureShape
from bursar.dynamo.operations.requests.timestamps import TIMESTAMP
from bursar.dynamo.regions import ACCOUNT
from bursar.dynamo.storage.history import DAY_S, History, micros, recovery_of
from bursar.dynamo.storage.table import Table
from bursar.dynamo.storage.table_states import changes_between, items_at

if TYPE_CHECKING:
    from bursar.dynamo.buckets.export_files import ExportFiles

FULL, INCREMENTAL = "FULL_EXPORT", "INCREMENTAL_EXPORT"
BOTH_IMAGES = "NEW_AND_OLD_IMAGES"
INCREMENTAL_S_MIN = 15 * 60
INCREMENTAL_S_MAX = DAY_S
SUMMARY_VERSION = {FULL: "2020-06-30", INCREMENTAL: "2023-08-01"}

EXPORT_TABLE = Request(
    {
        "TableArn": StringShape(1, 1024),
        "ExportTime": TIMESTAMP,
        "ClientToken": CLIENT_TOKEN,
        "S3Bucket": BUCKET,
        "S3BucketOwner": BUCKET_OWNER,
        "S3Prefix": KEY_PREFIX,
        "S3SseAlgorithm": StringShape(choices=("AES256", "KMS")),
        "S3SseKmsKeyId": StringShape(1, 2048),
        "ExportFormat": StringShape(choices=("DYNAMODB_JSON", "ION")),
        "ExportType": StringShape(choices=(FULL, INCREMENTAL)),
        "IncrementalExportSpecification": StructureShape(
            {
                "ExportFromTime": TIMESTAMP,
                "ExportToTime": TIMESTAMP,
                "ExportViewType": StringShape(choices=("NEW_IMAGE", BOTH_IMAGES)),
            }
        ),
        "FilterSpecification": FILTER_SPECIFICATION,
    },
    ("TableArn", "S3Bucket"),
)
DESCRIBE_EXPORT = Request({"ExportArn": TRANSFER_ARN}, ("ExportArn",))
LIST_EXPORTS = Request({"TableArn": StringShape(1, 1024), "MaxResults": IntegerShape(1, PAGE_MAX), "NextToken": STRING})

_ECHOED = (
    "S3Bucket",
    "S3BucketOwner",
    "S3Prefix",
    "S3SseKmsKeyId",
    "ExportType",
    "FilterSpecification",
)


def export_table(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Write a table's items at an instant, or its changes between two, into a bucket."""
    table = _exported_table(core, request["TableArn"])
    _check_combinations(request)
    known = repeated(core, "export", request)
    if known is not None:
        return {"ExportDescription": known}
    times = _times(core, table, request)
    keep = export_filter(table, request.get("FilterSpecification"))
    buckets = buckets_of(core)
    now = core.clock()
    export_id = new_id(core, now)
    description: dict[str, Any] = {
        "ExportArn": f"{table.arn}/export/{export_id}",
        "ExportStatus": "IN_PROGRESS",
        "StartTime": round(now, 3),
        "TableArn": table.arn,
        "TableId": table.document["TableId"],
        "ClientToken": request.get("ClientToken") or new_table_id(core),
        "S3SseAlgorithm": request.get("S3SseAlgorithm") or "AES256",
        "ExportFormat": request.get("ExportFormat") or "DYNAMODB_JSON",
        **{member: request[member] for member in _ECHOED if request.get(member) is not None},
        **times,
    }
    from bursar.dynamo.buckets.export_files import ExportFiles  # imported here: not needed by a store without exports

    extension = "ion" if description["ExportFormat"] == "ION" else "json"
    files = ExportFiles(
        buckets, request["S3Bucket"], request.get("S3Prefix"), export_id, core.randomness, extension=extension
    )
    record = dict(description)
    try:
        buckets.check(request["S3Bucket"])
        with core.storage.scratch_on_disk(), core.storage.snapshot():
            record |= _written(core, table, files, record, keep)
    except (NoSuchBucket, BucketDenied) as error:
        record |= {"ExportStatus": "FAILED", **failure(error)}
    core.storage.begin()
    try:
        put_ended(core, description["ExportArn"], request, record)
        core.storage.commit()
    finally:
        core.storage.rollback()
    return {"ExportDescription": description}


def describe_export(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return an export."""
    return {"ExportDescription": found_transfer(core, "export", request["ExportArn"])}


def list_exports(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the exports of the last 90 days, newest first; with a TableArn, those of the present table."""
    records = core.transfers.all("export", core.clock())
    arn = request.get("TableArn")
    if arn is not None:
        table = core.find_table(arn)
        table_id = None if table is None else table.document["TableId"]
        records = [record for record in records if record["TableId"] == table_id]
    page, token = page_of(records, "export", request.get("NextToken"), request.get("MaxResults"))
    summaries = [
        {
            "ExportArn": record["ExportArn"],
            "ExportStatus": record["ExportStatus"],
            "ExportType": record.get("ExportType") or FULL,
        }
        for record in page
    ]
    return {"ExportSummaries": summaries, **({"NextToken": token} if token else {})}


# The request --------------------------------------------------------------------------------------------------


def _exported_table(core: Core, arn: str) -> Table:
    parts = arn.split(":")
    if len(parts) < 6 or parts[0] != "arn":
        raise invalid_parameter("tableArn is not a valid ARN")
    if parts[4] != ACCOUNT:
        raise DynamoError("AccessDeniedException", "Access is denied")
    if parts[5].count("/") != 1:
        raise invalid_request("Table ARN is invalid.")
    if not arn.startswith(core.storage.table_arn_prefix):
        raise DynamoError("TableNotFoundException", f"Table not found: {arn}")
    return table_with_backups(core, arn)


def _check_combinations(request: Mapping[str, Any]) -> None:
    if request.get("S3SseKmsKeyId") is not None and request.get("S3SseAlgorithm") != "KMS":
        raise invalid_request("KMS Key Id is not supported for this encryption type")
    check_ion("ExportFormat", request.get("ExportFormat"))
    specification, kind = request.get("IncrementalExportSpecification"), request.get("ExportType")
    if specification is not None and kind is None:
        raise invalid_request(
            "Export Type expected to be Incremental Export when incremental export specification is provided"
        )
    if specification is not None and kind == FULL:
        raise invalid_request(
            "When Export Type is Full Export , Incremental Export Specification should not be provided"
        )
    if kind == INCREMENTAL:
        if specification is None:
            raise invalid_request(
                "Incremental Export Specification expected when export type is set as Incremental Export"
            )
        if specification.get("ExportFromTime") is None:
            raise invalid_request("ExportFromTime must be provided in IncrementalExportSpecification")
        if request.get("ExportFormat") == "ION":
            raise invalid_request("ExportFormat ION is not available in this engine for incremental exports")


def _times(core: Core, table: Table, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of the description with the times of the export."""
    latest, recovery = core.clock(), recovery_of(table)
    if request.get("ExportType") == INCREMENTAL:
        specification = request["IncrementalExportSpecification"]
        start, end = specification["ExportFromTime"], specification.get("ExportToTime")
        _check_period(table, start, latest if end is None else end, latest)
        if recovery is None:
            raise no_recovery(table)
        if start < recovery.earliest(latest):
            raise _invalid_time("Point in Time Recovery is not available for specified export time")
        return {
            "IncrementalExportSpecification": {
                "ExportFromTime": start,
                "ExportToTime": latest if end is None else end,
                "ExportViewType": specification.get("ExportViewType") or BOTH_IMAGES,
            }
        }
    if recovery is None:
        raise no_recovery(table)
    instant_s = request.get("ExportTime")
    if instant_s is None:
        instant_s = latest_restorable(core, table)
    elif not recovery.earliest(latest) <= instant_s <= latest_restorable(core, table):
        raise _invalid_time("Export Time is invalid")
    return {"ExportTime": instant_s}


def _check_period(table: Table, start: float, end: float, now: float) -> None:
    if start < int(table.document["CreationDateTime"]):
        raise _invalid_time(
            f"Incremental export period from time cannot be less than the table creation time : {iso_s(start)}"
        )
    if end > now:
        raise _invalid_time(f"Incremental export period to time cannot be greater than the current time : {iso_s(end)}")
    difference = "Difference between export period from time and export period to time is"
    if end - start < INCREMENTAL_S_MIN:
        raise _invalid_time(f"{difference} less than 15 minutes")
    if end - start > INCREMENTAL_S_MAX:
        raise _invalid_time(f"{difference} greater than 24 hours")


def _invalid_time(message: str) -> DynamoError:
    return DynamoError("InvalidExportTimeException", message)


# The files ----------------------------------------------------------------------------------------------------


def _written(core: Core, table: Table, files: "ExportFiles", record: Mapping[str, Any], keep: Filter) -> dict[str, Any]:
    """Write the files of an export; return the members of a completed one."""
    measured = _Measured()
    specification = record.get("IncrementalExportSpecification")
    lines: Generator[bytes] = (
        _full_lines(core, table, record["ExportTime"], keep, measured)
        if specification is None
        else _incremental_lines(core, table, specification, keep, measured)
    )
    files.start()
    with closing(lines):  # its temporary tables must be gone before the snapshot ends
        count = files.write(_in_format(record["ExportFormat"], lines), incremental=specification is not None)
    completed = {
        "ExportStatus": "COMPLETED",
        "ExportManifest": files.manifest,
        "ItemCount": count,
        "BilledSizeBytes": measured.size_bytes,
    }
    files.finish(_summary(record, completed, files, core.clock()))
    return completed


def _in_format(form: str, lines: Iterable[bytes]) -> Iterable[bytes]:
    if form != "ION":
        return lines
    from bursar.dynamo.buckets.ion_lines import ion_line  # it belongs to an extra

    return map(ion_line, lines)


class _Measured:
    def __init__(self) -> None:
        self.size_bytes = 0


def _full_lines(core: Core, table: Table, instant_s: float, keep: Filter, measured: _Measured) -> Generator[bytes]:
    history = History(core.storage, table.id)
    for key, size, body in items_at(core.storage, table, history, micros(instant_s)):
        kept = keep(key, body)
        if kept is not None:
            measured.size_bytes += size
            yield b'{"Item":' + kept + b"}\n"


def _incremental_lines(
    core: Core, table: Table, specification: Mapping[str, Any], keep: Filter, measured: _Measured
) -> Generator[bytes]:
    """Yield the changes from the first time (included) to the second (excluded).

    An item that was created and deleted in between is left out.
    """
    history = History(core.storage, table.id)
    after, until = (micros(specification[member]) - 1 for member in ("ExportFromTime", "ExportToTime"))
    both = specification["ExportViewType"] == BOTH_IMAGES
    for key, at, old, new in changes_between(core.storage, table, history, after, until):
        some = new or old
        if some is None:
            continue
        kept_old, kept_new = (None if image is None else keep(key, image) for image in (old, new))
        if kept_old is None and kept_new is None:
            continue
        change: dict[str, Any] = {
            "Metadata": {"WriteTimestampMicros": {"N": str(at)}},
            "Keys": table.key_item(orjson.loads(some)),
        }
        if both and kept_old is not None:
            change["OldImage"] = orjson.Fragment(kept_old)
        if kept_new is not None:
            change["NewImage"] = orjson.Fragment(kept_new)
        line = orjson.dumps(change) + b"\n"
        measured.size_bytes += len(line)
        yield line


def _summary(
    record: Mapping[str, Any], completed: Mapping[str, Any], files: "ExportFiles", now: float
) -> dict[str, Any]:
    specification = record.get("IncrementalExportSpecification")
    times: dict[str, Any]
    if specification is None:
        kind, times = FULL, {"exportTime": iso_ms(record["ExportTime"])}
    else:
        kind = INCREMENTAL
        times = {
            "exportFromTime": iso_ms(specification["ExportFromTime"]),
            "exportToTime": iso_ms(specification["ExportToTime"]),
        }
    summary = {
        "version": SUMMARY_VERSION[kind],
        "exportArn": record["ExportArn"],
        "startTime": iso_ms(record["StartTime"]),
        "endTime": iso_ms(now),
        "tableArn": record["TableArn"],
        "tableId": record["TableId"],
        **times,
        "s3Bucket": record["S3Bucket"],
        "s3Prefix": record.get("S3Prefix"),
        "s3SseAlgorithm": record["S3SseAlgorithm"],
        "s3SseKmsKeyId": record.get("S3SseKmsKeyId"),
        "manifestFilesS3Key": files.files_manifest,
        "billedSizeBytes": completed["BilledSizeBytes"],
        "itemCount": completed["ItemCount"],
        "outputFormat": record["ExportFormat"],
    }
    if specification is not None:
        summary |= {"outputView": specification["ExportViewType"], "exportType": INCREMENTAL}
    return summary
