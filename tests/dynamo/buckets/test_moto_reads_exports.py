"""Another implementation imports our exports, and we import its: moto, over its own S3 and DynamoDB."""

import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from bursar.dynamo import Engine
from bursar.dynamo.buckets.buckets import EndpointBuckets
from tests.support.dynamo.arns import TABLE_ARN
from tests.support.dynamo.past import TABLE, held, turn_on
from tests.support.dynamo.tables import item, put, table

KEYS: dict[str, Any] = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
WAITS_MAX = 1_200
# No empty map: moto's parser of imports loses the items that have one.
ITEMS = [
    item(pk="a", sk="1", n={"N": "-1.5"}, raw={"B": "AP8="}, yes={"BOOL": True}, none={"NULL": True}),
    item(
        pk="ü", sk="2", nested={"M": {"list": {"L": [{"S": "x"}, {"M": {"y": {"N": "1"}}}]}}}, tags={"SS": ["p", "q"]}
    ),
]


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """Start moto's S3 and DynamoDB."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def stocked(moto: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Return an engine that uses moto's S3."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    s3: Any = boto3.client("s3", endpoint_url=moto, **KEYS)
    s3.create_bucket(Bucket="shared")
    engine.set_buckets(EndpointBuckets(moto))
    return engine


def import_request(prefix: str, name: str) -> dict[str, Any]:
    return {
        "S3BucketSource": {"S3Bucket": "shared", "S3KeyPrefix": prefix},
        "InputFormat": "DYNAMODB_JSON",
        "InputCompressionType": "GZIP",
        "TableCreationParameters": table(name),
    }


def finished(describe: Any) -> dict[str, Any]:
    """Return the description once its job has ended."""
    for _ in range(WAITS_MAX):
        description: dict[str, Any] = describe()
        if "IN_PROGRESS" not in (description.get("ImportStatus"), description.get("ExportStatus")):
            return description
        time.sleep(0.1)
    raise TimeoutError("the job has not ended")


def test_moto_imports_our_export(moto: str, stocked: Engine) -> None:
    stocked.execute("CreateTable", table())
    turn_on(stocked)
    put(stocked, TABLE, *ITEMS)
    request = {"TableArn": TABLE_ARN + TABLE, "S3Bucket": "shared", "S3Prefix": "ours"}
    arn = stocked.execute("ExportTableToPointInTime", request)["ExportDescription"]["ExportArn"]
    manifest = stocked.execute("DescribeExport", {"ExportArn": arn})["ExportDescription"]["ExportManifest"]
    client: Any = boto3.client("dynamodb", endpoint_url=moto, **KEYS)
    started = client.import_table(**import_request(manifest.rpartition("/")[0] + "/data/", "imported-by-moto"))
    import_arn = started["ImportTableDescription"]["ImportArn"]
    done = finished(lambda: client.describe_import(ImportArn=import_arn)["ImportTableDescription"])
    assert (done["ImportStatus"], done["ImportedItemCount"]) == ("COMPLETED", len(ITEMS))
    found = {one["pk"]["S"]: one for one in client.scan(TableName="imported-by-moto")["Items"]}
    assert {pk: {**one, "tags": sorted(one.get("tags", {}).get("SS", []))} for pk, one in found.items()} == {
        one["pk"]["S"]: {
            **{name: {"B": b"\x00\xff"} if name == "raw" else value for name, value in one.items()},
            "tags": sorted(one.get("tags", {}).get("SS", [])),
        }
        for one in ITEMS
    }


def test_we_import_an_export_of_moto(moto: str, stocked: Engine) -> None:
    client: Any = boto3.client("dynamodb", endpoint_url=moto, **KEYS)
    arn = client.create_table(**table("exported-by-moto"))["TableDescription"]["TableArn"]
    client.update_continuous_backups(
        TableName="exported-by-moto", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    client.put_item(TableName="exported-by-moto", Item=ITEMS[1])
    started = client.export_table_to_point_in_time(TableArn=arn, S3Bucket="shared", S3Prefix="theirs")
    export_arn = started["ExportDescription"]["ExportArn"]
    done = finished(lambda: client.describe_export(ExportArn=export_arn)["ExportDescription"])
    assert done["ExportStatus"] == "COMPLETED"
    answer = stocked.execute("ImportTable", import_request("theirs/AWSDynamoDB/", "imported"))
    imported = stocked.execute("DescribeImport", {"ImportArn": answer["ImportTableDescription"]["ImportArn"]})
    assert imported["ImportTableDescription"]["ImportStatus"] == "COMPLETED"
    found = held(stocked, "imported")["ü", "2"]
    assert sorted(found.pop("tags")["SS"]) == ["p", "q"]
    assert found == {name: value for name, value in ITEMS[1].items() if name != "tags"}
