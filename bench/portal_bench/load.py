"""The load: clients that pay, in a process of their own, lean enough not to be the bottleneck.

    init ──► the payer pays on Pay.gov's page ──► process ──► details          one flow, over and over, per client

Each client has one kept-alive connection to the portal and one to Pay.gov's stand-in, and sends the next request when
the last one is answered (closed loop). Requests are bytes put together by hand, replies are read by httptools on
uvloop: about 0.1 ms of processor time per flow beside several times that in the servers.

    python load.py URL CLIENTS SECONDS      prints one line of JSON
"""

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httptools
import uvloop

FEE: Final = "PETITION_FILING_FEE"
METADATA: Final = {"docketNumber": "1234-26"}
URL_SUCCESS: Final = "https://court.example/paid"
URL_CANCEL: Final = "https://court.example/cancelled"
ERRORS_SHOWN_MAX: Final = 3


class Unexpected(Exception):
    """A reply that is not a payment going well."""


class Connection(asyncio.Protocol):
    """One kept-alive HTTP/1.1 connection with one request under way at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[bytes] | None = None
        self._body: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own kind

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status, body = self._parser.get_status_code(), b"".join(self._body)
        self._body, self._parser = [], httptools.HttpResponseParser(self)
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.done():
            return
        if status == 200:
            waiting.set_result(body)
        else:
            waiting.set_exception(Unexpected(f"{status} {body[:200]!r}"))

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Unexpected(f"the connection ended: {error}"))

    async def ask(self, request: bytes) -> bytes:
        """The body of the reply to ``request``. Raises Unexpected unless it is a 200."""
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting


class Client:
    """One client: its connections, and how long its requests took (seconds)."""

    def __init__(self, portal: str) -> None:
        self._host = urlsplit(portal).netloc
        self._portal: Connection | None = None
        self._payers: Connection | None = None
        self.took: dict[str, list[float]] = {"init": [], "process": [], "details": []}

    async def run(self, until: float) -> int:
        """Flows until then (perf_counter); how many were whole."""
        self._portal = await connected(self._host)
        flows = 0
        while time.perf_counter() < until:
            await self._flow(self._portal)
            flows += 1
        return flows

    async def _flow(self, portal: Connection) -> None:
        reference = str(uuid.uuid4())
        begun = await self._timed("init", portal, post(self._host, "/init", _init(reference)))
        token, redirect = begun["token"], urlsplit(begun["paymentRedirect"])
        if self._payers is None:
            self._payers = await connected(redirect.netloc)
        page = f"{redirect.path}/PLASTIC_CARD/Success?token={token}"
        await self._payers.ask(post(redirect.netloc, page, {}))
        paid = await self._timed("process", portal, post(self._host, "/process", {"token": token}))
        told = await self._timed("details", portal, get(self._host, f"/details/{reference}"))
        if paid["paymentStatus"] != "success" or told["paymentStatus"] != "success":
            raise Unexpected(f"a payment that is {paid['paymentStatus']}, then {told['paymentStatus']}")

    async def _timed(self, name: str, connection: Connection, request: bytes) -> Any:
        began = time.perf_counter()
        body = await connection.ask(request)
        self.took[name].append(time.perf_counter() - began)
        return json.loads(body)


async def connected(address: str) -> Connection:
    """A connection to ``host:port``."""
    host, _, port = address.rpartition(":")
    _, connection = await asyncio.get_running_loop().create_connection(Connection, host, int(port))
    return connection


def post(host: str, path: str, content: Mapping[str, Any]) -> bytes:
    """A POST of JSON."""
    body = json.dumps(content, separators=(",", ":")).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(host: str, path: str) -> bytes:
    """A GET."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def _init(reference: str) -> dict[str, Any]:
    return {
        "transactionReferenceId": reference,
        "fee": FEE,
        "urlSuccess": URL_SUCCESS,
        "urlCancel": URL_CANCEL,
        "metadata": METADATA,
    }


def quantile(values: list[float], share: float) -> float:
    """The value below which ``share`` of the sorted ``values`` lie; 0 for none."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


async def load(portal: str, count: int, seconds: float) -> dict[str, Any]:
    """What ``count`` clients saw in ``seconds``: flows/s, milliseconds by request, failures, this process's own CPU."""
    clients = [Client(portal) for _ in range(count)]
    began = time.perf_counter()
    ended = await asyncio.gather(*(client.run(began + seconds) for client in clients), return_exceptions=True)
    took_s = time.perf_counter() - began
    failures = [str(each) or repr(each) for each in ended if isinstance(each, BaseException)]
    flows = sum(len(client.took["details"]) for client in clients)
    report: dict[str, Any] = {
        "flows": flows,
        "per_s": flows / took_s,
        "failures": failures[:ERRORS_SHOWN_MAX],
        "cpu_s": sum(os.times()[:2]),
    }
    for name in ("init", "process", "details"):
        values = sorted(value for client in clients for value in client.took[name])
        report[name] = {"p50_ms": quantile(values, 0.50) * 1000, "p99_ms": quantile(values, 0.99) * 1000}
    return report


def main() -> None:
    """See the module."""
    portal, clients, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    print(json.dumps(uvloop.run(load(portal, clients, seconds))))


if __name__ == "__main__":
    main()
