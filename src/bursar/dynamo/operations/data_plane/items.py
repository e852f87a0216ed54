"""PutItem, GetItem, UpdateItem and DeleteItem."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from bursar.dynamo.core.catalogue import Core, GuardRefused
from bursar.dynamo.errors import (
    ENVELOPE,
    DynamoError,
    InvalidValue,
    condition_failed,
    enveloped,
    in_current_wording,
    invalid,
)
from bursar.dynamo.expressions import values_at_paths
from bursar.dynamo.items.attribute_values import Item, normalise
from bursar.dynamo.items.key_encoding import after_prefix, encode_key_value
from bursar.dynamo.operations.data_plane import legacy_parameters
from bursar.dynamo.operations.data_plane.capacity import Consumption, consumption_detail, read_units
from bursar.dynamo.operations.data_plane.item_actions import (
    ItemAction,
    UpdateAction,
    fit_delete,
    fit_put,
    fit_update,
    read_condition,
    read_put,
    read_update,
)
from bursar.dynamo.operations.data_plane.read_pages import bound_projection
from bursar.dynamo.operations.data_plane.update_charge import check_charge
from bursar.dynamo.operations.requests.common_members import (
    ATTRIBUTE_MAP,
    BOOLEAN,
    CAPACITY,
    EXPRESSIONS,
    METRICS,
    NEWER_ENUMS,
    ON_FAILURE,
    RETURN_VALUES,
    STRING,
    TABLE_NAME,
)
from bursar.dynamo.operations.requests.expression_parameters import ExpressionParameters
from bursar.dynamo.operations.requests.nesting import nests_beyond_newer_layer
from bursar.dynamo.operations.requests.shapes import Request, Shape
from bursar.dynamo.regions import RegionDifference
from bursar.dynamo.storage.rows import Span
from bursar.dynamo.storage.table import ItemWrite, Table

BYTES_PER_GB = 1024**3

_WRITE: dict[str, Shape] = {
    "ReturnConsumedCapacity": CAPACITY,
    "TableName": TABLE_NAME,
    "Expected": legacy_parameters.EXPECTED,
    "ReturnValues": RETURN_VALUES,
    "ReturnItemCollectionMetrics": METRICS,
    "ConditionalOperator": legacy_parameters.CONDITIONAL_OPERATOR,
    "ConditionExpression": STRING,
    "ReturnValuesOnConditionCheckFailure": ON_FAILURE,
    **EXPRESSIONS,
}


class _WriteRequest(Request):
    """A write of one item. The older layer reports the faults of a deeply nested one, in every region."""

    def check(self, request: Any, differences: frozenset[RegionDifference] = frozenset()) -> None:
        """See :class:`Request`."""
        if not self.fast_accepts(request):
            older = type(request) is dict and nests_beyond_newer_layer(request)
            super().check(request, differences | {RegionDifference.OLDER_WRITES} if older else differences)


def _write_request(members: dict[str, Shape], required: str, alone: tuple[str, ...]) -> Request:
    """Return the shape of a write of one item; ``required`` is its other required member."""
    older = {"ReturnConsumedCapacity": CAPACITY, "ReturnValues": RETURN_VALUES, **members}
    return _WriteRequest(
        members,
        required=("TableName", required),
        newer=NEWER_ENUMS,
        alone=alone,
        envelope=ENVELOPE,
        elsewhere={
            RegionDifference.OLDER_WRITES: Request(older, required=("TableName", required), joins_table_name=True),
        },
    )


PUT_ITEM = _write_request({**_WRITE, "Item": ATTRIBUTE_MAP}, "Item", alone=("ConditionalOperator",))
DELETE_ITEM = _write_request({**_WRITE, "Key": ATTRIBUTE_MAP}, "Key", alone=("ConditionalOperator",))
UPDATE_ITEM = _write_request(
    {
        **_WRITE,
        "AttributeUpdates": legacy_parameters.ATTRIBUTE_UPDATES,
        "UpdateExpression": STRING,
        "Key": ATTRIBUTE_MAP,
    },
    "Key",
    alone=("ReturnValues", "ConditionalOperator"),
)
GET_ITEM = Request(
    {
        "ReturnConsumedCapacity": CAPACITY,
        "TableName": TABLE_NAME,
        "Key": ATTRIBUTE_MAP,
        "AttributesToGet": legacy_parameters.ATTRIBUTES_TO_GET,
        "ConsistentRead": BOOLEAN,
        "ProjectionExpression": STRING,
        "ExpressionAttributeNames": EXPRESSIONS["ExpressionAttributeNames"],
    },
    required=("TableName", "Key"),
)

_GETTING = ExpressionParameters(("ProjectionExpression",), ("AttributesToGet",))
_WRITING = ExpressionParameters(("ConditionExpression",), ("Expected", "ConditionalOperator"))
_UPDATING = ExpressionParameters(
    ("UpdateExpression", "ConditionExpression"), ("AttributeUpdates", "Expected", "ConditionalOperator")
)


def get_item(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return one item by its key: ``Item`` as stored, or the parts in the projection."""
    projection = None
    binding = _GETTING.binding(request)
    if binding is not None:
        projection = bound_projection(request, binding)
        binding.check_all_used()
    table = core.table(request["TableName"])
    try:
        key = table.encoded_key(request["Key"])
    except InvalidValue as error:
        raise in_current_wording(error) from None
    row = table.rows.get(key)
    response: dict[str, Any] = {}
    if row is not None:
        response["Item"] = orjson.Fragment(row[2]) if projection is None else projection.project(orjson.loads(row[2]))
    detail = consumption_detail(request)
    if detail is not None:
        consumed = Consumption(table, "read")
        consumed.units = read_units(row[1] if row else 0, consistent=bool(request.get("ConsistentRead")))
        response["ConsumedCapacity"] = consumed.response(detail)
    return response


def put_item(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Store a whole item."""
    try:
        _check_all_old_or_none(request)
        read = read_put(request, _WRITING)
    except DynamoError as error:
        raise _worded(core, request, error) from None
    return _decide_and_apply(core, request, fit_put(core, request, read))


def delete_item(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Delete an item; a missing item is no error."""
    try:
        _check_all_old_or_none(request)
        condition = read_condition(request, _WRITING)
    except DynamoError as error:
        raise _worded(core, request, error) from None
    try:
        action = fit_delete(core, request, condition)
    except DynamoError as error:
        raise _first_fault(core, request, error) from None
    return _decide_and_apply(core, request, action)


def update_item(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Change an item, or create one with its key unless the update only removes."""
    try:
        read = read_update(request, _UPDATING)
    except DynamoError as error:
        raise _worded(core, request, error) from None
    try:
        action = fit_update(core, request, read)
    except DynamoError as error:
        raise _first_fault(core, request, error) from None
    if not core.checks_older_writes:
        check_charge(request)
    return _decide_and_apply(core, request, action)


def _worded(core: Core, request: Mapping[str, Any], error: DynamoError) -> DynamoError:
    """Return an error that does not depend on the table, with the text of the engine's region."""
    older = core.checks_older_writes or nests_beyond_newer_layer(request)
    return error if older else enveloped(error)


def _first_fault(core: Core, request: Mapping[str, Any], misfit: DynamoError) -> DynamoError:
    """Return the error of an invalid value in the request's key; ``misfit``, an error of the table, if none."""
    try:
        for value in request["Key"].values():
            normalise(value)
    except DynamoError as error:
        return _worded(core, request, error)
    return misfit


def _check_all_old_or_none(request: Mapping[str, Any]) -> None:
    if request.get("ReturnValues") not in (None, "ALL_OLD", "NONE"):
        raise invalid("ReturnValues can only be ALL_OLD or NONE")


def _decide_and_apply(core: Core, request: Mapping[str, Any], action: ItemAction) -> dict[str, Any]:
    write = action.decide()
    try:
        core.apply((write,))
    except GuardRefused as refused:
        raise condition_failed(write.old if action.returns_old else None, refused.message) from None
    response: dict[str, Any] = {}
    returned = request.get("ReturnValues")
    if returned is not None and returned != "NONE":
        attributes = _returned(returned, action, write)
        if attributes is not None:
            response["Attributes"] = attributes
    detail = consumption_detail(request)
    if detail is not None:
        consumed = Consumption(action.table, "write")
        consumed.add_write(write.old, write.new, write.larger_bytes, transactional=False)
        response["ConsumedCapacity"] = consumed.response(detail)
    if request.get("ReturnItemCollectionMetrics") == "SIZE":
        metrics = collection_metrics(action.table, write.new or write.old or request.get("Key") or {})
        if metrics is not None:
            response["ItemCollectionMetrics"] = metrics
    return response


def _returned(returned: str, action: ItemAction, write: ItemWrite) -> Any:
    if returned == "ALL_OLD":
        return None if write.row is None else orjson.Fragment(write.row[2])
    if returned == "ALL_NEW":
        return None if write.new is None else orjson.Fragment(write.body)
    touched: Sequence[Any] = action.touched if isinstance(action, UpdateAction) else ()
    attributes = values_at_paths((write.old if returned == "UPDATED_OLD" else write.new) or {}, touched)
    return attributes or None


def collection_metrics(table: Table, item: Item) -> dict[str, Any] | None:
    """Return ``ItemCollectionMetrics`` of the item's partition; None for a table without local indexes.

    The estimate is the range, one GB wide, of the summed item sizes.
    """
    if not table.local_indexes or table.partition_name not in item:
        return None
    partition = item[table.partition_name]
    prefix = encode_key_value(partition)
    whole_gb = table.rows.partition_bytes(Span(prefix, True, after_prefix(prefix))) // BYTES_PER_GB
    return {
        "ItemCollectionKey": {table.partition_name: partition},
        "SizeEstimateRangeGB": [float(whole_gb), float(whole_gb + 1)],
    }
