"""The ASGI server on real sockets: refusals, time limits, one packet per answer, connections shared by workers."""

import asyncio
import socket
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from bursar.web import asgi_server, http_server
from bursar.web.asgi_server import AsgiServer, UploadLimit, start_asgi_server
from bursar.web.connection_balancing import ConnectionBalancer
from bursar.web.refusals import RefusalReason, RefusalReply, plain_refusal
from tests.support.raw_client import RawClient
from tests.support.web.asgi_served import Connect, asgi_served

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /mail HTTP/1.1\r\nHost: x\r\n"
CALLERS = 6


class Scene:
    """An application that answers with the body of its request, and waits for the test at some paths."""

    def __init__(self, name: bytes = b"") -> None:
        self.name = name
        self.scopes: list[Any] = []
        self.ends: list[str] = []
        self.refusals: list[tuple[RefusalReason, str | None]] = []
        self.began, self.go_on = asyncio.Event(), asyncio.Event()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        self.began.set()
        if scope["path"] == "/wait":
            await self.go_on.wait()
        if scope["path"] == "/early":
            await _answer(send, b"early")
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.ends.append("disconnected")
                return
            body += message["body"]
            if not message["more_body"]:
                break
        if scope["path"] == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for chunk in (b"one", b"two"):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await self.go_on.wait()
            await send({"type": "http.response.body", "body": b""})
        else:
            await _answer(send, self.name or body)
        self.ends.append("answered")

    def refuse(self, refusal: RefusalReason, scope: dict[str, Any] | None) -> RefusalReply:
        self.refusals.append((refusal, None if scope is None else scope["path"]))
        return plain_refusal(refusal, scope)


async def _answer(send: Any, body: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def served(scene: Scene) -> AbstractAsyncContextManager[tuple[AsgiServer, Connect]]:
    return asgi_served(scene.app, scene.refuse)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_head_that_drips_is_refused_in_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HOUSEKEEPING_S", 0.01)
    monkeypatch.setattr(asgi_server, "HEAD_S_MAX", 0.02)
    async with served(scene) as (_, connect):
        client = await connect()
        assert (await client.ask(GET[:-2])).status == 408
        assert await client.ended() == b""
    assert scene.refusals == [(RefusalReason.TOO_SLOW, None)]


async def test_a_body_that_drips_is_refused_in_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HOUSEKEEPING_S", 0.01)
    monkeypatch.setattr(asgi_server, "BODY_S_MAX", 0.02)
    async with served(scene) as (_, connect):
        client = await connect()
        assert (await client.ask(POST + b"Content-Length: 5\r\n\r\nhell")).status == 408
        assert await client.ended() == b""
    assert (scene.refusals, scene.ends) == ([(RefusalReason.TOO_SLOW, "/mail")], ["disconnected"])


async def test_a_silent_client_is_cut_off(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HOUSEKEEPING_S", 0.01)
    monkeypatch.setattr(asgi_server, "IDLE_S_MAX", 0.02)
    async with served(scene) as (_, connect):
        assert await (await connect()).ended() == b""


async def test_a_malformed_chunk_is_refused_and_the_application_learns_of_it(scene: Scene) -> None:
    async with served(scene) as (_, connect):
        client = await connect()
        await client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await scene.began.wait()
        assert (await client.ask(b"no length\r\n")).status == 400
        assert await client.ended() == b""
    assert (scene.refusals, scene.ends) == ([(RefusalReason.NOT_HTTP, "/mail")], ["disconnected"])


async def test_a_refusal_comes_after_the_answers_to_earlier_requests(scene: Scene) -> None:
    async with served(scene) as (_, connect):
        client = await connect()
        await client.send(GET.replace(b"/", b"/wait", 1) + GET + b"no request\r\n\r\n")
        await scene.began.wait()
        await asyncio.sleep(0.01)
        scene.go_on.set()
        assert [(await client.reply()).status for _ in range(3)] == [200, 200, 400]
        assert await client.ended() == b""


async def test_chunk_sizes_and_trailers_are_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi_server, "REQUEST_BYTES_MAX", 10_000)
    async with served(scene) as (_, connect):
        client = await connect()
        await client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
        await scene.began.wait()
        client.writer.write(b"a: b\r\n" * 5_000)
        assert (await client.reply()).status == 413
        assert await client.ended() == b""


async def test_the_path_of_an_upload_has_its_own_bounds(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi_server, "REQUEST_BYTES_MAX", 10_000)
    async with served(scene) as (server, connect):
        server.uploads = {b"/upload": UploadLimit(bytes_max=30_000, seconds_max=60.0)}
        for path, size, status in ((b"/upload?x=1", 20_000, 200), (b"/other", 20_000, 413), (b"/upload", 40_000, 413)):
            client = await connect()
            head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: " + str(size).encode() + b"\r\n\r\n"
            scene.began.clear()
            await client.send(head)
            await scene.began.wait()
            client.writer.write(b"a" * (size - 1))
            if status == 200:
                client.writer.write(b"a")
            assert (await client.reply()).status == status, path


async def test_a_trailer_is_not_a_header(scene: Scene) -> None:
    async with served(scene) as (_, connect):
        client = await connect()
        whole = POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nHost: evil\r\n\r\n"
        assert (await client.ask(whole)).body == b"hi"
    assert dict(scene.scopes[0]["headers"])[b"host"] == b"x"


async def test_a_client_that_closed_its_sending_half_is_answered(scene: Scene) -> None:
    async with served(scene) as (_, connect):
        client = await connect()
        await client.send(GET.replace(b"/", b"/wait", 1))
        client.writer.write_eof()
        await scene.began.wait()
        await asyncio.sleep(0.01)
        scene.go_on.set()
        assert (await client.reply()).status == 200
        assert await client.ended() == b""


async def test_an_answer_before_the_end_of_its_request_leaves_the_connection_open(scene: Scene) -> None:
    async with served(scene) as (_, connect):
        client = await connect()
        assert (await client.ask(POST.replace(b"/mail", b"/early") + b"Content-Length: 5\r\n\r\nhel")).body == b"early"
        assert (await client.ask(b"lo" + GET)).status == 200


async def test_a_stream_is_sent_as_it_is_written(scene: Scene) -> None:
    async with served(scene) as (_, connect):
        client = await connect()
        await client.send(GET.replace(b"/", b"/stream", 1))
        assert (await client.reader.readuntil(b"one\r\n")).endswith(b"\r\n\r\n3\r\none\r\n")
        scene.go_on.set()
        assert await client.reader.readuntil(b"\r\n0\r\n\r\n") == b"3\r\ntwo\r\n0\r\n\r\n"


async def test_head_and_body_of_an_answer_are_one_write(scene: Scene) -> None:
    async with served(scene) as (server, connect):
        client = await connect()
        await client.ask(GET)
        (connection,) = server.connections
        written: list[bytes] = []
        connection.transport._transport = transport = Recording(connection.transport._transport, written)
        assert (await client.ask(POST + b"Content-Length: 5\r\n\r\nhello")).body == b"hello"
        assert (await client.ask(GET.replace(b"GET", b"HEAD"), head_only=True)).status == 200
        assert len(written) == 2
        assert written[0].endswith(b"\r\n\r\nhello")
        assert not transport.is_closing()


class Recording:
    """A transport that records what is written."""

    def __init__(self, transport: asyncio.Transport, written: list[bytes]) -> None:
        self._transport = transport
        self._written = written

    def write(self, data: bytes) -> None:
        self._written.append(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def test_without_an_application_format_refusals_are_plain_text(scene: Scene) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    server = await start_asgi_server(scene.app, listening)
    client = RawClient(*await asyncio.open_connection(*listening.getsockname()))
    try:
        status, headers, body = await client.ask(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        assert (status, headers["content-type"], body) == (400, "text/plain", b"Bad Request")
    finally:
        client.close()
        await server.close(0)


async def test_workers_share_connections_evenly() -> None:
    balancer = ConnectionBalancer(2)
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]  # clients connect only to the first
    scenes = [Scene(b"first"), Scene(b"second")]
    servers = [
        await start_asgi_server(scenes[number].app, listening[number], share=balancer.share(number))
        for number in range(2)
    ]
    address = listening[0].getsockname()
    clients = [RawClient(*await asyncio.open_connection(*address)) for _ in range(CALLERS)]
    try:
        bodies = [(await client.ask(GET)).body for client in clients]
        assert sorted(bodies) == [b"first"] * (CALLERS // 2) + [b"second"] * (CALLERS // 2)
    finally:
        for client in clients:
            client.close()
        for server in servers:
            await server.close(0)
        balancer.close()
