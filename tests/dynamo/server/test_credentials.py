"""The credentials file: its form, and a real SDK that is admitted or refused by it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiobotocore.session
import pytest
from botocore.exceptions import ClientError

from bursar.dynamo import AsyncEngine, Engine
from bursar.dynamo.server.credentials import AccessKeys, CredentialsError
from tests.support.dynamo.server_clients import connected, raw_request, serving

WHOLE = """
[[key]]
access_key = "AKIAROOT"
secret = "root-secret"

[[key]]
access_key = "AKIAANN"
secret = "ann-secret"
user = "ann"
[[key.policy.Statement]]
Effect = "Allow"
Action = ["dynamodb:GetItem", "dynamodb:PutItem"]
Resource = "arn:aws:dynamodb:*:*:table/notes"
Condition = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["${aws:username}"] } }
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        file = tmp_path / "keys.toml"
        file.write_text(text)
        file.chmod(0o600)
        return file

    return written


def test_a_key_has_its_secret(write: Write) -> None:
    keys = AccessKeys.load(write(WHOLE))
    assert keys.secret_for("AKIAANN") == "ann-secret"
    assert keys.secret_for("AKIAOTHER") is None


def test_a_policy_can_be_a_file_in_the_same_folder(write: Write, tmp_path: Path) -> None:
    (tmp_path / "ann.json").write_text('{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}')
    AccessKeys.load(write('[[key]]\naccess_key = "A"\nsecret = "s"\npolicy = "ann.json"'))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must hold one or more"),
        ("[[key]", "must be TOML"),
        ("key = [1]", "key 1: must be a table; got int"),
        ("[[key]]\nsecret = 's'", "key 1: access_key: must be a non-empty string"),
        ("[[key]]\naccess_key = 'A'\nsecret = ''", "key 1: secret: must be a non-empty string"),
        (
            "[[key]]\naccess_key = 'A'\nsecret = 's'\ncolour = 'red'",
            "key 1: must hold only access_key, policy, secret, user; got colour",
        ),
        (
            "[[key]]\naccess_key = 'A'\nsecret = 's'\n[[key]]\naccess_key = 'A'\nsecret = 't'",
            "key 2: access_key: must differ from those of the other keys; got A",
        ),
        ("[[key]]\naccess_key = 'A'\nsecret = 's'\npolicy = 'absent.json'", "policy: cannot read absent.json"),
        ("[[key]]\naccess_key = 'A'\nsecret = 's'\npolicy = 5", "policy: must be a file name or a table; got 5"),
        ("[[key]]\naccess_key = 'A'\nsecret = 's'\npolicy = {}", "key 1: Statement: must be a non-empty list"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(write: Write, text: str, problem: str) -> None:
    with pytest.raises(CredentialsError, match=problem):
        AccessKeys.load(write(text))


def test_a_file_that_other_users_can_read_is_refused(write: Write) -> None:
    file = write(WHOLE)
    file.chmod(0o644)
    with pytest.raises(CredentialsError, match=f"^{file}: must be usable .*; got mode 644. Run: chmod 600 {file}$"):
        AccessKeys.load(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"cannot read .*absent: No such file"):
        AccessKeys.load(tmp_path / "absent")


NOTES: dict[str, Any] = {
    "TableName": "notes",
    "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "owner", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


async def test_an_sdk_is_admitted_by_its_key_and_policy(write: Write) -> None:
    engine = Engine.open(":memory:")
    engine.execute("CreateTable", NOTES)
    shared = AsyncEngine(engine)
    async with serving(shared, access=AccessKeys.load(write(WHOLE))) as server:

        def client(access_key: str, secret: str) -> Any:
            return aiobotocore.session.get_session().create_client(
                "dynamodb",
                endpoint_url=server.url,
                region_name="eu-west-1",
                aws_access_key_id=access_key,
                aws_secret_access_key=secret,
            )

        async def refusal(call: Any) -> str:
            with pytest.raises(ClientError) as refused:
                await call
            return str(refused.value.response["Error"]["Code"])

        async with client("AKIAROOT", "root-secret") as root, client("AKIAANN", "ann-secret") as ann:
            await root.put_item(TableName="notes", Item={"owner": {"S": "bob"}})
            await ann.put_item(TableName="notes", Item={"owner": {"S": "ann"}})
            assert "Item" in await ann.get_item(TableName="notes", Key={"owner": {"S": "ann"}})
            assert (
                await refusal(ann.get_item(TableName="notes", Key={"owner": {"S": "bob"}})) == "AccessDeniedException"
            )
            assert await refusal(ann.scan(TableName="notes")) == "AccessDeniedException"
        async with client("AKIAROOT", "wrong") as wrong, client("AKIANOBODY", "x") as nobody:
            assert await refusal(wrong.list_tables()) == "InvalidSignatureException"
            assert await refusal(nobody.list_tables()) == "UnrecognizedClientException"
    await shared.close()


@pytest.mark.parametrize("signed_for", ["us-east-1", "eu-west-1"])
@pytest.mark.parametrize("only_region", [True, False])
async def test_a_server_of_one_region_refuses_a_signature_for_another(
    write: Write, signed_for: str, only_region: bool
) -> None:
    shared = AsyncEngine(Engine.open(":memory:", region="eu-west-1"))
    access = AccessKeys.load(write(WHOLE), "eu-west-1", only_region=only_region)
    async with (
        serving(shared, access=access) as server,
        aiobotocore.session.get_session().create_client(
            "dynamodb",
            endpoint_url=server.url,
            region_name=signed_for,
            aws_access_key_id="AKIAROOT",
            aws_secret_access_key="root-secret",
        ) as client,
    ):
        if signed_for == "eu-west-1" or not only_region:
            assert (await client.list_tables())["TableNames"] == []
        else:
            with pytest.raises(ClientError) as refused:
                await client.list_tables()
            assert refused.value.response["Error"] == {
                "Code": "InvalidSignatureException",
                "Message": "Credential should be scoped to a valid region, not 'us-east-1'.",
            }
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    await shared.close()


async def test_with_keys_web_pages_are_answered_as_amazon_answers_them(write: Write) -> None:
    shared = AsyncEngine(Engine.open(":memory:"))
    async with serving(shared, access=AccessKeys.load(write(WHOLE))) as server, connected(server) as raw:
        preflight = {"Origin": "http://page.test", "Access-Control-Request-Headers": "a, b", "Content-Length": None}
        reply = await raw.ask(raw_request(body=b"", method="OPTIONS", headers=preflight))
        assert (reply.status, reply.body) == (200, b"")
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["access-control-allow-headers"] == "a, b"
        assert reply.headers["access-control-max-age"] == "172800"
        reply = await raw.ask(raw_request("ListTables", headers={"Origin": "http://page.test"}))
        assert reply.status == 400
        assert reply.headers["access-control-allow-origin"] == "*"
    await shared.close()


def test_the_example_in_the_docs_is_one(write: Write) -> None:
    page = (Path(__file__).parents[3] / "docs" / "dynamo.md").read_text()
    example = page.split("```toml\n")[1].split("```")[0]
    keys = AccessKeys.load(write(example))
    assert keys.secret_for("AKIAREPORTS") == "another long random text"
