"""Scan: read all items of a table or an index, in the order of their encoded keys.

A parallel scan assigns each partition to one segment by a hash of its key, so every item is in exactly one segment,
also during writes. A segment reads only the keys of the other segments, which are in the key index.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zlib import crc32

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, enveloped, invalid
from bursar.dynamo.items.key_encoding import END
from bursar.dynamo.operations.data_plane import legacy_parameters
from bursar.dynamo.operations.data_plane.read_pages import (
    NO_ATTRIBUTES,
    READ_MEMBERS,
    ROWS_UNLIMITED,
    Reading,
    Rows,
    bound_filter,
    bound_projection,
    check_select,
    prepare_read,
    read_page,
)
from bursar.dynamo.operations.requests.expression_parameters import ExpressionParameters
from bursar.dynamo.operations.requests.shapes import IntegerShape, Request, Shape
from bursar.dynamo.regions import RegionDifference
from bursar.dynamo.storage.rows import Span

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
    segment = _segment(request, newer=newer)
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
        partition = _partition(span.low, _partition_types(read))
        if segment is not None and crc32(partition) % segment[1] != segment[0]:
            raise invalid(
                "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey "
                f"with correct Segment. TotalSegments: {segment[1]} Segment: {segment[0]}"
            )
    limit = request.get("Limit")
    source = read.table.rows if read.index is None else read.index.entries
    if segment is None:
        rows: Rows = source.span(span, forward=True, limit=limit or ROWS_UNLIMITED)
    else:
        rows = _of_segment(read, span, segment, limit)
    return read_page(read, rows, limit, request)


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


def _of_segment(read: Reading, span: Span, segment: tuple[int, int], limit: int | None) -> Rows:
    """Yield the rows of one segment: the keys of all segments are read, but only the items of this one."""
    number, total = segment
    source = read.table.rows if read.index is None else read.index.entries
    types = _partition_types(read)
    found = 0
    partition, in_segment = b"", False
    for row_id, key in source.keys(span):
        if not partition or not key.startswith(partition):
            partition = _partition(key, types)
            in_segment = crc32(partition) % total == number
        if in_segment:
            yield read.table.rows.by_id(row_id)
            found += 1
            if found == limit:
                return


def _partition_types(read: Reading) -> list[str]:
    if read.index is None:
        return [read.table.partition_type]
    return [kind for _, kind in read.index.key_types[: len(read.index.partition_names)]]


def _partition(key: bytes, types: Sequence[str]) -> bytes:
    """Return the partition's part of an encoded key; ``types`` are those of the partition's attributes."""
    end = 0
    for kind in types:
        end = _NUMBER_ENDS[key[end]](key, end) if kind == "N" else key.index(END, end) + len(END)
    return key[:end]


# The end of a number's bytes, by their first byte (see numbers.number_key). The second byte is the
# exponent, which may be equal to an end mark.
_NUMBER_ENDS: dict[int, Callable[[bytes, int], int]] = {
    0x00: lambda key, at: key.index(b"\xff", at + 2) + 1,
    0x80: lambda key, at: at + 1,
    0xFF: lambda key, at: key.index(b"\x00", at + 2) + 1,
}
