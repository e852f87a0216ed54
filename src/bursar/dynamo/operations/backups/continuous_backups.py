"""UpdateContinuousBackups and DescribeContinuousBackups: point-in-time recovery.

A change takes effect at once. Amazon can restore up to five minutes ago; the engine can restore up to the last
committed write.
"""

import math
from collections.abc import Mapping
from typing import Any

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.errors import DynamoError, invalid_request
from bursar.dynamo.operations.requests.common_members import BOOLEAN, TABLE_NAME
from bursar.dynamo.operations.requests.shapes import IntegerShape, Request, StructureShape
from bursar.dynamo.storage.history import MICROS, PERIOD_DAYS_MAX, RECOVERY, History, Recovery, recovery_of
from bursar.dynamo.storage.table import Table

UPDATE_CONTINUOUS_BACKUPS = Request(
    {
        "TableName": TABLE_NAME,
        "PointInTimeRecoverySpecification": StructureShape(
            {"PointInTimeRecoveryEnabled": BOOLEAN, "RecoveryPeriodInDays": IntegerShape(1, PERIOD_DAYS_MAX)},
            ("PointInTimeRecoveryEnabled",),
        ),
    },
    ("TableName", "PointInTimeRecoverySpecification"),
)
DESCRIBE_CONTINUOUS_BACKUPS = Request({"TableName": TABLE_NAME}, ("TableName",))


def update_continuous_backups(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a table's point-in-time recovery on, with a period, or off. Turning it off removes the table's past."""
    specification = request["PointInTimeRecoverySpecification"]
    period = specification.get("RecoveryPeriodInDays")
    enabled = specification["PointInTimeRecoveryEnabled"]
    if not enabled and period is not None:
        raise invalid_request("Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.")
    table = table_with_backups(core, request["TableName"])
    before = recovery_of(table)
    if enabled:
        # A longer period cannot restore what the shorter one has removed.
        since = core.clock() if before is None else before.earliest(core.clock())
        days = period or (PERIOD_DAYS_MAX if before is None else before.period_days)
        if before is None:
            History(core.storage, table.id).create()
        table = core.change_table(table, {**table.document, RECOVERY: Recovery(since, days).member()})
    elif before is not None:
        document = {name: member for name, member in table.document.items() if name != RECOVERY}
        table = core.change_table(table, document)
        History(core.storage, table.id).drop()
    return _described(core, table)


def describe_continuous_backups(core: Core, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether a table has point-in-time recovery, and which instants can be restored."""
    return _described(core, table_with_backups(core, request["TableName"]))


def table_with_backups(core: Core, name: str) -> Table:
    """Return the table. Raise TableNotFoundException, as the operations on backups do."""
    table = core.find_table(name)
    if table is None:
        raise DynamoError("TableNotFoundException", f"Table not found: {name}")
    return table


def latest_restorable(core: Core, table: Table) -> float:
    """Return the latest time that can be restored (epoch s), which is now.

    If the clock has gone back since the last change, this is later than the clock's time.
    """
    return max(core.clock(), History(core.storage, table.id).last_at() / MICROS)


def _described(core: Core, table: Table) -> dict[str, Any]:
    recovery = recovery_of(table)
    described: dict[str, Any] = {"PointInTimeRecoveryStatus": "DISABLED" if recovery is None else "ENABLED"}
    if recovery is not None:
        described["RecoveryPeriodInDays"] = recovery.period_days
        # Whole seconds, rounded to the inside: SDKs drop the fraction when they send the time back.
        described["EarliestRestorableDateTime"] = math.ceil(recovery.earliest(core.clock()))
        described["LatestRestorableDateTime"] = round(latest_restorable(core, table), 3)
    return {
        "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "ENABLED",
            "PointInTimeRecoveryDescription": described,
        }
    }
