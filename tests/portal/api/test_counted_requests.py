"""Each request of a client is counted in once and out once, however it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bursar.payments.catalogue.clients import Client
from bursar.portal.api.application import Application
from bursar.portal.api.endpoints import Endpoint
from bursar.portal.contract.error_catalogue import ALREADY_PAID, TOO_MANY_AT_ONCE
from bursar.portal.contract.errors import Conflict, TooMany
from bursar.portal.contract.messages import BodyStream, Call, Reply
from bursar.portal.state.portal import Portal
from tests.support.portal.stage import DAWSON, Stage, on_stage
from tests.support.write_paths import WritePath

Work = Callable[[Portal, Call], Awaitable[Reply]]


class Counted:
    """Limits that note each entrance and each exit."""

    def __init__(self, refuses: bool = False) -> None:
        self.noted: list[str] = []
        self.refuses = refuses

    def enter(self, client: str) -> None:
        if self.refuses:
            raise TooMany(TOO_MANY_AT_ONCE, retry_after_s=1)
        self.noted.append(f"in {client}")

    def leave(self, client: str) -> None:
        self.noted.append(f"out {client}")


async def known(_call: Call) -> Client:
    return DAWSON


def application(stage: Stage, work: Work, limits: Counted, *, authenticated: bool = True) -> Application:
    endpoint = Endpoint("GET", "/work", "doWork", "", work, {200: "Any"}, authenticated=authenticated)
    return Application(stage.portal, known, endpoints=(endpoint,), limits=limits)


async def answers(_portal: Portal, _call: Call) -> Reply:
    return Reply(200, b"{}")


async def refuses(_portal: Portal, _call: Call) -> Reply:
    raise Conflict(ALREADY_PAID)


async def has_a_bug(_portal: Portal, _call: Call) -> Reply:
    raise RuntimeError("a bug")


async def waits(_portal: Portal, _call: Call) -> Reply:
    await asyncio.sleep(3600)
    raise AssertionError("the caller has left before")


@pytest.mark.only_write_path("swap", reason="nothing is written")
@pytest.mark.parametrize(("work", "status"), [(answers, 200), (refuses, 409), (has_a_bug, 500)])
def test_an_answer_of_any_kind_counts_the_request_out(work: Work, status: int, write_path: WritePath) -> None:
    @on_stage
    async def scene(stage: Stage) -> None:
        limits = Counted()
        reply = await application(stage, work, limits).handle(Call("GET", "/work", "", {}))
        assert (reply.status, limits.noted) == (status, ["in dawson", "out dawson"])

    scene(write_path)


@pytest.mark.only_write_path("swap", reason="nothing is written")
@on_stage
async def test_a_caller_that_leaves_is_counted_out(stage: Stage) -> None:
    limits = Counted()
    request = asyncio.create_task(application(stage, waits, limits).handle(Call("GET", "/work", "", {})))
    await asyncio.sleep(1)
    assert limits.noted == ["in dawson"]
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert limits.noted == ["in dawson", "out dawson"]


@pytest.mark.only_write_path("swap", reason="nothing is written")
@on_stage
async def test_a_streamed_answer_is_counted_out_when_it_is_closed(stage: Stage) -> None:
    closed: list[str] = []

    async def parts() -> AsyncIterator[bytes]:
        yield b"a"

    async def close() -> None:
        closed.append("closed")
        raise OSError("the file is gone")

    async def streams(_portal: Portal, _call: Call) -> Reply:
        return Reply(200, b"", stream=BodyStream(parts(), close))

    limits = Counted()
    reply = await application(stage, streams, limits).handle(Call("GET", "/work", "", {}))
    assert reply.stream is not None
    assert [part async for part in reply.stream.parts] == [b"a"]
    assert limits.noted == ["in dawson"]
    with pytest.raises(OSError, match="the file is gone"):
        await reply.stream.close()
    assert (closed, limits.noted) == (["closed"], ["in dawson", "out dawson"])


@pytest.mark.only_write_path("swap", reason="nothing is written")
@on_stage
async def test_a_request_that_is_not_let_in_or_has_no_client_is_not_counted(stage: Stage) -> None:
    full, public = Counted(refuses=True), Counted()
    reply = await application(stage, answers, full).handle(Call("GET", "/work", "", {}))
    assert (reply.status, full.noted) == (429, [])
    reply = await application(stage, answers, public, authenticated=False).handle(Call("GET", "/work", "", {}))
    assert (reply.status, public.noted) == (200, [])
