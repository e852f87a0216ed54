"""CreateTable, DescribeTable, DeleteTable, ListTables."""

from typing import Any

import pytest

from bursar.dynamo import Engine
from tests.support.dynamo.tables import item, put, refusal, table


def test_a_table_is_described_as_it_was_made(engine: Engine) -> None:
    created = engine.execute("CreateTable", table(global_indexes={"by-state": ("state:S", "n:N")}))
    assert created["TableDescription"]["TableStatus"] == "CREATING"
    described = engine.execute("DescribeTable", {"TableName": "orders"})["Table"]
    index = described.pop("GlobalSecondaryIndexes")[0]
    assert described.pop("TableId")
    assert described == {
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
            {"AttributeName": "state", "AttributeType": "S"},
            {"AttributeName": "n", "AttributeType": "N"},
        ],
        "TableName": "orders",
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        "TableStatus": "ACTIVE",
        "CreationDateTime": 1_800_000_000.0,
        "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
        "TableSizeBytes": 0,
        "ItemCount": 0,
        "TableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/orders",
        "DeletionProtectionEnabled": False,
        "BillingModeSummary": {
            "BillingMode": "PAY_PER_REQUEST",
            "LastUpdateToPayPerRequestDateTime": 1_800_000_000.0,
        },
        "WarmThroughput": {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"},
    }
    assert (index["IndexName"], index["IndexStatus"], index["ItemCount"]) == ("by-state", "ACTIVE", 0)


def described(engine: Engine, name: str = "orders") -> dict[str, Any]:
    description: dict[str, Any] = engine.execute("DescribeTable", {"TableName": name})["Table"]
    return description


def test_only_a_table_that_was_on_demand_has_a_billing_summary(engine: Engine) -> None:
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    engine.execute("CreateTable", {**table("paid"), "BillingMode": "PROVISIONED", "ProvisionedThroughput": units})
    assert "BillingModeSummary" not in described(engine, "paid")
    assert "BillingModeSummary" not in engine.execute("DeleteTable", {"TableName": "paid"})["TableDescription"]
    engine.execute("CreateTable", table())
    deleted = engine.execute("DeleteTable", {"TableName": "orders"})["TableDescription"]
    assert deleted["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


def test_a_table_has_the_warm_throughput_of_its_capacity_or_more(engine: Engine) -> None:
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    provisioned = {**table("paid"), "BillingMode": "PROVISIONED", "ProvisionedThroughput": units}
    low = {"WarmThroughput": {"ReadUnitsPerSecond": 4, "WriteUnitsPerSecond": 6}}
    asked = (
        "One or more parameter values were invalid: "
        "Requested ReadUnitsPerSecond for WarmThroughput for table is lower than "
    )
    assert refusal(engine, "CreateTable", {**provisioned, **low}) == (
        f"{asked}ReadCapacityUnits of ProvisionedThroughput"
    )
    assert refusal(engine, "CreateTable", {**table(), **low}) == f"{asked}initial throughput for OnDemand"
    engine.execute("CreateTable", provisioned)
    warm = {"ReadUnitsPerSecond": 5, "WriteUnitsPerSecond": 6, "Status": "ACTIVE"}
    assert described(engine, "paid")["WarmThroughput"] == warm
    unknown = {"WarmThroughput": {"X": "more"}, "OnDemandThroughput": {"X": "more"}}
    engine.execute("UpdateTable", {"TableName": "paid", **unknown})  # Amazon ignores members that it does not know
    after = described(engine, "paid")
    assert (after["WarmThroughput"], "OnDemandThroughput" in after) == (warm, False)
    more = {"TableName": "paid", "WarmThroughput": {"ReadUnitsPerSecond": 50}}
    updated = engine.execute("UpdateTable", more)["TableDescription"]["WarmThroughput"]
    assert updated == {"ReadUnitsPerSecond": 50, "WriteUnitsPerSecond": 6, "Status": "UPDATING"}
    assert described(engine, "paid")["WarmThroughput"] == {**updated, "Status": "ACTIVE"}
    less = {"TableName": "paid", "WarmThroughput": {"ReadUnitsPerSecond": 49}}
    assert refusal(engine, "UpdateTable", less) == (
        f"{asked}current WarmThroughput, decreasing WarmThroughput is not supported"
    )


@pytest.mark.parametrize("member", ["MaxReadRequestUnits", "MaxWriteRequestUnits"])
def test_a_maximum_of_on_demand_units_is_positive_or_none(engine: Engine, member: str) -> None:
    for units in (0, -2):
        assert refusal(engine, "CreateTable", {**table(), "OnDemandThroughput": {member: units}}) == (
            f"One or more parameter values were invalid: Requested {member} for OnDemandThroughput for table "
            "is outside of valid range"
        )
    engine.execute("CreateTable", {**table(), "OnDemandThroughput": {member: -1}})


@pytest.mark.parametrize(
    ("key", "arn"),
    [
        (None, "key/00000000-0000-4000-8000-000000000000"),
        ("1234", "key/1234"),
        ("alias/mine", "alias/mine"),
    ],
)
def test_encryption_names_the_key(engine: Engine, key: str | None, arn: str) -> None:
    encryption = {"Enabled": True, **({} if key is None else {"KMSMasterKeyId": key})}
    engine.execute("CreateTable", {**table(), "SSESpecification": encryption})
    assert described(engine)["SSEDescription"] == {
        "Status": "ENABLED",
        "SSEType": "KMS",
        "KMSMasterKeyArn": f"arn:aws:kms:us-east-1:000000000000:{arn}",
    }


def test_an_index_names_no_attribute_twice(engine: Engine) -> None:
    twice = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a", "b", "a"]}
    request = table(global_indexes={"by-state": ("state:S",)}, projection=twice)
    assert "Duplicate attribute name in NonKeyAttributes: a" in refusal(engine, "CreateTable", request)
    keys = {"twice": ("pk:S", "pk:S")}
    for request in (table(global_indexes=keys), table(local_indexes=keys)):
        assert refusal(engine, "CreateTable", request) == (
            "Both the Hash Key and the Range Key element in the KeySchema have the same name"
        )


def test_violations_of_global_indexes_come_before_those_of_local_ones(engine: Engine) -> None:
    request = table(global_indexes={"zz": ("g:S",)}, local_indexes={"aa": ("pk:S", "l:S")})
    message = refusal(engine, "CreateTable", request)
    assert message.startswith("2 validation errors detected: Value 'zz' at 'globalSecondaryIndexes.1.member.indexName'")


def test_counts_follow_the_items(engine: Engine) -> None:
    keys_only = {"ProjectionType": "KEYS_ONLY"}
    engine.execute("CreateTable", table(global_indexes={"by-state": ("state:S",)}, projection=keys_only))
    put(engine, "orders", item(pk="a", sk="1", state="new", more="12345"), item(pk="b", sk="1"))
    put(engine, "orders", item(pk="a", sk="1", state="newer", more="123"))
    engine.execute("DeleteItem", {"TableName": "orders", "Key": item(pk="b", sk="1")})
    described = engine.execute("DescribeTable", {"TableName": "orders"})["Table"]
    assert (described["ItemCount"], described["TableSizeBytes"]) == (1, 23)
    index = described["GlobalSecondaryIndexes"][0]
    assert (index["ItemCount"], index["IndexSizeBytes"]) == (1, 16)


def test_a_deleted_table_loses_its_items(engine: Engine) -> None:
    engine.execute("CreateTable", table(global_indexes={"by-state": ("state:S",)}))
    put(engine, "orders", item(pk="a", sk="1", state="new"))
    deleted = engine.execute("DeleteTable", {"TableName": "orders"})
    assert deleted["TableDescription"]["TableStatus"] == "DELETING"
    assert engine.execute("ListTables", {}) == {"TableNames": []}
    engine.execute("CreateTable", table())
    assert engine.execute("Scan", {"TableName": "orders"})["Count"] == 0


def test_a_protected_table_is_not_removed(engine: Engine) -> None:
    engine.execute("CreateTable", table() | {"DeletionProtectionEnabled": True})
    assert "protected against deletion" in refusal(engine, "DeleteTable", {"TableName": "orders"})
    engine.execute("UpdateTable", {"TableName": "orders", "DeletionProtectionEnabled": False})
    engine.execute("DeleteTable", {"TableName": "orders"})


def test_tables_are_listed_in_pages_by_name(engine: Engine) -> None:
    for name in ("ccc", "aaa", "bbb"):
        engine.execute("CreateTable", table(name))
    assert engine.execute("ListTables", {"Limit": 2}) == {
        "TableNames": ["aaa", "bbb"],
        "LastEvaluatedTableName": "bbb",
    }
    assert engine.execute("ListTables", {"ExclusiveStartTableName": "bbb"}) == {"TableNames": ["ccc"]}


def test_a_name_can_be_used_once(engine: Engine) -> None:
    engine.execute("CreateTable", table())
    assert refusal(engine, "CreateTable", table(), "ResourceInUseException") == "Table already exists: orders"


def test_a_missing_table_is_named(engine: Engine) -> None:
    for operation in ("DescribeTable", "DeleteTable"):
        message = refusal(engine, operation, {"TableName": "missing"}, "ResourceNotFoundException")
        assert message == "Requested resource not found: Table: missing not found"


INVALID = "One or more parameter values were invalid: "
LOCAL = table(local_indexes={"by-state": ("pk:S", "state:S")})
REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"TableName": None}, "The parameter 'TableName' is required but was not present in the request"),
    (
        {"TableName": "ab"},
        "1 validation error detected: Value 'ab' at 'tableName' failed to satisfy constraint: "
        "Member must have length greater than or equal to 3",
    ),
    (
        {"KeySchema": [{"AttributeName": "pk", "KeyType": "INVALID"}]},
        "1 validation error detected: Value 'INVALID' at 'keySchema.1.member.keyType' failed to satisfy constraint: "
        "Member must satisfy enum value set: [HASH, RANGE]",
    ),
    (
        {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "X"}]},
        "1 validation error detected: Value 'X' at 'attributeDefinitions.1.member.attributeType' "
        "failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]",
    ),
    (
        {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "pk", "KeyType": "RANGE"}]},
        "Invalid KeySchema: Some index key attribute have no definition",
    ),
    (
        {"KeySchema": [{"AttributeName": name, "KeyType": "RANGE"} for name in ("a", "b", "c")]},
        "1 validation error detected: Value '[KeySchemaElement(attributeName=a, keyType=RANGE), "
        "KeySchemaElement(attributeName=b, keyType=RANGE), KeySchemaElement(attributeName=c, keyType=RANGE)]' "
        "at 'keySchema' failed to satisfy constraint: Member must have length less than or equal to 2",
    ),
    (
        {"KeySchema": [{"AttributeName": "pk", "KeyType": "RANGE"}]},
        "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
    ),
    (
        {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]},
        f"{INVALID}Some index key attributes are not defined in AttributeDefinitions. "
        "Keys: [id], AttributeDefinitions: [pk, sk]",
    ),
    (
        {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]},
        f"{INVALID}Number of attributes in KeySchema does not exactly match number of attributes defined in "
        "AttributeDefinitions",
    ),
    (
        {"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}},
        f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified "
        "when BillingMode is PAY_PER_REQUEST",
    ),
    (
        {"BillingMode": "PROVISIONED"},
        f"{INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
    ),
    (
        {
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "LocalSecondaryIndexes": LOCAL["LocalSecondaryIndexes"],
        },
        f"{INVALID}Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
    ),
    (
        {
            "AttributeDefinitions": LOCAL["AttributeDefinitions"],
            "LocalSecondaryIndexes": LOCAL["LocalSecondaryIndexes"] * 2,
        },
        f"{INVALID}Duplicate index name: by-state",
    ),
]


@pytest.mark.parametrize(("change", "message"), REFUSALS)
def test_amazons_texts(engine: Engine, change: dict[str, Any], message: str) -> None:
    assert refusal(engine, "CreateTable", table() | change) == message
    assert engine.execute("ListTables", {}) == {"TableNames": []}


def test_a_local_index_shares_the_tables_partition_key(engine: Engine) -> None:
    request = table(local_indexes={"by-state": ("state:S", "sk:S")})
    assert "does not have the same leading hash key" in refusal(engine, "CreateTable", request)


def test_an_unknown_operation_is_refused(engine: Engine) -> None:
    refusal(engine, "MakeCoffee", {}, "UnknownOperationException")
