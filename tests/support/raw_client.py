"""A raw HTTP client for tests of servers: bytes on a loopback socket."""

import asyncio
from typing import Any, NamedTuple, cast
from zlib import crc32

import orjson

REPLY_WITHIN_S = 120.0


class Reply(NamedTuple):
    """``headers`` are named in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["__type"])


class RawClient:
    """One connection that sends bytes as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @property
    def transport(self) -> asyncio.Transport:
        """The connection, whose reading can be paused."""
        return cast("asyncio.Transport", self.writer.transport)  # uvloop's has no common base class

    async def send(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    async def reply(self, *, head_only: bool = False) -> Reply:
        """Return the next reply. ``head_only`` is for HEAD, whose content-length is that of a body that is not sent."""
        async with asyncio.timeout(REPLY_WITHIN_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status_line, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            length = 0 if head_only else int(headers.get("content-length", "0"))
            body = await self.reader.readexactly(length)
        if "x-amz-crc32" in headers:
            assert int(headers["x-amz-crc32"]) == crc32(body)
        return Reply(int(status_line.split()[1]), headers, body)

    async def ask(self, raw: bytes, *, head_only: bool = False) -> Reply:
        await self.send(raw)
        return await self.reply(head_only=head_only)

    async def ended(self) -> bytes:
        """Return the bytes that arrive until the server ends the connection."""
        async with asyncio.timeout(REPLY_WITHIN_S):
            return await self.reader.read()

    def close(self) -> None:
        self.writer.transport.abort()
