"""UpdateContinuousBackups and DescribeContinuousBackups."""

from typing import Any

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.storage.history import DAY_S
from tests.support.dynamo.past import TABLE, turn_on, with_past
from tests.support.dynamo.stream_readers import START, HandClock
from tests.support.dynamo.tables import item, put, refusal, table


def described(engine: Engine) -> dict[str, Any]:
    description = engine.execute("DescribeContinuousBackups", {"TableName": TABLE})["ContinuousBackupsDescription"]
    assert description["ContinuousBackupsStatus"] == "ENABLED"
    recovery: dict[str, Any] = description["PointInTimeRecoveryDescription"]
    return recovery


def test_a_table_begins_without_recovery(engine: Engine) -> None:
    engine.execute("CreateTable", table())
    assert described(engine) == {"PointInTimeRecoveryStatus": "DISABLED"}


def test_the_restorable_times_move_with_the_clock_and_the_period() -> None:
    clock = HandClock()
    clock.now += 0.5
    engine = with_past(clock)
    clock.now += 60
    assert described(engine) == {
        "PointInTimeRecoveryStatus": "ENABLED",
        "RecoveryPeriodInDays": 35,
        "EarliestRestorableDateTime": START + 1,
        "LatestRestorableDateTime": START + 60.5,
    }
    turn_on(engine, RecoveryPeriodInDays=1)
    turn_on(engine)
    clock.now += 2 * DAY_S
    recovery = described(engine)
    assert recovery["RecoveryPeriodInDays"] == 1
    assert recovery["EarliestRestorableDateTime"] == START + DAY_S + 61
    engine.close()


def test_a_longer_period_does_not_bring_back_what_the_shorter_one_removed() -> None:
    clock = HandClock()
    engine = with_past(clock)
    turn_on(engine, RecoveryPeriodInDays=1)
    for number in range(3):
        put(engine, TABLE, item(pk="a", sk="1", n=number))
        clock.now += DAY_S
    engine.run_housekeeping()
    turn_on(engine, RecoveryPeriodInDays=35)
    earliest = START + 2 * DAY_S
    assert described(engine)["EarliestRestorableDateTime"] == earliest
    asked = {"SourceTableName": TABLE, "TargetTableName": "other", "RestoreDateTime": earliest - 1}
    refusal(engine, "RestoreTableToPointInTime", asked, "InvalidRestoreTimeException")
    clock.now += DAY_S
    assert described(engine)["EarliestRestorableDateTime"] == earliest
    engine.close()


@pytest.mark.parametrize("days", [0, 36])
def test_the_period_has_bounds(engine: Engine, days: int) -> None:
    engine.execute("CreateTable", table())
    specification = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": days}
    request = {"TableName": TABLE, "PointInTimeRecoverySpecification": specification}
    assert f"Value '{days}' at 'pointInTimeRecoverySpecification.recoveryPeriodInDays'" in refusal(
        engine, "UpdateContinuousBackups", request
    )


def test_a_period_needs_recovery(engine: Engine) -> None:
    specification = {"PointInTimeRecoveryEnabled": False, "RecoveryPeriodInDays": 3}
    request = {"TableName": TABLE, "PointInTimeRecoverySpecification": specification}
    assert refusal(engine, "UpdateContinuousBackups", request) == (
        "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery."
    )


@pytest.mark.parametrize("operation", ["UpdateContinuousBackups", "DescribeContinuousBackups"])
def test_a_missing_table_is_reported(engine: Engine, operation: str) -> None:
    request = {"TableName": "absent", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
    assert refusal(engine, operation, request, "TableNotFoundException") == "Table not found: absent"
