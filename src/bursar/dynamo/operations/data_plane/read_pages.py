"""Read one page of a response from a range of rows, for Query and Scan.

A page ends with the item that reaches ``Limit``, or before the item that would make it larger than 1 MB. Either way it
has a ``LastEvaluatedKey``, even if nothing follows: Amazon does not look ahead. Limit and size count items before the
filter.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid, invalid_parameter
from bursar.dynamo.expressions import Binding, BoundCondition, BoundProjection, parse_condition, parse_projection
from bursar.dynamo.items.attribute_values import Item, item_size, normalise
from bursar.dynamo.operations.data_plane import legacy_parameters
from bursar.dynamo.operations.data_plane.capacity import Consumption, consumption_detail, read_units
from bursar.dynamo.operations.requests.common_members import (
    ATTRIBUTE_MAP,
    BOOLEAN,
    CAPACITY,
    EXPRESSIONS,
    NAME,
    STRING,
    TABLE_NAME,
)
from bursar.dynamo.operations.requests.shapes import Shape, StringShape
from bursar.dynamo.storage.rows import SizedItem
from bursar.dynamo.storage.secondary_index import SecondaryIndex
from bursar.dynamo.storage.table import Table

PAGE_BYTES_MAX = 1024 * 1024
ROWS_UNLIMITED = -1
QUERY_MEMBERS = ("KeyConditionExpression", "KeyConditions")
"""The members that only Query has; it must have one of them."""
NO_ATTRIBUTES = "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"

READ_MEMBERS: dict[str, Shape] = {
    "ReturnConsumedCapacity": CAPACITY,
    "TableName": TABLE_NAME,
    "IndexName": NAME,
    "Select": StringShape(choices=("SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES")),
    "AttributesToGet": legacy_parameters.ATTRIBUTES_TO_GET,
    "ConditionalOperator": legacy_parameters.CONDITIONAL_OPERATOR,
    "ExclusiveStartKey": ATTRIBUTE_MAP,
    "ProjectionExpression": STRING,
    "FilterExpression": STRING,
    "ConsistentRead": BOOLEAN,
    **EXPRESSIONS,
}

Rows = Iterator[SizedItem]


class ItemProjection(Protocol):
    """The part of each item that a read returns."""

    @property
    def heads(self) -> tuple[str, ...]:
        """Return the attributes that the projection reads."""

    def project(self, item: Item) -> Item:
        """Return the chosen parts of an item."""


@dataclass(slots=True)
class Reading:
    """One validated Query or Scan."""

    table: Table
    index: SecondaryIndex | None
    filter: BoundCondition | None
    projection: ItemProjection | None
    count_only: bool
    fetches: bool
    """Whether each item is fetched from the table, because a local index lacks some of its attributes."""
    all_attributes: bool
    consistent: bool

    @property
    def decodes(self) -> bool:
        """Return whether items must be decoded; otherwise the response contains their stored bytes."""
        return (
            self.filter is not None
            or self.projection is not None
            or (self.index is not None and self.index.projected is not None)
        )

    def check_projected(self) -> None:
        """Raise ValidationException for attributes that a global index lacks, which is Amazon's last check."""
        index = self.index
        if index is None or not index.is_global or index.projected is None:
            return
        if self.all_attributes:
            raise invalid_parameter(
                f"Select type ALL_ATTRIBUTES is not supported for global secondary index {index.name} "
                "because its projection type is not ALL"
            )
        missing = [name for name in (self.projection.heads if self.projection else ()) if name not in index.projected]
        if missing:
            raise invalid_parameter(f"Global secondary index {index.name} does not project [{', '.join(missing)}]")

    def key_names(self) -> tuple[str, ...]:
        """Return the attributes of a ``LastEvaluatedKey``: those of the index's key, then those of the table's."""
        if self.index is None:
            return self.table.key_names
        index_names = [name for name, _ in self.index.key_types]
        return tuple(dict.fromkeys((*index_names, *self.table.key_names)))

    def position(self, start_key: Mapping[str, Any], wrong: DynamoError) -> tuple[Item, bytes, bytes]:
        """Return (start key, its encoded index key, its encoded table key).

        Raise ``wrong`` for a key with other attributes.
        """
        names = self.key_names()
        if start_key.keys() != set(names):
            raise wrong
        key = {name: normalise(value) for name, value in start_key.items()}
        if any(kind not in key[name] for name, kind in self.table.key_types):
            raise wrong
        encoded = self.table.encoded_key({name: key[name] for name in self.table.key_names})
        if self.index is None:
            return key, b"", encoded
        index_key = self.index.key_of(key)
        if index_key is None:
            raise wrong
        return key, index_key, encoded


def bound_filter(request: Mapping[str, Any], binding: Binding, member: str) -> BoundCondition | None:
    """Return the FilterExpression, bound, or the legacy filter in ``member``."""
    text = request.get("FilterExpression")
    if text is None:
        return legacy_parameters.filtered(request, member)
    return parse_condition(text, kind="FilterExpression").bind(binding)


def bound_projection(request: Mapping[str, Any], binding: Binding) -> BoundProjection | None:
    """Return the ProjectionExpression, bound, or the legacy AttributesToGet."""
    text = request.get("ProjectionExpression")
    if text is not None:
        return parse_projection(text).bind(binding)
    names = request.get("AttributesToGet")
    return None if names is None else legacy_parameters.projection(names)


def check_select(request: Mapping[str, Any]) -> None:
    """Raise ValidationException when ``Select`` contradicts other parameters."""
    select = request.get("Select")
    if select is None:
        return
    named = [name for name in ("AttributesToGet", "ProjectionExpression") if request.get(name) is not None]
    if select == "SPECIFIC_ATTRIBUTES":
        if not named:
            raise invalid(NO_ATTRIBUTES)
    elif named:
        raise invalid(
            f"Cannot specify the {named[0]} when choosing to get {'only the Count' if select == 'COUNT' else select}"
        )
    if select == "ALL_PROJECTED_ATTRIBUTES" and request.get("IndexName") is None:
        raise invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")


def prepare_read(
    core: Core,
    request: Mapping[str, Any],
    condition: BoundCondition | None,
    projection: ItemProjection | None,
) -> Reading:
    """Return the validated read. Raise ResourceNotFoundException or ValidationException for its table and index."""
    table = core.table(request["TableName"])
    index = None
    if request.get("IndexName") is not None:
        operation = "Scan" if request.keys().isdisjoint(QUERY_MEMBERS) else "Query"
        index = table.index(request["IndexName"], operation)
    select = request.get("Select")
    consistent = bool(request.get("ConsistentRead"))
    fetches = False
    if index is not None and index.is_global:
        if consistent:
            raise invalid("Consistent reads are not supported on global secondary indexes")
    elif index is not None:
        attributes = (*(projection.heads if projection else ()), *(condition.heads if condition else ()))
        if index.projected is not None:
            fetches = select == "ALL_ATTRIBUTES" or not index.projected.issuperset(attributes)
    return Reading(
        table, index, condition, projection, select == "COUNT", fetches, select == "ALL_ATTRIBUTES", consistent
    )


def read_page(reading: Reading, rows: Rows, limit: int | None, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return one page of the response, from the rows of the requested range."""
    gather = _gather_decoded if reading.decodes else _gather_stored
    items, scanned, units, last = gather(reading, rows, limit or 0)
    response: dict[str, Any] = {}
    if not reading.count_only:
        response["Items"] = items if reading.decodes else orjson.Fragment(b"[" + b",".join(items) + b"]")
    response["Count"] = len(items)
    response["ScannedCount"] = scanned
    if last is not None:
        item = orjson.loads(last)
        response["LastEvaluatedKey"] = {name: item[name] for name in reading.key_names()}
    detail = consumption_detail(request)
    if detail is not None:
        response["ConsumedCapacity"] = _consumed(reading, units).response(detail)
    return response


Gathered = tuple[list[Any], int, tuple[int, float], bytes | None]
"""(items, evaluated items, (bytes read, units of items fetched besides an index), last item of a cut page)."""


def _gather_stored(_reading: Reading, rows: Rows, limit: int) -> Gathered:
    items: list[bytes] = []
    total = 0
    for size, item in rows:
        total += size
        if total > PAGE_BYTES_MAX and items:
            return items, len(items), (total - size, 0.0), items[-1]
        items.append(item)
    last = items[-1] if limit and len(items) == limit else None
    return items, len(items), (total, 0.0), last


def _gather_decoded(reading: Reading, rows: Rows, limit: int) -> Gathered:
    index, condition, projection = reading.index, reading.filter, reading.projection
    items: list[Item] = []
    scanned = total = 0
    fetched = 0.0
    last: bytes | None = None
    for size, body in rows:
        whole: Item = orjson.loads(body)
        projected = whole
        if index is not None and index.projected is not None:
            projected = index.project(whole)
            total += item_size(projected)
        else:
            total += size
        visible = whole if reading.fetches else projected
        if total > PAGE_BYTES_MAX and last is not None:
            return items, scanned, (total, fetched), last
        scanned += 1
        last = body
        if reading.fetches:
            fetched += read_units(size, consistent=reading.consistent)
        if condition is None or condition.evaluate(visible):
            if projection is not None:
                items.append(projection.project(visible))
            else:
                items.append(whole if reading.all_attributes else projected)
    return items, scanned, (total, fetched), last if limit and scanned == limit else None


def _consumed(reading: Reading, units: tuple[int, float]) -> Consumption:
    size_bytes, fetched = units
    consumed = Consumption(reading.table, "read")
    units_read = read_units(size_bytes, consistent=reading.consistent)
    if reading.index is None:
        consumed.units = units_read
    else:
        consumed.units = fetched
        consumed.indexes[reading.index.name] = units_read
    return consumed
