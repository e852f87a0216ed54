"""The HTTP client on real sockets: pooling, no request sent twice, hostile replies."""

import asyncio
import contextlib
import socket
from typing import Any
from unittest.mock import Mock

import pytest

from bursar.web import http_client
from bursar.web.http_client import HttpClient
from bursar.web.http_client_connection import HttpClientConnection
from bursar.web.http_reply import HttpClientError, ReplyLost, ReplyUnreadable, RequestNotSent
from tests.support.scripted_server import PATIENT_S, CountingEcho, Serve, http_reply, read_request


async def test_a_second_reply_in_a_pooled_connection_answers_no_request(scripted: Serve) -> None:
    """Send two replies to the first request: the second one must not answer another payer's request."""
    sent_twice = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await read_request(reader)
        writer.write(http_reply(b"to " + asked))
        await writer.drain()
        if asked == b"first":
            await asyncio.sleep(0.05)  # The client returns the connection to its pool meanwhile.
            writer.write(http_reply(b"to first again"))
            await writer.drain()
            sent_twice.set()
            await reader.read()

    base = await scripted(script)
    client = HttpClient()
    first = await client.post(base, b"first", {}, PATIENT_S)
    await sent_twice.wait()
    await asyncio.sleep(0.05)
    second = await client.post(base, b"second", {}, PATIENT_S)
    await client.close()
    assert (first.body, second.body) == (b"to first", b"to second")


async def test_connections_are_pooled(scripted: Serve) -> None:
    script = CountingEcho()
    base = await scripted(script)
    client = HttpClient()
    for number in range(5):
        body = str(number).encode()
        assert (await client.post(base, body, {}, PATIENT_S)).body == body
    await client.close()
    assert script.connections == 1


async def test_a_request_is_never_sent_twice(scripted: Serve) -> None:
    """Close a pooled connection after reading the request: the reply is lost, and the request is not repeated."""
    asked: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await read_request(reader))
        writer.write(http_reply(b"fine"))
        await writer.drain()
        asked.append(await read_request(reader))

    base = await scripted(script)
    client = HttpClient()
    await client.post(base, b"first", {}, PATIENT_S)
    with pytest.raises(ReplyLost):
        await client.post(base, b"complete", {}, PATIENT_S)
    await client.close()
    assert asked == [b"first", b"complete"]


async def test_a_pooled_connection_that_the_server_closed_is_not_used(scripted: Serve) -> None:
    asked: list[bytes] = []
    hung_up = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await read_request(reader))
        writer.write(http_reply(b"fine"))
        await writer.drain()
        writer.close()
        hung_up.set()

    base = await scripted(script)
    client = HttpClient()
    await client.post(base, b"first", {}, PATIENT_S)
    await hung_up.wait()
    await asyncio.sleep(0.05)
    assert (await client.post(base, b"second", {}, PATIENT_S)).body == b"fine"
    await client.close()
    assert asked == [b"first", b"second"]


async def test_a_connection_sends_small_packets_at_once(scripted: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set TCP_NODELAY: without it, a request waits about 40 ms for the acknowledgement of the part before it."""
    opened: list[HttpClientConnection] = []
    connect = HttpClient._connect

    async def remembered(client: HttpClient, *where: Any) -> HttpClientConnection:
        opened.append(await connect(client, *where))
        return opened[-1]

    monkeypatch.setattr(HttpClient, "_connect", remembered)
    client = HttpClient()
    await client.post(await scripted(CountingEcho()), b"first", {}, PATIENT_S)
    connection = opened[0]._transport.get_extra_info("socket")
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    await client.close()


async def test_a_redirect_is_not_followed(scripted: Serve) -> None:
    asked: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked.append(await read_request(reader))
            writer.write(http_reply(b"", "307 There", "Location: /again\r\n"))
            await writer.drain()

    base = await scripted(script)
    client = HttpClient()
    assert (await client.post(base, b"once", {}, PATIENT_S)).status == 307
    await client.close()
    assert asked == [b"once"]


async def test_an_endless_reply_is_refused(scripted: Serve) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
            await writer.drain()

    base = await scripted(script)
    client = HttpClient()
    with pytest.raises(ReplyUnreadable, match="more than"):
        await client.post(base, b"", {}, PATIENT_S)
    await client.close()


async def test_a_compressed_reply_is_not_decompressed(scripted: Serve) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(http_reply(b"\x1f\x8b", headers="Content-Encoding: gzip\r\n"))
        await writer.drain()

    base = await scripted(script)
    client = HttpClient()
    assert (await client.post(base, b"", {}, PATIENT_S)).body == b"\x1f\x8b"
    await client.close()


async def test_a_caller_that_gets_no_connection_in_time_is_not_sent(scripted: Serve) -> None:
    asked = asyncio.Event()

    async def script(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.set()
        await reader.read()

    base = await scripted(script)
    client = HttpClient(connections_max=1)
    holding = asyncio.create_task(client.post(base, b"first", {}, PATIENT_S))
    await asked.wait()
    with pytest.raises(RequestNotSent):
        await client.post(base, b"second", {}, 0.1)
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    await client.close()


async def test_a_client_can_be_closed_twice_and_unopened() -> None:
    client = HttpClient()
    await client.close()
    await client.close()


async def asked_twice(scripted: Serve, reply: bytes) -> tuple[list[Any], int]:
    """Send two requests to a server that answers ``reply``. Return the two results and the number of connections."""
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await read_request(reader)
            writer.write(reply)
            await writer.drain()

    base = await scripted(script)
    client = HttpClient()
    replies: list[Any] = []
    for _ in range(2):
        try:
            replies.append((await client.post(base, b"<ask/>", {}, PATIENT_S)).body)
        except HttpClientError as error:
            replies.append(type(error))
    await client.close()
    return replies, connections


@pytest.mark.parametrize(
    ("reply", "result", "connections"),
    [
        (http_reply(b"fine"), b"fine", 1),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + http_reply(b"fine"), b"fine", 1),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2\r\nne\r\n0\r\nTrailer: x\r\n\r\n",
            b"fine",
            1,
        ),
        (http_reply(b"fine", headers="Connection: close\r\n"), b"fine", 2),
        (http_reply(b"fine").replace(b"1.1", b"1.0"), b"fine", 2),
        (http_reply(b"fine") + http_reply(b"not for you"), b"fine", 2),
        (http_reply(b"fine") + b"<", b"fine", 2),
        (http_reply(b"fine", headers="X: " + "x" * 600_000 + "\r\n"), ReplyUnreadable, 2),
        (http_reply(b"fine", headers="Content-Length: 3\r\n"), ReplyUnreadable, 2),
        (http_reply(b"fine", headers="Transfer-Encoding: chunked\r\n"), ReplyUnreadable, 2),
        (http_reply(b"fine", headers="Content-Length: 99999999999999999999999\r\n"), ReplyUnreadable, 2),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", ReplyUnreadable, 2),
        (b"HTTP/1.1 101 Other\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", ReplyUnreadable, 2),
    ],
)
async def test_a_reply_is_read_and_its_connection_kept_only_when_clean(
    reply: bytes, result: Any, connections: int, scripted: Serve
) -> None:
    assert await asked_twice(scripted, reply) == ([result, result], connections)


async def test_a_reply_without_a_length_ends_with_its_connection(scripted: Serve) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\nfi")
        await writer.drain()
        writer.write(b"ne")
        writer.write_eof()

    base = await scripted(script)
    client = HttpClient()
    reply = await client.post(base, b"", {}, PATIENT_S)
    await client.close()
    assert (reply.body, reply.headers) == (b"fine", {"content-type": "text/xml"})


async def test_a_reply_that_comes_in_single_bytes_is_whole(scripted: Serve) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for byte in http_reply(b"fine"):
            writer.write(bytes([byte]))
            await asyncio.sleep(0)

    base = await scripted(script)
    client = HttpClient()
    assert (await client.post(base, b"", {}, PATIENT_S)).body == b"fine"
    await client.close()


async def test_endless_small_chunks_are_refused(scripted: Serve) -> None:
    """Send one byte in each chunk, with a long extension: the bytes on the wire are bounded as well as the body."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write((b"1;" + b"x" * 4000 + b"\r\n \r\n") * 10)
            await writer.drain()

    base = await scripted(script)
    client = HttpClient()
    with pytest.raises(ReplyUnreadable, match="on the wire"):
        await client.post(base, b"", {}, PATIENT_S)
    await client.close()


async def test_the_connection_of_a_cancelled_caller_is_not_used_again(scripted: Serve) -> None:
    asked = asyncio.Event()
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        body = await read_request(reader)
        asked.set()
        if body != b"first":
            writer.write(http_reply(body))
            await writer.drain()
        await reader.read()

    base = await scripted(script)
    client = HttpClient()
    leaving = asyncio.create_task(client.post(base, b"first", {}, PATIENT_S))
    await asked.wait()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert (await client.post(base, b"second", {}, PATIENT_S)).body == b"second"
    await client.close()
    assert connections == 2


async def test_a_waiting_caller_gets_the_connection_that_is_returned(scripted: Serve) -> None:
    script = CountingEcho()
    base = await scripted(script)
    client = HttpClient(connections_max=2)
    bodies = [str(number).encode() for number in range(20)]
    replies = await asyncio.gather(*(client.post(base, body, {}, PATIENT_S) for body in bodies))
    await client.close()
    assert [reply.body for reply in replies] == bodies
    assert script.connections == 2


async def test_an_idle_connection_to_one_place_makes_room_for_another(scripted: Serve) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http_reply(await read_request(reader)))
        await writer.drain()
        await reader.read()

    client = HttpClient(connections_max=1)
    for base in (await scripted(script), await scripted(script)):
        assert (await client.post(base, b"ask", {}, PATIENT_S)).body == b"ask"
    await client.close()


async def test_idle_connections_are_closed_in_time(scripted: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "POOL_IDLE_MAX_S", 0.02)
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http_reply(await read_request(reader)))
        await writer.drain()
        with contextlib.suppress(OSError):
            await reader.read()
        ended.set()

    base = await scripted(script)
    client = HttpClient()
    await client.post(base, b"", {}, PATIENT_S)
    await asyncio.wait_for(ended.wait(), PATIENT_S)
    await client.close()


async def test_a_connection_that_was_idle_too_long_is_not_used_although_it_is_still_open(
    scripted: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "POOL_IDLE_MAX_S", 0.02)
    monkeypatch.setattr(HttpClient, "_evict", lambda self: None)  # the loop was too busy to close it in time
    script = CountingEcho()
    base = await scripted(script)
    client = HttpClient()
    await client.post(base, b"first", {}, PATIENT_S)
    await asyncio.sleep(0.05)
    await client.post(base, b"second", {}, PATIENT_S)
    await client.close()
    assert script.connections == 2


async def test_connecting_may_take_only_a_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> HttpClientConnection:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    monkeypatch.setattr(HttpClient, "_connect", never)
    client = HttpClient()
    with pytest.raises(RequestNotSent, match=r"within 0\.04 s$"):
        await client.post("http://127.0.0.1:9/", b"", {}, 0.05)
    await client.close()


async def test_closing_fails_a_request_that_is_under_way(scripted: Serve) -> None:
    asked = asyncio.Event()

    async def script(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.set()
        await reader.read()

    client = HttpClient()
    asking = asyncio.create_task(client.post(await scripted(script), b"", {}, PATIENT_S))
    await asked.wait()
    await client.close()
    with pytest.raises(ReplyLost):
        await asking


async def test_the_request_on_the_wire(scripted: Serve) -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        await reader.readexactly(4)
        writer.write(http_reply(b""))
        await writer.drain()

    base = await scripted(script)
    client = HttpClient()
    address = base.removeprefix("http://")
    await client.post(f"http://us%40er:pass@{address}/a/b?c=d", b"body", {"SOAPAction": '""'}, PATIENT_S)
    await client.close()
    assert heads[0].decode().split("\r\n") == [
        "POST /a/b?c=d HTTP/1.1",
        f"Host: {address}",
        "Accept: */*",
        "Accept-Encoding: identity",
        "User-Agent: bursar",
        'SOAPAction: ""',
        "Authorization: Basic dXNAZXI6cGFzcw==",
        "Content-Length: 4",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://127.0.0.1/", {}),
        ("/no/host", {}),
        ("http:///path", {}),
        ("http://[::1", {}),
        ("http://127.0.0.1:port/", {}),
        ("http://127.0.0.1:70000/", {}),
        ("http://127.0.0.1/with space", {}),
        ("http://" + "a" * 64 + ".invalid/", {}),
        ("http://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.invalid/", {}),
        ("http://127.0.0.1/", {"Authentication": "Bearer a\r\nEvil: 1"}),
        ("http://127.0.0.1/", {"Evil: 1\r\nX": ""}),
    ],
)
async def test_an_impossible_url_or_header_is_not_sent(url: str, headers: dict[str, str]) -> None:
    client = HttpClient()
    with pytest.raises(RequestNotSent):
        await client.post(url, b"", headers, PATIENT_S)
    await client.close()


async def test_an_ending_connection_that_has_not_learnt_of_its_end_carries_nothing() -> None:
    """Send between the end of a connection and ``connection_lost``, one loop pass later: this counts as not sent."""
    transport = Mock(is_closing=Mock(return_value=True))
    connection = HttpClientConnection("127.0.0.1", asyncio.get_running_loop(), 1000)
    connection.connection_made(transport)
    with pytest.raises(RequestNotSent):
        await connection.exchange(b"POST", asyncio.get_running_loop().time() + PATIENT_S, PATIENT_S)
    transport.write.assert_not_called()


async def test_a_reply_that_is_too_large_has_a_status(scripted: Serve) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(http_reply(b"x" * 101, "201 Created"))
        await writer.drain()

    client = HttpClient(reply_bytes_max=100)
    with pytest.raises(ReplyUnreadable, match="101 bytes") as raised:
        await client.post(await scripted(script), b"", {}, PATIENT_S)
    await client.close()
    assert raised.value.status == 201
