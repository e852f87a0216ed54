"""The base of callback servers: order of answers, refusals with the bytes of the subclass, bugs of a handler."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from bursar.web.http1_server import Http1Connection, Http1Server, HttpRequest
from bursar.web.refusals import RefusalReason
from tests.support.raw_client import RawClient

HOLDS_WITHIN_S = 120.0


class PathServer(Http1Server):
    """Answers every request with its path: at once, or when the test releases it."""

    def __init__(self) -> None:
        super().__init__(body_bytes_max=100, share=None)
        self.held: asyncio.Queue[Callable[[], None]] = asyncio.Queue()

    def connection(self, *, adopted: bool = False) -> "PathConnection":
        return PathConnection(self, adopted=adopted)

    def renew_date(self) -> None:
        """Do nothing: the answers have no date."""


class PathConnection(Http1Connection):
    __slots__ = ()

    server: PathServer

    def handle(self, request: HttpRequest) -> None:
        if request.url.startswith(b"/bug"):
            raise RuntimeError("a bug")
        if request.url.startswith(b"/held"):
            self.server.held.put_nowait(lambda: self._answer(request))
        else:
            self._answer(request)

    def refusal_reply(self, refusal: RefusalReason) -> bytes:
        return b"HTTP/1.1 %d Refused\r\nContent-Length: 0\r\n\r\n" % refusal.value

    def _answer(self, request: HttpRequest) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request.url)
        self.reply(head, request.url, keep_alive=self.stays_open(request))


def get(path: bytes) -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path


@pytest.fixture
async def server() -> AsyncIterator[PathServer]:
    server = PathServer()
    yield server
    await server.close(within_s=0)


@pytest.fixture
async def client(server: PathServer) -> AsyncIterator[RawClient]:
    listening = socket.create_server(("127.0.0.1", 0))
    await server.listen(listening)
    with contextlib.closing(RawClient(*await asyncio.open_connection(*listening.getsockname()))) as client:
        yield client


async def release(server: PathServer) -> None:
    """Answer the request that is held, or the next one."""
    async with asyncio.timeout(HOLDS_WITHIN_S):
        answer = await server.held.get()
    assert server.held.empty()
    answer()


async def test_requests_are_answered_in_order_one_at_a_time(server: PathServer, client: RawClient) -> None:
    await client.send(get(b"/held/1") + get(b"/2") + get(b"/held/3"))
    await release(server)
    await release(server)
    assert [(await client.reply()).body for _ in range(3)] == [b"/held/1", b"/2", b"/held/3"]


async def test_a_refusal_has_the_bytes_of_the_subclass_and_comes_last(server: PathServer, client: RawClient) -> None:
    await client.send(get(b"/held") + b"POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n")
    await release(server)
    assert (await client.reply()).body == b"/held"
    assert await client.ended() == b"HTTP/1.1 413 Refused\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("paths", [[b"/bug"], [b"/bug", b"/1"], [b"/held", b"/bug", b"/1"]])
async def test_a_bug_of_the_handler_is_logged_and_answered_500(
    server: PathServer, client: RawClient, paths: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    await client.send(b"".join(map(get, paths)))
    if b"/held" in paths:
        await release(server)
        assert (await client.reply()).body == b"/held"
    assert await client.ended() == b"HTTP/1.1 500 Refused\r\nContent-Length: 0\r\n\r\n"
    assert caplog.text.count("RuntimeError: a bug") == 1
