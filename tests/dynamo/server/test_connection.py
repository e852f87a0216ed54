"""The DynamoDB server on real sockets: answers, their order, bounds, time limits and the end of connections."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import orjson
import pytest

from bursar.dynamo.server import connection
from bursar.dynamo.server.admission import BODY_BYTES_MAX
from bursar.dynamo.server.serve import RunningServer
from bursar.web import http1_server, http_server
from tests.support.dynamo.server_clients import EchoEngine, connected, raw_request, serving
from tests.support.raw_client import RawClient


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


async def test_an_answer_has_the_headers_of_amazons(client: RawClient) -> None:
    reply = await client.ask(raw_request("GetItem", b'{"TableName":"t"}'))
    assert reply.status == 200
    assert reply.json == {"operation": "GetItem", "request": {"TableName": "t"}}
    assert reply.headers["content-type"] == "application/x-amz-json-1.0"
    assert len(reply.headers["x-amzn-requestid"]) == 52
    assert reply.headers["connection"] == "keep-alive"
    assert reply.headers["date"].endswith("GMT")


async def test_every_request_has_its_own_id(client: RawClient) -> None:
    ids = {(await client.ask(raw_request())).headers["x-amzn-requestid"] for _ in range(5)}
    assert len(ids) == 5


async def test_streams_have_their_own_target(client: RawClient, engine: EchoEngine) -> None:
    reply = await client.ask(raw_request(headers={"X-Amz-Target": "DynamoDBStreams_20120810.ListStreams"}))
    assert reply.status == 200
    assert engine.asked == [("ListStreams", {})]


async def test_a_failed_condition_returns_the_item(client: RawClient) -> None:
    reply = await client.ask(raw_request("DeleteItem"))
    assert reply.status == 400
    assert reply.json == {
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "no",
        "Item": {"pk": {"S": "a"}},
    }


async def test_a_bug_is_answered_500_without_details_and_logged(
    client: RawClient, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await client.ask(raw_request("DeleteTable"))
    assert reply.status == 500
    assert reply.error.endswith("#InternalServerError")
    assert b"defect" not in reply.body
    assert "a defect" in caplog.text
    assert (await client.ask(raw_request())).status == 200


async def test_pipelined_requests_are_answered_in_order(client: RawClient, engine: EchoEngine) -> None:
    operations = ["PutItem", "GetItem", "PutItem", "DeleteItem", "GetItem"] * 60
    await client.send(b"".join(raw_request(name, b'{"n":%d}' % place) for place, name in enumerate(operations)))
    for place, name in enumerate(operations):
        reply = await client.reply()
        if name != "DeleteItem":
            assert reply.json == {"operation": name, "request": {"n": place}}
    assert [name for name, _ in engine.asked] == operations


async def test_a_pipelined_request_waits_for_the_one_before(client: RawClient, engine: EchoEngine) -> None:
    await client.send(raw_request("Query") + raw_request("GetItem"))
    answer_query = await engine.held.get()
    assert [name for name, _ in engine.asked] == ["Query"]
    answer_query()
    assert (await client.reply()).json["operation"] == "Query"
    assert (await client.reply()).json["operation"] == "GetItem"


async def test_many_pipelined_reads_do_not_recurse(client: RawClient, engine: EchoEngine) -> None:
    await client.send(raw_request("Query") + raw_request("GetItem") * 3000)
    answer_query = await engine.held.get()
    answer_query()
    for _ in range(3001):
        assert (await client.reply()).status == 200


async def test_a_request_can_arrive_byte_by_byte(client: RawClient) -> None:
    for byte in raw_request("GetItem", b'{"TableName":"t"}'):
        await client.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await client.reply()).json["request"] == {"TableName": "t"}


async def test_a_chunked_body_is_read(client: RawClient) -> None:
    head = raw_request(body=b"", headers={"Content-Length": None, "Transfer-Encoding": "chunked"})
    chunks = b'5\r\n{"Tab\r\n4;ext=1\r\nleNa\r\n8\r\nme":"t"}\r\n0\r\nX-Amz-Target: DynamoDB_20120810.Scan\r\n\r\n'
    reply = await client.ask(head + chunks)
    assert reply.json == {"operation": "GetItem", "request": {"TableName": "t"}}


async def test_a_large_body_is_read_whole(client: RawClient) -> None:
    body = orjson.dumps({"TableName": "t", "filler": "x" * (12 * 1024 * 1024)})
    reply = await client.ask(raw_request("GetItem", body))
    assert reply.status == 200
    assert len(reply.body) > len(body)


@pytest.mark.parametrize("headers", [{}, {"Content-Length": None, "Transfer-Encoding": "chunked"}])
async def test_a_body_beyond_16_mb_is_answered_413(server: RunningServer, headers: dict[str, str | None]) -> None:
    body = b"a" * (BODY_BYTES_MAX + 1)
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if headers else body
    head = raw_request("GetItem", body, headers=headers).removesuffix(body)
    async with connected(server) as client:
        client.writer.write(head + framed)
        received = await client.ended()
    assert received.startswith(b"HTTP/1.1 413 ")


async def test_bodies_still_arriving_are_bounded_together(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1_server, "BUFFERED_BYTES_MAX", 1024 * 1024)
    async with connected(server) as client, connected(server) as other:
        client.writer.write(raw_request(body=b"a" * 5_000_000))
        assert (await client.ended()).startswith(b"HTTP/1.1 503 ")
        # The bytes of the refused client are no longer counted.
        assert (await other.ask(raw_request(body=orjson.dumps({"f": "x" * 500_000})))).status == 200


async def test_a_head_without_end_is_answered_431(client: RawClient) -> None:
    client.writer.write(b"POST / HTTP/1.1\r\n" + b"X-Filler: 0123456789\r\n" * 20_000)
    assert (await client.ended()).startswith(b"HTTP/1.1 431 ")


async def test_too_many_headers_are_answered_431(client: RawClient) -> None:
    many = {f"X-Header-{number}": "1" for number in range(200)}
    client.writer.write(raw_request(headers=many))
    assert (await client.ended()).startswith(b"HTTP/1.1 431 ")


async def test_a_trailer_without_end_is_cut_off(engine: EchoEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BODY_BYTES_MAX", 20_000)
    head = raw_request(body=b"", headers={"Content-Length": None, "Transfer-Encoding": "chunked"})
    async with serving(engine) as server, connected(server) as client:
        client.writer.write(head + b"2\r\n{}\r\n0\r\n" + b"X-Filler: 0123456789\r\n" * 50_000)
        assert (await client.ended()).startswith(b"HTTP/1.1 413 ")


async def test_garbage_after_a_request_leaves_its_answer(client: RawClient, engine: EchoEngine) -> None:
    await client.send(raw_request("PutItem") + raw_request("Query") + b"garbage\r\n\r\n")
    answer_query = await engine.held.get()
    answer_query()
    received = await client.ended()
    assert received.count(b"HTTP/1.1 200 ") == 2
    assert received.endswith(b"Content-Length: 0\r\n\r\n")
    assert received.count(b"HTTP/1.1 400 ") == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS client
        b"hello\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_bytes_that_are_not_http_are_answered_400_and_end_the_connection(client: RawClient, raw: bytes) -> None:
    client.writer.write(raw)
    assert (await client.ended()).startswith(b"HTTP/1.1 400 ")


async def test_expect_100_is_answered_before_the_body(client: RawClient) -> None:
    whole = raw_request(body=b'{"TableName":"t"}', headers={"Expect": "100-continue"})
    head, body = whole[:-17], whole[-17:]
    assert (await client.ask(head)).status == 100
    assert (await client.ask(body)).json["request"] == {"TableName": "t"}


async def test_an_offer_of_http_2_is_ignored(client: RawClient) -> None:
    upgrade = raw_request(headers={"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AA"})
    assert (await client.ask(upgrade)).status == 200
    assert (await client.ask(raw_request())).status == 200


async def test_http_1_0_and_close_end_the_connection(server: RunningServer) -> None:
    async with connected(server) as client:
        client.writer.write(raw_request(headers={"Connection": "close"}))
        received = await client.ended()
        assert b"Connection: close" in received
    async with connected(server) as client:
        client.writer.write(raw_request().replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert (await client.ended()).startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_closes_its_sending_half_gets_its_answers(client: RawClient, engine: EchoEngine) -> None:
    await client.send(raw_request("Query") + raw_request("GetItem"))
    client.writer.write_eof()
    answer_query = await engine.held.get()
    await asyncio.sleep(0.01)
    answer_query()
    assert (await client.ended()).count(b"HTTP/1.1 200") == 2


async def test_a_client_that_leaves_does_not_affect_others(server: RunningServer, engine: EchoEngine) -> None:
    async with connected(server) as client:
        await client.send(raw_request("Query") + raw_request("GetItem")[:-1])
        answer_query = await engine.held.get()
    async with connected(server) as other:
        assert (await other.ask(raw_request())).status == 200
        answer_query()
        assert (await other.ask(raw_request())).status == 200


async def test_large_answers_are_compressed_on_request(client: RawClient) -> None:
    body = orjson.dumps({"filler": "x" * 5000})
    reply = await client.ask(raw_request(body=body, headers={"Accept-Encoding": "br, gzip;q=0.5"}))
    assert reply.headers["content-encoding"] == "gzip"
    assert orjson.loads(gzip.decompress(reply.body))["request"] == orjson.loads(body)
    for coding in ("identity", "gzip;q=0", "br"):
        reply = await client.ask(raw_request(body=body, headers={"Accept-Encoding": coding}))
        assert "content-encoding" not in reply.headers


async def test_a_slow_sender_is_cut_off(engine: EchoEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HOUSEKEEPING_S", 0.01)
    monkeypatch.setattr(http1_server, "RECEIVE_S_MAX", 0.02)
    async with serving(engine) as server, connected(server) as slow, connected(server) as idle:
        await slow.send(raw_request()[:-1])
        assert await slow.ended() == b""
        assert (await idle.ask(raw_request())).status == 200


async def test_an_idle_client_is_cut_off(engine: EchoEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HOUSEKEEPING_S", 0.01)
    monkeypatch.setattr(http1_server, "IDLE_S_MAX", 0.02)
    async with serving(engine) as server, connected(server) as client:
        assert await client.ended() == b""


async def test_a_client_that_does_not_read_is_not_read_from(
    server: RunningServer, engine: EchoEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(server) as client:
        client.transport.pause_reading()
        request = raw_request(body=orjson.dumps({"f": "x" * 1_000_000}))
        client.writer.write(request * 40)
        async with connected(server) as other:
            for _ in range(20):
                assert (await other.ask(raw_request("PutItem"))).status == 200
        assert sum(name == "GetItem" for name, _ in engine.asked) < 40
        client.transport.resume_reading()
        for _ in range(40):
            assert (await client.reply()).status == 200


async def test_a_connection_too_many_is_answered_503(
    server: RunningServer, client: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await client.ask(raw_request())).status == 200
    monkeypatch.setattr(http_server, "CONNECTIONS_MAX", 1)
    async with connected(server) as second:
        assert (await second.ended()).startswith(b"HTTP/1.1 503 ")
    assert (await client.ask(raw_request())).status == 200


async def test_closing_answers_pending_requests(engine: EchoEngine) -> None:
    async with serving(engine) as server, connected(server) as busy, connected(server) as idle:
        await busy.send(raw_request("Query"))
        assert (await idle.ask(raw_request())).status == 200
        closing = asyncio.create_task(server.close(within_s=20))
        assert await idle.ended() == b""
        (await engine.held.get())()
        received = await busy.ended()
        assert received.startswith(b"HTTP/1.1 200 ")
        assert b"Connection: close" in received
        busy.close()
        idle.close()
        await closing
