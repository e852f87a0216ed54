"""A store on the network: the wire's forms, and errors classified by whether the request may have taken place."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from zlib import crc32

import orjson
import pytest

from bursar.clock import system_clock
from bursar.dynamo import AsyncEngine, DynamoError, Engine, Store, StoreOutcomeUnknown, StoreUnreachable, open_store
from bursar.dynamo.clients import remote_store as remote
from bursar.dynamo.clients.remote_store import open_remote_store
from tests.support.dynamo.server_clients import serving

TABLE: dict[str, Any] = {
    "TableName": "notes",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
KEY = {"TableName": "notes", "Key": {"pk": {"S": "a"}}}
PUT = {"TableName": "notes", "Item": {"pk": {"S": "a"}}}


@pytest.fixture(autouse=True)
def no_credentials_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    shared = AsyncEngine(Engine.open(":memory:"))
    async with serving(shared) as server:
        url = server.url.replace("http", "dynamodb+http")
        opened = await open_store(url, clock=system_clock, randomness=random.Random(1))
        await opened.call("CreateTable", TABLE)
        yield opened
        await opened.close()
    await shared.close()


async def test_requests_and_answers_are_the_wires(store: Store) -> None:
    item = {"pk": {"S": "a"}, "raw": {"B": "AP8="}, "n": {"N": "1.50"}}
    await store.call("PutItem", {"TableName": "notes", "Item": item})
    assert await store.call("GetItem", KEY) == {"Item": {**item, "n": {"N": "1.5"}}}


async def test_a_refusal_carries_its_item_and_a_cancellation_its_reasons(store: Store) -> None:
    await store.call("PutItem", PUT)
    absent = {
        **PUT,
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    with pytest.raises(DynamoError) as refused:
        await store.call("PutItem", absent)
    assert (refused.value.code, refused.value.http_status) == ("ConditionalCheckFailedException", 400)
    assert refused.value.item == {"pk": {"S": "a"}}
    with pytest.raises(DynamoError) as cancelled:
        await store.call("TransactWriteItems", {"TransactItems": [{"Put": absent}]})
    assert cancelled.value.cancellation_reasons == [
        {"Code": "ConditionalCheckFailed", "Item": {"pk": {"S": "a"}}, "Message": "The conditional request failed"}
    ]


async def test_many_requests_at_once(store: Store) -> None:
    puts = [{"TableName": "notes", "Item": {"pk": {"S": str(number)}}} for number in range(200)]
    await asyncio.gather(*(store.call("PutItem", put) for put in puts))
    assert (await store.call("Scan", {"TableName": "notes", "Select": "COUNT"}))["Count"] == 200


# --- a server that misbehaves

Script = Callable[[int], bytes | None]
"""Returns the answer to the n-th request; None ends the connection without an answer."""


@asynccontextmanager
async def misbehaving(script: Script) -> AsyncIterator[tuple[Store, list[str]]]:
    asked: list[str] = []

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = dict(line.lower().split(": ", 1) for line in head.strip().split("\r\n")[1:])
                await reader.readexactly(int(lines["content-length"]))
                asked.append(lines["x-amz-target"].partition(".")[2])
                answer = script(len(asked))
                if answer is None:
                    return
                writer.write(answer)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    opened = await open_remote_store(f"dynamodb+http://127.0.0.1:{port}", randomness=random.Random(1))
    try:
        yield opened, asked
    finally:
        await opened.close()
        server.close()


def reply(status: int, body: bytes, **headers: str) -> bytes:
    lines = {"Content-Length": str(len(body)), "x-amz-crc32": str(crc32(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


def error_reply(status: int, code: str) -> bytes:
    return reply(status, orjson.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "m"}))


UNUSABLE = {
    "no answer": None,
    "500": error_reply(500, "InternalServerError"),
    "503": error_reply(503, "ServiceUnavailable"),
    "502 of a proxy": reply(502, b"<html>bad gateway</html>"),
    "no JSON": reply(200, b"<html>hello</html>"),
    "another checksum": reply(200, b"{}", **{"x-amz-crc32": "1"}),
    "a torn body": reply(200, b'{"Item":{"pk"', **{"x-amz-crc32": str(crc32(b'{"Item":{"pk":{}}}'))}),
    "no HTTP": b"garbage\r\n\r\n",
}


@pytest.mark.parametrize("how", UNUSABLE)
async def test_a_write_without_a_usable_answer_is_unknown_and_sent_once(how: str) -> None:
    async with misbehaving(lambda _number: UNUSABLE[how]) as (store, asked):
        with pytest.raises(StoreOutcomeUnknown):
            await store.call("PutItem", PUT)
    assert asked == ["PutItem".lower()]


@pytest.mark.parametrize("how", UNUSABLE)
async def test_a_read_without_a_usable_answer_is_tried_again(how: str) -> None:
    def script(number: int) -> bytes | None:
        return UNUSABLE[how] if number < remote.TRIES_MAX else reply(200, b'{"Item":{}}')

    async with misbehaving(script) as (store, asked):
        assert await store.call("GetItem", KEY) == {"Item": {}}
    assert len(asked) == remote.TRIES_MAX


async def test_tries_are_bounded() -> None:
    async with misbehaving(lambda _number: None) as (store, asked):
        with pytest.raises(StoreOutcomeUnknown):
            await store.call("GetItem", KEY)
    assert len(asked) == remote.TRIES_MAX


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "ThrottlingException"])
async def test_a_throttled_request_is_retried(code: str) -> None:
    def script(number: int) -> bytes:
        return error_reply(400, code) if number < 3 else reply(200, b"{}")

    async with misbehaving(script) as (store, asked):
        assert await store.call("PutItem", PUT) == {}
    assert len(asked) == 3


async def test_another_refusal_is_not_tried_again() -> None:
    async with misbehaving(lambda _number: error_reply(400, "ResourceNotFoundException")) as (store, asked):
        with pytest.raises(DynamoError, match="ResourceNotFoundException"):
            await store.call("GetItem", KEY)
    assert len(asked) == 1


async def test_silence_after_sending_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "REQUEST_TIMEOUT_S", 0.05)
    async with misbehaving(lambda _number: b"HTTP/1.1 200 OK\r\n") as (store, _asked):
        with pytest.raises(StoreOutcomeUnknown):
            await store.call("PutItem", PUT)


async def test_a_refused_connection_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        store = await open_remote_store(
            f"dynamodb+http://127.0.0.1:{unused.getsockname()[1]}", randomness=random.Random(1)
        )
        for operation, request in (("PutItem", PUT), ("GetItem", KEY)):
            with pytest.raises(StoreUnreachable):
                await store.call(operation, request)
        await store.close()


# --- URLs


async def test_amazons_endpoint_is_the_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB", raising=False)
    store = await open_remote_store("dynamodb:?region=cn-north-1")
    assert store.endpoints == (
        "https://dynamodb.cn-north-1.amazonaws.com.cn/",
        "https://streams.dynamodb.cn-north-1.amazonaws.com.cn/",
    )
    await store.close()
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    store = await open_remote_store("dynamodb:")
    assert store.endpoints[0] == "https://dynamodb.eu-west-1.amazonaws.com/"
    await store.close()


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("dynamodb:", "store URL: must name a region"),
        ("dynamodb:?region=us-east-1", "AWS credentials: must be configured"),
        ("dynamodb:?region=nowhere", "AWS region: must be one that botocore knows; got 'nowhere'"),
        ("dynamodb:?zone=a", "no option but region"),
        ("dynamodb+http:?region=us-east-1", "must name a host"),
    ],
)
async def test_a_url_that_names_no_store_is_refused(url: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        await open_remote_store(url)
