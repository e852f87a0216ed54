"""RestoreTableToPointInTime and RestoreTableFromBackup: a new table with the items and the settings of another.

The new table has the keys, indexes, capacity and encryption of the source, or those of the request's overrides. It has
no tags, stream, time to live, deletion protection, policy, table class or point-in-time recovery, as on Amazon, and no
rules. Requests are checked in Amazon's order: their shape, point-in-time recovery, the time, the target, the overrides.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bursar.clock import iso_s
from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid, invalid_request
from bursar.dynamo.operations.backups.continuous_backups import latest_restorable, table_with_backups
from bursar.dynamo.operations.control_plane.definitions import (
    BILLING,
    ENCRYPTION,
    GLOBAL,
    GLOBAL_INDEX,
    LOCAL,
    LOCAL_INDEX,
    ON_DEMAND,
    THROUGHPUT,
    check_units,
)
from bursar.dynamo.operations.control_plane.tables import (
    REQUIRED,
    describe,
    index_document,
    new_table_id,
    set_encryption,
)
from bursar.dynamo.operations.control_plane.vector_definitions import (
    VECTOR,
    VECTOR_INDEX,
    VECTOR_INDEX_MEMBERS,
    only_on_demand,
    search_names,
    vector_document,
)
from bursar.dynamo.operations.requests.common_members import BOOLEAN, NAME, STRING
from bursar.dynamo.operations.requests.shapes import ListShape, Request, Shape
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
    "VectorIndexOverride": ListShape(VECTOR_INDEX),
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
BOTH_TIMES = (
    "Both RestoreDateTime and UseLatestRestorableTime cannot be set for point-in-time restore request. "
    "Please specify either RestoreDateTime time or UseLatestRestorableTime"
)
CAPACITY_ON_DEMAND = "Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST"
NEITHER_TIME = "Either one of RestoreDateTime or UseLatestRestorableTime must be specified, but not both"
_KEPT = (
    "AttributeDefinitions",
    "KeySchema",
    "BillingMode",
    "ProvisionedThroughput",
    "OnDemandThroughput",
    "SSEDescription",
)


def restore_to_point_in_time(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Create a table with the items that another one had at an instant."""
    source_name, source_arn = request.get("SourceTableName"), request.get("SourceTableArn")
    if source_name is None and source_arn is None:
        raise invalid(REQUIRED.format("TableName"))
    if source_name is not None and source_arn is not None:
        raise invalid(ONE_SOURCE)
    latest = bool(request.get("UseLatestRestorableTime"))
    if latest == (request.get("RestoreDateTime") is not None):
        raise invalid_request(BOTH_TIMES if latest else NEITHER_TIME)
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
    """Return the instant (epoch s) that a request restores; raise if the table's past does not have it."""
    recovery = recovery_of(source)
    if recovery is None:
        raise no_recovery(source)
    latest, instant_s = latest_restorable(core, source), request.get("RestoreDateTime")
    if instant_s is None:
        return latest
    earliest = recovery.earliest(core.clock())
    if not earliest <= instant_s <= latest:
        raise DynamoError(
            "InvalidRestoreTimeException",
            f"RestoreDateTime '{iso_s(instant_s)}' must be within EarliestRestorableDateTime "
            f"'{iso_s(math.ceil(earliest))}' and LatestRestorableDateTime '{iso_s(latest)}'",
        )
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
    if core.find_table(name) is not None:
        raise DynamoError("TableAlreadyExistsException", f"Table already exists: {name}")
    document = _document(core, request, source)
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
        VECTOR: _indexes(source, VECTOR, request.get("VectorIndexOverride")),
    }
    _set_capacity(document, request)
    for index in indexes[GLOBAL]:
        _set_index_capacity(index, document, overridden=request.get("GlobalSecondaryIndexOverride") is not None)
    set_encryption(core, document, request.get("SSESpecificationOverride"))
    number = 0
    for member, chosen in indexes.items():
        for index in chosen:
            number += 1
            stored = vector_document if member == VECTOR else index_document
            document.setdefault(member, []).append(stored(index, number))
    document["NextIndexNumber"] = number + 1
    schemas = [document["KeySchema"], *(index["KeySchema"] for index in (*indexes[LOCAL], *indexes[GLOBAL]))]
    used = {part["AttributeName"] for schema in schemas for part in schema} | search_names(indexes[VECTOR])
    if indexes[VECTOR] and document["BillingMode"] != "PAY_PER_REQUEST":
        raise only_on_demand()
    document["AttributeDefinitions"] = [one for one in document["AttributeDefinitions"] if one["AttributeName"] in used]
    return document


def _indexes(
    source: Mapping[str, Any], member: str, override: Sequence[Mapping[str, Any]] | None
) -> list[dict[str, Any]]:
    """Return the indexes of the new table: those of the source, or those that an override lists.

    An index of an override must have the keys and the projection of an index of the source; its name may differ.
    """
    existing = [dict(index) for index in source.get(member, ())]
    if override is None:
        return existing
    parts = VECTOR_INDEX_MEMBERS[1:] if member == VECTOR else ("KeySchema", "Projection")
    known = [[index.get(part) for part in parts] for index in existing]
    for index in override:
        if [index.get(part) for part in parts] not in known:
            raise invalid_request(
                f"Index {index['IndexName']} does not match a secondary index that existed in the source table and "
                "cannot be created during the restore operation"
            )
    return [dict(index) for index in override]


def _set_capacity(document: dict[str, Any], request: Mapping[str, Any]) -> None:
    mode, throughput = request.get("BillingModeOverride"), request.get("ProvisionedThroughputOverride")
    if mode == "PROVISIONED" and throughput is None:
        raise invalid_request("Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED")
    if mode == "PAY_PER_REQUEST" and throughput is not None:
        raise invalid_request(CAPACITY_ON_DEMAND)
    if mode is not None:
        document["BillingMode"] = mode
    if document["BillingMode"] == "PAY_PER_REQUEST":
        if throughput is not None:
            raise invalid_request("Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED")
        document.pop("ProvisionedThroughput", None)
    elif request.get("OnDemandThroughputOverride"):
        raise invalid_request(
            "Cannot override MaxReadRequestUnits for OnDemandThroughput unless BillingModeOverride is PAY_PER_REQUEST"
        )
    else:
        document.pop("OnDemandThroughput", None)
    for member in ("ProvisionedThroughput", "OnDemandThroughput"):
        if request.get(f"{member}Override"):
            document[member] = request[f"{member}Override"]
    if throughput is not None:
        check_units(throughput)


def _set_index_capacity(index: dict[str, Any], document: Mapping[str, Any], *, overridden: bool) -> None:
    """Fit a global index's capacity to the billing mode of its table."""
    name, throughput = index["IndexName"], index.get("ProvisionedThroughput")
    if document["BillingMode"] == "PAY_PER_REQUEST":
        if overridden and throughput is not None:
            raise invalid_request(f"{CAPACITY_ON_DEMAND} for index {name}")
        index.pop("ProvisionedThroughput", None)
    elif throughput is None and overridden:
        raise invalid_request(f"Must specify provisioned throughput for index {name}")
    elif throughput is None:
        index["ProvisionedThroughput"] = document["ProvisionedThroughput"]
