"""UpdateTable: billing, throughput, global indexes, stream, table class, deletion protection, encryption."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid, invalid_parameter
from bursar.dynamo.operations.control_plane.definitions import (
    BILLING,
    DEFINITIONS,
    ENCRYPTION,
    GLOBAL,
    GLOBAL_INDEX,
    GLOBAL_INDEXES_MAX,
    LOCAL,
    ON_DEMAND,
    STREAM,
    TABLE_CLASS,
    THROUGHPUT,
    WARM,
    attribute_types,
    check_index_capacity,
    check_new_global_index,
    check_on_demand,
    check_units,
    check_warm,
    known_members,
    too_many_global_indexes,
)
from bursar.dynamo.operations.control_plane.tables import (
    REQUIRED,
    UNAVAILABLE_MEMBERS,
    UPDATE_STREAM,
    describe,
    existing_table,
    index_document,
    refuse_unavailable_members,
    set_encryption,
    set_stream,
    warm,
)
from bursar.dynamo.operations.control_plane.vector_definitions import (
    VECTOR,
    VECTOR_INDEX_UPDATE,
    check_vectors,
    only_on_demand,
    search_names,
    vector_document,
)
from bursar.dynamo.operations.requests.common_members import BOOLEAN, NAME, TableNameShape
from bursar.dynamo.operations.requests.shapes import ListShape, Request, StructureShape
from bursar.dynamo.storage.table import Table

VECTOR_UPDATES = "VectorIndexUpdates"
NOTHING_ASKED = (
    "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or "
    "SSESpecification or ReplicaUpdates is required"
)
SETTINGS = (
    "BillingMode",
    "ProvisionedThroughput",
    "OnDemandThroughput",
    "GlobalSecondaryIndexUpdates",
    "StreamSpecification",
    "SSESpecification",
    "TableClass",
    "DeletionProtectionEnabled",
    "WarmThroughput",
    VECTOR_UPDATES,
)
INDEX_UPDATES_PER_REQUEST_MAX = 1
"""The most indexes that one request may create or delete."""

_INDEX_UPDATE = StructureShape(
    {
        "Update": StructureShape(
            {
                "IndexName": NAME,
                "ProvisionedThroughput": THROUGHPUT,
                "OnDemandThroughput": ON_DEMAND,
                "WarmThroughput": WARM,
            },
            ("IndexName",),
        ),
        "Create": GLOBAL_INDEX,
        "Delete": StructureShape({"IndexName": NAME}, ("IndexName",)),
    }
)
UPDATE_TABLE = Request(
    {
        "TableName": TableNameShape(shortest=3),
        "AttributeDefinitions": DEFINITIONS,
        "BillingMode": BILLING,
        "ProvisionedThroughput": THROUGHPUT,
        "OnDemandThroughput": ON_DEMAND,
        "WarmThroughput": WARM,
        "GlobalSecondaryIndexUpdates": ListShape(_INDEX_UPDATE),
        VECTOR_UPDATES: ListShape(VECTOR_INDEX_UPDATE),
        "StreamSpecification": STREAM,
        "SSESpecification": ENCRYPTION,
        "TableClass": TABLE_CLASS,
        "DeletionProtectionEnabled": BOOLEAN,
        **UNAVAILABLE_MEMBERS,
    },
    required=("TableName",),
    missing=REQUIRED,
)


def update_table(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Change a table's settings, and fill an added index."""
    refuse_unavailable_members(request)
    if all(request.get(name) is None or request[name] == [] for name in SETTINGS):
        raise invalid(NOTHING_ASKED)
    table = existing_table(core, request["TableName"])
    document: dict[str, Any] = {
        **table.document,
        GLOBAL: [dict(index) for index in table.document.get(GLOBAL, ())],
        VECTOR: [dict(index) for index in table.document.get(VECTOR, ())],
    }
    _set_billing(core, document, request)
    _set_throughput(document, request)
    _set_stream(core, table, document, request)
    set_encryption(core, document, request.get("SSESpecification"))
    check_on_demand(request)
    check_warm({**document, "WarmThroughput": request.get("WarmThroughput")}, current=warm(table.document))
    if request.get("WarmThroughput"):
        document["WarmThroughput"] = {
            **document.get("WarmThroughput", {}),
            **known_members(request, "WarmThroughput", WARM),
        }
    if on_demand := known_members(request, "OnDemandThroughput", ON_DEMAND):
        document["OnDemandThroughput"] = on_demand
    for member in ("TableClass", "DeletionProtectionEnabled"):
        if request.get(member) is not None:
            document[member] = request[member]
    _set_indexes(table, document, request)
    for member in (GLOBAL, VECTOR):
        if not document[member]:
            del document[member]
    changed = core.change_table(table, document)
    return {"TableDescription": _describe(core, changed, request)}


def _set_billing(core: Core, document: dict[str, Any], request: Mapping[str, Any]) -> None:
    mode, throughput = request.get("BillingMode"), request.get("ProvisionedThroughput")
    now_on_demand = (mode or document["BillingMode"]) == "PAY_PER_REQUEST"
    if now_on_demand and throughput is not None:
        raise invalid_parameter(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"
        )
    if mode is None:
        return
    if mode == "PROVISIONED" and throughput is None and document["BillingMode"] != mode:
        raise invalid_parameter(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
        )
    if not now_on_demand and document[VECTOR]:
        raise only_on_demand()
    if now_on_demand and document["BillingMode"] != mode:
        document["OnDemandSince"] = round(core.clock(), 3)
        document.pop("ProvisionedThroughput", None)
        for index in document[GLOBAL]:
            index.pop("ProvisionedThroughput", None)
    elif document["BillingMode"] != mode:
        document.setdefault("OnDemandSince", document["CreationDateTime"])
    document["BillingMode"] = mode


def _set_throughput(document: dict[str, Any], request: Mapping[str, Any]) -> None:
    throughput = request.get("ProvisionedThroughput")
    if throughput is None:
        return
    check_units(throughput)
    if throughput == document.get("ProvisionedThroughput") and request.get("GlobalSecondaryIndexUpdates") is None:
        raise _unchanged_units(throughput, "table", "table")
    document["ProvisionedThroughput"] = throughput


def _unchanged_units(throughput: Mapping[str, Any], kind: str, which: str) -> DynamoError:
    reads, writes = throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]
    return invalid(
        f"The provisioned throughput for the {which} will not change. The requested value equals the current value. "
        f"Current ReadCapacityUnits provisioned for the {kind}: {reads}. Requested ReadCapacityUnits: {reads}. "
        f"Current WriteCapacityUnits provisioned for the {kind}: {writes}. Requested WriteCapacityUnits: {writes}. "
        "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
    )


def _set_stream(core: Core, table: Table, document: dict[str, Any], request: Mapping[str, Any]) -> None:
    stream = request.get("StreamSpecification")
    if stream is None:
        return
    enabled = "StreamSpecification" in document
    if stream["StreamEnabled"] and enabled:
        raise invalid("Table already has an enabled stream: TableName: " + table.name)
    if not stream["StreamEnabled"] and not enabled:
        raise invalid("Table has no stream to disable: TableName: " + table.name)
    set_stream(core, table.name, document, stream, UPDATE_STREAM)


def _set_indexes(table: Table, document: dict[str, Any], request: Mapping[str, Any]) -> None:
    updates = request.get("GlobalSecondaryIndexUpdates") or ()
    kinds = [_kind(update) for update in updates]
    names = Counter(update[kind]["IndexName"] for kind, update in zip(kinds, updates, strict=True))
    for name, count in names.items():
        if count > 1:
            raise invalid_parameter(
                f"Only one global secondary index update per index is allowed simultaneously. Index: {name}"
            )
    vector_updates = request.get(VECTOR_UPDATES) or ()
    if sum(kind != "Update" for kind in kinds) + len(vector_updates) > INDEX_UPDATES_PER_REQUEST_MAX:
        raise DynamoError(
            "LimitExceededException",
            "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
        )
    for kind, update in zip(kinds, updates, strict=True):
        _INDEX_CHANGES[kind](table, document, update[kind], request)
    for update in vector_updates:
        _change_vectors(table, document, update, request)
    if document["BillingMode"] == "PROVISIONED" != table.document["BillingMode"]:
        for index in document[GLOBAL]:
            check_index_capacity(index, on_demand=False)


def _change_vectors(
    table: Table, document: dict[str, Any], update: Mapping[str, Any], request: Mapping[str, Any]
) -> None:
    created, deleted = update.get("Create"), update.get("Delete")
    if (created is None) == (deleted is None):
        raise invalid_parameter("One of VectorIndexUpdate's Create or Delete must be specified, and only one")
    known = {one["AttributeName"]: one for one in document["AttributeDefinitions"]}
    if deleted is not None:
        document[VECTOR].remove(_existing_index(table, document, deleted["IndexName"], VECTOR))
    if created is not None:
        names = {index.name for index in table.every_index}
        if created["IndexName"] in names:
            raise invalid("Attempting to create an index which already exists")
        known = {one["AttributeName"]: one for one in request.get("AttributeDefinitions") or ()} | known
        others = {index.name for index in table.indexes.values()}
        types = attribute_types(list(known.values()))
        on_demand = document["BillingMode"] == "PAY_PER_REQUEST"
        check_vectors([*document[VECTOR], created], types, others, on_demand=on_demand)
        number = document["NextIndexNumber"]
        document["NextIndexNumber"] = number + 1
        document[VECTOR].append(vector_document(created, number))
    document["AttributeDefinitions"] = _used_definitions(document, known)


def _kind(update: Mapping[str, Any]) -> str:
    given = [kind for kind in _INDEX_CHANGES if update.get(kind) is not None]
    if len(given) != 1:
        raise invalid_parameter(
            "One of GlobalSecondaryIndexUpdate's Update, Create or Delete must be specified, and only one"
        )
    return given[0]


def _create_index(table: Table, document: dict[str, Any], index: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    # The definitions of the index's key attributes must be sent, even those that the table has.
    given = {one["AttributeName"]: one for one in request.get("AttributeDefinitions") or ()}
    known = given | {one["AttributeName"]: one for one in document["AttributeDefinitions"]}
    check_index_capacity(index, on_demand=document["BillingMode"] == "PAY_PER_REQUEST")
    check_new_global_index(index, list(given.values()), {one.name for one in table.every_index})
    _check_not_redefined(document, index, given)
    if len(document[GLOBAL]) >= GLOBAL_INDEXES_MAX:
        raise too_many_global_indexes()
    number = document["NextIndexNumber"]
    document["NextIndexNumber"] = number + 1
    document[GLOBAL].append(index_document(index, number))
    document["AttributeDefinitions"] = _used_definitions(document, known)


def _check_not_redefined(document: Mapping[str, Any], index: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise ValidationException when the new index gives a key attribute of the table or an index another type.

    Text: ScyllaDB's Alternator tests, which run against Amazon's (test_gsi_updatetable.py). Another type for a known
    attribute that the new index does not use is ignored (paritysuite/dynamodb-conformance, issue 78).
    """
    types = {one["AttributeName"]: one["AttributeType"] for one in document["AttributeDefinitions"]}
    new_types = types | {name: one["AttributeType"] for name, one in given.items()}
    for part in index["KeySchema"]:
        name = part["AttributeName"]
        if name in types and new_types[name] != types[name]:
            existing = next(schema for schema in _key_schemas(document) if _uses(schema, name))
            raise invalid_parameter(
                "Attributes cannot be redefined. "
                "Please check that your attribute has the same type as previously defined. "
                f"Existing schema: {_shown(existing, types)} New schema: {_shown(index['KeySchema'], new_types)}"
            )


def _shown(schema: Sequence[Mapping[str, str]], types: Mapping[str, str]) -> str:
    """Return a key schema as Amazon's message prints it: ``Schema:[SchemaElement: key{pk:S:HASH}]``."""
    parts = [(part["AttributeName"], part["KeyType"]) for part in schema]
    return f"Schema:[{', '.join(f'SchemaElement: key{{{name}:{types[name]}:{role}}}' for name, role in parts)}]"


def _delete_index(
    table: Table, document: dict[str, Any], index: Mapping[str, Any], _request: Mapping[str, Any]
) -> None:
    document[GLOBAL].remove(_existing_index(table, document, index["IndexName"]))
    known = {one["AttributeName"]: one for one in document["AttributeDefinitions"]}
    document["AttributeDefinitions"] = _used_definitions(document, known)


def _update_index(
    table: Table, document: dict[str, Any], index: Mapping[str, Any], _request: Mapping[str, Any]
) -> None:
    existing_index = _existing_index(table, document, index["IndexName"])
    of = f"index {index['IndexName']}"
    check_on_demand(index, of)
    check_warm({**existing_index, "WarmThroughput": index.get("WarmThroughput")}, of, current=warm(existing_index))
    throughput = index.get("ProvisionedThroughput")
    if throughput is not None:
        check_index_capacity(index, on_demand=document["BillingMode"] == "PAY_PER_REQUEST")
        if existing_index.get("ProvisionedThroughput") == throughput:
            raise _unchanged_units(throughput, "index", of)
        existing_index["ProvisionedThroughput"] = throughput
    for member in ("OnDemandThroughput", "WarmThroughput"):
        if index.get(member) is not None:
            existing_index[member] = {**existing_index.get(member, {}), **index[member]}


_INDEX_CHANGES: dict[str, Callable[[Table, dict[str, Any], Mapping[str, Any], Mapping[str, Any]], None]] = {
    "Update": _update_index,
    "Create": _create_index,
    "Delete": _delete_index,
}


def _existing_index(table: Table, document: Mapping[str, Any], name: str, member: str = GLOBAL) -> dict[str, Any]:
    for index in document[member]:
        if index["IndexName"] == name:
            found: dict[str, Any] = index
            return found
    raise DynamoError(
        "ResourceNotFoundException", f"Requested resource not found: Index: {name} of table: {table.name} not found"
    )


def _used_definitions(document: Mapping[str, Any], known: Mapping[str, Any]) -> list[Any]:
    """Return the definitions of the attributes that the keys of the table or of an index use."""
    used = {part["AttributeName"] for schema in _key_schemas(document) for part in schema}
    used |= search_names(document[VECTOR])
    return [definition for name, definition in known.items() if name in used]


def _key_schemas(document: Mapping[str, Any]) -> list[Sequence[Mapping[str, str]]]:
    """Return the key schemas of the table and of its indexes, the table's first."""
    indexes = [one for member in (LOCAL, GLOBAL) for one in document.get(member, ())]
    return [document["KeySchema"], *(one["KeySchema"] for one in indexes)]


def _uses(schema: Sequence[Mapping[str, str]], name: str) -> bool:
    return any(part["AttributeName"] == name for part in schema)


def _describe(core: Core, table: Table, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table's description during the change: in this response a new index is CREATING."""
    description = describe(core, table, status="UPDATING")
    if request.get("WarmThroughput"):
        description["WarmThroughput"]["Status"] = "UPDATING"
    created = {
        update["Create"]["IndexName"]
        for member in ("GlobalSecondaryIndexUpdates", VECTOR_UPDATES)
        for update in request.get(member) or ()
        if update.get("Create") is not None
    }
    for index in (*description.get(GLOBAL, ()), *description.get(VECTOR, ())):
        if index["IndexName"] in created:
            index["IndexStatus"] = "CREATING"
            index["Backfilling"] = False
    return description
