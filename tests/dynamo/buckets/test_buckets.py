"""Buckets: folders, and an S3 endpoint; one suite for both, and a round trip through boto3 and a served store."""

import hashlib
import io
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from bursar.dynamo import Engine
from bursar.dynamo.buckets.buckets import EndpointBuckets, FolderBuckets, put_bytes
from bursar.dynamo.buckets.port import BucketDenied, Buckets, NoSuchBucket
from bursar.dynamo.clients.boto3_in_process import boto3_client
from tests.support.dynamo.export_reader import export_lines
from tests.support.dynamo.past import TABLE, turn_on
from tests.support.dynamo.served import Served
from tests.support.dynamo.tables import item, put, table

KEYS: dict[str, Any] = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Start an S3 endpoint."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", "endpoint"])
def buckets(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Buckets:
    """Return buckets with the one bucket ``files``."""
    if request.param == "folder":
        (tmp_path / "files").mkdir()
        return FolderBuckets(tmp_path)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    url: str = request.getfixturevalue("endpoint")
    s3: Any = boto3.client("s3", endpoint_url=url, **KEYS)
    s3.create_bucket(Bucket="files")
    for one in s3.list_objects_v2(Bucket="files").get("Contents", ()):
        s3.delete_object(Bucket="files", Key=one["Key"])
    return EndpointBuckets(url)


def test_an_endpoint_that_does_not_answer_denies_every_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_MAX_ATTEMPTS", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        silent = EndpointBuckets(f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(BucketDenied, match="Could not connect to the endpoint URL"):
            silent.check("files")


def test_an_object_is_stored_listed_and_read(buckets: Buckets) -> None:
    buckets.check("files")
    stored = put_bytes(buckets, "files", "a/b.json", b"one")
    assert stored.md5 == b64encode(hashlib.md5(b"one", usedforsecurity=False).digest()).decode()
    assert stored.etag
    put_bytes(buckets, "files", "a/b.json", b"two")
    put_bytes(buckets, "files", "ab.json", b"")
    assert buckets.keys("files", "a") == ["a/b.json", "ab.json"]
    assert buckets.keys("files", "a/") == ["a/b.json"]
    with buckets.read("files", "a/b.json") as content:
        assert io.BytesIO(content.read()).getvalue() == b"two"


def test_what_is_missing_is_reported(buckets: Buckets) -> None:
    with pytest.raises(NoSuchBucket):
        buckets.check("absent")
    with pytest.raises(BucketDenied):
        buckets.read("files", "absent")


@pytest.mark.parametrize("key", ["../other/x", "a/../../other/x", "way-out/x"])
def test_a_key_never_leads_out_of_its_folder(tmp_path: Path, key: str) -> None:
    (tmp_path / "s3" / "files").mkdir(parents=True)
    (tmp_path / "s3" / "files" / "way-out").symlink_to(tmp_path)
    folder = FolderBuckets(tmp_path / "s3")
    with pytest.raises(BucketDenied, match="leads out of the bucket"):
        put_bytes(folder, "files", key, b"")
    with pytest.raises(BucketDenied, match="leads out of the bucket"):
        folder.read("files", key)
    with pytest.raises(BucketDenied):
        folder.check("..")


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    folder = FolderBuckets(tmp_path)
    with pytest.raises(BucketDenied):
        folder.put("files", "a", tmp_path / "absent")
    put_bytes(folder, "files", "a", b"")
    with pytest.raises(BucketDenied, match="Access Denied"):
        put_bytes(folder, "files", "a/b", b"")
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["a"]


def test_boto3_exports_to_an_endpoint_and_imports_from_it(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    for name, value in (("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x")):
        monkeypatch.setenv(name, value)
    s3: Any = boto3.client("s3", endpoint_url=endpoint, **KEYS)
    s3.create_bucket(Bucket="round-trip")
    engine.set_buckets(EndpointBuckets(endpoint))
    engine.execute("CreateTable", table())
    turn_on(engine, TABLE)
    put(engine, TABLE, item(pk="a", sk="1", n=1))
    client: Any = boto3_client(engine)
    arn = client.describe_table(TableName=TABLE)["Table"]["TableArn"]
    started = client.export_table_to_point_in_time(TableArn=arn, S3Bucket="round-trip", S3Prefix="p")
    done = client.describe_export(ExportArn=started["ExportDescription"]["ExportArn"])["ExportDescription"]
    assert done["ExportStatus"] == "COMPLETED"

    def read(key: str) -> bytes:
        content: bytes = s3.get_object(Bucket="round-trip", Key=key)["Body"].read()
        return content

    _, documents = export_lines(read, done["ExportManifest"])
    assert documents == [{"Item": item(pk="a", sk="1", n=1)}]
    data = done["ExportManifest"].rpartition("/")[0] + "/data/"
    client.import_table(
        S3BucketSource={"S3Bucket": "round-trip", "S3KeyPrefix": data},
        InputFormat="DYNAMODB_JSON",
        InputCompressionType="GZIP",
        TableCreationParameters=table("copy"),
    )
    assert client.scan(TableName="copy")["Items"] == [item(pk="a", sk="1", n=1)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--s3-folder", "absent"), "--s3-folder: must be a folder; got absent"),
        (("--s3-folder", ".", "--s3-endpoint", "http://x"), "only one of them may be given"),
    ],
)
def test_a_wrong_option_is_explained(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    command = [sys.executable, "-m", "bursar", "dynamo", "--port=0", *options]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, message in run.stderr) == (2, True), run.stderr


def test_a_served_store_has_the_buckets_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "s3" / "files").mkdir(parents=True)
    server = Served(str(tmp_path / "store.db"), workers=2, options=(f"--s3-folder={tmp_path / 's3'}",))
    try:
        client: Any = boto3.client("dynamodb", endpoint_url=server.url, **KEYS)
        arn = client.create_table(**table())["TableDescription"]["TableArn"]
        client.update_continuous_backups(
            TableName=TABLE, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
        client.put_item(TableName=TABLE, Item=item(pk="a", sk="1"))
        export = client.export_table_to_point_in_time(TableArn=arn, S3Bucket="files")["ExportDescription"]
        done = client.describe_export(ExportArn=export["ExportArn"])["ExportDescription"]
        assert (done["ExportStatus"], done["ItemCount"]) == ("COMPLETED", 1)
        assert (tmp_path / "s3" / "files" / done["ExportManifest"]).is_file()
    finally:
        server.kill()
