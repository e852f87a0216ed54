"""Compare the engine with other DynamoDBs on this machine: HTTP under wrk, in process, growth, start, memory.

    python -m bench.bench_dynamo [--seconds 2] [--rounds 3] [--only bursar,dynoxide] [--operations Scan]
        [--growth 10000,1000000] [--get-item-at 5000000] [--no-write]

All servers run at the same time on the same items, in a file if they have files. wrk loads them one after another on
64 connections (8 for scans), operation by operation and in reverse order in the next round, so a slow minute of the
machine affects all of them; the median of the rounds counts. Everything is measured once pinned to one core with wrk
on another core, and once free; the better setting of each server counts. Runs are short by default, so they show a
ratio, not the third digit. The growth table fills our file directly and reads it over HTTP; millions of items take
minutes, and files of ``--get-item-at`` are read with GetItem only. A complete run writes docs/benchmarks/dynamo.md,
except with ``--no-write``.

Writes are also measured with point-in-time recovery and with a stream, beside a server without. bench_history measures
their cost without HTTP, and restores.

Without wrk (a package of that name) nothing is measured. ``tools/install-oracles`` installs the peers; a missing one is
reported.
"""

import argparse
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.dynamo_bench import measures, page
from bench.dynamo_bench.servers import KINDS, ROOT, Kind, Server, started, with_workers
from bench.dynamo_bench.workload import OPERATIONS, SINGLE, Filling, Json, Operation

OUT = ROOT / "docs" / "benchmarks" / "dynamo.md"
ITEMS = 5_000
PARTITIONS = 150
SCANNED_ITEMS = 10_000
ITEMS_SMALL = 500
PARTITIONS_SMALL = 10
SCANNED_ITEMS_SMALL = 1_000
WARM_UP_S = 1
GROWTH_ROUNDS = 3
WORKERS = (1, 2)
WORKERS_OPERATIONS = ("GetItem", "Query")
GROWTH_OPERATIONS = ("GetItem", "Query", "PutItem", "UpdateItem")
HISTORY_OPERATIONS = ("PutItem", "UpdateItem")
HISTORY: dict[str, tuple[str, Json] | None] = {
    page.WITHOUT: None,
    "point-in-time recovery": (
        "UpdateContinuousBackups",
        {"TableName": SINGLE, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}},
    ),
    "a stream": (
        "UpdateTable",
        {"TableName": SINGLE, "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}},
    ),
}


def main() -> int:
    """Measure and print; write the page if it is requested."""
    arguments = _arguments()
    if shutil.which("wrk") is None:
        print("wrk is not installed (Debian and Ubuntu: apt install wrk): nothing measured", file=sys.stderr)
        return 2
    report = page.Report(
        measures.machine(),
        " ".join(["python -m bench.bench_dynamo", *sys.argv[1:]]),
        arguments.seconds,
        arguments.rounds,
    )
    names = arguments.only.split(",") if arguments.only else [kind.name for kind in KINDS]
    wanted = [kind for kind in KINDS if kind.name in names]
    report.missing += [kind.name for kind in wanted if not kind.present()]
    kinds = [kind for kind in wanted if kind.present()]
    report.versions |= {kind.name: f"{kind.version()} ({kind.note})" for kind in kinds}
    _measure([kind for kind in kinds if not kind.small], report, arguments, pinned=True)
    _measure(kinds, report, arguments, pinned=False)
    if "bursar" in names:
        _measure_ours(report, arguments.seconds, arguments.operations)
        _measure_workers(report, arguments.seconds, arguments.rounds)
        _measure_history(report, arguments.seconds, arguments.rounds)
        _grow(report, arguments.growth, arguments.get_item_at, arguments.seconds)
    report.machine["load_after"] = measures.machine()["load"]
    text = report.text()
    print(text)
    if not (arguments.no_write or arguments.only or arguments.operations):
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(text)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=2, help="length of each load")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each load; the median counts")
    parser.add_argument("--only", default="", help="names of the servers to measure, with commas")
    parser.add_argument("--operations", default="", help="measure only operations whose name contains this")
    parser.add_argument(
        "--growth",
        type=_sizes,
        default=[10_000, 100_000],
        help="table sizes",
    )
    parser.add_argument(
        "--get-item-at",
        type=_sizes,
        default=[],
        help="more table sizes, for GetItem only; 5000000 takes minutes to fill",
    )
    parser.add_argument("--no-write", action="store_true", help=f"do not write {OUT.relative_to(ROOT)}")
    return parser.parse_args()


def _sizes(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def _filling(kind: Kind) -> Filling:
    items, partitions = (ITEMS_SMALL, PARTITIONS_SMALL) if kind.small else (ITEMS, PARTITIONS)
    return Filling(items, partitions, measures.new_run(), SCANNED_ITEMS_SMALL if kind.small else SCANNED_ITEMS)


def _measure(kinds: Sequence[Kind], report: page.Report, arguments: argparse.Namespace, *, pinned: bool) -> None:
    """Return the rates of all servers in one setting, loaded one after another."""
    with ExitStack() as folders:
        homes = {
            kind.name: Path(folders.enter_context(tempfile.TemporaryDirectory(prefix="bursar-bench-")))
            for kind in kinds
        }
        with ExitStack() as up:
            servers = [up.enter_context(started(kind, homes[kind.name], pinned=pinned)) for kind in kinds]
            for server in servers:
                measures.fill(server, _filling(server.kind))
            runs: dict[tuple[str, str], list[measures.Run]] = defaultdict(list)
            for turn in range(arguments.rounds):
                for operation in _chosen(arguments.operations):
                    for server in servers:
                        if operation.api_name not in server.kind.unoffered:
                            runs[server.kind.name, operation.name].append(
                                _turn(server, operation, arguments.seconds, turn, pinned)
                            )
                servers.reverse()
        for operation in _chosen(arguments.operations):
            for kind in kinds:
                if those := runs[kind.name, operation.name]:
                    report.add(kind.name, operation, _median(those))
        if not pinned and not arguments.operations:
            for kind in kinds:
                report.starts_ms[kind.name] = measures.start_ms(kind, homes[kind.name])


def _turn(server: Server, operation: Operation, seconds: int, turn: int, pinned: bool) -> measures.Run:
    kind = server.kind
    if turn == 0:
        # Before the first measurement the files are flushed and the code is warm.
        measures.load(server, operation, _filling(kind), seconds=WARM_UP_S, pinned=pinned)
    run = measures.load(server, operation, _filling(kind), seconds=seconds * operation.stretch, pinned=pinned)
    print(
        f"{kind.name:9} {'pinned' if pinned else 'free':6} {operation.name:30} {run.rate:9,.0f}/s "
        f"p50 {run.p50_us / 1e3:7.2f} ms  p99 {run.p99_us / 1e3:7.2f} ms  "
        f"cpu {run.cpu_us:6.1f} us  rss {run.rss_bytes / 2**20:5.0f} MiB"
        + (f"  REFUSED {run.refused} BROKEN {run.broken}" if run.refused or run.broken else ""),
        file=sys.stderr,
        flush=True,
    )
    return run


def _median(runs: Sequence[measures.Run]) -> measures.Run:
    """Return the run with the median rate; of two, the lower one."""
    return sorted(runs, key=lambda run: run.rate)[(len(runs) - 1) // 2]


def _chosen(only: str) -> list[Operation]:
    return [operation for operation in OPERATIONS if only.lower() in operation.name.lower()]


def _measure_ours(report: page.Report, seconds: int, only: str) -> None:
    """Measure our engine only: in process, and how many requests share an fsync."""
    ours = KINDS[0]
    with tempfile.TemporaryDirectory(prefix="bursar-bench-") as folder:
        path = Path(folder) / "bursar.db"
        filling = _filling(ours)
        measures.fill_file(path, filling)
        for operation in _chosen(only):
            report.in_process[operation.name] = measures.in_process(path, operation, _filling(ours), seconds=seconds)
        with started(ours, Path(folder), pinned=False) as server:
            put = next(operation for operation in OPERATIONS if operation.api_name == "PutItem")
            report.syncs = measures.count_syncs(server, put, _filling(ours), seconds=seconds)


def _measure_workers(report: page.Report, seconds: int, rounds: int) -> None:
    """Measure reads with one worker process and with two, in turn; the median of the rounds counts."""
    measured = [operation for operation in OPERATIONS if operation.api_name in WORKERS_OPERATIONS]
    with ExitStack() as stack:
        servers = []
        for count in WORKERS:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bursar-bench-")))
            measures.fill_file(folder / "bursar.db", _filling(KINDS[0]))
            servers.append(stack.enter_context(started(with_workers(count), folder, pinned=False)))
        for operation in measured:
            rates: dict[int, list[float]] = {count: [] for count in WORKERS}
            for turn in range(rounds + 1):  # the first is a warm-up
                for count, server in list(zip(WORKERS, servers, strict=True))[:: 1 if turn % 2 else -1]:
                    run = measures.load(server, operation, _filling(KINDS[0]), seconds=seconds, pinned=False)
                    rates[count].append(run.rate)
            one, two = (median(rates[count][1:]) for count in WORKERS)
            report.workers[operation.name] = (one, two)
            print(f"workers   {operation.name:30} {one:9,.0f}/s {two:9,.0f}/s", file=sys.stderr, flush=True)


def _measure_history(report: page.Report, seconds: int, rounds: int) -> None:
    """Measure writes without a history and with each kind of one, in turn; the median of the rounds counts."""
    with ExitStack() as stack:
        servers = {}
        for feature, request in HISTORY.items():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bursar-bench-")))
            measures.fill_file(folder / "bursar.db", _filling(KINDS[0]))
            servers[feature] = stack.enter_context(started(KINDS[0], folder, pinned=True))
            if request is not None:
                servers[feature].ask(*request)
        for operation in OPERATIONS:
            if operation.api_name not in HISTORY_OPERATIONS:
                continue
            runs: dict[str, list[measures.Run]] = {feature: [] for feature in servers}
            for turn in range(rounds + 1):  # the first is a warm-up
                for feature, server in list(servers.items())[:: 1 if turn % 2 else -1]:
                    runs[feature].append(
                        measures.load(server, operation, _filling(KINDS[0]), seconds=seconds, pinned=True)
                    )
            report.history[operation.name] = {
                feature: (median(run.rate for run in those[1:]), median(run.cpu_us for run in those[1:]))
                for feature, those in runs.items()
            }
            print(f"history   {operation.name:30} {report.history[operation.name]}", file=sys.stderr, flush=True)


def _grow(report: page.Report, sizes: Sequence[int], get_item_sizes: Sequence[int], seconds: int) -> None:
    """Return rates and memory of servers on files of these sizes. All run at the same time and are loaded in turn.

    A shared machine is fast now and slow in a minute, and sizes measured one after another would show only that. Each
    round has the reverse order of the round before, and the median counts.
    """
    ours, measured = KINDS[0], [operation for operation in OPERATIONS if operation.api_name in GROWTH_OPERATIONS]
    with ExitStack() as stack:
        servers: list[tuple[page.Grown, Server]] = []
        for items in (*sizes, *get_item_sizes):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bursar-bench-")))
            path = folder / "bursar.db"
            took_s = measures.fill_file(path, Filling(items, PARTITIONS, ""))
            size = path.stat().st_size
            print(f"{items:,} items in {took_s:.0f} s, {size / 2**20:,.0f} MiB", file=sys.stderr, flush=True)
            with started(ours, folder, pinned=True):
                pass  # from here on the bytecode is cached
            server = stack.enter_context(started(ours, folder, pinned=True))
            servers.append((page.Grown(items, size, server.started_s * 1e3), server))
        runs: dict[tuple[int, str], list[measures.Run]] = defaultdict(list)
        for turn in range(GROWTH_ROUNDS):
            for operation in measured:
                for grown, server in servers if turn % 2 == 0 else reversed(servers):
                    if grown.items in get_item_sizes and operation.api_name != "GetItem":
                        continue
                    for _ in range(2):  # the first is a warm-up
                        filling = Filling(grown.items, PARTITIONS, measures.new_run())
                        run = measures.load(server, operation, filling, seconds=seconds, pinned=True)
                    runs[grown.items, operation.name].append(run)
        for grown, server in servers:
            for operation in measured:
                those = runs[grown.items, operation.name]
                if not those:
                    continue
                grown.rates[operation.name] = median(run.rate for run in those)
                grown.cpu_us[operation.name] = median(run.cpu_us for run in those)
            grown.rss_bytes = server.rss_bytes()
            report.growth.append(grown)
            print(f"  {grown}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
