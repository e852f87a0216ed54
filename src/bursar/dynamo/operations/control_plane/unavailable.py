"""Answer for features that one machine lacks: replicas.

Requests that only read get the true answer: there are no global tables. Requests for the feature are rejected with an
error of the operation in Amazon's service model, if one fits, and the text names the missing feature. No request is
accepted and then ignored.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid, invalid_parameter
from bursar.dynamo.operations.control_plane.tables import existing_table
from bursar.dynamo.operations.requests.common_members import NAME, STRING, TABLE_NAME
from bursar.dynamo.operations.requests.shapes import (
    AttributeMapShape,
    IntegerShape,
    ListShape,
    Request,
)
from bursar.dynamo.storage.table import Table

Run = Callable[[Core, Mapping[str, Any]], dict[str, Any]]

_ANYTHING = AttributeMapShape()
BY_TABLE = Request({"TableName": TABLE_NAME}, ("TableName",))
BY_GLOBAL_TABLE = Request({"GlobalTableName": NAME}, ("GlobalTableName",))
LIST_GLOBAL_TABLES = Request({"ExclusiveStartGlobalTableName": NAME, "Limit": IntegerShape(1), "RegionName": STRING})
CREATE_GLOBAL_TABLE = Request(
    {"GlobalTableName": NAME, "ReplicationGroup": ListShape(_ANYTHING)}, ("GlobalTableName", "ReplicationGroup")
)
UPDATE_GLOBAL_TABLE = Request(
    {"GlobalTableName": NAME, "ReplicaUpdates": ListShape(_ANYTHING)}, ("GlobalTableName", "ReplicaUpdates")
)

LEGACY_GLOBAL_TABLES = (
    "DynamoDB global tables version 2017.11.29 is not supported. We recommend using DynamoDB global tables version "
    "2019.11.21, instead of version 2017.11.29 (Legacy)."
)


def answer_empty_list(member: str) -> Run:
    """Return an operation that answers with an empty list."""
    return lambda _core, _request: {member: []}


def answer_not_found(code: str, text: str, member: str) -> Run:
    """Return an operation that answers that the named resource does not exist."""

    def run(_core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
        raise DynamoError(code, f"{text}: {request[member]}")

    return run


def refuse(error: Callable[[], DynamoError]) -> Run:
    """Return an operation that rejects every request."""

    def run(_core: Core, _request: Mapping[str, Any]) -> dict[str, Any]:
        raise error()

    return run


def refuse_for_table(error: Callable[[Table], DynamoError]) -> Run:
    """Return an operation that rejects requests for existing tables; a missing table is reported first."""

    def run(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
        raise error(existing_table(core, request["TableName"]))

    return run


# Replicas ---------------------------------------------------------------------------------------------------


def describe_replica_auto_scaling(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer that the table has no replicas."""
    table = existing_table(core, request["TableName"])
    return {"TableAutoScalingDescription": {"TableName": table.name, "TableStatus": "ACTIVE", "Replicas": []}}


def no_auto_scaling(table: Table) -> DynamoError:
    """Return the error of UpdateTableReplicaAutoScaling."""
    return invalid(
        f"Failed to update settings for global table with name: ‘{table.name}’: "
        "replicas and auto scaling are not available in this engine"
    )


def legacy_global_table() -> DynamoError:
    """Return Amazon's error of CreateGlobalTable and UpdateGlobalTable for new accounts."""
    return invalid_parameter(LEGACY_GLOBAL_TABLES)


_NONE = "answers that there are none"
_NO_REPLICAS = "refused: one machine has no replicas"

_no_global_table = answer_not_found(
    "GlobalTableNotFoundException", "Global table not found: Global table with name", "GlobalTableName"
)

UNAVAILABLE: dict[str, tuple[Request, Run, str]] = {
    "CreateGlobalTable": (CREATE_GLOBAL_TABLE, refuse(legacy_global_table), _NO_REPLICAS),
    "UpdateGlobalTable": (UPDATE_GLOBAL_TABLE, refuse(legacy_global_table), _NO_REPLICAS),
    "DescribeGlobalTable": (BY_GLOBAL_TABLE, _no_global_table, _NONE),
    "ListGlobalTables": (LIST_GLOBAL_TABLES, answer_empty_list("GlobalTables"), _NONE),
    "DescribeGlobalTableSettings": (BY_GLOBAL_TABLE, _no_global_table, _NONE),
    "UpdateGlobalTableSettings": (BY_GLOBAL_TABLE, _no_global_table, _NO_REPLICAS),
    "DescribeTableReplicaAutoScaling": (BY_TABLE, describe_replica_auto_scaling, _NONE),
    "UpdateTableReplicaAutoScaling": (BY_TABLE, refuse_for_table(no_auto_scaling), _NO_REPLICAS),
}
"""Operation → (shape, answer, entry in docs/compatibility.md)."""
