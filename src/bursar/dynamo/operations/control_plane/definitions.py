"""Check a table's definition in Amazon's order: key schemas, attribute definitions, indexes, capacity."""

from collections.abc import Mapping, Sequence
from typing import Any

from bursar.dynamo.errors import DynamoError, invalid, invalid_parameter
from bursar.dynamo.operations.control_plane.projections import PROJECTION, check_projected, check_projection
from bursar.dynamo.operations.control_plane.vector_definitions import VECTOR, check_vectors, search_names
from bursar.dynamo.operations.requests.common_members import BOOLEAN, NAME, STRING
from bursar.dynamo.operations.requests.shapes import IntegerShape, ListShape, Shape, StringShape, StructureShape

GLOBAL_INDEXES_MAX = 20
LOCAL_INDEXES_MAX = 5
ON_DEMAND_READ_UNITS, ON_DEMAND_WRITE_UNITS = 12_000, 4_000
"""The warm throughput of a table on demand, in units per second (Developer Guide, "Warm throughput")."""
NO_MAXIMUM = -1
CAPACITY_UNITS_MAX = 1_000_000_000_000
KEY_PARTS_MAX = 4
"""The most attributes in each half of a global index's key."""

TWICE_IN_A_TABLE = "Invalid KeySchema: Some index key attribute have no definition"
TWICE_IN_AN_INDEX = "Both the Hash Key and the Range Key element in the KeySchema have the same name"
"""Amazon's errors for a key schema that names an attribute twice."""
LOCAL, GLOBAL = "LocalSecondaryIndexes", "GlobalSecondaryIndexes"

_UNITS = IntegerShape(least=1, java="Long")
THROUGHPUT = StructureShape(
    {"WriteCapacityUnits": _UNITS, "ReadCapacityUnits": _UNITS}, ("WriteCapacityUnits", "ReadCapacityUnits")
)
_WARM_UNITS = IntegerShape(java="Long")
WARM = StructureShape({"ReadUnitsPerSecond": _WARM_UNITS, "WriteUnitsPerSecond": _WARM_UNITS})
ON_DEMAND = StructureShape(
    {"MaxReadRequestUnits": IntegerShape(java="Long"), "MaxWriteRequestUnits": IntegerShape(java="Long")}
)
DEFINITIONS = ListShape(
    StructureShape(
        {"AttributeName": StringShape(1, 255), "AttributeType": StringShape(choices=("B", "N", "S"))},
        ("AttributeName", "AttributeType"),
    )
)
_KEY_ELEMENT = StructureShape(
    {"AttributeName": StringShape(1, 255), "KeyType": StringShape(choices=("HASH", "RANGE"))},
    ("AttributeName", "KeyType"),
    "KeySchemaElement",
)
KEY_SCHEMA = ListShape(_KEY_ELEMENT, fewest=1, most=2)
GLOBAL_KEY_SCHEMA = ListShape(_KEY_ELEMENT, fewest=1, most=2 * KEY_PARTS_MAX)
_INDEX: dict[str, Shape] = {"IndexName": NAME, "Projection": PROJECTION}
LOCAL_INDEX = StructureShape({**_INDEX, "KeySchema": KEY_SCHEMA}, ("IndexName", "Projection", "KeySchema"))
GLOBAL_INDEX = StructureShape(
    {
        **_INDEX,
        "KeySchema": GLOBAL_KEY_SCHEMA,
        "ProvisionedThroughput": THROUGHPUT,
        "OnDemandThroughput": ON_DEMAND,
        "WarmThroughput": WARM,
    },
    ("IndexName", "Projection", "KeySchema"),
)
STREAM = StructureShape(
    {
        "StreamEnabled": BOOLEAN,
        "StreamViewType": StringShape(choices=("NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY")),
    },
    ("StreamEnabled",),
)
ENCRYPTION = StructureShape(
    {"Enabled": BOOLEAN, "SSEType": StringShape(choices=("AES256", "KMS")), "KMSMasterKeyId": STRING}
)
BILLING = StringShape(choices=("PROVISIONED", "PAY_PER_REQUEST"))
TABLE_CLASS = StringShape(choices=("STANDARD", "STANDARD_INFREQUENT_ACCESS"))


def check_capacity(request: Mapping[str, Any]) -> None:
    """Raise ValidationException unless billing mode and throughput of a table and its global indexes fit together."""
    on_demand = request.get("BillingMode") == "PAY_PER_REQUEST"
    throughput = request.get("ProvisionedThroughput")
    if on_demand and throughput is not None:
        raise invalid_parameter(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"
        )
    if not on_demand and throughput is None:
        raise invalid_parameter(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
        )
    if throughput is not None:
        check_units(throughput)
    check_on_demand(request)
    check_warm(request)
    for index in request.get(GLOBAL) or ():
        check_index_capacity(index, on_demand=on_demand)


def check_index_capacity(index: Mapping[str, Any], *, on_demand: bool) -> None:
    """Raise ValidationException unless a global index's throughput fits its table's billing mode."""
    throughput = index.get("ProvisionedThroughput")
    if on_demand and throughput is not None:
        raise invalid_parameter(
            "ProvisionedThroughput should not be specified for index: "
            f"{index['IndexName']} when BillingMode is PAY_PER_REQUEST"
        )
    if not on_demand and throughput is None:
        raise invalid_parameter(f"ProvisionedThroughput must be specified for index: {index['IndexName']}")
    if throughput is not None:
        check_units(throughput, f" for index {index['IndexName']}")
    check_on_demand(index, f"index {index['IndexName']}")
    check_warm(index, f"index {index['IndexName']}")


def check_on_demand(request: Mapping[str, Any], of: str = "table") -> None:
    """Raise ValidationException for a maximum of on-demand units below 1; -1 removes the maximum."""
    for name, units in known_members(request, "OnDemandThroughput", ON_DEMAND).items():
        if units is not None and units < 1 and units != NO_MAXIMUM:
            raise invalid_parameter(f"Requested {name} for OnDemandThroughput for {of} is outside of valid range")


def known_members(request: Mapping[str, Any], member: str, shape: StructureShape) -> dict[str, Any]:
    """Return the members of a structure that DynamoDB knows; it ignores other members."""
    given = request.get(member) or {}
    return {name: given[name] for name in shape.members if name in given}


def warm_units(request: Mapping[str, Any]) -> dict[str, int]:
    """Return the warm throughput that a table or an index has unless more is requested."""
    throughput = request.get("ProvisionedThroughput")
    if throughput is None:
        return {"ReadUnitsPerSecond": ON_DEMAND_READ_UNITS, "WriteUnitsPerSecond": ON_DEMAND_WRITE_UNITS}
    return {
        "ReadUnitsPerSecond": throughput["ReadCapacityUnits"],
        "WriteUnitsPerSecond": throughput["WriteCapacityUnits"],
    }


def check_warm(request: Mapping[str, Any], of: str = "table", current: Mapping[str, int] | None = None) -> None:
    """Raise ValidationException for a warm throughput below that of the capacity, or below the ``current`` one.

    Texts: terraform-provider-aws, moto.
    """
    least, provisioned = warm_units(request), request.get("ProvisionedThroughput") is not None
    for name, units in known_members(request, "WarmThroughput", WARM).items():
        asked = f"Requested {name} for WarmThroughput for {of} is lower than"
        if units is not None and current is not None and units < current[name]:
            raise invalid_parameter(f"{asked} current WarmThroughput, decreasing WarmThroughput is not supported")
        if units is not None and units < least[name]:
            capacity = name.replace("UnitsPerSecond", "CapacityUnits")
            bound = f"{capacity} of ProvisionedThroughput" if provisioned else "initial throughput for OnDemand"
            raise invalid_parameter(f"{asked} {bound}")


def check_units(throughput: Mapping[str, int], of: str = "") -> None:
    """Raise ValidationException for provisioned units above the maximum."""
    for name in ("ReadCapacityUnits", "WriteCapacityUnits"):
        if throughput[name] > CAPACITY_UNITS_MAX:
            raise invalid(f"Given value {throughput[name]} for {name} is out of bounds{of}")


def check_table(request: Mapping[str, Any]) -> None:
    """Raise ValidationException for an invalid key schema, attribute definition or index of a new table."""
    definitions = attribute_types(request["AttributeDefinitions"])
    keys = _checked_schema(request["KeySchema"], definitions, TWICE_IN_A_TABLE)
    used = set(keys)
    names: set[str] = set()
    local = request.get(LOCAL)
    if local is not None:
        _check_local(local, keys, definitions, names, used)
    indexes = request.get(GLOBAL)
    if indexes is not None:
        _check_global(indexes, definitions, names, used)
    vectors = request.get(VECTOR) or ()
    if vectors:
        check_vectors(vectors, definitions, names, on_demand=request.get("BillingMode") == "PAY_PER_REQUEST")
        used |= search_names(vectors)
    check_projected([*(local or ()), *(indexes or ()), *vectors])
    if used != definitions.keys():
        raise _unused(definitions, used, has_indexes=bool(vectors) or local is not None or indexes is not None)


def check_new_global_index(index: Mapping[str, Any], definitions: Sequence[Mapping[str, str]], names: set[str]) -> None:
    """Raise ValidationException for an invalid global index of a table whose other indexes are ``names``."""
    if index["IndexName"] in names:
        raise invalid("Attempting to create an index which already exists")
    _check_global([index], attribute_types(definitions), set(), set())


def attribute_types(definitions: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the type of each attribute of AttributeDefinitions. Raise ValidationException for one named twice."""
    types: dict[str, str] = {}
    for one in definitions:
        if one["AttributeName"] in types:
            raise invalid_parameter("Duplicate AttributeName in AttributeDefinitions: " + one["AttributeName"])
        types[one["AttributeName"]] = one["AttributeType"]
    return types


def _checked_schema(
    schema: Sequence[Mapping[str, str]], definitions: Mapping[str, str], twice: str = TWICE_IN_AN_INDEX
) -> list[str]:
    names = [one["AttributeName"] for one in schema]
    if schema[0]["KeyType"] != "HASH":
        raise invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
    if len(schema) == 2:
        if schema[1]["KeyType"] != "RANGE":
            raise invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
        if names[0] == names[1]:
            raise invalid(twice)
    _check_defined(names, definitions)
    return names


def _check_defined(names: Sequence[str], definitions: Mapping[str, str]) -> None:
    if any(name not in definitions for name in names):
        raise invalid_parameter(
            "Some index key attributes are not defined in AttributeDefinitions. "
            f"Keys: [{', '.join(names)}], AttributeDefinitions: [{', '.join(definitions)}]"
        )


def _check_local(
    indexes: Sequence[Mapping[str, Any]],
    table_keys: Sequence[str],
    definitions: Mapping[str, str],
    names: set[str],
    used: set[str],
) -> None:
    if len(table_keys) == 1:
        raise invalid_parameter(
            "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex"
        )
    if not indexes:
        raise invalid_parameter("List of LocalSecondaryIndexes is empty")
    for index in indexes:
        keys = _checked_schema(index["KeySchema"], definitions)
        if len(keys) == 1:
            raise invalid_parameter(f"Index KeySchema does not have a range key for index: {index['IndexName']}")
        if keys[0] != table_keys[0]:
            raise invalid_parameter(
                "Index KeySchema does not have the same leading hash key as table KeySchema for index: "
                f"{index['IndexName']}. index hash key: {keys[0]}, table hash key: {table_keys[0]}"
            )
        check_projection(index, names)
        used.update(keys)
    if len(indexes) > LOCAL_INDEXES_MAX:
        raise invalid_parameter(f"Number of LocalSecondaryIndexes exceeds per-table limit of {LOCAL_INDEXES_MAX}")


def _check_global(
    indexes: Sequence[Mapping[str, Any]], definitions: Mapping[str, str], names: set[str], used: set[str]
) -> None:
    if not indexes:
        raise invalid_parameter("List of GlobalSecondaryIndexes is empty")
    for index in indexes:
        keys = _checked_global_schema(index["KeySchema"], definitions)
        check_projection(index, names)
        used.update(keys)
    if len(indexes) > GLOBAL_INDEXES_MAX:
        raise too_many_global_indexes()


def too_many_global_indexes() -> DynamoError:
    """Return the error for more global indexes than a table may have."""
    return invalid_parameter(f"GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_INDEXES_MAX}")


def _checked_global_schema(schema: Sequence[Mapping[str, str]], definitions: Mapping[str, str]) -> Sequence[str]:
    roles = [one["KeyType"] for one in schema]
    if len(schema) <= 2 and roles.count("HASH") < 2:
        return _checked_schema(schema, definitions)
    # Several attributes per half: those of the partition key come first (Developer Guide, "Multi-attribute keys").
    names = [one["AttributeName"] for one in schema]
    if roles != sorted(roles):
        raise invalid("Invalid KeySchema: All HASH key elements must precede the RANGE key elements")
    if roles[0] != "HASH":
        raise invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
    if max(roles.count("HASH"), roles.count("RANGE")) > KEY_PARTS_MAX:
        raise invalid(
            f"Invalid KeySchema: At most {KEY_PARTS_MAX} HASH and {KEY_PARTS_MAX} RANGE key elements are allowed"
        )
    if len(set(names)) != len(names):
        raise invalid("Invalid KeySchema: Some index key attribute have no definition")
    _check_defined(names, definitions)
    return names


def _unused(definitions: Mapping[str, str], used: set[str], *, has_indexes: bool) -> DynamoError:
    if not has_indexes:
        return invalid_parameter(
            "Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions"
        )
    return invalid_parameter(
        f"Some AttributeDefinitions are not used. AttributeDefinitions: [{', '.join(definitions)}], "
        f"keys used: [{', '.join(sorted(used))}]"
    )
