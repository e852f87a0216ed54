"""Pay.gov's simulator for the benchmark: answers the three requests of a payment from their bytes.

    POST /services/TCSOnlineService    POST /tcssinglequery/services/TCSSingleQueryService    POST /pay/…/…?token=…

The plain twin is ``bursar simulator`` (``bursar.paygov.simulator.server.simulator_server``): the same service, the same
books, and replies that are equal to the byte. The app of the twin answers every request that is not whole and plain,
every request that fails, and every request while misbehaviours are in force.
tests/bench/portal_bench/test_fast_simulator.py compares both. Measured gain: 0.12 instead of 0.37 ms of CPU a payment,
with its client; the portal that the benchmark measures costs about 2 ms.

    python bench/portal_bench/fast_simulator.py --port PORT
"""

import argparse
import asyncio
import random
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from bursar.clock import system_clock
from bursar.paygov.protocol import (
    BEARER_HEADER,
    ONLINE_OPERATIONS,
    ONLINE_PATH,
    PAY_PATH,
    QUERY_OPERATIONS,
    QUERY_PATH,
    TOKEN_FIELD,
    SoapOperation,
)
from bursar.paygov.simulator import MisbehaviourPlan, PayerRefused, Simulator
from bursar.paygov.simulator.answers import SoapService
from bursar.paygov.simulator.app import simulator_app
from bursar.paygov.simulator.server import SimulatorProtocol, listen, simulator_config
from bursar.paygov.simulator.wire import SimulatorAnswer, SoapRequest

JSON_TYPE: Final = "application/json"
BODY_BYTES_MAX: Final = 16 * 1024
HEADS_MAX: Final = 1_000
"""Heads that are remembered. A client sends the same head with every request, except for its length."""
SERVICES: Final[Mapping[bytes, Mapping[str, SoapOperation]]] = {
    ONLINE_PATH.encode(): ONLINE_OPERATIONS,
    QUERY_PATH.encode(): QUERY_OPERATIONS,
}

PLAIN_ENVELOPE: Final = re.compile(
    rb'<\?xml version="1\.0" encoding="(?:UTF-8|utf-8)" ?\?>[ \t\r\n]*'
    rb'<soapenv:Envelope xmlns:soapenv="http://schemas\.xmlsoap\.org/soap/envelope/"'
    rb' xmlns:tcs="http://fms\.treas\.gov/[A-Za-z0-9_./-]*">'
    rb"[ \t\r\n]*(?:<soapenv:Header ?/>[ \t\r\n]*)?"
    rb"<soapenv:Body>[ \t\r\n]*<tcs:(?P<op>[A-Za-z]+)>[ \t\r\n]*<(?P=op)Request>[ \t\r\n]*"
    rb"(?P<fields>(?:<(?P<f>[a-z_]+)>[ -%'-;=?-~]*</(?P=f)>[ \t\r\n]*)*)"
    rb"</(?P=op)Request>[ \t\r\n]*</tcs:(?P=op)>[ \t\r\n]*</soapenv:Body>[ \t\r\n]*</soapenv:Envelope>[ \t\r\n]*"
)
"""The form in which Bursar's own client writes an envelope: printable ASCII without markup in the fields. The
declaration names the encoding, so the Content-Type header cannot change the meaning."""
_PLAIN_FIELD: Final = re.compile(r"<([a-z_]+)>([^<]*)</")

_METHOD, _VERSION, _LINE_END = b"POST ", b" HTTP/1.1", b"\r\n"
_PAID: Final = re.compile(rf"{PAY_PATH}/([A-Z_]+)/([A-Za-z]+)\?{TOKEN_FIELD}=([0-9a-f]+)".encode())
_HEADER: Final = re.compile(rb"([A-Za-z-]+):[ \t]*([!-~](?:[ -~]*[!-~])?|)[ \t]*")
_LENGTH: Final = re.compile(rb"[0-9]{1,5}")
_UNFIT: Final = frozenset((b"transfer-encoding", b"expect", b"upgrade", b"content-encoding"))
_CLOSES: Final = {b"keep-alive": False, b"close": True}
"""The values of a Connection header that are understood here → whether the connection ends with the reply."""


def fast_read_request(operations: Mapping[str, SoapOperation], body: bytes) -> SoapRequest | None:
    """Return the request in a plain envelope; None if the plain twin, ``wire.read_request``, must read it."""
    plain = PLAIN_ENVELOPE.fullmatch(body)
    if plain is None:
        return None
    operation = operations.get(plain["op"].decode())
    pairs = [(field, text.strip()) for field, text in _PLAIN_FIELD.findall(plain["fields"].decode())]
    fields = dict(pairs)
    return SoapRequest(operation, fields) if operation is not None and len(fields) == len(pairs) else None


class _Head(NamedTuple):
    """The headers of a request that its reply depends on."""

    body_bytes: int
    authentication: str
    closes: bool


class FastReply(NamedTuple):
    """A whole answer. ``closes``: the connection ends with it."""

    answer: SimulatorAnswer
    closes: bool


class FastSimulator:
    """One simulator as an ASGI app, with :meth:`reply` for a server that can use it."""

    def __init__(self, simulator: Simulator, plan: MisbehaviourPlan | None = None) -> None:
        plan = plan if plan is not None else MisbehaviourPlan(simulator.randomness)
        self._simulator = simulator
        self._service = SoapService(simulator, plan)
        self._app = simulator_app(simulator, plan)
        self._heads: dict[bytes, _Head | None] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to the plain twin's app."""
        await self._app(scope, receive, send)

    def reply(self, data: bytes) -> FastReply | None:
        """Return the reply to the one request that is ``data``; None, without any effect, if the app must answer."""
        line_end = data.find(_LINE_END)
        head_end = data.find(b"\r\n\r\n", line_end)
        if head_end < 0 or not data.startswith(_METHOD) or data[line_end - 9 : line_end] != _VERSION:
            return None
        head = self._head(data[line_end + 2 : head_end])
        if head is None or len(data) != head_end + 4 + head.body_bytes:
            return None
        path = data[5 : line_end - 9]
        operations = SERVICES.get(path)
        answer = self._pay(path) if operations is None else self._soap(operations, data[head_end + 4 :], head)
        return None if answer is None else FastReply(answer, head.closes)

    def _soap(self, operations: Mapping[str, SoapOperation], body: bytes, head: _Head) -> SimulatorAnswer | None:
        if len(self._service.plan) or not self._service.admits(head.authentication):
            return None
        request = fast_read_request(operations, body)
        return None if request is None else self._service.carry_out(request)

    def _pay(self, path: bytes) -> SimulatorAnswer | None:
        asked = _PAID.fullmatch(path)
        if asked is None:
            return None
        payment_type, outcome, token = asked.groups()
        try:
            url = self._simulator.pay(token.decode(), payment_type.decode(), outcome.decode())
        except PayerRefused:
            return None
        return SimulatorAnswer(200, JSON_TYPE, orjson.dumps({"redirectUrl": url}))

    def _head(self, raw: bytes) -> _Head | None:
        try:
            return self._heads[raw]
        except KeyError:
            if len(self._heads) >= HEADS_MAX:
                self._heads.clear()
            head = self._heads[raw] = _read_head(raw)
            return head


def _read_head(raw: bytes) -> _Head | None:
    """Return the headers in ``raw``; None if one of them is not plain."""
    headers: dict[bytes, bytes] = {}
    for line in raw.split(_LINE_END):
        found = _HEADER.fullmatch(line)
        if found is None:
            return None
        name = found[1].lower()
        if name in headers or name in _UNFIT:
            return None
        headers[name] = found[2]
    length = headers.get(b"content-length", b"")
    if b"host" not in headers or not _LENGTH.fullmatch(length) or int(length) > BODY_BYTES_MAX:
        return None
    closes = _CLOSES.get(headers.get(b"connection", b"keep-alive").lower())
    if closes is None:
        return None
    return _Head(int(length), headers.get(BEARER_HEADER.lower().encode(), b"").decode(), closes)


class FastSimulatorProtocol(SimulatorProtocol):
    """The simulator's protocol for uvicorn, with a fast reply where there is one."""

    def __init__(self, config: uvicorn.Config, *others: Any, **named: Any) -> None:
        super().__init__(config, *others, **named)
        assert isinstance(config.app, FastSimulator)
        self._fast = config.app
        self._receiving = False

    def data_received(self, data: bytes) -> None:
        """Write a fast reply, or pass ``data`` to uvicorn."""
        if not self._busy():
            reply = self._fast.reply(data)
            if reply is not None:
                self._unset_keepalive_if_required()
                self.transport.write(self._whole(*reply))
                if reply.closes:
                    self.transport.close()
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Note that uvicorn reads a request."""
        super().on_message_begin()
        self._receiving = True

    def on_message_complete(self) -> None:
        """Note that uvicorn has read the request."""
        super().on_message_complete()
        self._receiving = False

    def _busy(self) -> bool:
        """Return whether uvicorn still reads or answers an earlier request."""
        return (
            self._receiving
            or (self.cycle is not None and not self.cycle.response_complete)
            or self.flow.write_paused
            or self.transport.is_closing()
        )

    def _whole(self, answer: SimulatorAnswer, closes: bool) -> bytes:
        lines = [STATUS_LINE[answer.status]]
        lines += [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        lines.append(b"content-type: %b\r\n" % answer.content_type.encode())
        if closes:
            lines.append(b"connection: close\r\n")
        lines.append(b"content-length: %d\r\n\r\n" % len(answer.body))
        lines.append(answer.body)
        return b"".join(lines)


def fast_simulator_config(simulator: Simulator, plan: MisbehaviourPlan | None = None) -> uvicorn.Config:
    """Return the configuration of a uvicorn server. The plain twin is ``server.simulator_config``."""
    return simulator_config(FastSimulator(simulator, plan), FastSimulatorProtocol)


def main() -> int:
    """Serve the simulator on loopback until a signal stops it. Its books are in memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True, help="the port to listen on")
    listening = listen(port=parser.parse_args().port)
    server = uvicorn.Server(fast_simulator_config(Simulator(system_clock, random.SystemRandom())))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(sockets=[listening]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
