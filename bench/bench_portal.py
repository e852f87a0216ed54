"""Full payments per second: init → the payer pays → process → details, on the durable file store.

    python bench/bench_portal.py [--seconds 10] [--rounds 3] [--workers 2] [--stored 1000000] [--peer URL] [--write]

Everything is on this machine: the load (bench/portal_bench/load.py), Pay.gov's simulator with its books in memory, and
`bursar portal` as anyone starts it, each in processes of its own. 1, 8 and 32 clients in turn; in each round every
portal has its turn, and the median round counts. ``--peer`` measures another portal with the same API, which has a
Pay.gov stand-in of its own whose page its redirects name. ``--stored N`` measures once more with N payments there
before. ``--write`` puts the page into docs/benchmarks/portal.md.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from portal_bench.page import Report, Row
from portal_bench.servers import ROOT, Server, loaded, portal, simulator
from portal_bench.stored import store_payments

OUT = ROOT / "docs" / "benchmarks" / "portal.md"
CLIENTS = (1, 8, 32)
WARM_UP_S = 2.0


def main() -> int:
    """Measures, prints, and writes the page if asked to."""
    arguments = _arguments()
    report = Report("python " + " ".join(sys.argv), arguments.seconds, arguments.rounds, arguments.workers)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        report.rows += _measured("Bursar", Path(scratch) / "empty", arguments, arguments.peer)
        if arguments.stored:
            folder = arguments.store_folder or Path(scratch) / "stored"
            report.stored, report.storing_s = arguments.stored, store_payments(folder, arguments.stored)
            report.store_bytes = (folder / "bursar.db").stat().st_size
            report.rows += _measured(f"Bursar, {arguments.stored:,} payments stored", folder, arguments, None)
    report.finish()
    print(report.text())
    if arguments.write:
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(report.text())
    return 0


def _measured(name: str, folder: Path, arguments: argparse.Namespace, peer: str | None) -> list[Row]:
    """One row per number of clients: ours on the store in ``folder``, and the peer's in turns with it."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        paygov = stack.enter_context(simulator())
        ours = stack.enter_context(portal(folder, paygov.url, arguments.workers))
        loaded(ours.url, CLIENTS[-1], WARM_UP_S)
        if peer:
            loaded(peer, CLIENTS[-1], WARM_UP_S)
        rows: list[Row] = []
        for clients in CLIENTS:
            turns: dict[str, list[Row]] = {}
            for _ in range(arguments.rounds):
                turns.setdefault(name, []).append(_turn(name, ours, paygov, clients, arguments.seconds))
                if peer:
                    turns.setdefault("peer", []).append(_peer_turn(peer, clients, arguments.seconds))
            rows += [_median(each) for each in turns.values()]
    return rows


def _turn(name: str, ours: Server, paygov: Server, clients: int, seconds: float) -> Row:
    portal_cpu_s, paygov_cpu_s = ours.cpu_s(), paygov.cpu_s()
    seen = loaded(ours.url, clients, seconds)
    flows = max(1, seen["flows"])
    return Row(
        name,
        clients,
        seen,
        portal_cpu_ms=(ours.cpu_s() - portal_cpu_s) / flows * 1000,
        paygov_cpu_ms=(paygov.cpu_s() - paygov_cpu_s) / flows * 1000,
        rss_mb=ours.rss_mb(),
        load_1m=os.getloadavg()[0],
    )


def _peer_turn(peer: str, clients: int, seconds: float) -> Row:
    return Row("peer", clients, loaded(peer, clients, seconds), load_1m=os.getloadavg()[0])


def _median(rows: Sequence[Row]) -> Row:
    """The round with the median rate."""
    middle = median(row.per_s for row in rows)
    return min(rows, key=lambda row: abs(row.per_s - middle))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of each number of clients")
    parser.add_argument("--workers", type=int, default=2, help="of `bursar portal`")
    parser.add_argument("--stored", type=int, default=0, help="payments there before, in a run of its own")
    parser.add_argument("--store-folder", type=Path, help="keeps the store of --stored, to be used again")
    parser.add_argument("--folder", type=Path, help="where stores are made; a disk, not memory")
    parser.add_argument("--peer", help="the URL of another portal with the same API")
    parser.add_argument("--write", action="store_true", help=f"writes {OUT.relative_to(ROOT)}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
