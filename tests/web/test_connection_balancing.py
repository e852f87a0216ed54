"""New connections go to the worker that holds the fewest, and none is lost when it is passed on."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bursar.dynamo.server.serve import RunningServer, start_server
from bursar.web.connection_balancing import ConnectionBalancer
from tests.support.dynamo.served import served
from tests.support.dynamo.server_clients import EchoEngine, raw_request
from tests.support.raw_client import RawClient

CALLERS = 8


class Caller:
    """Connections to one server, and the worker that answers on each."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.clients: list[RawClient] = []

    async def connect(self) -> RawClient:
        self.clients.append(RawClient(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self.clients[-1]

    async def answered_by(self) -> list[int]:
        """Return how many of the connections each worker answers, the largest number first."""
        replies = [await client.ask(raw_request("ListTables")) for client in self.clients]
        assert {reply.status for reply in replies} <= {200}
        return sorted(Counter(reply.headers["x-amzn-requestid"][:10] for reply in replies).values(), reverse=True)

    def close(self) -> None:
        for client in self.clients:
            client.close()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


class TwoWorkers:
    """Two workers in this event loop. Clients connect only to the first."""

    def __init__(self) -> None:
        self.balancer = ConnectionBalancer(2)
        self.servers: list[RunningServer] = []

    async def start(self, number: int) -> RunningServer:
        share = self.balancer.share(number)
        self.servers.append(await start_server(EchoEngine(), share=share, process_id_bytes=bytes([number + 1] * 16)))
        return self.servers[-1]

    async def close(self) -> None:
        for server in self.servers:
            await server.close(within_s=0)
        self.balancer.close()


@pytest.fixture
async def two(stack: AsyncExitStack) -> TwoWorkers:
    two = TwoWorkers()
    stack.push_async_callback(two.close)
    return two


def caller_of(stack: AsyncExitStack, server: RunningServer) -> Caller:
    caller = Caller(server.port)
    stack.callback(caller.close)
    return caller


async def test_a_worker_that_holds_more_passes_new_connections_on(two: TwoWorkers, stack: AsyncExitStack) -> None:
    first = await two.start(0)
    await two.start(1)
    caller = caller_of(stack, first)
    await asyncio.gather(*(caller.connect() for _ in range(CALLERS)))
    assert await caller.answered_by() == [CALLERS // 2, CALLERS // 2]


async def test_a_closed_connection_no_longer_counts(two: TwoWorkers, stack: AsyncExitStack) -> None:
    first = await two.start(0)
    await two.start(1)
    leaving, staying = caller_of(stack, first), caller_of(stack, first)
    for caller in (leaving, staying, leaving, staying):  # alternately to the first worker and to the second
        await caller.connect()
        await caller.answered_by()
    assert [len(leaving.clients), await leaving.answered_by(), await staying.answered_by()] == [2, [2], [2]]
    leaving.close()
    await staying.answered_by()
    for _ in range(2):
        await staying.connect()
        await staying.answered_by()
    assert await staying.answered_by() == [2, 2]


async def test_nothing_is_passed_to_a_worker_that_has_ended(two: TwoWorkers, stack: AsyncExitStack) -> None:
    first, second = await two.start(0), await two.start(1)
    await second.close(within_s=0)
    caller = caller_of(stack, first)
    await asyncio.gather(*(caller.connect() for _ in range(CALLERS)))
    assert await caller.answered_by() == [CALLERS]


async def test_a_worker_that_replaces_a_dead_one_takes_what_was_passed_to_it(
    two: TwoWorkers, stack: AsyncExitStack
) -> None:
    first = await two.start(0)
    two.balancer._held[1] = 0  # a worker that crashes before it takes any connection
    caller = caller_of(stack, first)
    for _ in range(2):
        await caller.connect()
    asked = [asyncio.ensure_future(client.ask(raw_request("ListTables"))) for client in caller.clients]
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    two.balancer.vacate(1)
    await two.start(1)
    assert [reply.status for reply in await asyncio.gather(*asked)] == [200, 200]
    assert await caller.answered_by() == [1, 1]


async def test_a_connection_passed_to_a_worker_that_ends_is_closed(two: TwoWorkers) -> None:
    share, other = two.balancer.share(0), two.balancer.share(1)
    other.open(lambda connection: pytest.fail("taken after its end"))
    share.open(lambda connection: pytest.fail("passed to the wrong one"))
    share.report(1)
    ours, client = socket.socketpair()
    with client:
        assert share.pass_on(ours.fileno())
        ours.close()
        other.close()
        assert client.recv(1) == b""
    share.close()


async def test_a_connection_that_cannot_be_passed_is_kept(two: TwoWorkers) -> None:
    share = two.balancer.share(0)
    share.open(lambda connection: connection.close())
    two.balancer._held[1] = 0  # a worker that never takes a connection
    share.report(1_000_000)
    ours, client = socket.socketpair()
    with ours, client:
        passed = 0
        while share.pass_on(ours.fileno()):
            passed += 1
    assert 0 < passed < 1_000_000
    share.close()


@pytest.mark.parametrize("workers", [2, 3])
async def test_workers_share_connections_evenly(tmp_path: Path, stack: AsyncExitStack, workers: int) -> None:
    with served(str(tmp_path / "store.db"), workers=workers) as server:
        caller = Caller(server.port)
        stack.callback(caller.close)
        for _ in range(4 * workers):
            await caller.connect()
            await caller.answered_by()
        assert await caller.answered_by() == [4] * workers
        caller.close()
