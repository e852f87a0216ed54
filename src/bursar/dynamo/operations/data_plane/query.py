"""Query: read the items of one partition of a table or an index, in the order of the sort key."""

from collections.abc import Mapping
from typing import Any

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, InvalidValue, enveloped, in_current_wording, invalid
from bursar.dynamo.expressions import KeyRange, parse_key_condition, resolve_key_conditions
from bursar.dynamo.items.key_encoding import after_prefix
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
from bursar.dynamo.operations.requests.common_members import BOOLEAN, NEWER_ENUMS, STRING
from bursar.dynamo.operations.requests.expression_parameters import ExpressionParameters
from bursar.dynamo.operations.requests.shapes import IntegerShape, Request
from bursar.dynamo.storage.rows import Span

PARAMETERS = ExpressionParameters(
    ("ProjectionExpression", "FilterExpression", "KeyConditionExpression"),
    ("AttributesToGet", "QueryFilter", "ConditionalOperator", "KeyConditions"),
)

QUERY = Request(
    {
        **READ_MEMBERS,
        "Limit": IntegerShape(1, label="Value at 'Limit'"),
        "ScanIndexForward": BOOLEAN,
        "KeyConditionExpression": STRING,
        "KeyConditions": legacy_parameters.CONDITIONS,
        "QueryFilter": legacy_parameters.CONDITIONS,
    },
    required=("TableName",),
    newer={"ConditionalOperator": NEWER_ENUMS["ConditionalOperator"]},
    alone=("ConditionalOperator",),
)

CONDITIONS_MIN = 2
"""From this number of key conditions on, error texts differ, with any number of key attributes."""
INVALID_START = "The provided starting key is invalid"
OUTSIDE = "The provided starting key is outside query boundaries based on provided conditions"
NOT_IN_RANGE = "The provided starting key does not match the range key predicate"
NO_CONDITION = "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."


def query(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return one page of a partition's items."""
    try:
        return _query(core, request)
    except InvalidValue as error:
        raise in_current_wording(error) from None


def _query(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    binding = PARAMETERS.binding(request)
    if binding is None or (request.get("KeyConditionExpression") is None and request.get("KeyConditions") is None):
        raise invalid(NO_CONDITION)
    text = request.get("KeyConditionExpression")
    # In Amazon's order, which is visible when several of them have errors.
    legacy_keys = None if text is not None else legacy_parameters.key_conditions(request["KeyConditions"])
    condition = bound_filter(request, binding, "QueryFilter")
    projection = bound_projection(request, binding)
    keys = None if text is None else parse_key_condition(text).bind(binding)
    binding.check_all_used()
    try:
        check_select(request)
    except DynamoError as error:
        raise enveloped(error) if error.message == NO_ATTRIBUTES else error from None
    read = prepare_read(core, request, condition, projection)
    if read.index is None:
        names = read.table.key_names
        partition, sort, types = names[:1], names[1:], read.table.types
    else:
        partition, sort, types = read.index.partition_names, read.index.sort_names, read.index.types
    conditions = legacy_keys if keys is None else keys.conditions()
    key_count = len(partition) + len(sort)
    if keys is not None and conditions is not None and len(conditions) > CONDITIONS_MIN and len(conditions) > key_count:
        raise invalid(
            f"The number of query conditions ({len(conditions)}) exceeds the number of key attributes "
            f"defined in the schema ({key_count})"
        )
    key_range = resolve_key_conditions(conditions or {}, partition, sort, types)
    if condition is not None:
        for name in (*partition, *sort):
            if name in condition.heads:
                member = "Filter Expression" if request.get("FilterExpression") is not None else "QueryFilter"
                raise invalid(f"{member} can only contain non-primary key attributes: Primary key attribute: {name}")
    read.check_projected()
    forward = request.get("ScanIndexForward") is not False
    span = _span(read, key_range, request.get("ExclusiveStartKey"), forward=forward)
    limit = request.get("Limit")
    rows = read.table.rows if read.index is None else read.index.entries
    return read_page(read, rows.span(span, forward=forward, limit=limit or ROWS_UNLIMITED), limit, request)


def _span(read: Reading, key_range: KeyRange, start: Mapping[str, Any] | None, *, forward: bool) -> Span:
    low = key_range.partition_bytes + key_range.lower
    high = (
        after_prefix(key_range.partition_bytes)
        if key_range.upper is None
        else key_range.partition_bytes + key_range.upper
    )
    if start is None:
        return Span(low, True, high)
    _, index_key, key = read.position(start, invalid(INVALID_START))
    at = index_key + key
    if not at.startswith(key_range.partition_bytes):
        raise invalid(OUTSIDE)
    if at < low or (high is not None and at >= high):
        raise invalid(NOT_IN_RANGE)
    return Span(at, False, high) if forward else Span(low, True, at)
