"""Tables that other tools describe: templates of CloudFormation and SAM, models of NoSQL Workbench.

    AWS::DynamoDB::Table, AWS::DynamoDB::GlobalTable, AWS::Serverless::SimpleTable       the resources of a template
    {"DataModel": [{"TableName": …, "KeyAttributes": …, "TableData": […]}]}              a model, with its sample items

A template's other resources are ignored, and so are the properties of a table that one machine cannot have (replicas,
auto scaling, contributor insights, Kinesis). ``template_functions`` has the functions that a property may use; a table
without a name has its logical id.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from bursar.dynamo.regions import DEFAULT_REGION
from bursar.dynamo.tools.template_functions import ModelError, TemplateValues

KINDS: Final = {"String": "S", "Number": "N", "Binary": "B"}
_TYPES: Final = frozenset(("S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL"))
_INDEX_MEMBERS: Final = ("IndexName", "KeySchema", "Projection", "ProvisionedThroughput", "OnDemandThroughput")
_SAME: Final = (
    "KeySchema",
    "AttributeDefinitions",
    "BillingMode",
    "ProvisionedThroughput",
    "OnDemandThroughput",
    "DeletionProtectionEnabled",
    "TableClass",
    "Tags",
)
"""Properties of a template that CreateTable spells in the same way."""
_USED: Final = (
    *_SAME,
    "TableName",
    "PrimaryKey",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
    "StreamSpecification",
    "TimeToLiveSpecification",
    "PointInTimeRecoverySpecification",
)
"""The properties that are read; functions in the others need not be known."""


@dataclass(frozen=True, slots=True)
class DescribedTable:
    """A table to be made: the CreateTable request, the requests that follow, and the items."""

    create: dict[str, Any]
    then: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)


# CloudFormation and SAM ----------------------------------------------------------------------------------------


def template_tables(template: Mapping[str, Any], region: str = DEFAULT_REGION) -> Iterator[DescribedTable]:
    """Yield the tables of a template in a region. Raises :class:`ModelError`."""
    values = TemplateValues(template, region)
    for name, resource in template["Resources"].items():
        kind = resource.get("Type") if isinstance(resource, Mapping) else None
        if isinstance(kind, str) and kind in _RESOURCES:
            try:
                if "Condition" in resource and not values.holds(resource["Condition"], name):
                    continue
                properties = values.resolved(_kept(resource.get("Properties") or {}, _USED), name)
                properties.setdefault("TableName", name)
                table = _RESOURCES[kind](properties)
            except ModelError:
                raise
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise ModelError(f"{name}: must be a complete {kind}; {type(error).__name__}: {error}") from None
            yield table


def _table(properties: dict[str, Any]) -> DescribedTable:
    create = {"TableName": _text(properties, "TableName"), **_kept(properties, _SAME)}
    for member in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        if properties.get(member):
            create[member] = [_index(index) for index in properties[member]]
    _settle_capacity(create)
    stream = properties.get("StreamSpecification")
    if stream:
        create["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": stream["StreamViewType"]}
    table = DescribedTable(create)
    expiry = properties.get("TimeToLiveSpecification")
    if expiry and _true(expiry.get("Enabled")):
        _then(table, "UpdateTimeToLive", "TimeToLive", {"Enabled": True, "AttributeName": expiry["AttributeName"]})
    recovery = properties.get("PointInTimeRecoverySpecification")
    if recovery and _true(recovery.get("PointInTimeRecoveryEnabled")):
        specification: dict[str, Any] = {"PointInTimeRecoveryEnabled": True}
        if "RecoveryPeriodInDays" in recovery:
            specification["RecoveryPeriodInDays"] = int(recovery["RecoveryPeriodInDays"])
        _then(table, "UpdateContinuousBackups", "PointInTimeRecovery", specification)
    return table


def _then(table: DescribedTable, operation: str, subject: str, specification: Mapping[str, Any]) -> None:
    request = {"TableName": table.create["TableName"], f"{subject}Specification": specification}
    table.then.append((operation, request))


def _global_table(properties: dict[str, Any]) -> DescribedTable:
    """Return a global table as a single table without a capacity limit."""
    properties = {**properties, "BillingMode": "PAY_PER_REQUEST"}
    return _table(properties)


def _simple_table(properties: dict[str, Any]) -> DescribedTable:
    key = properties.get("PrimaryKey") or {"Name": "id", "Type": "String"}
    defined = {
        "TableName": properties["TableName"],
        "KeySchema": [{"AttributeName": key["Name"], "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": key["Name"], "AttributeType": KINDS[key["Type"]]}],
        **_kept(properties, ("ProvisionedThroughput",)),
    }
    if "ProvisionedThroughput" not in defined:
        defined["BillingMode"] = "PAY_PER_REQUEST"
    return _table(defined)


_RESOURCES: Final = {
    "AWS::DynamoDB::Table": _table,
    "AWS::DynamoDB::GlobalTable": _global_table,
    "AWS::Serverless::SimpleTable": _simple_table,
}


def _index(index: Mapping[str, Any]) -> dict[str, Any]:
    return _kept(index, _INDEX_MEMBERS)


def _settle_capacity(create: dict[str, Any]) -> None:
    """Convert numbers of units from text, which templates may use, and remove them from an on-demand table."""
    if create.get("BillingMode") is None and "ProvisionedThroughput" not in create:
        create["BillingMode"] = "PAY_PER_REQUEST"
    for described in (create, *create.get("GlobalSecondaryIndexes", ())):
        if create.get("BillingMode") == "PAY_PER_REQUEST":
            described.pop("ProvisionedThroughput", None)
        for member in ("ProvisionedThroughput", "OnDemandThroughput"):
            if member in described:
                described[member] = {unit: int(count) for unit, count in described[member].items()}
    if "DeletionProtectionEnabled" in create:
        create["DeletionProtectionEnabled"] = _true(create["DeletionProtectionEnabled"])


# NoSQL Workbench -------------------------------------------------------------------------------------------------


def workbench_tables(model: Mapping[str, Any]) -> Iterator[DescribedTable]:
    """Yield the tables of a model of NoSQL Workbench, with their sample items. Raises :class:`ModelError`."""
    for number, table in enumerate(model["DataModel"], 1):
        try:
            yield _workbench_table(table)
        except (KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"table {number}: must be a table of NoSQL Workbench; {type(error).__name__}: {error}"
            ) from None


def _workbench_table(table: Mapping[str, Any]) -> DescribedTable:
    types: dict[str, str] = {
        attribute["AttributeName"]: attribute["AttributeType"] for attribute in table.get("NonKeyAttributes") or ()
    }
    create: dict[str, Any] = {"TableName": table["TableName"], "KeySchema": _keys(table, types)}
    provisioned = (table.get("ProvisionedCapacitySettings") or {}).get("ProvisionedThroughput")
    create["BillingMode"] = "PROVISIONED" if table.get("BillingMode") == "PROVISIONED" and provisioned else None
    if create["BillingMode"]:
        create["ProvisionedThroughput"] = provisioned
    used = {key["AttributeName"] for key in create["KeySchema"]}
    for member in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        for index in table.get(member) or ():
            keys = _keys(index, types)
            used |= {key["AttributeName"] for key in keys}
            made = {"IndexName": index["IndexName"], "KeySchema": keys, "Projection": index["Projection"]}
            if create["BillingMode"] and member == "GlobalSecondaryIndexes":
                made["ProvisionedThroughput"] = provisioned
            create.setdefault(member, []).append(made)
    create["AttributeDefinitions"] = [
        {"AttributeName": name, "AttributeType": kind} for name, kind in types.items() if name in used
    ]
    _settle_capacity(create)
    facets = table.get("TableFacets") or ()  # models with facets have the sample items there
    samples = [item for part in (table, *facets) for item in part.get("TableData") or ()]
    return DescribedTable(create, items=[{name: _sample(value) for name, value in item.items()} for item in samples])


def _sample(value: Any) -> Any:
    """Return a value of a sample item as an attribute value: people type plain JSON into the maps of Workbench."""
    if isinstance(value, Mapping):
        kind = next(iter(value), "")
        if len(value) != 1 or kind not in _TYPES:
            return {"M": {name: _sample(member) for name, member in value.items()}}
        content = value[kind]
        if kind == "M" and isinstance(content, Mapping):
            return {"M": {name: _sample(member) for name, member in content.items()}}
        return {"L": [_sample(each) for each in content]} if kind == "L" and isinstance(content, list) else value
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": str(value)}
    if isinstance(value, list):
        return {"L": [_sample(each) for each in value]}
    return {"S": value} if isinstance(value, str) else {"NULL": True}


def _keys(described: Mapping[str, Any], types: dict[str, str]) -> list[dict[str, str]]:
    """Return a key schema, and note the types of its attributes."""
    keys = []
    for member, kind in (("PartitionKey", "HASH"), ("SortKey", "RANGE")):
        key = described["KeyAttributes"].get(member)
        if key:
            keys.append({"AttributeName": key["AttributeName"], "KeyType": kind})
            types[key["AttributeName"]] = key["AttributeType"]
    return keys


# Both ------------------------------------------------------------------------------------------------------------


def _kept(properties: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: properties[name] for name in names if properties.get(name) is not None}


def _text(properties: Mapping[str, Any], name: str) -> str:
    value = properties[name]
    if not isinstance(value, str):
        raise ModelError(
            f"{name}: must be text, or Ref or Fn::Sub of a parameter with a default; got {orjson.dumps(value).decode()}"
        )
    return value


def _true(value: Any) -> bool:
    return value is True or value == "true"
