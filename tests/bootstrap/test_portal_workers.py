"""`bursar portal --workers 2` from the outside: several processes on one port that start and end together."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.bootstrap.whole_system import START_TIMEOUT_S, STOP_TIMEOUT_S, bursar, clean_environment

SETTINGS = {
    "BURSAR_PAYGOV_URL": "http://127.0.0.1:9/soap",
    "BURSAR_PAYMENT_URL": "http://127.0.0.1:9/pay",
    "BURSAR_DEVELOPMENT_CLIENT": "true",
}
UNUSABLE = 2


@contextlib.contextmanager
def running_workers(folder: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield the parent process and the portal's URL. ``settings`` are environment variables."""
    command = [sys.executable, "-m", "bursar", "portal", "--workers", "2", "--port", "0", "--auth", "none"]
    process = subprocess.Popen(
        [*command, "--data", str(folder / "data")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=folder,
        env=clean_environment() | SETTINGS | settings | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found
        yield process, found.group()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(STOP_TIMEOUT_S)
        if process.stdout is not None:
            process.stdout.close()


def workers_of(process: "subprocess.Popen[str]") -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def status_of(url: str) -> int:
    """Return the status of an unknown path on a new connection."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=START_TIMEOUT_S)
    try:
        connection.request("GET", "/nowhere")
        return connection.getresponse().status
    finally:
        connection.close()


class Caller:
    """One connection that is kept open, and so one worker. Two callers have two workers."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=START_TIMEOUT_S)
        self.lost_ways()  # now this worker has the connection, and the next connection goes to another worker

    def ask(self, path: str) -> bytes:
        return self.answer(path)[1]

    def answer(self, path: str) -> tuple[int, bytes]:
        self._connection.request("GET", path)
        reply = self._connection.getresponse()
        return reply.status, reply.read()

    def lost_ways(self) -> int:
        """Return the number of requests for unknown paths, of all workers, as this worker reports it."""
        told = re.search(rb'^bursar_requests_total{.*operation="none",status="404"} (\d+)', self.ask("/metrics"), re.M)
        return int(told.group(1)) if told else 0

    def is_cut_off(self) -> bool:
        try:
            self.ask("/metrics")
        except (ConnectionError, http.client.HTTPException):
            return True
        return False

    def close(self) -> None:
        self._connection.close()


def is_served(url: str) -> bool:
    """Return whether a new connection is answered. The answer counts as a request for an unknown path."""
    try:
        return status_of(url) == 404
    except ConnectionError:
        return False


def eventually(holds: Callable[[], bool]) -> bool:
    """Return whether ``holds`` becomes true within the time that a slow machine needs."""
    until = time.monotonic() + START_TIMEOUT_S
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def alive(pid: int) -> bool:
    """Return whether the process is running. An ended process whose parent has not waited for it is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the process may end between opening and reading
        return False


def test_a_dead_worker_is_replaced_and_all_end_with_the_parent(tmp_path: Path) -> None:
    with running_workers(tmp_path) as (parent, url):
        first = workers_of(parent)
        assert len(first) == 2
        assert {status_of(url) for _ in range(8)} == {404}
        os.kill(first[0], signal.SIGKILL)
        assert eventually(lambda: len(set(workers_of(parent)) - {first[0]}) == 2)
        last = workers_of(parent)
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(STOP_TIMEOUT_S) == 0
        assert not any(map(alive, last))


def test_every_worker_reports_the_counts_of_all_and_no_total_falls_when_workers_are_killed(tmp_path: Path) -> None:
    with running_workers(tmp_path) as (parent, url), contextlib.ExitStack() as stack:
        one, other = (stack.enter_context(contextlib.closing(Caller(url))) for _ in range(2))
        for caller in (one, one, one, other, other):
            caller.ask("/nowhere")
        other.lost_ways()
        assert [caller.lost_ways() for caller in (one, other, one, other)] == [5] * 4
        other.ask("/nowhere")
        assert eventually(lambda: one.lost_ways() == 6)  # the other worker publishes its counts without a request
        first, second = workers_of(parent)
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: not alive(first))
        survivors = [caller for caller in (one, other) if not caller.is_cut_off()]
        assert len(survivors) == 1
        assert survivors[0].lost_ways() == 6
        os.kill(second, signal.SIGKILL)
        assert eventually(lambda: not alive(second))
        assert eventually(lambda: is_served(url))
        successor = stack.enter_context(contextlib.closing(Caller(url)))
        assert successor.lost_ways() >= 6
        assert eventually(lambda: successor.lost_ways() == 7)


def test_a_stopped_worker_keeps_its_counts(tmp_path: Path) -> None:
    with running_workers(tmp_path) as (parent, url):
        workers = workers_of(parent)
        assert status_of(url) == 404
        for worker in workers:
            os.kill(worker, signal.SIGTERM)
        assert eventually(lambda: not any(map(alive, workers)))
        assert eventually(lambda: is_served(url))
        with contextlib.closing(Caller(url)) as successor:
            assert eventually(lambda: successor.lost_ways() == 2)


def test_a_clients_limits_hold_for_all_workers_together_also_for_a_new_one(
    tmp_path: Path,
) -> None:
    # This rate allows one request, and the next one hours later.
    with (
        running_workers(tmp_path, BURSAR_RATE_PER_S="0.0001") as (parent, url),
        contextlib.ExitStack() as stack,
    ):
        one, other = (stack.enter_context(contextlib.closing(Caller(url))) for _ in range(2))
        asked = [caller.answer("/details/nothing")[0] for caller in (one, other, one, other)]
        assert asked == [400, 429, 429, 429]
        first = workers_of(parent)
        for worker in first:
            os.kill(worker, signal.SIGKILL)
        assert eventually(lambda: not any(map(alive, first)))
        assert eventually(lambda: is_served(url))
        with contextlib.closing(Caller(url)) as successor:
            assert successor.answer("/details/nothing")[0] == 429


def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    with running_workers(tmp_path) as (parent, _url):
        workers = workers_of(parent)
        parent.kill()
        assert eventually(lambda: not any(map(alive, workers)))


def test_a_busy_port_and_a_store_in_memory_are_one_line_and_exit_code_2(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = bursar("portal", "--workers", "2", "--port", str(port), "--auth", "none", cwd=tmp_path)
    assert done.returncode == UNUSABLE
    said = f"bursar: the portal cannot listen on 127.0.0.1:{port}: Address already in use"
    assert done.stderr == f"{said}; choose another with --port\n"
    (tmp_path / "bursar.toml").write_text('store = "file::memory:"\n')
    done = bursar("portal", "--workers", "2", "--port", "0", "--auth", "none", cwd=tmp_path)
    assert done.returncode == UNUSABLE
    assert done.stderr.startswith("bursar: BURSAR_WORKERS: must be 1 for a store in memory")
