"""BatchGetItem and BatchWriteItem."""

from collections.abc import Mapping
from typing import Any

import orjson

from bursar.dynamo.core.catalogue import Core, GuardRefused, check_size
from bursar.dynamo.errors import ENVELOPE, DynamoError, condition_failed, in_current_wording, invalid
from bursar.dynamo.expressions import BoundProjection
from bursar.dynamo.items.attribute_values import TOO_LARGE, normalise_item
from bursar.dynamo.items.fast_normalise import normalise_and_measure
from bursar.dynamo.operations.data_plane import legacy_parameters
from bursar.dynamo.operations.data_plane.capacity import Consumption, consumption_detail, read_units
from bursar.dynamo.operations.data_plane.items import collection_metrics
from bursar.dynamo.operations.data_plane.read_pages import bound_projection
from bursar.dynamo.operations.requests.common_members import (
    ATTRIBUTE_MAP,
    BOOLEAN,
    CAPACITY,
    EXPRESSIONS,
    METRICS,
    STRING,
    TableNamesOfAMap,
)
from bursar.dynamo.operations.requests.expression_parameters import ExpressionParameters
from bursar.dynamo.operations.requests.shapes import FAILED, ListShape, MapShape, Request, Shape, StructureShape
from bursar.dynamo.regions import RegionDifference
from bursar.dynamo.storage.secondary_index import DoesNotFitTable
from bursar.dynamo.storage.table import KEY_MISMATCH, ItemWrite, Table

KEYS_MAX = 100
REQUESTS_MAX = 25
RESPONSE_BYTES_MAX = 16 * 1024 * 1024
DUPLICATES = "Provided list of item keys contains duplicates"
TOO_MANY_KEYS = "Too many items requested for the BatchGetItem call"
TOO_MANY_REQUESTS = "Too many items requested for the BatchWriteItem call"
NOT_ONE_KIND = (
    "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
)
"""Amazon's error for a request that is neither a put nor a delete, or is both."""

_TABLE_READ = StructureShape(
    {
        "Keys": ListShape(ATTRIBUTE_MAP, fewest=1, most=KEYS_MAX, unlabelled=True),
        "AttributesToGet": legacy_parameters.ATTRIBUTES_TO_GET,
        "ConsistentRead": BOOLEAN,
        "ProjectionExpression": STRING,
        "ExpressionAttributeNames": EXPRESSIONS["ExpressionAttributeNames"],
    },
    ("Keys",),
)


def _batch_get(without_tables: str, elsewhere: Mapping[RegionDifference, Request] | None = None) -> Request:
    """Return the shape of BatchGetItem; ``without_tables`` is the error of an empty ``RequestItems``."""
    tables = MapShape(_TABLE_READ, fewest=1, required_message=without_tables, names=TableNamesOfAMap())
    members: dict[str, Shape] = {"RequestItems": tables, "ReturnConsumedCapacity": CAPACITY}
    return Request(members, required=("RequestItems",), elsewhere=elsewhere)


BATCH_GET_ITEM = _batch_get(
    f"{ENVELOPE}Value at 'RequestItems' {FAILED} have length greater than or equal to 1",
    {RegionDifference.OLDER_BATCH_GET: _batch_get("The requestItems parameter is required for BatchGetItem")},
)
_WRITE_REQUEST = StructureShape(
    {
        "PutRequest": StructureShape({"Item": ATTRIBUTE_MAP}, ("Item",), "PutRequest"),
        "DeleteRequest": StructureShape({"Key": ATTRIBUTE_MAP}, ("Key",), "DeleteRequest"),
    },
    java_name="WriteRequest",
)
BATCH_WRITE_ITEM = Request(
    {
        "ReturnConsumedCapacity": CAPACITY,
        "ReturnItemCollectionMetrics": METRICS,
        "RequestItems": MapShape(
            ListShape(
                _WRITE_REQUEST,
                fewest=1,
                most=REQUESTS_MAX,
                in_map=True,
            ),
            fewest=1,
            required_message="The requestItems parameter is required for BatchWriteItem",
        ),
    },
    required=("RequestItems",),
)

_TABLE_NAMES = TableNamesOfAMap()
_GETTING = ExpressionParameters(("ProjectionExpression",), ("AttributesToGet",))

_Place = tuple[str, Table, list[bytes], Mapping[str, Any], BoundProjection | None]
"""(name in the request, table, encoded keys, the request for this table, projection)."""


def batch_get_item(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return up to 100 items by key, from several tables; keys beyond 16 MB are returned as ``UnprocessedKeys``."""
    try:
        reads = _table_reads(core, request["RequestItems"])
    except DynamoError as error:
        try:
            _check_keys(request["RequestItems"])
        except DynamoError as first:
            raise in_current_wording(first) from None
        raise in_current_wording(error) from None
    responses: dict[str, list[Any]] = {}
    unprocessed: dict[str, Any] = {}
    consumed: list[Consumption] = []
    room = RESPONSE_BYTES_MAX
    for name, table, keys, table_request, projection in reads:
        found = responses[name] = []
        consumption = Consumption(table, "read")
        consumed.append(consumption)
        for position, key in enumerate(keys):
            row = table.rows.get(key)
            size = row[1] if row else 0
            if size > room:
                unprocessed[name] = {**table_request, "Keys": table_request["Keys"][position:]}
                room = 0
                break
            room -= size
            consumption.units += read_units(size, consistent=bool(table_request.get("ConsistentRead")))
            if row is not None:
                found.append(
                    orjson.Fragment(row[2]) if projection is None else projection.project(orjson.loads(row[2]))
                )
    response: dict[str, Any] = {"Responses": responses, "UnprocessedKeys": unprocessed}
    detail = consumption_detail(request)
    if detail is not None:
        response["ConsumedCapacity"] = [one.response(detail) for one in consumed]
    return response


def _table_reads(core: Core, request_items: Mapping[str, Mapping[str, Any]]) -> list[_Place]:
    """Return the reads of each table."""
    projections = [_projection(table_request) for table_request in request_items.values()]
    if len(request_items) > 1:
        used = set().union(*request_items.values())
        if "ProjectionExpression" in used and "AttributesToGet" in used:
            raise _GETTING.mixture(["AttributesToGet"], ["ProjectionExpression"])
    if sum(len(table_request["Keys"]) for table_request in request_items.values()) > KEYS_MAX:
        raise invalid(TOO_MANY_KEYS)
    reads = []
    for (name, table_request), projection in zip(request_items.items(), projections, strict=True):
        table = core.table(name)
        keys = [table.encoded_key(key) for key in table_request["Keys"]]
        if len(set(keys)) != len(keys):
            raise invalid(DUPLICATES)
        reads.append((name, table, keys, table_request, projection))
    return reads


def _check_keys(request_items: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise the errors of keys, which Amazon reports before all others."""
    for table_request in request_items.values():
        keys = [orjson.dumps(normalise_item(key), option=orjson.OPT_SORT_KEYS) for key in table_request["Keys"]]
        if len(set(keys)) != len(keys):
            raise invalid(DUPLICATES)


def _projection(table_request: Mapping[str, Any]) -> BoundProjection | None:
    binding = _GETTING.binding(table_request)
    if binding is None:
        return None
    projection = bound_projection(table_request, binding)
    binding.check_all_used()
    return projection


def batch_write_item(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Write up to 25 puts and deletes without conditions.

    They are one transaction here, which Amazon does not guarantee.
    """
    if not all(map(_TABLE_NAMES.fast_accepts, request["RequestItems"])):
        raise _bad_names(request["RequestItems"])
    if sum(map(len, request["RequestItems"].values())) > REQUESTS_MAX:
        raise invalid(TOO_MANY_REQUESTS)
    writes: list[ItemWrite] = []
    by_table: list[tuple[Table, list[ItemWrite]]] = []
    # Amazon checks items before tables.
    normal = {name: [_normal(element) for element in elements] for name, elements in request["RequestItems"].items()}
    for name, elements in normal.items():
        table = core.table(name)
        table_writes = [_write(table, *element) for element in elements]
        if len({write.key for write in table_writes}) != len(table_writes):
            raise invalid(DUPLICATES)
        by_table.append((table, table_writes))
        writes += table_writes
    try:
        core.apply(writes)
    except GuardRefused as refused:
        raise condition_failed(message=refused.message) from None
    response: dict[str, Any] = {"UnprocessedItems": {}}
    detail = consumption_detail(request)
    if detail is not None:
        answers = []
        for table, table_writes in by_table:
            consumption = Consumption(table, "write")
            for write in table_writes:
                consumption.add_write(write.old, write.new, write.larger_bytes, transactional=False)
            answers.append(consumption.response(detail))
        response["ConsumedCapacity"] = answers
    if request.get("ReturnItemCollectionMetrics") == "SIZE":
        response["ItemCollectionMetrics"] = _metrics(by_table)
    return response


def _bad_names(request_items: Mapping[str, list[Any]]) -> DynamoError:
    printed = ", ".join(
        f"{name}=[{', '.join(map(_WRITE_REQUEST.printed, elements))}]" for name, elements in request_items.items()
    )
    return invalid(f"{ENVELOPE}Value '{{{printed}}}' at 'requestItems' {_TABLE_NAMES.as_map_keys}")


def _normal(element: Mapping[str, Any]) -> tuple[str, dict[str, Any], int]:
    put, delete = element.get("PutRequest"), element.get("DeleteRequest")
    if (put is None) == (delete is None):
        raise invalid(NOT_ONE_KIND)
    if put is not None:
        return "put", *normalise_and_measure(put["Item"])
    assert delete is not None
    return "delete", delete["Key"], 0


def _write(table: Table, kind: str, item: dict[str, Any], size: int) -> ItemWrite:
    if kind == "delete":
        key = table.encoded_key(item)
        return ItemWrite(table, key, table.rows.get(key), None, None)
    try:
        key = table.key_of_item(item)
    except DoesNotFitTable:
        if any(kind not in item.get(name, ()) for name, kind in table.key_types):
            raise invalid(KEY_MISMATCH) from None
        raise
    table.check_index_keys(item)
    check_size(size, TOO_LARGE)
    return ItemWrite(table, key, table.rows.get(key), None, item, size)


def _metrics(by_table: list[tuple[Table, list[ItemWrite]]]) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    for table, writes in by_table:
        for write in writes:
            one = collection_metrics(table, write.new or write.old or {})
            if one is not None and one not in metrics.setdefault(table.name, []):
                metrics[table.name].append(one)
    return metrics
