"""RestoreTableToPointInTime: sources, instants, overrides, and the settings of the new table."""

from typing import Any

import pytest

from bursar.dynamo import Engine
from tests.support.dynamo.arns import TABLE_ARN
from tests.support.dynamo.past import TABLE, held, with_past
from tests.support.dynamo.stream_readers import START, HandClock
from tests.support.dynamo.tables import item, put, refusal, table

RESTORE = "RestoreTableToPointInTime"
LATEST: dict[str, Any] = {"SourceTableName": TABLE, "TargetTableName": "other", "UseLatestRestorableTime": True}
PROVISIONED = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 7}
BY_STATE: dict[str, Any] = {
    "IndexName": "by-state",
    "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
    "Projection": {"ProjectionType": "ALL"},
}


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def source(clock: HandClock) -> Engine:
    engine = with_past(clock)
    put(engine, TABLE, item(pk="a", sk="1", n=1, state="x"))
    clock.now += 1
    return engine


def described(engine: Engine, name: str = "other") -> dict[str, Any]:
    description: dict[str, Any] = engine.execute("DescribeTable", {"TableName": name})["Table"]
    return description


def test_the_answer_is_that_of_a_table_in_creation(source: Engine) -> None:
    answer = source.execute(RESTORE, LATEST)["TableDescription"]
    summary = {"SourceTableArn": TABLE_ARN + TABLE, "RestoreDateTime": START + 1}
    assert answer["TableStatus"] == "CREATING"
    assert answer["RestoreSummary"] == {**summary, "RestoreInProgress": True}
    now = described(source)
    assert now["TableStatus"] == "ACTIVE"
    assert "RestoreSummary" not in now


def test_settings_follow_except_those_that_amazon_leaves_out(source: Engine) -> None:
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    source.execute(
        "UpdateTable", {"TableName": TABLE, "StreamSpecification": stream, "DeletionProtectionEnabled": True}
    )
    lives = {"Enabled": True, "AttributeName": "until"}
    source.execute("UpdateTimeToLive", {"TableName": TABLE, "TimeToLiveSpecification": lives})
    source.execute("TagResource", {"ResourceArn": TABLE_ARN + TABLE, "Tags": [{"Key": "k", "Value": "v"}]})
    source.execute(RESTORE, LATEST)
    before, after = described(source, TABLE), described(source)
    for member in ("AttributeDefinitions", "KeySchema", "ItemCount", "TableSizeBytes"):
        assert after[member] == before[member]
    assert after["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert not after["DeletionProtectionEnabled"]
    assert "StreamSpecification" not in after
    assert source.execute("DescribeTimeToLive", {"TableName": "other"})["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "DISABLED"
    }
    assert source.execute("ListTagsOfResource", {"ResourceArn": TABLE_ARN + "other"}) == {"Tags": []}
    backups = source.execute("DescribeContinuousBackups", {"TableName": "other"})["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"] == {"PointInTimeRecoveryStatus": "DISABLED"}


def test_a_restored_table_is_independent_of_its_source(source: Engine) -> None:
    source.execute(RESTORE, LATEST)
    put(source, "other", item(pk="b", sk="1"))
    put(source, TABLE, item(pk="c", sk="1"))
    source.execute("DeleteTable", {"TableName": TABLE})
    assert set(held(source, "other")) == {("a", "1"), ("b", "1")}


def test_indexes_can_be_left_out(source: Engine) -> None:
    source.execute(RESTORE, {**LATEST, "GlobalSecondaryIndexOverride": []})
    assert "GlobalSecondaryIndexes" not in described(source)
    assert {one["AttributeName"] for one in described(source)["AttributeDefinitions"]} == {"pk", "sk"}


def test_an_index_may_get_another_name(source: Engine) -> None:
    source.execute(RESTORE, {**LATEST, "GlobalSecondaryIndexOverride": [{**BY_STATE, "IndexName": "renamed"}]})
    assert set(held(source, "other", "renamed")) == {("a", "1")}


def test_capacity_can_be_overridden(source: Engine) -> None:
    request = {
        **LATEST,
        "BillingModeOverride": "PROVISIONED",
        "ProvisionedThroughputOverride": PROVISIONED,
        "GlobalSecondaryIndexOverride": [{**BY_STATE, "ProvisionedThroughput": PROVISIONED}],
    }
    source.execute(RESTORE, request)
    after = described(source)
    for of in (after, after["GlobalSecondaryIndexes"][0]):
        assert of["ProvisionedThroughput"]["WriteCapacityUnits"] == 7
    source.execute(
        "UpdateContinuousBackups",
        {"TableName": "other", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}},
    )
    back = {**LATEST, "SourceTableName": "other", "TargetTableName": "third", "BillingModeOverride": "PAY_PER_REQUEST"}
    source.execute(RESTORE, back)
    assert described(source, "third")["ProvisionedThroughput"]["WriteCapacityUnits"] == 0


def test_encryption_can_be_overridden(source: Engine) -> None:
    source.execute(RESTORE, {**LATEST, "SSESpecificationOverride": {"Enabled": True, "SSEType": "KMS"}})
    assert described(source)["SSEDescription"]["Status"] == "ENABLED"


def test_the_source_may_be_an_arn(source: Engine) -> None:
    request = {"SourceTableArn": TABLE_ARN + TABLE, "TargetTableName": "other", "UseLatestRestorableTime": True}
    source.execute(RESTORE, request)
    assert set(held(source, "other")) == {("a", "1")}


OUTSIDE = (
    "RestoreDateTime '2027-01-15T08:00:{}Z' must be within EarliestRestorableDateTime '2027-01-15T08:00:00Z' and "
    "LatestRestorableDateTime '2027-01-15T08:00:01Z'"
)
BOTH = (
    "Invalid Request: Both RestoreDateTime and UseLatestRestorableTime cannot be set for point-in-time restore "
    "request. Please specify either RestoreDateTime time or UseLatestRestorableTime"
)
NEITHER = "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be specified, but not both"
NO_SUCH_INDEX = (
    "Invalid Request: Index {} does not match a secondary index that existed in the source table and cannot be "
    "created during the restore operation"
)


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"SourceTableName": "absent"}, "TableNotFoundException", "Table not found: absent"),
        ({"TargetTableName": TABLE}, "TableAlreadyExistsException", f"Table already exists: {TABLE}"),
        (
            {"SourceTableArn": TABLE_ARN + TABLE},
            "ValidationException",
            "Must provide exactly one of: sourceTableArn, sourceTableName",
        ),
        (
            {"SourceTableName": None},
            "ValidationException",
            "The parameter 'TableName' is required but was not present in the request",
        ),
        ({"RestoreDateTime": START}, "ValidationException", BOTH),
        ({"UseLatestRestorableTime": False}, "ValidationException", NEITHER),
        ({"UseLatestRestorableTime": None}, "ValidationException", NEITHER),
        (
            {"UseLatestRestorableTime": None, "RestoreDateTime": START + 2},
            "InvalidRestoreTimeException",
            OUTSIDE.format("02"),
        ),
        (
            {"UseLatestRestorableTime": None, "RestoreDateTime": START + 3, "TargetTableName": TABLE},
            "InvalidRestoreTimeException",
            OUTSIDE.format("03"),
        ),
        (
            {"UseLatestRestorableTime": None, "RestoreDateTime": "2027-01-15"},
            "SerializationException",
            "STRING_VALUE cannot be converted to Date",
        ),
        (
            {"GlobalSecondaryIndexOverride": [{**BY_STATE, "KeySchema": BY_STATE["KeySchema"][:1]}]},
            "ValidationException",
            NO_SUCH_INDEX.format("by-state"),
        ),
        (
            {"GlobalSecondaryIndexOverride": [{**BY_STATE, "Projection": {"ProjectionType": "KEYS_ONLY"}}]},
            "ValidationException",
            NO_SUCH_INDEX.format("by-state"),
        ),
        (
            {"GlobalSecondaryIndexOverride": [{**BY_STATE, "ProvisionedThroughput": PROVISIONED}]},
            "ValidationException",
            "Invalid Request: Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST "
            "for index by-state",
        ),
        (
            {"BillingModeOverride": "PROVISIONED"},
            "ValidationException",
            "Invalid Request: Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED",
        ),
        (
            {"ProvisionedThroughputOverride": PROVISIONED},
            "ValidationException",
            "Invalid Request: Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED",
        ),
        (
            {
                "BillingModeOverride": "PROVISIONED",
                "ProvisionedThroughputOverride": PROVISIONED,
                "OnDemandThroughputOverride": {"MaxReadRequestUnits": 5},
            },
            "ValidationException",
            "Invalid Request: Cannot override MaxReadRequestUnits for OnDemandThroughput unless BillingModeOverride "
            "is PAY_PER_REQUEST",
        ),
        (
            {
                "BillingModeOverride": "PROVISIONED",
                "ProvisionedThroughputOverride": PROVISIONED,
                "GlobalSecondaryIndexOverride": [BY_STATE],
            },
            "ValidationException",
            "Invalid Request: Must specify provisioned throughput for index by-state",
        ),
    ],
)
def test_a_refused_restore_leaves_nothing(source: Engine, changes: dict[str, Any], code: str, message: str) -> None:
    request = {name: value for name, value in {**LATEST, **changes}.items() if value is not None}
    assert refusal(source, RESTORE, request, code) == message
    assert source.execute("ListTables", {})["TableNames"] == [TABLE]


@pytest.mark.parametrize("instant", [1e300, -1e300, 253_402_300_800, -62_135_596_801])
def test_a_time_outside_the_calendar_is_no_date(source: Engine, instant: float) -> None:
    request = {"SourceTableName": TABLE, "TargetTableName": "other", "RestoreDateTime": instant}
    assert refusal(source, RESTORE, request, "SerializationException") == "Value cannot be converted to Date"
    last = {**request, "RestoreDateTime": 253_402_300_799}
    assert "'9999-12-31T23:59:59Z'" in refusal(source, RESTORE, last, "InvalidRestoreTimeException")


def test_a_table_without_recovery_has_no_past(engine: Engine) -> None:
    engine.execute("CreateTable", table())
    assert refusal(engine, RESTORE, LATEST, "PointInTimeRecoveryUnavailableException") == (
        "Point in time recovery is not enabled for table 'orders'"
    )
