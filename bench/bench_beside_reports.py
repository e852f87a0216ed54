"""Measure what reports cost payments: the 95th percentile of POST /init with and without them, in alternating phases.

    python -m bench.bench_beside_reports --data DIR [--payments 150000] [--rounds 6] [--seconds 10] [--clients 2]

In a phase with reports, one transaction log with totals is asked for each second, and a writer catches up: it builds a
new lake from the whole store in a separate process. `bursar generate` makes the store in ``--data``, if it has none.
"""

import argparse
import http.client
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.bench_lake_writer import generate
from bench.portal_bench.servers import loaded, portal, simulator

LOG: Final = "/transaction-log?includeTotals=true"
LOG_EVERY_S: Final = 1.0
LOG_TIMEOUT_S: Final = 120.0
LOGS_AT_ONCE: Final = 16
RATIO_MAX: Final = 1.25
WARM_S: Final = 5.0


class Logs:
    """Asks for a transaction log each second, also while earlier ones are not answered, until :meth:`end`."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.statuses: list[int] = []
        self._thread.start()

    def _ask(self) -> None:
        begun, asked = time.monotonic(), list[Future[int]]()
        with ThreadPoolExecutor(LOGS_AT_ONCE) as threads:
            while not self._ended.wait(max(begun + (len(asked) + 1) * LOG_EVERY_S - time.monotonic(), 0.0)):
                asked.append(threads.submit(fetched, self._address))
        self.statuses = [each.result() for each in asked]

    def end(self) -> None:
        """Wait for the last answers. Raise ``SystemExit`` unless there are some, all with the status 200."""
        self._ended.set()
        self._thread.join()
        if set(self.statuses) != {200}:
            raise SystemExit(f"transaction logs must be answered with 200; got {self.statuses}")


def fetched(address: str) -> int:
    """Return the status of one transaction log with totals."""
    connection = http.client.HTTPConnection(address, timeout=LOG_TIMEOUT_S)
    try:
        connection.request("GET", LOG)
        reply = connection.getresponse()
        reply.read()
        return reply.status
    finally:
        connection.close()


@contextmanager
def writer(data: Path) -> Iterator[None]:
    """Let a writer catch up with the whole store, into a lake that is thrown away."""
    lake = Path(tempfile.mkdtemp(prefix="bursar-bench-lake-"))
    environment = os.environ | {"BURSAR_DATA": str(data), "BURSAR_LAKE": f"file:{lake}"}
    command = [str(Path(sys.executable).with_name("bursar")), "lake", "write"]
    try:
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
            yield
            if process.poll() is not None:
                print("the writer had caught up before the phase ended: a larger store is needed", flush=True)
            process.kill()
    finally:
        shutil.rmtree(lake, ignore_errors=True)


def measure(data: Path, rounds: int, seconds: float, clients: int) -> list[str]:
    """Return lines about the phases, without and with reports in turn."""
    without: list[float] = []
    beside: list[float] = []
    answered = 0
    with simulator() as paygov, portal(data, paygov.url, 1) as server:
        fetched(urlsplit(server.url).netloc)  # builds the lake of the store, if it has none
        loaded(server.url, clients, WARM_S)
        for _ in range(rounds):
            without.append(loaded(server.url, clients, seconds)["init"]["p95_ms"])
            logs = Logs(server.url)
            try:
                with writer(data):
                    beside.append(loaded(server.url, clients, seconds)["init"]["p95_ms"])
            finally:
                logs.end()
                answered += len(logs.statuses)
    ratio = statistics.median(beside) / statistics.median(without)
    return [
        f"without reports: {_listed(without)} ms; with: {_listed(beside)} ms; {answered} transaction logs answered",
        f"the median p95 of /init with reports is {ratio:.2f} times the one without "
        f"(goal {RATIO_MAX}: {'reached' if ratio <= RATIO_MAX else 'missed'})",
    ]


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--payments", type=int, default=150_000)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=2)
    options = parser.parse_args()
    generate(options.data, options.payments)
    print(*measure(options.data, options.rounds, options.seconds, options.clients), sep="\n")


if __name__ == "__main__":
    main()
