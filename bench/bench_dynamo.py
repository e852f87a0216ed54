"""How fast the engine is beside other DynamoDBs on this machine: HTTP under wrk, in process, growth, start, memory.

    python bench/bench_dynamo.py [--seconds 2] [--rounds 3] [--only bursar,dynoxide] [--growth 10000,1000000,5000000]
        [--no-write]

All servers are up at once on the same items, in a file where they have files, and are driven by wrk on 64 connections
in turns, so that a slow minute of the machine is everybody's: operation by operation, in the other order in the next
round, the median of the rounds. All of that once pinned to one core with wrk on another, once free; the better setting
of the two counts for each. Runs are short by default: they tell a ratio, not the third digit. The growth table fills
our own file directly and asks it over HTTP; millions of items take minutes. A run of everything writes
docs/benchmarks/dynamo.md, unless told not to.

Without wrk (a package of that name) nothing is measured. Peers come by ``tools/install-oracles``; one that is missing
is said to be missing.
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

from dynamo_bench import measures, page
from dynamo_bench.servers import KINDS, ROOT, Kind, Server, started
from dynamo_bench.workload import ASKED, Asked, Filling

OUT = ROOT / "docs" / "benchmarks" / "dynamo.md"
ITEMS = 5_000
PARTITIONS = 150
ITEMS_SMALL = 500
PARTITIONS_SMALL = 10
WARM_UP_S = 1
GROWTH_ROUNDS = 3
GROWTH_ASKED = ("GetItem", "Query", "PutItem", "UpdateItem")


def main() -> int:
    """Measures, prints, and writes the page if asked to."""
    arguments = _arguments()
    if shutil.which("wrk") is None:
        print("wrk is not installed (Debian and Ubuntu: apt install wrk): nothing measured", file=sys.stderr)
        return 2
    report = page.Report(measures.machine(), "python " + " ".join(sys.argv), arguments.seconds, arguments.rounds)
    names = arguments.only.split(",") if arguments.only else [kind.name for kind in KINDS]
    wanted = [kind for kind in KINDS if kind.name in names]
    report.missing += [kind.name for kind in wanted if not kind.present()]
    kinds = [kind for kind in wanted if kind.present()]
    report.versions |= {kind.name: f"{kind.version()} ({kind.note})" for kind in kinds}
    _measure([kind for kind in kinds if not kind.small], report, arguments, pinned=True)
    _measure(kinds, report, arguments, pinned=False)
    if "bursar" in names:
        _measure_ours(report, arguments.seconds, arguments.operations)
        _grow(report, arguments.growth, arguments.seconds)
    report.machine["load_after"] = measures.machine()["load"]
    text = report.text()
    print(text)
    if not (arguments.no_write or arguments.only or arguments.operations):
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(text)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=2, help="of each load")
    parser.add_argument("--rounds", type=int, default=3, help="of each load; the median counts")
    parser.add_argument("--only", default="", help="servers, by name, with commas")
    parser.add_argument("--operations", default="", help="only operations whose name holds this")
    parser.add_argument(
        "--growth",
        type=lambda text: [int(part) for part in text.split(",") if part],
        default=[10_000, 100_000],
        help="table sizes; 10000,1000000,5000000 takes some ten minutes",
    )
    parser.add_argument("--no-write", action="store_true", help=f"leave {OUT.relative_to(ROOT)} as it is")
    return parser.parse_args()


def _filling(kind: Kind) -> Filling:
    items, partitions = (ITEMS_SMALL, PARTITIONS_SMALL) if kind.small else (ITEMS, PARTITIONS)
    return Filling(items, partitions, measures.new_run())


def _measure(kinds: Sequence[Kind], report: page.Report, arguments: argparse.Namespace, *, pinned: bool) -> None:
    """The rates of all servers in one setting, asked in turns."""
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
                for asked in _chosen(arguments.operations):
                    for server in servers:
                        if asked.operation not in server.kind.unoffered:
                            runs[server.kind.name, asked.name].append(
                                _turn(server, asked, arguments.seconds, turn, pinned)
                            )
                servers.reverse()
        for asked in _chosen(arguments.operations):
            for kind in kinds:
                if those := runs[kind.name, asked.name]:
                    report.add(kind.name, asked, _median(those))
        if not pinned and not arguments.operations:
            for kind in kinds:
                report.starts_ms[kind.name] = measures.start_ms(kind, homes[kind.name])


def _turn(server: Server, asked: Asked, seconds: int, turn: int, pinned: bool) -> measures.Run:
    kind = server.kind
    if turn == 0:
        # The filling's files are settled, and the code is warm, before anything counts.
        measures.load(server, asked, _filling(kind), seconds=WARM_UP_S, pinned=pinned)
    run = measures.load(server, asked, _filling(kind), seconds=seconds * asked.stretch, pinned=pinned)
    print(
        f"{kind.name:9} {'pinned' if pinned else 'free':6} {asked.name:30} {run.rate:9,.0f}/s "
        f"p50 {run.p50_us / 1e3:7.2f} ms  p99 {run.p99_us / 1e3:7.2f} ms  "
        f"cpu {run.cpu_us:6.1f} us  rss {run.rss_bytes / 2**20:5.0f} MiB"
        + (f"  REFUSED {run.refused} BROKEN {run.broken}" if run.refused or run.broken else ""),
        file=sys.stderr,
        flush=True,
    )
    return run


def _median(runs: Sequence[measures.Run]) -> measures.Run:
    """The run with the median rate, the lower one of two."""
    return sorted(runs, key=lambda run: run.rate)[(len(runs) - 1) // 2]


def _chosen(only: str) -> list[Asked]:
    return [asked for asked in ASKED if only.lower() in asked.name.lower()]


def _measure_ours(report: page.Report, seconds: int, only: str) -> None:
    """What is asked of our own engine alone: in process, and how many requests share an fsync."""
    ours = KINDS[0]
    with tempfile.TemporaryDirectory(prefix="bursar-bench-") as folder:
        path = Path(folder) / "bursar.db"
        filling = _filling(ours)
        measures.fill_file(path, filling)
        for asked in _chosen(only):
            report.in_process[asked.name] = measures.in_process(path, asked, _filling(ours), seconds=seconds)
        with started(ours, Path(folder), pinned=False) as server:
            put = next(asked for asked in ASKED if asked.operation == "PutItem")
            report.syncs = measures.count_syncs(server, put, _filling(ours), seconds=seconds)


def _grow(report: page.Report, sizes: Sequence[int], seconds: int) -> None:
    """Rates and memory of servers on files of so many items: all up at once, and asked in turns.

    A machine of which others have a share is fast now and slow in a minute: sizes asked one after another would tell
    of that. Every round asks each in the other order than the round before; the median counts.
    """
    ours, measured = KINDS[0], [asked for asked in ASKED if asked.operation in GROWTH_ASKED]
    with ExitStack() as stack:
        servers: list[tuple[page.Grown, Server]] = []
        for items in sizes:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bursar-bench-")))
            path = folder / "bursar.db"
            took_s = measures.fill_file(path, Filling(items, PARTITIONS, ""))
            size = path.stat().st_size
            print(f"{items:,} items in {took_s:.0f} s, {size / 2**20:,.0f} MiB", file=sys.stderr, flush=True)
            with started(ours, folder, pinned=True):
                pass  # the bytecode is kept from here on
            server = stack.enter_context(started(ours, folder, pinned=True))
            servers.append((page.Grown(items, size, server.started_s * 1e3), server))
        runs: dict[tuple[int, str], list[measures.Run]] = defaultdict(list)
        for turn in range(GROWTH_ROUNDS):
            for asked in measured:
                for grown, server in servers if turn % 2 == 0 else reversed(servers):
                    for _ in range(2):  # the first is a warm-up
                        filling = Filling(grown.items, PARTITIONS, measures.new_run())
                        run = measures.load(server, asked, filling, seconds=seconds, pinned=True)
                    runs[grown.items, asked.name].append(run)
        for grown, server in servers:
            for asked in measured:
                those = runs[grown.items, asked.name]
                grown.rates[asked.name] = median(run.rate for run in those)
                grown.cpu_us[asked.name] = median(run.cpu_us for run in those)
            grown.rss_bytes = server.rss_bytes()
            report.growth.append(grown)
            print(f"  {grown}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
