"""The transport of production on real sockets: pooling, nothing ever sent twice, hostile replies."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import Mock

import pytest

from bursar.paygov import HttpTransport, Lost, Nonsense, NotSent, PayGovError, http_transport
from bursar.paygov.http_connection import Connection
from paygov.conftest import PATIENT_S, Script, http_reply, read_request

Serve = Callable[[Script], Awaitable[str]]


class CountingEcho:
    """Answers each request with its own body, on as many connections as there come."""

    def __init__(self) -> None:
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            writer.write(http_reply(await read_request(reader)))
            await writer.drain()


async def test_a_second_reply_lying_in_a_pooled_connection_answers_nobody(scripted: Serve) -> None:
    """Two replies to the first request: the second must not become the answer to another payer's request."""
    sent_twice = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await read_request(reader)
        writer.write(http_reply(b"to " + asked))
        await writer.drain()
        if asked == b"first":
            await asyncio.sleep(0.05)  # Long enough for the client to have put the connection back into its pool.
            writer.write(http_reply(b"to first again"))
            await writer.drain()
            sent_twice.set()
            await reader.read()

    base = await scripted(script)
    transport = HttpTransport()
    first = await transport.post(base, b"first", {}, PATIENT_S)
    await sent_twice.wait()
    await asyncio.sleep(0.05)
    second = await transport.post(base, b"second", {}, PATIENT_S)
    await transport.close()
    assert (first.body, second.body) == (b"to first", b"to second")


async def test_connections_are_pooled(scripted: Serve) -> None:
    script = CountingEcho()
    base = await scripted(script)
    transport = HttpTransport()
    for number in range(5):
        body = str(number).encode()
        assert (await transport.post(base, body, {}, PATIENT_S)).body == body
    await transport.close()
    assert script.connections == 1


async def test_a_request_is_never_sent_twice(scripted: Serve) -> None:
    """The server hangs up on a pooled connection after reading the request: lost, and asked once."""
    asked: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await read_request(reader))
        writer.write(http_reply(b"fine"))
        await writer.drain()
        asked.append(await read_request(reader))

    base = await scripted(script)
    transport = HttpTransport()
    await transport.post(base, b"first", {}, PATIENT_S)
    with pytest.raises(Lost):
        await transport.post(base, b"complete", {}, PATIENT_S)
    await transport.close()
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
    transport = HttpTransport()
    await transport.post(base, b"first", {}, PATIENT_S)
    await hung_up.wait()
    await asyncio.sleep(0.05)
    assert (await transport.post(base, b"second", {}, PATIENT_S)).body == b"fine"
    await transport.close()
    assert asked == [b"first", b"second"]


async def test_a_redirect_is_not_followed(scripted: Serve) -> None:
    asked: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked.append(await read_request(reader))
            writer.write(http_reply(b"", "307 There", "Location: /again\r\n"))
            await writer.drain()

    base = await scripted(script)
    transport = HttpTransport()
    assert (await transport.post(base, b"once", {}, PATIENT_S)).status == 307
    await transport.close()
    assert asked == [b"once"]


async def test_an_endless_reply_is_given_up(scripted: Serve) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
            await writer.drain()

    base = await scripted(script)
    transport = HttpTransport()
    with pytest.raises(Nonsense, match="more than"):
        await transport.post(base, b"", {}, PATIENT_S)
    await transport.close()


async def test_a_compressed_reply_is_not_unfolded(scripted: Serve) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(http_reply(b"\x1f\x8b", headers="Content-Encoding: gzip\r\n"))
        await writer.drain()

    base = await scripted(script)
    transport = HttpTransport()
    assert (await transport.post(base, b"", {}, PATIENT_S)).body == b"\x1f\x8b"
    await transport.close()


async def test_callers_wait_for_a_connection_and_are_not_sent_when_none_comes(scripted: Serve) -> None:
    asked = asyncio.Event()

    async def script(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.set()
        await reader.read()

    base = await scripted(script)
    transport = HttpTransport(connections_max=1)
    holding = asyncio.create_task(transport.post(base, b"first", {}, PATIENT_S))
    await asked.wait()
    with pytest.raises(NotSent):
        await transport.post(base, b"second", {}, 0.1)
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    await transport.close()


async def test_closing_twice_or_unopened_is_fine() -> None:
    transport = HttpTransport()
    await transport.close()
    await transport.close()


async def asked_twice(scripted: Serve, reply: bytes) -> tuple[list[Any], int]:
    """What two requests get from a server that writes ``reply`` to each, and how many connections they took."""
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await read_request(reader)
            writer.write(reply)
            await writer.drain()

    base = await scripted(script)
    transport = HttpTransport()
    replies: list[Any] = []
    for _ in range(2):
        try:
            replies.append((await transport.post(base, b"<ask/>", {}, PATIENT_S)).body)
        except PayGovError as error:
            replies.append(type(error))
    await transport.close()
    return replies, connections


@pytest.mark.parametrize(
    ("reply", "heard", "connections"),
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
        (http_reply(b"fine", headers="X: " + "x" * 600_000 + "\r\n"), Nonsense, 2),
        (http_reply(b"fine", headers="Content-Length: 3\r\n"), Nonsense, 2),
        (http_reply(b"fine", headers="Transfer-Encoding: chunked\r\n"), Nonsense, 2),
        (http_reply(b"fine", headers="Content-Length: 99999999999999999999999\r\n"), Nonsense, 2),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", Nonsense, 2),
        (b"HTTP/1.1 101 Other\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", Nonsense, 2),
    ],
)
async def test_a_reply_is_read_and_its_connection_kept_only_when_clean(
    reply: bytes, heard: Any, connections: int, scripted: Serve
) -> None:
    assert await asked_twice(scripted, reply) == ([heard, heard], connections)


async def test_a_reply_without_a_length_ends_with_its_connection(scripted: Serve) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\nfi")
        await writer.drain()
        writer.write(b"ne")
        writer.write_eof()

    base = await scripted(script)
    transport = HttpTransport()
    reply = await transport.post(base, b"", {}, PATIENT_S)
    await transport.close()
    assert (reply.body, reply.headers) == (b"fine", {"content-type": "text/xml"})


async def test_a_reply_that_comes_in_single_bytes_is_whole(scripted: Serve) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for byte in http_reply(b"fine"):
            writer.write(bytes([byte]))
            await asyncio.sleep(0)

    base = await scripted(script)
    transport = HttpTransport()
    assert (await transport.post(base, b"", {}, PATIENT_S)).body == b"fine"
    await transport.close()


async def test_endless_chunks_of_nothing_are_given_up(scripted: Serve) -> None:
    """A byte in each chunk, and each with a long extension: the wire is bounded as well as the body."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write((b"1;" + b"x" * 4000 + b"\r\n \r\n") * 10)
            await writer.drain()

    base = await scripted(script)
    transport = HttpTransport()
    with pytest.raises(Nonsense, match="on the wire"):
        await transport.post(base, b"", {}, PATIENT_S)
    await transport.close()


async def test_the_connection_of_a_caller_who_left_is_not_used_again(scripted: Serve) -> None:
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
    transport = HttpTransport()
    leaving = asyncio.create_task(transport.post(base, b"first", {}, PATIENT_S))
    await asked.wait()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert (await transport.post(base, b"second", {}, PATIENT_S)).body == b"second"
    await transport.close()
    assert connections == 2


async def test_a_waiting_caller_gets_the_connection_that_is_given_back(scripted: Serve) -> None:
    script = CountingEcho()
    base = await scripted(script)
    transport = HttpTransport(connections_max=2)
    bodies = [str(number).encode() for number in range(20)]
    replies = await asyncio.gather(*(transport.post(base, body, {}, PATIENT_S) for body in bodies))
    await transport.close()
    assert [reply.body for reply in replies] == bodies
    assert script.connections == 2


async def test_an_idle_connection_to_one_place_makes_room_for_another(scripted: Serve) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http_reply(await read_request(reader)))
        await writer.drain()
        await reader.read()

    transport = HttpTransport(connections_max=1)
    for base in (await scripted(script), await scripted(script)):
        assert (await transport.post(base, b"ask", {}, PATIENT_S)).body == b"ask"
    await transport.close()


async def test_idle_connections_are_ended_in_time(scripted: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_transport, "POOL_IDLE_MAX_S", 0.02)
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http_reply(await read_request(reader)))
        await writer.drain()
        with contextlib.suppress(OSError):
            await reader.read()
        ended.set()

    base = await scripted(script)
    transport = HttpTransport()
    await transport.post(base, b"", {}, PATIENT_S)
    await asyncio.wait_for(ended.wait(), PATIENT_S)
    await transport.close()


async def test_closing_ends_what_is_under_way(scripted: Serve) -> None:
    asked = asyncio.Event()

    async def script(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.set()
        await reader.read()

    transport = HttpTransport()
    asking = asyncio.create_task(transport.post(await scripted(script), b"", {}, PATIENT_S))
    await asked.wait()
    await transport.close()
    with pytest.raises(Lost):
        await asking


async def test_the_request_on_the_wire(scripted: Serve) -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        await reader.readexactly(4)
        writer.write(http_reply(b""))
        await writer.drain()

    base = await scripted(script)
    transport = HttpTransport()
    address = base.removeprefix("http://")
    await transport.post(f"http://us%40er:pass@{address}/a/b?c=d", b"body", {"SOAPAction": '""'}, PATIENT_S)
    await transport.close()
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
async def test_an_address_or_header_that_cannot_be_is_not_sent(url: str, headers: dict[str, str]) -> None:
    transport = HttpTransport()
    with pytest.raises(NotSent):
        await transport.post(url, b"", headers, PATIENT_S)
    await transport.close()


async def test_what_is_ending_carries_nothing_though_it_was_not_told_yet() -> None:
    """Between a connection's end and ``connection_lost`` lies a turn of the loop: whoever asks there is not sent."""
    transport = Mock(is_closing=Mock(return_value=True))
    connection = Connection("127.0.0.1", asyncio.get_running_loop())
    connection.connection_made(transport)
    with pytest.raises(NotSent):
        await connection.ask(b"POST", asyncio.get_running_loop().time() + PATIENT_S, PATIENT_S)
    transport.write.assert_not_called()
