"""Run the simulation: ``--seeds N`` runs N seeds and prints injected faults and findings; ``--seed K`` replays one.

With 1,000 seeds or more, a fault or an edge of the graph that never happened fails the run. ``--shrink K`` finds the
faults that a failing seed needs, and since when its failure was inevitable.

``--obligations N`` runs seeds with a crowd of payers each, until there are N obligations. The judge and the faults are
the same; the end of a run, its audit and its sweeps are shared by the crowd, so an obligation costs much less.
``--kept FILE`` appends the totals of each crowd to a file, and a later run continues from it; ``--totals FILE`` prints
the totals of all crowds in such files.

``--canaries`` plants every fault and writes to docs/simulation.md where the judge caught it. ``--matrix`` runs every
cell of the fault matrix and writes docs/faults.md. ``--transcript`` prints one lost reply from start to resolution.
"""

import argparse
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from sim.proof.canaries import CANARIES, Catch, catch
from sim.proof.matrix import BEHAVIOURS, Cell, cells, play
from sim.proof.matrix_page import PAGE, key_of, render
from sim.proof.shrink import shrink
from sim.proof.sometimes import ENOUGH_SEEDS, SOMETIMES, never_happened, not_listed
from sim.run import Verdict, simulate
from sim.totals import Totals
from sim.volume import run_volume, total

SHRUNK_MAX = 2
"""Failing seeds of one run that are shrunk at once; ``--shrink`` shrinks any other."""
SIMULATION_PAGE = Path(__file__).resolve().parent.parent / "docs" / "simulation.md"
_CANARIES_TABLE = re.compile(r"(?<=<!-- canaries -->\n).*?(?=<!-- /canaries -->)", re.DOTALL)
_IDS = ((re.compile(r"\bb[a-z0-9]{20}\b"), "attempt"), (re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b"), "obligation"))
"""Ids, and what replaces them in the table: they differ in every version, and no reader needs them."""


def main() -> int:
    """Run the command line and return its exit code: 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds to run, from --first on")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--obligations", type=int, help="run crowds until there are so many; with --seed, one crowd")
    parser.add_argument("--kept", type=Path, help="with --obligations: keep each crowd in this file, and continue")
    parser.add_argument("--totals", type=Path, nargs="+", metavar="KEPT", help="print the totals of kept crowds")
    parser.add_argument("--seed", type=int, help="replay this one seed and print its timeline")
    parser.add_argument("--shrink", type=int, metavar="SEED", help="find the faults that a failing seed needs")
    parser.add_argument("--canary", help="with --shrink: plant this fault of the product first")
    parser.add_argument("--canaries", action="store_true", help="plant each fault and write docs/simulation.md")
    parser.add_argument("--matrix", action="store_true", help="run the fault matrix and write docs/faults.md")
    parser.add_argument("--transcript", action="store_true", help="print one lost reply from start to resolution")
    parser.add_argument("--workers", type=int, default=2, help="processes that share the work")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return _replay(arguments.seed, arguments.obligations)
    if arguments.shrink is not None:
        return _shrink(arguments.shrink, arguments.canary)
    if arguments.canaries:
        return _catch_all(arguments.workers)
    if arguments.totals is not None:
        return total(arguments.totals)
    if arguments.matrix:
        return _run_matrix(arguments.workers)
    if arguments.transcript:
        lost = next(each for each in BEHAVIOURS if each.name == "charges and never answers")
        print(*play(Cell(True, lost, None, "the sweeper alone")).timeline, sep="\n")
        return 0
    if arguments.obligations is not None:
        return run_volume(arguments.obligations, arguments.first, arguments.workers, arguments.kept)
    return _run_many(range(arguments.first, arguments.first + arguments.seeds), arguments.workers)


def _replay(seed: int, crowd: int | None) -> int:
    verdict = simulate(seed, crowd=crowd)
    print(*verdict.timeline, sep="\n")
    _print_verdict(verdict, crowd)
    return bool(verdict.findings)


def _shrink(seed: int, canary: str | None) -> int:
    with CANARIES[canary].plant() if canary else nullcontext():
        shrunk = shrink(seed)
    print(*shrunk.lines(), sep="\n")
    return bool(shrunk.findings)


def _run_many(seeds: range, workers: int) -> int:
    began, totals = time.monotonic(), Totals()
    with ProcessPoolExecutor(workers) as pool:
        for verdict in pool.map(simulate, seeds, chunksize=4):
            totals.add(verdict)
            if verdict.findings:
                _print_verdict(verdict)
    print(f"\n{totals.head(time.monotonic() - began)}", *totals.lines(), sep="\n")
    for seed in totals.failing[:SHRUNK_MAX]:
        print(*shrink(seed).lines(), sep="\n")
    never = never_happened(totals.faults, totals.edges)
    print(f"sometimes: {len(never)} of {SOMETIMES} never happened", *never, sep="\n  ")
    if unlisted := not_listed(totals.faults):
        print(f"not in sim/proof/sometimes.py: {', '.join(unlisted)}")
    return bool(totals.failing) or (bool(never) and len(seeds) >= ENOUGH_SEEDS)


def _run_matrix(workers: int) -> int:
    every = list(cells())
    with ProcessPoolExecutor(workers) as pool:
        fates = dict(zip(map(key_of, every), pool.map(play, every, chunksize=20), strict=True))
    PAGE.write_text(render(fates))
    bad = {key: fate for key, fate in fates.items() if fate.findings}
    for key, fate in bad.items():
        print(*key, "; ".join(fate.findings), sep=" | ")
    print(f"{len(fates)} cells, {len(bad)} bad; written to docs/{PAGE.name}")
    return bool(bad)


def _catch_all(workers: int) -> int:
    table = ["| planted fault | caught at seed | by |", "|---|---|---|"]
    print(*table, sep="\n")
    missed = 0
    with ProcessPoolExecutor(workers) as pool:
        for name, finding, seed in pool.map(_catch, CANARIES):
            missed += finding is None
            table.append(f"| {name} | {seed if finding else 'never'} | {_without_ids(finding or 'nothing')} |")
            print(table[-1], flush=True)
    written = "\n".join(table) + "\n"
    SIMULATION_PAGE.write_text(_CANARIES_TABLE.sub(lambda _: written, SIMULATION_PAGE.read_text()))
    print(f"{len(CANARIES)} canaries, {missed} not caught; written to docs/{SIMULATION_PAGE.name}")
    return bool(missed)


def _without_ids(finding: str) -> str:
    for ids, replacement in _IDS:
        finding = ids.sub(replacement, finding)
    return finding


def _catch(name: str) -> tuple[str, str | None, int]:
    found: Catch = catch(CANARIES[name])
    return name, found.finding, found.seed


def _print_verdict(verdict: Verdict, crowd: int | None = None) -> None:
    print(f"seed {verdict.seed}: {'; '.join(verdict.findings) or 'good'}", flush=True)
    if verdict.findings:
        of_crowd = f" --obligations {crowd}" if crowd else ""
        print(f"  replay: python -m sim --seed {verdict.seed}{of_crowd}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
