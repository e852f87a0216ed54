"""Requests are checked before the engine gets them, in Amazon's order and with Amazon's bytes."""

import gzip
from collections.abc import AsyncIterator

import orjson
import pytest

from bursar.dynamo.server.serve import RunningServer
from tests.support.dynamo.server_clients import EchoEngine, connected, raw_request, serving
from tests.support.raw_client import RawClient, Reply

SERIALIZATION = "com.amazon.coral.service#SerializationException"
UNKNOWN_OPERATION = "com.amazon.coral.service#UnknownOperationException"


@pytest.fixture
async def engine() -> EchoEngine:
    return EchoEngine()


@pytest.fixture
async def server(engine: EchoEngine) -> AsyncIterator[RunningServer]:
    async with serving(engine) as running:
        yield running


@pytest.fixture
async def client(server: RunningServer) -> AsyncIterator[RawClient]:
    async with connected(server) as one:
        yield one


def assert_error(reply: Reply, error: str, crc32: str | None = None) -> None:
    assert reply.status == 400
    assert reply.error == error
    if crc32 is not None:
        assert reply.headers["x-amz-crc32"] == crc32


@pytest.mark.parametrize(
    "body",
    [
        b"hi",
        b"[]",
        b'"x"',
        b"1",
        b"null",
        b"",
        b"{",
        b'{"a":1,}',
        b'{"a":NaN}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b"[" * 100_000,
    ],
)
async def test_a_body_that_is_not_a_json_object_is_a_serialization_error(client: RawClient, body: bytes) -> None:
    assert_error(await client.ask(raw_request(body=body)), SERIALIZATION, "3948637019")
    assert (await client.ask(raw_request())).status == 200


async def test_json_comes_before_the_target_and_the_target_before_the_signature(client: RawClient) -> None:
    assert_error(await client.ask(raw_request(None, b"hi")), SERIALIZATION)
    assert_error(await client.ask(raw_request(None, b"{}", headers={"Authorization": None})), UNKNOWN_OPERATION)
    reply = await client.ask(raw_request(body=b"", headers={"Authorization": None}))
    assert_error(reply, "com.amazon.coral.service#MissingAuthenticationTokenException")
    assert reply.json["message"] == "Request is missing Authentication Token"


@pytest.mark.parametrize(
    "target", ["whatever", "DynamoDB_20120810.ListTable", "DynamoDB_20120810.", "DynamoDB_20120810.ListStreams"]
)
async def test_an_unknown_target_is_an_unknown_operation(client: RawClient, target: str) -> None:
    assert_error(await client.ask(raw_request(headers={"X-Amz-Target": target})), UNKNOWN_OPERATION, "1368724161")


async def test_an_incomplete_signature_is_refused(client: RawClient) -> None:
    reply = await client.ask(raw_request(headers={"Authorization": "AWS4- Signature=b Credential=a"}))
    assert_error(reply, "com.amazon.coral.service#IncompleteSignatureException")
    reply = await client.ask(raw_request(path="/?X-Amz-Algorithm", headers={"Authorization": "X"}))
    assert_error(reply, "com.amazon.coral.service#InvalidSignatureException", "2139606068")


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("application/json", "application/json"),
        ("  application/json  ;   charset=x", "application/json"),
        ("application/x-amz-json-1.0;x", "application/x-amz-json-1.0"),
    ],
)
async def test_the_answer_has_the_content_type_of_the_request(client: RawClient, sent: str, answered: str) -> None:
    for body in (b"{}", b"hi"):
        reply = await client.ask(raw_request(body=body, headers={"Content-Type": sent}))
        assert reply.headers["content-type"] == answered


@pytest.mark.parametrize("content_type", [None, "whatever", "application/x-amz-json-1.1", "application/jsonx"])
async def test_another_content_type_is_answered_404(client: RawClient, content_type: str | None) -> None:
    reply = await client.ask(raw_request(headers={"Content-Type": content_type}))
    assert (reply.status, reply.body) == (404, b"<UnknownOperationException/>\n")
    assert reply.headers["x-amz-crc32"] == "3552371480"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_another_method_is_answered_404(client: RawClient, method: str) -> None:
    reply = await client.ask(raw_request(body=b"", method=method, headers={"Content-Length": None}))
    assert (reply.status, reply.body) == (404, b"<UnknownOperationException/>\n")


async def test_a_head_is_answered_without_a_body(client: RawClient) -> None:
    reply = await client.ask(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (reply.status, reply.headers["content-length"]) == (404, "0")


async def test_a_get_is_a_health_check(client: RawClient) -> None:
    reply = await client.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (reply.status, reply.body) == (200, b"healthy: dynamodb.us-east-1.amazonaws.com ")


async def test_a_compressed_body_is_read(client: RawClient) -> None:
    body = gzip.compress(b'{"TableName":"t"}')
    reply = await client.ask(raw_request(body=body, headers={"Content-Encoding": "gzip"}))
    assert reply.json["request"] == {"TableName": "t"}


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b"{}"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-1]),
        ("br", b"{}"),
        ("gzip", gzip.compress(orjson.dumps({"a": "x" * (17 * 1024 * 1024)}), mtime=0)),  # expands beyond the bound
    ],
)
async def test_a_body_that_cannot_be_unpacked_is_a_serialization_error(
    client: RawClient, coding: str, body: bytes
) -> None:
    reply = await client.ask(raw_request(body=body, headers={"Content-Encoding": coding}))
    assert_error(reply, SERIALIZATION)


async def test_a_request_of_a_web_page_is_refused_without_access_keys(client: RawClient, engine: EchoEngine) -> None:
    for request in (
        raw_request(headers={"Origin": "http://evil.test"}),
        raw_request(method="OPTIONS", headers={"Origin": "x"}),
    ):
        reply = await client.ask(request)
        assert_error(reply, "com.amazon.coral.service#AccessDeniedException")
        assert "access-control-allow-origin" not in reply.headers
    assert engine.asked == []
