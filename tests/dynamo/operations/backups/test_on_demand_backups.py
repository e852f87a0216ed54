"""CreateBackup, DescribeBackup, ListBackups, DeleteBackup, RestoreTableFromBackup, and system backups."""

from pathlib import Path
from typing import Any

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.storage.history import DAY_S
from bursar.dynamo.storage.integrity_check import check_store
from bursar.dynamo.storage.sqlite_file import Storage
from tests.support.dynamo.arns import TABLE_ARN
from tests.support.dynamo.past import TABLE, held, indexed_table, with_past
from tests.support.dynamo.stream_readers import START, HandClock, opened
from tests.support.dynamo.tables import item, put, refusal

ABSENT = f"{TABLE_ARN}orders/backup/01800000000000-00000000"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def stocked(clock: HandClock) -> Engine:
    """Return an engine with a table of two items and no point-in-time recovery."""
    engine = opened(clock)
    engine.execute("CreateTable", indexed_table())
    put(engine, TABLE, item(pk="a", sk="1", n=1, state="x"), item(pk="b", sk="1"))
    return engine


def backed_up(engine: Engine, name: str = "nightly", table: str = TABLE) -> str:
    arn: str = engine.execute("CreateBackup", {"TableName": table, "BackupName": name})["BackupDetails"]["BackupArn"]
    return arn


def listed(engine: Engine, **request: Any) -> list[str]:
    return [one["BackupName"] for one in engine.execute("ListBackups", request)["BackupSummaries"]]


def test_a_backup_survives_changes_and_its_table(stocked: Engine, clock: HandClock) -> None:
    arn = backed_up(stocked)
    before = held(stocked)
    put(stocked, TABLE, item(pk="c", sk="1"))
    stocked.execute("DeleteTable", {"TableName": TABLE})
    clock.now += 5
    answer = stocked.execute("RestoreTableFromBackup", {"TargetTableName": TABLE, "BackupArn": arn})
    summary = {"SourceBackupArn": arn, "SourceTableArn": TABLE_ARN + TABLE, "RestoreDateTime": START}
    assert answer["TableDescription"]["RestoreSummary"] == {**summary, "RestoreInProgress": True}
    assert held(stocked) == before
    assert set(held(stocked, TABLE, "by-state")) == {("a", "1")}
    stocked.execute("RestoreTableFromBackup", {"TargetTableName": "again", "BackupArn": arn})
    assert held(stocked, "again") == before


def test_a_backup_is_described_as_amazon_does(stocked: Engine) -> None:
    made = stocked.execute("CreateBackup", {"TableName": TABLE_ARN + TABLE, "BackupName": "nightly"})["BackupDetails"]
    assert made["BackupArn"].startswith(f"{TABLE_ARN}orders/backup/01800000000000-")
    assert made["BackupStatus"] == "CREATING"
    described = stocked.execute("DescribeBackup", {"BackupArn": made["BackupArn"]})["BackupDescription"]
    assert described["BackupDetails"] == {**made, "BackupStatus": "AVAILABLE"}
    table = stocked.execute("DescribeTable", {"TableName": TABLE})["Table"]
    assert described["SourceTableDetails"] == {
        "TableName": TABLE,
        "TableId": table["TableId"],
        "TableArn": table["TableArn"],
        "TableSizeBytes": table["TableSizeBytes"],
        "KeySchema": table["KeySchema"],
        "TableCreationDateTime": table["CreationDateTime"],
        "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
        "ItemCount": 2,
        "BillingMode": "PAY_PER_REQUEST",
    }
    (index,) = described["SourceTableFeatureDetails"]["GlobalSecondaryIndexes"]
    assert set(index) == {"IndexName", "KeySchema", "Projection"}
    (summary,) = stocked.execute("ListBackups", {})["BackupSummaries"]
    assert summary == {
        "TableName": TABLE,
        "TableId": table["TableId"],
        "TableArn": table["TableArn"],
        **described["BackupDetails"],
    }


def test_features_of_the_table_are_described(stocked: Engine) -> None:
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    stocked.execute(
        "UpdateTable", {"TableName": TABLE, "StreamSpecification": stream, "SSESpecification": {"Enabled": True}}
    )
    lives = {"Enabled": True, "AttributeName": "until"}
    stocked.execute("UpdateTimeToLive", {"TableName": TABLE, "TimeToLiveSpecification": lives})
    features = stocked.execute("DescribeBackup", {"BackupArn": backed_up(stocked)})["BackupDescription"][
        "SourceTableFeatureDetails"
    ]
    assert features["StreamDescription"] == stream
    assert features["TimeToLiveDescription"] == {"TimeToLiveStatus": "ENABLED", "AttributeName": "until"}
    assert features["SSEDescription"]["Status"] == "ENABLED"


def test_backups_are_listed_by_table_time_and_type_in_pages(stocked: Engine, clock: HandClock) -> None:
    stocked.execute("CreateTable", indexed_table("others"))
    for number in range(3):
        backed_up(stocked, f"orders-{number}")
        clock.now += 10
    backed_up(stocked, "others-0", "others")
    assert listed(stocked) == ["orders-0", "orders-1", "orders-2", "others-0"]
    assert listed(stocked, TableName="others") == ["others-0"]
    assert listed(stocked, TableName=TABLE_ARN + "others") == ["others-0"]
    assert listed(stocked, TableName="absent") == []
    assert listed(stocked, TimeRangeLowerBound=START + 10, TimeRangeUpperBound=START + 20) == ["orders-1"]
    assert listed(stocked, BackupType="SYSTEM") == []
    assert len(listed(stocked, BackupType="ALL")) == 4
    page = stocked.execute("ListBackups", {"Limit": 3})
    assert page["LastEvaluatedBackupArn"] == page["BackupSummaries"][-1]["BackupArn"]
    assert listed(stocked, ExclusiveStartBackupArn=page["LastEvaluatedBackupArn"]) == ["others-0"]


def test_a_deleted_backup_is_gone(stocked: Engine) -> None:
    arn = backed_up(stocked)
    deleted = stocked.execute("DeleteBackup", {"BackupArn": arn})["BackupDescription"]
    assert deleted["BackupDetails"]["BackupStatus"] == "DELETED"
    for operation in ("DescribeBackup", "DeleteBackup"):
        message = refusal(stocked, operation, {"BackupArn": arn}, "BackupNotFoundException")
        assert message == f"Backup not found: {arn}"
    assert listed(stocked, BackupType="ALL") == []


@pytest.mark.parametrize(
    ("operation", "request_", "code", "message"),
    [
        (
            "CreateBackup",
            {"TableName": "absent", "BackupName": "one"},
            "TableNotFoundException",
            "Table not found: absent",
        ),
        ("DescribeBackup", {"BackupArn": TABLE_ARN + TABLE}, "ValidationException", "Invalid Backup ARN"),
        (
            "DescribeBackup",
            {"BackupArn": ABSENT.replace("000000000000", "111111111111", 1)},
            "AccessDeniedException",
            "Access is denied",
        ),
        (
            "ListBackups",
            {"TimeRangeLowerBound": 2, "TimeRangeUpperBound": 1},
            "ValidationException",
            "One or more parameter values were invalid: "
            "Time range lower bound must be less than or equal to upper bound",
        ),
        ("DescribeBackup", {"BackupArn": ABSENT}, "BackupNotFoundException", f"Backup not found: {ABSENT}"),
        (
            "RestoreTableFromBackup",
            {"BackupArn": ABSENT, "TargetTableName": "other"},
            "BackupNotFoundException",
            f"Backup not found: {ABSENT}",
        ),
    ],
)
def test_what_is_absent_is_reported(
    stocked: Engine, operation: str, request_: dict[str, Any], code: str, message: str
) -> None:
    assert refusal(stocked, operation, request_, code) == message


def test_a_target_that_exists_is_refused(stocked: Engine) -> None:
    request = {"BackupArn": backed_up(stocked), "TargetTableName": TABLE}
    message = refusal(stocked, "RestoreTableFromBackup", request, "TableAlreadyExistsException")
    assert message == "Table already exists: orders"


def test_a_deleted_table_with_recovery_has_a_system_backup_for_35_days(tmp_path: Path, clock: HandClock) -> None:
    path = str(tmp_path / "store.db")
    engine = with_past(clock, path)
    put(engine, TABLE, item(pk="a", sk="1", n=1, state="x"))
    before = held(engine)
    engine.execute("DeleteTable", {"TableName": TABLE})
    assert listed(engine) == []
    (summary,) = engine.execute("ListBackups", {"BackupType": "SYSTEM"})["BackupSummaries"]
    assert summary["BackupName"] == "orders$DeletedTableBackup"
    assert summary["BackupExpiryDateTime"] == START + 35 * DAY_S
    assert summary["BackupArn"].endswith("/backup/01800000000000-00000000")
    backup = {"BackupArn": summary["BackupArn"]}
    description = engine.execute("DescribeBackup", backup)["BackupDescription"]
    assert description["SourceTableFeatureDetails"] == {}
    assert refusal(engine, "DeleteBackup", backup) == (
        f"Invalid Request: User is not allowed to delete the system backup with arn {summary['BackupArn']}. "
        "It will automatically expire on 2027-02-19T08:00:00Z"
    )
    engine.execute("RestoreTableFromBackup", {"TargetTableName": TABLE, "BackupArn": summary["BackupArn"]})
    assert held(engine) == before
    assert check_store(path) == []
    clock.now += 35 * DAY_S - 1
    engine.run_housekeeping()
    assert listed(engine, BackupType="ALL") != []
    clock.now += 1
    engine.run_housekeeping()
    assert listed(engine, BackupType="ALL") == []
    engine.close()
    assert check_store(path) == []


def test_check_finds_a_damaged_backup(tmp_path: Path, clock: HandClock) -> None:
    path = str(tmp_path / "store.db")
    engine = with_past(clock, path)
    put(engine, TABLE, item(pk="a", sk="1", n=1))
    arn = backed_up(engine)
    engine.close()
    assert check_store(path) == []
    storage = Storage(path)
    storage.connection.execute("DELETE FROM backup_1")
    storage.close()
    assert check_store(path) == [f"{arn}: it had (items, bytes) (1, 9), there are (0, 0)"]
