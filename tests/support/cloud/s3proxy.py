"""S3Proxy, a server of S3's API that verifies signatures, on loopback; and a gate before it that can refuse requests.

``tools/install-trino`` puts it into ``.tools/s3proxy``.
"""

import http.client
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from tests.support.cloud.trino import ROOT, free_port

LIBRARIES: Final = ROOT / ".tools" / "s3proxy" / "lib"
START_S_MAX: Final = 300.0
POLL_S: Final = 0.1
KEYS: Final = {"AWS_ACCESS_KEY_ID": "lake-writer", "AWS_SECRET_ACCESS_KEY": "lake-secret"}
REGION: Final = "us-east-1"
_FAULT: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
)


def why_absent() -> str | None:
    """Return the reason why S3Proxy cannot run here; None if it can."""
    if not LIBRARIES.exists():
        return "make test-cloud installs S3Proxy; it needs Maven and Java"
    return None if shutil.which("java") else "S3Proxy needs Java"


@contextmanager
def running_s3(folder: Path) -> Iterator[int]:
    """Run S3Proxy over an empty folder for the length of a ``with``; yields its port."""
    port, objects = free_port(), folder / "objects"
    objects.mkdir()
    settings = folder / "s3proxy.conf"
    settings.write_text(
        f"s3proxy.endpoint=http://127.0.0.1:{port}\ns3proxy.authorization=aws-v2-or-v4\n"
        f"s3proxy.identity={KEYS['AWS_ACCESS_KEY_ID']}\ns3proxy.credential={KEYS['AWS_SECRET_ACCESS_KEY']}\n"
        f"jclouds.provider=filesystem-nio2\njclouds.filesystem.basedir={objects}\n"
    )
    (folder / "logback.xml").write_text("<configuration><root level='OFF'/></configuration>")
    command: list[str | Path] = [
        "java",
        f"-Dlogback.configurationFile={folder}/logback.xml",
        "-Xmx256M",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
    ]
    command += ["-cp", f"{LIBRARIES}/*", "org.gaul.s3proxy.Main", "--properties", settings]
    log = folder / "s3proxy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _await_start(process, port, log)
            yield port
        finally:
            process.kill()
            process.wait()


def _await_start(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    ends = time.monotonic() + START_S_MAX
    while time.monotonic() < ends and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(POLL_S)
        else:
            return
    raise AssertionError(f"S3Proxy did not start:\n{log.read_text()[-4000:]}")


class Gate:
    """A gate before S3, or another service, that passes requests on unless ``refuses`` says so: then AccessDenied.

    ``refuses`` may also wait, so that a request arrives later. ``seen`` lists the method and the path of each request;
    the path of a request with an operation in its header ``X-Amz-Target`` is that operation.
    """

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[tuple[str, str]] = []
        self.refuses: Callable[[str, str], bool] = lambda method, path: False

    def writes(self) -> list[tuple[str, str]]:
        """Return the requests that were not reads."""
        return [each for each in self.seen if each[0] not in ("GET", "HEAD")]


@contextmanager
def gate_before(port: int) -> Iterator[Gate]:
    """Serve a gate on loopback for the length of a ``with``."""
    gate = Gate()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self._body()
            path = self.headers.get("X-Amz-Target") or self.path
            gate.seen.append((self.command, path))
            if gate.refuses(self.command, path):
                self._answer(403, {"Content-Type": "application/xml"}, _FAULT)
                return
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                # The Host header is part of the signature, so it stays the gate's.
                upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding"):
                        upstream.putheader(name, value)
                upstream.putheader("Content-Length", str(len(body)))
                upstream.endheaders(body)
                reply = upstream.getresponse()
                self._answer(reply.status, dict(reply.getheaders()), reply.read())
            finally:
                upstream.close()

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            is_head = self.command == "HEAD"
            self.send_header("Content-Length", headers.get("Content-Length", "0") if is_head else str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():  # a trailer, which is empty here
                pass
            return b"".join(parts)

        def log_message(self, format: str, *args: Any) -> None:
            return

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.pass_on)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    gate.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield gate
    finally:
        server.shutdown()
        server.server_close()
