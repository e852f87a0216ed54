"""`bursar dynamo` in a separate process with workers, and connections that distinguish an answer from a loss."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

ENDS_WITHIN_S = 120.0
ANSWERS_WITHIN_S = 120.0

Answer = tuple[int, dict[str, Any]]
"""(HTTP status, response)."""


class Lost(Exception):
    """The connection ended before the answer arrived. The request may have been carried out or not."""


class Served:
    """A server process, the leader of a process group, and its workers."""

    def __init__(
        self, path: str, *, workers: int = 1, command: tuple[str, ...] = (), options: tuple[str, ...] = ()
    ) -> None:
        """Start a server with further ``options``.

        ``command`` precedes the command of the server, such as a shell that sets a limit.
        """
        self.process = subprocess.Popen(
            [
                *command,
                sys.executable,
                "-m",
                "bursar",
                "dynamo",
                "--port=0",
                f"--data={path}",
                f"--workers={workers}",
                *options,
            ],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().partition('endpoint_url="')[2].partition('"')[0]
        self.port = int(self.url.rpartition(":")[2])

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(child) for child in children.split()]

    def kill(self) -> None:
        """Kill every process of the server at once (SIGKILL)."""
        if self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def stop(self) -> int:
        """Stop the server by SIGTERM, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=ENDS_WITHIN_S)
        return self.process.returncode


@contextlib.contextmanager
def served(path: str, *, workers: int = 1, command: tuple[str, ...] = ()) -> Iterator[Served]:
    """Run a server for the length of a ``with``, and kill it at the end if it still runs."""
    server = Served(path, workers=workers, command=command)
    try:
        yield server
    finally:
        server.kill()


class Connection:
    """A connection that carries one request at a time and is replaced after a loss."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, operation: str, request: dict[str, Any]) -> Answer:
        """Send a request once, and return its answer.

        Raises:
            Lost: the connection ended before the answer arrived.
            ConnectionRefusedError: nothing listens on the port.
        """
        body = orjson.dumps(request)
        head = (
            f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\n"
            "Content-Type: application/x-amz-json-1.0\r\nX-Amz-Date: 20260101T000000Z\r\n"
            "Authorization: AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/dynamodb/aws4_request, "
            f"SignedHeaders=host, Signature=0\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(head.encode() + body)
            return await asyncio.wait_for(_answer(reader), ANSWERS_WITHIN_S)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self.close()
            raise Lost(operation) from error

    def close(self) -> None:
        """End the connection; the next call opens another."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    return int(head.split()[1]), orjson.loads(await reader.readexactly(length))
