"""CreateTable, DescribeTable, DeleteTable and ListTables, and the descriptions that UpdateTable shares.

Every change takes effect at once, so the next DescribeTable reports the table as ACTIVE. The responses of the changing
operations report CREATING, UPDATING and DELETING, as Amazon's do.
"""

from collections.abc import Mapping
from typing import Any

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid, invalid_parameter
from bursar.dynamo.operations.control_plane.definitions import (
    BILLING,
    DEFINITIONS,
    ENCRYPTION,
    GLOBAL,
    GLOBAL_INDEX,
    KEY_SCHEMA,
    LOCAL,
    LOCAL_INDEX,
    ON_DEMAND,
    STREAM,
    TABLE_CLASS,
    THROUGHPUT,
    WARM,
    check_capacity,
    check_table,
    warm_units,
)
from bursar.dynamo.operations.control_plane.resource_policies import policy_document
from bursar.dynamo.operations.control_plane.tags import TAGS, check_tags
from bursar.dynamo.operations.control_plane.vector_definitions import (
    VECTOR,
    VECTOR_INDEX,
    VECTOR_INDEX_MEMBERS,
    vector_document,
)
from bursar.dynamo.operations.requests.common_members import BOOLEAN, NAME, STRING, TableNameShape
from bursar.dynamo.operations.requests.shapes import AttributeMapShape, IntegerShape, ListShape, Request, Shape
from bursar.dynamo.regions import ACCOUNT
from bursar.dynamo.storage.secondary_index import SecondaryIndex
from bursar.dynamo.storage.sqlite_file import TABLE_ITSELF
from bursar.dynamo.storage.table import Table

TABLES_PER_PAGE_MAX = 100
MANAGED_KEY = "00000000-0000-4000-8000-000000000000"
"""The id of the key that AWS would manage for the account."""
UUID_BITS = 128
REQUIRED = "The parameter '{}' is required but was not present in the request"

CREATE_STREAM = (
    "Table is being created with a stream enabled, UpdateViewType is required",
    "Table is being created with a stream disabled, UpdateViewType should not be specified",
)
UPDATE_STREAM = (
    "If stream is being enabled then UpdateViewType is required",
    "If stream is being disabled, then UpdateViewType must not be specified",
)
"""The errors of an enabled stream without a view type, and of a disabled stream with one."""

UNAVAILABLE_MEMBERS: dict[str, Shape] = {
    "ReplicaUpdates": ListShape(AttributeMapShape()),
    "GlobalTableWitnessUpdates": ListShape(AttributeMapShape()),
    "MultiRegionConsistency": STRING,
    "GlobalTableSourceArn": STRING,
    "GlobalTableSettingsReplicationMode": STRING,
    "DisassociationProtectionEnabled": BOOLEAN,
}
"""Members of CreateTable and UpdateTable that one machine cannot support: they are rejected, not ignored."""

CREATE_TABLE = Request(
    {
        "TableName": TableNameShape(shortest=3),
        "AttributeDefinitions": DEFINITIONS,
        "KeySchema": KEY_SCHEMA,
        "BillingMode": BILLING,
        "ProvisionedThroughput": THROUGHPUT,
        "OnDemandThroughput": ON_DEMAND,
        "WarmThroughput": WARM,
        GLOBAL: ListShape(GLOBAL_INDEX),
        LOCAL: ListShape(LOCAL_INDEX),
        VECTOR: ListShape(VECTOR_INDEX),
        "StreamSpecification": STREAM,
        "SSESpecification": ENCRYPTION,
        "TableClass": TABLE_CLASS,
        "DeletionProtectionEnabled": BOOLEAN,
        "Tags": TAGS,
        "ResourcePolicy": STRING,
        **UNAVAILABLE_MEMBERS,
    },
    required=("TableName", "AttributeDefinitions", "KeySchema"),
    missing=REQUIRED,
)
DESCRIBE_TABLE = Request({"TableName": TableNameShape()}, required=("TableName",), missing=REQUIRED)
DELETE_TABLE = DESCRIBE_TABLE
LIST_TABLES = Request({"ExclusiveStartTableName": NAME, "Limit": IntegerShape(1, TABLES_PER_PAGE_MAX)})


def create_table(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Create a table and its indexes."""
    refuse_unavailable_members(request)
    check_capacity(request)
    check_table(request)
    name = request["TableName"]
    if core.find_table(name) is not None:
        raise DynamoError("ResourceInUseException", f"Table already exists: {name}")
    document = _document(core, request)
    number = 0
    for member, stored in ((LOCAL, index_document), (GLOBAL, index_document), (VECTOR, vector_document)):
        if request.get(member):
            document[member] = []
            for index in request[member]:
                number += 1
                document[member].append(stored(index, number))
    document["NextIndexNumber"] = number + 1
    return {"TableDescription": describe(core, core.create_table(name, document), status="CREATING")}


def describe_table(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table's definition and size."""
    return {"Table": describe(core, existing_table(core, request["TableName"]))}


def delete_table(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Delete a table, unless it is protected."""
    table = existing_table(core, request["TableName"])
    if table.document.get("DeletionProtectionEnabled"):
        raise invalid(
            f"Resource cannot be deleted as it is currently protected against deletion. "
            f"Disable deletion protection first. Table: {table.name}"
        )
    description = describe(core, table, status="DELETING")
    core.delete_table(table)
    kept = (
        "TableName",
        "TableStatus",
        "ProvisionedThroughput",
        "ItemCount",
        "TableSizeBytes",
        "TableArn",
        "TableId",
        "BillingModeSummary",
    )
    return {
        "TableDescription": {
            **{name: description[name] for name in kept if name in description},
            "DeletionProtectionEnabled": False,
        }
    }


def list_tables(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names of the tables, in order, at most 100 of them."""
    after = request.get("ExclusiveStartTableName")
    names = [table.name for table in core.tables() if after is None or table.name > after]
    limit = request.get("Limit") or TABLES_PER_PAGE_MAX
    response: dict[str, Any] = {"TableNames": names[:limit]}
    if len(names) > limit:
        response["LastEvaluatedTableName"] = names[limit - 1]
    return response


def existing_table(core: Core, name: str) -> Table:
    """Return the table. Raise ResourceNotFoundException with its name, as only the operations on tables do."""
    table = core.find_table(name)
    if table is None:
        raise DynamoError("ResourceNotFoundException", f"Requested resource not found: Table: {name} not found")
    return table


def refuse_unavailable_members(request: Mapping[str, Any]) -> None:
    """Raise ValidationException for replicas."""
    for member in UNAVAILABLE_MEMBERS:
        if request.get(member):
            raise invalid_parameter(f"{member} is not available in this engine: it has one region")


def _document(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    now = core.clock()
    document: dict[str, Any] = {
        "TableId": new_table_id(core),
        "CreationDateTime": round(now, 3),
        "AttributeDefinitions": request["AttributeDefinitions"],
        "KeySchema": request["KeySchema"],
        "BillingMode": request.get("BillingMode") or "PROVISIONED",
        "DeletionProtectionEnabled": bool(request.get("DeletionProtectionEnabled")),
    }
    if request.get("Tags"):
        check_tags(request["Tags"])
    if request.get("ResourcePolicy") is not None:
        document["ResourcePolicies"] = policy_document(core, request["ResourcePolicy"])
    for member in ("ProvisionedThroughput", "OnDemandThroughput", "WarmThroughput", "TableClass", "Tags"):
        if request.get(member):
            document[member] = request[member]
    if document["BillingMode"] == "PAY_PER_REQUEST":
        document["OnDemandSince"] = document["CreationDateTime"]
    set_stream(core, request["TableName"], document, request.get("StreamSpecification"), CREATE_STREAM)
    set_encryption(core, document, request.get("SSESpecification"))
    return document


def new_table_id(core: Core) -> str:
    """Return the id of a new table."""
    from uuid import UUID  # imported here: it loads half of `platform`, which a start without a new table does not need

    return str(UUID(int=core.randomness.getrandbits(UUID_BITS), version=4))


def set_stream(
    core: Core,
    table_name: str,
    document: dict[str, Any],
    stream: Mapping[str, Any] | None,
    messages: tuple[str, str],
) -> None:
    """Turn a table's stream on or off in its document; ``messages`` is CREATE_STREAM or UPDATE_STREAM."""
    if stream is None:
        return
    without_view, with_view = messages
    if not stream["StreamEnabled"]:
        if stream.get("StreamViewType"):
            raise invalid_parameter(with_view)
        document.pop("StreamSpecification", None)
        return
    if not stream.get("StreamViewType"):
        raise invalid_parameter(without_view)
    document["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": stream["StreamViewType"]}
    document["LatestStreamLabel"] = core.streams.free_label(table_name, core.clock())


def set_encryption(core: Core, document: dict[str, Any], encryption: Mapping[str, Any] | None) -> None:
    """Store the requested encryption at rest. The engine does not encrypt; only the disk may."""
    if encryption is None:
        return
    if not encryption.get("Enabled"):
        document.pop("SSEDescription", None)
        return
    key = encryption.get("KMSMasterKeyId") or MANAGED_KEY
    if not key.startswith("arn:"):
        resource = key if key.startswith("alias/") else f"key/{key}"
        key = f"arn:aws:kms:{core.storage.region}:{ACCOUNT}:{resource}"
    kind = encryption.get("SSEType") or "KMS"
    document["SSEDescription"] = {"Status": "ENABLED", "SSEType": kind, "KMSMasterKeyArn": key}


def index_document(index: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return an index as the table's document stores it."""
    members = ("IndexName", "KeySchema", "Projection", "ProvisionedThroughput", "OnDemandThroughput", "WarmThroughput")
    return {**{member: index[member] for member in members if index.get(member)}, "Number": number}


def describe(core: Core, table: Table, *, status: str = "ACTIVE") -> dict[str, Any]:
    """Return Amazon's ``TableDescription``."""
    document = table.document
    items, size_bytes = core.storage.counts(table.id, TABLE_ITSELF)
    description: dict[str, Any] = {
        "AttributeDefinitions": document["AttributeDefinitions"],
        "TableName": table.name,
        "KeySchema": document["KeySchema"],
        "TableStatus": status,
        "CreationDateTime": document["CreationDateTime"],
        "ProvisionedThroughput": _throughput(document.get("ProvisionedThroughput")),
        "TableSizeBytes": size_bytes,
        "ItemCount": items,
        "TableArn": table.arn,
        "TableId": document["TableId"],
        "DeletionProtectionEnabled": document["DeletionProtectionEnabled"],
    }
    description["WarmThroughput"] = {**warm(document), "Status": "ACTIVE"}
    if document["BillingMode"] == "PAY_PER_REQUEST" or "OnDemandSince" in document:
        # A table that was never on demand has no summary.
        since = document.get("OnDemandSince", document["CreationDateTime"])
        description["BillingModeSummary"] = {
            "BillingMode": document["BillingMode"],
            "LastUpdateToPayPerRequestDateTime": since,
        }
    if document.get("TableClass"):
        description["TableClassSummary"] = {"TableClass": document["TableClass"]}
    for member in ("OnDemandThroughput", "SSEDescription"):
        if member in document:
            description[member] = document[member]
    if "StreamSpecification" in document:
        description["StreamSpecification"] = document["StreamSpecification"]
    if "LatestStreamLabel" in document:
        description["LatestStreamLabel"] = document["LatestStreamLabel"]
        description["LatestStreamArn"] = f"{table.arn}/stream/{document['LatestStreamLabel']}"
    for member, is_global in ((LOCAL, False), (GLOBAL, True)):
        indexes = [
            _describe_index(core, table, index, one, creating=status == "CREATING")
            for one in document.get(member, ())
            if (index := table.indexes[one["IndexName"]]).is_global is is_global
        ]
        if indexes:
            description[member] = indexes
    if document.get(VECTOR):
        description[VECTOR] = [
            _describe_vectors(core, table, one, creating=status == "CREATING") for one in document[VECTOR]
        ]
    return description


def _describe_vectors(core: Core, table: Table, document: Mapping[str, Any], *, creating: bool) -> dict[str, Any]:
    items, size_bytes = core.storage.counts(table.id, document["Number"])
    return {
        **{member: document[member] for member in VECTOR_INDEX_MEMBERS if member in document},
        "IndexStatus": "CREATING" if creating else "ACTIVE",
        "IndexSizeBytes": size_bytes,
        "ItemCount": items,
        "IndexArn": f"{table.arn}/index/{document['IndexName']}",
    }


def _describe_index(
    core: Core, table: Table, index: SecondaryIndex, document: Mapping[str, Any], *, creating: bool
) -> dict[str, Any]:
    items, size_bytes = core.storage.counts(table.id, index.number)
    description = {
        "IndexName": index.name,
        "KeySchema": document["KeySchema"],
        "Projection": document["Projection"],
        "IndexSizeBytes": size_bytes,
        "ItemCount": items,
        "IndexArn": f"{table.arn}/index/{index.name}",
    }
    if index.is_global:
        description["IndexStatus"] = "CREATING" if creating else "ACTIVE"
        description["ProvisionedThroughput"] = _throughput(document.get("ProvisionedThroughput"))
        description["WarmThroughput"] = {**warm(document), "Status": description["IndexStatus"]}
        if "OnDemandThroughput" in document:
            description["OnDemandThroughput"] = document["OnDemandThroughput"]
    return description


def warm(document: Mapping[str, Any]) -> dict[str, int]:
    """Return the warm throughput of a table's or an index's document."""
    asked = document.get("WarmThroughput") or {}
    return {name: max(units, asked.get(name) or 0) for name, units in warm_units(document).items()}


def _throughput(throughput: Mapping[str, int] | None) -> dict[str, int]:
    return {"NumberOfDecreasesToday": 0, **capacity_units(throughput)}


def capacity_units(throughput: Mapping[str, int] | None) -> dict[str, int]:
    """Return provisioned units; 0 for a table that has none."""
    units = throughput or {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}
    return {name: units[name] for name in ("ReadCapacityUnits", "WriteCapacityUnits")}
