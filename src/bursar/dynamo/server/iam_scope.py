"""Read from a request the permissions that it needs, in IAM's terms: actions, resources, values of condition keys.

A request that touches several resources (a batch, a transaction) needs a :class:`Permission` for each, and all must be
allowed. Source: "Actions, resources, and condition keys for Amazon DynamoDB" in the service authorization reference.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.expressions import Binding, parse_key_condition
from bursar.dynamo.expressions.parsing.lexer import NAME, WORD, tokens_of
from bursar.dynamo.items.attribute_values import AttributeValue
from bursar.dynamo.regions import DEFAULT_REGION, table_arn_prefix

LEADING_KEYS = "dynamodb:LeadingKeys"
ATTRIBUTES = "dynamodb:Attributes"
SELECT = "dynamodb:Select"
RETURN_VALUES = "dynamodb:ReturnValues"
RETURN_CONSUMED_CAPACITY = "dynamodb:ReturnConsumedCapacity"
ENCLOSING_OPERATION = "dynamodb:EnclosingOperation"

CONDITION_KEYS: Final = frozenset(
    {LEADING_KEYS, ATTRIBUTES, SELECT, RETURN_VALUES, RETURN_CONSUMED_CAPACITY, ENCLOSING_OPERATION}
)

ConditionValues = tuple[str, ...] | None
"""The values of a condition key; None if they are unknown (a scan reads all leading keys)."""

PartitionNames = Callable[[str, str | None], tuple[str, ...]]
"""The partition key attributes of a table or of one of its indexes; empty if the table does not exist."""


@dataclass(frozen=True, slots=True)
class Permission:
    """One action on one resource. A condition key that is not in ``values`` does not exist for the action."""

    action: str
    resource: str
    values: Mapping[str, ConditionValues] = field(default_factory=dict)


def required_permissions(
    operation: str, request: Mapping[str, Any], partition_names: PartitionNames, region: str = DEFAULT_REGION
) -> list[Permission]:
    """Return the permissions that a request to an engine in ``region`` needs.

    A malformed request needs a permission on ``*``, because its resources are not known.
    """
    try:
        needed = _READERS.get(operation, _table_permission)(operation, request, partition_names)
        return [
            replace(permission, resource=table_arn_prefix(region) + permission.resource.removeprefix(_NAMED))
            if permission.resource.startswith(_NAMED)
            else permission
            for permission in needed
        ]
    except (AttributeError, KeyError, TypeError, ValueError):
        return [Permission(operation, "*", dict.fromkeys(CONDITION_KEYS))]


PermissionReader = Callable[[str, Mapping[str, Any], PartitionNames], Iterator[Permission]]


_NAMED: Final = "table/"
"""The placeholder prefix of a resource that the request gives by name; the region's ARN prefix replaces it."""


def _arn(table: str, index: str | None = None) -> str:
    arn = table if table.startswith("arn:") else _NAMED + table
    return f"{arn}/index/{index}" if index else arn


def _table_permission(
    operation: str, request: Mapping[str, Any], partition_names: PartitionNames
) -> Iterator[Permission]:
    table = request[_RESOURCE_MEMBERS[operation]]
    # Members that the operation does not read must not count: they could name a resource that the caller may use.
    index = request.get("IndexName") if operation in ("Query", "Scan", "SearchVectors") else None
    yield Permission(operation, _arn(table, index), _item_values(operation, request, partition_names, table, index))


_RESOURCE_MEMBERS: Final = {
    **dict.fromkeys(("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"), "TableName"),
    "SearchVectors": "TableName",
    **dict.fromkeys(("CreateTable", "DescribeTable", "UpdateTable", "DeleteTable"), "TableName"),
    **dict.fromkeys(("DescribeTimeToLive", "UpdateTimeToLive"), "TableName"),
    **dict.fromkeys(("DescribeContinuousBackups", "UpdateContinuousBackups", "CreateBackup"), "TableName"),
    **dict.fromkeys(("DescribeBackup", "DeleteBackup"), "BackupArn"),
    "ExportTableToPointInTime": "TableArn",
    "DescribeExport": "ExportArn",
    "DescribeImport": "ImportArn",
    "StartBulkPutItems": "TableName",
    **dict.fromkeys(("DescribeBulkOperation", "CancelBulkOperation"), "BulkOperationArn"),
    **dict.fromkeys(("DescribeContributorInsights", "UpdateContributorInsights"), "TableName"),
    **dict.fromkeys(("EnableKinesisStreamingDestination", "DisableKinesisStreamingDestination"), "TableName"),
    **dict.fromkeys(("DescribeKinesisStreamingDestination", "UpdateKinesisStreamingDestination"), "TableName"),
    **dict.fromkeys(("TagResource", "UntagResource", "ListTagsOfResource"), "ResourceArn"),
    **dict.fromkeys(("PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy"), "ResourceArn"),
    **dict.fromkeys(("DescribeStream", "GetShardIterator"), "StreamArn"),
}
"""The member that names the resource. Other operations need a permission on ``*``."""


def _item_values(
    operation: str,
    request: Mapping[str, Any],
    partition_names: PartitionNames,
    table: str,
    index: str | None = None,
    enclosing: str | None = None,
) -> dict[str, ConditionValues]:
    values: dict[str, ConditionValues] = {}
    if operation in _ITEM_ACTIONS:
        values[LEADING_KEYS] = _leading_keys(operation, request, partition_names(table, index))
        values[ATTRIBUTES] = _attributes(request)
    elif operation == "SearchVectors":
        # Amazon has no fine-grained access here. A condition on keys or attributes must not allow what it cannot judge.
        values[LEADING_KEYS] = values[ATTRIBUTES] = None
    if operation in ("Query", "Scan"):
        default = "SPECIFIC_ATTRIBUTES" if _projects(request) else "ALL_ATTRIBUTES"
        values[SELECT] = (request.get("Select") or default,)
    elif _projects(request):
        values[SELECT] = ("SPECIFIC_ATTRIBUTES",)
    if operation in ("PutItem", "UpdateItem", "DeleteItem"):
        values[RETURN_VALUES] = (request.get("ReturnValues") or "NONE",)
    values[RETURN_CONSUMED_CAPACITY] = (request.get("ReturnConsumedCapacity") or "NONE",)
    if enclosing is not None:
        values[ENCLOSING_OPERATION] = (enclosing,)
    return values


_ITEM_ACTIONS: Final = frozenset(
    {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem", "Query", "Scan"}
    | {"BatchGetItem", "BatchWriteItem"}
)


def _projects(request: Mapping[str, Any]) -> bool:
    return bool(request.get("ProjectionExpression") or request.get("AttributesToGet"))


def _leading_keys(operation: str, request: Mapping[str, Any], names: tuple[str, ...]) -> ConditionValues:
    if operation == "Scan" or not names:
        return None
    if operation == "Query":
        return _queried_keys(request, names)
    item = request["Item" if operation == "PutItem" else "Key"]
    return tuple(_key_text(item[name]) for name in names)


def _queried_keys(request: Mapping[str, Any], names: tuple[str, ...]) -> ConditionValues:
    legacy = request.get("KeyConditions")
    if legacy:
        return tuple(_key_text(value) for name in names for value in legacy[name]["AttributeValueList"])
    binding = Binding(request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues"))
    try:
        conditions = parse_key_condition(request["KeyConditionExpression"]).bind(binding).conditions()
    except DynamoError:
        return None  # the engine reports the error to callers that are allowed
    return tuple(_key_text(operand) for name in names for operand in conditions[name][1])


def _key_text(value: AttributeValue) -> str:
    ((_, text),) = value.items()
    return str(text)


_ITEM_MEMBERS: Final = ("Item", "Key", "Expected", "AttributeUpdates", "KeyConditions", "QueryFilter", "ScanFilter")
_EXPRESSIONS: Final = (
    "ProjectionExpression",
    "ConditionExpression",
    "UpdateExpression",
    "KeyConditionExpression",
    "FilterExpression",
)


def _attributes(request: Mapping[str, Any]) -> ConditionValues:
    """Return every top-level attribute that the request names; None if an expression cannot be read."""
    named = set(request.get("AttributesToGet") or ())
    for member in _ITEM_MEMBERS:
        named.update(request.get(member) or ())
    placeholders = request.get("ExpressionAttributeNames") or {}
    for member in _EXPRESSIONS:
        if request.get(member):
            try:
                named.update(_attributes_in(request[member], placeholders))
            except DynamoError:
                return None
    return tuple(sorted(named))


def _attributes_in(expression: str, placeholders: Mapping[str, str]) -> Iterator[str]:
    tokens = tokens_of(expression, "expression")
    for before, token, after in zip([tokens[-1], *tokens], tokens, tokens[1:], strict=False):
        if before.text == "." or after.text == "(":
            continue  # a nested part of a path, or a function
        if token.kind == WORD:
            yield token.text
        elif token.kind == NAME:
            yield placeholders.get(token.text, token.text)


def _batch_get(operation: str, request: Mapping[str, Any], partition_names: PartitionNames) -> Iterator[Permission]:
    for table, wanted in request["RequestItems"].items():
        values = _batch_values(partition_names(table, None), wanted["Keys"])
        values[ATTRIBUTES] = _attributes({**wanted, "Key": dict.fromkeys(n for key in wanted["Keys"] for n in key)})
        if _projects(wanted):
            values[SELECT] = ("SPECIFIC_ATTRIBUTES",)
        yield Permission(operation, _arn(table), values)


def _batch_write(operation: str, request: Mapping[str, Any], partition_names: PartitionNames) -> Iterator[Permission]:
    for table, writes in request["RequestItems"].items():
        items = [
            write[member][part]
            for write in writes
            for member, part in (("PutRequest", "Item"), ("DeleteRequest", "Key"))
            if write.get(member)
        ]
        yield Permission(operation, _arn(table), _batch_values(partition_names(table, None), items))


def _batch_values(names: tuple[str, ...], items: list[Mapping[str, Any]]) -> dict[str, ConditionValues]:
    return {
        LEADING_KEYS: tuple(_key_text(item[name]) for item in items for name in names) if names else None,
        ATTRIBUTES: tuple(sorted({name for item in items for name in item})),
    }


_TRANSACT_ACTIONS: Final = {
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


def _transact(operation: str, request: Mapping[str, Any], partition_names: PartitionNames) -> Iterator[Permission]:
    for element in request["TransactItems"]:
        for member, part in element.items():
            action, table = _TRANSACT_ACTIONS[member], part["TableName"]
            yield Permission(
                action, _arn(table), _item_values(action, part, partition_names, table, enclosing=operation)
            )


def _statements(operation: str, request: Mapping[str, Any], partition_names: PartitionNames) -> Iterator[Permission]:
    # Loaded only for statements under a policy.
    from bursar.dynamo.partiql import ExistsStatement, SelectStatement, parse_statement

    for one in request.get("Statements") or request.get("TransactStatements") or [request]:
        try:
            statement = parse_statement(one["Statement"])
        except DynamoError:
            # The engine refuses it, alone or in its batch, so it needs no permission on a resource.
            yield Permission(operation, "*", dict.fromkeys(CONDITION_KEYS))
            continue
        values: dict[str, ConditionValues] = dict.fromkeys((LEADING_KEYS, ATTRIBUTES, SELECT))
        if operation == "ExecuteTransaction":
            values[ENCLOSING_OPERATION] = (operation,)
        if isinstance(statement, ExistsStatement):
            statement = statement.select
        index = statement.index if isinstance(statement, SelectStatement) else None
        yield Permission(f"PartiQL{statement.verb}", _arn(statement.table, index), values)


def _get_records(operation: str, request: Mapping[str, Any], partition_names: PartitionNames) -> Iterator[Permission]:
    """Yield the permission on the stream of an iterator, which starts with the stream's ARN."""
    arn, _version, _position = request["ShardIterator"].split("|")
    yield Permission(operation, _arn(arn))


_READERS: Final[dict[str, PermissionReader]] = {
    "GetRecords": _get_records,
    "BatchGetItem": _batch_get,
    "BatchWriteItem": _batch_write,
    "TransactGetItems": _transact,
    "TransactWriteItems": _transact,
    "ExecuteStatement": _statements,
    "BatchExecuteStatement": _statements,
    "ExecuteTransaction": _statements,
}
