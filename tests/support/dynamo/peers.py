"""The other implementations of DynamoDB, each a process (moto: a thread) on loopback, and one client for all.

`tools/install-oracles` installs DynamoDB Local and dynoxide into .tools/oracles; moto is in the environment.
"""

import http.client
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

ORACLES = Path(__file__).parents[3] / ".tools" / "oracles"
LOCAL = ORACLES / "dynamodb-local" / "lib"
DYNOXIDE = ORACLES / "node_modules" / "@dynoxide" / "linux-x64" / "dynoxide"
START_TIMEOUT_S, TRY_EVERY_S = 120.0, 0.1

Answer = tuple[int, Any]
"""(HTTP status, response); 0 and None when the connection ended without one."""


class Peer:
    """A connection to one of them."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def call(self, operation: str, request: Any) -> Answer:
        """Send one request."""
        headers = {
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Date": "20260101T000000Z",
            "Authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, "
            "SignedHeaders=host;x-amz-date, Signature=0",
        }
        try:
            self._connection.request("POST", "/", json.dumps(request), headers)
            response = self._connection.getresponse()
            return response.status, json.loads(response.read() or "null")
        except (http.client.HTTPException, ConnectionError, json.JSONDecodeError):
            self._connection.close()
            return 0, None

    def close(self) -> None:
        self._connection.close()


def missing(name: str) -> str | None:
    """Return why an oracle is not available, or None."""
    if name == "local" and (not LOCAL.is_dir() or shutil.which("java") is None):
        return "DynamoDB Local is not installed: tools/install-oracles"
    if name == "dynoxide" and not DYNOXIDE.exists():
        return "dynoxide is not installed: tools/install-oracles"
    return None


@contextmanager
def running(name: str, folder: Path) -> Iterator[Peer]:
    """Start an oracle, and end it afterwards."""
    with STARTS[name](folder) as port:
        peer = Peer(name, port)
        yield peer
        peer.close()


@contextmanager
def _local(folder: Path) -> Iterator[int]:
    java = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{LOCAL}/*", f"-Djava.library.path={LOCAL}"]
    server = ["com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-disableTelemetry"]
    with _process([*java, *server, "-port"], folder) as port:
        yield port


@contextmanager
def _dynoxide(folder: Path) -> Iterator[int]:
    with _process([str(DYNOXIDE), "--port"], folder) as port:
        yield port


@contextmanager
def _moto(_folder: Path) -> Iterator[int]:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    # One request at a time: a transaction that moto undoes puts the whole table back, and with it the writes of others.
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def _process(command: list[str], folder: Path) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with subprocess.Popen(
        [*command, str(port)], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_for(process, port)
            yield port
        finally:
            process.terminate()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the process listens on ``port``; raise TimeoutError if it ends or takes too long."""
    until = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < until:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(TRY_EVERY_S)
    raise TimeoutError(f"{process.args!r} does not listen; its exit code: {process.returncode}")


STARTS: dict[str, Callable[[Path], AbstractContextManager[int]]] = {
    "local": _local,
    "dynoxide": _dynoxide,
    "moto": _moto,
}
