"""Kinesis streaming destinations: a table's changes go to a data stream of Kinesis.

An entry is a capture of the table's changes (:mod:`bursar.dynamo.storage.change_streams`); the process that delivers
them is :mod:`bursar.dynamo.tools.delivering.kinesis_destinations`. States of an entry:

    Enable ──► ENABLING ──► ACTIVE ◄──► (Update) ──► (Disable) DISABLED ──► forgotten after 24 hours
                  └──► ENABLE_FAILED ──► forgotten after 24 hours

The responses of Update and Disable report UPDATING and DISABLING, as Amazon's do; both are complete with the next
request. A table has at most one entry that is neither DISABLED nor ENABLE_FAILED. Sources: DynamoDB's API reference,
and the answers of Amazon that the ack-api-quirks project recorded in October 2026.
"""

from collections.abc import Mapping
from typing import Any

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid, invalid_request
from bursar.dynamo.operations.control_plane.tables import existing_table
from bursar.dynamo.operations.requests.common_members import TABLE_NAME
from bursar.dynamo.operations.requests.shapes import Request, StringShape, StructureShape
from bursar.dynamo.storage.change_streams import Stream
from bursar.dynamo.storage.table import Table

PRECISION = "ApproximateCreationDateTimePrecision"
MILLISECOND, MICROSECOND = "MILLISECOND", "MICROSECOND"
ENABLING, ACTIVE, DISABLED, ENABLE_FAILED = "ENABLING", "ACTIVE", "DISABLED", "ENABLE_FAILED"

_ON_ENABLE, _ON_UPDATE = "EnableKinesisStreamingConfiguration", "UpdateKinesisStreamingConfiguration"
_ARN = StringShape(37, 1024)
_PRECISION = StructureShape({PRECISION: StringShape(choices=(MILLISECOND, MICROSECOND))})
DESCRIBE_KINESIS = Request({"TableName": TABLE_NAME}, ("TableName",))
ENABLE_KINESIS = Request(
    {"TableName": TABLE_NAME, "StreamArn": _ARN, _ON_ENABLE: _PRECISION}, ("TableName", "StreamArn")
)
# Amazon answers a request to disable what is no ARN as one for an ARN that it does not know.
DISABLE_KINESIS = Request(
    {"TableName": TABLE_NAME, "StreamArn": StringShape(longest=1024), _ON_ENABLE: _PRECISION},
    ("TableName", "StreamArn"),
)
UPDATE_KINESIS = Request(
    {"TableName": TABLE_NAME, "StreamArn": _ARN, _ON_UPDATE: _PRECISION}, ("TableName", "StreamArn")
)


def describe_kinesis(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the destinations of a table, the newest first."""
    table = existing_table(core, request["TableName"])
    entries = [_described(capture) for capture in _entries(core, table).values()]
    return {"TableName": table.name, "KinesisDataStreamDestinations": entries}


def enable_kinesis(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Begin to capture a table's changes for a data stream. Its existence is checked later."""
    table, arn = existing_table(core, request["TableName"]), request["StreamArn"]
    if not core.has_kinesis:
        raise _invalid_state("Kinesis Data Streams is not available in this engine; DynamoDB Streams is")
    captures = [capture for capture in core.streams.captures() if capture.table_id == table.id]
    if any(capture.disabled_at is None for capture in captures):
        raise _invalid_state(
            "EnableKinesisStreamingDestination must be DISABLED or ENABLE_FAILED to perform ENABLE operation."
        )
    for capture in captures:
        if _destination(capture)["StreamArn"] == arn and not core.streams.captured(capture.id, 1):
            core.streams.remove(capture)
    configuration = {name: value for name, value in (request.get(_ON_ENABLE) or {}).items() if value is not None}
    core.storage.allow_destinations()
    core.streams.start_capture(table, {"StreamArn": arn, "Status": ENABLING, **configuration}, core.clock())
    core.changed()
    return _answer(table, arn, ENABLING) | {_ON_ENABLE: configuration}


def disable_kinesis(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """End a capture. Its records are still delivered."""
    table, arn = existing_table(core, request["TableName"]), request["StreamArn"]
    if request.get(_ON_ENABLE) is not None:
        raise invalid("Stream cannot be disabled using EnableKinesisStreamingConfiguration parameters")
    capture = _entries(core, table).get(arn)
    if capture is None or _destination(capture)["Status"] != ACTIVE:
        raise _invalid_state("KinesisStreamingDestination must be ACTIVE to perform DISABLE operation.")
    core.streams.stop(capture, core.clock(), Status=DISABLED)
    core.changed()
    return _answer(table, arn, "DISABLING")


def update_kinesis(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Change the precision of the times in the records that are sent from now on."""
    table, arn = existing_table(core, request["TableName"]), request["StreamArn"]
    precision = (request.get(_ON_UPDATE) or {}).get(PRECISION)
    if precision is None:
        raise invalid(
            f"Streaming destination cannot be updated with given parameters: {_ON_UPDATE} cannot be null or contain "
            "only null values"
        )
    capture = _entries(core, table).get(arn)
    if capture is None:
        raise _invalid_state(
            f"No streaming destination with streamArn: {arn} found for table with tableName: {table.name}"
        )
    destination = _destination(capture)
    if destination["Status"] != ACTIVE:
        raise _invalid_state(
            "Kinesis streaming is not in ACTIVE state. Updates are only allowed in ACTIVE state. "
            f"TableName: {table.name}, kdsArn: {arn}"
        )
    if destination.get(PRECISION, MILLISECOND) == precision:
        raise invalid_request(
            f"Precision is already set to the desired value of {precision} for tableId: "
            f"{table.document['TableId']}, kdsArn: {arn}"
        )
    core.streams.change_destination(capture, **{PRECISION: precision})
    core.changed()
    return _answer(table, arn, "UPDATING") | {_ON_UPDATE: {PRECISION: precision}}


def _entries(core: Core, table: Table) -> dict[str, Stream]:
    """Return a table's newest capture for each data stream, by its ARN, the newest first."""
    entries: dict[str, Stream] = {}
    for capture in reversed(core.streams.captures()):
        if capture.table_id == table.id:
            entries.setdefault(_destination(capture)["StreamArn"], capture)
    return entries


def _destination(capture: Stream) -> Mapping[str, Any]:
    return capture.destination or {}


def _described(capture: Stream) -> dict[str, Any]:
    destination = _destination(capture)
    entry = {"StreamArn": destination["StreamArn"], "DestinationStatus": destination["Status"]}
    if "StatusDescription" in destination:
        entry["DestinationStatusDescription"] = destination["StatusDescription"]
    if PRECISION in destination:
        entry[PRECISION] = destination[PRECISION]
    return entry


def _answer(table: Table, arn: str, status: str) -> dict[str, Any]:
    return {"TableName": table.name, "StreamArn": arn, "DestinationStatus": status}


def _invalid_state(detail: str) -> DynamoError:
    return invalid(f"Table is not in a valid state to enable Kinesis Streaming Destination: {detail}")
