"""The short cut answers as the app does, and leaves everything else to it."""

import asyncio
import random
from urllib.parse import urlsplit

import pytest

from bursar.paygov.protocol import COMPLETE_WITH_DETAILS, NAMESPACE, ONLINE_PATH, START
from bursar.paygov.simulator import Misbehaviour, MisbehaviourPlan, Simulator, SimulatorSettings
from bursar.paygov.simulator.app import SoapDoor, simulator_app
from bursar.paygov.simulator.hosted_pages import HostedPages
from bursar.paygov.simulator.server import serving
from bursar.paygov.simulator.short_cut import HEADS_MAX
from bursar.paygov.soap import build_envelope
from paygov.conftest import AGENCY_ID, APP, HandClock

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
    """A connection; gives each reply whole, its headers sorted and without the date."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0.01)

    async def hear(self) -> bytes:
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.startswith(b"date:")]
        (length,) = (int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))
        return b"\r\n".join([lines[0], *sorted(lines[1:])]) + await self._reader.readexactly(length)

    async def __call__(self, *pieces: bytes) -> bytes:
        await self.say(*pieces)
        return await self.hear()

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def connected(base: str) -> Caller:
    at = urlsplit(base)
    return Caller(*await asyncio.open_connection(at.hostname, at.port))


def twin(clock: HandClock) -> Simulator:
    return Simulator(clock, random.Random(7))


async def payment(base: str, *, in_pieces: bool) -> list[bytes]:
    """What a whole payment hears, and two things that go wrong; in two pieces, requests have to go the long way."""
    ask = await connected(base)
    heard = []

    async def asked(request: bytes) -> None:
        heard.append(await (ask(request[:40], request[40:]) if in_pieces else ask(request)))

    await asked(post(ONLINE_PATH, start()))
    token = heard[0].partition(b"<token>")[2][:32].decode()
    await asked(post(f"/pay/PLASTIC_CARD/Success?token={token}", b"{}"))
    await asked(post(ONLINE_PATH, complete(token)))
    await asked(post(ONLINE_PATH, complete(token)))
    await asked(post(ONLINE_PATH, b"<html>"))
    await asked(post(f"/pay/ACH/Success?token={token}", b""))
    await asked(post("/pay/ACH/Success", b""))
    await ask.close()
    return heard


async def test_both_ways_answer_the_same(clock: HandClock) -> None:
    async with serving(twin(clock)) as short, serving(twin(clock)) as long:
        heard = await payment(short.base, in_pieces=False)
        assert heard == await payment(long.base, in_pieces=True)
    statuses = [each.split(b" ", 2)[1] for each in heard]
    assert statuses == [b"200", b"200", b"200", b"400", b"500", b"409", b"404"]


async def test_a_payment_takes_the_short_cut(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: object) -> None:
        raise AssertionError("the long way")

    monkeypatch.setattr(SoapDoor, "__call__", lost)
    monkeypatch.setattr(HostedPages, "pay_by_script", lost)
    async with serving(simulator) as at:
        ask = await connected(at.base)
        for _ in range(3):
            begun = await ask(post(ONLINE_PATH, start()))
            token = begun.partition(b"<token>")[2][:32].decode()
            assert b"redirectUrl" in await ask(post(f"/pay/PAYPAL/Failed?token={token}", b""))
            assert b"Failed" in await ask(post(ONLINE_PATH, complete(token), "Connection: keep-alive"))
        await ask.close()


async def test_both_ways_close_a_connection_that_is_to_be_closed(clock: HandClock) -> None:
    request, heard = post(ONLINE_PATH, start(), "Connection: close"), []
    for pieces in ([request], [request[:40], request[40:]]):
        async with serving(twin(clock)) as at:
            ask = await connected(at.base)
            heard.append(await ask(*pieces))
            with pytest.raises(asyncio.IncompleteReadError):
                await ask.hear()
            await ask.close()
    assert heard[0] == heard[1]
    assert b"connection: close" in heard[0]


async def test_requests_in_pieces_and_in_one_go_are_answered_in_order(simulator: Simulator) -> None:
    good, bad = post(ONLINE_PATH, start()), post(ONLINE_PATH, b"<html>")
    async with serving(simulator) as at:
        ask = await connected(at.base)
        await ask.say(good + bad + good, bad, good[:3], good[3:], bad)
        statuses = [(await ask.hear()).split(b" ", 2)[1] for _ in range(6)]
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
        post(ONLINE_PATH, start(), line="POST {} HTTP/1.0"),
        post(ONLINE_PATH, start(), line="PUT {} HTTP/1.1"),
        post(f"{ONLINE_PATH}?wsdl", start()),
        post("/misbehave", b"{}"),
        b"GET /health HTTP/1.1\r\nHost: paygov\r\n\r\n",
        b"\r\n\r\n",
        b"",
    ],
)
def test_what_is_not_a_whole_and_plain_request_goes_the_long_way(simulator: Simulator, request_: bytes) -> None:
    assert simulator_app(simulator).short_cut.reply(request_) is None
    assert len(simulator.books) == 0


def test_misbehaviour_goes_the_long_way(simulator: Simulator) -> None:
    plan = MisbehaviourPlan(random.Random(1), [Misbehaviour(kind="drop", times=1)])
    assert simulator_app(simulator, plan).short_cut.reply(post(ONLINE_PATH, start())) is None
    assert len(plan) == 1, "nothing was chosen yet"


def test_the_bearer_token_is_asked_for(clock: HandClock) -> None:
    simulator = Simulator(clock, random.Random(1), settings=SimulatorSettings(bearer="s3cret"))
    reply = simulator_app(simulator).short_cut.reply
    for header, status in (
        ("X: y", 401),
        ("Authentication: Bearer s3cre", 401),
        ("authentication: Bearer s3cret", 200),
    ):
        replied = reply(post(ONLINE_PATH, start(), header))
        assert replied is not None
        assert replied.answer.status == status


def test_heads_remembered_are_bounded(simulator: Simulator) -> None:
    short_cut = simulator_app(simulator).short_cut
    for number in range(HEADS_MAX + 10):
        assert short_cut.reply(post(ONLINE_PATH, b"", f"X-Request-Id: {number}")) is not None
    assert len(short_cut._heads) <= HEADS_MAX
