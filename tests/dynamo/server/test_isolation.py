"""Each access key and region has separate tables, in memory or in the files of a folder, each with the seeds."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from click.testing import CliRunner

from bursar.dynamo.commands import dynamo
from bursar.dynamo.engine.engine import Engine
from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.server import isolation
from bursar.dynamo.server.isolation import IsolatedStores
from tests.support.dynamo.served import Served

TABLE: dict[str, Any] = {
    "TableName": "notes",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


@contextmanager
def served(path: str, *options: str) -> Iterator[str]:
    server = Served(path, options=("--isolated", *options))
    try:
        yield server.url
    finally:
        assert server.stop() == 0


def client(url: str, key: str, region: str) -> Any:
    config = Config(retries={"total_max_attempts": 1})
    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        config=config,
        aws_access_key_id=key,
        aws_secret_access_key="x",
        region_name=region,
    )


def test_keys_and_regions_have_separate_tables() -> None:
    with served(":memory:") as url:
        alice, bob, abroad = (
            client(url, *who) for who in (("alice", "us-east-1"), ("bob", "us-east-1"), ("alice", "eu-west-1"))
        )
        alice.create_table(**TABLE)
        assert alice.list_tables()["TableNames"] == ["notes"]
        assert bob.list_tables()["TableNames"] == abroad.list_tables()["TableNames"] == []
        bob.create_table(**TABLE)
        bob.put_item(TableName="notes", Item={"pk": {"S": "b"}})
        assert alice.scan(TableName="notes")["Count"] == 0
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            client(url, "../x", "us-east-1").list_tables()


def test_the_stores_of_a_folder_are_kept_and_seeded(tmp_path: Path) -> None:
    seed = tmp_path / "tables.jsonl"
    seed.write_text(json.dumps({"CreateTable": TABLE | {"TableName": "seeded"}}) + "\n")
    for expected in (["seeded"], ["notes", "seeded"]):
        with served(str(tmp_path), f"--init={seed}") as url:
            assert client(url, "alice", "us-east-1").list_tables()["TableNames"] == expected
            assert client(url, "bob", "us-east-1").list_tables()["TableNames"] == ["seeded"]
            if expected == ["seeded"]:
                client(url, "alice", "us-east-1").create_table(**TABLE)
    assert {each.name for each in tmp_path.glob("*.db")} == {"alice_us-east-1.db", "bob_us-east-1.db"}


def test_the_number_of_stores_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "STORES_MAX", 1)
    engine = AsyncEngine(Engine.open(":memory:"))
    opened: list[str] = []

    def open_store(name: str) -> AsyncEngine:
        opened.append(name)
        return engine

    stores = IsolatedStores(open_store)
    signed = "AWS4-HMAC-SHA256 Credential=%s/20261130/us-east-1/dynamodb/aws4_request"
    assert stores.of({b"authorization": (signed % "a").encode()}) is engine
    with pytest.raises(DynamoError, match="LimitExceededException"):
        stores.of({b"authorization": (signed % "b").encode()})
    assert opened == ["a_us-east-1"]
    engine.engine.close()


@pytest.mark.parametrize("options", [["--workers", "2"], ["--console"], ["--weather", "storm"], ["--data", "absent"]])
def test_what_it_cannot_be_combined_with(options: list[str]) -> None:
    ran = CliRunner().invoke(dynamo, ["--port", "0", "--isolated", *options])
    assert ran.exit_code == 2
    assert "--isolated" in ran.stderr
