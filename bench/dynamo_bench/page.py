"""The page of the measurements: Markdown, for the terminal and for docs/benchmarks/dynamo.md."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from bench.dynamo_bench.measures import CONNECTIONS_SMALL, InProcess, Run, Syncs
from bench.dynamo_bench.workload import CONNECTIONS, CONNECTIONS_SCAN, ITEM_BYTES, OPERATIONS, Operation

OURS: Final = "bursar"
MEMORY_ONLY: Final = frozenset({"moto"})
"""The server that is not a peer in a persistent mode."""
START_MS_MAX: Final = 250
GROWTH_MAX: Final = 1.25
IN_PROCESS_RATIO_MIN: Final = 1.5
TWO_WORKERS_RATIO_MIN: Final = 1.7
WITHOUT: Final = "neither"
"""The measure of writes without point-in-time recovery and without a stream."""
MIB: Final = 2**20
_ABSENT: Final = {False: "—", True: "none ended"}
"""The cells for a server without the operation, and for a server that answered no request in the run."""


@dataclass(slots=True)
class Grown:
    """Our server on a file of ``items``."""

    items: int
    file_bytes: int
    start_ms: float
    rates: dict[str, float] = field(default_factory=dict)
    cpu_us: dict[str, float] = field(default_factory=dict)
    rss_bytes: int = 0


@dataclass(slots=True)
class Report:
    """Everything measured in one run."""

    machine: dict[str, Any]
    command: str
    seconds: float
    rounds: int
    versions: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    best: dict[tuple[str, str], Run] = field(default_factory=dict)
    in_process: dict[str, InProcess] = field(default_factory=dict)
    starts_ms: dict[str, float] = field(default_factory=dict)
    workers: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Requests a second with one worker process and with two, by operation."""
    history: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    """Requests a second and processor time of writes, by operation and by the history that the table keeps."""
    syncs: Syncs | None = None
    growth: list[Grown] = field(default_factory=list)

    def add(self, server: str, operation: Operation, run: Run) -> None:
        """Keep the better of a server's settings."""
        known = self.best.get((server, operation.name))
        if known is None or run.rate > known.rate:
            self.best[server, operation.name] = run

    def text(self) -> str:
        """Return the page."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield "# The engine beside other DynamoDBs"
        yield ""
        yield "`make bench-dynamo` (`bench/bench_dynamo.py`) wrote this page; do not edit it."
        yield ""
        yield from self._circumstances()
        if self.best:
            yield from self._ratios()
            yield from self._details()
        if self.in_process:
            yield from self._in_process()
        if self.workers:
            yield from self._workers()
        if self.history:
            yield from self._history()
        if self.syncs is not None:
            yield from self._syncs(self.syncs)
        if self.starts_ms:
            yield from self._starts()
        if self.growth:
            yield from self._growth()

    def _circumstances(self) -> Iterator[str]:
        machine = self.machine
        yield f"- Command: `{self.command}`."
        yield (
            f"- Rounds: all servers run at once and are loaded in turn; the median of {self.rounds} rounds of "
            f"{self.seconds:g} s after a warm-up counts."
        )
        yield "  Rounds of batches and scans are four times as long."
        yield (
            f"- Load: wrk with one thread on the same machine, {CONNECTIONS} connections ({CONNECTIONS_SCAN} for "
            f"scans, {CONNECTIONS_SMALL} for moto), items of {ITEM_BYTES} bytes."
        )
        yield f"- Machine: {machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB."
        yield f"- Load average: {machine['load']} before and {machine.get('load_after', '?')} after (the run adds 2)."
        for name, version in self.versions.items():
            yield f"- {name}: {version}."
        for name in self.missing:
            yield f"- {name}: not measured, because it is not installed (`tools/install-oracles`)."
        yield ""

    def _servers(self) -> list[str]:
        return [name for name in self.versions if any(server == name for server, _ in self.best)]

    def _ratios(self) -> Iterator[str]:
        servers = self._servers()
        yield "## Requests per second over HTTP"
        yield ""
        yield f"| operation | {' | '.join(servers)} | ours ÷ fastest persistent peer | target |"
        yield f"|---|{'---:|' * (len(servers) + 2)}"
        for operation in OPERATIONS:
            rates = {
                name: self.best[name, operation.name].rate for name in servers if (name, operation.name) in self.best
            }
            if not rates:
                continue
            peers = [rate for name, rate in rates.items() if name != OURS and name not in MEMORY_ONLY]
            ratio = f"{rates[OURS] / max(peers):.1f}" if OURS in rates and any(peers) else "—"
            cells = [f"{rates[name]:,.0f}" if rates.get(name) else _ABSENT[name in rates] for name in servers]
            target = "—" if operation.ratio_min is None else f"{operation.ratio_min:g}"
            yield f"| {operation.name} | {' | '.join(cells)} | {ratio} | {target} |"
        yield ""

    def _details(self) -> Iterator[str]:
        yield "The table has each server at its better setting: pinned (one core for it, the other for wrk) or free."
        yield "CPU is the server's processor time per request."
        yield ""
        yield "| operation | server | setting | p50 ms | p99 ms | CPU µs | RSS MiB | refused |"
        yield "|---|---|---|---:|---:|---:|---:|---:|"
        for operation in OPERATIONS:
            for name in self._servers():
                run = self.best.get((name, operation.name))
                if run is not None and run.rate:
                    yield (
                        f"| {operation.name} | {name} | {'pinned' if run.pinned else 'free'} | "
                        f"{run.p50_us / 1e3:.2f} | {run.p99_us / 1e3:.2f} | {run.cpu_us:.0f} | "
                        f"{run.rss_bytes / MIB:.0f} | {run.refused + run.broken} |"
                    )
        yield ""

    def _in_process(self) -> Iterator[str]:
        yield "## In process, without HTTP"
        yield ""
        yield "The asyncio engine runs on the same kind of file, with 64 concurrent callers."
        yield ""
        yield f"| operation | per second | CPU µs | ÷ our HTTP figure (target: {IN_PROCESS_RATIO_MIN}) |"
        yield "|---|---:|---:|---:|"
        for name, inside in self.in_process.items():
            outside = self.best.get((OURS, name))
            ratio = f"{inside.rate / outside.rate:.1f}" if outside else "—"
            yield f"| {name} | {inside.rate:,.0f} | {inside.cpu_us:.0f} | {ratio} |"
        yield ""

    def _workers(self) -> Iterator[str]:
        yield "## Two worker processes on one file"
        yield ""
        yield "wrk takes its part of the same cores, so two workers on two cores cannot reach twice the rate of one."
        yield ""
        yield f"| operation | one worker | two workers | ratio (target: {TWO_WORKERS_RATIO_MIN}) |"
        yield "|---|---:|---:|---:|"
        for name, (one, two) in self.workers.items():
            yield f"| {name} | {one:,.0f} | {two:,.0f} | {two / one:.2f} |"
        yield ""

    def _history(self) -> Iterator[str]:
        features = list(next(iter(self.history.values())))
        yield "## Writes with point-in-time recovery and with a stream"
        yield ""
        yield "One of our servers runs for each; all are pinned and loaded in turn."
        yield "[dynamo-history.md](dynamo-history.md) has the cost without HTTP, and restores."
        yield ""
        yield f"| operation | {' | '.join(f'{feature}/s (CPU µs, ÷ {WITHOUT})' for feature in features)} |"
        yield f"|---|{'---:|' * len(features)}"
        for name, measured in self.history.items():
            least = measured[WITHOUT][1]
            cells = [f"{rate:,.0f} ({cpu:.0f}, × {cpu / least:.2f})" for rate, cpu in measured.values()]
            yield f"| {name} | {' | '.join(cells)} |"
        yield ""

    def _syncs(self, syncs: Syncs) -> Iterator[str]:
        yield "## Group commit"
        yield ""
        yield (
            f"Under strace, {syncs.calls:,} calls of fsync and fdatasync sufficed for {syncs.requests:,} acknowledged "
            f"PutItem: {syncs.requests / max(1, syncs.calls):.0f} requests per call."
        )
        yield ""

    def _starts(self) -> Iterator[str]:
        yield "## From the command to the first answer"
        yield ""
        yield "Each figure is the median of five starts on existing files."
        yield "Python's bytecode is cached, as in an installed package."
        yield ""
        for name, took_ms in self.starts_ms.items():
            wanted = f" (target: under {START_MS_MAX})" if name == OURS else ""
            yield f"- {name}: {took_ms:.0f} ms{wanted}"
        yield ""

    def _growth(self) -> Iterator[str]:
        names = list(self.growth[0].rates)
        yield "## As the table grows"
        yield ""
        yield "One of our servers runs on each file; all are pinned and loaded in turn, with random keys."
        yield "The median of three rounds counts."
        yield f"Targets: processor time within {GROWTH_MAX:g} of the smallest table's; 200 MB for a million items."
        yield ""
        heads = [f"{name}/s (CPU µs, ÷ the first)" for name in names]
        yield f"| items | file MiB | start ms | {' | '.join(heads)} | RSS MiB |"
        yield f"|---:|---:|---:|{'---:|' * (len(names) + 1)}"
        for grown in self.growth:
            least = self.growth[0].cpu_us
            cells = [
                f"{grown.rates[name]:,.0f} ({grown.cpu_us[name]:.0f}, × {grown.cpu_us[name] / least[name]:.2f})"
                if name in grown.rates
                else "—"
                for name in names
            ]
            yield (
                f"| {grown.items:,} | {grown.file_bytes / MIB:,.0f} | {grown.start_ms:.0f} | {' | '.join(cells)} | "
                f"{grown.rss_bytes / MIB:.0f} |"
            )
        yield ""
