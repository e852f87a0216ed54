"""The portal on real sockets: its answers, its bounds, its time limits, and its end."""

import asyncio
import json
import logging
import random
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bursar.clock import system_clock
from bursar.portal.api.application import Application
from bursar.portal.api.authentication import without_signatures
from bursar.portal.api.endpoints import Endpoint
from bursar.portal.contract.messages import Call, Reply, json_reply
from bursar.portal.contract.schemas import BODY_BYTES_MAX
from bursar.portal.doors.asgi import PortalApp
from bursar.portal.state.portal import Portal
from bursar.web import asgi_server, http_server
from bursar.web.asgi_server import AsgiServer
from tests.support.portal.stage import DAWSON
from tests.support.raw_client import REPLY_WITHIN_S
from tests.support.web.asgi_served import Connect, asgi_served

METHODS = ("GET", "POST")


class Scene:
    """A door to one endpoint, /echo, which waits for the test if its query says so."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.counted: list[tuple[str, str, int]] = []
        self.began, self.go_on = asyncio.Event(), asyncio.Event()
        self.finished = 0
        portal: Any = SimpleNamespace(clock=system_clock, randomness=random.Random(1))
        self.application = Application(
            portal,
            without_signatures(DAWSON, listens_on=["127.0.0.1"]),
            endpoints=tuple(Endpoint(method, "/echo", "echo", "", self._echo, {200: "Any"}) for method in METHODS),
            observer=self,
        )

    def request_answered(self, operation: str, method: str, status: int, seconds: float) -> None:
        self.counted.append((operation, method, status))

    async def _echo(self, _portal: Any, call: Call) -> Reply:
        self.calls.append(call)
        if call.query == "wait":
            self.began.set()
            await self.go_on.wait()
        self.finished += 1
        return json_reply({"body": call.body.decode("latin-1"), "query": call.query})


def request(method: str = "POST", target: str = "/echo", body: bytes = b"", **headers: str) -> bytes:
    lines = {"Host": "127.0.0.1", **headers}
    if body and "Transfer_Encoding" not in headers:
        lines.setdefault("Content_Length", str(len(body)))
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


def opened(scene: Scene) -> AbstractAsyncContextManager[tuple[AsgiServer, Connect]]:
    app = PortalApp(scene.application, body_timeout_s=None)
    return asgi_served(app, app.refuse)


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_request_and_its_answer(scene: Scene) -> None:
    async with opened(scene) as (_, connect):
        client = await connect()
        status, headers, body = await client.ask(request(target="/echo?a=%20b", body=b"hello", X_Request_Id="mine-1"))
    assert (status, json.loads(body)) == (200, {"body": "hello", "query": "a=%20b"})
    assert headers.pop("date").endswith("GMT")
    assert headers == {
        "content-type": "application/json",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-length": str(len(body)),
        "x-request-id": "mine-1",
    }
    assert scene.counted == [("echo", "POST", 200)]


async def test_a_repeated_header_is_joined_and_names_are_in_lower_case(scene: Scene) -> None:
    async with opened(scene) as (_, connect):
        await (await connect()).ask(request("GET", X_One="a", x_one="b", Two="c"))
    sent = scene.calls[0].headers
    assert (sent["x-one"], sent["two"]) == ("a,b", "c")


async def test_connections_are_kept_and_pipelined_requests_are_answered_in_order(scene: Scene) -> None:
    async with opened(scene) as (_, connect):
        client = await connect()
        await client.send(request("GET", "/echo?wait") + b"".join(request(body=b"%d" % n) for n in range(100)))
        await scene.began.wait()
        assert len(scene.calls) == 1, "one at a time"
        scene.go_on.set()
        await client.reply()
        assert [json.loads((await client.reply())[2])["body"] for _ in range(100)] == [str(n) for n in range(100)]


async def test_a_request_may_come_byte_by_byte_and_in_chunks(scene: Scene) -> None:
    chunked = request(Transfer_Encoding="chunked") + b"5\r\nhello\r\n6;x=y\r\n there\r\n0\r\nHost: evil\r\n\r\n"
    async with opened(scene) as (_, connect):
        client = await connect()
        for byte in chunked:
            await client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert json.loads((await client.reply())[2])["body"] == "hello there"
        assert scene.calls[0].headers["host"] == "127.0.0.1", "a trailer is no header"


async def test_head_has_a_length_and_no_body(scene: Scene) -> None:
    async with opened(scene) as (_, connect):
        client = await connect()
        status, headers, _ = await client.ask(request("HEAD"), head_only=True)
        assert (status, int(headers["content-length"]) > 0) == (200, True)
        assert (await client.ask(request("GET")))[0] == 200


async def test_a_request_that_expects_continue_gets_it(scene: Scene) -> None:
    async with opened(scene) as (_, connect):
        client = await connect()
        whole = request(body=b"hello", Expect="100-continue")
        assert (await client.ask(whole[:-5]))[0] == 100
        assert (await client.ask(whole[-5:]))[0] == 200


@pytest.mark.parametrize("ending", [{"Connection": "close"}, {"version": "1.0"}])
async def test_a_connection_that_is_to_end_ends(ending: dict[str, Any], scene: Scene) -> None:
    raw = request("GET") if "version" in ending else request("GET", **ending)
    async with opened(scene) as (_, connect):
        client = await connect()
        await client.send(raw.replace(b"HTTP/1.1", b"HTTP/1.0") if "version" in ending else raw)
        assert b"\r\nconnection: close\r\n" in await client.ended()


async def test_an_offer_of_another_protocol_is_declined(scene: Scene) -> None:
    async with opened(scene) as (_, connect):
        client = await connect()
        offer = request(body=b"hello", Connection="Upgrade, HTTP2-Settings", Upgrade="h2c", HTTP2_Settings="AAA")
        assert json.loads((await client.ask(offer))[2])["body"] == "hello"


LARGE = b" " * (BODY_BYTES_MAX + 1)
CHUNKED: dict[str, Any] = {"Transfer_Encoding": "chunked"}
MANY: dict[str, Any] = {f"X_{n}": "x" for n in range(200)}


@pytest.mark.parametrize(
    ("raw", "status", "message", "counted"),
    [
        (request(Content_Length="99999999", X_Request_Id="mine"), 413, "The request body is larger", "echo"),
        (request(Content_Length="99999999", Expect="100-continue"), 413, "The request body is larger", "echo"),
        (request(body=LARGE), 413, "The request body is larger", "echo"),
        (request(body=b"%x\r\n%b\r\n" % (len(LARGE), LARGE), **CHUNKED), 413, "The request body is", "echo"),
        (request(body=(b"100\r\n%b\r\n" % LARGE[:256]) * 300, **CHUNKED), 413, "The request body is", "echo"),
        (request("GET", "/nowhere", Content_Length="99999999"), 413, "The request body is larger", "none"),
        (request("GET", X="x" * 1_000_000), 431, "The request's head is larger than 65536 bytes", "none"),
        (request("GET", **MANY), 431, "The request's head is larger", "echo"),
        (request("GET", "/\xe9"), 400, "This is not an HTTP request", "none"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", 400, "This is not an HTTP request", "none"),
        (request("GET", Content_Length="-1"), 400, "This is not an HTTP request", "none"),
        (request(Content_Length="1", **CHUNKED), 400, "This is not an HTTP request", "none"),
    ],
)
async def test_an_unreadable_request_is_answered_logged_and_counted(
    raw: bytes, status: int, message: str, counted: str, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bursar.portal.api.application")
    async with opened(scene) as (_, connect):
        client = await connect()
        client.writer.write(raw)
        said, headers, body = await client.reply()
        assert await client.ended() == b"", "one answer, and the end"
    assert (said, headers["connection"]) == (status, "close")
    assert json.loads(body)["message"].startswith(message)
    assert json.loads(body)["errors"] == []
    assert headers["x-request-id"] == ("mine" if b"mine" in raw else headers["x-request-id"]) != ""
    assert [(operation, said) for operation, _, said in scene.counted] == [(counted, status)]
    (line,) = caplog.records
    assert vars(line)["requestId"] == headers["x-request-id"]
    assert scene.calls == []


async def test_a_refusal_waits_for_the_answers_before_it(scene: Scene) -> None:
    async with opened(scene) as (_, connect):
        client = await connect()
        await client.send(request("GET", "/echo?wait") + request(Content_Length="99999999"))
        await scene.began.wait()
        await asyncio.sleep(0.01)
        scene.go_on.set()
        assert [(await client.reply())[0], (await client.reply())[0]] == [200, 413]
        assert await client.ended() == b""
    assert sorted(status for *_, status in scene.counted) == [200, 413]


async def test_a_slow_body_is_answered_408(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HOUSEKEEPING_S", 0.01)
    monkeypatch.setattr(asgi_server, "BODY_S_MAX", 0.02)
    async with opened(scene) as (_, connect):
        client = await connect()
        await client.send(request(body=b"hello", X_Request_Id="mine")[:-1])
        status, headers, body = await client.reply()
        assert await client.ended() == b""
    assert (status, headers["x-request-id"], headers["connection"]) == (408, "mine", "close")
    assert json.loads(body) == {
        "message": "The request body did not arrive in time",
        "code": "request_too_slow",
        "errors": [],
    }
    assert scene.counted == [("echo", "POST", 408)]


async def test_an_idle_connection_is_ended(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HOUSEKEEPING_S", 0.01)
    monkeypatch.setattr(asgi_server, "IDLE_S_MAX", 0.02)
    async with opened(scene) as (_, connect):
        client = await connect()
        assert (await client.ask(request("GET")))[0] == 200
        assert await client.ended() == b""


async def test_a_portal_takes_its_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that no deadline of the door runs while the portal handles a request."""
    monkeypatch.setattr(http_server, "HOUSEKEEPING_S", 0.01)
    monkeypatch.setattr(asgi_server, "BODY_S_MAX", 0.02)
    async with opened(scene) as (_, connect):
        client = await connect()
        await client.send(request("GET", "/echo?wait"))
        await scene.began.wait()
        await asyncio.sleep(0.1)
        scene.go_on.set()
        assert (await client.reply())[0] == 200


async def test_too_many_connections_are_answered_503(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "CONNECTIONS_MAX", 1)
    async with opened(scene) as (_, connect):
        first, second = await connect(), await connect()
        status, headers, _ = await second.reply()
        assert (status, headers["retry-after"]) == (503, "1")
        assert (await first.ask(request("GET")))[0] == 200


async def test_a_caller_that_disconnects_does_not_stop_the_work(scene: Scene) -> None:
    async with opened(scene) as (server, connect):
        client = await connect()
        await client.send(request("GET", "/echo?wait"))
        await scene.began.wait()
        client.writer.transport.abort()
        scene.go_on.set()
        await asyncio.gather(*server.tasks)
    assert scene.finished == 1


async def test_a_closing_door_finishes_its_requests_and_accepts_no_new_ones(scene: Scene) -> None:
    async with opened(scene) as (server, connect):
        busy, idle = await connect(), await connect()
        assert (await idle.ask(request("GET")))[0] == 200
        await busy.send(request("GET", "/echo?wait"))
        await scene.began.wait()
        closing = asyncio.create_task(server.close(REPLY_WITHIN_S))
        assert await idle.ended() == b""
        scene.go_on.set()
        status, headers, _ = await busy.reply()
        assert (status, headers["connection"]) == (200, "close")
        busy.writer.close()
        await closing
    assert scene.finished == 2


async def test_a_completion_outlives_its_door_and_drain_waits_for_it() -> None:
    ledger = cast(Any, SimpleNamespace(restores=None))
    portal = Portal(ledger, *[cast(Any, None)] * 3, clock=system_clock, randomness=random.Random(1))

    class Finishing(Scene):
        async def _echo(self, _portal: Any, call: Call) -> Reply:
            return await portal.finish(super()._echo(_portal, call))

    scene = Finishing()
    async with opened(scene) as (server, connect):
        client = await connect()
        await client.send(request("GET", "/echo?wait"))
        await scene.began.wait()
        await server.close(0)
        assert (scene.finished, server.tasks, await portal.drain(0)) == (0, set(), 1)
        scene.go_on.set()
        assert await portal.drain() == 0
    assert scene.finished == 1


async def test_a_door_that_closes_at_once_cancels_its_requests(scene: Scene) -> None:
    async with opened(scene) as (server, connect):
        client = await connect()
        await client.send(request("GET", "/echo?wait"))
        await scene.began.wait()
        await server.close(0)
        assert (scene.finished, server.tasks) == (0, set())


async def test_a_fault_of_the_door_is_logged_and_answered_with_500(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_call: Call) -> Reply:
        raise RuntimeError

    scene.application.handle = broken  # type: ignore[assignment]  # a stand-in
    async with opened(scene) as (_, connect):
        client = await connect()
        await client.send(request("GET"))
        assert (await client.reply()).status == 500
        assert await client.ended() == b""
    assert "Exception in ASGI application" in caplog.text
