"""The measurements: a load by wrk, the same operations in process, counts of fsync, times of starts."""

import asyncio
import json
import re
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson
import uvloop

from bench.dynamo_bench.servers import CLIENT_CORE, Kind, Server, headers, started
from bench.dynamo_bench.workload import BATCH_ITEMS, Filling, Json, Operation, preloaded, tables
from bursar.dynamo import AsyncEngine, Engine

CONNECTIONS_SMALL: Final = 4
"""Seconds for a server so slow that all 64 clients would still wait at the end of a short run."""
IN_PROCESS_CALLERS: Final = 64
STARTS: Final = 5


@dataclass(frozen=True, slots=True)
class Run:
    """The result of one load."""

    rate: float
    p50_us: float
    p99_us: float
    cpu_us: float
    """Processor time of the server per request."""
    rss_bytes: int
    refused: int
    broken: int
    pinned: bool


def new_run() -> str:
    """Return a unique name for a load, so that its new items differ from those of all other loads."""
    return f"{uuid.uuid4().hex[:6]}"


def load(server: Server, operation: Operation, filling: Filling, *, seconds: int, pinned: bool) -> Run:
    """Run wrk for ``seconds`` on the connections of the operation."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(filling.lua(operation, headers(operation.api_name)))
        script.flush()
        connections = CONNECTIONS_SMALL if server.kind.small else operation.connections
        wrk = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", script.name]
        command = ["taskset", "-c", CLIENT_CORE, *wrk] if pinned else wrk
        before = server.cpu_s()
        output = subprocess.run(
            [*command, f"http://127.0.0.1:{server.port}/"], capture_output=True, text=True, check=True
        ).stdout
        spent = server.cpu_s() - before
    counted = json.loads(output.strip().splitlines()[-1])
    requests = max(1, counted["requests"])
    return Run(
        rate=counted["requests"] / (counted["duration_us"] / 1e6),
        p50_us=counted["p50_us"],
        p99_us=counted["p99_us"],
        cpu_us=spent / requests * 1e6,
        rss_bytes=server.rss_bytes(),
        refused=counted["refused"],
        broken=counted["broken"],
        pinned=pinned,
    )


def batches(items: Iterable[tuple[str, Json]]) -> Iterator[Json]:
    """Yield the requests of BatchWriteItem that put all of ``items``."""
    feed = iter(items)
    while chunk := list(islice(feed, BATCH_ITEMS)):
        by_table: dict[str, list[Json]] = {}
        for table, item in chunk:
            by_table.setdefault(table, []).append({"PutRequest": {"Item": item}})
        yield {"RequestItems": by_table}


def fill(server: Server, filling: Filling) -> None:
    """Create the tables and put the items through the server's HTTP door."""
    for table in tables():
        server.ask("CreateTable", table)
        while server.ask("DescribeTable", {"TableName": table["TableName"]})["Table"]["TableStatus"] != "ACTIVE":
            time.sleep(0.01)
    for batch in batches(preloaded(filling.items, filling.partitions, filling.scanned)):
        server.ask("BatchWriteItem", batch)


def fill_file(path: Path, filling: Filling) -> float:
    """Do the same as :func:`fill` directly in our file, without HTTP. Return the seconds that it took."""
    began = time.perf_counter()
    engine = Engine.open(str(path))

    async def put_all() -> None:
        door = AsyncEngine(engine)
        for table in tables():
            await door.call_bytes("CreateTable", table)
        feed = batches(preloaded(filling.items, filling.partitions, filling.scanned))
        while group := list(islice(feed, 20)):
            await asyncio.gather(*(door.call_bytes("BatchWriteItem", batch) for batch in group))
        await door.close()

    asyncio.run(put_all())
    return time.perf_counter() - began


@dataclass(frozen=True, slots=True)
class InProcess:
    """Measure the asyncio engine under IN_PROCESS_CALLERS concurrent callers."""

    rate: float
    cpu_us: float


def in_process(path: Path, operation: Operation, filling: Filling, *, seconds: float) -> InProcess:
    """Measure the same operation without HTTP, on the same kind of file: requests are dicts, answers are bytes."""
    # The requests are made before the measurement.
    ready = [orjson.loads(text) for text in islice(filling.requests(operation.template), _prepared(operation))]
    engine = Engine.open(str(path))

    async def ask_all() -> InProcess:
        door = AsyncEngine(engine)
        feed = iter(ready)
        done = 0
        until = time.perf_counter() + seconds

        async def caller() -> None:
            nonlocal done
            for request in feed:
                await door.call_bytes(operation.api_name, request)
                done += 1
                if time.perf_counter() >= until:
                    return

        began, cpu_began = time.perf_counter(), time.process_time()
        await asyncio.gather(*(caller() for _ in range(IN_PROCESS_CALLERS)))
        took, cpu = time.perf_counter() - began, time.process_time() - cpu_began
        await door.close()
        return InProcess(done / took, cpu / done * 1e6)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(ask_all())


def _prepared(operation: Operation) -> int:
    """Return enough requests for a second or two, in bounded memory."""
    return 2_000 if operation.api_name == "BatchWriteItem" else 60_000


@dataclass(frozen=True, slots=True)
class Syncs:
    """Calls of fsync and fdatasync during a load of PutItem."""

    requests: int
    calls: int


def count_syncs(server: Server, operation: Operation, filling: Filling, *, seconds: int) -> Syncs | None:
    """Run strace on the server during a load. It slows the server, so there is no rate. None: strace is not allowed."""
    command = ["strace", "-f", "-c", "-e", "trace=fsync,fdatasync", "-p", str(server.process.pid)]
    try:
        tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    except FileNotFoundError:
        return None
    time.sleep(0.5)
    if tracer.poll() is not None:
        return None
    run = load(server, operation, filling, seconds=seconds, pinned=False)
    tracer.send_signal(2)
    output = tracer.communicate(timeout=20)[1]
    calls = sum(int(found) for found in re.findall(r"(\d+)\s+(?:\d+\s+)?(?:fsync|fdatasync)\s*$", output, re.MULTILINE))
    return Syncs(round(run.rate * seconds), calls) if calls else None


def start_ms(kind: Kind, folder: Path) -> float:
    """Return the median time from the command to the first answer, on existing files."""
    times = []
    for _ in range(STARTS):
        with started(kind, folder, pinned=False) as server:
            times.append(server.started_s * 1e3)
    return statistics.median(times)


def machine() -> dict[str, Any]:
    """Return the facts about the machine on which the figures depend."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    cores = Path("/proc/cpuinfo").read_text().count("processor\t")
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return {
        "cpu": cpu.group(1) if cpu else "unknown",
        "cores": cores,
        "memory_gib": round(int(memory.group(1)) / 2**20) if memory else 0,
        "load": Path("/proc/loadavg").read_text().split()[0],
    }
