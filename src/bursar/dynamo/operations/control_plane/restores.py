"""RestoreTableToPointInTime and RestoreTableFromBackup: a new table with the items and the settings of another.

The new table has the keys, indexes, capacity and encryption of the source, or those of the request's overrides. It has
no tags, stream, time to live, deletion protection, policy or point-in-time recovery, as on Amazon, and no rules.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid, invalid_parameter
from bursar.dynamo.operations.control_plane.continuous_backups import latest_restorable, table_with_backups
from bursar.dynamo.operations.control_plane.definitions import (
    BILLING,
    ENCRYPTION,
    GLOBAL,
    GLOBAL_INDEX,
    LOCAL,
    LOCAL_INDEX,
    ON_DEMAND,
    THROUGHPUT,
    check_capacity,
)
from bursar.dynamo.operations.control_plane.tables import (
    describe,
    index_document,
    new_table_id,
    refuse_unavailable_members,
    set_encryption,
)
from bursar.dynamo.operations.requests.common_members import BOOLEAN, NAME, STRING
from bursar.dynamo.operations.requests.shapes import AttributeMapShape, ListShape, Request, Shape
from bursar.dynamo.operations.requests.timestamps import TIMESTAMP
from bursar.dynamo.storage.history import History, micros, recovery_of
from bursar.dynamo.storage.table import Table

OVERRIDES: dict[str, Shape] = {
    "BillingModeOverride": BILLING,
    "GlobalSecondaryIndexOverride": ListShape(GLOBAL_INDEX),
    "LocalSecondaryIndexOverride": ListShape(LOCAL_INDEX),
    "ProvisionedThroughputOverride": THROUGHPUT,
    "OnDemandThroughputOverride": ON_DEMAND,
    "SSESpecificationOverride": ENCRYPTION,
    "VectorIndexOverride": ListShape(AttributeMapShape()),
}
RESTORE_TO_POINT_IN_TIME = Request(
    {
        "TargetTableName": NAME,
        "SourceTableName": NAME,
        "SourceTableArn": STRING,
        "UseLatestRestorableTime": BOOLEAN,
        "RestoreDateTime": TIMESTAMP,
        **OVERRIDES,
    },
    ("TargetTableName",),
)

ONE_SOURCE = "Must provide exactly one of: sourceTableArn, sourceTableName"
OUTSIDE_OF_PERIOD = (
    "An invalid restore time was specified. RestoreDateTime must be between EarliestRestorableDateTime and "
    "LatestRestorableDateTime."
)
NOT_MATCHING = "The indexes provided should match existing secondary indexes"
_KEPT = (
    "AttributeDefinitions",
    "KeySchema",
    "BillingMode",
    "BillingModeChosen",
    "ProvisionedThroughput",
    "OnDemandThroughput",
    "TableClass",
    "SSEDescription",
)


def restore_to_point_in_time(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Create a table with the items that another one had at an instant."""
    source_name, source_arn = request.get("SourceTableName"), request.get("SourceTableArn")
    if (source_name is None) == (source_arn is None):
        raise invalid(ONE_SOURCE)
    source = table_with_backups(core, source_name or source_arn or "")
    instant_s = restorable_instant(core, source, request)
    history = History(core.storage, source.id)
    summary = {"SourceTableArn": source.arn, "RestoreDateTime": instant_s}
    return restore(
        core,
        request,
        source.document,
        summary,
        lambda items: history.fill(items, f"items_{source.id}", micros(instant_s)),
    )


def restorable_instant(core: Core, source: Table, request: Mapping[str, Any]) -> float:
    """Return the instant (epoch s) that a request restores; raise if the table does not have it any more or yet."""
    recovery = recovery_of(source)
    if recovery is None:
        raise no_recovery(source)
    latest, instant_s = latest_restorable(core, source), request.get("RestoreDateTime")
    if (instant_s is None) != bool(request.get("UseLatestRestorableTime")):
        raise invalid("Must provide exactly one of: restoreDateTime, useLatestRestorableTime")
    if instant_s is None:
        return latest
    if not recovery.earliest(core.clock()) <= instant_s <= latest:
        raise DynamoError("InvalidRestoreTimeException", OUTSIDE_OF_PERIOD)
    return float(instant_s)


def no_recovery(table: Table) -> DynamoError:
    """Return the error of a table without point-in-time recovery."""
    return DynamoError(
        "PointInTimeRecoveryUnavailableException", f"Point in time recovery is not enabled for table '{table.name}'"
    )


def restore(
    core: Core,
    request: Mapping[str, Any],
    source: Mapping[str, Any],
    summary: Mapping[str, Any],
    fill: Callable[[str], None],
) -> dict[str, Any]:
    """Create the target table by the document of its source and the overrides, and fill it.

    ``fill`` inserts the items into the SQLite table of the given name.
    """
    name = request["TargetTableName"]
    refuse_unavailable_members({"VectorIndexes": request.get("VectorIndexOverride")})
    if core.find_table(name) is not None:
        raise DynamoError("TableAlreadyExistsException", f"Table already exists: {name}")
    document = _document(core, request, source)
    document["RestoreSummary"] = {**summary, "RestoreInProgress": False}
    table = core.create_table(name, document)
    core.fill_table(table, fill)
    description = describe(core, table, status="CREATING")
    description["RestoreSummary"] = {**summary, "RestoreInProgress": True}
    return {"TableDescription": description}


def _document(core: Core, request: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "TableId": new_table_id(core),
        "CreationDateTime": round(core.clock(), 3),
        "DeletionProtectionEnabled": False,
        **{member: source[member] for member in _KEPT if member in source},
    }
    indexes = {
        LOCAL: _indexes(source, LOCAL, request.get("LocalSecondaryIndexOverride")),
        GLOBAL: _indexes(source, GLOBAL, request.get("GlobalSecondaryIndexOverride")),
    }
    _set_billing(document, indexes[GLOBAL], request)
    set_encryption(document, request.get("SSESpecificationOverride"))
    number = 0
    for member, chosen in indexes.items():
        for index in chosen:
            number += 1
            document.setdefault(member, []).append(index_document(index, number))
    document["NextIndexNumber"] = number + 1
    schemas = [document["KeySchema"], *(index["KeySchema"] for chosen in indexes.values() for index in chosen)]
    used = {part["AttributeName"] for schema in schemas for part in schema}
    document["AttributeDefinitions"] = [one for one in document["AttributeDefinitions"] if one["AttributeName"] in used]
    return document


def _indexes(
    source: Mapping[str, Any], member: str, override: Sequence[Mapping[str, Any]] | None
) -> list[dict[str, Any]]:
    """Return the indexes of the new table: those of the source, or those of them that an override names."""
    existing = {index["IndexName"]: dict(index) for index in source.get(member, ())}
    if override is None:
        return list(existing.values())
    chosen = []
    for index in override:
        known = existing.pop(index["IndexName"], None)
        if known is None or any(known[part] != index[part] for part in ("KeySchema", "Projection")):
            raise invalid_parameter(f"{NOT_MATCHING}: {index['IndexName']}")
        changed = {part: index[part] for part in ("ProvisionedThroughput", "OnDemandThroughput") if index.get(part)}
        chosen.append({**known, **changed})
    return chosen


def _set_billing(document: dict[str, Any], indexes: Sequence[dict[str, Any]], request: Mapping[str, Any]) -> None:
    mode = request.get("BillingModeOverride")
    if mode is not None and mode != document["BillingMode"]:
        document["BillingMode"], document["BillingModeChosen"] = mode, True
        document.pop("ProvisionedThroughput", None)
        document.pop("OnDemandThroughput", None)
        overridden = {index["IndexName"]: index for index in request.get("GlobalSecondaryIndexOverride") or ()}
        for index in indexes:
            for part in ("ProvisionedThroughput", "OnDemandThroughput"):
                if not overridden.get(index["IndexName"], {}).get(part):
                    index.pop(part, None)
    for member in ("ProvisionedThroughput", "OnDemandThroughput"):
        if request.get(f"{member}Override"):
            document[member] = request[f"{member}Override"]
    check_capacity({**document, GLOBAL: indexes})
