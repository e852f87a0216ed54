"""The ``FilterSpecification`` of an export: key condition, filter and projection, as in Query."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from bursar.dynamo.errors import DynamoError, invalid, invalid_request
from bursar.dynamo.expressions import parse_condition, parse_key_condition, parse_projection, resolve_key_conditions
from bursar.dynamo.items.key_encoding import after_prefix
from bursar.dynamo.operations.requests.common_members import EXPRESSIONS, STRING
from bursar.dynamo.operations.requests.expression_parameters import ExpressionParameters
from bursar.dynamo.operations.requests.shapes import StructureShape
from bursar.dynamo.storage.table import Table

FILTER_SPECIFICATION = StructureShape(
    {"FilterExpression": STRING, "ProjectionExpression": STRING, "KeyConditionExpression": STRING, **EXPRESSIONS}
)
Filter = Callable[[bytes, bytes], bytes | None]
"""A function of an item's encoded key and bytes.

It returns the bytes to export, or None for an item that is left out.
"""

_PARAMETERS = ExpressionParameters(("KeyConditionExpression", "FilterExpression", "ProjectionExpression"))


def export_filter(table: Table, specification: Mapping[str, Any] | None) -> Filter:
    """Return the filter of a request. Raise ValidationException for a specification that is invalid."""
    if specification is None:
        return lambda _key, body: body
    try:
        return _filter(table, specification)
    except DynamoError as error:
        raise invalid_request(f"Invalid FilterSpecification: {error.message}") from None


def _filter(table: Table, specification: Mapping[str, Any]) -> Filter:
    binding = _PARAMETERS.binding(specification)
    if binding is None:
        raise invalid("The specification can not be empty")
    texts = [specification.get(f"{kind}Expression") for kind in ("KeyCondition", "Filter", "Projection")]
    keys = None if texts[0] is None else parse_key_condition(texts[0]).bind(binding)
    condition = None if texts[1] is None else parse_condition(texts[1], kind="FilterExpression").bind(binding)
    projection = None if texts[2] is None else parse_projection(texts[2]).bind(binding)
    binding.check_all_used()
    low, high = b"", None
    if keys is not None:
        key_range = resolve_key_conditions(keys.conditions(), table.key_names[:1], table.key_names[1:], table.types)
        low = key_range.partition_bytes + key_range.lower
        high = after_prefix(key_range.partition_bytes)
        if key_range.upper is not None:
            high = key_range.partition_bytes + key_range.upper
        for name in table.key_names:
            if condition is not None and name in condition.heads:
                raise invalid(
                    f"Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}"
                )

    def keep(key: bytes, body: bytes) -> bytes | None:
        if key < low or (high is not None and key >= high):
            return None
        if condition is None and projection is None:
            return body
        item = orjson.loads(body)
        if condition is not None and not condition.evaluate(item):
            return None
        return body if projection is None else orjson.dumps(projection.project(item))

    return keep
