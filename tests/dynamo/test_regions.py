"""The region of an engine: in every ARN, in stream records, in refusals, and where it is chosen."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bursar.clock import system_clock
from bursar.dynamo import DynamoError, Engine
from bursar.dynamo.buckets.buckets import FolderBuckets
from bursar.dynamo.clients.boto3_in_process import boto3_client
from bursar.dynamo.commands import dynamo
from bursar.dynamo.regions import check_region
from bursar.dynamo.server.admission import Admission, NotAdmitted
from bursar.dynamo.server.credentials import AccessKeys, KeyGrant
from bursar.dynamo.server.iam_scope import required_permissions
from bursar.dynamo.server.policies import parse_policy
from bursar.dynamo.tools.testing import InProcess
from bursar.dynamo.weather.engine import WeatherEngine
from bursar.dynamo.weather.settings import named_weather
from bursar.web.http1_server import HttpRequest
from bursar.web.sigv4 import Identity
from tests.support.dynamo.stream_readers import arn_of, records_of, streamed
from tests.support.dynamo.tables import item, put, refusal, table

REGION = "eu-west-1"
TABLE_ARN = f"arn:aws:dynamodb:{REGION}:000000000000:table/orders"
ELSEWHERE = TABLE_ARN.replace(REGION, "us-east-1")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """Return an engine in the region, with a table that has an index, a stream, an item, and recovery."""
    engine = Engine.open(str(tmp_path / "store.db"), region=REGION)
    (tmp_path / "s3" / "files").mkdir(parents=True)
    engine.set_buckets(FolderBuckets(tmp_path / "s3"))
    indexed = table(global_indexes={"by-state": ("state:S",)})
    engine.execute("CreateTable", {**streamed(), **indexed, "SSESpecification": {"Enabled": True, "SSEType": "KMS"}})
    recovery = {"PointInTimeRecoveryEnabled": True}
    engine.execute("UpdateContinuousBackups", {"TableName": "orders", "PointInTimeRecoverySpecification": recovery})
    put(engine, "orders", item(pk="a", sk="1", state="new"))
    return engine


@pytest.mark.parametrize("name", ["us-east-1", "ap-southeast-2", "us-gov-west-1", "eusc-de-east-1", "us-isob-east-1"])
def test_a_region_has_a_regions_form(name: str) -> None:
    assert check_region(name) == name


@pytest.mark.parametrize("name", ["", "Paris", "us-east", "US-EAST-1", "us-east-1:", "us-east-1\n", "eu-west-0"])
def test_another_text_is_refused_and_makes_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^region: must be a region's name such as us-east-1; got "):
        Engine.open(str(tmp_path / "store.db"), region=name)
    assert list(tmp_path.iterdir()) == []


def test_tables_indexes_streams_and_keys_have_the_region(engine: Engine) -> None:
    described = engine.execute("DescribeTable", {"TableName": TABLE_ARN})["Table"]
    assert described["TableArn"] == TABLE_ARN
    assert described["GlobalSecondaryIndexes"][0]["IndexArn"] == f"{TABLE_ARN}/index/by-state"
    assert described["LatestStreamArn"].startswith(f"{TABLE_ARN}/stream/")
    assert described["SSEDescription"]["KMSMasterKeyArn"].startswith(f"arn:aws:kms:{REGION}:")
    assert "us-east-1" not in json.dumps([described, engine.execute("ListStreams", {})])


def test_stream_records_have_the_region(engine: Engine) -> None:
    (record,) = records_of(engine, arn_of(engine))
    assert record["awsRegion"] == REGION


def test_backups_exports_and_imports_have_the_region(engine: Engine) -> None:
    backup = engine.execute("CreateBackup", {"TableName": "orders", "BackupName": "nightly"})["BackupDetails"]
    export = engine.execute("ExportTableToPointInTime", {"TableArn": TABLE_ARN, "S3Bucket": "files"})
    imported = engine.execute(
        "ImportTable",
        {
            "S3BucketSource": {"S3Bucket": "files", "S3KeyPrefix": "none/"},
            "InputFormat": "DYNAMODB_JSON",
            "TableCreationParameters": table("copy"),
        },
    )["ImportTableDescription"]
    assert backup["BackupArn"].startswith(f"{TABLE_ARN}/backup/")
    assert export["ExportDescription"]["ExportArn"].startswith(f"{TABLE_ARN}/export/")
    assert imported["ImportArn"].startswith(f"arn:aws:dynamodb:{REGION}:000000000000:table/copy/import/")
    answers: list[Any] = [backup, export, imported]
    answers.append(engine.execute("DescribeBackup", {"BackupArn": backup["BackupArn"]}))
    answers += [engine.execute(operation, {}) for operation in ("ListBackups", "ListExports", "ListImports")]
    assert "us-east-1" not in json.dumps(answers)


def test_an_arn_of_another_region_is_refused(engine: Engine) -> None:
    assert refusal(engine, "ListTagsOfResource", {"ResourceArn": ELSEWHERE}).endswith(ELSEWHERE)
    assert engine.execute("ListTagsOfResource", {"ResourceArn": TABLE_ARN}) == {"Tags": []}
    export = {"TableArn": ELSEWHERE, "S3Bucket": "files"}
    refused = refusal(engine, "ExportTableToPointInTime", export, "TableNotFoundException")
    assert refused == f"Table not found: {ELSEWHERE}"


def test_the_file_does_not_store_the_region_and_finds_what_was_made_in_another(engine: Engine, tmp_path: Path) -> None:
    backup = engine.execute("CreateBackup", {"TableName": "orders", "BackupName": "nightly"})["BackupDetails"]
    made = engine.execute("ExportTableToPointInTime", {"TableArn": TABLE_ARN, "S3Bucket": "files"})["ExportDescription"]
    engine.close()
    reopened = Engine.open(str(tmp_path / "store.db"))
    assert reopened.execute("DescribeTable", {"TableName": "orders"})["Table"]["TableArn"] == ELSEWHERE
    assert arn_of(reopened).startswith(f"{ELSEWHERE}/stream/")
    found = reopened.execute("DescribeBackup", {"BackupArn": backup["BackupArn"]})["BackupDescription"]
    assert found["BackupDetails"]["BackupArn"] == backup["BackupArn"]
    assert found["SourceTableDetails"]["TableArn"] == ELSEWHERE
    export = reopened.execute("DescribeExport", {"ExportArn": made["ExportArn"]})["ExportDescription"]
    assert export["ExportArn"] == made["ExportArn"]
    reopened.close()
    reader = Engine.open_for_reading(str(tmp_path / "store.db"), region="ap-south-1")
    assert "ap-south-1" in reader.execute("DescribeTable", {"TableName": "orders"})["Table"]["TableArn"]
    reader.close()


def test_the_weather_finds_a_table_by_its_arn() -> None:
    engine = WeatherEngine.open(
        ":memory:", region=REGION, weather=named_weather("storm", 1), sleep=lambda _seconds: None
    )
    with engine.calm():
        engine.execute("CreateTable", table())
        assert engine.execute("DescribeTable", {"TableName": TABLE_ARN})["Table"]["TableArn"] == TABLE_ARN
    for _ in range(40):
        engine.pause_s("GetItem", {"TableName": TABLE_ARN})
    assert {name for name, _kind in engine.happened()} == {"orders"}


def test_a_policy_is_on_the_arns_of_the_region() -> None:
    needed = required_permissions(
        "Query", {"TableName": "orders", "IndexName": "by-state"}, lambda _table, _index: (), REGION
    )
    assert [one.resource for one in needed] == [f"{TABLE_ARN}/index/by-state"]


def test_a_health_check_names_the_region() -> None:
    admission = Admission(None, system_clock, lambda _table, _index: (), REGION)
    with pytest.raises(NotAdmitted) as answered:
        admission.admit(HttpRequest(b"GET", b"/", {}, b"", keep_alive=True))
    assert answered.value.body == b"healthy: dynamodb.eu-west-1.amazonaws.com "


def test_access_keys_have_the_region_of_their_server() -> None:
    statement = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": TABLE_ARN}
    grants = {"AKIA": KeyGrant("secret", parse_policy("ann", {"Statement": [statement]}))}
    identity = Identity("AKIA", REGION, "dynamodb", 0.0)
    request = {"TableName": "orders", "Key": item(pk="a", sk="1")}
    AccessKeys(grants, REGION).authorise(identity, "GetItem", request, lambda _table, _index: ("pk",))
    with pytest.raises(DynamoError, match=f"on resource: {ELSEWHERE}"):
        AccessKeys(grants).authorise(identity, "GetItem", request, lambda _table, _index: ("pk",))


def test_the_clients_in_process_have_the_region_of_their_engine() -> None:
    with InProcess(region=REGION) as isolated:
        assert isolated.client.meta.region_name == isolated.streams.meta.region_name == REGION
        assert boto3_client(isolated.engine, region="us-east-2").meta.region_name == "us-east-2"


def test_the_command_has_the_region(engine: Engine, tmp_path: Path) -> None:
    engine.close()
    chosen = ["--data", str(tmp_path / "store.db"), "--region", "sa-east-1"]
    done = CliRunner().invoke(dynamo, [*chosen, "describe", "orders"])
    assert json.loads(done.stdout)["TableArn"] == TABLE_ARN.replace(REGION, "sa-east-1")


@pytest.mark.parametrize(("chosen", "signed"), [((), None), (("--region", "us-east-1"), "us-east-1")])
def test_only_a_region_that_was_chosen_binds_the_signatures(
    chosen: tuple[str, ...], signed: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[[key]]\naccess_key = "AKIA"\nsecret = "secret"\n')
    keys.chmod(0o600)
    served: list[Any] = []
    monkeypatch.setattr("bursar.dynamo.commands.serve", lambda _settings, **given: served.append(given["access"]))
    done = CliRunner().invoke(dynamo, ["--credentials", str(keys), *chosen])
    assert done.exit_code == 0, done.output
    assert [access.signed_region for access in served] == [signed]


def test_the_command_refuses_a_text_that_is_no_regions_name() -> None:
    done = CliRunner().invoke(dynamo, ["--region", "Paris", "ls"])
    assert done.exit_code == 2
    assert done.stderr == "bursar dynamo: --region: must be a region's name such as us-east-1; got Paris\n"
