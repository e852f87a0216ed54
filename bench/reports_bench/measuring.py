"""Measure both sides in turn, while payments arrive and the lake is written.

Our side is `bursar portal` and its reports process. SQL goes over the reports process's socket, endpoints over HTTP.
The other side is PostgreSQL through psql, and the closest portal's endpoint if its server was given.
"""

import asyncio
import http.client
import json
import shlex
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.portal_bench.servers import free_port, portal
from bench.reports_bench.data_set import DataSet, copy_payments, start_attempt
from bench.reports_bench.postgres import Postgres, binaries, running
from bench.reports_bench.questions import OVERVIEW, Row, rows
from bursar.bootstrap.composition import Composition
from bursar.bootstrap.parts.reports_socket import reports_socket
from bursar.reports.server.client import RemoteReports

NO_PAYGOV: Final = "http://127.0.0.1:9"
PAYMENTS_PER_S: Final = 5
WRITE_EVERY_S: Final = 5.0
PEER_START_S_MAX: Final = 60.0


@dataclass
class Times:
    """The seconds of one row, of both sides; ``beside`` names the other side."""

    row: Row
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    beside: str = "PostgreSQL"

    @property
    def ratio(self) -> float | None:
        """The other side's median by ours; None without another side."""
        return statistics.median(self.theirs) / statistics.median(self.ours) if self.theirs else None


@dataclass
class Measured:
    """All rows, the overview's seconds, and the number of writes of the lake meanwhile."""

    times: list[Times]
    overview: list[float]
    writes: int
    cold: float


@contextmanager
def _peer(command: str | None, postgres: Postgres | None) -> Iterator[str | None]:
    """Start the closest portal's server by ``command`` and return its URL; None without a command."""
    if command is None or postgres is None:
        yield None
        return
    port = free_port()
    environment = {"PATH": "/usr/bin:/bin", "API_PORT": str(port), "BASE_URL": f"http://127.0.0.1:{port}"}
    with subprocess.Popen(
        shlex.split(command), env=environment | postgres.environment(), stdout=subprocess.DEVNULL
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _await(url, process)
            yield url
        finally:
            process.terminate()


def _await(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + PEER_START_S_MAX
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the closest portal's server ended with {process.returncode}")
        with suppress(OSError):
            _fetched(url, "/")
            return
        time.sleep(0.2)
    raise RuntimeError(f"the closest portal's server does not answer at {url}")


def _fetched(url: str, path: str) -> bytes:
    """Return the body of a GET over a new connection. Raise ``RuntimeError`` unless the status is 200."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=120)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise RuntimeError(f"{url}{path}: {response.status} {body[:300]!r}")
    return body


def _timed_fetch(url: str, path: str) -> float:
    begun = time.perf_counter()
    _fetched(url, path)
    return time.perf_counter() - begun


def measure(data: DataSet, rounds: int, peer_command: str | None) -> Measured:
    """Measure every row ``rounds`` times on each side, in alternating order. Raise ``SystemExit`` if answers differ."""
    programs = binaries()
    if programs is None:
        print("PostgreSQL 15 is not on this machine: only Bursar is measured", flush=True)
        return asyncio.run(_measured(data, rounds, None, None))
    with running(programs, data.folder / "postgres") as postgres, _peer(peer_command, postgres) as peer:
        return asyncio.run(_measured(data, rounds, postgres, peer))


async def _measured(data: DataSet, rounds: int, postgres: Postgres | None, peer: str | None) -> Measured:
    measured = Measured([Times(row) for row in rows(data.now)], [], 0, 0.0)
    with portal(data.folder, NO_PAYGOV, 1) as server:
        reports = RemoteReports(reports_socket(data.settings))
        begun = time.perf_counter()
        await reports.sql("SELECT count(*) FROM payments")
        measured.cold = time.perf_counter() - begun
        if postgres is not None:
            await copy_payments(reports, postgres)
            await _compare(reports, postgres, measured.times)
        beside = [asyncio.create_task(_pay(data)), asyncio.create_task(_write(reports, measured))]
        try:
            for number in range(rounds + 1):
                for times in measured.times:
                    sides = [_ours(times, reports, server.url), _theirs(times, postgres, peer)]
                    for side in sides if number % 2 else reversed(sides):
                        await side
                measured.overview.append(await _asked(reports, OVERVIEW))
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
    for times in measured.times:  # the first round warms both sides
        del times.ours[:1], times.theirs[:1]
    del measured.overview[:1]
    return measured


async def _ours(times: Times, reports: RemoteReports, url: str) -> None:
    row = times.row
    if row.path is not None:
        times.ours.append(await asyncio.to_thread(_timed_fetch, url, row.path))
    elif row.ours is not None:
        times.ours.append(await _asked(reports, row.ours))


async def _theirs(times: Times, postgres: Postgres | None, peer: str | None) -> None:
    row = times.row
    if row.path is not None and peer is not None:
        times.beside = "its endpoint"
        times.theirs.append(await asyncio.to_thread(_timed_fetch, peer, row.path))
    elif postgres is not None:
        statements = (row.theirs,) if row.path is None and row.theirs is not None else row.portal_sql
        times.theirs.append(sum(await asyncio.to_thread(postgres.timed, statements)))


async def _asked(reports: RemoteReports, text: str) -> float:
    begun = time.perf_counter()
    await reports.sql(text)
    return time.perf_counter() - begun


async def _compare(reports: RemoteReports, postgres: Postgres, times: Sequence[Times]) -> None:
    """Raise ``SystemExit`` if the sides answer an aggregate differently."""
    for row in (each.row for each in times):
        if row.kind != "aggregate" or row.ours is None or row.theirs is None:
            continue
        ours = [tuple(map(_plain, each)) for each in (await reports.sql(row.ours)).rows]
        theirs = [tuple(map(_plain, line.split("|"))) for line in postgres.run(row.theirs).splitlines()]
        if ours != theirs:
            raise SystemExit(f"{row.name}: the answers differ: {ours[:3]} and {theirs[:3]}")


def _plain(value: object) -> object:
    text = str(value)
    with suppress(ArithmeticError):
        return Decimal(text)
    return text[:10] if text[4:5] == "-" else text


async def _pay(data: DataSet) -> None:
    """Start payments all the time, at a steady rate."""
    async with Composition(data.settings) as parts:
        ledger = await parts.ledger()
        number = 0
        while True:
            await asyncio.sleep(1 / PAYMENTS_PER_S)
            await start_attempt(ledger, parts, number)
            number += 1


async def _write(reports: RemoteReports, measured: Measured) -> None:
    """Write the lake again and again."""
    while True:
        await asyncio.sleep(WRITE_EVERY_S)
        await reports.write_lake()
        measured.writes += 1


def saved(measured: Measured, path: Path) -> None:
    """Keep every single time in a file of JSON."""
    times = {
        each.row.name: {"ours_s": each.ours, "theirs_s": each.theirs, "beside": each.beside} for each in measured.times
    }
    path.write_text(json.dumps({"rows": times, "overview_s": measured.overview}, indent=1))
