"""Scan: read all items of a table or an index, in the order of their encoded keys.

A parallel scan assigns each partition to one segment by a hash of its key, so every item is in exactly one segment,
also during writes. A segment passes the keys of the other segments in the key index, and reads none of their items.
"""

from collections.abc import Mapping
from typing import Any

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, enveloped, invalid
from bursar.dynamo.operations.data_plane import legacy_parameters
from bursar.dynamo.operations.data_plane.read_pages import (
    NO_ATTRIBUTES,
    READ_MEMBERS,
    ROWS_UNLIMITED,
    Reading,
    bound_filter,
    bound_projection,
    check_select,
    prepare_read,
    read_page,
)
from bursar.dynamo.operations.requests.expression_parameters import ExpressionParameters
from bursar.dynamo.operations.requests.shapes import IntegerShape, Request, Shape
from bursar.dynamo.regions import RegionDifference
from bursar.dynamo.storage.rows import Segment, Span
from bursar.dynamo.storage.segments import segment_of

_PARAMETERS = ExpressionParameters(
    ("ProjectionExpression", "FilterExpression"), ("AttributesToGet", "ScanFilter", "ConditionalOperator")
)
SEGMENTS_MAX = 1_000_000

_MEMBERS: dict[str, Shape] = {
    **READ_MEMBERS,
    "Limit": IntegerShape(1),
    "Segment": IntegerShape(0, SEGMENTS_MAX - 1),
    "TotalSegments": IntegerShape(1, SEGMENTS_MAX),
    "ScanFilter": legacy_parameters.CONDITIONS,
}
_NEWER_MEMBERS: dict[str, Shape] = {
    **_MEMBERS,
    "Limit": IntegerShape(1, label="Value at 'Limit'"),
    "Segment": IntegerShape(0, SEGMENTS_MAX - 1, label="Value at 'Segment'"),
}
SCAN = Request(
    _MEMBERS,
    required=("TableName",),
    elsewhere={RegionDifference.NEWER_SCAN: Request(_NEWER_MEMBERS, required=("TableName",))},
)

INVALID_START = "The provided starting key is invalid: The provided key element does not match the schema"
NEWER_INVALID_START = "The provided starting key is invalid"
BEYOND_TOTAL = "The Segment parameter is zero-based and must be less than parameter TotalSegments"


def scan(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return one page of the items of a table or an index."""
    newer = RegionDifference.NEWER_SCAN in core.storage.differences
    counted = _segment(request, newer=newer)
    binding = _PARAMETERS.binding(request)
    projection = condition = None
    if binding is not None:
        condition = bound_filter(request, binding, "ScanFilter")
        projection = bound_projection(request, binding)
        binding.check_all_used()
    try:
        check_select(request)
    except DynamoError as error:
        raise enveloped(error) if newer and error.message == NO_ATTRIBUTES else error from None
    read = prepare_read(core, request, condition, projection)
    read.check_projected()
    span = Span(b"", True, None)
    start = request.get("ExclusiveStartKey")
    if start is not None:
        _, index_key, table_key = read.position(start, invalid(NEWER_INVALID_START if newer else INVALID_START))
        span = Span(index_key + table_key, False, None)
    limit = request.get("Limit") or ROWS_UNLIMITED
    source = read.table.rows if read.index is None else read.index.entries
    if counted is None:
        rows = source.span(span, forward=True, limit=limit)
    else:
        segment = Segment(*counted, _partition_types(read))
        if start is not None and segment_of(span.low, segment.partition_types, segment.total) != segment.number:
            raise invalid(
                "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey "
                f"with correct Segment. TotalSegments: {segment.total} Segment: {segment.number}"
            )
        rows = source.segment(span, segment, limit=limit)
    return read_page(read, rows, request.get("Limit"), request)


def _partition_types(read: Reading) -> str:
    if read.index is None:
        return read.table.partition_type
    return "".join(kind for _, kind in read.index.key_types[: len(read.index.partition_names)])


def _segment(request: Mapping[str, Any], *, newer: bool) -> tuple[int, int] | None:
    """Return (segment, total segments), or None for a scan that is not parallel."""
    segment, total = request.get("Segment"), request.get("TotalSegments")
    if segment is None and total is None:
        return None
    if total is None:
        raise invalid(
            "The TotalSegments parameter is required but was not present in the request "
            "when Segment parameter is present"
        )
    if segment is None:
        raise invalid(
            "The Segment parameter is required but was not present in the request "
            "when parameter TotalSegments is present"
        )
    if segment >= total:
        detail = f": Segment: {segment} is not less than TotalSegments: {total}"
        raise invalid(BEYOND_TOTAL if newer else BEYOND_TOTAL + detail)
    return segment, total
