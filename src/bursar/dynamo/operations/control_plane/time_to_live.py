"""UpdateTimeToLive and DescribeTimeToLive. A change takes effect at once; housekeeping deletes expired items."""

from collections.abc import Mapping
from typing import Any

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import invalid
from bursar.dynamo.operations.control_plane.tables import existing_table
from bursar.dynamo.operations.requests.common_members import BOOLEAN, TABLE_NAME
from bursar.dynamo.operations.requests.shapes import Request, StringShape, StructureShape

UPDATE_TIME_TO_LIVE = Request(
    {
        "TableName": TABLE_NAME,
        "TimeToLiveSpecification": StructureShape(
            {"Enabled": BOOLEAN, "AttributeName": StringShape(1, 255)}, ("Enabled", "AttributeName")
        ),
    },
    ("TableName", "TimeToLiveSpecification"),
)
DESCRIBE_TIME_TO_LIVE = Request({"TableName": TABLE_NAME}, ("TableName",))


def update_time_to_live(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a table's time to live on or off. Amazon allows one change an hour; here there is no limit."""
    table = existing_table(core, request["TableName"])
    specification = request["TimeToLiveSpecification"]
    name = specification["AttributeName"]
    if table.ttl_attribute is None:
        if not specification["Enabled"]:
            raise invalid("TimeToLive is already disabled")
        core.change_table(table, {**table.document, "TimeToLive": {"AttributeName": name}})
    else:
        if table.ttl_attribute != name:
            raise invalid(
                f"TimeToLive is active on a different AttributeName: current AttributeName is {table.ttl_attribute}"
            )
        if specification["Enabled"]:
            raise invalid("TimeToLive is already enabled")
        core.change_table(table, {key: kept for key, kept in table.document.items() if key != "TimeToLive"})
    return {"TimeToLiveSpecification": {"Enabled": specification["Enabled"], "AttributeName": name}}


def describe_time_to_live(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether a table has a time to live, and on which attribute."""
    attribute = existing_table(core, request["TableName"]).ttl_attribute
    if attribute is None:
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
    return {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": attribute}}
