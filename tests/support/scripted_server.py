"""A server on loopback that reads and writes the bytes of a test's script."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

PATIENT_S = 120.0
"""The timeout of a request that is expected to be answered, in seconds."""

Serve = Callable[["Script"], Awaitable[str]]
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def scripted() -> AsyncIterator[Callable[[Script], Awaitable[str]]]:
    """Serve a script on loopback, one run of it per connection. Returns a function from a script to its base URL."""
    servers: list[asyncio.Server] = []
    connections: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    async def serve(script: Script) -> str:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections[task] = writer
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await script(reader, writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        servers.append(server)
        host, port = server.sockets[0].getsockname()
        return f"http://{host}:{port}"

    yield serve
    for server in servers:
        server.close()
    for writer in connections.values():
        writer.transport.abort()  # Ends the script: it reads the end of the file, or fails to write.
    await asyncio.gather(*connections)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read one whole request that has a Content-Length, and return its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
    return await reader.readexactly(length)


def http_reply(body: bytes, status: str = "200 OK", headers: str = "Content-Type: text/xml\r\n") -> bytes:
    """Return a whole reply."""
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


class CountingEcho:
    """Answer each request with the body of the request, on any number of connections."""

    def __init__(self) -> None:
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            writer.write(http_reply(await read_request(reader)))
            await writer.drain()
