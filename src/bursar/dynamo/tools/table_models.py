"""Tables that other tools describe: templates of CloudFormation and SAM, models of NoSQL Workbench.

    AWS::DynamoDB::Table, AWS::DynamoDB::GlobalTable, AWS::Serverless::SimpleTable       the resources of a template
    {"DataModel": [{"TableName": …, "KeyAttributes": …, "TableData": […]}]}              a model, with its sample items

A template's other resources are passed over, and so are the properties of a table that one machine lacks (replicas,
auto scaling, contributor insights, Kinesis). In a property, ``Ref`` and ``Fn::Sub`` may name a parameter that has a
default; a table without a name has its logical id.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

KINDS: Final = {"String": "S", "Number": "N", "Binary": "B"}
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
_REPLACED = re.compile(r"\$\{([^}]*)\}")
_PSEUDO: Final = {
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "000000000000",
    "AWS::Partition": "aws",
    "AWS::StackName": "stack",
}


class ModelError(ValueError):
    """A description of tables cannot be read; the message says where and why."""


@dataclass(frozen=True, slots=True)
class DescribedTable:
    """A table to be made: the CreateTable request, the requests that follow, and the items."""

    create: dict[str, Any]
    then: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)


# CloudFormation and SAM ----------------------------------------------------------------------------------------


def template_tables(template: Mapping[str, Any]) -> Iterator[DescribedTable]:
    """Yield the tables of a template. Raises :class:`ModelError`."""
    parameters = template.get("Parameters")
    values = _PSEUDO | {
        name: given["Default"]
        for name, given in (parameters.items() if isinstance(parameters, Mapping) else ())
        if isinstance(given, Mapping) and "Default" in given
    }
    for name, resource in template["Resources"].items():
        kind = resource.get("Type") if isinstance(resource, Mapping) else None
        if isinstance(kind, str) and kind in _RESOURCES:
            try:
                properties = _resolved(resource.get("Properties") or {}, values, name)
                properties.setdefault("TableName", name)
                table = _RESOURCES[kind](properties)
            except ModelError:
                raise
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise ModelError(f"{name}: must be a complete {kind}; {type(error).__name__}: {error}") from None
            yield table


def _resolved(value: Any, values: Mapping[str, Any], where: str) -> Any:
    """Return a property with the parameters that it names."""
    if isinstance(value, list):
        return [_resolved(element, values, where) for element in value]
    if not isinstance(value, Mapping):
        return value
    if len(value) == 1:
        ((function, argument),) = value.items()
        if function == "Ref" and argument in values:
            return values[argument]
        if function == "Fn::Sub" and isinstance(argument, str):
            return _REPLACED.sub(lambda found: str(_parameter(found[1], values, where)), argument)
        if function == "Fn::Join" and isinstance(argument, list):
            glue, parts = argument
            return str(glue).join(str(_resolved(part, values, where)) for part in parts)
    return {name: _resolved(member, values, f"{where}.{name}") for name, member in value.items()}


def _parameter(name: str, values: Mapping[str, Any], where: str) -> Any:
    if name not in values:
        raise ModelError(f"{where}: {name} must be a parameter with a default")
    return values[name]


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
        specification = {"Enabled": True, "AttributeName": expiry["AttributeName"]}
        table.then.append(
            ("UpdateTimeToLive", {"TableName": create["TableName"], "TimeToLiveSpecification": specification})
        )
    return table


def _global_table(properties: dict[str, Any]) -> DescribedTable:
    """Return a global table as a table of this machine, which takes any capacity."""
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
    """Give the numbers of units as numbers, which templates may write as text; on demand has none."""
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
    return DescribedTable(create, items=list(table.get("TableData") or ()))


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
