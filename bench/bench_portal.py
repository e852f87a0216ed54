"""Full payments per second: init → the payer pays → process → details, on the durable file store.

    python -m bench.bench_portal [--seconds 10] [--rounds 3] [--workers 1,2] [--stored 1000000] [--write]
        [--peer URL [--peer-also PORTS] [--peer-paygov PORT] [--peer-empty COMMAND] [--peer-fill COMMAND]]

Everything runs on this machine: the load (bench/portal_bench/load.py), Pay.gov's simulator with its books in memory,
and `bursar portal` with its defaults, each in separate processes, with 1, 8 and 32 clients. Each round measures every
portal, in the reverse order of the round before, and the round with the median rate counts. All portals are warmed up
first, under the same load.

``--peer`` measures another portal with the same API, alternating with ours; its redirects give the address of its
Pay.gov. ``--peer-also`` are the ports of its other servers, such as its database, and ``--peer-paygov`` is the port of
its Pay.gov: the processes that listen there count as its cost. Our portals begin on an empty store; ``--peer-empty`` is
a command that empties the peer. ``--stored N`` measures again with N payments already stored; for that run
``--peer-fill`` is a command that stores as many in the peer (``true`` if they exist). Without it the peer is not in
that run. ``--skip-empty`` omits the first run. ``--write`` writes the page docs/benchmarks/portal.md.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.portal_bench.page import PEER, Report, Row
from bench.portal_bench.servers import ROOT, Server, listening, loaded, portal, simulator
from bench.portal_bench.stored import store_payments

OUT = ROOT / "docs" / "benchmarks" / "portal.md"
CLIENTS = (1, 8, 32)
WARM_UP_S = 3.0
READ_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Contender:
    """One portal: its processes, including those of a separate database, and the processes of its Pay.gov."""

    name: str
    url: str
    portal: Server | None
    paygov: Server | None

    def turn(self, stored: int, clients: int, seconds: float) -> Row:
        """Measure once."""
        servers = (self.portal, self.paygov)
        before = [each.cpu_s() if each else 0.0 for each in servers]
        seen = loaded(self.url, clients, seconds)
        flows = max(1, seen["flows"])
        spent = [
            (each.cpu_s() - spent_s) / flows * 1000 if each else None
            for each, spent_s in zip(servers, before, strict=True)
        ]
        return Row(
            self.name,
            stored,
            clients,
            seen,
            portal_cpu_ms=spent[0],
            paygov_cpu_ms=spent[1],
            rss_mb=self.portal.rss_mb() if self.portal else None,
            load_1m=os.getloadavg()[0],
        )


def main() -> int:
    """Measure and print; write the page if it is requested."""
    arguments = _arguments()
    command = shlex.join(["python", "-m", "bench.bench_portal", *sys.argv[1:]])
    report = Report(command, arguments.seconds, arguments.rounds)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        if not arguments.skip_empty:
            if arguments.peer_empty:
                subprocess.run(arguments.peer_empty, shell=True, check=True)
            folders = {workers: Path(scratch) / f"empty-{workers}" for workers in arguments.workers}
            report.rows += _measured(folders, 0, arguments, with_peer=bool(arguments.peer))
        if arguments.stored:
            if arguments.peer_fill:
                subprocess.run(arguments.peer_fill, shell=True, check=True)
            folder = arguments.store_folder or Path(scratch) / "stored"
            report.storing_s = store_payments(folder, arguments.stored)
            report.stored, report.store_bytes = arguments.stored, (folder / "bursar.db").stat().st_size
            _read(folder / "bursar.db")
            folders = {arguments.workers[-1]: folder}
            report.rows += _measured(folders, arguments.stored, arguments, with_peer=bool(arguments.peer_fill))
    report.finish()
    print(report.text())
    if arguments.write:
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(report.text())
    return 0


def _read(file: Path) -> None:
    """Read a file into the machine's memory, where a portal that has run for a while would have it."""
    with file.open("rb") as reading:
        while reading.read(READ_BYTES):
            pass


def _measured(folders: dict[int, Path], stored: int, arguments: argparse.Namespace, *, with_peer: bool) -> list[Row]:
    """Return the median row of every portal and number of clients. ``folders``: number of processes → our store."""
    with ExitStack() as stack:
        paygov = stack.enter_context(simulator())
        contenders = []
        for workers, folder in folders.items():
            folder.mkdir(parents=True, exist_ok=True)
            ours = stack.enter_context(portal(folder, paygov.url, workers))
            contenders.append(Contender(f"Bursar, {_processes(workers)}", ours.url, ours, paygov))
        if with_peer:
            contenders.append(_peer(arguments))
        for contender in contenders:
            contender.turn(stored, CLIENTS[-1], WARM_UP_S)
        rows: list[Row] = []
        names = [contender.name for contender in contenders]
        for clients in CLIENTS:
            turns: dict[str, list[Row]] = {name: [] for name in names}
            for _ in range(arguments.rounds):
                for contender in contenders:
                    turns[contender.name].append(contender.turn(stored, clients, arguments.seconds))
                contenders.reverse()
            rows += [_median(each) for each in turns.values()]
    return rows


def _peer(arguments: argparse.Namespace) -> Contender:
    """Return the peer and its visible cost. It may run on another machine or for another user."""
    try:
        serving: Server | None = listening(arguments.peer, *arguments.peer_also)
        port = arguments.peer_paygov
        paygov = listening(f"http://127.0.0.1:{port}") if port else None
    except LookupError as error:
        print(f"the peer's cost is not measured: {error}", file=sys.stderr)
        serving = paygov = None
    return Contender(PEER, arguments.peer, serving, paygov)


def _median(rows: Sequence[Row]) -> Row:
    """Return the round with the median rate."""
    middle = median(row.per_s for row in rows)
    return min(rows, key=lambda row: abs(row.per_s - middle))


def _processes(workers: int) -> str:
    return f"{workers} process{'es' if workers > 1 else ''}"


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="rounds for each number of clients; the median counts")
    parser.add_argument(
        "--workers",
        type=_numbers,
        default=[2],
        help="workers of `bursar portal`, such as 1,2; the last is used with --stored",
    )
    parser.add_argument("--stored", type=int, default=0, help="payments stored before the load, in a separate run")
    parser.add_argument("--store-folder", type=Path, help="keep the store of --stored here for the next run")
    parser.add_argument("--skip-empty", action="store_true", help="omit the run on an empty store")
    parser.add_argument("--folder", type=Path, help="the folder for stores; on a disk, not in memory")
    parser.add_argument("--peer", help="the URL of another portal with the same API")
    parser.add_argument("--peer-also", type=_numbers, default=[], help="ports of the peer's other servers, with commas")
    parser.add_argument("--peer-paygov", type=int, help="the port of the peer's Pay.gov")
    parser.add_argument("--peer-empty", help="a command that removes the peer's payments")
    parser.add_argument("--peer-fill", help="a command that stores the payments of --stored in the peer")
    parser.add_argument("--write", action="store_true", help=f"write {OUT.relative_to(ROOT)}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
