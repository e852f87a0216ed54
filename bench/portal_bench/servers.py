"""The loaded servers: Pay.gov's simulator in its fast form, and `bursar portal` on a file.

Other servers are found by the ports on which they listen (:func:`listening`), so their cost can be reported too.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
BIN: Final = Path(sys.executable).parent
START_S_MAX: Final = 600.0
"""Seconds. A first start with other rules than the store's reads all of it: 15 minutes for a million payments."""
STOP_S_MAX: Final = 60.0
NEVER_S: Final = "1e7"
_LISTENS: Final = "0A"
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """The processes of one server, with their children."""

    url: str
    parents: tuple[int, ...]

    def cpu_s(self) -> float:
        """Return the processor time used so far, in seconds."""
        return sum(map(_cpu_s, self._pids()))

    def rss_mb(self) -> float:
        """Return the resident memory in MB. Pages that processes share count for each process."""
        return sum(map(_rss_mb, self._pids()))

    def _pids(self) -> set[int]:
        return {pid for parent in self.parents for pid in (parent, *_children(parent))}


def listening(url: str, *ports: int) -> Server:
    """Return the processes that listen on the port of ``url`` and on ``ports``. Raise LookupError if there are none."""
    wanted = {int(url.rpartition(":")[2].rstrip("/")), *ports}
    pids = {pid for inode in _sockets(wanted) for pid in _holders(inode)}
    if not pids:
        raise LookupError(f"no process of this machine that can be seen listens on {', '.join(map(str, wanted))}")
    return Server(url, tuple(pids - {child for pid in pids for child in _children(pid)}))


def _sockets(ports: set[int]) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) in ports:
                yield fields[9]


def _holders(inode: str) -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            held = any(str(each.readlink()) == f"socket:[{inode}]" for each in (process / "fd").iterdir())
        except OSError:  # the process ended or belongs to another user
            continue
        if held:
            yield int(process.name)


@contextmanager
def simulator() -> Iterator[Server]:
    """Start Pay.gov's simulator in its fast form (``fast_simulator.py``) with its books in memory."""
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name("fast_simulator.py")), "--port", str(port)]
    with _started(command, f"http://127.0.0.1:{port}", {}) as server:
        yield server


@contextmanager
def portal(folder: Path, paygov: str, workers: int) -> Iterator[Server]:
    """Start `bursar portal` on the store in ``folder``. The lake is not written: that is not part of a payment."""
    port = free_port()
    settings = {
        "BURSAR_DATA": str(folder),
        "BURSAR_AUTH": "none",
        "BURSAR_DEVELOPMENT_CLIENT": "true",
        "BURSAR_WORKERS": str(workers),
        "BURSAR_LOG_LEVEL": "warning",
        "BURSAR_LAKE_INTERVAL_S": NEVER_S,
        "BURSAR_PAYGOV_URL": f"{paygov}/services/TCSOnlineService",
        "BURSAR_PAYGOV_QUERY_URL": f"{paygov}/tcssinglequery/services/TCSSingleQueryService",
        "BURSAR_PAYMENT_URL": f"{paygov}/pay",
    }
    with _started([str(BIN / "bursar"), "portal", "--port", str(port)], f"http://127.0.0.1:{port}", settings) as server:
        yield server


@contextmanager
def _started(command: list[str], url: str, settings: dict[str, str]) -> Iterator[Server]:
    with subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL, cwd=ROOT) as process:
        try:
            _await_health(url, process)
            yield Server(url, (process.pid,))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()


def _await_health(url: str, process: "subprocess.Popen[bytes]") -> None:
    began = time.monotonic()
    while time.monotonic() - began < START_S_MAX:
        if process.poll() is not None:
            raise RuntimeError(f"{url} ended with {process.returncode} instead of listening")
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=START_S_MAX)
        try:
            connection.request("GET", "/health")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    raise RuntimeError(f"{url} did not answer within {START_S_MAX:.0f} s")


def loaded(url: str, clients: int, seconds: float) -> dict[str, Any]:
    """Run load.py in a separate process and return its result."""
    command = [sys.executable, str(Path(__file__).with_name("load.py")), url, str(clients), str(seconds)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    report: dict[str, Any] = json.loads(said)
    return report


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            children = [int(child) for child in (task / "children").read_text().split()]
        except FileNotFoundError:  # the thread has just ended
            continue
        found += children
        for child in children:
            found += _children(child)
    return found


def _cpu_s(pid: int) -> float:
    """Return the processor time of the process and of its ended children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_PER_S


def _rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
