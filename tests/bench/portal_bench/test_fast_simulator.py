"""The fast simulator of the benchmark answers as its plain twin does, and leaves everything else to it."""

import asyncio
import random
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.portal_bench.fast_simulator import (
    HEADS_MAX,
    FastSimulator,
    fast_read_request,
    fast_simulator_config,
)
from bursar.paygov.protocol import COMPLETE_WITH_DETAILS, NAMESPACE, ONLINE_OPERATIONS, ONLINE_PATH, START
from bursar.paygov.simulator import Misbehaviour, MisbehaviourPlan, Simulator, SimulatorSettings
from bursar.paygov.simulator.app import SoapDoor
from bursar.paygov.simulator.hosted_pages import HostedPages
from bursar.paygov.simulator.server import Addresses, serving, serving_config
from bursar.paygov.simulator.wire import read_request
from bursar.paygov.soap import build_envelope
from tests.support.paygov.world import AGENCY_ID, APP, HandClock, clock, simulator

__all__ = ["clock", "simulator"]

STARTING = {
    "tcs_app_id": APP,
    "agency_tracking_id": AGENCY_ID,
    "transaction_type": "Sale",
    "transaction_amount": "60.00",
    "language": "en",
    "url_success": "https://app.example/back",
    "url_cancel": "https://app.example/cancel",
}


def post(path: str, body: bytes, *headers: str, line: str = "POST {} HTTP/1.1") -> bytes:
    lines = [line.format(path), "Host: paygov", "Content-Type: text/xml; charset=utf-8", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def start() -> bytes:
    return build_envelope(START, NAMESPACE, STARTING)


def complete(token: str) -> bytes:
    return build_envelope(COMPLETE_WITH_DETAILS, NAMESPACE, {"tcs_app_id": APP, "token": token})


class Caller:
    """A connection that returns each reply whole, its headers sorted and without the date."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0.01)

    async def receive(self) -> bytes:
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.startswith(b"date:")]
        (length,) = (int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))
        return b"\r\n".join([lines[0], *sorted(lines[1:])]) + await self._reader.readexactly(length)

    async def __call__(self, *pieces: bytes) -> bytes:
        await self.send(*pieces)
        return await self.receive()

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def connected(base: str) -> Caller:
    at = urlsplit(base)
    return Caller(*await asyncio.open_connection(at.hostname, at.port))


def serving_fast(simulator: Simulator) -> AbstractAsyncContextManager[Addresses]:
    """Serve the fast twin. ``serving`` serves the plain one."""
    return serving_config(fast_simulator_config(simulator))


def twin(clock: HandClock) -> Simulator:
    return Simulator(clock, random.Random(7))


async def payment(base: str, *, in_pieces: bool) -> list[bytes]:
    """Make a payment and three requests that fail, and return the replies. The fast twin passes pieces to its app."""
    ask = await connected(base)
    replies = []

    async def post_and_keep(request: bytes) -> None:
        replies.append(await (ask(request[:40], request[40:]) if in_pieces else ask(request)))

    await post_and_keep(post(ONLINE_PATH, start()))
    token = replies[0].partition(b"<token>")[2][:32].decode()
    await post_and_keep(post(f"/pay/PLASTIC_CARD/Success?token={token}", b"{}"))
    await post_and_keep(post(ONLINE_PATH, complete(token)))
    await post_and_keep(post(ONLINE_PATH, complete(token)))
    await post_and_keep(post(ONLINE_PATH, b"<html>"))
    await post_and_keep(post(f"/pay/ACH/Success?token={token}", b""))
    await post_and_keep(post("/pay/ACH/Success", b""))
    await ask.close()
    return replies


async def test_both_twins_answer_the_same(clock: HandClock) -> None:
    async with serving_fast(twin(clock)) as fast, serving_fast(twin(clock)) as cut, serving(twin(clock)) as plain:
        replies = await payment(plain.base, in_pieces=False)
        assert await payment(fast.base, in_pieces=False) == replies
        assert await payment(cut.base, in_pieces=True) == replies
    statuses = [each.split(b" ", 2)[1] for each in replies]
    assert statuses == [b"200", b"200", b"200", b"400", b"500", b"409", b"404"]


async def test_the_app_answers_no_request_of_a_payment(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> None:
        raise AssertionError("the app was called")

    monkeypatch.setattr(SoapDoor, "__call__", refuse)
    monkeypatch.setattr(HostedPages, "pay_by_script", refuse)
    async with serving_fast(simulator) as at:
        ask = await connected(at.base)
        for _ in range(3):
            begun = await ask(post(ONLINE_PATH, start()))
            token = begun.partition(b"<token>")[2][:32].decode()
            assert b"redirectUrl" in await ask(post(f"/pay/PAYPAL/Failed?token={token}", b""))
            assert b"Failed" in await ask(post(ONLINE_PATH, complete(token), "Connection: keep-alive"))
        await ask.close()


async def test_both_twins_close_a_connection_on_request(clock: HandClock) -> None:
    request, replies = post(ONLINE_PATH, start(), "Connection: close"), []
    for served in (serving_fast(twin(clock)), serving(twin(clock))):
        async with served as at:
            ask = await connected(at.base)
            replies.append(await ask(request))
            with pytest.raises(asyncio.IncompleteReadError):
                await ask.receive()
            await ask.close()
    assert replies[0] == replies[1]
    assert b"connection: close" in replies[0]


async def test_requests_in_pieces_and_in_one_go_are_answered_in_order(simulator: Simulator) -> None:
    good, bad = post(ONLINE_PATH, start()), post(ONLINE_PATH, b"<html>")
    async with serving_fast(simulator) as at:
        ask = await connected(at.base)
        await ask.send(good + bad + good, bad, good[:3], good[3:], bad)
        statuses = [(await ask.receive()).split(b" ", 2)[1] for _ in range(6)]
        await ask.close()
    assert statuses == [b"200", b"500", b"200", b"500", b"200", b"500"]
    assert len(simulator.books) == 3


@pytest.mark.parametrize(
    "request_",
    [
        post(ONLINE_PATH, start())[:-1],
        post(ONLINE_PATH, start()) + b"G",
        post(ONLINE_PATH, start(), "Connection: upgrade"),
        post(ONLINE_PATH, start(), "Expect: 100-continue"),
        post(ONLINE_PATH, start(), "Transfer-Encoding: chunked"),
        post(ONLINE_PATH, start(), "Host: another"),
        post(ONLINE_PATH, start(), " folded"),
        post(ONLINE_PATH, start(), "X-Odd : 1"),
        post(ONLINE_PATH, b"x" * 20_000),
        post(ONLINE_PATH, b"<html>"),
        post(ONLINE_PATH, start().partition(b"?>")[2]),
        post(ONLINE_PATH, start(), line="POST {} HTTP/1.0"),
        post(ONLINE_PATH, start(), line="PUT {} HTTP/1.1"),
        post(f"{ONLINE_PATH}?wsdl", start()),
        post("/misbehave", b"{}"),
        b"GET /health HTTP/1.1\r\nHost: paygov\r\n\r\n",
        b"\r\n\r\n",
        b"",
    ],
)
def test_a_request_that_is_not_whole_and_plain_is_left_to_the_app(simulator: Simulator, request_: bytes) -> None:
    assert FastSimulator(simulator).reply(request_) is None
    assert len(simulator.books) == 0


def test_misbehaviour_is_left_to_the_app(simulator: Simulator) -> None:
    plan = MisbehaviourPlan(random.Random(1), [Misbehaviour(kind="drop", times=1)])
    assert FastSimulator(simulator, plan).reply(post(ONLINE_PATH, start())) is None
    assert len(plan) == 1, "the plan must be unused"


def test_a_request_without_the_bearer_token_is_left_to_the_app(clock: HandClock) -> None:
    simulator = Simulator(clock, random.Random(1), settings=SimulatorSettings(bearer="s3cret"))
    reply = FastSimulator(simulator).reply
    for header in ("X: y", "Authentication: Bearer s3cre"):
        assert reply(post(ONLINE_PATH, start(), header)) is None
    admitted = reply(post(ONLINE_PATH, start(), "authentication: Bearer s3cret"))
    assert admitted is not None
    assert admitted.answer.status == 200


def test_heads_remembered_are_bounded(simulator: Simulator) -> None:
    fast = FastSimulator(simulator)
    for number in range(HEADS_MAX + 10):
        assert fast.reply(post(ONLINE_PATH, start(), f"X-Request-Id: {number}")) is not None
    assert len(fast._heads) <= HEADS_MAX


PLAIN = complete("0123456789abcdef0123456789abcdef")
PIECES = [
    *(b"<tcs_app_id>A</tcs_app_id>", b"<token> t </token>", b"<token/>", b"<token a='1'>t</token>", b"<n:x>1</n:x>"),
    *(b"<x>]]></x>", b"<x>&lt;</x>", b"<x><y>1</y></x>", "<x>ü</x>".encode(), b"</x>", b"&x;", b">", b"text"),
    *(b"<!-- -->", b"<![CDATA[x]]>", b"\x00", b"\xff", b"\x0c", b"\n", b" "),
]

HEAD, _, REST = PLAIN.partition(b"<tcs_app_id>")
FOOT = REST.rpartition(b"</token>")[2]


@given(st.lists(st.sampled_from(PIECES), max_size=5).map(b"".join))
def test_both_readers_agree_on_any_fields(content: bytes) -> None:
    body = HEAD + content + FOOT
    fast = fast_read_request(ONLINE_OPERATIONS, body)
    assert fast is None or fast == read_request(ONLINE_OPERATIONS, body, "")


NAMED = PLAIN.index(NAMESPACE.encode())


@given(st.integers(0, len(PLAIN)), st.integers(0, len(PLAIN)), st.binary(max_size=8))
@example(NAMED, NAMED, b"}")
@example(NAMED, NAMED + len(NAMESPACE), b"http://www.w3.org/XML/1998/namespace")
def test_both_readers_agree_on_a_damaged_request(start: int, end: int, instead: bytes) -> None:
    body = PLAIN[:start] + instead + PLAIN[end:]
    fast = fast_read_request(ONLINE_OPERATIONS, body)
    assert fast is None or fast == read_request(ONLINE_OPERATIONS, body, "")


def test_the_envelope_of_our_own_client_is_read_fast() -> None:
    fast = fast_read_request(ONLINE_OPERATIONS, PLAIN)
    assert fast is not None
    assert fast == read_request(ONLINE_OPERATIONS, PLAIN, "")
