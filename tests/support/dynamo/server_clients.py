"""Requests and clients for tests of the DynamoDB server, and a fake engine."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson

from bursar.clock import Clock, system_clock
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.server.admission import Access
from bursar.dynamo.server.serve import RunningServer, start_server
from tests.support.raw_client import RawClient

AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=0123"
)


class EchoEngine:
    """Answers every operation with its request, and records it. A Query is answered when the test releases it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.held: asyncio.Queue[Callable[[], None]] = asyncio.Queue()

    def submit(self, operation: str, request: Mapping[str, Any], settle: Callable[[bytes | Exception], None]) -> None:
        self.asked.append((operation, request))
        outcome: bytes | Exception = orjson.dumps({"operation": operation, "request": request})
        if operation == "DeleteItem":
            outcome = DynamoError("ConditionalCheckFailedException", "no", item={"pk": {"S": "a"}})
        if operation == "DeleteTable":
            outcome = RuntimeError("a defect")
        if operation == "GetItem":
            settle(outcome)
        elif operation == "Query":
            self.held.put_nowait(lambda: settle(outcome))
        else:
            asyncio.get_running_loop().call_soon(settle, outcome)


@asynccontextmanager
async def connected(server: RunningServer) -> AsyncIterator[RawClient]:
    client = RawClient(*await asyncio.open_connection(server.host, server.port))
    try:
        yield client
    finally:
        client.close()


@asynccontextmanager
async def serving(
    engine: Any, *, access: Access | None = None, clock: Clock = system_clock
) -> AsyncIterator[RunningServer]:
    server = await start_server(engine, access=access, clock=clock, process_id_bytes=bytes(range(16)))
    try:
        yield server
    finally:
        await server.close(within_s=0)


def raw_request(
    operation: str | None = "GetItem",
    body: bytes = b"{}",
    *,
    method: str = "POST",
    path: str = "/",
    headers: Mapping[str, str | None] | None = None,
) -> bytes:
    """Return a request as an SDK sends it. ``headers`` adds headers, replaces them, or (None) removes them."""
    sent: dict[str, str | None] = {
        "Host": "127.0.0.1",
        "Content-Type": "application/x-amz-json-1.0",
        "Content-Length": str(len(body)),
        "X-Amz-Target": f"DynamoDB_20120810.{operation}" if operation else None,
        "X-Amz-Date": "20260101T000000Z",
        "Authorization": AUTHORIZATION,
        **(headers or {}),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items() if value is not None)
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body
