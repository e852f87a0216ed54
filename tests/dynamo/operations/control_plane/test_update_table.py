"""UpdateTable: added and deleted indexes, and the settings."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.storage.integrity_check import check_store
from tests.support.dynamo.tables import item, key_schema, put, refusal, table


@pytest.fixture
def orders(engine: Engine) -> Engine:
    engine.execute("CreateTable", table())
    return engine


def create_index(name: str = "by-n", key: str = "n:N") -> dict[str, Any]:
    attribute, kind = key.split(":")
    index = {"IndexName": name, "KeySchema": key_schema((key,)), "Projection": {"ProjectionType": "ALL"}}
    return {
        "TableName": "orders",
        "AttributeDefinitions": [{"AttributeName": attribute, "AttributeType": kind}],
        "GlobalSecondaryIndexUpdates": [{"Create": index}],
    }


def delete_index(name: str = "by-n") -> dict[str, Any]:
    return {"TableName": "orders", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": name}}]}


def test_a_new_index_contains_the_existing_items(orders: Engine) -> None:
    unfit = item(pk="d", sk="1", n="not a number")
    put(orders, "orders", item(pk="a", sk="1", n=2), item(pk="b", sk="1", n=2), item(pk="c", sk="1"), unfit)
    updating = orders.execute("UpdateTable", create_index())["TableDescription"]
    assert updating["TableStatus"] == "UPDATING"
    assert updating["GlobalSecondaryIndexes"][0]["IndexStatus"] == "CREATING"
    described = orders.execute("DescribeTable", {"TableName": "orders"})["Table"]["GlobalSecondaryIndexes"][0]
    assert (described["IndexStatus"], described["ItemCount"]) == ("ACTIVE", 2)
    request = {
        "TableName": "orders",
        "IndexName": "by-n",
        "KeyConditionExpression": "n = :n",
        "ExpressionAttributeValues": item(**{":n": 2}),
    }
    assert orders.execute("Query", request)["Count"] == 2
    put(orders, "orders", item(pk="e", sk="1", n=2))
    assert orders.execute("Query", request)["Count"] == 3


def test_an_item_unfit_for_an_index_may_still_change_elsewhere(orders: Engine) -> None:
    put(orders, "orders", item(pk="d", sk="1", n="not a number"))
    orders.execute("UpdateTable", create_index())
    request = {
        "TableName": "orders",
        "Key": item(pk="d", sk="1"),
        "UpdateExpression": "SET note = :o",
        "ExpressionAttributeValues": item(**{":o": "x"}),
    }
    orders.execute("UpdateItem", request)


@pytest.mark.parametrize("unfit", ["", "x" * 2049])
def test_an_item_with_an_empty_or_too_long_index_key_stays_out(tmp_path: Path, unfit: str) -> None:
    path = str(tmp_path / "orders.db")
    with closing(Engine.open(path)) as engine:
        engine.execute("CreateTable", table())
        put(engine, "orders", item(pk="a", sk="1", n=unfit), item(pk="b", sk="1", n="fit"))
        engine.execute("UpdateTable", create_index(key="n:S"))
        scan = {"TableName": "orders", "IndexName": "by-n"}
        assert engine.execute("Scan", scan)["Items"] == [item(pk="b", sk="1", n="fit")]
        change = {"UpdateExpression": "SET note = :o", "ExpressionAttributeValues": item(**{":o": "x"})}
        engine.execute("UpdateItem", {"TableName": "orders", "Key": item(pk="a", sk="1"), **change})
        described = engine.execute("DescribeTable", {"TableName": "orders"})["Table"]["GlobalSecondaryIndexes"][0]
        assert (described["ItemCount"], described["IndexSizeBytes"]) == (1, 10)
        assert check_store(path) == []
        engine.execute("DeleteItem", {"TableName": "orders", "Key": item(pk="a", sk="1")})
        assert check_store(path) == []


def test_the_definitions_of_a_new_index_must_be_sent(orders: Engine) -> None:
    redundant = create_index(key="sk:S")
    del redundant["AttributeDefinitions"]
    assert refusal(orders, "UpdateTable", redundant) == (
        "One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. "
        "Keys: [sk], AttributeDefinitions: []"
    )


def test_an_empty_list_of_indexes_asks_for_nothing(orders: Engine) -> None:
    request = {"TableName": "orders", "GlobalSecondaryIndexUpdates": []}
    assert refusal(orders, "UpdateTable", request).startswith("At least one of ProvisionedThroughput, BillingMode")


def test_a_deleted_index_frees_its_name(orders: Engine) -> None:
    orders.execute("UpdateTable", create_index())
    put(orders, "orders", item(pk="a", sk="1", n=2))
    orders.execute("UpdateTable", delete_index())
    described = orders.execute("DescribeTable", {"TableName": "orders"})["Table"]
    assert "GlobalSecondaryIndexes" not in described
    assert [one["AttributeName"] for one in described["AttributeDefinitions"]] == ["pk", "sk"]
    put(orders, "orders", item(pk="a", sk="1", n="now a string"))
    orders.execute("UpdateTable", create_index(key="n:S"))
    assert orders.execute("Scan", {"TableName": "orders", "IndexName": "by-n"})["Count"] == 1


def test_billing_goes_back_and_forth(orders: Engine) -> None:
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    orders.execute("UpdateTable", {"TableName": "orders", "BillingMode": "PROVISIONED", "ProvisionedThroughput": units})
    described = orders.execute("DescribeTable", {"TableName": "orders"})["Table"]
    assert described["BillingModeSummary"]["BillingMode"] == "PROVISIONED"
    assert described["ProvisionedThroughput"] == {"NumberOfDecreasesToday": 0, **units}
    same = {"TableName": "orders", "ProvisionedThroughput": units}
    assert "will not change" in refusal(orders, "UpdateTable", same)
    orders.execute("UpdateTable", {"TableName": "orders", "BillingMode": "PAY_PER_REQUEST"})
    described = orders.execute("DescribeTable", {"TableName": "orders"})["Table"]
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    both = {"TableName": "orders", "BillingMode": "PAY_PER_REQUEST", "ProvisionedThroughput": units}
    assert "Neither ReadCapacityUnits nor" in refusal(orders, "UpdateTable", both)


def test_an_index_needs_units_of_its_own_and_changes_once_in_a_request(orders: Engine) -> None:
    orders.execute("UpdateTable", create_index())
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    provisioned = {"TableName": "orders", "BillingMode": "PROVISIONED", "ProvisionedThroughput": units}
    assert refusal(orders, "UpdateTable", provisioned) == (
        "One or more parameter values were invalid: ProvisionedThroughput must be specified for index: by-n"
    )
    update = {"Update": {"IndexName": "by-n", "ProvisionedThroughput": units}}
    orders.execute("UpdateTable", {**provisioned, "GlobalSecondaryIndexUpdates": [update]})
    same = {"TableName": "orders", "GlobalSecondaryIndexUpdates": [update]}
    assert refusal(orders, "UpdateTable", same) == (
        "The provisioned throughput for the index by-n will not change. The requested value equals the current value. "
        "Current ReadCapacityUnits provisioned for the index: 5. Requested ReadCapacityUnits: 5. "
        "Current WriteCapacityUnits provisioned for the index: 6. Requested WriteCapacityUnits: 6. "
        "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
    )
    twice = {"TableName": "orders", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by-n"}}, update]}
    assert refusal(orders, "UpdateTable", twice) == (
        "One or more parameter values were invalid: "
        "Only one global secondary index update per index is allowed simultaneously. Index: by-n"
    )


def test_a_stream_is_turned_on_and_off(orders: Engine) -> None:
    on = {
        "TableName": "orders",
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    }
    described = orders.execute("UpdateTable", on)["TableDescription"]
    assert described["StreamSpecification"] == on["StreamSpecification"]
    assert described["LatestStreamArn"].startswith(described["TableArn"] + "/stream/2027-01-15T")
    assert "already has an enabled stream" in refusal(orders, "UpdateTable", on)
    off = {"TableName": "orders", "StreamSpecification": {"StreamEnabled": False}}
    assert "StreamSpecification" not in orders.execute("UpdateTable", off)["TableDescription"]
    assert "no stream to disable" in refusal(orders, "UpdateTable", off)


def test_the_remaining_settings(orders: Engine) -> None:
    request = {
        "TableName": "orders",
        "TableClass": "STANDARD_INFREQUENT_ACCESS",
        "DeletionProtectionEnabled": True,
        "SSESpecification": {"Enabled": True, "SSEType": "KMS"},
    }
    orders.execute("UpdateTable", request)
    described = orders.execute("DescribeTable", {"TableName": "orders"})["Table"]
    assert described["TableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert described["DeletionProtectionEnabled"] is True
    assert (described["SSEDescription"]["Status"], described["SSEDescription"]["SSEType"]) == ("ENABLED", "KMS")


def test_amazons_texts(orders: Engine) -> None:
    assert refusal(orders, "UpdateTable", {"TableName": "orders"}).startswith("At least one of ProvisionedThroughput")
    orders.execute("UpdateTable", create_index())
    assert refusal(orders, "UpdateTable", create_index()) == "Attempting to create an index which already exists"
    refusal(orders, "UpdateTable", delete_index("other"), "ResourceNotFoundException")
    refusal(orders, "UpdateTable", create_index() | {"TableName": "missing"}, "ResourceNotFoundException")
    undefined = create_index("by-other", "other:S") | {"AttributeDefinitions": []}
    assert "Some index key attributes are not defined" in refusal(orders, "UpdateTable", undefined)
    two = create_index("one") | {
        "GlobalSecondaryIndexUpdates": [
            create_index("one")["GlobalSecondaryIndexUpdates"][0],
            delete_index()["GlobalSecondaryIndexUpdates"][0],
        ]
    }
    refusal(orders, "UpdateTable", two, "LimitExceededException")


REDEFINED = (
    "One or more parameter values were invalid: Attributes cannot be redefined. Please check that your attribute has "
    "the same type as previously defined. Existing schema: {} New schema: {}"
)


def shown(*parts: str) -> str:
    return f"Schema:[{', '.join(f'SchemaElement: key{{{part}}}' for part in parts)}]"


@pytest.mark.parametrize(
    ("keys", "existing", "new"),
    [
        (("g:N",), ("g:S:HASH", "h:N:RANGE"), ("g:N:HASH",)),
        (("z:S", "h:B"), ("g:S:HASH", "h:N:RANGE"), ("z:S:HASH", "h:B:RANGE")),
        (("pk:N",), ("pk:S:HASH", "sk:S:RANGE"), ("pk:N:HASH",)),
        (("l:N",), ("pk:S:HASH", "l:S:RANGE"), ("l:N:HASH",)),
    ],
    ids=["a global index's", "a global index's sort key", "the table's", "a local index's"],
)
def test_a_new_index_cannot_give_a_key_attribute_another_type(
    keys: tuple[str, ...], existing: tuple[str, ...], new: tuple[str, ...], tmp_path: Path
) -> None:
    path = str(tmp_path / "store.db")
    engine = Engine.open(path)
    engine.execute(
        "CreateTable", table(global_indexes={"by-g": ("g:S", "h:N")}, local_indexes={"by-l": ("pk:S", "l:S")})
    )
    stored = [item(pk=f"p{number}", sk="1", g="g", h=number, l="l") for number in range(4)]
    put(engine, "orders", *stored)
    definitions = engine.execute("DescribeTable", {"TableName": "orders"})["Table"]["AttributeDefinitions"]

    message = refusal(engine, "UpdateTable", creating("by-new", *keys))
    assert message == REDEFINED.format(shown(*existing), shown(*new))

    described = engine.execute("DescribeTable", {"TableName": "orders"})["Table"]
    assert described["AttributeDefinitions"] == definitions
    change = {"TableName": "orders", "UpdateExpression": "SET h = :h", "ExpressionAttributeValues": item(**{":h": 9})}
    engine.execute("UpdateItem", {**change, "Key": item(pk="p0", sk="1")})
    engine.execute("DeleteItem", {"TableName": "orders", "Key": item(pk="p1", sk="1")})
    stored = [*stored[2:], {**stored[0], "h": {"N": "9"}}]
    asked = {"KeyConditionExpression": "g = :g", "ExpressionAttributeValues": item(**{":g": "g"})}
    assert engine.execute("Query", {"TableName": "orders", "IndexName": "by-g", **asked})["Items"] == stored
    assert in_pages(engine, {"TableName": "orders", "IndexName": "by-g", "Limit": 1}) == stored
    engine.close()
    assert check_store(path) == []


def test_another_type_for_an_attribute_that_the_new_index_does_not_use_is_ignored(orders: Engine) -> None:
    request = creating("by-z", "z:S")
    request["AttributeDefinitions"].append({"AttributeName": "pk", "AttributeType": "N"})
    orders.execute("UpdateTable", request)
    described = orders.execute("DescribeTable", {"TableName": "orders"})["Table"]["AttributeDefinitions"]
    types = {one["AttributeName"]: one["AttributeType"] for one in described}
    assert types == {"pk": "S", "sk": "S", "z": "S"}
    put(orders, "orders", item(pk="a", sk="1", z="z"))
    assert in_pages(orders, {"TableName": "orders", "IndexName": "by-z", "Limit": 1}) == [item(pk="a", sk="1", z="z")]


def creating(name: str, *keys: str) -> dict[str, Any]:
    index = {"IndexName": name, "KeySchema": key_schema(keys), "Projection": {"ProjectionType": "ALL"}}
    definitions = [dict(zip(("AttributeName", "AttributeType"), key.split(":"), strict=True)) for key in keys]
    return {
        "TableName": "orders",
        "AttributeDefinitions": definitions,
        "GlobalSecondaryIndexUpdates": [{"Create": index}],
    }


def in_pages(engine: Engine, request: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    start: dict[str, Any] = {}
    while True:
        page = engine.execute("Scan", {**request, **start})
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            return found
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
