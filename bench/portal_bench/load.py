"""The load: clients that pay, in a separate process that is fast enough not to be the bottleneck.

    init ──► the payer pays on Pay.gov's page ──► process ──► details          one flow, over and over, per client

Each client has one kept-alive connection to the portal and one to the simulator, and sends the next request when the
last one is answered (closed loop). Requests are bytes without a library, and httptools on uvloop parses replies. Of a
body only the words that matter are searched; a reply without them is a failure and ends its client.

    python load.py URL CLIENTS SECONDS      prints one line of JSON
"""

import asyncio
import json
import os
import re
import sys
import time
from typing import Any, Final, cast
from urllib.parse import urlsplit

import httptools
import uvloop

FEE: Final = "PETITION_FILING_FEE"
METADATA: Final = {"docketNumber": "1234-26"}
URL_SUCCESS: Final = "https://court.example/paid"
URL_CANCEL: Final = "https://court.example/cancelled"
OK: Final = 200
ERRORS_SHOWN_MAX: Final = 3
TOKEN: Final = re.compile(rb'"token" ?: ?"([^"\\]{32})"')
REDIRECT: Final = re.compile(rb'"paymentRedirect" ?: ?"([^"\\]+)"')
STATUS: Final = re.compile(rb'"paymentStatus" ?: ?"([^"\\]+)"')
SUCCESS: Final = b"success"


class Unexpected(Exception):
    """A reply that a successful payment does not have."""


class Connection(asyncio.Protocol):
    """One kept-alive HTTP/1.1 connection with one pending request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._new_future = asyncio.get_running_loop().create_future
        self._waiting: asyncio.Future[bytes] | None = None
        self._body: list[bytes] = []
        # Bound methods of other objects replace ours, one call less per reply. The parser reads them when it is made.
        self.on_body = self._body.append
        self._parser = httptools.HttpResponseParser(self)
        self.data_received = self._parser.feed_data  # type: ignore[method-assign]  # see the comment above

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # a transport of uvloop

    def on_message_complete(self) -> None:
        status, body = self._parser.get_status_code(), b"".join(self._body)
        self._body.clear()
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.done():
            return
        if status == OK:
            waiting.set_result(body)
        else:
            waiting.set_exception(Unexpected(f"{status} {body[:200]!r}"))

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Unexpected(f"the connection ended: {error}"))

    def ask(self, request: bytes) -> "asyncio.Future[bytes]":
        """Return the body of the reply to ``request``. Raise Unexpected unless it is a 200."""
        assert self._transport is not None
        waiting = self._waiting = self._new_future()
        self._transport.write(request)
        return waiting


class Client:
    """One client: its connections, and the times of its requests in seconds."""

    def __init__(self, portal: str) -> None:
        self._host = urlsplit(portal).netloc
        self._init, self._init_rest = _around_reference(self._host)
        self._process = _head("POST /process", self._host, len(_process(b"-" * 32)))
        self._details_end = f" HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode()
        self._payers_host, self._pay = "", (b"", b"")
        self._payers: Connection | None = None
        self.took: dict[str, list[float]] = {"init": [], "process": [], "details": []}

    async def run(self, until: float) -> int:
        """Run flows until a time of perf_counter. Return the number of complete flows."""
        portal = await connected(self._host)
        flows = 0
        while time.perf_counter() < until:
            await self._flow(portal)
            flows += 1
        return flows

    async def _flow(self, portal: Connection) -> None:
        now, took = time.perf_counter, self.took
        reference = _reference()
        began = now()
        begun = await portal.ask(b"%b%b%b" % (self._init, reference, self._init_rest))
        took["init"].append(now() - began)
        token = _found(TOKEN, begun)
        payers = self._payers or await self._meet_payers(_found(REDIRECT, begun).decode())
        await payers.ask(b"%b%b%b" % (self._pay[0], token, self._pay[1]))
        body = _process(token)
        began = now()
        paid = await portal.ask(self._process + body)
        took["process"].append(now() - began)
        began = now()
        told = await portal.ask(b"GET /details/%b%b" % (reference, self._details_end))
        took["details"].append(now() - began)
        if _found(STATUS, paid) != SUCCESS or _found(STATUS, told) != SUCCESS:
            raise Unexpected(f"a payment that is not a success: {paid[:200]!r}, then {told[:200]!r}")

    async def _meet_payers(self, redirect: str) -> Connection:
        """Return a connection to the Pay.gov to which the portal sends its payers."""
        page = urlsplit(redirect)
        self._pay = (
            f"POST {page.path}/PLASTIC_CARD/Success?token=".encode(),
            _head("", page.netloc, 0),
        )
        self._payers = await connected(page.netloc)
        return self._payers


async def connected(address: str) -> Connection:
    """Return a connection to ``host:port``."""
    host, _, port = address.rpartition(":")
    _, connection = await asyncio.get_running_loop().create_connection(Connection, host, int(port))
    return connection


def _head(line: str, host: str, body_bytes: int) -> bytes:
    head = f"{line} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {body_bytes}\r\n\r\n"
    return head.encode()


def _process(token: bytes) -> bytes:
    return b'{"token":"%b"}' % token


def _around_reference(host: str) -> tuple[bytes, bytes]:
    """Return the parts of an init request before and after the reference."""
    reference = _reference().decode()
    order = {
        "transactionReferenceId": reference,
        "fee": FEE,
        "urlSuccess": URL_SUCCESS,
        "urlCancel": URL_CANCEL,
        "metadata": METADATA,
    }
    body = json.dumps(order, separators=(",", ":"))
    before, _, behind = body.partition(reference)
    return _head("POST /init", host, len(body)) + before.encode(), behind.encode()


def _reference() -> bytes:
    """Return a new reference: a UUID of version 4."""
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}".encode()


def _found(wanted: "re.Pattern[bytes]", body: bytes) -> bytes:
    found = wanted.search(body)
    if found is None:
        raise Unexpected(f"no {wanted.pattern!r} in {body[:200]!r}")
    return found[1]


def quantile(values: list[float], share: float) -> float:
    """Return the value below which ``share`` of the sorted ``values`` lie; 0 if there are none."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


async def load(portal: str, count: int, seconds: float) -> dict[str, Any]:
    """Run ``count`` clients for ``seconds``. Return flows/s, milliseconds by request, failures, CPU of this process."""
    clients = [Client(portal) for _ in range(count)]
    began, cpu_before_s = time.perf_counter(), time.process_time()
    ended = await asyncio.gather(*(client.run(began + seconds) for client in clients), return_exceptions=True)
    took_s = time.perf_counter() - began
    failures = [str(each) or repr(each) for each in ended if isinstance(each, BaseException)]
    flows = sum(len(client.took["details"]) for client in clients)
    report: dict[str, Any] = {
        "flows": flows,
        "per_s": flows / took_s,
        "failures": failures[:ERRORS_SHOWN_MAX],
        "cpu_s": time.process_time() - cpu_before_s,
    }
    for name in ("init", "process", "details"):
        values = sorted(value for client in clients for value in client.took[name])
        report[name] = {f"p{share}_ms": quantile(values, share / 100) * 1000 for share in (50, 95, 99)}
    return report


def main() -> None:
    """Run the load and print its result."""
    portal, clients, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    print(json.dumps(uvloop.run(load(portal, clients, seconds))))


if __name__ == "__main__":
    main()
