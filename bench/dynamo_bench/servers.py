"""The measured servers: their command lines, their settings and their names."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
ORACLES: Final = ROOT / ".tools" / "oracles" / "node_modules"
DYNOXIDE: Final = ORACLES / "@dynoxide" / "linux-x64" / "dynoxide"
DYNALITE: Final = ORACLES / "dynalite" / "cli.js"
LOCAL: Final = ROOT / ".tools" / "oracles" / "dynamodb-local" / "lib"
BIN: Final = Path(sys.executable).parent

START_S_MAX: Final = 60.0
STOP_S_MAX: Final = 20.0
CLIENT_CORE: Final = "1"
SERVER_CORE: Final = "0"


def _dynalite(port: int, folder: Path) -> list[str]:
    # It creates tables slowly on purpose, as Amazon does. This is not measured here.
    waits = ["--createTableMs", "0", "--deleteTableMs", "0", "--updateTableMs", "0"]
    return ["node", str(DYNALITE), "--port", str(port), "--path", str(folder / "dynalite"), *waits]


def _local(port: int, folder: Path) -> list[str]:
    java = ["java", "-cp", f"{LOCAL}/*", f"-Djava.library.path={LOCAL}"]
    server = ["com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-sharedDb", "-disableTelemetry"]
    return [*java, *server, "-dbPath", str(folder), "-port", str(port)]


def headers(operation: str) -> dict[str, str]:
    """Return the headers of an SDK. No server here checks the signature."""
    signed = "SignedHeaders=host;x-amz-date;x-amz-target, Signature=" + "0" * 64
    return {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "X-Amz-Date": "20261122T190304Z",
        "Authorization": f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/us-east-1/dynamodb/aws4_request, {signed}",
    }


@dataclass(frozen=True, slots=True)
class Kind:
    """One DynamoDB: its name, its command line, and its load in a short run."""

    name: str
    command: Callable[[int, Path], list[str]]
    present: Callable[[], bool]
    version: Callable[[], str]
    small: bool = False
    """Whether it is so slow that it gets fewer items."""
    unoffered: frozenset[str] = frozenset()
    note: str = ""


KINDS: Final = (
    Kind(
        "bursar",
        lambda port, folder: [str(BIN / "bursar"), "dynamo", "--data", str(folder / "bursar.db"), "--port", str(port)],
        lambda: (BIN / "bursar").exists(),
        lambda: _said([sys.executable, "-c", _VERSIONS]),
        note="one process, file, every commit fsynced",
    ),
    Kind(
        "dynoxide",
        lambda port, folder: [str(DYNOXIDE), "serve", "--port", str(port), "--db-path", str(folder / "dynoxide.db")],
        DYNOXIDE.exists,
        lambda: _said([str(DYNOXIDE), "--version"]),
        note="file, every commit fsynced",
    ),
    Kind(
        "dynalite",
        _dynalite,
        lambda: DYNALITE.exists() and shutil.which("node") is not None,
        lambda: (
            f"dynalite {json.loads((DYNALITE.parent / 'package.json').read_text())['version']}, "
            f"node {_said(['node', '--version'])}"
        ),
        unoffered=frozenset({"TransactWriteItems"}),
        note="LevelDB files, hardly ever fsynced",
    ),
    Kind(
        "local",
        _local,
        lambda: LOCAL.is_dir() and shutil.which("java") is not None,
        lambda: next((jar.stem for jar in LOCAL.glob("DynamoDBLocal-*.jar")), ""),
        note="DynamoDB Local, SQLite file",
    ),
    Kind(
        "moto",
        lambda port, _folder: [str(BIN / "moto_server"), "-H", "127.0.0.1", "-p", str(port)],
        lambda: (BIN / "moto_server").exists(),
        lambda: _said([sys.executable, "-c", "import moto; print('moto', moto.__version__)"]),
        small=True,
        note="memory only",
    ),
)


def with_workers(count: int) -> Kind:
    """Return our server with several worker processes on one file."""
    ours = KINDS[0]
    return replace(ours, command=lambda port, folder: [*ours.command(port, folder), "--workers", str(count)])


_VERSIONS: Final = (
    "import apsw, uvloop, platform; from importlib.metadata import version;"
    "print('bursar', version('bursar'), 'Python', platform.python_version(), 'SQLite', apsw.sqlite_lib_version())"
)


def _said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=START_S_MAX).stdout.strip()


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


class Server:
    """A started server."""

    def __init__(self, kind: Kind, process: "subprocess.Popen[bytes]", port: int, started_s: float) -> None:
        self.kind = kind
        self.process = process
        self.port = port
        self.started_s = started_s
        """Time from the command to the first answer."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_S_MAX)

    def ask(self, operation: str, request: Any) -> Any:
        """Send one request and return its answer, or raise its error."""
        body = request if isinstance(request, str) else json.dumps(request)
        self._connection.request("POST", "/", body, headers(operation))
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{self.kind.name} refused {operation}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def rss_bytes(self) -> int:
        """Return the resident memory of the process."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
        return 0

    def cpu_s(self) -> float:
        """Return the processor time that the process and its threads have used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def started(kind: Kind, folder: Path, *, pinned: bool) -> Iterator[Server]:
    """Start a server with its files in ``folder`` and end it at the end. ``pinned``: to one core, not the client's."""
    port = free_port()
    command = kind.command(port, folder)
    if pinned:
        command = ["taskset", "-c", SERVER_CORE, *command]
    # As in an installed package, bytecode is cached, even if this process does not cache it.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    log = (folder / f"{kind.name}.log").open("wb")
    began = time.perf_counter()
    with log, subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment) as process:
        try:
            _await_answer(kind, process, port, began)
            yield Server(kind, process, port, time.perf_counter() - began)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()


def _await_answer(kind: Kind, process: "subprocess.Popen[bytes]", port: int, began: float) -> None:
    while time.perf_counter() - began < START_S_MAX:
        if process.poll() is not None:
            raise RuntimeError(f"{kind.name} ended with {process.returncode} instead of listening")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_S_MAX)
        try:
            connection.request("POST", "/", "{}", headers("ListTables"))
            if connection.getresponse().read() is not None:
                return
        except OSError:
            time.sleep(0.002)
        finally:
            connection.close()
    raise RuntimeError(f"{kind.name} did not answer within {START_S_MAX} s")
