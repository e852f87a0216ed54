"""CreateBackup, DescribeBackup, ListBackups, DeleteBackup and RestoreTableFromBackup.

A backup is complete when CreateBackup is answered. It contains exactly the writes that were committed before.
"""

import re
from collections.abc import Mapping
from typing import Any

from bursar.clock import iso_s
from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid, invalid_parameter, invalid_request
from bursar.dynamo.operations.backups.continuous_backups import table_with_backups
from bursar.dynamo.operations.backups.restores import OVERRIDES, restore
from bursar.dynamo.operations.control_plane.tables import capacity_units
from bursar.dynamo.operations.control_plane.vector_definitions import VECTOR, VECTOR_INDEX_MEMBERS
from bursar.dynamo.operations.requests.common_members import NAME, TABLE_NAME
from bursar.dynamo.operations.requests.shapes import IntegerShape, Request, StringShape
from bursar.dynamo.operations.requests.timestamps import TIMESTAMP
from bursar.dynamo.regions import ACCOUNT
from bursar.dynamo.storage.backups import SYSTEM, USER, Backup

BACKUPS_PER_PAGE_MAX = 100
_ARN = StringShape(37, 1024)
_ARN_OF_BACKUP = re.compile(r"arn:[^:]+:dynamodb:[^:]+:(?P<account>[^:]*):table/[a-zA-Z0-9_.-]+/backup/[^/]+")
CREATE_BACKUP = Request({"TableName": TABLE_NAME, "BackupName": NAME}, ("TableName", "BackupName"))
BY_BACKUP = Request({"BackupArn": _ARN}, ("BackupArn",))
LIST_BACKUPS = Request(
    {
        "TableName": TABLE_NAME,
        "Limit": IntegerShape(1, BACKUPS_PER_PAGE_MAX),
        "TimeRangeLowerBound": TIMESTAMP,
        "TimeRangeUpperBound": TIMESTAMP,
        "ExclusiveStartBackupArn": _ARN,
        "BackupType": StringShape(choices=("USER", "SYSTEM", "AWS_BACKUP", "ALL")),
    }
)
RESTORE_FROM_BACKUP = Request(
    {"TargetTableName": NAME, "BackupArn": _ARN, **OVERRIDES}, ("TargetTableName", "BackupArn")
)


def create_backup(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a table's items and settings."""
    table = table_with_backups(core, request["TableName"])
    core.flush_counts()
    backup = core.backups.create(table, request["BackupName"], core.clock())
    return {"BackupDetails": _details(backup, "CREATING")}


def describe_backup(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a backup, and the definition of its table at that time."""
    return {"BackupDescription": _described(core, _existing(core, request), "AVAILABLE")}


def delete_backup(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Remove a backup, and return it."""
    backup = _existing(core, request)
    if backup.expires_at is not None:
        raise invalid_request(
            f"User is not allowed to delete the system backup with arn {backup.arn}. "
            f"It will automatically expire on {iso_s(backup.expires_at)}"
        )
    core.backups.remove(backup)
    return {"BackupDescription": _described(core, backup, "DELETED")}


def list_backups(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the backups, oldest first, at most 100; those that users made, unless the request names another type."""
    lower, upper = request.get("TimeRangeLowerBound"), request.get("TimeRangeUpperBound")
    if lower is not None and upper is not None and lower > upper:
        raise invalid_parameter("Time range lower bound must be less than or equal to upper bound")
    backups = [backup for backup in core.backups.all() if _is_asked_for(core, backup, request)]
    start = request.get("ExclusiveStartBackupArn")
    if start is not None:
        known = [backup.arn for backup in backups]
        backups = backups[known.index(start) + 1 :] if start in known else [one for one in backups if one.arn > start]
    limit = request.get("Limit") or BACKUPS_PER_PAGE_MAX
    page = backups[:limit]
    response: dict[str, Any] = {"BackupSummaries": [_summary(core, backup) for backup in page]}
    if len(backups) > limit:
        response["LastEvaluatedBackupArn"] = page[-1].arn
    return response


def restore_from_backup(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Create a table with the items and the settings of a backup."""
    backup = _existing(core, request)
    summary = {
        "SourceBackupArn": backup.arn,
        "SourceTableArn": core.storage.table_arn_prefix + backup.table_name,
        "RestoreDateTime": backup.created_at,
    }
    return restore(core, request, backup.document["Table"], summary, lambda items: core.backups.fill(items, backup))


def _existing(core: Core, request: Mapping[str, Any]) -> Backup:
    arn = _ARN_OF_BACKUP.fullmatch(request["BackupArn"])
    if arn is None:
        raise invalid("Invalid Backup ARN")
    if arn["account"] != ACCOUNT:
        raise DynamoError("AccessDeniedException", "Access is denied")
    backup = core.backups.find(request["BackupArn"])
    if backup is None:
        raise DynamoError("BackupNotFoundException", f"Backup not found: {request['BackupArn']}")
    return backup


def _is_asked_for(core: Core, backup: Backup, request: Mapping[str, Any]) -> bool:
    name = request.get("TableName")
    lower, upper = request.get("TimeRangeLowerBound"), request.get("TimeRangeUpperBound")
    return (
        (name is None or name.removeprefix(core.storage.table_arn_prefix) == backup.table_name)
        and (request.get("BackupType") or USER) in (backup.type, "ALL")
        and (lower is None or backup.created_at >= lower)
        and (upper is None or backup.created_at < upper)
    )


def _details(backup: Backup, status: str) -> dict[str, Any]:
    details = {
        "BackupArn": backup.arn,
        "BackupName": backup.document["Name"],
        "BackupSizeBytes": backup.document["Bytes"],
        "BackupStatus": status,
        "BackupType": backup.type,
        "BackupCreationDateTime": backup.created_at,
    }
    if backup.expires_at is not None:
        details["BackupExpiryDateTime"] = backup.expires_at
    return details


def _summary(core: Core, backup: Backup) -> dict[str, Any]:
    return {
        "TableName": backup.table_name,
        "TableId": backup.document["Table"]["TableId"],
        "TableArn": core.storage.table_arn_prefix + backup.table_name,
        **_details(backup, "AVAILABLE"),
    }


def _described(core: Core, backup: Backup, status: str) -> dict[str, Any]:
    table = backup.document["Table"]
    source: dict[str, Any] = {
        "TableName": backup.table_name,
        "TableId": table["TableId"],
        "TableArn": core.storage.table_arn_prefix + backup.table_name,
        "TableSizeBytes": backup.document["Bytes"],
        "KeySchema": table["KeySchema"],
        "TableCreationDateTime": table["CreationDateTime"],
        "ProvisionedThroughput": capacity_units(table.get("ProvisionedThroughput")),
        "ItemCount": backup.document["Items"],
        "BillingMode": table["BillingMode"],
    }
    if "OnDemandThroughput" in table:
        source["OnDemandThroughput"] = table["OnDemandThroughput"]
    return {
        "BackupDetails": _details(backup, status),
        "SourceTableDetails": source,
        "SourceTableFeatureDetails": {} if backup.type == SYSTEM else _features(table),
    }


def _features(table: Mapping[str, Any]) -> dict[str, Any]:
    features: dict[str, Any] = {}
    for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        infos = [{part: index[part] for part in _INDEX_PARTS if part in index} for index in table.get(member, ())]
        if infos:
            features[member] = infos
    if table.get(VECTOR):
        features[VECTOR] = [
            {part: index[part] for part in VECTOR_INDEX_MEMBERS if part in index} for index in table[VECTOR]
        ]
    if "StreamSpecification" in table:
        features["StreamDescription"] = table["StreamSpecification"]
    if "TimeToLive" in table:
        features["TimeToLiveDescription"] = {
            "TimeToLiveStatus": "ENABLED",
            "AttributeName": table["TimeToLive"]["AttributeName"],
        }
    if "SSEDescription" in table:
        features["SSEDescription"] = table["SSEDescription"]
    return features


_INDEX_PARTS = ("IndexName", "KeySchema", "Projection", "ProvisionedThroughput", "OnDemandThroughput")
